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

#[cfg(test)]
mod tests {
    use crate::extract::names;

    fn check(message: &str, sign: &str) {
        let found = names(message.as_bytes(), None);
        let told = found.values().any(|name| name == sign);
        assert!(told, "{sign}: {found:?}");
        let innocent = names(INNOCENT.as_bytes(), None);
        assert!(innocent.values().all(|name| name != sign), "{sign} in an innocent message");
    }

    const INNOCENT: &str = "From: Ann <ann@example.org>\nTo: bob@example.net\nSubject: the garden\n\
        Date: Mon, 5 Jan 2026 10:00:00 +0100\nMessage-ID: <1@example.org>\n\nSee https://example.org/garden for it.\n";

    #[test]
    fn headers_give_themselves_away() {
        check(
            "From: \"service@bank.example\" <a@b.example>\n\n",
            "an author's name that shows another address",
        );
        check("From: p\u{430}ypal <a@b.example>\n\n", "scripts mixed inside a word of the author's name");
        check("From: x12345@b.example\n\n", "many digits in the author's address");
        check("From: a@b.example\n\n", "an author without a name");
        check("From: a@b.example\nReply-To: c@d.example\n\n", "answers go elsewhere");
        check("Subject: WIN A PRIZE\n\n", "a subject in capitals");
        check("Subject: x\n\n", "no To field");
        check("Subject: get a f r e e b i e\n\n", "s p a c e d words in the subject");
        check("Subject: =?utf-8?Q?plain?=\n\n", "a subject encoded without need");
        check("Date: Tue, 5 Jan 2026 10:00:00 +0100\n\n", "a date with the wrong day of the week");
        check("Date: soon\n\n", "a date that cannot be read");
        check("Message-ID: x@y\n\n", "a Message-ID without angle brackets");
        check("no field\nSubject: x\n\n", "a header line that is no field");
    }

    #[test]
    fn markup_gives_itself_away() {
        let html = |text: &str| format!("Content-Type: text/html\n\n{text}\n");
        check(
            &html("<a href=\"http://evil.example/\">https://www.bank.example/login</a>"),
            "a link that shows another host than it leads to",
        );
        check(&html("<a href=http://10.0.0.1/>x</a>"), "a link to a number instead of a name");
        check(&html("<a href=http://bank.example@evil.example/>x</a>"), "a link with a name before its host");
        check(&html("<a href=http://xn--pypal-4ve.example/>x</a>"), "a link to a name in foreign letters");
        check(&html("V<!-- x -->iagra"), "comments inside words");
        check(&html("<img src=a><img src=b><img src=c> x"), "many images");
        check(&html("<img src=a>"), "HTML that shows no text");
        check("Subject: x\n\na\u{200b}b\n", "invisible characters");
        check("Subject: x\n\n<html><body>x\n", "HTML in plain text");
    }

    #[test]
    fn attachments_are_what_they_are() {
        let attached = |name: &str, octets: &str| {
            format!(
                "Content-Type: application/pdf; name=\"{name}\"\nContent-Transfer-Encoding: base64\n\n{octets}\n"
            )
        };
        check(&attached("bill.pdf", "TVqQAAMAAAA="), "an attached program");
        check(&attached("bill.pdf", "TVqQAAMAAAA="), "an attachment that really is a Windows program");
        check(&attached("bill.pdf.exe", "JVBERi0="), "an attached file that can run");
        check(&attached("bill.pdf", "JVBERi0="), "no text at all");
    }
}
