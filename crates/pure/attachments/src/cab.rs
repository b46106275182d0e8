//! Cabinets ([MS-CAB]): folders of files, each folder one run of octets that is stored or packed in blocks. Where the files lie in
//! them stands in front, so they are looked at as they come. How blocks are packed is in `mszip.rs` and `lzx.rs`.

use crate::cab_files::{CabFiles, File, Stream};
use crate::content::Content;
use crate::examination::{Ending, Examination};
use crate::lzx::{Lzx, WINDOW_BITS};
use crate::mszip::MsZip;
use crate::packed::Step;
use crate::policy::Class;

/// Octets of one record that are read. Names and a few numbers fill far less.
const RECORD_OCTETS_MAX: usize = 8 * 1024;
/// Folders of a cabinet: programs begin a new one after some thousand octets at least.
const FOLDERS_MAX: usize = 1_000;
/// Octets of the names of the cabinets and disks before and behind it.
const NEIGHBOURS_OCTETS_MAX: usize = 1_024;
const HEADER_OCTETS: usize = 36;
const SIZES_OCTETS: usize = 4;
const FOLDER_OCTETS: usize = 8;
const FILE_OCTETS: usize = 16;
const BLOCK_OCTETS: usize = 8;

#[derive(Debug)]
pub(crate) struct CabReader {
    place: Vec<String>,
    /// Octets that were taken, from the archive's first, and that are to be passed.
    position: u64,
    skipped: u64,
    stage: Stage,
    record: Vec<u8>,
    octets_wanted: usize,
    header: Header,
    /// Those that are still to come, the last first.
    folders: Vec<Folder>,
    files: CabFiles,
}

#[derive(Debug)]
enum Stage {
    Header,
    Sizes,
    Neighbours { names: usize, octets: usize },
    Folders { left: usize },
    Files { left: usize },
    Block(Box<Open>),
    Data { left: usize, open: Box<Open> },
    Ended,
}

#[derive(Debug, Default)]
struct Header {
    files_at: u64,
    folders: usize,
    files: usize,
    neighbours: usize,
    folder_extra: usize,
    block_extra: usize,
}

#[derive(Clone, Copy, Debug)]
struct Folder {
    number: usize,
    data_at: u64,
    blocks: usize,
    method: u16,
}

/// A folder whose blocks are coming.
#[derive(Debug)]
struct Open {
    blocks: usize,
    unpacking: Unpacking,
    stream: Stream,
    packed_octets: u64,
    unpacked_octets: u64,
}

#[derive(Debug)]
enum Unpacking {
    Stored,
    MsZip(Box<MsZip>),
    Lzx(Box<Lzx>),
}

fn short(octets: &[u8], at: usize) -> usize {
    octets
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |two| usize::from(u16::from_le_bytes(*two)))
}

fn long(octets: &[u8], at: usize) -> u64 {
    octets
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |four| u64::from(u32::from_le_bytes(*four)))
}

/// A file's record ends with its name, and that with a zero: how many of the next octets belong to it.
fn file_octets(record: &[u8], octets: &[u8]) -> usize {
    if record.len() < FILE_OCTETS {
        return FILE_OCTETS - record.len();
    }
    let left = RECORD_OCTETS_MAX.saturating_sub(record.len()).min(octets.len());
    let name = octets.get(..left).unwrap_or_default();
    memchr::memchr(0, name).map_or(left, |end| end + 1)
}

fn is_whole_file(record: &[u8]) -> bool {
    (record.len() > FILE_OCTETS && record.last() == Some(&0)) || record.len() >= RECORD_OCTETS_MAX
}

