//! One record of a pack: a head of fixed length, the notes, the stored octets. Public as a format, so that
//! fuzzers and tools read what the committer writes. Layout: `docs/internals/store-format.md`.
//!
//! Every checksum is keyed with the store's own random key and bound to pack and offset. A message can
//! therefore not contain octets that pass for a record when a damaged pack is searched for the next one.

use crate::entry::Note;
use crate::position::PackId;
use std::fmt;

/// Length of a record's head.
pub const HEAD_OCTETS: usize = 120;

/// First octets of every record. Not text and not zero, so neither mail nor unwritten space begins so by chance.
pub const MAGIC: [u8; 4] = [0xB1, b'R', b'e', 0xC3];

/// Most octets that the notes of one entry may take: a change of flags on a million messages fits.
pub const NOTES_OCTETS_MAX: u32 = 16 << 20;

/// Largest original kept inside the log; larger blobs get a pack of their own.
pub const INLINE_ORIGINAL_OCTETS_MAX: u64 = 256 << 10;

/// Largest original there can be.
pub const ORIGINAL_OCTETS_MAX: u64 = 4 << 30;

/// Octets before each note: owner and length.
const NOTE_PREFIX_OCTETS: usize = 8;

/// Stored octets of [`Codec::Elsewhere`]: pack and offset.
pub const ELSEWHERE_OCTETS: u64 = 12;

const FORMAT_VERSION: u8 = 1;
const FLAG_BATCH_GOES_ON: u16 = 1;
const CHECK_OCTETS: usize = 16;
const HEAD_CHECK_AT: usize = HEAD_OCTETS - CHECK_OCTETS;

/// A truncated keyed BLAKE3.
pub type Check = [u8; CHECK_OCTETS];

/// The random key of one store, under which all its checksums are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoreKey(pub [u8; 32]);

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// How a record's octets are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// There are none: the record carries notes alone.
    None,
    /// As they are.
    Raw,
    /// One zstd frame.
    Zstd,
    /// A zstd frame for each piece of the original, and an index of the frames. Only in packs of their own.
    ZstdFrames,
    /// In another pack, named here.
    Elsewhere,
}

impl Codec {
    fn number(self) -> u8 {
        match self {
            Codec::None => 0,
            Codec::Raw => 1,
            Codec::Zstd => 2,
            Codec::ZstdFrames => 3,
            Codec::Elsewhere => 4,
        }
    }

    fn from_number(number: u8) -> Option<Codec> {
        Some(match number {
            0 => Codec::None,
            1 => Codec::Raw,
            2 => Codec::Zstd,
            3 => Codec::ZstdFrames,
            4 => Codec::Elsewhere,
            _ => return None,
        })
    }
}

/// Whether the next record belongs to the same all-or-nothing batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// The batch goes on: this record counts only together with the next.
    GoesOn,
    /// The batch is complete (or the record stands alone).
    Ends,
}

/// The fixed part of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// How the octets are stored.
    pub codec: Codec,
    /// Whether the next record belongs to it.
    pub batch: Batch,
    /// Octets of the original.
    pub original_octets: u64,
    /// Octets stored, after the notes.
    pub stored_octets: u64,
    /// Octets of the notes, after the head.
    pub notes_octets: u32,
    /// Original octets in each frame (all but the last) of [`Codec::ZstdFrames`]; otherwise 0.
    pub frame_octets: u32,
    /// Octets back to the start of the group that was written and synced together: everything before that
    /// start was durable when this record was written.
    pub group_distance: u32,
    /// BLAKE3 of the original; zero without one.
    pub hash: [u8; 32],
    /// Checksum of the notes.
    pub notes_check: Check,
    /// Checksum of the stored octets (see [`Section::Body`]).
    pub body_check: Check,
}

/// Why octets are not a sound record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// No record begins here.
    #[error("no record begins here")]
    NoRecord,
    /// The file ends within the record.
    #[error("the file ends within the record")]
    CutOff,
    /// Written by a newer program.
    #[error("record format {0} is unknown")]
    Version(u8),
    /// The head's checksum is wrong.
    #[error("the head's checksum is wrong")]
    HeadCheck,
    /// The notes' checksum is wrong.
    #[error("the notes' checksum is wrong")]
    NotesCheck,
    /// The octets' checksum is wrong.
    #[error("the octets' checksum is wrong")]
    BodyCheck,
    /// A field contradicts another.
    #[error("malformed record: {0}")]
    Malformed(&'static str),
}

