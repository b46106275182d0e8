//! The front door: takes a message's octets as they pass and says at the end what was found in it.

use std::sync::Arc;

use crate::content::Nesting;
use crate::examination::{Examination, Rules};
use crate::report::Report;
use crate::walk::Walker;

/// Octets that go through all readers at once; what a decoder makes of them is in memory meanwhile.
const PIECE_OCTETS: usize = 16 * 1024;

/// Looks at one message while it passes. It holds less than 512 KiB, whatever comes.
#[derive(Debug)]
pub struct Inspector {
    examination: Examination,
    walker: Walker,
}

impl Inspector {
    /// An inspector at the first octet of a message.
    pub fn new(rules: Arc<Rules>) -> Inspector {
        Inspector {
            examination: Examination::new(rules),
            walker: Walker::new(Vec::new(), Nesting::default()),
        }
    }

    /// Takes the next octets of the message, header first, in pieces of any size. Line ends may be CRLF or LF.
    pub fn feed(&mut self, octets: &[u8]) {
        for piece in octets.chunks(PIECE_OCTETS) {
            self.walker.feed(piece, &mut self.examination);
        }
    }

    /// The message is complete.
    pub fn finish(mut self) -> Report {
        self.walker.finish(&mut self.examination);
        self.examination.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_may_move_between_threads() {
        fn moves<T: Send>(_: &T) {}
        moves(&Inspector::new(Arc::new(Rules::default())));
        fn is_shared<T: Send + Sync>(_: &T) {}
        is_shared(&Arc::new(Rules::default()));
    }
}
