//! A library for LD_PRELOAD that keeps an undo journal of everything a process has written and not yet
//! synced, so that after a SIGKILL `powercut apply` can show what a power cut would have left.
//!
//! Watches the files below `POWERCUT_DIR` (an existing directory); writes into `POWERCUT_JOURNAL` (on the same
//! file system, outside the first). Syncs are not passed on to the disk but take `POWERCUT_SYNC_MICROS`
//! (default 200), so that a kill also falls into the middle of one; `POWERCUT_FAIL_SYNC_EVERY` makes some fail. What is modelled and what is not: README.md.

// A shim for C symbols consists of calls that the compiler cannot check; each block says why it is sound.
#![allow(unsafe_code)]

// Its own test program must run on the real symbols.
#[cfg(not(test))]
mod exports;
mod journal;
#[cfg(not(test))]
mod raw;
#[cfg(not(test))]
mod shim;
