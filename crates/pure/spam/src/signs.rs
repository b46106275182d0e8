//! Named signs: what a person would point at. Each is a feature like a word; what it weighs is learned.

use message::{Addressee, decode_field_text, parse_addresses};

use crate::collector::Collector;
use crate::header::address_of;

/// What a header has shown so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) has_subject: bool,
    pub(crate) has_to: bool,
    pub(crate) has_date: bool,
    pub(crate) has_message_id: bool,
    pub(crate) is_answer: bool,
    pub(crate) author: Option<(String, String)>,
    pub(crate) reply_to: Option<Addressee>,
}

impl Seen {
    /// The header is complete.
    pub(crate) fn conclude(&self, collector: &mut Collector) {
        let missing = [
            (self.has_subject, "no Subject field"),
            (self.has_to, "no To field"),
            (self.has_date, "no Date field"),
            (self.has_message_id, "no Message-ID field"),
            (self.author.is_some(), "no author's address"),
            (!self.is_answer, "an answer to another message"),
        ];
        for (is_there, sign) in missing {
            if !is_there {
                collector.sign(sign);
            }
        }
        let (Some((_, author)), Some((_, reply))) =
            (&self.author, self.reply_to.as_ref().and_then(address_of))
        else {
            return;
        };
        collector.sign(if *author == reply {
            "answers go to the author's domain"
        } else {
            "answers go elsewhere"
        });
    }
}

/// Signs of a Subject field.
pub(crate) fn subject(raw: &[u8], text: &str, collector: &mut Collector) {
    if raw.windows(2).any(|two| two == b"=?") {
        collector.sign("an encoded subject");
        if text.is_ascii() {
            collector.sign("a subject encoded without need");
        }
    }
    if raw.iter().any(|octet| *octet > 127) {
        collector.sign("raw octets in the subject");
    }
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let capitals = text.chars().filter(|c| c.is_uppercase()).count();
    if letters >= 8 && capitals * 10 >= letters * 9 {
        collector.sign("a subject in capitals");
    }
    if text.contains("   ") {
        collector.sign("a gap in the subject");
    }
    if text.ends_with('!') {
        collector.sign("a subject that ends in an exclamation mark");
    }
    if text.ends_with('?') {
        collector.sign("a subject that ends in a question mark");
    }
    if is_spaced_out(text) {
        collector.sign("s p a c e d words in the subject");
    }
    if mixes_scripts(text) {
        collector.sign("scripts mixed inside a word of the subject");
    }
}

/// Signs of who writes.
pub(crate) fn author(value: &[u8], collector: &mut Collector, seen: &mut Seen) {
    let list = parse_addresses(value, 4);
    if list.len() > 1 {
        collector.sign("more than one author");
    }
    let Some(first) = list.first() else { return };
    seen.author = address_of(first);
    let Some((local, host)) = &seen.author else { return };
    let digits = local.bytes().filter(u8::is_ascii_digit).count();
    if digits >= 4 {
        collector.sign("many digits in the author's address");
    }
    let Addressee::Mailbox { name: Some(name), .. } = first else {
        collector.sign("an author without a name");
        return;
    };
    let name = decode_field_text(name);
    if let Some((_, named)) = name.rsplit_once('@') {
        let named = named.trim_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
        if !named.is_empty() && named != *host {
            collector.sign("an author's name that shows another address");
        }
    }
    if mixes_scripts(&name) {
        collector.sign("scripts mixed inside a word of the author's name");
    }
    let letters = name.chars().filter(|c| c.is_alphabetic()).count();
    if letters >= 6 && !name.chars().any(char::is_lowercase) {
        collector.sign("an author's name in capitals");
    }
}

/// Signs of whom it is addressed to.
pub(crate) fn recipients(value: &[u8], collector: &mut Collector) {
    let list = parse_addresses(value, 16);
    let mailboxes = list.iter().filter_map(address_of).count();
    match mailboxes {
        0 => collector.sign("addressed to nobody"),
        1 => {}
        2..=7 => collector.sign("addressed to several"),
        _ => collector.sign("addressed to many"),
    }
}

/// Whether letters of different alphabets stand in one word, as `pаypal` with a Cyrillic а.
pub(crate) fn mixes_scripts(text: &str) -> bool {
    text.split(|c: char| !c.is_alphabetic()).any(|word| {
        let is_latin = word.chars().any(|c| c.is_ascii_alphabetic());
        is_latin
            && word.chars().any(|c| matches!(u32::from(c), 0x370..=0x3ff | 0x400..=0x52f | 0x531..=0x587))
    })
}

/// Whether at least five letters stand each by itself.
pub(crate) fn is_spaced_out(text: &str) -> bool {
    let mut run = 0;
    for word in text.split(' ') {
        run = if word.chars().count() == 1 { run + 1 } else { 0 };
        if run >= 5 {
            return true;
        }
    }
    false
}

/// What a part's first octets say it is, whatever its name says.
pub(crate) fn real_content(octets: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 12] = [
        (b"MZ", "a Windows program"),
        (b"\x7fELF", "a Linux program"),
        (b"PK\x03\x04", "a zip archive"),
        (b"Rar!", "a rar archive"),
        (b"7z\xbc\xaf", "a 7z archive"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\xd0\xcf\x11\xe0", "an old Office document"),
        (b"%PDF", "a PDF document"),
        (b"\x89PNG", "a PNG image"),
        (b"GIF8", "a GIF image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"{\\rtf", "an RTF document"),
    ];
    KINDS.iter().find(|(magic, _)| octets.starts_with(magic)).map(|(_, kind)| *kind)
}

/// Whether a file of this name can run.
pub(crate) fn is_runnable(name: &str) -> bool {
    const ENDINGS: [&str; 18] = [
        "exe", "scr", "pif", "com", "bat", "cmd", "vbs", "vbe", "js", "jse", "wsf", "hta", "lnk", "cpl",
        "msi", "jar", "ps1", "iso",
    ];
    let ending = name.rsplit('.').next().unwrap_or_default();
    name.contains('.') && ENDINGS.iter().any(|runnable| ending.eq_ignore_ascii_case(runnable))
}