/// Where a record lies, and under which key: what its checksums are bound to.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The store's key.
    pub key: &'a StoreKey,
    /// The pack.
    pub pack: PackId,
    /// The record's offset in it.
    pub offset: u64,
}

/// The parts of a record that have a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The head.
    Head,
    /// The notes.
    Notes,
    /// The stored octets; of frames, their index alone (each frame has its own checksum, the original its hash).
    Body,
}

impl Place<'_> {
    /// A hasher for one section of the record at this place.
    pub fn hasher(&self, section: Section) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        hasher.update(&[section as u8]);
        hasher.update(&self.pack.0.to_le_bytes());
        hasher.update(&self.offset.to_le_bytes());
        hasher
    }

    /// The checksum of one section.
    pub fn check(&self, section: Section, octets: &[u8]) -> Check {
        finish(self.hasher(section).update(octets))
    }
}

/// The checksum that a hasher has come to.
pub fn finish(hasher: &blake3::Hasher) -> Check {
    let mut check = [0; CHECK_OCTETS];
    hasher.finalize_xof().fill(&mut check);
    check
}

impl RecordHead {
    /// Octets of the whole record.
    pub fn record_octets(&self) -> u64 {
        HEAD_OCTETS as u64 + u64::from(self.notes_octets) + self.stored_octets
    }

    /// Writes the head with its checksum.
    pub fn encode(&self, place: Place<'_>) -> [u8; HEAD_OCTETS] {
        let flags = match self.batch {
            Batch::GoesOn => FLAG_BATCH_GOES_ON,
            Batch::Ends => 0,
        };
        let mut head = Vec::with_capacity(HEAD_OCTETS);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&[FORMAT_VERSION, self.codec.number()]);
        head.extend_from_slice(&flags.to_le_bytes());
        head.extend_from_slice(&self.original_octets.to_le_bytes());
        head.extend_from_slice(&self.stored_octets.to_le_bytes());
        head.extend_from_slice(&self.notes_octets.to_le_bytes());
        head.extend_from_slice(&self.frame_octets.to_le_bytes());
        head.extend_from_slice(&self.group_distance.to_le_bytes());
        head.extend_from_slice(&[0; 4]);
        head.extend_from_slice(&self.hash);
        head.extend_from_slice(&self.notes_check);
        head.extend_from_slice(&self.body_check);
        let check = place.check(Section::Head, &head);
        head.extend_from_slice(&check);
        let mut octets = [0; HEAD_OCTETS];
        octets.copy_from_slice(&head);
        octets
    }

    /// Reads a head and compares its checksum.
    pub fn decode(octets: &[u8], place: Place<'_>) -> Result<RecordHead, RecordFault> {
        let (head, check) = octets
            .first_chunk::<HEAD_OCTETS>()
            .and_then(|head| head.split_last_chunk::<CHECK_OCTETS>())
            .ok_or(RecordFault::CutOff)?;
        if !head.starts_with(&MAGIC) {
            return Err(RecordFault::NoRecord);
        }
        if place.check(Section::Head, head) != *check {
            return Err(RecordFault::HeadCheck);
        }
        RecordHead::parse(octets)
    }

    /// Reads a head without comparing its checksum: the grammar alone.
    pub fn parse(octets: &[u8]) -> Result<RecordHead, RecordFault> {
        let mut fields = Fields { octets: octets.get(..HEAD_CHECK_AT).ok_or(RecordFault::CutOff)? };
        if fields.take::<4>()? != MAGIC {
            return Err(RecordFault::NoRecord);
        }
        let [version, codec] = fields.take::<2>()?;
        if version != FORMAT_VERSION {
            return Err(RecordFault::Version(version));
        }
        let batch = match u16::from_le_bytes(fields.take()?) {
            0 => Batch::Ends,
            FLAG_BATCH_GOES_ON => Batch::GoesOn,
            _ => return Err(RecordFault::Malformed("unknown flags")),
        };
        let head = RecordHead {
            codec: Codec::from_number(codec).ok_or(RecordFault::Malformed("unknown codec"))?,
            batch,
            original_octets: u64::from_le_bytes(fields.take()?),
            stored_octets: u64::from_le_bytes(fields.take()?),
            notes_octets: u32::from_le_bytes(fields.take()?),
            frame_octets: u32::from_le_bytes(fields.take()?),
            group_distance: u32::from_le_bytes(fields.take()?),
            hash: {
                fields.take::<4>()?;
                fields.take()?
            },
            notes_check: fields.take()?,
            body_check: fields.take()?,
        };
        head.bounded()?;
        Ok(head)
    }

    fn bounded(&self) -> Result<(), RecordFault> {
        if self.notes_octets > NOTES_OCTETS_MAX {
            return Err(RecordFault::Malformed("notes too long"));
        }
        let sound = match self.codec {
            Codec::None => self.original_octets == 0 && self.stored_octets == 0,
            Codec::Raw => {
                self.original_octets <= INLINE_ORIGINAL_OCTETS_MAX
                    && self.stored_octets == self.original_octets
            }
            // A zstd frame is kept only if it is shorter than what it packs.
            Codec::Zstd => {
                self.original_octets <= INLINE_ORIGINAL_OCTETS_MAX
                    && self.stored_octets < self.original_octets
            }
            // Incompressible frames grow a little; twice the length is far beyond.
            Codec::ZstdFrames => {
                self.original_octets <= ORIGINAL_OCTETS_MAX
                    && self.stored_octets <= 2 * ORIGINAL_OCTETS_MAX
                    && self.frame_octets > 0
                    && u64::from(self.frame_octets) <= INLINE_ORIGINAL_OCTETS_MAX
            }
            Codec::Elsewhere => {
                self.original_octets <= ORIGINAL_OCTETS_MAX && self.stored_octets == ELSEWHERE_OCTETS
            }
        };
        if sound { Ok(()) } else { Err(RecordFault::Malformed("lengths contradict the codec")) }
    }
}

