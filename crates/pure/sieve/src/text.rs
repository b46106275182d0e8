//! Strings of a script: constants, or texts with variables in them (RFC 5229 §3, RFC 5228 §2.4.2.4).

use std::borrow::Cow;

/// Highest number of a match variable. RFC 5229 §3.2 asks for 9.
pub(crate) const MATCH_VARIABLES_MAX: usize = 32;

/// A string of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Constant(Box<[u8]>),
    Parts(Box<[Part]>),
}

/// A piece of a string with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(Box<[u8]>),
    /// `${1}`.
    Match(u8),
    /// A variable by its number in the script.
    Variable(u16),
}

impl Part {
    /// Octets that stand in the script.
    pub(crate) fn literal_octets(&self) -> usize {
        match self {
            Part::Literal(octets) => octets.len(),
            Part::Match(_) | Part::Variable(_) => 0,
        }
    }
}

impl Text {
    /// The octets, if no variable has a say.
    pub(crate) fn constant(&self) -> Option<&[u8]> {
        match self {
            Text::Constant(octets) => Some(octets),
            Text::Parts(_) => None,
        }
    }

    /// The octets as UTF-8, if no variable has a say.
    pub(crate) fn constant_str(&self) -> Option<&str> {
        std::str::from_utf8(self.constant()?).ok()
    }
}

/// A reference to a variable, `${name}`, with its octets in all.
pub(crate) enum Reference<'t> {
    Match(usize),
    Name(&'t str),
}

/// Reads the reference a text begins with.
pub(crate) fn reference(text: &[u8]) -> Option<(Reference<'_>, usize)> {
    let rest = text.strip_prefix(b"${")?;
    let end = rest.iter().position(|&octet| !(octet.is_ascii_alphanumeric() || b"_.".contains(&octet)))?;
    if rest.get(end) != Some(&b'}') {
        return None;
    }
    let name = std::str::from_utf8(rest.get(..end)?).ok()?;
    let reference = if !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_digit()) {
        Reference::Match(name.parse().unwrap_or(usize::MAX))
    } else if is_variable_name(name) {
        Reference::Name(name)
    } else {
        return None;
    };
    Some((reference, end + 3))
}

/// Identifiers with dots between them (RFC 5229 §3).
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.split('.').all(|identifier| {
        identifier.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && identifier.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
    })
}

/// Decodes `${hex:..}` and `${unicode:..}`; `Err` tells of a character that does not exist.
pub(crate) fn decode_characters(text: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    if memchr::memmem::find(text, b"${").is_none() {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, behind)) = rest.split_first() {
        match encoded(rest) {
            Some((form, digits, behind)) => {
                decode_one(form, digits, &mut decoded)?;
                rest = behind;
            }
            None => {
                decoded.push(octet);
                rest = behind;
            }
        }
    }
    Ok(Cow::Owned(decoded))
}

#[derive(Clone, Copy)]
enum Form {
    Hex,
    Unicode,
}

/// Splits an encoded character off: its form, what is between colon and brace, what comes behind it.
fn encoded(text: &[u8]) -> Option<(Form, &[u8], &[u8])> {
    let rest = text.strip_prefix(b"${")?;
    let (form, rest) =
        [("hex:", Form::Hex), ("unicode:", Form::Unicode)].into_iter().find_map(|(name, form)| {
            let (start, rest) = rest.split_at_checked(name.len())?;
            start.eq_ignore_ascii_case(name.as_bytes()).then_some((form, rest))
        })?;
    let end = rest.iter().position(|octet| !(octet.is_ascii_hexdigit() || b" \t\r\n".contains(octet)))?;
    let (digits, behind) = rest.split_at(end);
    let behind = behind.strip_prefix(b"}")?;
    let mut words = words(digits).peekable();
    words.peek()?;
    let fits = |word: &[u8]| matches!(form, Form::Unicode) || word.len() <= 2;
    words.all(fits).then_some((form, digits, behind))
}

fn words(digits: &[u8]) -> impl Iterator<Item = &[u8]> {
    digits.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

fn decode_one(form: Form, digits: &[u8], decoded: &mut Vec<u8>) -> Result<(), String> {
    for word in words(digits) {
        let word = std::str::from_utf8(word).unwrap_or_default();
        let significant = word.trim_start_matches('0');
        let number = if significant.is_empty() { Ok(0) } else { u32::from_str_radix(significant, 16) };
        match form {
            Form::Hex => decoded.extend(number.ok().and_then(|number| u8::try_from(number).ok())),
            Form::Unicode => {
                let character = number.ok().and_then(char::from_u32);
                let character = character.ok_or_else(|| format!("there is no character U+{word}"))?;
                decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    Ok(())
}

/// Whether a text begins like an encoded character, and would be decoded.
pub(crate) fn is_encoded_character(text: &[u8]) -> bool {
    encoded(text).is_some()
}
