//! Packets: four octets of length, one of command, and data.

use crate::Nonsense;

/// Octets of one piece of a body. All filters take as many.
pub const CHUNK_OCTETS_MAX: usize = 65_535;
/// Octets of data of the packets that both sides may send who have agreed on nothing else, and on 256 KiB and 1 MiB.
pub(super) const DATA_OCTETS: [usize; 3] = [64 * 1024 - 1, 256 * 1024 - 1, 1024 * 1024 - 1];

const LENGTH_OCTETS: usize = 4;

/// One packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// What it is.
    pub command: u8,
    /// What it holds beside.
    pub data: Vec<u8>,
}

/// Puts packets together from octets as they arrive.
#[derive(Debug)]
pub struct PacketReader {
    data_octets_max: usize,
    length: Vec<u8>,
    /// What came of the packet, its command first.
    body: Vec<u8>,
}

impl PacketReader {
    pub(super) fn new() -> Self {
        Self { data_octets_max: DATA_OCTETS[0], length: Vec::new(), body: Vec::new() }
    }

    pub(super) fn allow(&mut self, data_octets_max: usize) {
        self.data_octets_max = data_octets_max;
    }

    /// Takes octets from the front of `input`, up to the end of one packet; the number says how many it took.
    ///
    /// # Errors
    /// [`Nonsense`] where no packet has such a length.
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, Option<Packet>), Nonsense> {
        let of_length = input.len().min(LENGTH_OCTETS - self.length.len());
        let (length, rest) = input.split_at(of_length);
        self.length.extend_from_slice(length);
        let Ok(length) = <[u8; LENGTH_OCTETS]>::try_from(self.length.as_slice()) else {
            return Ok((of_length, None));
        };
        let octets = usize::try_from(u32::from_be_bytes(length)).map_err(|_| Nonsense::TooLong)?;
        if octets == 0 {
            return Err(Nonsense::Malformed);
        }
        if octets - 1 > self.data_octets_max {
            return Err(Nonsense::TooLong);
        }
        let taken = rest.len().min(octets - self.body.len());
        self.body.extend_from_slice(rest.get(..taken).unwrap_or_default());
        if self.body.len() < octets {
            return Ok((of_length + taken, None));
        }
        self.length.clear();
        let mut data = std::mem::take(&mut self.body);
        let command = data.remove(0);
        Ok((of_length + taken, Some(Packet { command, data })))
    }
}

/// Writes a packet whose data are these parts.
pub(super) fn write(command: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let octets = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.extend_from_slice(&u32::try_from(octets).unwrap_or(u32::MAX).to_be_bytes());
    out.push(command);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// The text before the next NUL, and what follows that.
pub(super) fn text(data: &[u8]) -> Result<(&[u8], &[u8]), Nonsense> {
    let end = data.iter().position(|&octet| octet == 0).ok_or(Nonsense::Malformed)?;
    let (text, rest) = data.split_at(end);
    Ok((text, rest.get(1..).unwrap_or_default()))
}

/// The number in front, and what follows it.
pub(super) fn number(data: &[u8]) -> Result<(u32, &[u8]), Nonsense> {
    let (number, rest) = data.split_first_chunk::<4>().ok_or(Nonsense::Malformed)?;
    Ok((u32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_whatever_the_pieces() {
        let mut wire = Vec::new();
        write(b'c', &[], &mut wire);
        write(b'h', &[b"Name\0", b"value\0"], &mut wire);
        for size in 1..wire.len() {
            let mut reader = PacketReader::new();
            let mut found = Vec::new();
            for mut piece in wire.chunks(size) {
                while !piece.is_empty() {
                    let (taken, packet) = reader.next(piece).unwrap();
                    piece = &piece[taken..];
                    found.extend(packet);
                }
            }
            assert_eq!(found.len(), 2, "{size}");
            assert_eq!(found[1], Packet { command: b'h', data: b"Name\0value\0".to_vec() });
        }
    }

    #[test]
    fn packets_have_a_bound() {
        let read = |octets: u32| PacketReader::new().next(&octets.to_be_bytes()).map(|_| ());
        let most = u32::try_from(DATA_OCTETS[0] + 1).unwrap();
        assert_eq!(read(0), Err(Nonsense::Malformed));
        assert_eq!((read(1), read(most - 1), read(most)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(read(most + 1), Err(Nonsense::TooLong));
        assert_eq!(read(u32::MAX), Err(Nonsense::TooLong));
    }
}
