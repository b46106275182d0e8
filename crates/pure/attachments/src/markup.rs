//! Attached web pages and pictures with script, and RTF documents: words that say what they do.

use std::sync::LazyLock;

use crate::content::Content;
use crate::examination::Examination;
use crate::policy::Class;
use crate::words::{Seen, Words};

/// First what makes a page run something, then what makes it hand over a file that it carries itself, then what goes with it.
static PAGE: LazyLock<Words> = LazyLock::new(|| {
    Words::new(&[
        "<script",
        "javascript:",
        "vbscript:",
        "onload=",
        "onerror=",
        "onmouseover=",
        "onclick=",
        "onfocus=",
        "srcdoc=",
        "data:text/html",
        "createObjectURL",
        "msSaveOrOpenBlob",
        "msSaveBlob",
        "atob(",
        "unescape(",
        "fromCharCode",
        "new Blob",
        "Uint8Array",
        "eval(",
        ".download",
        "download=",
    ])
});
const RUNS: std::ops::Range<usize> = 0..10;
const HANDS_OVER: std::ops::Range<usize> = 10..13;
const UNPACKS: std::ops::Range<usize> = 13..19;
const DOWNLOADS: std::ops::Range<usize> = 19..21;

static RTF: LazyLock<Words> = LazyLock::new(|| {
    Words::new(&[
        "\\objupdate",
        "\\objautlink",
        "\\template http",
        "\\template \\\\",
        "\\template file:",
        "\\objdata",
        "\\objocx",
        "4571756174696f6e",
        "5061636b616765",
        "\\object",
        "DDEAUTO",
    ])
});

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Markup,
    Rtf,
}

#[derive(Debug)]
pub(crate) struct MarkupReader {
    place: Vec<String>,
    language: Language,
    seen: Seen,
    is_wide: Option<bool>,
    /// In RTF: the octet before was a backslash that may escape this one.
    is_escape: bool,
}

impl MarkupReader {
    pub(crate) fn new(document: &Content, language: Language) -> MarkupReader {
        MarkupReader {
            place: document.place.clone(),
            language,
            seen: Seen::default(),
            is_wide: None,
            is_escape: false,
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8]) {
        if self.language == Language::Rtf {
            let unescaped = self.without_escapes(octets);
            return self.seen.feed(&RTF, &unescaped);
        }
        // UTF-16 is read by leaving out zeros: everything sought is ASCII.
        let is_wide = *self.is_wide.get_or_insert_with(|| octets.iter().take(64).any(|octet| *octet == 0));
        if is_wide {
            let narrow: Vec<u8> = octets.iter().copied().filter(|octet| *octet != 0).collect();
            self.seen.feed(&PAGE, &narrow);
        } else {
            self.seen.feed(&PAGE, octets);
        }
    }

    /// What two backslashes begin is text about RTF, not RTF.
    fn without_escapes(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(octets.len());
        for &octet in octets {
            if self.is_escape && octet == b'\\' {
                plain.pop();
                plain.push(b' ');
                self.is_escape = false;
            } else {
                plain.push(octet);
                self.is_escape = octet == b'\\';
            }
        }
        plain
    }

    pub(crate) fn finish(self, examination: &mut Examination) {
        let seen = &self.seen;
        let mut find = |class, words: &str| examination.find(class, &self.place, words);
        if self.language == Language::Rtf {
            let has_template = seen.has_any(2..5);
            if has_template {
                find(Class::RemoteContent, "fetches its template from elsewhere");
            }
            if seen.has_any(0..2) {
                find(Class::ActiveDocument, "holds an object that loads by itself");
            }
            if seen.has(7) {
                find(Class::ActiveDocument, "holds an equation of the old editor, as exploits do");
            }
            if seen.has(10) {
                find(Class::Dde, "starts a program by dynamic data exchange");
            }
            if seen.has_any(5..7) || seen.has(8) {
                find(Class::EmbeddedObject, "holds packed objects");
            }
            return;
        }
        let hands_over = seen.has_any(HANDS_OVER) || seen.has_any(DOWNLOADS);
        if seen.has(0) && hands_over && seen.has_any(UNPACKS) {
            find(Class::Disguised, "carries a file that its script unpacks and hands over");
        }
        if seen.has_any(RUNS) {
            find(Class::ActiveMarkup, "holds script");
        }
    }
}
