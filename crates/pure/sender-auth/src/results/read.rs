//! Reading Authentication-Results (RFC 8601 §2.2): comments and folds between all words, quoted strings, versions.

use mail_types::DomainName;

use super::is_same_name;

/// Octets of one field that are read.
pub const FIELD_OCTETS_MAX: usize = 16 * 1024;
/// Results of one field.
pub const RESULTS_MAX: usize = 64;
/// Properties of one result.
pub const PROPERTIES_MAX: usize = 32;
/// Deepest comment inside a comment.
pub const COMMENT_DEPTH_MAX: usize = 16;

/// Why a field is not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ResultsError {
    /// It is not as RFC 8601 has it.
    #[error("not an Authentication-Results field")]
    Malformed,
    /// It is larger or deeper than any.
    #[error("too large for an Authentication-Results field")]
    TooLarge,
}

/// What a field says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthenticationResults {
    /// Who says it.
    pub authserv_id: String,
    /// The version of the format; of others than 1 nothing else can be believed.
    pub version: u32,
    /// The results.
    pub results: Vec<ReadResult>,
}

/// One result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadResult {
    /// The check, in lower case.
    pub method: String,
    /// What came of it, in lower case.
    pub result: String,
    /// Why.
    pub reason: Option<String>,
    /// What was checked.
    pub properties: Vec<ReadProperty>,
}

/// A value that was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadProperty {
    /// Where it came from and what it is, in lower case: `header.d`.
    pub name: String,
    /// The value, without quotes.
    pub value: String,
}

impl AuthenticationResults {
    /// Reads a field's value.
    ///
    /// # Errors
    /// [`ResultsError`] for what is no such field.
    pub fn parse(value: &[u8]) -> Result<Self, ResultsError> {
        if value.len() > FIELD_OCTETS_MAX {
            return Err(ResultsError::TooLarge);
        }
        let text = std::str::from_utf8(value).map_err(|_| ResultsError::Malformed)?;
        let tokens = tokens(text)?;
        let mut sections = tokens.split(|token| token.kind == Kind::Mark(';'));
        let (authserv_id, version) = match sections.next().unwrap_or_default() {
            [id] => (id.text.clone(), 1),
            [id, version] => (id.text.clone(), version.text.parse().map_err(|_| ResultsError::Malformed)?),
            _ => return Err(ResultsError::Malformed),
        };
        if authserv_id.is_empty() {
            return Err(ResultsError::Malformed);
        }
        let mut results = Vec::new();
        for section in sections {
            match section {
                // A semicolon at the end; and `none`.
                [] => continue,
                [only] if only.text.eq_ignore_ascii_case("none") => continue,
                _ if results.len() >= RESULTS_MAX => return Err(ResultsError::TooLarge),
                section => results.push(read_result(section)?),
            }
        }
        Ok(Self { authserv_id, version, results })
    }

    /// Whether it names this server as its writer. Whoever reads results believes only those (RFC 8601 §5).
    #[must_use]
    pub fn is_of(&self, server: &DomainName) -> bool {
        is_same_name(&self.authserv_id, server)
    }
}

fn read_result(section: &[Token]) -> Result<ReadResult, ResultsError> {
    let mut pairs = Pairs { rest: section };
    let (method, result) = pairs.next_pair()?.ok_or(ResultsError::Malformed)?;
    // RFC 8601 §2.2: a version of the method may follow behind a slash.
    let method = method.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let mut read =
        ReadResult { method, result: result.to_ascii_lowercase(), reason: None, properties: Vec::new() };
    if read.method.is_empty() || read.result.is_empty() {
        return Err(ResultsError::Malformed);
    }
    while let Some((name, value)) = pairs.next_pair()? {
        let name = name.to_ascii_lowercase();
        if name == "reason" {
            read.reason.get_or_insert(value);
        } else if read.properties.len() >= PROPERTIES_MAX {
            return Err(ResultsError::TooLarge);
        } else {
            read.properties.push(ReadProperty { name, value });
        }
    }
    Ok(read)
}

