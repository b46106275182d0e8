//! Free ports for a whole server at once.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// Ports whose places with an offset must be free: every listener's.
const PORTS: [u16; 9] = [24, 25, 143, 443, 465, 587, 993, 4190, 9825];
/// Below the range from which the kernel takes ports for outgoing connections (32768 on).
const OFFSETS: std::ops::Range<u16> = 10_100..22_000;
const STEP: u16 = 7;

/// A number that, added to every port, leads to free ones on loopback.
///
/// # Errors
/// When there is none.
pub fn free_offset() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run side by side begin in different places.
    let begin =
        u16::try_from(std::process::id() % u32::from(OFFSETS.end - OFFSETS.start)).unwrap_or_default();
    let width = OFFSETS.end - OFFSETS.start;
    for _ in 0..width / STEP {
        let turn = NEXT.fetch_add(STEP, Ordering::Relaxed);
        let offset = OFFSETS.start + begin.wrapping_add(turn) % width;
        if PORTS.iter().all(|port| is_free(port + offset)) {
            return Ok(offset);
        }
    }
    bail!("no free ports on loopback");
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
