//! What a body part says of itself, read as leniently as the most lenient mail program reads it, and where two programs would
//! read it differently (RFC 2045, 2046, 2183, 2231).

use message::{ContentType, Disposition, Parameter, TransferEncoding, decode_field_text, fields};

use crate::name::bounded;

/// Parameters of one field that are read. Real fields have few; a boundary behind many others is still found.
const PARAMETERS_MAX: usize = 200;

/// Names of one part that are judged: of the two fields, plain and extended, of fields given twice.
const NAMES_MAX: usize = 8;

/// What is inside a part, as far as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Leaf,
    /// Parts; with a boundary where one is given.
    Multipart,
    /// A message.
    Message,
    /// A piece of a message whose other pieces come by themselves, or a reference to one (RFC 2046 §5.2.2, §5.2.3).
    Elsewhere,
}

/// How a part's octets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Transfer(TransferEncoding),
    /// uuencode as an encoding of its own, which RFC 2045 never had and Outlook reads.
    Uuencode,
    /// A word that nobody knows.
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) form: Form,
    /// `type/subtype`, lower case.
    pub(crate) media_type: String,
    pub(crate) boundary: Option<Vec<u8>>,
    pub(crate) encoding: Encoding,
    /// All names it is given, the likeliest first.
    pub(crate) names: Vec<String>,
    /// Whether it is one of the texts of the message and no attachment.
    pub(crate) is_text: bool,
    pub(crate) is_digest: bool,
    /// Why others may read it differently, in words that follow the part.
    pub(crate) ambiguity: Option<&'static str>,
}

impl Declared {
    /// Reads a header; `is_digest_part` says that it is a message unless it says otherwise (RFC 2046 §5.1.5).
    pub(crate) fn read(header: &[u8], is_cut: bool, is_digest_part: bool) -> Declared {
        let Said { types, encodings, dispositions, later_names, is_repeated } = Said::read(header);
        let ambiguity = ambiguity(&types, &encodings, is_cut)
            .or(is_repeated.then_some("says again and again what it is"));
        let media_type = match (types.first(), is_digest_part) {
            (Some(found), _) => media_type(found),
            (None, true) => "message/rfc822".to_owned(),
            (None, false) => "text/plain".to_owned(),
        };
        let boundary = types.iter().find_map(|found| boundary(&found.parameters));
        let names = names(&types, &dispositions, later_names);
        let is_attached = dispositions.iter().any(|found| found.kind == b"attachment");
        Declared {
            form: form(&media_type),
            boundary,
            encoding: encodings
                .first()
                .map_or(Encoding::Transfer(TransferEncoding::Identity), |word| encoding(word)),
            is_text: media_type.starts_with("text/") && names.is_empty() && !is_attached,
            is_digest: media_type == "multipart/digest",
            names,
            media_type,
            ambiguity,
        }
    }
}

/// What a header's fields say, those given more than once too.
#[derive(Default)]
struct Said {
    types: Vec<ContentType>,
    encodings: Vec<Vec<u8>>,
    dispositions: Vec<Disposition>,
    /// Names that a field gives after another one: some programs take the last.
    later_names: Vec<String>,
    /// A field is given more often than is read, or gives two boundaries.
    is_repeated: bool,
}

/// Fields of one kind that are read.
const REPETITIONS_MAX: usize = 3;

impl Said {
    fn read(header: &[u8]) -> Said {
        let mut said = Said::default();
        for field in fields(header) {
            let count = if field.is_named("Content-Type") {
                said.types.push(ContentType::parse(field.value, PARAMETERS_MAX));
                said.is_repeated |= later_values(field.value, b"boundary").next().is_some();
                said.later_names.extend(later_values(field.value, b"name"));
                said.types.len()
            } else if field.is_named("Content-Disposition") {
                said.dispositions.extend(Disposition::parse(field.value, PARAMETERS_MAX));
                said.later_names.extend(later_values(field.value, b"filename"));
                said.dispositions.len()
            } else if field.is_named("Content-Transfer-Encoding") {
                said.encodings.push(encoding_word(&field.unfolded()));
                said.encodings.len()
            } else {
                0
            };
            if count >= REPETITIONS_MAX {
                said.is_repeated |= count > REPETITIONS_MAX;
                said.types.truncate(REPETITIONS_MAX);
                said.dispositions.truncate(REPETITIONS_MAX);
                said.encodings.truncate(REPETITIONS_MAX);
                said.later_names.truncate(NAMES_MAX);
            }
        }
        said
    }
}

/// What a parameter is said to be after it has been said once; the first counts elsewhere.
fn later_values<'v>(value: &'v [u8], attribute: &'static [u8]) -> impl Iterator<Item = String> + 'v {
    let values = value.split(|octet| *octet == b';').filter_map(move |piece| {
        let (name, rest) = piece.trim_ascii_start().split_at_checked(attribute.len())?;
        let value = rest.trim_ascii_start().strip_prefix(b"=")?;
        name.eq_ignore_ascii_case(attribute)
            .then(|| decode_field_text(value).trim_matches(['"', ' ', '\t']).to_owned())
    });
    values.skip(1).take(NAMES_MAX)
}