/// `name=value` after `name=value`.
struct Pairs<'t> {
    rest: &'t [Token],
}

impl Pairs<'_> {
    fn next_pair(&mut self) -> Result<Option<(String, String)>, ResultsError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let name = self.name()?;
        let value = self.value()?;
        Ok(Some((name, value)))
    }

    /// Words up to the equals sign, which blanks part at dots and slashes only.
    fn name(&mut self) -> Result<String, ResultsError> {
        let mut name = String::new();
        while let Some((token, rest)) = self.rest.split_first() {
            self.rest = rest;
            match token.kind {
                Kind::Mark('=') if !name.is_empty() => return Ok(name),
                Kind::Word => {
                    let joins = |text: &str, at_end: bool| {
                        let char = if at_end { text.chars().next_back() } else { text.chars().next() };
                        matches!(char, Some('.' | '/'))
                    };
                    if !name.is_empty() && !joins(&name, true) && !joins(&token.text, false) {
                        return Err(ResultsError::Malformed);
                    }
                    name.push_str(&token.text);
                }
                _ => return Err(ResultsError::Malformed),
            }
        }
        Err(ResultsError::Malformed)
    }

    /// A word or quoted string, and whatever touches it: `"a b"@example.org`, base64 with its equals signs.
    fn value(&mut self) -> Result<String, ResultsError> {
        let Some((first, rest)) = self.rest.split_first() else { return Err(ResultsError::Malformed) };
        if first.kind == Kind::Mark('=') {
            return Err(ResultsError::Malformed);
        }
        let mut value = first.text.clone();
        self.rest = rest;
        while let Some((token, rest)) = self.rest.split_first() {
            if token.is_after_blank {
                break;
            }
            value.push_str(&token.text);
            self.rest = rest;
        }
        Ok(value)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Word,
    Quoted,
    Mark(char),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Token {
    kind: Kind,
    text: String,
    /// Whether blanks or comments stood before it.
    is_after_blank: bool,
}

fn tokens(text: &str) -> Result<Vec<Token>, ResultsError> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    let mut is_after_blank = true;
    while let Some(char) = chars.next() {
        let (kind, text) = match char {
            ' ' | '\t' | '\r' | '\n' => {
                is_after_blank = true;
                continue;
            }
            '(' => {
                skip_comment(&mut chars)?;
                is_after_blank = true;
                continue;
            }
            '"' => (Kind::Quoted, quoted_string(&mut chars)?),
            ';' | '=' => (Kind::Mark(char), char.to_string()),
            ')' | '\0' => return Err(ResultsError::Malformed),
            first => {
                let mut word = String::from(first);
                while let Some(next) = chars.next_if(|&next| !" \t\r\n()\";=\0".contains(next)) {
                    word.push(next);
                }
                (Kind::Word, word)
            }
        };
        tokens.push(Token { kind, text, is_after_blank });
        is_after_blank = false;
    }
    Ok(tokens)
}

fn skip_comment(chars: &mut impl Iterator<Item = char>) -> Result<(), ResultsError> {
    let mut depth = 1;
    while let Some(char) = chars.next() {
        match char {
            '\\' => {
                chars.next();
            }
            '(' if depth >= COMMENT_DEPTH_MAX => return Err(ResultsError::TooLarge),
            '(' => depth += 1,
            ')' if depth == 1 => return Ok(()),
            ')' => depth -= 1,
            _ => {}
        }
    }
    Err(ResultsError::Malformed)
}

fn quoted_string(chars: &mut impl Iterator<Item = char>) -> Result<String, ResultsError> {
    let mut text = String::new();
    while let Some(char) = chars.next() {
        match char {
            '"' => return Ok(text),
            '\\' => text.push(chars.next().ok_or(ResultsError::Malformed)?),
            '\r' | '\n' => {}
            '\0' => return Err(ResultsError::Malformed),
            other => text.push(other),
        }
    }
    Err(ResultsError::Malformed)
}
