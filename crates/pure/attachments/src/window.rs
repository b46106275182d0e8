//! The last octets that were unpacked, to which what follows refers back.

use crate::allowance::Lease;

/// Octets that are added at once. What is short needs little, whatever window its header asks for.
const PAGE_OCTETS: usize = 32 * 1024;

#[derive(Debug)]
pub(crate) struct Window {
    lease: Lease,
    pages: Vec<Box<[u8]>>,
    /// What its header asks for.
    octets_max: usize,
    /// Where the next octet goes.
    at: usize,
    /// Octets so far.
    total: u64,
}

/// An octet that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It never was.
    Never,
    /// It is no longer kept.
    Gone,
}

impl Window {
    /// An empty one that grows to so many octets, as far as memory can be had.
    pub(crate) fn new(lease: Lease, octets_max: u64) -> Window {
        let octets_max = usize::try_from(octets_max).unwrap_or(usize::MAX).max(1);
        Window { lease, pages: Vec::new(), octets_max, at: 0, total: 0 }
    }

    /// Octets that were put into it since it was last emptied.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// What follows refers to nothing before it.
    pub(crate) fn empty(&mut self) {
        (self.at, self.total) = (0, 0);
    }

    /// What follows refers to nothing before it, and asks for so many octets. The memory stays.
    pub(crate) fn begin_anew(&mut self, octets_max: u64) {
        self.ask_for(octets_max);
        self.empty();
    }

    /// What follows asks for so many octets, if that is more.
    pub(crate) fn ask_for(&mut self, octets_max: u64) {
        self.octets_max = usize::try_from(octets_max).unwrap_or(usize::MAX).max(self.octets_max);
    }

    /// The octet before the next, or so many more before that one.
    pub(crate) fn back(&self, distance: u32) -> Result<u8, Missing> {
        let at = self.place(distance)?;
        let page = self.pages.get(at / PAGE_OCTETS).ok_or(Missing::Gone)?;
        page.get(at % PAGE_OCTETS).copied().ok_or(Missing::Gone)
    }

    fn place(&self, distance: u32) -> Result<usize, Missing> {
        let distance = distance as usize;
        if distance as u64 >= self.total {
            return Err(Missing::Never);
        }
        let kept = self.pages.len() * PAGE_OCTETS;
        let at = match self.at.checked_sub(distance + 1) {
            Some(at) => at,
            None => (self.at + kept).checked_sub(distance + 1).ok_or(Missing::Gone)?,
        };
        // Beyond what lies before it, only what was overwritten last is left where it has gone round.
        if distance >= kept {
            return Err(Missing::Gone);
        }
        Ok(at)
    }

    /// Puts so many octets that were put before, the first of them at such a distance, and adds them to `out`.
    pub(crate) fn repeat(&mut self, distance: u32, octets: usize, out: &mut Vec<u8>) -> Result<(), Missing> {
        let (mut left, mut back) = (octets, distance);
        while left > 0 {
            let piece = self.repeat_piece(back, left, out)?;
            left -= piece;
            // What repeats itself lies farther back too, once it is there; so short rows are not copied one by one.
            if piece.is_multiple_of(distance as usize + 1) && back as usize + piece < PAGE_OCTETS {
                back += piece as u32;
            }
        }
        Ok(())
    }

