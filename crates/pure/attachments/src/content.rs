//! One content: an attachment, a text of the message, or an entry of an archive. It is judged by its name at once, by what it
//! begins with as soon as that is there, and by what its reader finds in it; an entry gets the same judgement as an attachment.

use crate::digest::Digests;
use crate::eicar::{EICAR_OCTETS_MAX, is_eicar};
use crate::examination::Examination;
use crate::extension::class_of_extension;
use crate::image::ImageReader;
use crate::kind::{HEAD_OCTETS, IMAGE_SIGNATURE_AT, Kind, may_be_lzma};
use crate::name::{self, extension};
use crate::policy::Class;
use crate::rar_behind::RarBehind;
use crate::reader::Reader;
use crate::zip_end::ZipEnd;

/// Archives inside each other from which on more of them are a bomb and no chain of forwarded mail.
const BOMB_NESTING: usize = 4;

/// Fewest octets that are looked at together.
const PIECE_OCTETS_MIN: usize = 2 * 1024;

/// How deep a content lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nesting {
    /// Archives, documents and messages around it.
    pub(crate) depth: usize,
    /// Archives among them.
    pub(crate) archives: usize,
}

impl Nesting {
    /// Of what is inside an archive that lies so.
    pub(crate) fn in_archive(self) -> Nesting {
        Nesting { depth: self.depth + 1, archives: self.archives + 1 }
    }

    /// Of what is inside a document or a message that lies so.
    pub(crate) fn inside(self) -> Nesting {
        Nesting { depth: self.depth + 1, ..self }
    }
}

/// What a content is in what holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A text of the message itself, which mail programs show without running anything in it.
    Text,
    Attachment,
    /// A message that is said to be one.
    Message,
    /// An entry of an archive.
    Entry,
    /// A part of an office document; what is found in it is told of the document.
    DocumentPart,
}

#[derive(Debug)]
pub(crate) struct Content {
    /// Names from the outermost, this one's last.
    pub(crate) place: Vec<String>,
    pub(crate) nesting: Nesting,
    pub(crate) role: Role,
    pub(crate) media_type: String,
    /// The likeliest name.
    pub(crate) name: String,
    extensions: Vec<String>,
    octets: u64,
    /// Octets that are too few to be worth looking at.
    pending: Vec<u8>,
    head: Vec<u8>,
    image_signature: [u8; IMAGE_SIGNATURE_OCTETS],
    digests: Digests,
    kind: Kind,
    /// What looks into it, once its kind is known.
    reader: Option<Box<Reader>>,
    /// What looks into it as an image of a disk, whatever it begins with.
    image: Option<Box<ImageReader>>,
    /// What looks for a zip at its end, where its name says so and its beginning does not.
    zip_end: Option<ZipEnd>,
    /// What looks for a RAR archive behind its beginning, likewise.
    rar_behind: Option<Box<RarBehind>>,
}

impl Content {
    pub(crate) fn new(
        around: &[String],
        nesting: Nesting,
        names: Vec<String>,
        media_type: String,
        role: Role,
        examination: &mut Examination,
    ) -> Content {
        let mut place = around.to_vec();
        match role {
            Role::Text => place.extend(around.is_empty().then(|| "the text".to_owned())),
            Role::DocumentPart => {}
            _ => place.push(names.first().map(|name| name::shown(name)).unwrap_or_default()),
        }
        let rules = std::sync::Arc::clone(&examination.rules);
        let content = Content {
            place,
            nesting,
            role,
            media_type,
            name: names.first().cloned().unwrap_or_default(),
            extensions: names.iter().map(|name| extension(name)).collect(),
            octets: 0,
            pending: Vec::new(),
            head: Vec::new(),
            image_signature: [0; IMAGE_SIGNATURE_OCTETS],
            digests: Digests::new(&rules.lists),
            kind: Kind::Unknown,
            reader: None,
            image: None,
            zip_end: None,
            rar_behind: None,
        };
        if role != Role::Text {
            examination.count_content();
        }
        content.judge_names(&names, examination);
        content
    }