fn media_type(found: &ContentType) -> String {
    format!("{}/{}", String::from_utf8_lossy(&found.media_type), String::from_utf8_lossy(&found.subtype))
}

fn form(media_type: &str) -> Form {
    match media_type {
        "message/rfc822" | "message/global" | "message/news" => Form::Message,
        "message/partial" | "message/external-body" => Form::Elsewhere,
        other if other.starts_with("multipart/") => Form::Multipart,
        _ => Form::Leaf,
    }
}

/// The word without comment and parameters: `base64; x=y` and `base64 (really)` are written too.
fn encoding_word(value: &[u8]) -> Vec<u8> {
    let word = value.trim_ascii().split(|octet| matches!(octet, b';' | b' ' | b'\t' | b'(' | b',')).next();
    word.unwrap_or_default().iter().filter(|octet| **octet != b'"').map(u8::to_ascii_lowercase).collect()
}

fn encoding(word: &[u8]) -> Encoding {
    match word {
        b"x-uuencode" | b"uuencode" | b"x-uue" | b"uue" => Encoding::Uuencode,
        b"base-64" | b"b64" | b"x-base64" => Encoding::Transfer(TransferEncoding::Base64),
        b"quotedprintable" | b"qp" => Encoding::Transfer(TransferEncoding::QuotedPrintable),
        b"8-bit" | b"7-bit" => Encoding::Transfer(TransferEncoding::Identity),
        word => TransferEncoding::parse(word).map_or(Encoding::Unknown, Encoding::Transfer),
    }
}

fn ambiguity(types: &[ContentType], encodings: &[Vec<u8>], is_cut: bool) -> Option<&'static str> {
    let boundaries = |found: &ContentType| boundary(&found.parameters);
    let differ = |one: &ContentType, other: &ContentType| {
        media_type(one) != media_type(other) || boundaries(one) != boundaries(other)
    };
    if is_cut {
        return Some("has a header too long to be read to its end");
    }
    if types.windows(2).any(|two| matches!(two, [one, other] if differ(one, other))) {
        return Some("says twice what it is, each time something else");
    }
    if encodings.windows(2).any(|two| matches!(two, [one, other] if one != other)) {
        return Some("says twice how it is encoded, each time something else");
    }
    // Quoted-printable is often said of parts as a whole by programs that mean nothing by it.
    let has_encoding = encodings.first().is_some_and(|word| {
        matches!(encoding(word), Encoding::Transfer(TransferEncoding::Base64) | Encoding::Uuencode)
    });
    if has_encoding && types.first().is_some_and(|found| found.media_type == b"multipart") {
        return Some("encodes its parts as a whole, which only some programs undo");
    }
    if encodings.first().is_some_and(|word| encoding(word) == Encoding::Unknown) {
        return Some("is encoded in a way that nobody knows");
    }
    None
}

