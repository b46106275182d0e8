//! Log events for people (text) and machines (JSON lines), to stderr.
