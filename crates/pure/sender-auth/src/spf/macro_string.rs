//! Macro strings: what SPF records and explanations are made of (RFC 7208 §7).

use std::fmt;

/// Longest name that DNS can carry, written with dots.
const NAME_OCTETS_MAX: usize = 253;

/// Text with macros in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MacroString(Vec<Part>);

/// A macro string whose expansion is a name to look up (`domain-spec`): it ends with a macro or with a top label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DomainSpec(MacroString);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Literal(Box<str>),
    /// `%%`.
    Percent,
    /// `%_`: a blank.
    Blank,
    /// `%-`: a blank as URLs write it.
    UrlBlank,
    Macro(Macro),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Macro {
    letter: MacroLetter,
    case: LetterCase,
    /// How many parts are kept, counted from the right.
    kept: Option<u16>,
    order: Order,
    /// Where the value is parted; at dots if there are none.
    delimiters: Box<str>,
}

/// An upper-case letter asks for URL escapes (RFC 7208 §7.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LetterCase {
    Lower,
    Upper,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    AsIs,
    Reversed,
}

/// What a macro stands for (RFC 7208 §7.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MacroLetter {
    /// `s`: the sender, local part and domain.
    Sender,
    /// `l`: the sender's local part.
    LocalPart,
    /// `o`: the sender's domain.
    SenderDomain,
    /// `d`: the domain whose record this is.
    Domain,
    /// `i`: the client's address, dotted.
    Address,
    /// `p`: a name that the client's address gives itself and that agrees.
    ValidatedName,
    /// `v`: `in-addr` or `ip6`.
    ReverseZone,
    /// `h`: the name the client gave itself.
    Helo,
    /// `c`: the client's address as people read it; in explanations only.
    ReadableAddress,
    /// `r`: the host that checks; in explanations only.
    Receiver,
    /// `t`: seconds since 1970; in explanations only.
    Timestamp,
}

const LETTERS: [(u8, MacroLetter); 11] = [
    (b's', MacroLetter::Sender),
    (b'l', MacroLetter::LocalPart),
    (b'o', MacroLetter::SenderDomain),
    (b'd', MacroLetter::Domain),
    (b'i', MacroLetter::Address),
    (b'p', MacroLetter::ValidatedName),
    (b'v', MacroLetter::ReverseZone),
    (b'h', MacroLetter::Helo),
    (b'c', MacroLetter::ReadableAddress),
    (b'r', MacroLetter::Receiver),
    (b't', MacroLetter::Timestamp),
];

impl MacroLetter {
    fn is_for_explanations(self) -> bool {
        matches!(self, Self::ReadableAddress | Self::Receiver | Self::Timestamp)
    }

    fn octet(self) -> u8 {
        LETTERS.iter().find(|(_, letter)| *letter == self).map_or(b'?', |(octet, _)| *octet)
    }
}

/// A text is no macro string: a stray `%`, an unknown letter or transformer, or a character that has no place there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a macro string")]
pub struct MacroError;

impl MacroString {
    /// Reads the `macro-string` of a term: no blanks.
    ///
    /// # Errors
    /// [`MacroError`] for anything that RFC 7208 §7.1 does not allow.
    pub fn parse(text: &str) -> Result<Self, MacroError> {
        read_parts(text.as_bytes(), |octet| octet.is_ascii_graphic())
    }

    /// Reads an `explain-string`, which may have blanks.
    ///
    /// # Errors
    /// [`MacroError`] for anything that RFC 7208 §7.1 does not allow.
    pub fn parse_explanation(text: &[u8]) -> Result<Self, MacroError> {
        read_parts(text, |octet| octet.is_ascii_graphic() || octet == b' ')
    }

    /// Writes out each macro, from left to right, until `octets_max` octets are there.
    pub(super) fn expand<E>(
        &self,
        octets_max: usize,
        mut value_of: impl FnMut(MacroLetter) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut text = String::new();
        for part in &self.0 {
            part.expand_into(&mut text, &mut value_of)?;
            if text.len() >= octets_max {
                text.truncate(text.floor_char_boundary(octets_max));
                break;
            }
        }
        Ok(text)
    }
}

impl DomainSpec {
    /// Reads a `domain-spec`.
    ///
    /// # Errors
    /// [`MacroError`] also if the text ends with neither a macro nor a top label, or has one of `%{c}`, `%{r}`, `%{t}`.
    pub fn parse(text: &str) -> Result<Self, MacroError> {
        let string = MacroString::parse(text)?;
        let only_for_terms = string
            .0
            .iter()
            .all(|part| !matches!(part, Part::Macro(part) if part.letter.is_for_explanations()));
        let ends_well = match string.0.last() {
            None => false,
            Some(Part::Literal(_)) => {
                let labels = text.strip_suffix('.').unwrap_or(text);
                labels.rsplit_once('.').is_some_and(|(_, label)| is_top_label(label))
            }
            Some(_) => true,
        };
        if only_for_terms && ends_well { Ok(Self(string)) } else { Err(MacroError) }
    }