fn names(types: &[ContentType], dispositions: &[Disposition], later: Vec<String>) -> Vec<String> {
    let mut names = Vec::new();
    let in_dispositions = dispositions.iter().map(|found| (&found.parameters, "filename"));
    let in_types = types.iter().map(|found| (&found.parameters, "name"));
    for (parameters, attribute) in in_dispositions.chain(in_types) {
        for extended in [true, false] {
            let found = parameters.iter().find(|parameter| is_named(parameter, attribute, extended));
            let text = found.map(|found| bounded(found.text())).filter(|text| !text.trim().is_empty());
            names.extend(text.filter(|text| !names.contains(text)));
        }
    }
    for name in later.into_iter().map(bounded).filter(|name| !name.is_empty()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.truncate(NAMES_MAX);
    names
}

fn is_named(parameter: &Parameter, attribute: &str, extended: bool) -> bool {
    let name = parameter.attribute.as_slice();
    match name.strip_suffix(b"*") {
        Some(name) => extended && name == attribute.as_bytes(),
        None => !extended && name == attribute.as_bytes(),
    }
}

/// The boundary, without blanks at its end, which lines lose on their way; in the form of RFC 2231 too. None where it is empty.
fn boundary(parameters: &[Parameter]) -> Option<Vec<u8>> {
    let named = |attribute: &[u8]| parameters.iter().find(|parameter| parameter.attribute == attribute);
    let plain = named(b"boundary").map(|parameter| parameter.value.clone());
    let boundary = plain.or_else(|| named(b"boundary*").map(|parameter| parameter.text().into_bytes()));
    boundary.map(|boundary| boundary.trim_ascii_end().to_vec()).filter(|boundary| !boundary.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Declared {
        Declared::read(header.as_bytes(), false, false)
    }

    #[test]
    fn what_parts_say() {
        let plain = read("Subject: x\r\n\r\n");
        assert_eq!((plain.form, plain.media_type.as_str(), plain.is_text), (Form::Leaf, "text/plain", true));
        let digest = Declared::read(b"\r\n", false, true);
        assert_eq!(digest.form, Form::Message);
        let mixed = read("Content-Type: multipart/mixed; boundary=\"a b\"\r\n\r\n");
        assert_eq!((mixed.form, mixed.boundary.as_deref()), (Form::Multipart, Some(b"a b".as_slice())));
        for boundary in ["\"a b  \"", "\"a b\"; boundary=c", "\"a b\""] {
            let mixed = read(&format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n"));
            assert_eq!(mixed.boundary.as_deref(), Some(b"a b".as_slice()), "{boundary}");
        }
        let extended = read("Content-Type: multipart/mixed; boundary*=us-ascii'en'a%20b\r\n\r\n");
        assert_eq!(extended.boundary.as_deref(), Some(b"a b".as_slice()));
        assert_eq!(read("Content-Type: multipart/mixed; boundary=\" \"\r\n\r\n").boundary, None);
        let attached = read("Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\n");
        assert!(!attached.is_text);
    }

    #[test]
    fn all_names_are_judged() {
        let both = read(
            "Content-Type: image/png; name=\"b.png\"\r\nContent-Disposition: attachment; filename=a.exe; filename*=utf-8''c.txt\r\n\r\n",
        );
        assert_eq!(both.names, ["c.txt", "a.exe", "b.png"]);
        // CVE-2024-39929: a name in pieces over several lines.
        let pieces =
            read("Content-Disposition: attachment; filename*0=\"evil.e\";\r\n filename*1=\"xe\"\r\n\r\n");
        assert_eq!(pieces.names, ["evil.exe"]);
        let twice = read(
            "Content-Disposition: inline; filename=a.txt\r\nContent-Disposition: attachment; filename=a.exe\r\n\r\n",
        );
        assert_eq!(twice.names, ["a.txt", "a.exe"]);
        let twice = read("Content-Disposition: attachment; filename=\"a.txt\"; FileName = \"a.exe\"\r\n\r\n");
        assert_eq!(twice.names, ["a.txt", "a.exe"]);
        let twice = read("Content-Type: a/b; name=a.txt;\r\n name=a.exe\r\n\r\n");
        assert_eq!(twice.names, ["a.txt", "a.exe"]);
    }

    #[test]
    fn encodings_as_they_are_written() {
        for (word, expected) in [
            ("base64", Encoding::Transfer(TransferEncoding::Base64)),
            ("Base64; x=y", Encoding::Transfer(TransferEncoding::Base64)),
            (" \"base64\" (really)", Encoding::Transfer(TransferEncoding::Base64)),
            ("x-uuencode", Encoding::Uuencode),
            ("8bit", Encoding::Transfer(TransferEncoding::Identity)),
            ("rot13", Encoding::Unknown),
        ] {
            assert_eq!(
                read(&format!("Content-Transfer-Encoding: {word}\r\n\r\n")).encoding,
                expected,
                "{word}"
            );
        }
    }

    #[test]
    fn what_programs_read_differently() {
        for header in [
            "Content-Type: text/plain\r\nContent-Type: application/zip\r\n\r\n",
            "Content-Type: multipart/mixed; boundary=a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
            "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            "Content-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            "Content-Transfer-Encoding: rot13\r\n\r\n",
            "Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n",
        ] {
            assert!(read(header).ambiguity.is_some(), "{header}");
        }
        for (count, is_told) in
            [(REPETITIONS_MAX - 1, false), (REPETITIONS_MAX, false), (REPETITIONS_MAX + 1, true)]
        {
            for field in
                ["Content-Type: a/b\r\n", "Content-Disposition: x\r\n", "Content-Transfer-Encoding: 7bit\r\n"]
            {
                assert_eq!(read(&field.repeat(count)).ambiguity.is_some(), is_told, "{count} {field}");
            }
        }
        assert!(Declared::read(b"A: b\r\n", true, false).ambiguity.is_some());
        let same = "Content-Type: text/plain\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n";
        assert_eq!(read(same).ambiguity, None);
    }

    #[test]
    fn floods_of_parameters_and_names() {
        for (count, is_found) in [(PARAMETERS_MAX - 1, true), (PARAMETERS_MAX, false)] {
            let flood: String = (0..count).map(|number| format!("; p{number}=v")).collect();
            let found = read(&format!("Content-Type: multipart/mixed{flood}; boundary=b\r\n\r\n"));
            assert_eq!(found.boundary.is_some(), is_found);
        }
        let fields: String = (0..6).map(|n| format!("Content-Disposition: x; filename=a{n}; filename*=b{n}\r\nContent-Type: a/b; name=c{n}; name*=d{n}\r\n")).collect();
        assert_eq!(read(&format!("{fields}\r\n")).names.len(), NAMES_MAX);
    }
}
