//! zip archives while they pass: the header in front of each entry leads, entries are deflated or stored, and the directory at
//! the end has to agree (PKWARE APPNOTE.TXT 4.3). Between entries anything may stand; the next header is sought in it.

use memchr::memmem;

use crate::content::{Content, Nesting, Role};
use crate::examination::Examination;
use crate::expansion::{Expansion, Progress};
use crate::name;
use crate::office::{self, ArchiveForm};
use crate::packed::PackedReader;
use crate::policy::Class;
use crate::zip_directory::{Directory, Disagreement};
use crate::zip_header::{Gathering, Header, Kind, Signature, signature};

#[derive(Debug)]
pub(crate) struct ZipReader {
    archive: ArchiveOf,
    /// Octets that were taken, from the archive's first.
    offset: u64,
    state: State,
    directory: Directory,
    form: ArchiveForm,
    /// Its last record has passed (4.3.16).
    has_end: bool,
}

/// Where the archive is, for what is found in it.
#[derive(Debug)]
pub(crate) struct ArchiveOf {
    pub(crate) place: Vec<String>,
    pub(crate) nesting: Nesting,
}

#[derive(Debug)]
enum State {
    /// Between entries; the beginning of a signature may have been seen. A stored entry of unknown length is what is passed.
    Seek {
        begun: Vec<u8>,
        stored: Option<Box<Open>>,
    },
    Header(Gathering),
    Stored {
        left: u64,
        entry: Box<Open>,
    },
    Deflated {
        expansion: Box<Expansion>,
        entry: Box<Open>,
    },
    /// By bzip2, LZMA, zstd or xz.
    Packed {
        left: u64,
        packed: Box<PackedReader>,
    },
    /// Encrypted, or packed otherwise.
    Skipped(u64),
    Ended,
}

/// An entry whose end has not been seen.
#[derive(Debug)]
struct Open {
    content: Option<Content>,
    offset: u64,
    name: Vec<u8>,
}

