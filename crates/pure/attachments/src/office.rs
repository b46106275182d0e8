//! What the entries of an archive make it: an office document (ECMA-376, OASIS OpenDocument), a program in an archive, or just
//! an archive; and what the XML of an office document does.

use std::sync::LazyLock;

use crate::content::{Content, Role};
use crate::examination::Examination;
use crate::policy::Class;
use crate::words::{Seen, Words};
use crate::zip::ArchiveOf;

/// What an archive has been seen to be.
#[derive(Debug, Default)]
pub(crate) struct ArchiveForm {
    has_java_manifest: bool,
    has_java_class: bool,
}

/// Folders of office documents. What is in them belongs to the document.
const FOLDERS: [&[u8]; 9] =
    [b"word/", b"xl/", b"ppt/", b"visio/", b"_rels/", b"customxml/", b"docprops/", b"basic/", b"object "];

/// What an entry of this name is: a part of an office document, or something packed.
pub(crate) fn role(name: &[u8]) -> Role {
    let lower = name.to_ascii_lowercase();
    let is_in_folder = FOLDERS.iter().any(|folder| lower.starts_with(folder));
    let is_part =
        [b".xml".as_slice(), b".rels", b".bin", b".vml"].iter().any(|ending| lower.ends_with(ending));
    let is_top =
        matches!(lower.as_slice(), b"[content_types].xml" | b"content.xml" | b"styles.xml" | b"settings.xml");
    if (is_in_folder && is_part) || is_top { Role::DocumentPart } else { Role::Entry }
}

impl ArchiveForm {
    /// An entry of this name passes.
    pub(crate) fn note_entry(&mut self, name: &[u8], archive: &ArchiveOf, examination: &mut Examination) {
        let lower = name.to_ascii_lowercase();
        let begins = |folder: &str| lower.starts_with(folder.as_bytes());
        let mut find = |class, words: &str| examination.find(class, &archive.place, words);
        match lower.as_slice() {
            b"androidmanifest.xml" | b"classes.dex" => find(Class::Program, "is an Android program"),
            b"appxmanifest.xml" | b"appxbundlemanifest.xml" => {
                find(Class::Program, "is a package of a Windows program")
            }
            b"meta-inf/manifest.mf" => self.has_java_manifest = true,
            _ if lower.ends_with(b".class") => self.has_java_class = true,
            _ if begins("xl/macrosheets/") => find(Class::AutoMacro, "holds Excel 4.0 macros"),
            _ if begins("word/activex/") || begins("xl/activex/") || begins("ppt/activex/") => {
                find(Class::EmbeddedObject, "holds ActiveX controls");
            }
            _ if begins("basic/") && !lower.ends_with(b"script-lc.xml") && !lower.ends_with(b"/") => {
                find(Class::Macro, "holds macros");
            }
            _ if begins("scripts/") && lower.ends_with(b".py") => find(Class::Macro, "holds macros"),
            _ => {}
        }
    }

    /// All entries have passed.
    pub(crate) fn conclude(&self, archive: &ArchiveOf, examination: &mut Examination) {
        if self.has_java_manifest && self.has_java_class {
            examination.find(Class::Program, &archive.place, "is a Java program");
        }
    }
}

/// First what starts a program by data exchange, as a field or a formula; then what starts macros of OpenDocument; then what
/// a whole document written as one XML file says of its macros and objects, which are in it in Base64.
static WORDS: LazyLock<Words> = LazyLock::new(|| {
    Words::new(&[
        "DDEAUTO",
        "<ddeLink",
        "DDE \"",
        "DDE &quot;",
        "=cmd|",
        "=powershell|",
        "=mshta|",
        "=rundll32|",
        "=msexcel|",
        "xlink:href=\"vnd.sun.star.script:",
        "script:event-name=\"dom:load",
        "macrosPresent=\"yes\"",
        "editdata.mso",
        "vnd.ms-office.vbaProject",
        "<w:docOleData",
        "oleObject1.bin",
    ])
});
const DDE: std::ops::Range<usize> = 0..9;
const EVENTS: std::ops::Range<usize> = 9..11;
const FLAT_MACROS: std::ops::Range<usize> = 11..14;
const FLAT_OBJECTS: std::ops::Range<usize> = 14..16;

/// Octets of one element that are kept.
const ELEMENT_OCTETS_MAX: usize = 4 * 1024;

