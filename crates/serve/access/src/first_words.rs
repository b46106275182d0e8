//! What a client said first: whether it speaks our protocol at all, and whether it speaks.

/// A client's first words.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct FirstWords {
    has_spoken: bool,
    is_foreign: bool,
}

impl FirstWords {
    /// Looks at input of which nothing has been taken yet; later calls change nothing.
    pub(crate) fn hear(&mut self, input: &[u8]) {
        if !self.has_spoken {
            self.is_foreign = platform::guard::is_foreign(input);
            self.has_spoken = self.is_foreign || input.contains(&b'\n');
        }
    }

    /// Whether a line came.
    pub(crate) const fn has_spoken(self) -> bool {
        self.has_spoken
    }

    /// Whether it was one of another protocol.
    pub(crate) const fn is_foreign(self) -> bool {
        self.is_foreign
    }
}
