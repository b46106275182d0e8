//! Giving up the rights that only binding ports needs, and raising the limit of open files.
