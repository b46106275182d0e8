//! MSZIP, a packing of cabinets ([MS-MCI]): blocks that are deflated each by itself and refer back to those before them.

use flate2::{Decompress, FlushDecompress, Status};

use crate::allowance::Lease;
use crate::packed::Step;

/// Octets that any block but the last becomes, and that the next may refer back to.
pub(crate) const BLOCK_OCTETS: usize = 32 * 1024;
/// Blocks that become fewer, before others: each costs what it takes to begin, and programs write none.
const SHORT_BLOCKS_MAX: usize = 16;
/// What a block begins with.
const SIGNATURE: [u8; 2] = *b"CK";

#[derive(Debug)]
pub(crate) struct MsZip {
    _lease: Lease,
    inflate: Decompress,
    /// What blocks before this one have become, as far as it may refer back.
    before: Vec<u8>,
    block: Vec<u8>,
    /// How much of the signature has come.
    begun: usize,
    state: State,
    short_blocks: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Damaged,
}

impl MsZip {
    /// None if there is no memory for it.
    pub(crate) fn new(mut lease: Lease) -> Option<MsZip> {
        // One octet more, so that it is seen where there is one.
        let octets = BLOCK_OCTETS + 1;
        let has_memory = lease.grow(3 * octets);
        has_memory.then(|| MsZip {
            _lease: lease,
            inflate: Decompress::new(false),
            before: Vec::with_capacity(octets),
            block: Vec::with_capacity(octets),
            begun: 0,
            state: State::Ended,
            short_blocks: 0,
        })
    }

    pub(crate) fn begin_block(&mut self) {
        if self.block.len() == BLOCK_OCTETS {
            std::mem::swap(&mut self.before, &mut self.block);
        } else if !self.block.is_empty() {
            self.short_blocks += 1;
            let kept = self.before.len().min(BLOCK_OCTETS - self.block.len());
            self.before.drain(..self.before.len() - kept);
            self.before.extend_from_slice(&self.block);
        }
        self.inflate.reset(false);
        self.block.clear();
        self.refer_back();
        (self.begun, self.state) = (0, State::Open);
    }

    /// Inflates what is before the block, as if it were stored in front of it: so the block may refer to it.
    fn refer_back(&mut self) {
        let before = std::mem::take(&mut self.before);
        if !before.is_empty() {
            let [low, high] = (before.len() as u16).to_le_bytes();
            let _begun = self.inflate_some(&[0, low, high, !low, !high]);
            let _stored = self.inflate_some(&before);
            self.block.clear();
        }
        self.before = before;
    }

    /// Whether the block has ended; none where it is damaged.
    fn inflate_some(&mut self, octets: &[u8]) -> Option<bool> {
        let mut rest = octets;
        loop {
            let (used, made) = (self.inflate.total_in(), self.block.len());
            let status = self.inflate.decompress_vec(rest, &mut self.block, FlushDecompress::None).ok()?;
            let used = (self.inflate.total_in() - used) as usize;
            rest = rest.get(used..).unwrap_or_default();
            match status {
                Status::StreamEnd => return Some(true),
                _ if self.block.len() > BLOCK_OCTETS => return None,
                _ if used == 0 && self.block.len() == made => return Some(false),
                _ => {}
            }
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let (Some(expected), Some((octet, behind))) = (SIGNATURE.get(self.begun), rest.split_first()) {
            if octet != expected {
                self.state = State::Damaged;
            }
            self.begun += 1;
            rest = behind;
        }
        if self.state == State::Open && !rest.is_empty() {
            self.state = match self.inflate_some(rest) {
                Some(true) if self.block.len() <= BLOCK_OCTETS => State::Ended,
                Some(false) => State::Open,
                _ => State::Damaged,
            };
        }
    }

    /// What the block has become.
    pub(crate) fn made(&self) -> &[u8] {
        self.block.get(..self.block.len().min(BLOCK_OCTETS)).unwrap_or_default()
    }

    pub(crate) fn end_block(&mut self) -> Step {
        match self.state {
            State::Ended if self.short_blocks > SHORT_BLOCKS_MAX => Step::Unknown,
            State::Ended => Step::More,
            State::Open | State::Damaged => Step::Damaged,
        }
    }
}
