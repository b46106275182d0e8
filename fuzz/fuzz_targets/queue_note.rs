//! The queue's notes read back from the log: any octets are records or damage, never a panic; what was read is written
//! and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| queue::fuzz_note(octets));
