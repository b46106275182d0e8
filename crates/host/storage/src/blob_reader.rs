//! Octets on their way out: a small blob is unpacked whole, a large one frame by frame where it is read.

use crate::compression;
use crate::error::StorageError;
use crate::packs::files::OpenPack;
use crate::packs::record::{Codec, HEAD_OCTETS, Place, RecordHead, Section};
use crate::position::BlobRef;
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;

/// Octets read at once when a blob is opened: most mail comes with it.
const FIRST_READ_OCTETS: usize = 8 << 10;

/// Octets of one length in the frame index.
const INDEX_ENTRY_OCTETS: u64 = 4;

/// Most octets that [`BlobReader::chunks`] gives at once.
const CHUNK_OCTETS: u64 = 128 << 10;

/// Reads one blob. `Send` and `Sync`; keeps its file open, so it outlives a purge of the pack.
#[derive(Debug)]
pub struct BlobReader {
    octets: u64,
    hash: blake3::Hash,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Whole(Vec<u8>),
    Frames(Frames),
}

impl BlobReader {
    /// Opens the blob at `at` in its open pack.
    pub(crate) fn open(pack: Arc<OpenPack>, at: BlobRef) -> Result<BlobReader, StorageError> {
        let record = StoredRecord::read(&pack, at)?;
        let head = record.head.clone();
        let hash = blake3::Hash::from_bytes(head.hash);
        let octets = head.original_octets;
        let content = match head.codec {
            Codec::Raw | Codec::Zstd => {
                let original = unpack(&head, record.into_body(&pack)?)
                    .map_err(|error| pack.corrupt(at.offset, error))?;
                if blake3::hash(&original) != hash {
                    return Err(pack.corrupt(at.offset, "the octets do not have the recorded hash"));
                }
                Content::Whole(original)
            }
            Codec::ZstdFrames => Content::Frames(Frames::open(pack, at, &record)?),
            Codec::None | Codec::Elsewhere => {
                return Err(pack.corrupt(at.offset, "no octets are stored here"));
            }
        };
        Ok(BlobReader { octets, hash, content })
    }

    /// Opens a small blob that is not in the log yet.
    pub(crate) fn of_inline(
        codec: Codec,
        stored: &[u8],
        octets: u64,
        hash: blake3::Hash,
    ) -> Result<BlobReader, StorageError> {
        let original = match codec {
            Codec::Zstd => compression::unpack_frame(stored, octets as usize).map_err(|error| {
                StorageError::Corrupt { place: "memory".to_owned(), what: error.to_string() }
            })?,
            _ => stored.to_vec(),
        };
        Ok(BlobReader { octets, hash, content: Content::Whole(original) })
    }

    /// Octets of the original.
    pub fn len(&self) -> u64 {
        self.octets
    }

    /// Whether the original is empty.
    pub fn is_empty(&self) -> bool {
        self.octets == 0
    }

    /// BLAKE3 of the original, as recorded.
    pub fn hash(&self) -> blake3::Hash {
        self.hash
    }

    /// The octets of `range`, cut to the blob's length. Small blobs were read, unpacked and compared with
    /// their hash by [`crate::PackStore::read`]; of large ones only the frames needed are read (128 KiB of
    /// original octets each; the last one is kept, so reading forward in small steps is cheap).
    pub fn read_at(&self, range: Range<u64>) -> Result<Vec<u8>, StorageError> {
        let end = range.end.min(self.octets);
        let start = range.start.min(end);
        match &self.content {
            Content::Whole(original) => {
                Ok(original.get(start as usize..end as usize).unwrap_or_default().to_vec())
            }
            Content::Frames(frames) => frames.read_at(start..end, self.octets),
        }
    }

    /// The whole blob, in chunks of at most 128 KiB, in order. After an error there is nothing more.
    pub fn chunks(&self) -> impl Iterator<Item = Result<Vec<u8>, StorageError>> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let start = next;
            let end = self.octets.min(start + CHUNK_OCTETS);
            if start >= end {
                return None;
            }
            let chunk = self.read_at(start..end);
            next = if chunk.is_ok() { end } else { self.octets };
            Some(chunk)
        })
    }

    /// Reads the whole blob and compares it with its hash.
    pub fn verify(&self) -> Result<(), StorageError> {
        let Content::Frames(frames) = &self.content else { return Ok(()) };
        let mut hasher = blake3::Hasher::new();
        for chunk in self.chunks() {
            hasher.update(&chunk?);
        }
        if hasher.finalize() == self.hash {
            Ok(())
        } else {
            Err(frames.pack.corrupt(frames.at.offset, "the octets do not have the recorded hash"))
        }
    }
}

/// A record's head, with what the first read brought of its body.
pub(crate) struct StoredRecord {
    pub(crate) head: RecordHead,
    body_at: u64,
    first: Vec<u8>,
    first_at: u64,
}

