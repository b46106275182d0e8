//! What rules of files look at: header fields in their forms, the text in paragraphs, links; made once for a message, when first asked.

use std::cell::OnceCell;

use message::{Content, Part, decode_field_text, fields};

use super::draft::HeaderTest;
use crate::facts::Facts;
use crate::letter::{Letter, PARTS_MAX};

/// Octets of parts' headers that are looked at, in each.
const PART_HEADER_OCTETS_MAX: usize = 8 * 1024;

/// A field in one of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldSource {
    pub(super) name: FieldName,
    pub(super) form: Form,
    which: Which,
}

/// Whose values are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FieldName {
    All,
    ToCc,
    MessageIds,
    EnvelopeFrom,
    /// The hosts that have passed the message on outside of our own.
    Relays,
    /// Those inside, of which there are none.
    OwnRelays,
    Named(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Decoded and without folds.
    Text,
    /// As it stands.
    Raw,
    Address,
    Name,
}

/// Which of several fields of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Every,
    First,
    Last,
}

impl FieldSource {
    pub(super) fn new(test: &HeaderTest) -> Result<FieldSource, String> {
        let name = match test.field.as_str() {
            "ALL" => FieldName::All,
            "MESSAGEID" => FieldName::MessageIds,
            "X-Spam-Relays-External" | "X-Spam-Relays-Untrusted" => FieldName::Relays,
            "X-Spam-Relays-Internal" | "X-Spam-Relays-Trusted" => FieldName::OwnRelays,
            "ALL-TRUSTED" | "ALL-INTERNAL" | "ALL-UNTRUSTED" | "ALL-EXTERNAL" => {
                return Err("it looks at fields by the host that has added them".to_owned());
            }
            name if name.eq_ignore_ascii_case("tocc") => FieldName::ToCc,
            name if name.eq_ignore_ascii_case("envelopefrom") => FieldName::EnvelopeFrom,
            name => FieldName::Named(name.to_owned()),
        };
        FieldSource { name, form: Form::Text, which: Which::Every }.with(&test.forms)
    }

    pub(super) fn part(test: &HeaderTest) -> Result<FieldSource, String> {
        let name = if test.field == "ALL" { FieldName::All } else { FieldName::Named(test.field.clone()) };
        FieldSource { name, form: Form::Text, which: Which::Every }.with(&test.forms)
    }

    fn with(mut self, forms: &[String]) -> Result<FieldSource, String> {
        for form in forms {
            match form.as_str() {
                "raw" => self.form = Form::Raw,
                "addr" => self.form = Form::Address,
                "name" => self.form = Form::Name,
                "first" => self.which = Which::First,
                "last" => self.which = Which::Last,
                other => return Err(format!("it looks at a form of a field that is not known, {other}")),
            }
        }
        Ok(self)
    }
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(Vec<u8>),
    Unset,
    /// Whether there is such a field is not known.
    Unknown,
}

/// What rules look at in one message.
pub(super) struct Sources<'m> {
    letter: &'m Letter<'m>,
    facts: &'m Facts<'m>,
    body: OnceCell<Vec<u8>>,
    uris: OnceCell<Vec<u8>>,
    part_headers: OnceCell<Vec<&'m [u8]>>,
}