/// What is left of a head while it is read.
struct Fields<'a> {
    octets: &'a [u8],
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordFault> {
        let (field, rest) = self.octets.split_first_chunk::<N>().ok_or(RecordFault::CutOff)?;
        self.octets = rest;
        Ok(*field)
    }
}

/// Octets that notes take in a record, or `None` beyond [`NOTES_OCTETS_MAX`].
pub fn notes_octets(notes: &[Note]) -> Option<u32> {
    let octets = notes.iter().map(|note| NOTE_PREFIX_OCTETS + note.octets.len()).sum::<usize>();
    u32::try_from(octets).ok().filter(|octets| *octets <= NOTES_OCTETS_MAX)
}

/// Appends notes as a record holds them. The caller has bounded them by [`notes_octets`].
pub fn encode_notes(notes: &[Note], into: &mut Vec<u8>) {
    for note in notes {
        into.extend_from_slice(&note.owner.to_le_bytes());
        into.extend_from_slice(&(note.octets.len() as u32).to_le_bytes());
        into.extend_from_slice(&note.octets);
    }
}

/// Reads the notes of a record.
pub fn decode_notes(octets: &[u8]) -> Result<Vec<Note>, RecordFault> {
    let malformed = RecordFault::Malformed("notes");
    let mut rest = octets;
    let mut notes = Vec::new();
    while !rest.is_empty() {
        let (owner, after_owner) = rest.split_first_chunk::<4>().ok_or(malformed)?;
        let (length, after_length) = after_owner.split_first_chunk::<4>().ok_or(malformed)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (note, after_note) = after_length.split_at_checked(length).ok_or(malformed)?;
        notes.push(Note { owner: u32::from_le_bytes(*owner), octets: note.to_vec() });
        rest = after_note;
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: StoreKey = StoreKey([7; 32]);

    fn place(offset: u64) -> Place<'static> {
        Place { key: &KEY, pack: PackId(3), offset }
    }

    fn head(codec: Codec, original_octets: u64, stored_octets: u64) -> RecordHead {
        RecordHead {
            codec,
            batch: Batch::Ends,
            original_octets,
            stored_octets,
            notes_octets: 9,
            frame_octets: if codec == Codec::ZstdFrames { 128 << 10 } else { 0 },
            group_distance: 17,
            hash: [1; 32],
            notes_check: [2; 16],
            body_check: [3; 16],
        }
    }

    #[test]
    fn a_head_reads_back_as_written() {
        for sound in [
            head(Codec::None, 0, 0),
            head(Codec::Raw, 5, 5),
            head(Codec::Zstd, INLINE_ORIGINAL_OCTETS_MAX, 5),
            head(Codec::ZstdFrames, ORIGINAL_OCTETS_MAX, 5),
            RecordHead { batch: Batch::GoesOn, ..head(Codec::Elsewhere, 5, ELSEWHERE_OCTETS) },
        ] {
            assert_eq!(RecordHead::decode(&sound.encode(place(96)), place(96)), Ok(sound));
        }
    }

    #[test]
    fn a_head_is_bound_to_its_place_and_key() {
        let octets = head(Codec::Raw, 5, 5).encode(place(96));
        assert_eq!(RecordHead::decode(&octets, place(97)), Err(RecordFault::HeadCheck));
        let elsewhere = Place { pack: PackId(4), ..place(96) };
        assert_eq!(RecordHead::decode(&octets, elsewhere), Err(RecordFault::HeadCheck));
        let other = Place { key: &StoreKey([8; 32]), ..place(96) };
        assert_eq!(RecordHead::decode(&octets, other), Err(RecordFault::HeadCheck));
    }

    #[test]
    fn any_changed_octet_is_noticed() {
        let octets = head(Codec::Raw, 5, 5).encode(place(96));
        for at in 0..HEAD_OCTETS {
            let mut changed = octets;
            changed[at] ^= 1;
            assert!(RecordHead::decode(&changed, place(96)).is_err(), "octet {at}");
            assert_eq!(RecordHead::decode(&octets[..at], place(96)), Err(RecordFault::CutOff));
        }
    }

    #[test]
    fn lengths_beyond_their_bounds_are_refused() {
        let malformed = Err(RecordFault::Malformed("lengths contradict the codec"));
        for unsound in [
            head(Codec::None, 1, 0),
            head(Codec::Raw, 5, 6),
            head(Codec::Raw, INLINE_ORIGINAL_OCTETS_MAX + 1, INLINE_ORIGINAL_OCTETS_MAX + 1),
            head(Codec::Zstd, INLINE_ORIGINAL_OCTETS_MAX + 1, 5),
            head(Codec::Zstd, 5, 5),
            head(Codec::ZstdFrames, ORIGINAL_OCTETS_MAX + 1, 5),
            RecordHead { frame_octets: 0, ..head(Codec::ZstdFrames, 5, 5) },
            head(Codec::Elsewhere, 5, 11),
        ] {
            assert_eq!(RecordHead::decode(&unsound.encode(place(96)), place(96)), malformed, "{unsound:?}");
        }
        let notes = RecordHead { notes_octets: NOTES_OCTETS_MAX, ..head(Codec::None, 0, 0) };
        assert!(RecordHead::decode(&notes.encode(place(0)), place(0)).is_ok());
        let notes = RecordHead { notes_octets: NOTES_OCTETS_MAX + 1, ..notes };
        assert!(RecordHead::decode(&notes.encode(place(0)), place(0)).is_err());
    }

    #[test]
    fn notes_read_back_as_written() {
        let notes =
            vec![Note { owner: 1, octets: b"filed".to_vec() }, Note { owner: u32::MAX, octets: Vec::new() }];
        let mut octets = Vec::new();
        encode_notes(&notes, &mut octets);
        assert_eq!(notes_octets(&notes), Some(octets.len() as u32));
        assert_eq!(decode_notes(&octets), Ok(notes));
        assert_eq!(decode_notes(&octets[..octets.len() - 1]), Err(RecordFault::Malformed("notes")));
        assert_eq!(decode_notes(&[]), Ok(Vec::new()));
    }

    #[test]
    fn notes_are_bounded() {
        let note = |octets: u32| [Note { owner: 1, octets: vec![0; octets as usize] }];
        assert_eq!(notes_octets(&note(NOTES_OCTETS_MAX - 8)), Some(NOTES_OCTETS_MAX));
        assert_eq!(notes_octets(&note(NOTES_OCTETS_MAX - 7)), None);
    }
}
