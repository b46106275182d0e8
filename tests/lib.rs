//! Whole-program scenarios live in `all/`; this library is empty on purpose.
