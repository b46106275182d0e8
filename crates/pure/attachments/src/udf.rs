//! Names of files in UDF images (ECMA-167, OSTA UDF 2.60): descriptors of files in directories are known by their form wherever
//! they pass, as the places of directories may only be told by what lies behind them.

/// Octets of a descriptor before what is of any length (ECMA-167 4/14.4).
const FIXED_OCTETS: usize = 38;
/// Octets of a tag (3/7.2), and the kind that it has here.
const TAG_OCTETS: usize = 16;
const FILE_IDENTIFIER: [u8; 2] = [1, 1];
/// Octets that implementations put before a name. What has more is not read.
const IMPLEMENTATION_OCTETS_MAX: usize = 256;
/// Octets of the longest descriptor: a name has 255.
const DESCRIPTOR_OCTETS_MAX: usize = FIXED_OCTETS + IMPLEMENTATION_OCTETS_MAX + 255;
/// Flags of what a descriptor is of (4/14.4.3).
const IS_NO_FILE: u8 = 2 | 4 | 8;

#[derive(Debug)]
pub(crate) struct UdfNames {
    /// Octets that are still looked at, the first at a multiple of four.
    octets: Vec<u8>,
    /// Octets to leave out until then.
    skip: usize,
}

impl UdfNames {
    /// For what begins at this place of the image.
    pub(crate) fn new(position: u64) -> UdfNames {
        UdfNames { octets: Vec::new(), skip: ((4 - position % 4) % 4) as usize }
    }

    /// The names in the next octets.
    pub(crate) fn feed(&mut self, octets: &[u8]) -> Vec<String> {
        let skipped = self.skip.min(octets.len());
        self.skip -= skipped;
        self.octets.extend_from_slice(octets.get(skipped..).unwrap_or_default());
        let mut names = Vec::new();
        let whole = self.octets.len().saturating_sub(DESCRIPTOR_OCTETS_MAX).next_multiple_of(4);
        for at in (0..whole).step_by(4) {
            let rest = self.octets.get(at..).unwrap_or_default();
            if rest.starts_with(&FILE_IDENTIFIER) {
                names.extend(name(rest));
            }
        }
        self.octets.drain(..whole.min(self.octets.len()));
        names
    }
}

/// The name in a descriptor of a file.
fn name(octets: &[u8]) -> Option<String> {
    let tag = octets.first_chunk::<TAG_OCTETS>()?;
    let [_, _, 2 | 3, 0, sum, 0, ..] = tag else { return None };
    let octets_of_tag = tag.iter().fold(0_u8, |sum, octet| sum.wrapping_add(*octet)).wrapping_sub(*sum);
    let flags = *octets.get(18)?;
    if octets_of_tag != *sum || flags & IS_NO_FILE != 0 {
        return None;
    }
    let before = usize::from(u16::from_le_bytes(*octets.get(36..)?.first_chunk()?));
    let name = octets.get(FIXED_OCTETS + before..)?.get(..usize::from(*octets.get(19)?))?;
    // UDF §2.1.1: one octet a letter, or two.
    match name.split_first()? {
        (8, letters) => Some(letters.iter().map(|letter| char::from(*letter)).collect()),
        (16, letters) => {
            let units = letters.as_chunks::<2>().0.iter().map(|unit| u16::from_be_bytes(*unit));
            Some(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(name: &[u8], before: usize, flags: u8) -> Vec<u8> {
        let mut octets = vec![1, 1, 2, 0, 0, 0, 0, 0, 9, 9, 0, 0, 3, 0, 0, 0, 1, 0, flags, name.len() as u8];
        octets.resize(36, 0);
        octets.extend_from_slice(&(before as u16).to_le_bytes());
        octets.resize(38 + before, 7);
        octets.extend_from_slice(name);
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets[4] = octets[..16].iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet));
        octets
    }

    #[test]
    fn names_are_known_by_their_form_however_they_come() {
        let octets = [
            vec![1; 40],
            descriptor(b"\x08a.exe", 0, 0),
            descriptor(b"\x10\0b\0.\0j\0s", 32, 0),
            descriptor(b"\x08gone.exe", 0, 4),
            descriptor(b"\x08c.js", IMPLEMENTATION_OCTETS_MAX, 0),
            vec![0; DESCRIPTOR_OCTETS_MAX],
        ]
        .concat();
        for piece in [1, 3, 61, 5_000] {
            let mut reader = UdfNames::new(4 * 9);
            let names: Vec<String> = octets.chunks(piece).flat_map(|piece| reader.feed(piece)).collect();
            assert_eq!(names, ["a.exe", "b.js", "c.js"], "{piece}");
        }
        let mut reader = UdfNames::new(3);
        assert_eq!(reader.feed(&octets).len(), 0);
        assert_eq!(UdfNames::new(3).feed(&[&[0], octets.as_slice()].concat()).len(), 3);
    }
}