impl CabReader {
    pub(crate) fn new(archive: &Content, examination: &mut Examination) -> CabReader {
        CabReader {
            place: archive.place.clone(),
            position: 0,
            skipped: 0,
            stage: Stage::Header,
            record: Vec::new(),
            octets_wanted: HEADER_OCTETS,
            header: Header::default(),
            folders: Vec::new(),
            files: CabFiles::new(archive, examination.lease()),
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        let mut rest = octets;
        while !rest.is_empty() && !matches!(self.stage, Stage::Ended) {
            let behind = self.step(rest, examination);
            self.position += (rest.len() - behind.len()) as u64;
            rest = behind;
            self.look(examination);
        }
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Ended => {}
            Stage::Block(open) | Stage::Data { open, .. } => {
                self.find_damage(examination);
                open.stream.finish(&self.files, examination);
            }
            _ => self.find_damage(examination),
        }
        self.files.judge_all(examination);
    }

    fn find_damage(&self, examination: &mut Examination) {
        examination.find(Class::Opaque, &self.place, "is damaged and was not looked into to its end");
    }

    /// Takes octets of one thing.
    fn step<'o>(&mut self, octets: &'o [u8], examination: &mut Examination) -> &'o [u8] {
        if self.skipped > 0 {
            let taken = usize::try_from(self.skipped).unwrap_or(usize::MAX).min(octets.len());
            self.skipped -= taken as u64;
            return octets.get(taken..).unwrap_or_default();
        }
        if let Stage::Data { left, open } = &mut self.stage {
            let (piece, behind) = octets.split_at(octets.len().min(*left));
            *left -= piece.len();
            open.packed_octets += piece.len() as u64;
            match &mut open.unpacking {
                Unpacking::Stored => open.stream.feed(piece, &mut self.files, examination),
                Unpacking::MsZip(unpacker) => unpacker.feed(piece),
                Unpacking::Lzx(unpacker) => unpacker.feed(piece),
            }
            return behind;
        }
        let wanted = match self.stage {
            Stage::Files { .. } => file_octets(&self.record, octets),
            _ => self.octets_wanted.saturating_sub(self.record.len()),
        };
        let (piece, behind) = octets.split_at(octets.len().min(wanted));
        self.record.extend_from_slice(piece);
        behind
    }

    /// Goes on as far as nothing more is needed.
    fn look(&mut self, examination: &mut Examination) {
        while self.skipped == 0 {
            match &self.stage {
                Stage::Ended => return,
                Stage::Data { left, .. } if *left > 0 => return,
                Stage::Data { .. } => self.end_block(examination),
                Stage::Files { .. } if !is_whole_file(&self.record) => return,
                Stage::Files { .. } => self.end_next_record(examination),
                _ if self.record.len() < self.octets_wanted => return,
                _ => self.end_next_record(examination),
            }
        }
    }

    fn end_next_record(&mut self, examination: &mut Examination) {
        let record = std::mem::take(&mut self.record);
        self.end_record(&record, examination);
    }

    /// The record has as many octets as were asked for.
    fn end_record(&mut self, record: &[u8], examination: &mut Examination) {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Header => self.end_header(record, examination),
            Stage::Sizes => {
                self.skipped = short(record, 0) as u64;
                self.header.folder_extra = short(record, 2) & 0xff;
                self.header.block_extra = short(record, 2) >> 8;
                self.pass_neighbours(self.header.neighbours, 0, examination);
            }
            Stage::Neighbours { names, octets } => {
                let left = names - usize::from(*record == [0]);
                self.pass_neighbours(left, octets + 1, examination);
            }
            Stage::Folders { left } => {
                let number = self.header.folders - left;
                let (data_at, blocks) = (long(record, 0), short(record, 4));
                let folder = Folder { number, data_at, blocks, method: short(record, 6) as u16 };
                self.folders.extend((number < FOLDERS_MAX).then_some(folder));
                self.begin_folder_record(left - 1, examination);
            }
            Stage::Files { left } => self.end_file(record, left, examination),
            Stage::Block(open) => self.begin_data(record, open, examination),
            Stage::Data { .. } | Stage::Ended => {}
        }
    }

    fn end_header(&mut self, record: &[u8], examination: &mut Examination) {
        const HAS_PREVIOUS: usize = 1;
        const HAS_NEXT: usize = 2;
        const HAS_SIZES: usize = 4;
        let flags = short(record, 30);
        let neighbours = [HAS_PREVIOUS, HAS_NEXT].into_iter().filter(|flag| flags & flag != 0).count();
        self.header = Header {
            files_at: long(record, 16),
            folders: short(record, 26),
            files: short(record, 28),
            neighbours: 2 * neighbours,
            ..Header::default()
        };
        if flags & HAS_SIZES != 0 {
            (self.stage, self.octets_wanted) = (Stage::Sizes, SIZES_OCTETS);
        } else {
            self.pass_neighbours(self.header.neighbours, 0, examination);
        }
    }

    fn pass_neighbours(&mut self, names: usize, octets: usize, examination: &mut Examination) {
        if octets > NEIGHBOURS_OCTETS_MAX {
            self.find_damage(examination);
        } else if names > 0 {
            (self.stage, self.octets_wanted) = (Stage::Neighbours { names, octets }, 1);
        } else {
            if self.header.folders > FOLDERS_MAX {
                examination.find(Class::Incomplete, &self.place, "has more folders than are looked at");
            }
            self.begin_folder_record(self.header.folders, examination);
        }
    }

    fn begin_folder_record(&mut self, left: usize, examination: &mut Examination) {
        if left > 0 {
            (self.stage, self.octets_wanted) =
                (Stage::Folders { left }, FOLDER_OCTETS + self.header.folder_extra);
            return;
        }
        // Where the octets of a folder are in front of the names that belong to them, they have passed by then.
        match self.header.files_at.checked_sub(self.position + self.skipped) {
            Some(octets) => {
                self.skipped += octets;
                self.begin_file_record(self.header.files, examination);
            }
            None => self.find_damage(examination),
        }
    }

    fn begin_file_record(&mut self, left: usize, examination: &mut Examination) {
        if left > 0 {
            self.stage = Stage::Files { left };
            return;
        }
        self.files.sort();
        if self.files.is_any_begun() {
            // It refers back to what the last cabinet has.
            self.folders.retain(|folder| folder.number > 0);
            let words = "begins in another cabinet and was not looked into everywhere";
            examination.find(Class::Incomplete, &self.place, words);
        }
        self.folders.sort_by_key(|folder| std::cmp::Reverse(folder.data_at));
        self.begin_folder(examination);
    }

    fn end_file(&mut self, record: &[u8], left: usize, examination: &mut Examination) {
        // What is known of other files is looked into all the same.
        if record.last() != Some(&0) {
            self.find_damage(examination);
            return self.begin_file_record(0, examination);
        }
        if !examination.count_entry() {
            examination.find(Class::Incomplete, &self.place, "has more entries than are looked at");
            return self.begin_file_record(0, examination);
        }
        let name = record.get(FILE_OCTETS..record.len() - 1).unwrap_or_default();
        let last_folder = self.header.folders.saturating_sub(1);
        let file = File::new(long(record, 4), long(record, 0), short(record, 8), last_folder);
        self.files.add(file, name, examination);
        self.begin_file_record(left - 1, examination);
    }

    /// Goes on to the next folder that can be unpacked and has files.
    fn begin_folder(&mut self, examination: &mut Examination) {
        while let Some(folder) = self.folders.pop() {
            let Some(stream) = self.files.stream(folder.number) else { continue };
            let Some(octets) = folder.data_at.checked_sub(self.position) else {
                let words =
                    "has folders that lie over each other or before their names, and were not looked into";
                examination.find(Class::Incomplete, &self.place, words);
                continue;
            };
            if folder.blocks == 0 {
                stream.finish(&self.files, examination);
                continue;
            }
            let unpacking = match Unpacking::new(folder.method, examination) {
                Ok(unpacking) => unpacking,
                Err(step) => {
                    self.find_ending(step.ending(), examination);
                    continue;
                }
            };
            self.skipped = octets;
            let blocks = folder.blocks;
            self.begin_block(
                Box::new(Open { blocks, unpacking, stream, packed_octets: 0, unpacked_octets: 0 }),
                examination,
            );
            return;
        }
        self.stage = Stage::Ended;
        self.files.judge_all(examination);
    }

    fn begin_block(&mut self, mut open: Box<Open>, examination: &mut Examination) {
        if open.blocks == 0 || open.stream.has_ended() {
            open.into_stream().finish(&self.files, examination);
            return self.begin_folder(examination);
        }
        open.blocks -= 1;
        (self.stage, self.octets_wanted) = (Stage::Block(open), BLOCK_OCTETS + self.header.block_extra);
    }

    /// A block's header has come.
    fn begin_data(&mut self, record: &[u8], mut open: Box<Open>, examination: &mut Examination) {
        let (left, unpacked_octets) = (short(record, 4), short(record, 6));
        match &mut open.unpacking {
            // The rest of the block is in the next cabinet.
            _ if unpacked_octets == 0 => {
                open.into_stream().finish(&self.files, examination);
                return self.begin_folder(examination);
            }
            Unpacking::Stored => {}
            Unpacking::MsZip(unpacker) => unpacker.begin_block(),
            Unpacking::Lzx(unpacker) => unpacker.begin_block(unpacked_octets),
        }
        self.stage = Stage::Data { left, open };
    }

    fn end_block(&mut self, examination: &mut Examination) {
        let Stage::Data { mut open, .. } = std::mem::replace(&mut self.stage, Stage::Ended) else { return };
        match open.end_block(&mut self.files, examination) {
            None => self.begin_block(open, examination),
            ending => {
                self.find_ending(ending, examination);
                open.into_stream().cut(examination);
                self.begin_folder(examination);
            }
        }
    }

    fn find_ending(&self, ending: Option<Ending>, examination: &mut Examination) {
        if let Some((class, words)) = ending {
            examination.find(class, &self.place, words);
        }
    }
}

