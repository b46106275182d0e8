//! What packers of RAR change before they pack, undone when a stretch of it is whole, from the window: addresses in programs,
//! and differences of neighbours.

use std::collections::VecDeque;

use crate::packed::STEP_OCTETS;
use crate::window::{Missing, Window};

/// Stretches whose filters are known and which have not come yet.
const FILTERS_MAX: usize = 256;
/// Rows of octets that lie behind each other where differences are packed.
const CHANNELS_MAX: u32 = 32;
/// Octets of a stretch; they have to be in the window all.
const STRETCH_OCTETS_MAX: u32 = 4 * 1024 * 1024;
/// An instruction and the address in it.
const CALL_OCTETS: u32 = 5;
const ARM_OCTETS: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Differences to the last octet of the same row, row by row.
    Delta { channels: u32 },
    /// Addresses behind the octets 0xe8 to `last`, made absolute; places in the entry go round beyond `mask`.
    Calls { last: u8, mask: u32 },
    /// Addresses of ARM's BL.
    Arm,
}

#[derive(Clone, Copy, Debug)]
struct Filter {
    /// Where it begins and ends, in octets of the window since it was last emptied.
    begins: u64,
    octets: u32,
    change: Change,
}

#[derive(Debug, Default)]
pub(crate) struct Filters {
    queue: VecDeque<Filter>,
    /// How much of the first is undone, and the last octet of each of its rows.
    at: u32,
    last: [u8; CHANNELS_MAX as usize],
    /// Something was changed in a way that is not undone.
    has_unknown: bool,
}

impl Filters {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Filters::default();
    }

    /// Whether something is not as it was before it was packed.
    pub(crate) fn has_unknown(&self) -> bool {
        self.has_unknown
    }

    /// Notes that there is one that cannot be undone.
    pub(crate) fn add_unknown(&mut self) {
        self.has_unknown = true;
    }

    /// Notes one more, if it can be undone: behind all others, and not too long.
    pub(crate) fn add(&mut self, begins: u64, octets: u32, change: Change) {
        let is_possible = match change {
            Change::Delta { channels } => (1..=CHANNELS_MAX).contains(&channels),
            Change::Calls { .. } | Change::Arm => true,
        };
        let is_behind = self.queue.back().is_none_or(|last| begins >= last.ends());
        let may = is_possible && is_behind && octets <= STRETCH_OCTETS_MAX && self.queue.len() < FILTERS_MAX;
        self.has_unknown |= !may;
        if may && octets > 0 {
            self.queue.push_back(Filter { begins, octets, change });
        }
    }

    /// Where the first ends: what has to be in the window before any of it is known.
    pub(crate) fn first_ends(&self) -> Option<u64> {
        self.queue.front().map(Filter::ends)
    }

    /// Writes octets from `written` on, as far as they are known and a step goes; how many. `entry_begins`: where the octet is
    /// that places in the entry are counted from.
    pub(crate) fn write(
        &mut self,
        window: &Window,
        written: u64,
        entry_begins: u64,
        out: &mut Vec<u8>,
    ) -> Result<u64, Missing> {
        let before = out.len();
        while out.len() < STEP_OCTETS {
            let at = written + (out.len() - before) as u64;
            match self.queue.front() {
                Some(filter) if filter.begins <= at => {
                    if window.total() < filter.ends() {
                        break;
                    }
                    let stretch = Stretch { window, ends: filter.ends(), octets: filter.octets };
                    let place = filter.begins.wrapping_sub(entry_begins) as u32;
                    let made = match filter.change {
                        Change::Delta { channels } => {
                            stretch.differences(self.at, channels, &mut self.last, out)?
                        }
                        Change::Calls { last, mask } => stretch.calls(self.at, place, last, mask, out)?,
                        Change::Arm => stretch.arm(self.at, place, out)?,
                    };
                    self.at += made;
                    if self.at >= filter.octets {
                        (self.at, self.last) = (0, [0; CHANNELS_MAX as usize]);
                        self.queue.pop_front();
                    }
                }
                next => {
                    let end = next.map_or(u64::MAX, |filter| filter.begins).min(window.total());
                    if at >= end {
                        break;
                    }
                    out.push(octet_at(window, at)?);
                }
            }
        }
        Ok((out.len() - before) as u64)
    }
}