    /// The name that it stands for. What is too long for DNS loses labels on the left (RFC 7208 §7.3), so it is written
    /// from the right, and what would be lost is never expanded.
    pub(super) fn expand<E>(
        &self,
        mut value_of: impl FnMut(MacroLetter) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut name = String::new();
        let without_dot = |name: &str| name.strip_suffix('.').map_or(name.len(), str::len);
        for part in self.0.0.iter().rev() {
            let mut piece = String::new();
            part.expand_into(&mut piece, &mut value_of)?;
            name.insert_str(0, &piece);
            if without_dot(&name) > NAME_OCTETS_MAX {
                break;
            }
        }
        while without_dot(&name) > NAME_OCTETS_MAX {
            match name.find('.') {
                Some(dot) => drop(name.drain(..=dot)),
                None => name.clear(),
            }
        }
        Ok(name)
    }
}

/// RFC 7208 §7.1 `toplabel`: letters, digits and hyphens, no hyphen at an end, not digits alone.
pub(super) fn is_top_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|octet| octet.is_ascii_digit())
}

fn read_parts(mut text: &[u8], is_literal: impl Fn(u8) -> bool) -> Result<MacroString, MacroError> {
    let mut parts = Vec::new();
    while !text.is_empty() {
        let end = memchr::memchr(b'%', text).unwrap_or(text.len());
        let (literal, rest) = text.split_at(end);
        if !literal.is_empty() {
            let literal = std::str::from_utf8(literal).map_err(|_| MacroError)?;
            if !literal.bytes().all(&is_literal) {
                return Err(MacroError);
            }
            parts.push(Part::Literal(literal.into()));
        }
        text = match rest {
            [] => rest,
            [b'%', b'%', rest @ ..] => {
                parts.push(Part::Percent);
                rest
            }
            [b'%', b'_', rest @ ..] => {
                parts.push(Part::Blank);
                rest
            }
            [b'%', b'-', rest @ ..] => {
                parts.push(Part::UrlBlank);
                rest
            }
            [b'%', b'{', rest @ ..] => {
                let end = memchr::memchr(b'}', rest).ok_or(MacroError)?;
                let (inner, rest) = rest.split_at(end);
                parts.push(Part::Macro(Macro::parse(inner)?));
                rest.strip_prefix(b"}").unwrap_or(rest)
            }
            _ => return Err(MacroError),
        };
    }
    Ok(MacroString(parts))
}

impl Macro {
    /// Reads what stands between the braces: a letter, digits, `r`, delimiters.
    fn parse(inner: &[u8]) -> Result<Self, MacroError> {
        let (first, rest) = inner.split_first().ok_or(MacroError)?;
        let lower = first.to_ascii_lowercase();
        let (_, letter) = LETTERS.iter().find(|(octet, _)| *octet == lower).ok_or(MacroError)?;
        let case = if first.is_ascii_uppercase() { LetterCase::Upper } else { LetterCase::Lower };
        let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        let (digits, rest) = rest.split_at(digits);
        let kept = digits
            .iter()
            .fold(0_u16, |kept, digit| kept.saturating_mul(10).saturating_add(u16::from(digit - b'0')));
        if kept == 0 && !digits.is_empty() {
            return Err(MacroError);
        }
        let (order, delimiters) = match rest {
            [b'r' | b'R', rest @ ..] => (Order::Reversed, rest),
            rest => (Order::AsIs, rest),
        };
        if !delimiters.iter().all(|octet| b".-+,/_=".contains(octet)) {
            return Err(MacroError);
        }
        let delimiters = std::str::from_utf8(delimiters).map_err(|_| MacroError)?;
        let kept = (kept > 0).then_some(kept);
        Ok(Self { letter: *letter, case, kept, order, delimiters: delimiters.into() })
    }

    /// Parts, turns, cuts and joins a value, and escapes it (RFC 7208 §7.3).
    fn transform(&self, value: &str) -> String {
        let is_delimiter = |character: char| match &*self.delimiters {
            "" => character == '.',
            delimiters => delimiters.contains(character),
        };
        let mut parts: Vec<&str> = value.split(is_delimiter).collect();
        if self.order == Order::Reversed {
            parts.reverse();
        }
        let kept = self.kept.map_or(parts.len(), usize::from);
        let joined = parts.get(parts.len().saturating_sub(kept)..).unwrap_or_default().join(".");
        match self.case {
            LetterCase::Lower => joined,
            LetterCase::Upper => url_escaped(&joined),
        }
    }
}

