//! The grammar of commands (RFC 5321 §4.1); those of their parameters stand in `command/parameters.rs`.
//!
//! Lenient where Postfix is, since real clients lean on it: blanks around the colon of MAIL and RCPT, paths without
//! angle brackets, blanks at the end. Source routes are dropped (RFC 5321 §4.1.1.3). A parameter of an extension
//! that is not offered is refused with 555, never ignored.

mod parameters;

use mail_types::{Address, ForwardPath, ReversePath};

use crate::extension::Offers;
use crate::reply::Reply;

pub use parameters::{BodyType, MailParameters, RcptParameters};

use parameters::{parse_mail_parameters, parse_rcpt_parameters};

/// Longest argument of EHLO, HELO and LHLO that is kept (RFC 5321 §4.5.3.1.2).
pub const HELLO_OCTETS_MAX: usize = 255;

/// One command, understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// EHLO, HELO, LHLO with the name the client gives itself.
    Hello(HelloVerb, &'a str),
    /// MAIL FROM.
    Mail(Path<ReversePath>, MailParameters),
    /// RCPT TO.
    Rcpt(Path<ForwardPath>, RcptParameters),
    /// DATA.
    Data,
    /// BDAT.
    Bdat {
        /// Octets that follow the command.
        octets: u64,
        /// Whether the message ends with them.
        last: bool,
    },
    /// RSET.
    Rset,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY.
    Vrfy,
    /// EXPN.
    Expn,
    /// HELP.
    Help,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth {
        /// The mechanism's name as sent.
        mechanism: &'a str,
        /// The initial response in base64, `=` for an empty one (RFC 4954 §4).
        initial_response: Option<&'a str>,
    },
}

/// Which greeting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HelloVerb {
    /// EHLO.
    Ehlo,
    /// HELO.
    Helo,
    /// LHLO (RFC 2033).
    Lhlo,
}

/// A path and whether it was written with UTF-8, which needs SMTPUTF8 (RFC 6531 §3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path<P> {
    /// The path.
    pub path: P,
    /// Whether it is all ASCII as written.
    pub script: Script,
}

/// What an address was written with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Script {
    /// ASCII.
    Ascii,
    /// UTF-8 beyond ASCII.
    Utf8,
}

/// Why a line is no command of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandError {
    /// Not a verb we know.
    #[error("unknown command")]
    Unknown,
    /// Known and not offered.
    #[error("command not implemented")]
    NotImplemented,
    /// Control characters or octets that are not UTF-8.
    #[error("octets that no command has")]
    BadOctets,
    /// The arguments are not what the verb wants.
    #[error("bad arguments: {0}")]
    BadArguments(&'static str),
    /// The path of MAIL.
    #[error("bad sender address")]
    BadSender,
    /// The path of RCPT.
    #[error("bad recipient address")]
    BadRecipient,
    /// A parameter with a value that is not its own, or twice.
    #[error("bad parameter")]
    BadParameter,
    /// A parameter of an extension that is not offered.
    #[error("parameter not recognised")]
    UnknownParameter,
}

impl CommandError {
    /// What the client is told.
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::Unknown => Reply::fixed(500, (5, 5, 1), "Command not recognised"),
            Self::NotImplemented => Reply::fixed(502, (5, 5, 1), "Command not implemented"),
            Self::BadOctets => Reply::fixed(500, (5, 5, 2), "Octets that no command has"),
            Self::BadArguments(usage) => Reply::fixed(501, (5, 5, 4), usage),
            Self::BadSender => Reply::fixed(501, (5, 1, 7), "Bad sender address syntax"),
            Self::BadRecipient => Reply::fixed(501, (5, 1, 3), "Bad recipient address syntax"),
            Self::BadParameter => Reply::fixed(501, (5, 5, 4), "Bad parameter value"),
            Self::UnknownParameter => Reply::fixed(555, (5, 5, 4), "Parameter not recognised"),
        }
    }
}