    /// As many at once as lie in a row and do not overlap; at least one.
    fn repeat_piece(
        &mut self,
        distance: u32,
        octets_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, Missing> {
        self.make_room();
        let from = self.place(distance)?;
        let (from_page, from) = (from / PAGE_OCTETS, from % PAGE_OCTETS);
        let (to_page, to) = (self.at / PAGE_OCTETS, self.at % PAGE_OCTETS);
        let octets = octets_max.min(distance as usize + 1).min(PAGE_OCTETS - from.max(to));
        let source = self.pages.get(from_page).and_then(|page| page.get(from..from + octets));
        let begin = out.len();
        out.extend_from_slice(source.ok_or(Missing::Gone)?);
        let place = self.pages.get_mut(to_page).and_then(|page| page.get_mut(to..to + octets));
        if let (Some(place), Some(source)) = (place, out.get(begin..)) {
            place.copy_from_slice(source);
        }
        self.at += octets;
        self.total += octets as u64;
        Ok(octets)
    }

    /// Sees to it that the next octet has a place, if any has.
    fn make_room(&mut self) {
        if self.at == self.pages.len() * PAGE_OCTETS && !self.add_page() {
            self.at = 0;
        }
    }

    pub(crate) fn put(&mut self, octet: u8) {
        self.make_room();
        let place =
            self.pages.get_mut(self.at / PAGE_OCTETS).and_then(|page| page.get_mut(self.at % PAGE_OCTETS));
        if let Some(place) = place {
            *place = octet;
            self.at += 1;
        }
        self.total += 1;
    }

    /// One more page, unless it has gone round already or has all it asks for.
    fn add_page(&mut self) -> bool {
        let kept = self.pages.len() * PAGE_OCTETS;
        let has_gone_round = self.total != self.at as u64;
        let may_grow = !has_gone_round && kept < self.octets_max && self.lease.grow(PAGE_OCTETS);
        if may_grow {
            self.pages.push(vec![0; PAGE_OCTETS].into_boxed_slice());
        }
        may_grow
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::examination::Rules;
    use crate::limits::Limits;

    fn window(asked: u64, had: usize) -> Window {
        let limits = Limits { window_octets_max: had, ..Limits::default() };
        let rules = Rules { limits, ..Rules::default() };
        Window::new(Lease::new(Arc::new(rules), Arc::default()), asked)
    }

    #[test]
    fn it_keeps_what_it_asks_for() {
        let mut window = window(2 * PAGE_OCTETS as u64, 3 * PAGE_OCTETS);
        assert_eq!(window.back(0), Err(Missing::Never));
        for number in 0..5 * PAGE_OCTETS + 7 {
            window.put(number as u8);
        }
        let last = 5 * PAGE_OCTETS + 6;
        for distance in [0, 1, 6, 7, PAGE_OCTETS, 2 * PAGE_OCTETS - 1] {
            assert_eq!(window.back(distance as u32), Ok((last - distance) as u8), "{distance}");
        }
        assert_eq!(window.back(2 * PAGE_OCTETS as u32), Err(Missing::Gone));
        assert_eq!(window.back(last as u32 + 1), Err(Missing::Never));
        window.empty();
        assert_eq!(window.back(0), Err(Missing::Never));
        window.put(9);
        assert_eq!((window.back(0), window.back(1)), (Ok(9), Err(Missing::Never)));
    }

    #[test]
    fn what_is_repeated_is_what_lies_back() {
        let pages = 2 * PAGE_OCTETS;
        let (mut one, mut other) = (window(pages as u64, pages), window(pages as u64, pages));
        let mut state = 1_u32;
        for round in 0..4_000 {
            state = state.wrapping_mul(0x9e37_79b1).wrapping_add(12_345);
            let distance =
                [0, 1, 7, state % 300, state % pages as u32, pages as u32 - 1, pages as u32][round % 7];
            let octets = (state >> 20) as usize % 300;
            let mut out = Vec::new();
            let repeated = one.repeat(distance, octets, &mut out);
            let mut expected = Vec::new();
            let missing = (0..octets).find_map(|_| {
                let octet = other.back(distance).map(|octet| {
                    other.put(octet);
                    expected.push(octet);
                });
                octet.err()
            });
            assert_eq!((repeated.err(), &out), (missing, &expected), "{round} {distance}");
            for number in 0..(state >> 24) {
                one.put(number as u8);
                other.put(number as u8);
            }
            assert_eq!((one.total(), one.at), (other.total(), other.at));
        }
        assert_eq!(one.pages, other.pages);
        assert!(one.total() > 10 * pages as u64);
    }

    #[test]
    fn it_is_as_long_as_memory_can_be_had_for() {
        for (had, pages) in
            [(PAGE_OCTETS - 1, 0), (PAGE_OCTETS, 1), (PAGE_OCTETS + 1, 1), (2 * PAGE_OCTETS, 2)]
        {
            let mut window = window(1 << 30, had);
            for number in 0..3 * PAGE_OCTETS {
                window.put(number as u8);
            }
            assert_eq!(window.pages.len(), pages, "{had}");
            assert_eq!(window.back((pages * PAGE_OCTETS) as u32), Err(Missing::Gone), "{had}");
            assert_eq!(window.back(0).is_ok(), pages > 0, "{had}");
        }
    }
}
