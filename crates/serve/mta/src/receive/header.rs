//! A message's header, gathered before its body: judged and changed as its origin asks, then stored.

use message::{Collected, HeaderCollector, fields};
use smtp::Reply;

use super::replies;
use crate::submit::{self, Author};

/// Longest header we take. Postfix cuts at 100 KiB (`header_size_limit`); lists of thousands of recipients in To are
/// seen.
pub(crate) const HEADER_OCTETS_MAX: usize = 512 * 1024;

/// Where a message comes from.
pub(crate) enum Origin {
    /// One of our people.
    Author(Author),
    /// Another server, which may have it from a server that has it from us.
    Elsewhere {
        /// Received fields of a message that is not yet a loop (RFC 5321 §6.3).
        received_max: u32,
    },
}

/// A header that is not whole yet.
pub(crate) struct HeaderInWaiting {
    origin: Origin,
    collector: HeaderCollector,
    octets: usize,
}

impl HeaderInWaiting {
    pub(crate) fn new(origin: Origin) -> Self {
        Self { origin, collector: HeaderCollector::new(HEADER_OCTETS_MAX), octets: 0 }
    }

    /// Octets that came so far.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    /// Takes the next octets of the message; the number says how many belong to the header, if it ends with them.
    pub(crate) fn take(&mut self, octets: &[u8]) -> Result<Option<usize>, Reply> {
        match self.collector.feed(octets) {
            Collected::More => {
                self.octets += octets.len();
                Ok(None)
            }
            Collected::Complete { taken } => Ok(Some(taken)),
            Collected::TooLong => Err(replies::HEADER_TOO_LARGE),
        }
    }

    /// The header as it is stored.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Reply> {
        let header = self.collector.into_header();
        match self.origin {
            Origin::Author(author) => submit::complete(&header, &author),
            Origin::Elsewhere { received_max } => {
                let hops = fields(&header).filter(|field| field.is_named("Received")).count();
                if hops > received_max as usize { Err(replies::MAIL_LOOP) } else { Ok(header) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(message: &str) -> Result<Vec<u8>, Reply> {
        let mut waiting = HeaderInWaiting::new(Origin::Elsewhere { received_max: 2 });
        waiting.take(message.as_bytes()).unwrap();
        waiting.finish()
    }

    #[test]
    fn one_more_server_than_the_most_is_a_loop() {
        for (message, is_loop) in [
            ("Received: a\r\nRECEIVED: b\r\n\tReceived: folded\r\n\r\nReceived: body\r\n", false),
            ("Received: a\r\nreceived : b\r\nReceived: c\r\n\r\n", true),
            ("Received: a\r\nReceived: b\r\nReceived: no end", true),
            ("X-Received: a\r\nReceived-SPF: pass\r\nReceive: x\r\n\r\n", false),
        ] {
            assert_eq!(judge(message).is_err(), is_loop, "{message:?}");
        }
    }

    #[test]
    fn a_header_has_a_bound() {
        for (octets, is_taken) in
            [(HEADER_OCTETS_MAX - 1, true), (HEADER_OCTETS_MAX, true), (HEADER_OCTETS_MAX + 1, false)]
        {
            let mut waiting = HeaderInWaiting::new(Origin::Elsewhere { received_max: 2 });
            assert_eq!(waiting.take(&vec![b'x'; octets]).is_ok(), is_taken);
        }
    }
}
