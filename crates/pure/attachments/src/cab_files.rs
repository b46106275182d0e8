//! Files of a cabinet: where they lie in their folders, and the octets of a folder as they come to them.

use crate::allowance::Lease;
use crate::content::{Content, Nesting, Role};
use crate::examination::Examination;
use crate::name;
use crate::packed::NEEDS_MEMORY;
use crate::policy::Class;

/// How many times their octets lists take while they grow.
const GROWING_TIMES: usize = 3;

/// What stands for a folder that begins in the last cabinet, goes on in the next, or both.
const BEGUN: usize = 0xfffd;
const GOES_ON: usize = 0xfffe;
const BEGUN_AND_GOES_ON: usize = 0xffff;

#[derive(Debug)]
pub(crate) struct CabFiles {
    place: Vec<String>,
    nesting: Nesting,
    lease: Lease,
    files: Vec<File>,
    names: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct File {
    folder: usize,
    begins: u64,
    octets: u64,
    is_begun: bool,
    goes_on: bool,
    /// Where its name is among the names.
    name_begins: usize,
    name_octets: usize,
    is_judged: bool,
}

/// The octets of one folder.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Files that are still to come.
    files: std::ops::Range<usize>,
    at: u64,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    content: Box<Content>,
    left: u64,
    goes_on: bool,
}

impl File {
    /// One that lies so in a folder, as its record says it.
    pub(crate) fn new(begins: u64, octets: u64, folder: usize, last_folder: usize) -> File {
        File {
            folder: match folder {
                BEGUN | BEGUN_AND_GOES_ON => 0,
                GOES_ON => last_folder,
                folder => folder,
            },
            begins,
            octets,
            is_begun: matches!(folder, BEGUN | BEGUN_AND_GOES_ON),
            goes_on: matches!(folder, GOES_ON | BEGUN_AND_GOES_ON),
            name_begins: 0,
            name_octets: 0,
            is_judged: false,
        }
    }
}

impl CabFiles {
    pub(crate) fn new(archive: &Content, lease: Lease) -> CabFiles {
        CabFiles {
            place: archive.place.clone(),
            nesting: archive.nesting.in_archive(),
            lease,
            files: Vec::new(),
            names: Vec::new(),
        }
    }

    /// Keeps it for when its octets come; where there is no memory for that its name alone is judged.
    pub(crate) fn add(&mut self, file: File, name: &[u8], examination: &mut Examination) {
        if !self.lease.grow(GROWING_TIMES * (size_of::<File>() + name.len())) {
            let _judged = self.content_of(name, examination);
            examination.find(Class::Incomplete, &self.place, NEEDS_MEMORY);
            return;
        }
        let name_begins = self.names.len();
        self.names.extend_from_slice(name);
        self.files.push(File { name_begins, name_octets: name.len(), ..file });
    }

    /// All are there.
    pub(crate) fn sort(&mut self) {
        self.files.sort_by_key(|file| (file.folder, file.begins));
    }

    /// Whether the first folder begins in another cabinet.
    pub(crate) fn is_any_begun(&self) -> bool {
        self.files.iter().any(|file| file.is_begun)
    }

    /// What comes to the files of a folder, if it has any.
    pub(crate) fn stream(&self, folder: usize) -> Option<Stream> {
        let begin = self.files.partition_point(|file| file.folder < folder);
        let end = self.files.partition_point(|file| file.folder <= folder);
        (begin < end).then_some(Stream { files: begin..end, at: 0, current: None })
    }

    /// Judges by their names those to which nothing has come.
    pub(crate) fn judge_all(&mut self, examination: &mut Examination) {
        for number in 0..self.files.len() {
            if self.files.get(number).is_some_and(|file| !file.is_judged) {
                let _judged = self.open(number, examination);
            }
        }
    }

    fn open(&mut self, number: usize, examination: &mut Examination) -> Option<Content> {
        let file = self.files.get_mut(number)?;
        file.is_judged = true;
        let name = self.names.get(file.name_begins..file.name_begins + file.name_octets)?;
        Some(self.content_of(name, examination))
    }

    fn content_of(&self, name: &[u8], examination: &mut Examination) -> Content {
        let names = vec![name::text_of(name)];
        Content::new(&self.place, self.nesting, names, String::new(), Role::Entry, examination)
    }
}

impl Stream {
    /// Whether all its files are whole.
    pub(crate) fn has_ended(&self) -> bool {
        self.current.is_none() && self.files.is_empty()
    }

    pub(crate) fn feed(&mut self, octets: &[u8], files: &mut CabFiles, examination: &mut Examination) {
        let mut rest = octets;
        while !rest.is_empty() {
            let Some(mut current) = self.current.take() else {
                match self.next(rest, files, examination) {
                    Some(behind) => rest = behind,
                    None => return,
                }
                continue;
            };
            let taken = usize::try_from(current.left).unwrap_or(usize::MAX).min(rest.len());
            let (piece, behind) = rest.split_at(taken);
            current.content.feed(piece, examination);
            current.left -= taken as u64;
            self.at += taken as u64;
            rest = behind;
            if current.left == 0 {
                current.content.finish(examination);
            } else {
                self.current = Some(current);
            }
        }
    }

    /// Opens the next file, or passes what is before it; none where there is none.
    fn next<'o>(
        &mut self,
        octets: &'o [u8],
        files: &mut CabFiles,
        examination: &mut Examination,
    ) -> Option<&'o [u8]> {
        let number = self.files.start;
        let file = files.files.get(number).filter(|_| !self.files.is_empty())?;
        let (length, goes_on) = (file.octets, file.goes_on);
        let Some(before) = file.begins.checked_sub(self.at) else {
            self.files.start += 1;
            if length > 0 {
                examination.find(Class::Bomb, &files.place, "has entries that lie over each other");
            }
            return Some(octets);
        };
        let passed = usize::try_from(before).unwrap_or(usize::MAX).min(octets.len());
        self.at += passed as u64;
        if passed as u64 == before {
            self.files.start += 1;
            let content = files.open(number, examination).filter(|_| length > 0);
            self.current =
                content.map(|content| Current { content: Box::new(content), left: length, goes_on });
        }
        octets.get(passed..)
    }

    /// Nothing more comes, though it may be there.
    pub(crate) fn cut(self, examination: &mut Examination) {
        if let Some(current) = self.current {
            current.content.finish(examination);
        }
    }

    /// Nothing more is there.
    pub(crate) fn finish(self, files: &CabFiles, examination: &mut Examination) {
        let damaged = (Class::Opaque, "is damaged and was not looked into to its end");
        let goes_on = (Class::Incomplete, "goes on in another file and was not looked into to its end");
        if let Some(current) = self.current {
            let (class, words) = if current.goes_on { goes_on } else { damaged };
            examination.find(class, &current.content.place, words);
            current.content.finish(examination);
            return;
        }
        let mut missing =
            self.files.filter_map(|number| files.files.get(number)).filter(|file| file.octets > 0);
        if let Some(first) = missing.next() {
            let (class, words) = if first.goes_on { goes_on } else { damaged };
            examination.find(class, &files.place, words);
        }
    }
}
