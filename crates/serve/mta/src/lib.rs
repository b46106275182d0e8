//! mta.