    /// Takes the next of its octets. What comes in drops is gathered: each piece costs something, however short it is.
    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        if self.pending.is_empty() && octets.len() >= PIECE_OCTETS_MIN {
            return self.take(octets, examination);
        }
        self.pending.extend_from_slice(octets);
        if self.pending.len() >= PIECE_OCTETS_MIN {
            let mut pending = std::mem::take(&mut self.pending);
            self.take(&pending, examination);
            pending.clear();
            self.pending = pending;
        }
    }

    fn take(&mut self, octets: &[u8], examination: &mut Examination) {
        self.note_image_signature(octets);
        self.look_at_image(octets, examination);
        self.octets += octets.len() as u64;
        self.digests.feed(octets);
        if let Some(zip_end) = &mut self.zip_end {
            zip_end.feed(octets);
        }
        self.seek_rar(octets, examination);
        if let Some(reader) = &mut self.reader {
            return reader.feed(octets, examination);
        }
        let room = HEAD_OCTETS.saturating_sub(self.head.len());
        let (start, rest) = octets.split_at(room.min(octets.len()));
        self.head.extend_from_slice(start);
        if self.head.len() >= HEAD_OCTETS {
            self.decide(examination);
            if let Some(zip_end) = &mut self.zip_end {
                zip_end.feed(rest);
            }
            self.seek_rar(rest, examination);
            if let Some(reader) = &mut self.reader {
                reader.feed(rest, examination);
            }
        }
    }

    /// There are no more octets.
    pub(crate) fn finish(mut self, examination: &mut Examination) {
        let pending = std::mem::take(&mut self.pending);
        self.take(&pending, examination);
        if self.reader.is_none() && self.octets > 0 {
            self.decide(examination);
        }
        if self.octets <= EICAR_OCTETS_MAX as u64 && is_eicar(&self.head) {
            examination.find(Class::TestVirus, &self.place, "is the EICAR test file");
        }
        if &self.image_signature == b"CD001"
            || matches!(&self.image_signature, b"BEA01" | b"NSR02" | b"NSR03")
        {
            self.kind = Kind::DiskImage;
            self.judge_kind(examination);
        }
        if self.zip_end.as_ref().is_some_and(ZipEnd::is_found) {
            let words =
                format!("is {}, and ends as the zip archive that it is named after", self.kind.words());
            self.find(Class::Ambiguous, words, examination);
        }
        if let Some(rar_behind) = self.rar_behind {
            rar_behind.finish(examination);
        }
        if let Some(reader) = self.reader {
            reader.finish(examination);
        }
        let rules = std::sync::Arc::clone(&examination.rules);
        if let Some(listed) = self.digests.look_up(&rules.lists, self.octets).filter(|_| self.octets > 0) {
            let words = match listed.as_str() {
                "" => "is on a list of known content".to_owned(),
                listed => format!("is on a list of known content as {}", name::shown(listed)),
            };
            examination.find(Class::Listed, &self.place, words);
        }
    }

    fn seek_rar(&mut self, octets: &[u8], examination: &mut Examination) {
        if let Some(mut rar_behind) = self.rar_behind.take() {
            rar_behind.feed(octets, self, examination);
            self.rar_behind = Some(rar_behind);
        }
    }

    pub(crate) fn find(&self, class: Class, words: impl Into<String>, examination: &mut Examination) {
        examination.find(class, &self.place, words);
    }

    fn judge_names(&self, names: &[String], examination: &mut Examination) {
        // Names of a document's own parts are the format's.
        if self.role == Role::DocumentPart {
            return;
        }
        for (name, extension) in names.iter().zip(&self.extensions) {
            if let Some(disguise) = name::disguise(name) {
                self.find(Class::Disguised, format!("has {disguise}"), examination);
            }
            if examination.rules.policy.refuses_extension(extension) {
                self.find(
                    Class::Refused,
                    format!("has a name that ends in .{}, which is refused here", name::shown(extension)),
                    examination,
                );
            }
            // A message is often named after its subject or its author's domain.
            let is_named_freely = self.role == Role::Message || self.media_type == "message/rfc822";
            let class =
                class_of_extension(extension).filter(|class| *class != Class::Macro && !is_named_freely);
            if let Some(class) = class {
                self.find(class, format!("is named like {}", class_words(class)), examination);
            }
        }
        if self.role != Role::Entry && examination.rules.policy.refuses_type(&self.media_type) {
            self.find(
                Class::Refused,
                format!("is of type {}, which is refused here", name::shown(&self.media_type)),
                examination,
            );
        }
    }

    fn decide(&mut self, examination: &mut Examination) {
        self.kind = match Kind::of(&self.head) {
            Kind::Unknown if self.has_extension(&["lzma", "tlz"]) && may_be_lzma(&self.head) => Kind::Lzma,
            kind => kind,
        };
        self.judge_kind(examination);
        if self.role == Role::Message {
            // Programs that believe what it is said to be read a message all the same, behind what is no header.
            if self.kind.is_no_message() {
                let words = format!("is {} and is said to be a message", self.kind.words());
                self.find(Class::Disguised, words, examination);
            }
            self.kind = Kind::Message;
        }
        let mut reader = Reader::of(self, self.kind, examination);
        reader.feed(&self.head, examination);
        if self.is_called_zip() && self.kind != Kind::Zip && !matches!(reader, Reader::Zip(_)) {
            let mut zip_end = ZipEnd::default();
            zip_end.feed(&self.head);
            self.zip_end = Some(zip_end);
        }
        let may_hide = self.kind.is_no_archive() && self.nesting.depth < examination.limits.depth_max;
        if may_hide && self.has_extension(&["rar", "cbr"]) {
            self.rar_behind = Some(Box::default());
            let head = std::mem::take(&mut self.head);
            self.seek_rar(&head, examination);
            self.head = head;
        }
        // Enough for the EICAR file; the rest has been read.
        self.head.truncate(EICAR_OCTETS_MAX);
        self.head.shrink_to_fit();
        self.reader = Some(Box::new(reader));
    }

    fn judge_kind(&self, examination: &mut Examination) {
        // A text is shown and not run, whatever it begins with; so is a message.
        if matches!(self.role, Role::Text | Role::Message)
            && !matches!(self.kind.class(), Some(Class::Program))
        {
            return;
        }
        let is_plain =
            self.extensions.iter().any(|extension| matches!(extension.as_str(), "txt" | "log" | "md"));
        if let Some(class) = self.kind.class().filter(|_| !(is_plain && self.kind == Kind::BatchScript)) {
            self.find(class, format!("is {}", self.kind.words()), examination);
        }
        let disguised = self.extensions.iter().find(|extension| self.kind.is_disguised_as(extension));
        if let Some(extension) = disguised {
            self.find(
                Class::Disguised,
                format!("is {} and is named .{}", self.kind.words(), name::shown(extension)),
                examination,
            );
        } else if self.media_type.starts_with("image/")
            && self.kind.is_disguised_as("png")
            && self.media_type != "image/svg+xml"
        {
            self.find(
                Class::Disguised,
                format!("is {} and is said to be a picture", self.kind.words()),
                examination,
            );
        }
    }

    /// Whether its likeliest names end so.
    pub(crate) fn has_extension(&self, extensions: &[&str]) -> bool {
        self.extensions.iter().any(|extension| extensions.contains(&extension.as_str()))
    }

    /// Whether programs take it for a zip archive by its name.
    pub(crate) fn is_called_zip(&self) -> bool {
        self.has_extension(&["zip", "docx", "docm", "xlsx", "xlsm", "xlsb", "pptx", "pptm", "jar", "apk"])
    }

    /// Whether what is inside it may be looked at; says so where not.
    pub(crate) fn may_descend(&self, examination: &mut Examination) -> bool {
        let may = self.nesting.depth < examination.limits.depth_max;
        if !may && self.nesting.archives >= BOMB_NESTING {
            self.find(Class::Bomb, "is an archive inside archives, deeper than anybody packs", examination);
        } else if !may {
            self.find(Class::Incomplete, "lies too deep to be looked into", examination);
        }
        may
    }

    /// Hands on what follows the signature of an image with plain sectors.
    fn look_at_image(&mut self, octets: &[u8], examination: &mut Examination) {
        let [first, ..] = IMAGE_SIGNATURE_AT;
        let signature_end = first + IMAGE_SIGNATURE_OCTETS as u64;
        let end = self.octets + octets.len() as u64;
        if let Some(image) = &mut self.image {
            image.feed(octets, examination);
        } else if self.octets < signature_end
            && end >= signature_end
            && matches!(&self.image_signature, b"CD001" | b"BEA01" | b"NSR02" | b"NSR03")
            && self.nesting.depth < examination.limits.depth_max
            && self.role != Role::Text
        {
            let mut image = ImageReader::new(self, self.image_signature);
            let behind = usize::try_from(signature_end - self.octets).unwrap_or(usize::MAX);
            image.feed(octets.get(behind..).unwrap_or_default(), examination);
            self.image = Some(Box::new(image));
        }
    }

    fn note_image_signature(&mut self, octets: &[u8]) {
        let [first, second, third] = IMAGE_SIGNATURE_AT;
        let end = self.octets + octets.len() as u64;
        if self.octets > third + 5 || end <= first {
            return;
        }
        for at in [first, second, third] {
            if matches!(&self.image_signature, b"CD001" | b"BEA01" | b"NSR02" | b"NSR03") {
                return;
            }
            for (index, to) in (at..).zip(self.image_signature.iter_mut()) {
                let from = index
                    .checked_sub(self.octets)
                    .and_then(|offset| octets.get(usize::try_from(offset).ok()?));
                *to = from.copied().unwrap_or(*to);
            }
        }
    }
}

/// Octets of an image's signature.
pub(crate) const IMAGE_SIGNATURE_OCTETS: usize = 5;

fn class_words(class: Class) -> &'static str {
    match class {
        Class::Program => "a program",
        Class::Script => "a script for Windows",
        Class::ShellScript => "a script",
        Class::Shortcut => "a shortcut",
        Class::RareContainer => "a disk image or an archive that hardly anybody sends",
        _ => "a document that can do things",
    }
}
