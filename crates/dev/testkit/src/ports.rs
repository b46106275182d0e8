//! Free ports for a whole server at once.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// Ports whose places with an offset must be free: every listener's.
const PORTS: [u16; 13] = [24, 25, 53, 80, 110, 143, 443, 465, 587, 993, 995, 4190, 9825];
/// The port at whose place with an offset somebody listens as long as the offset is his. No listener has it.
const CLAIM: u16 = 1;
/// Below the range from which the kernel takes ports for outgoing connections (32768 on).
const OFFSETS: std::ops::Range<u16> = 10_100..22_000;
/// Between two offsets. No two ports, [`CLAIM`] among them, have the same remainder by it, so the ports of one offset are
/// none of another's.
const STEP: u16 = 41;

/// A number that, added to every port, leads to free ones on loopback: nobody else's here, in no process, until it is
/// dropped. A server that has it may stop and start again.
#[derive(Debug)]
pub struct Offset {
    number: u16,
    _claim: TcpListener,
}

impl Offset {
    /// The number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// An offset that is free.
///
/// # Errors
/// When there is none.
pub fn free_offset() -> Result<Offset> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = (OFFSETS.end - OFFSETS.start) / STEP;
    // Test processes that run side by side begin in different places.
    let begin = u16::try_from(std::process::id() % u32::from(count)).unwrap_or_default();
    for _ in 0..count {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed) % count;
        let number = OFFSETS.start + (begin + turn) % count * STEP;
        let Ok(claim) = TcpListener::bind((Ipv4Addr::LOCALHOST, CLAIM + number)) else { continue };
        if PORTS.iter().all(|port| is_free(port + number)) {
            return Ok(Offset { number, _claim: claim });
        }
    }
    bail!("no free ports on loopback");
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn offsets_share_no_port() {
        let remainders: BTreeSet<u16> = PORTS.iter().chain([&CLAIM]).map(|port| port % STEP).collect();
        assert_eq!(remainders.len(), PORTS.len() + 1);
        let (one, two) = (free_offset().unwrap(), free_offset().unwrap());
        assert_ne!(one.number(), two.number());
        assert!(!is_free(CLAIM + one.number()));
    }
}