/// Reads the XML of an office document, and tables written as text, whose formulas do the same.
#[derive(Debug)]
pub(crate) struct OfficeXmlReader {
    place: Vec<String>,
    /// Whether it is a document by itself and no part of one.
    is_flat: bool,
    seen: Seen,
    /// UTF-16 is read by leaving out zeros: everything sought is ASCII.
    is_wide: bool,
    is_at_start: bool,
    /// The element whose end has not come, its `<` included.
    element: Option<Vec<u8>>,
}

impl OfficeXmlReader {
    pub(crate) fn new(part: &Content) -> OfficeXmlReader {
        OfficeXmlReader {
            place: part.place.clone(),
            is_flat: part.role != Role::DocumentPart,
            seen: Seen::default(),
            is_wide: false,
            is_at_start: true,
            element: None,
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        if std::mem::take(&mut self.is_at_start) {
            self.is_wide = octets.iter().take(64).any(|octet| *octet == 0);
        }
        if self.is_wide {
            let narrow: Vec<u8> = octets.iter().copied().filter(|octet| *octet != 0).collect();
            self.read(&narrow, examination);
        } else {
            self.read(octets, examination);
        }
    }

    pub(crate) fn finish(self, examination: &mut Examination) {
        if self.seen.has_any(DDE) {
            examination.find(Class::Dde, &self.place, "starts a program by dynamic data exchange");
        }
        if self.seen.has_any(EVENTS) {
            examination.find(Class::AutoMacro, &self.place, "holds macros that its events start");
        }
        if self.is_flat && self.seen.has_any(FLAT_MACROS) {
            examination.find(Class::AutoMacro, &self.place, "holds macros whose text could not be read");
        }
        if self.is_flat && self.seen.has_any(FLAT_OBJECTS) {
            examination.find(Class::EmbeddedObject, &self.place, "holds packed objects");
        }
    }

    fn read(&mut self, octets: &[u8], examination: &mut Examination) {
        self.seen.feed(&WORDS, octets);
        let mut rest = octets;
        while !rest.is_empty() {
            let Some(element) = &mut self.element else {
                let Some(begins) = memchr::memchr(b'<', rest) else { return };
                self.element = Some(Vec::new());
                rest = rest.get(begins..).unwrap_or_default();
                continue;
            };
            let end = memchr::memchr(b'>', rest);
            let (piece, behind) = rest.split_at(end.unwrap_or(rest.len()));
            // Only the elements of interest are kept; of others the beginning, to know that they are not.
            let is_other = element.len() >= 16 && !is_relationship(element);
            let room = if is_other { 0 } else { ELEMENT_OCTETS_MAX.saturating_sub(element.len()) };
            element.extend_from_slice(piece.get(..room).unwrap_or(piece));
            rest = behind;
            if end.is_some() {
                let element = self.element.take().unwrap_or_default();
                self.relationship(&element, examination);
            }
        }
    }

    /// An element `Relationship` says what the document needs from elsewhere (ECMA-376 part 2, §9.3). Links for people to
    /// follow are usual; templates and objects that are fetched on opening are not.
    fn relationship(&self, element: &[u8], examination: &mut Examination) {
        if !is_relationship(element) {
            return;
        }
        let attribute = |name: &str| attribute(element, name);
        let is_external = attribute("TargetMode").eq_ignore_ascii_case("external");
        let kind = attribute("Type").to_ascii_lowercase();
        let kind = kind.rsplit('/').next().unwrap_or_default();
        let target = attribute("Target");
        if !is_external || !is_elsewhere(&target) {
            return;
        }
        let shown = crate::name::shown(&target);
        match kind {
            "attachedtemplate" => {
                examination.find(
                    Class::RemoteContent,
                    &self.place,
                    format!("fetches its template from {shown}"),
                );
            }
            "oleobject" | "frame" | "subdocument" | "afchunk" | "control" | "vbaproject" => {
                examination.find(
                    Class::RemoteContent,
                    &self.place,
                    format!("fetches an object from {shown}"),
                );
            }
            _ => {}
        }
    }
}

/// Whether a target is on somebody else's machine. Word writes down where a template lay on the author's disk or in the
/// author's house, and spreadsheets what they are linked with there: that is nowhere for whoever gets the document.
fn is_elsewhere(target: &str) -> bool {
    const SCHEMES: [&str; 5] = ["http:", "https:", "ftp:", "mhtml:", "smb:"];
    let target = target.trim_start().to_ascii_lowercase();
    if SCHEMES.iter().any(|scheme| target.starts_with(scheme)) {
        return true;
    }
    let (is_file, path) = match target.strip_prefix("file:") {
        Some(path) => (true, path),
        None => (false, target.as_str()),
    };
    let behind = path.trim_start_matches(['/', '\\']);
    if path.len() - behind.len() < if is_file { 1 } else { 2 } {
        return false;
    }
    let host = behind.split(['/', '\\']).next().unwrap_or_default();
    let is_drive = matches!(host.as_bytes(), [b'a'..=b'z', b':' | b'|']);
    // A name with dots is one of the Internet, and so is an address, however it is written.
    let is_plain = host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    let is_number = host.starts_with(|c: char| c.is_ascii_digit())
        && host.chars().all(|c| c.is_ascii_hexdigit() || c == 'x');
    !is_drive && (!is_plain || is_number)
}

fn is_relationship(element: &[u8]) -> bool {
    let name = element.strip_prefix(b"<").unwrap_or(element);
    let name = name.split(|octet| octet.is_ascii_whitespace()).next().unwrap_or_default();
    name.rsplit(|octet| *octet == b':').next() == Some(b"Relationship")
}

/// An attribute's value, references to characters resolved where they are numbers; empty if there is none.
fn attribute(element: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(element);
    let mut rest = text.as_ref();
    while let Some((before, behind)) = rest.split_once('=') {
        let behind = behind.trim_start();
        let Some(quote) = behind.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return String::new();
        };
        let Some((value, next)) = behind.get(1..).and_then(|behind| behind.split_once(quote)) else {
            return String::new();
        };
        if before.split_whitespace().next_back() == Some(name) {
            return resolved(value);
        }
        rest = next;
    }
    String::new()
}