/// All but the unreserved characters of RFC 3986 §2.3 as `%XX`.
fn url_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            escaped.push(char::from(octet));
        } else {
            escaped += &format!("%{octet:02X}");
        }
    }
    escaped
}

impl Part {
    fn expand_into<E>(
        &self,
        text: &mut String,
        value_of: &mut impl FnMut(MacroLetter) -> Result<String, E>,
    ) -> Result<(), E> {
        match self {
            Self::Literal(literal) => text.push_str(literal),
            Self::Percent => text.push('%'),
            Self::Blank => text.push(' '),
            Self::UrlBlank => text.push_str("%20"),
            Self::Macro(part) => text.push_str(&part.transform(&value_of(part.letter)?)),
        }
        Ok(())
    }
}

impl fmt::Display for MacroString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Literal(literal) => f.write_str(literal),
            Part::Percent => f.write_str("%%"),
            Part::Blank => f.write_str("%_"),
            Part::UrlBlank => f.write_str("%-"),
            Part::Macro(part) => part.fmt(f),
        })
    }
}

impl fmt::Display for Macro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.case {
            LetterCase::Lower => self.letter.octet(),
            LetterCase::Upper => self.letter.octet().to_ascii_uppercase(),
        };
        write!(f, "%{{{}", char::from(letter))?;
        if let Some(kept) = self.kept {
            write!(f, "{kept}")?;
        }
        if self.order == Order::Reversed {
            f.write_str("r")?;
        }
        write!(f, "{}}}", self.delimiters)
    }
}

impl fmt::Display for DomainSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// The values of RFC 7208 §7.4.
    fn value_of(letter: MacroLetter) -> Result<String, Infallible> {
        Ok(match letter {
            MacroLetter::Sender => "strong-bad@email.example.com",
            MacroLetter::LocalPart => "strong-bad",
            MacroLetter::SenderDomain | MacroLetter::Domain => "email.example.com",
            MacroLetter::Address => "192.0.2.3",
            MacroLetter::ReverseZone => "in-addr",
            MacroLetter::Helo => "a.b=c d",
            _ => "other",
        }
        .to_owned())
    }

    fn expanded(text: &str) -> String {
        let Ok(expanded) = MacroString::parse(text).unwrap().expand(1000, value_of);
        expanded
    }

    #[test]
    fn macros_expand_as_the_rfc_shows() {
        for (text, expected) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{H}", "a.b%3Dc%20d"),
            ("%{H1=}", "c%20d"),
            ("%%%_%-", "% %20"),
            ("%{d128}", "email.example.com"),
            ("%{d99999999}", "email.example.com"),
        ] {
            assert_eq!(expanded(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_macro_is_refused() {
        for text in
            ["%", "%(d)", "%{", "%{}", "%{x}", "%{d0}", "%{d00}", "%{dr2}", "%{d;}", "%a", "a b", "ä", "a\0"]
        {
            assert!(MacroString::parse(text).is_err(), "{text:?}");
        }
        assert!(MacroString::parse_explanation(b"See %{r} at %{t}.").is_ok());
        assert!(MacroString::parse_explanation(b"a\tb").is_err());
        for text in [
            "", "museum", "museum.", "a.123", "a.-b", "a.b-", "a.b/24", "%{d}b", "%{d}.1", "%{r}.a.b", "%{t}",
        ] {
            assert!(DomainSpec::parse(text).is_err(), "{text:?}");
        }
        for text in ["a.b", "a.b.", "%{d}", "%{d}.b", "a:b/c.d", "a.%%", "a..b", ".b", "a.1-2", "%-"] {
            assert_eq!(DomainSpec::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn long_names_lose_labels_on_the_left() {
        let name = |text: &str| {
            let Ok(name) = DomainSpec::parse(text).unwrap().expand(value_of);
            name
        };
        let tail = format!("{}.b", ["a"; 125].join("."));
        assert_eq!(tail.len(), 251);
        assert_eq!(name(&format!("x.{tail}")), format!("x.{tail}"));
        assert_eq!(name(&format!("x.{tail}.")), format!("x.{tail}."));
        assert_eq!(name(&format!("xx.{tail}")), tail);
        assert_eq!(name(&format!("%{{d}}.xx.{tail}")), tail);
        assert_eq!(name(&format!("{}.%{{d}}", "x".repeat(300))), "email.example.com");
        assert_eq!(name(&format!("{}%{{d1}}", "x".repeat(300))), "");
    }
}