impl Open {
    /// Gives back what it was unpacked with.
    fn into_stream(self) -> Stream {
        self.stream
    }

    /// Hands over what the block has become; what is to be said where nothing more can.
    fn end_block(&mut self, files: &mut CabFiles, examination: &mut Examination) -> Option<Ending> {
        let (step, made) = match &mut self.unpacking {
            Unpacking::Stored => return None,
            Unpacking::MsZip(unpacker) => (unpacker.end_block(), unpacker.made()),
            Unpacking::Lzx(unpacker) => (unpacker.end_block(), unpacker.made()),
        };
        if let Some(ending) = examination.end_of_expanded(made.len()) {
            return Some(ending);
        }
        self.unpacked_octets += made.len() as u64;
        self.stream.feed(made, files, examination);
        examination.end_of_ratio(self.packed_octets, self.unpacked_octets).or_else(|| step.ending())
    }
}

impl Unpacking {
    /// By a folder's method.
    fn new(method: u16, examination: &Examination) -> Result<Unpacking, Step> {
        let lease = || examination.lease();
        let window_bits = u32::from(method >> 8 & 31);
        match method & 15 {
            0 => Ok(Unpacking::Stored),
            1 => MsZip::new(lease()).map(|unpacker| Unpacking::MsZip(Box::new(unpacker))).ok_or(Step::TooFar),
            3 if !WINDOW_BITS.contains(&window_bits) => Err(Step::Damaged),
            3 => {
                let unpacker = Lzx::new(lease(), lease(), window_bits).ok_or(Step::TooFar)?;
                Ok(Unpacking::Lzx(Box::new(unpacker)))
            }
            _ => Err(Step::Skipped),
        }
    }
}