/// Reads one line, without its CRLF. Parameters of extensions that are not among the offers are refused.
///
/// # Errors
/// [`CommandError`], which knows its reply.
pub fn parse<'a>(line: &'a [u8], offers: &Offers) -> Result<Command<'a>, CommandError> {
    let text = std::str::from_utf8(line).map_err(|_| CommandError::BadOctets)?;
    if text.chars().any(|char| char.is_control() && char != '\t') {
        return Err(CommandError::BadOctets);
    }
    let text = text.trim_end_matches(BLANK);
    let (verb, rest) = text.split_once(BLANK).unwrap_or((text, ""));
    let rest = rest.trim_start_matches(BLANK);
    match Verb::find(verb).ok_or(CommandError::Unknown)? {
        Verb::Hello(verb) => parse_hello(verb, rest),
        Verb::Mail => parse_mail(rest, offers),
        Verb::Rcpt => parse_rcpt(rest, offers),
        Verb::Data => alone(rest, Command::Data),
        Verb::Bdat => parse_bdat(rest),
        Verb::Rset => alone(rest, Command::Rset),
        Verb::Quit => alone(rest, Command::Quit),
        Verb::StartTls => alone(rest, Command::StartTls),
        Verb::Auth => parse_auth(rest),
        Verb::Noop => Ok(Command::Noop),
        Verb::Help => Ok(Command::Help),
        Verb::Vrfy if rest.is_empty() => Err(CommandError::BadArguments("Say VRFY and a name")),
        Verb::Vrfy => Ok(Command::Vrfy),
        Verb::Expn => Ok(Command::Expn),
        Verb::Refused => Err(CommandError::NotImplemented),
    }
}

const BLANK: [char; 2] = [' ', '\t'];

enum Verb {
    Hello(HelloVerb),
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth,
    /// Verbs of RFC 821 and of extensions that are not offered.
    Refused,
}

impl Verb {
    fn find(word: &str) -> Option<Self> {
        const LONGEST: usize = "STARTTLS".len();
        let mut upper = [0; LONGEST];
        let upper = upper.get_mut(..word.len())?;
        upper.copy_from_slice(word.as_bytes());
        upper.make_ascii_uppercase();
        match &*upper {
            b"MAIL" => Some(Self::Mail),
            b"RCPT" => Some(Self::Rcpt),
            b"DATA" => Some(Self::Data),
            b"BDAT" => Some(Self::Bdat),
            b"EHLO" => Some(Self::Hello(HelloVerb::Ehlo)),
            b"HELO" => Some(Self::Hello(HelloVerb::Helo)),
            b"LHLO" => Some(Self::Hello(HelloVerb::Lhlo)),
            b"QUIT" => Some(Self::Quit),
            b"RSET" => Some(Self::Rset),
            b"NOOP" => Some(Self::Noop),
            b"STARTTLS" => Some(Self::StartTls),
            b"AUTH" => Some(Self::Auth),
            b"VRFY" => Some(Self::Vrfy),
            b"EXPN" => Some(Self::Expn),
            b"HELP" => Some(Self::Help),
            b"ETRN" | b"TURN" | b"ATRN" | b"SEND" | b"SOML" | b"SAML" => Some(Self::Refused),
            _ => None,
        }
    }
}

/// A verb that takes nothing. RFC 5321 §4.1.1 has servers refuse arguments here.
fn alone<'a>(rest: &str, command: Command<'a>) -> Result<Command<'a>, CommandError> {
    if rest.is_empty() { Ok(command) } else { Err(CommandError::BadArguments("No arguments here")) }
}

fn parse_hello(verb: HelloVerb, rest: &str) -> Result<Command<'_>, CommandError> {
    // Names with blanks are seen from old devices; the first word is the name.
    let name = rest.split(BLANK).next().unwrap_or_default();
    if name.is_empty() || name.len() > HELLO_OCTETS_MAX {
        return Err(CommandError::BadArguments("Say your host name"));
    }
    Ok(Command::Hello(verb, name))
}

