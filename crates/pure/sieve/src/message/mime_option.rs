//! What of a header field is compared: all of it, or what its MIME syntax says (RFC 5703 §4.1).

use message::{ContentType, Disposition, Parameter};

use super::header::HeaderField;
use super::parts::PARAMETERS_MAX;

/// Which part of a field's value the `header` test looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MimeOption<'a> {
    /// All of it.
    Whole,
    /// `:type`: the media type or the disposition.
    Type,
    /// `:subtype`: the media subtype.
    Subtype,
    /// `:contenttype`: `type/subtype`, or the disposition.
    ContentType,
    /// `:param`: the values of the parameters with these names.
    Parameters(&'a [String]),
}

impl MimeOption<'_> {
    /// The values a field has to be compared; none if the field does not have the syntax.
    pub fn values(self, field: &HeaderField) -> Vec<String> {
        let is_type = field.name().eq_ignore_ascii_case("Content-Type");
        let is_disposition = field.name().eq_ignore_ascii_case("Content-Disposition");
        match self {
            MimeOption::Whole => vec![field.text().to_owned()],
            MimeOption::Parameters(names) => parameter_values(field, is_type, names),
            _ if is_type => {
                let parsed = ContentType::parse_exact(field.raw(), PARAMETERS_MAX);
                parsed.map(|found| self.of_type(&found)).into_iter().collect()
            }
            _ if is_disposition => {
                let parsed = Disposition::parse(field.raw(), PARAMETERS_MAX);
                parsed.map(|found| self.of_disposition(&found)).into_iter().collect()
            }
            // RFC 5703 §4.1: what has no type is compared as a blank string.
            _ => vec![String::new()],
        }
    }

    fn of_type(self, found: &ContentType) -> String {
        let (media_type, subtype) = (text(&found.media_type), text(&found.subtype));
        match self {
            MimeOption::Type => media_type,
            MimeOption::Subtype => subtype,
            _ => format!("{media_type}/{subtype}"),
        }
    }

    fn of_disposition(self, found: &Disposition) -> String {
        match self {
            MimeOption::Subtype => String::new(),
            _ => text(&found.kind),
        }
    }
}

fn parameter_values(field: &HeaderField, is_type: bool, names: &[String]) -> Vec<String> {
    let parameters = if is_type {
        ContentType::parse_exact(field.raw(), PARAMETERS_MAX).map(|found| found.parameters)
    } else {
        Disposition::parse(field.raw(), PARAMETERS_MAX).map(|found| found.parameters)
    };
    let parameters = parameters.unwrap_or_default();
    names.iter().filter_map(|name| parameter(&parameters, name)).map(Parameter::text).collect()
}

/// A parameter by name, the one with a charset (RFC 2231) before the plain one.
fn parameter<'p>(parameters: &'p [Parameter], name: &str) -> Option<&'p Parameter> {
    let is_named = |attribute: &[u8]| attribute.eq_ignore_ascii_case(name.as_bytes());
    let extended = parameters.iter().find(|p| p.attribute.strip_suffix(b"*").is_some_and(is_named));
    extended.or_else(|| parameters.iter().find(|p| is_named(&p.attribute)))
}

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::address::AddressForm;
    use crate::message::header::Header;

    fn check(field: &str, option: MimeOption<'_>, expected: &[&str]) {
        let header = Header::read(field.as_bytes(), None, AddressForm::International);
        let field = header.fields().next().expect("a field");
        assert_eq!(option.values(field), expected, "{option:?}");
    }

    #[test]
    fn content_type() {
        let field = "Content-Type: Text/Calendar; method=request; charset=UTF-8;\r\n";
        check(field, MimeOption::Type, &["text"]);
        check(field, MimeOption::Subtype, &["calendar"]);
        check(field, MimeOption::ContentType, &["text/calendar"]);
        check(field, MimeOption::Whole, &["Text/Calendar; method=request; charset=UTF-8;"]);
        let names = ["method", "CHARSET", "none"].map(str::to_owned);
        check(field, MimeOption::Parameters(&names), &["request", "UTF-8"]);
        check("Content-Type: text\r\n", MimeOption::Type, &[]);
    }

    #[test]
    fn extended_parameters_are_decoded() {
        let field = "Content-Type: application/x-stuff;\r\n\ttitle*0*=us-ascii'en'This%20is%20even%20more%20;\r\n\
                     \ttitle*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n\ttitle*2=\"isn't it!\"\r\n";
        check(
            field,
            MimeOption::Parameters(&["title".to_owned()]),
            &["This is even more ***fun*** isn't it!"],
        );
    }

    #[test]
    fn disposition_and_other_fields() {
        let field = "Content-Disposition: inline; filename=\"frop.exe\"\r\n";
        check(field, MimeOption::Type, &["inline"]);
        check(field, MimeOption::Subtype, &[""]);
        check(field, MimeOption::ContentType, &["inline"]);
        check(field, MimeOption::Parameters(&["filename".to_owned()]), &["frop.exe"]);
        check("Subject: text/plain\r\n", MimeOption::Type, &[""]);
        check(
            "Autocrypt: x; addr=ann@example.org\r\n",
            MimeOption::Parameters(&["addr".to_owned()]),
            &["ann@example.org"],
        );
    }
}
