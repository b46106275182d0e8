//! Parameters as text, and the file name of an attachment (RFC 2183 §2.3, RFC 2231 §4).

use crate::charset::{decode_charset, decode_undeclared};
use crate::encoded_word::decode_field_text;
use crate::structure::{Parameter, Part};
use crate::transfer::hex_octet;

impl Parameter {
    /// The value as text. Encoded-words are decoded too: RFC 2047 §5 forbids them here, but most programs write them.
    pub fn text(&self) -> String {
        if !self.attribute.ends_with(b"*") {
            return decode_field_text(&self.value);
        }
        let mut pieces = self.value.splitn(3, |&octet| octet == b'\'');
        match (pieces.next(), pieces.next(), pieces.next()) {
            (Some(charset), Some(_language), Some(value)) => decode_charset(charset, &percent_decoded(value)),
            _ => decode_undeclared(&percent_decoded(&self.value)),
        }
    }
}

impl Part {
    /// The file name the sender suggests; never to be used as a path.
    pub fn file_name(&self) -> Option<String> {
        let disposition = self.disposition.as_ref().map(|disposition| disposition.parameters.as_slice());
        let disposition = disposition.unwrap_or_default();
        let named = |parameters: &[Parameter], attribute: &str| {
            let parameter = parameters.iter().find(|parameter| parameter.attribute == attribute.as_bytes());
            parameter.map(Parameter::text).filter(|name| !name.is_empty())
        };
        named(disposition, "filename*")
            .or_else(|| named(disposition, "filename"))
            .or_else(|| named(&self.parameters, "name*"))
            .or_else(|| named(&self.parameters, "name"))
    }
}

fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&octet, remaining)) = rest.split_first() {
        let escaped = match remaining {
            [high, low, ..] if octet == b'%' => hex_octet(*high, *low),
            _ => None,
        };
        decoded.push(escaped.unwrap_or(octet));
        rest = if escaped.is_some() { remaining.get(2..).unwrap_or_default() } else { remaining };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use crate::limits::Limits;
    use crate::scanner::Scanner;

    fn check(header: &str, expected: Option<&str>) {
        let mut scanner = Scanner::new(Limits::default());
        scanner.feed(header.as_bytes());
        assert_eq!(scanner.finish().structure.file_name().as_deref(), expected, "{header}");
    }

    #[test]
    fn file_names() {
        check("Content-Disposition: attachment; filename=\"a b.txt\"\n\n", Some("a b.txt"));
        check("Content-Disposition: attachment; filename=a; filename*=utf-8'de'%C3%A4\n\n", Some("ä"));
        check("Content-Disposition: attachment; filename*0*=iso-8859-1''%E4; filename*1=b\n\n", Some("äb"));
        check("Content-Disposition: attachment; filename=\"=?utf-8?B?w6Q=?=.txt\"\n\n", Some("ä.txt"));
        check("Content-Disposition: attachment; filename*=%C3%A4%ZZ%\n\n", Some("ä%ZZ%"));
        check("Content-Type: image/png; name=\"b\u{fc}.png\"\n\n", Some("bü.png"));
        check("Content-Disposition: inline\n\n", None);
        check("Content-Disposition: attachment; filename=\"\"\nContent-Type: a/b; name=c\n\n", Some("c"));
    }
}