fn resolved(value: &str) -> String {
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, behind)) = rest.split_once("&#") {
        text.push_str(before);
        let Some((number, next)) = behind.split_once(';') else { return text };
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        };
        text.extend(code.and_then(char::from_u32));
        rest = next;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_entries() {
        for (name, expected) in [
            ("word/document.xml", Role::DocumentPart),
            ("xl/vbaProject.bin", Role::DocumentPart),
            ("[Content_Types].xml", Role::DocumentPart),
            ("word/embeddings/a.exe", Role::Entry),
            ("a.xml", Role::Entry),
            ("", Role::Entry),
        ] {
            assert_eq!(role(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn elsewhere_is_not_the_authors_own_disk() {
        for target in [
            "http://evil.example/a.dotm",
            " HTTPS://evil.example/a",
            "mhtml:file:///c:/a!x",
            "file://evil.example/a.dotm",
            "file:///\\\\evil.example\\a.dotm",
            "\\\\192.0.2.1\\a",
            "//evil.example/a",
            "\\\\evil@80\\a",
            "file://3221225985/a",
            "file://0xc0000201/a",
            "file://evil%2eexample/a",
            "file://[2001:db8::1]/a",
        ] {
            assert!(is_elsewhere(target), "{target}");
        }
        for target in [
            "file:///C:\\Users\\ann\\AppData\\Roaming\\Microsoft\\Templates\\Letter.dotm",
            "file:///c:/Program%20Files/Office/a.dotx",
            "file:///\\\\fileserver\\templates\\Letter.dotx",
            "\\\\SRV-01\\a\\b.xlsx",
            "file:Letter.dotm",
            "Letter.dotm",
            "",
        ] {
            assert!(!is_elsewhere(target), "{target}");
        }
    }

    #[test]
    fn attributes() {
        let element = b"<Relationship Id='r1' Type = \"a/attachedTemplate\" Target=\"&#104;&#x74;tp://x\"/";
        assert!(is_relationship(element));
        assert_eq!(attribute(element, "Type"), "a/attachedTemplate");
        assert_eq!(attribute(element, "Target"), "http://x");
        assert_eq!(attribute(element, "TargetMode"), "");
        assert_eq!(attribute(b"<Relationship Target=x", "Target"), "");
        assert!(is_relationship(b"<p:Relationship\n") && !is_relationship(b"<Relationships "));
    }
}
