//! Digests a message while it arrives.

use crate::date::Date;
use crate::limits::Limits;
use crate::summary::Summary;

/// Takes a message in chunks of any size and gives its summary at the end.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    octets: u64,
    date: Option<Date>,
}
impl Scanner {
    /// A scanner at the first octet of a message.
    pub fn new(limits: Limits) -> Scanner {
        Scanner { limits, octets: 0, date: None }
    }
    /// Takes the next octets.
    pub fn feed(&mut self, octets: &[u8]) {
        self.octets += octets.len() as u64;
    }
    /// The message is complete.
    pub fn finish(self) -> Summary {
        use crate::structure::{Content, Part, Span};
        let _ = self.limits;
        Summary {
            octets: self.octets,
            header_octets: 0,
            traits: Default::default(),
            envelope: Default::default(),
            structure: Part {
                header: Span::new(0, 0),
                body: Span::new(0, self.octets),
                lines: 0,
                media_type: b"text".to_vec(),
                subtype: b"plain".to_vec(),
                parameters: Vec::new(),
                id: None,
                description: None,
                encoding: b"7bit".to_vec(),
                md5: None,
                disposition: None,
                languages: Vec::new(),
                location: None,
                content: Content::Leaf,
            },
            fields: Default::default(),
            date: self.date,
            references: Vec::new(),
        }
    }
}