impl ZipReader {
    pub(crate) fn new(archive: &Content) -> ZipReader {
        ZipReader {
            archive: ArchiveOf { place: archive.place.clone(), nesting: archive.nesting.in_archive() },
            offset: 0,
            state: State::seek(),
            directory: Directory::default(),
            form: ArchiveForm::default(),
            has_end: false,
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        let mut rest = octets;
        while !rest.is_empty() {
            let behind = self.step(rest, examination);
            self.offset += (rest.len() - behind.len()) as u64;
            rest = behind;
        }
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        if !self.has_end && !self.directory.is_empty() && !matches!(self.state, State::Ended) {
            self.find_damage(examination);
        }
        self.close(examination);
        self.form.conclude(&self.archive, examination);
    }

    fn step<'o>(&mut self, octets: &'o [u8], examination: &mut Examination) -> &'o [u8] {
        match &mut self.state {
            State::Seek { .. } => self.seek(octets, examination),
            State::Header(gathering) => {
                let behind = gathering.feed(octets);
                if gathering.is_whole() {
                    let offset = self.offset + (octets.len() - behind.len()) as u64;
                    self.end_header(offset, examination);
                }
                behind
            }
            State::Stored { left, entry } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                let (piece, behind) = octets.split_at(taken);
                *left -= taken as u64;
                entry.feed(piece, examination);
                if *left == 0 {
                    self.close(examination);
                }
                behind
            }
            State::Deflated { expansion, entry } => {
                let progress = match &mut entry.content {
                    Some(content) => expansion.feed(octets, content, &self.archive.place, examination),
                    None => expansion.expand(octets, &self.archive.place, examination, |_, _| {}),
                };
                self.after_deflated(octets, progress, examination)
            }
            State::Packed { left, packed } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                let (piece, behind) = octets.split_at(taken);
                *left -= taken as u64;
                packed.feed(piece, examination);
                if *left == 0 {
                    self.close(examination);
                }
                behind
            }
            State::Skipped(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.state = State::seek();
                }
                octets.get(taken..).unwrap_or_default()
            }
            State::Ended => &[],
        }
    }

    fn after_deflated<'o>(
        &mut self,
        octets: &'o [u8],
        progress: Progress,
        examination: &mut Examination,
    ) -> &'o [u8] {
        let taken = match progress {
            Progress::More => octets.len(),
            Progress::Ended(taken) => {
                self.close(examination);
                taken
            }
            Progress::Damaged(taken) => {
                self.find_damage(examination);
                self.close(examination);
                // At least one octet, so that it goes on.
                taken.max(1)
            }
            Progress::Stopped(taken) => {
                self.directory.distrust();
                self.close(examination);
                taken
            }
        };
        octets.get(taken..).unwrap_or_default()
    }

    /// The entry is over; another header is sought.
    fn close(&mut self, examination: &mut Examination) {
        let (entry, packed) = match std::mem::replace(&mut self.state, State::seek()) {
            State::Stored { entry, .. } => (entry, None),
            State::Deflated { entry, expansion } => (entry, Some(expansion.packed_octets())),
            State::Seek { stored: Some(entry), .. } => (entry, None),
            State::Packed { packed, .. } => return packed.finish(examination),
            other => {
                self.state = other;
                return;
            }
        };
        if let Some(packed) = packed {
            self.directory.set_packed(entry.offset, packed);
        }
        if let Some(content) = entry.content {
            content.finish(examination);
        }
    }

    fn find_damage(&mut self, examination: &mut Examination) {
        self.directory.distrust();
        examination.find(Class::Opaque, &self.archive.place, "is damaged and was not looked into everywhere");
    }

    fn seek<'o>(&mut self, octets: &'o [u8], examination: &mut Examination) -> &'o [u8] {
        let State::Seek { begun, stored } = &mut self.state else { return octets };
        let (found, behind): (Signature, &'o [u8]) = if begun.is_empty() {
            let at = memmem::find(octets, b"PK")
                .unwrap_or_else(|| octets.len() - usize::from(octets.ends_with(b"P")));
            let (passed, rest) = octets.split_at(at);
            if let Some(entry) = stored {
                entry.feed(passed, examination);
            }
            match rest.first_chunk::<4>() {
                Some(four) => (signature(four), rest.get(4..).unwrap_or_default()),
                None => {
                    begun.extend_from_slice(rest);
                    return &[];
                }
            }
        } else {
            let (next, behind) = octets.split_at(1);
            begun.extend_from_slice(next);
            match begun.as_slice() {
                [b'P', b'K'] | [b'P', b'K', _] => return behind,
                [b'P', b'K', third, fourth] => {
                    let found = signature(&[b'P', b'K', *third, *fourth]);
                    begun.clear();
                    (found, behind)
                }
                other => {
                    // `P` and something else, which may be another `P`.
                    let keeps = other.ends_with(b"P");
                    if let Some(entry) = stored {
                        entry.feed(
                            other.get(..other.len() - usize::from(keeps)).unwrap_or_default(),
                            examination,
                        );
                    }
                    begun.clear();
                    begun.extend_from_slice(if keeps { b"P" } else { b"" });
                    return behind;
                }
            }
        };
        self.pass_signature(found, octets, behind, examination)
    }

    fn pass_signature<'o>(
        &mut self,
        found: Signature,
        octets: &'o [u8],
        behind: &'o [u8],
        examination: &mut Examination,
    ) -> &'o [u8] {
        match found {
            Signature::Header(kind) => {
                self.close(examination);
                self.state = State::Header(Gathering::new(kind));
                behind
            }
            Signature::End | Signature::Other => {
                self.has_end |= matches!(found, Signature::End);
                self.close(examination);
                behind
            }
            Signature::None(four) => {
                // Only the first octet is surely none; in the three behind it a signature may begin.
                let at = octets.len() - behind.len();
                let State::Seek { begun, stored } = &mut self.state else { return behind };
                let keeps = match four {
                    _ if at >= 4 => 3,
                    [.., b'P', b'K'] => 2,
                    [.., b'P'] => 1,
                    _ => 0,
                };
                let (passed, kept) = four.split_at(4 - keeps);
                if let Some(entry) = stored {
                    entry.feed(passed, examination);
                }
                if at >= 4 {
                    return octets.get(at - 3..).unwrap_or_default();
                }
                begun.extend_from_slice(kept);
                behind
            }
        }
    }

    /// A header is whole; behind it, at this offset, begins what it is of.
    fn end_header(&mut self, offset: u64, examination: &mut Examination) {
        let State::Header(gathering) = std::mem::replace(&mut self.state, State::seek()) else { return };
        let begins = offset.saturating_sub(gathering.octets());
        let Some(header) = gathering.header() else {
            // No header in truth; in its octets one may begin.
            if gathering.kind() == Kind::Directory {
                self.directory.distrust();
            }
            let mut rest = gathering.octets_behind_signature();
            while !rest.is_empty() {
                rest = self.step(rest, examination);
            }
            return;
        };
        match header.kind {
            Kind::Entry => self.begin_entry(&header, begins, examination),
            Kind::Directory => self.check(&header, examination),
        }
    }

    fn begin_entry(&mut self, header: &Header, begins: u64, examination: &mut Examination) {
        if !examination.count_entry() {
            examination.find(Class::Incomplete, &self.archive.place, "has more entries than are looked at");
            self.state = State::Ended;
            return;
        }
        self.form.note_entry(&header.name, &self.archive, examination);
        self.directory.add(begins, &header.name, header.packed_octets, header.header_octets);
        let is_directory = header.name.ends_with(b"/") && header.packed_octets == 0;
        let content = (!is_directory).then(|| self.content(&header.names(), examination));
        if header.is_encrypted {
            let place = content.as_ref().map_or(&self.archive.place, |content| &content.place);
            examination.find(Class::Encrypted, place, "is encrypted");
        }
        if header.packed_octets == 0 && (header.is_encrypted || !matches!(header.method, 0 | 8)) {
            // Where it ends only the directory knows.
            self.directory.distrust();
        }
        let mut entry = Box::new(Open { content, offset: begins, name: header.name.clone() });
        let skipped = || match header.packed_octets {
            0 => State::seek(),
            octets => State::Skipped(octets),
        };
        self.state = match header.method {
            _ if header.is_encrypted => skipped(),
            0 if header.has_descriptor && header.packed_octets == 0 => {
                self.directory.distrust();
                State::Seek { begun: Vec::new(), stored: Some(entry) }
            }
            0 if header.packed_octets == 0 => {
                if let Some(content) = entry.content.take() {
                    content.finish(examination);
                }
                State::seek()
            }
            0 => State::Stored { left: header.packed_octets, entry },
            8 => State::Deflated { expansion: Box::new(Expansion::new()), entry },
            _ => self.packed(*entry, header, examination).unwrap_or_else(skipped),
        };
    }

    /// What unpacks an entry that is not deflated, if something does and it is known where the entry ends.
    fn packed(&self, entry: Open, header: &Header, examination: &mut Examination) -> Option<State> {
        let content = entry.content.filter(|_| header.packed_octets > 0);
        // Where they stand behind the entry, those in front of it are empty.
        let unpacked = Some(header.unpacked_octets).filter(|octets| *octets > 0);
        let reader = content
            .and_then(|content| PackedReader::of_zip_entry(content, header.method, unpacked, examination));
        if reader.is_none() {
            let words = format!(
                "has “{}” packed in a way that is not looked into",
                name::shown(&name::text_of(&entry.name))
            );
            examination.find(Class::Opaque, &self.archive.place, words);
        }
        reader.map(|packed| State::Packed { left: header.packed_octets, packed: Box::new(packed) })
    }

    fn content(&self, names: &[Vec<u8>], examination: &mut Examination) -> Content {
        let role = names.first().map_or(Role::Entry, |name| office::role(name));
        let nesting = match role {
            Role::DocumentPart => {
                Nesting { archives: self.archive.nesting.archives.saturating_sub(1), ..self.archive.nesting }
            }
            _ => self.archive.nesting,
        };
        let names = names.iter().map(|name| name::text_of(name)).collect();
        Content::new(&self.archive.place, nesting, names, String::new(), role, examination)
    }

    /// What the directory says of an entry that has passed.
    fn check(&mut self, header: &Header, examination: &mut Examination) {
        let Some(disagreement) = self.directory.disagreement(header) else { return };
        let words = match disagreement {
            Disagreement::Overlap => {
                examination.find(Class::Bomb, &self.archive.place, "has entries that lie over each other");
                return;
            }
            Disagreement::Missing => "has a directory that names entries which are not where it says",
            Disagreement::Length => "has a directory that gives its entries other lengths than they have",
            Disagreement::Name => {
                // Most programs go by the directory's names.
                if examination.count_entry() {
                    self.form.note_entry(&header.name, &self.archive, examination);
                    self.content(&header.names(), examination).finish(examination);
                }
                "has a directory that gives its entries other names"
            }
        };
        examination.find(Class::Ambiguous, &self.archive.place, words);
    }
}

impl State {
    fn seek() -> State {
        State::Seek { begun: Vec::new(), stored: None }
    }
}

impl Open {
    fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        if let Some(content) = &mut self.content {
            content.feed(octets, examination);
        }
    }
}