impl<'m> Sources<'m> {
    pub(super) fn new(letter: &'m Letter<'m>, facts: &'m Facts<'m>) -> Sources<'m> {
        let (body, uris, part_headers) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Sources { letter, facts, body, uris, part_headers }
    }

    /// All octets that are looked at.
    pub(super) fn full(&self) -> &[u8] {
        self.letter.octets
    }

    /// Texts without their encodings.
    pub(super) fn raw_bodies(&self) -> impl Iterator<Item = &[u8]> {
        self.letter.texts.iter().map(|text| text.octets.as_slice())
    }

    /// The subject and the paragraphs of all texts, a line each.
    pub(super) fn body(&self) -> &[u8] {
        self.body.get_or_init(|| {
            let mut body = self.letter.text("subject").unwrap_or_default().replace(['\r', '\n'], " ");
            body.push('\n');
            for text in &self.letter.texts {
                paragraphs(text.shown(), &mut body);
            }
            body.into_bytes()
        })
    }

    /// Links, a line each.
    pub(super) fn uris(&self) -> &[u8] {
        self.uris.get_or_init(|| {
            let mut uris = String::new();
            for link in &self.letter.links {
                if link.target.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www.")) {
                    uris.push_str("http://");
                }
                uris.push_str(&link.target);
                uris.push('\n');
            }
            uris.into_bytes()
        })
    }

    /// A field's values.
    pub(super) fn field(&self, source: &FieldSource) -> Value {
        let mut text = Vec::new();
        match &source.name {
            FieldName::All => {
                for field in &self.letter.fields {
                    text.extend_from_slice(field.name);
                    text.push(b':');
                    match source.form {
                        Form::Raw => text.extend_from_slice(field.folded),
                        _ => {
                            text.push(b' ');
                            push_decoded(&field.value, &mut text);
                        }
                    }
                    text.push(b'\n');
                }
            }
            FieldName::ToCc => {
                self.push_all("to", source, &mut text);
                self.push_all("cc", source, &mut text);
            }
            FieldName::MessageIds => {
                for name in ["message-id", "resent-message-id", "x-message-id"] {
                    self.push_all(name, source, &mut text);
                }
            }
            FieldName::EnvelopeFrom => match self.facts.reverse_path {
                Some(path) => push_line(path.as_bytes(), &mut text),
                None if self.letter.field("return-path").is_some() => {
                    let source = FieldSource { form: Form::Address, ..source.clone() };
                    self.push_all("return-path", &source, &mut text);
                }
                None => return Value::Unknown,
            },
            FieldName::Relays => match self.relay() {
                Some(relay) => push_line(relay.as_bytes(), &mut text),
                None => return Value::Unknown,
            },
            FieldName::OwnRelays => {
                return if self.facts.client.is_some() { Value::Unset } else { Value::Unknown };
            }
            FieldName::Named(name) => {
                self.push_all(name, source, &mut text);
                if text.is_empty() && self.letter.field(name).is_none() {
                    return Value::Unset;
                }
            }
        }
        if text.is_empty() { Value::Unset } else { Value::Text(text) }
    }

    /// Whether there is a field.
    pub(super) fn has_field(&self, source: &FieldSource) -> bool {
        match &source.name {
            FieldName::Named(name) => self.letter.field(name).is_some(),
            _ => matches!(self.field(source), Value::Text(_)),
        }
    }

    /// A field of each part that has it.
    pub(super) fn part_fields(&self, source: &FieldSource) -> Vec<Vec<u8>> {
        let headers = self.part_headers.get_or_init(|| {
            let mut headers = Vec::new();
            part_headers(self.letter.octets, &self.letter.structure, &mut headers);
            headers
        });
        let mut found = Vec::new();
        for header in headers {
            for field in fields(header) {
                let is_meant = match &source.name {
                    FieldName::Named(name) => field.is_named(name),
                    _ => !field.name.is_empty(),
                };
                if !is_meant {
                    continue;
                }
                let mut text = Vec::new();
                match source.form {
                    Form::Raw => push_line(field.value, &mut text),
                    _ => push_decoded(&field.unfolded(), &mut text),
                }
                found.push(text);
            }
        }
        found
    }

    fn push_all(&self, name: &str, source: &FieldSource, text: &mut Vec<u8>) {
        let all: Vec<_> = self.letter.all(name).collect();
        let chosen = match source.which {
            Which::Every => all.as_slice(),
            Which::First => all.get(..1).unwrap_or_default(),
            Which::Last => all.get(all.len().saturating_sub(1)..).unwrap_or_default(),
        };
        for field in chosen {
            match source.form {
                Form::Raw => push_line(field.folded, text),
                Form::Text => {
                    push_decoded(&field.value, text);
                    text.push(b'\n');
                }
                Form::Address | Form::Name => {
                    for person in self.letter.people(name) {
                        let address = format!("{}@{}", person.local, person.domain);
                        let form = if source.form == Form::Address { address } else { person.name };
                        push_line(form.as_bytes(), text);
                    }
                    return;
                }
            }
        }
    }

    /// The host that gave us the message, in SpamAssassin's form.
    fn relay(&self) -> Option<String> {
        let client = self.facts.client?;
        let text = |text: Option<&str>| text.unwrap_or_default().replace(char::is_whitespace, "");
        Some(format!(
            "[ ip={client} rdns={} helo={} by= ident= envfrom={} intl=0 id= auth= msa=0 ]",
            text(self.facts.reverse_name),
            text(self.facts.helo),
            text(self.facts.reverse_path),
        ))
    }
}

fn push_line(octets: &[u8], text: &mut Vec<u8>) {
    text.extend_from_slice(octets);
    text.push(b'\n');
}

fn push_decoded(value: &[u8], text: &mut Vec<u8>) {
    if value.windows(2).any(|two| two == b"=?") {
        text.extend_from_slice(decode_field_text(value).as_bytes());
    } else {
        text.extend_from_slice(value);
    }
}

/// Appends the paragraphs of a text, each on a line with single blanks.
fn paragraphs(text: &str, body: &mut String) {
    let (mut has_begun, mut blanks, mut line_ends) = (false, 0, 0);
    for c in text.chars() {
        if c.is_whitespace() {
            blanks += 1;
            line_ends += usize::from(c == '\n');
            continue;
        }
        if has_begun && blanks > 0 {
            body.push(if line_ends > 1 { '\n' } else { ' ' });
        }
        body.push(c);
        (has_begun, blanks, line_ends) = (true, 0, 0);
    }
    body.push('\n');
}

fn part_headers<'m>(octets: &'m [u8], part: &Part, headers: &mut Vec<&'m [u8]>) {
    if headers.len() >= PARTS_MAX {
        return;
    }
    let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(octets.len());
    let header = octets.get(place(part.header.start)..place(part.header.end)).unwrap_or_default();
    headers.push(header.get(..PART_HEADER_OCTETS_MAX).unwrap_or(header));
    match &part.content {
        Content::Multipart(parts) => parts.iter().for_each(|part| part_headers(octets, part, headers)),
        Content::Message(embedded) => part_headers(octets, &embedded.structure, headers),
        Content::Leaf => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_stand_on_a_line_each() {
        let mut body = String::new();
        paragraphs("  a  b\nc\r\n \n\nd\n", &mut body);
        assert_eq!(body, "a b c\nd\n");
    }
}
