//! From a message's octets to its features.

use std::collections::HashMap;

use message::{Limits, Part, Scanner};

use crate::collector::{Collector, Features};
use crate::{body, header};

/// Octets of a message that are looked at; a caller need not hold more of it.
pub const MESSAGE_OCTETS_MAX: usize = 256 * 1024;

/// The features of a message, of which only the first [`MESSAGE_OCTETS_MAX`] octets count.
pub fn features(message: &[u8]) -> Features {
    extract(message, Collector::default()).finish()
}

/// What features of words mean, those that are asked for or all.
pub(crate) fn names(message: &[u8], wanted: Option<Vec<u32>>) -> HashMap<u32, String> {
    extract(message, Collector::naming(wanted)).names()
}

fn extract(message: &[u8], mut collector: Collector) -> Collector {
    let message = message.get(..MESSAGE_OCTETS_MAX).unwrap_or(message);
    let structure = structure(message);
    let header_octets = usize::try_from(structure.header.end).unwrap_or(usize::MAX).min(message.len());
    header::take(message.get(..header_octets).unwrap_or_default(), &mut collector);
    body::take(message, &structure, &mut collector);
    collector
}

/// Where the parts of a message lie.
pub(crate) fn structure(message: &[u8]) -> Part {
    let mut scanner = Scanner::new(limits());
    scanner.feed(message);
    scanner.finish().structure
}

fn limits() -> Limits {
    Limits {
        header_octets_max: header::HEADER_OCTETS_MAX,
        part_header_octets_max: 8 * 1024,
        parts_max: 64,
        depth_max: 16,
        ..Limits::default()
    }
}
