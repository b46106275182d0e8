//! PDF: names that make it do things, also those packed into object streams, and files attached to it (ISO 32000-1 §7.3.5,
//! §7.5.7, §7.11.4, §12.6). Nothing is put together: whatever passes is read, whether the table of objects knows it or not.

use memchr::{memchr, memmem};

use crate::content::{Content, Nesting, Role};
use crate::examination::Examination;
use crate::expansion::{Expansion, Progress};
use crate::policy::Class;

/// Octets of a name that are kept; the longest sought has fewer, escapes taken into account.
const NAME_OCTETS_MAX: usize = 48;

/// Octets kept from one piece to the next, in which a keyword may have begun.
const TAIL_OCTETS: usize = 12;

/// Streams that are looked into at once. In truth it is one; octets inside it may be made to look like the beginning of
/// another, and what seems to be one may be made longer than it is, to hide the next.
const UNPACKED_AT_ONCE_MAX: usize = 2;

/// What names say, of the whole document and of the object at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told(u32);

/// Names, and whether they are long enough to stand in packed octets by no accident.
const NAMES: &[(&[u8], u32, bool)] = &[
    (b"JavaScript", JAVASCRIPT, true),
    (b"JS", JAVASCRIPT, false),
    (b"OpenAction", AUTOMATIC, true),
    (b"AA", AUTOMATIC, false),
    (b"Launch", LAUNCH, true),
    (b"EmbeddedFile", EMBEDDED_FILE, true),
    (b"EmbeddedFiles", EMBEDDED_FILE, true),
    (b"RichMedia", RICH_MEDIA, true),
    (b"Encrypt", ENCRYPTED, true),
    (b"SubmitForm", SENDS, true),
    (b"ImportData", SENDS, true),
    (b"GoToE", EMBEDDED_TARGET, false),
    (b"ObjStm", OBJECT_STREAM, true),
    (b"FlateDecode", DEFLATED, true),
    (b"Fl", DEFLATED, false),
    (b"ASCIIHexDecode", OTHER_FILTER, true),
    (b"ASCII85Decode", OTHER_FILTER, true),
    (b"LZWDecode", OTHER_FILTER, true),
    (b"RunLengthDecode", OTHER_FILTER, true),
];
const JAVASCRIPT: u32 = 1;
const AUTOMATIC: u32 = 1 << 1;
const LAUNCH: u32 = 1 << 2;
const EMBEDDED_FILE: u32 = 1 << 3;
const RICH_MEDIA: u32 = 1 << 4;
const ENCRYPTED: u32 = 1 << 5;
const SENDS: u32 = 1 << 6;
const EMBEDDED_TARGET: u32 = 1 << 7;
const OBJECT_STREAM: u32 = 1 << 8;
const DEFLATED: u32 = 1 << 9;
const OTHER_FILTER: u32 = 1 << 10;

#[derive(Debug)]
pub(crate) struct PdfReader {
    place: Vec<String>,
    nesting: Nesting,
    told: Told,
    names: Names,
    /// What the object at hand has said.
    object: Told,
    is_in_stream: bool,
    tail: Vec<u8>,
    unpacking: Vec<Unpacking>,
    has_unread: bool,
}

/// A stream that is unpacked.
#[derive(Debug)]
struct Unpacking {
    /// The line end behind the keyword has not come.
    is_at_start: bool,
    expansion: Expansion,
    /// A file attached to it; otherwise objects.
    file: Option<Content>,
    names: Names,
    told: Told,
}

