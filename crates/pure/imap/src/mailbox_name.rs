//! Mailbox names between the wire and the house: modified UTF-7 or UTF-8, and either separator (RFC 9051 §5.1, RFC 3501 §5.1.3).
//!
//! Inside, levels are parted by `/`. For a client that sees `.` as separator, `/` and `.` change places in both directions:
//! a level called `v1.0` inside reads `v1/0` there, every name of either side has exactly one on the other, and nothing is refused.

use mail_types::{MailboxName, MailboxNameError};

use crate::dialect::{Dialect, NameEncoding, Separator};
use crate::utf7;

/// The name as the client's dialect has it, not yet quoted.
pub(crate) fn to_wire(name: &MailboxName, dialect: Dialect) -> String {
    let text = swap_separators(name.as_str(), dialect.separator);
    match dialect.encoding {
        NameEncoding::Utf8 => text,
        NameEncoding::ModifiedUtf7 => utf7::encode(&text),
    }
}

/// Reads a name that a client wrote.
pub(crate) fn from_wire(octets: &[u8], dialect: Dialect) -> Result<MailboxName, MailboxNameError> {
    MailboxName::parse(&text_from_wire(octets, dialect)?)
}

/// Reads a name, or a piece of one, or a pattern, into the house's spelling.
pub(crate) fn text_from_wire(octets: &[u8], dialect: Dialect) -> Result<String, MailboxNameError> {
    let text = std::str::from_utf8(octets).map_err(|_| MailboxNameError::BadCharacter)?;
    let text = match dialect.encoding {
        NameEncoding::Utf8 => text.to_owned(),
        NameEncoding::ModifiedUtf7 => utf7::decode_lenient(text),
    };
    Ok(swap_separators(&text, dialect.separator))
}

fn swap_separators(text: &str, separator: Separator) -> String {
    match separator {
        Separator::Slash => text.to_owned(),
        Separator::Dot => text
            .chars()
            .map(|char| match char {
                '/' => '.',
                '.' => '/',
                _ => char,
            })
            .collect(),
    }
}