fn parse_mail<'a>(rest: &'a str, offers: &Offers) -> Result<Command<'a>, CommandError> {
    let rest = after_keyword(rest, "FROM").ok_or(CommandError::BadArguments("Say MAIL FROM:<address>"))?;
    let (path, parameters) = split_path(rest).ok_or(CommandError::BadSender)?;
    let parameters = parse_mail_parameters(parameters, offers)?;
    let reverse_path = match without_route(path) {
        "" => ReversePath::Null,
        address => ReversePath::Address(Address::parse(address).map_err(|_| CommandError::BadSender)?),
    };
    Ok(Command::Mail(Path { path: reverse_path, script: script_of(path) }, parameters))
}

fn parse_rcpt<'a>(rest: &'a str, offers: &Offers) -> Result<Command<'a>, CommandError> {
    let rest = after_keyword(rest, "TO").ok_or(CommandError::BadArguments("Say RCPT TO:<address>"))?;
    let (path, parameters) = split_path(rest).ok_or(CommandError::BadRecipient)?;
    // ORCPT may hold UTF-8 too, and then needs SMTPUTF8 as the path does (RFC 6533 §3).
    let script = script_of(rest);
    let parameters = parse_rcpt_parameters(parameters, offers)?;
    let address = without_route(path);
    let forward_path = if address.eq_ignore_ascii_case("postmaster") {
        ForwardPath::Postmaster
    } else {
        ForwardPath::Address(Address::parse(address).map_err(|_| CommandError::BadRecipient)?)
    };
    Ok(Command::Rcpt(Path { path: forward_path, script }, parameters))
}

fn script_of(path: &str) -> Script {
    if path.is_ascii() { Script::Ascii } else { Script::Utf8 }
}

/// What follows `FROM:` or `TO:`, blanks around the colon allowed.
fn after_keyword<'a>(rest: &'a str, keyword: &str) -> Option<&'a str> {
    let (word, rest) = rest.split_at_checked(keyword.len())?;
    if !word.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = rest.trim_start_matches(BLANK).strip_prefix(':')?;
    Some(rest.trim_start_matches(BLANK))
}

/// Parts the path (brackets taken off) from the parameters.
fn split_path(rest: &str) -> Option<(&str, &str)> {
    let (path, parameters) = match rest.strip_prefix('<') {
        Some(inner) => {
            let end = closing_bracket(inner)?;
            (inner.get(..end)?, inner.get(end + 1..)?)
        }
        None => {
            let end = rest.find(BLANK).unwrap_or(rest.len());
            let path = rest.get(..end).filter(|path| !path.is_empty())?;
            (path, rest.get(end..)?)
        }
    };
    let separated = parameters.is_empty() || parameters.starts_with(BLANK);
    separated.then_some((path.trim_matches(BLANK), parameters.trim_matches(BLANK)))
}

/// The index of the `>` that ends a path: not one within a quoted string.
fn closing_bracket(inner: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (index, octet) in inner.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(index),
            _ => {}
        }
    }
    None
}

/// Drops `@a,@b:` in front of an address (RFC 5321 §4.1.1.3, appendix C).
fn without_route(path: &str) -> &str {
    if !path.starts_with('@') {
        return path;
    }
    path.split_once(':').map_or(path, |(_, address)| address)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

fn parse_bdat(rest: &str) -> Result<Command<'_>, CommandError> {
    const USAGE: CommandError = CommandError::BadArguments("Say BDAT octets [LAST]");
    let mut words = rest.split(BLANK).filter(|word| !word.is_empty());
    let octets = words.next().filter(|word| is_number(word)).ok_or(USAGE)?.parse().map_err(|_| USAGE)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(USAGE),
    };
    if words.next().is_some() { Err(USAGE) } else { Ok(Command::Bdat { octets, last }) }
}

fn parse_auth(rest: &str) -> Result<Command<'_>, CommandError> {
    const USAGE: CommandError = CommandError::BadArguments("Say AUTH mechanism [initial-response]");
    let mut words = rest.split(BLANK).filter(|word| !word.is_empty());
    let mechanism = words.next().ok_or(USAGE)?;
    let initial_response = words.next();
    if words.next().is_some() { Err(USAGE) } else { Ok(Command::Auth { mechanism, initial_response }) }
}

#[cfg(test)]
mod tests;