impl PdfReader {
    pub(crate) fn new(document: &Content) -> PdfReader {
        PdfReader {
            place: document.place.clone(),
            nesting: document.nesting,
            told: Told::default(),
            names: Names::default(),
            object: Told::default(),
            is_in_stream: false,
            tail: Vec::new(),
            unpacking: Vec::new(),
            has_unread: false,
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        let mut open = std::mem::take(&mut self.unpacking);
        open.retain_mut(|unpacking| self.unpack(unpacking, octets, examination));
        self.unpacking = open;
        self.read(octets, examination);
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        for mut unpacking in std::mem::take(&mut self.unpacking) {
            self.end(&mut unpacking, examination);
        }
        let told = self.told;
        let mut find = |class, words: &str| examination.find(class, &self.place, words);
        if told.has(LAUNCH) {
            find(Class::ActivePdf, "starts a program");
        }
        match (told.has(JAVASCRIPT), told.has(AUTOMATIC)) {
            (true, true) => find(Class::ActivePdf, "holds JavaScript that may run by itself"),
            (true, false) => find(Class::ActivePdf, "holds JavaScript"),
            _ => {}
        }
        if told.has(RICH_MEDIA) {
            find(Class::ActivePdf, "holds a film that can do things");
        }
        if told.has(SENDS) && told.has(AUTOMATIC) {
            find(Class::ActivePdf, "sends or fetches data");
        }
        if told.has(EMBEDDED_FILE) || told.has(EMBEDDED_TARGET) {
            find(Class::EmbeddedObject, "has files attached to it");
        }
        if told.has(ENCRYPTED) {
            find(Class::Encrypted, "is encrypted and was looked into only in part");
        }
        if self.has_unread {
            find(Class::Opaque, "has objects packed in a way that is not looked into");
        }
    }

    /// Keywords are sought in the octets together with the end of those before; names are read from these alone, since what
    /// has been read of one is kept.
    fn read(&mut self, octets: &[u8], examination: &mut Examination) {
        let old = self.tail.len();
        let mut window = std::mem::take(&mut self.tail);
        window.extend_from_slice(octets);
        let (mut done, mut last_end) = (old, 0);
        for (end, keyword) in keywords(&window, old) {
            self.take_names(window.get(done..end).unwrap_or_default());
            (done, last_end) = (end, end);
            match keyword {
                Keyword::EndOfObject => (self.object, self.is_in_stream) = (Told::default(), false),
                Keyword::Stream => {
                    self.is_in_stream = true;
                    self.begin_unpacking(window.get(end..).unwrap_or_default(), examination);
                }
            }
        }
        self.take_names(window.get(done..).unwrap_or_default());
        window.drain(..window.len().saturating_sub(TAIL_OCTETS).max(last_end));
        self.tail = window;
    }

    fn take_names(&mut self, octets: &[u8]) {
        let mut object = self.object;
        self.names.feed(octets, self.is_in_stream, &mut object);
        self.object = object;
        self.told.add(object);
    }

    /// A stream begins with these octets; it may be one to look into.
    fn begin_unpacking(&mut self, octets: &[u8], examination: &mut Examination) {
        let is_file = self.object.has(EMBEDDED_FILE);
        if !self.object.has(OBJECT_STREAM) && !is_file {
            return;
        }
        if !self.object.has(DEFLATED) && !self.object.has(OTHER_FILTER) {
            return;
        }
        let is_read = !self.object.has(OTHER_FILTER) && self.unpacking.len() < UNPACKED_AT_ONCE_MAX;
        if !is_read || !examination.count_start() {
            self.has_unread = true;
            return;
        }
        let may_descend = self.nesting.depth < examination.limits.depth_max;
        let file = (is_file && may_descend && examination.count_entry()).then(|| {
            Content::new(
                &self.place,
                self.nesting.inside(),
                Vec::new(),
                String::new(),
                Role::Entry,
                examination,
            )
        });
        let mut unpacking = Unpacking {
            is_at_start: true,
            expansion: Expansion::with_header(),
            file,
            names: Names::default(),
            told: Told::default(),
        };
        if self.unpack(&mut unpacking, octets, examination) {
            self.unpacking.push(unpacking);
        }
    }

    /// Octets of a stream that is looked into; whether more of it may come.
    fn unpack(&mut self, unpacking: &mut Unpacking, octets: &[u8], examination: &mut Examination) -> bool {
        let mut rest = octets;
        if unpacking.is_at_start {
            rest = octets.trim_ascii_start();
            unpacking.is_at_start = rest.is_empty();
        }
        let progress = unpacking.feed(rest, &self.place, examination);
        if progress == Progress::More {
            return true;
        }
        // Where the document is encrypted, its streams are.
        self.has_unread |= matches!(progress, Progress::Damaged(_)) && !self.told.has(ENCRYPTED);
        self.end(unpacking, examination);
        false
    }

    fn end(&mut self, unpacking: &mut Unpacking, examination: &mut Examination) {
        unpacking.names.feed(b" ", false, &mut unpacking.told);
        self.told.add(unpacking.told);
        if let Some(file) = unpacking.file.take() {
            file.finish(examination);
        }
    }
}

impl Unpacking {
    fn feed(&mut self, octets: &[u8], place: &[String], examination: &mut Examination) -> Progress {
        let Unpacking { expansion, file, names, told, .. } = self;
        match file {
            Some(file) => expansion.feed(octets, file, place, examination),
            None => expansion.expand(octets, place, examination, |octets, _| names.feed(octets, false, told)),
        }
    }
}

impl Told {
    fn has(self, what: u32) -> bool {
        self.0 & what != 0
    }