impl StoredRecord {
    pub(crate) fn read(pack: &OpenPack, at: BlobRef) -> Result<StoredRecord, StorageError> {
        let mut first = vec![0; FIRST_READ_OCTETS];
        let filled = pack.read_up_to(&mut first, at.offset)?;
        first.truncate(filled);
        let place = Place { key: &pack.key, pack: pack.pack, offset: at.offset };
        let head = RecordHead::decode(&first, place).map_err(|fault| pack.corrupt(at.offset, fault))?;
        let body_at = at.offset + HEAD_OCTETS as u64 + u64::from(head.notes_octets);
        Ok(StoredRecord { head, body_at, first, first_at: at.offset })
    }

    /// The stored octets of a record in the log; their length is bounded by its codec.
    pub(crate) fn into_body(mut self, pack: &OpenPack) -> Result<Vec<u8>, StorageError> {
        let octets = self.head.stored_octets as usize;
        let from = (self.body_at - self.first_at) as usize;
        if from + octets <= self.first.len() {
            self.first.truncate(from + octets);
            self.first.drain(..from);
            return Ok(self.first);
        }
        let mut body = self.first.split_off(from.min(self.first.len()));
        let rest = pack.read_exactly(self.body_at + body.len() as u64, octets - body.len())?;
        body.extend_from_slice(&rest);
        Ok(body)
    }
}

fn unpack(head: &RecordHead, body: Vec<u8>) -> std::io::Result<Vec<u8>> {
    match head.codec {
        Codec::Zstd => compression::unpack_frame(&body, head.original_octets as usize),
        _ => Ok(body),
    }
}

/// A large blob's frames.
#[derive(Debug)]
struct Frames {
    pack: Arc<OpenPack>,
    at: BlobRef,
    frame_octets: u64,
    /// Where each frame begins in the file, and where the last one ends.
    borders: Vec<u64>,
    /// The frame read last, unpacked.
    recent: Mutex<Option<(usize, Arc<Vec<u8>>)>>,
}

impl Frames {
    fn open(pack: Arc<OpenPack>, at: BlobRef, record: &StoredRecord) -> Result<Frames, StorageError> {
        let head = &record.head;
        let frame_octets = u64::from(head.frame_octets);
        let frames = head.original_octets.div_ceil(frame_octets);
        let index_octets = frames * INDEX_ENTRY_OCTETS;
        let malformed = || pack.corrupt(at.offset, "the frame index contradicts the lengths");
        let frames_octets = head.stored_octets.checked_sub(index_octets).ok_or_else(malformed)?;
        let index_at = record.body_at + frames_octets;
        if index_at + index_octets > pack.octets()? {
            return Err(pack.corrupt(at.offset, "the file ends within the record"));
        }
        let index = pack.read_exactly(index_at, index_octets as usize)?;
        let place = Place { key: &pack.key, pack: pack.pack, offset: at.offset };
        if place.check(Section::Body, &index) != head.body_check {
            return Err(pack.corrupt(at.offset, "the frame index's checksum is wrong"));
        }
        let mut border = record.body_at;
        let mut borders = vec![border];
        for length in
            index.chunks_exact(INDEX_ENTRY_OCTETS as usize).filter_map(|octets| octets.first_chunk())
        {
            border += u64::from(u32::from_le_bytes(*length));
            borders.push(border);
        }
        if border != index_at {
            return Err(malformed());
        }
        Ok(Frames { pack, at, frame_octets, borders, recent: Mutex::new(None) })
    }

    fn read_at(&self, range: Range<u64>, original_octets: u64) -> Result<Vec<u8>, StorageError> {
        let mut octets = Vec::with_capacity((range.end - range.start) as usize);
        let mut position = range.start;
        while position < range.end {
            let number = position / self.frame_octets;
            let frame_start = number * self.frame_octets;
            let frame_end = original_octets.min(frame_start + self.frame_octets);
            let frame = self.frame(number as usize, (frame_end - frame_start) as usize)?;
            let end = range.end.min(frame_end);
            let wanted = (position - frame_start) as usize..(end - frame_start) as usize;
            octets.extend_from_slice(frame.get(wanted).unwrap_or_default());
            position = end;
        }
        Ok(octets)
    }

    fn frame(&self, number: usize, original_octets: usize) -> Result<Arc<Vec<u8>>, StorageError> {
        if let Some((recent, frame)) = &*self.recent.lock()
            && *recent == number
        {
            return Ok(Arc::clone(frame));
        }
        let (Some(&start), Some(&end)) = (self.borders.get(number), self.borders.get(number + 1)) else {
            return Err(self.pack.corrupt(self.at.offset, "there are fewer frames than the length asks for"));
        };
        let stored = self.pack.read_exactly(start, (end - start) as usize)?;
        let frame = compression::unpack_frame(&stored, original_octets)
            .map_err(|error| self.pack.corrupt(start, error))?;
        let frame = Arc::new(frame);
        *self.recent.lock() = Some((number, Arc::clone(&frame)));
        Ok(frame)
    }
}
