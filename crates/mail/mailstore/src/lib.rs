//! mailstore.