    fn add(&mut self, other: Told) {
        self.0 |= other.0;
    }
}

enum Keyword {
    Stream,
    EndOfObject,
}

/// The keywords that end in octets that are new (behind `old`), and where they end.
fn keywords(window: &[u8], old: usize) -> Vec<(usize, Keyword)> {
    let streams = memmem::find_iter(window, b"stream").map(|at| {
        let is_end = window.get(..at).is_some_and(|before| before.ends_with(b"end"));
        (at + b"stream".len(), if is_end { Keyword::EndOfObject } else { Keyword::Stream })
    });
    let objects = memmem::find_iter(window, b"endobj").map(|at| (at + b"endobj".len(), Keyword::EndOfObject));
    let mut keywords: Vec<_> = streams.chain(objects).filter(|(end, _)| *end > old).collect();
    keywords.sort_unstable_by_key(|(end, _)| *end);
    keywords
}

/// Names while they pass, escapes undone (ISO 32000-1 §7.3.5).
#[derive(Debug, Default)]
struct Names {
    /// The name whose end has not come.
    name: Option<Vec<u8>>,
}

impl Names {
    fn feed(&mut self, octets: &[u8], is_packed: bool, told: &mut Told) {
        let mut rest = octets;
        while !rest.is_empty() {
            let Some(name) = &mut self.name else {
                let Some(slash) = memchr(b'/', rest) else { return };
                self.name = Some(Vec::new());
                rest = rest.get(slash + 1..).unwrap_or_default();
                continue;
            };
            let end = rest.iter().position(|octet| is_delimiter(*octet));
            let (piece, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let room = NAME_OCTETS_MAX.saturating_sub(name.len());
            name.extend_from_slice(piece.get(..room).unwrap_or(piece));
            rest = behind;
            if end.is_some() {
                let name = unescaped(&self.name.take().unwrap_or_default());
                let known = NAMES
                    .iter()
                    .find(|(known, _, is_long)| *known == name.as_slice() && (*is_long || !is_packed));
                told.0 |= known.map_or(0, |(_, what, _)| *what);
            }
        }
    }
}

fn is_delimiter(octet: u8) -> bool {
    matches!(
        octet,
        0 | b'\t'
            | b'\n'
            | 12
            | b'\r'
            | b' '
            | b'('
            | b')'
            | b'<'
            | b'>'
            | b'['
            | b']'
            | b'{'
            | b'}'
            | b'/'
            | b'%'
    )
}

fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, behind)) = rest.split_first() {
        let escaped = match (first, behind) {
            (b'#', [high, low, ..]) => {
                std::str::from_utf8(&[*high, *low]).ok().and_then(|two| u8::from_str_radix(two, 16).ok())
            }
            _ => None,
        };
        plain.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
    }
    plain
}