impl Filter {
    fn ends(&self) -> u64 {
        self.begins.saturating_add(u64::from(self.octets))
    }
}

fn octet_at(window: &Window, at: u64) -> Result<u8, Missing> {
    let distance = window.total().checked_sub(at + 1).ok_or(Missing::Never)?;
    window.back(u32::try_from(distance).map_err(|_| Missing::Gone)?)
}

/// A stretch that is whole in the window.
struct Stretch<'w> {
    window: &'w Window,
    ends: u64,
    octets: u32,
}

impl Stretch<'_> {
    fn octet(&self, at: u32) -> Result<u8, Missing> {
        octet_at(self.window, self.ends - u64::from(self.octets.saturating_sub(at)))
    }

    fn long(&self, at: u32) -> Result<u32, Missing> {
        Ok(u32::from_le_bytes([
            self.octet(at)?,
            self.octet(at + 1)?,
            self.octet(at + 2)?,
            self.octet(at + 3)?,
        ]))
    }

    fn differences(
        &self,
        begin: u32,
        channels: u32,
        last: &mut [u8; CHANNELS_MAX as usize],
        out: &mut Vec<u8>,
    ) -> Result<u32, Missing> {
        let mut at = begin;
        while at < self.octets && out.len() < STEP_OCTETS {
            // The first rows are longer by one where it does not come out even.
            let channel = at % channels;
            let row_begins = channel * (self.octets / channels) + channel.min(self.octets % channels);
            let difference = self.octet(row_begins + at / channels)?;
            if let Some(last) = last.get_mut(channel as usize) {
                *last = last.wrapping_sub(difference);
                out.push(*last);
            }
            at += 1;
        }
        Ok(at - begin)
    }

    fn calls(&self, begin: u32, place: u32, last: u8, mask: u32, out: &mut Vec<u8>) -> Result<u32, Missing> {
        /// Addresses are made absolute in so many octets.
        const SPAN: u32 = 1 << 24;
        let mut at = begin;
        while at < self.octets && out.len() < STEP_OCTETS {
            let octet = self.octet(at)?;
            out.push(octet);
            if !(0xe8..=last).contains(&octet) || at + CALL_OCTETS > self.octets {
                at += 1;
                continue;
            }
            let here = place.wrapping_add(at + 1) & mask;
            let address = self.long(at + 1)?;
            let relative = if address < SPAN {
                address.wrapping_sub(here)
            } else if address >> 31 != 0 && address.wrapping_neg() <= here {
                address.wrapping_add(SPAN)
            } else {
                address
            };
            out.extend_from_slice(&relative.to_le_bytes());
            at += CALL_OCTETS;
        }
        Ok(at - begin)
    }

    fn arm(&self, begin: u32, place: u32, out: &mut Vec<u8>) -> Result<u32, Missing> {
        const BRANCH: u32 = 0xeb;
        let mut at = begin;
        while at < self.octets && out.len() < STEP_OCTETS {
            if at + ARM_OCTETS > self.octets {
                out.push(self.octet(at)?);
                at += 1;
                continue;
            }
            let instruction = self.long(at)?;
            let undone = if instruction >> 24 == BRANCH {
                let offset = instruction.wrapping_sub(place.wrapping_add(at) / 4);
                offset & 0x00ff_ffff | BRANCH << 24
            } else {
                instruction
            };
            out.extend_from_slice(&undone.to_le_bytes());
            at += ARM_OCTETS;
        }
        Ok(at - begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowance::Lease;

    fn undone(change: Change, octets: &[u8], before: &[u8]) -> Vec<u8> {
        let mut window = Window::new(Lease::new(Default::default(), Default::default()), 1 << 20);
        before.iter().chain(octets).chain(b"behind").for_each(|octet| window.put(*octet));
        let mut filters = Filters::default();
        filters.add(before.len() as u64, octets.len() as u32, change);
        let (mut all, mut written) = (Vec::new(), 0);
        while written < window.total() {
            let mut out = Vec::new();
            written += filters.write(&window, written, 0, &mut out).unwrap();
            assert!(!out.is_empty() && out.len() < STEP_OCTETS + 5);
            all.extend_from_slice(&out);
        }
        assert!(all.starts_with(before) && all.ends_with(b"behind"));
        all[before.len()..all.len() - 6].to_vec()
    }

    #[test]
    fn differences_are_added_up() {
        // Rows 1 2 3 and 10 20, each as what is to be taken away from the last.
        let packed = [255, 255, 255, 246, 246];
        assert_eq!(undone(Change::Delta { channels: 2 }, &packed, b"before"), [1, 10, 2, 20, 3]);
        let ones = undone(Change::Delta { channels: 1 }, &[255; 20_000], b"");
        assert!(ones.iter().enumerate().all(|(at, octet)| *octet == (at + 1) as u8));
    }

    #[test]
    fn addresses_are_relative_again() {
        let x86 = |last| Change::Calls { last, mask: 0x00ff_ffff };
        // Behind eight octets: its address is at place 9 of the entry.
        let call = |octet: u8, address: u32| [vec![octet], address.to_le_bytes().to_vec()].concat();
        assert_eq!(undone(x86(0xe8), &call(0xe8, 100), b"12345678"), call(0xe8, 91));
        assert_eq!(undone(x86(0xe8), &call(0xe9, 100), b"12345678"), call(0xe9, 100));
        assert_eq!(undone(x86(0xe9), &call(0xe9, 100), b"12345678"), call(0xe9, 91));
        let minus = |octets: u32| octets.wrapping_neg();
        assert_eq!(undone(x86(0xe8), &call(0xe8, minus(9)), b"12345678"), call(0xe8, 0x00ff_fff7));
        assert_eq!(undone(x86(0xe8), &call(0xe8, minus(10)), b"12345678"), call(0xe8, minus(10)));
        assert_eq!(undone(x86(0xe8), &call(0xe8, 1 << 24), b"12345678"), call(0xe8, 1 << 24));
        // Cut off before its end.
        assert_eq!(undone(x86(0xe8), &[0xe8, 1, 0, 0], b""), [0xe8, 1, 0, 0]);
        assert_eq!(
            undone(Change::Arm, &[5, 0, 0, 0xeb, 5, 0, 0, 0xea, 9], b"12345678"),
            [3, 0, 0, 0xeb, 5, 0, 0, 0xea, 9]
        );
    }

    #[test]
    fn filters_are_bounded() {
        let is_known = |before: &[(u64, u32)], (begins, octets): (u64, u32), change: Change| {
            let mut filters = Filters::default();
            before.iter().for_each(|(begins, octets)| filters.add(*begins, *octets, Change::Arm));
            assert!(!filters.has_unknown());
            filters.add(begins, octets, change);
            !filters.has_unknown()
        };
        let many: Vec<(u64, u32)> = (0..FILTERS_MAX as u64).map(|number| (number * 10, 10)).collect();
        for (count, known) in [(FILTERS_MAX - 1, true), (FILTERS_MAX, false)] {
            assert_eq!(is_known(&many[..count], (1 << 20, 10), Change::Arm), known, "{count}");
        }
        for (more, known) in [(-1, true), (0, true), (1, false)] {
            let octets = STRETCH_OCTETS_MAX.saturating_add_signed(more);
            assert_eq!(is_known(&[], (0, octets), Change::Arm), known, "{more}");
        }
        for (channels, known) in [(0, false), (1, true), (31, true), (32, true), (33, false)] {
            assert_eq!(is_known(&[], (0, 10), Change::Delta { channels }), known, "{channels}");
        }
        // Over each other.
        for (begins, known) in [(14, false), (15, true), (16, true)] {
            assert_eq!(is_known(&[(5, 10)], (begins, 10), Change::Arm), known, "{begins}");
        }
    }
}
