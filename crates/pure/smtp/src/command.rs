//! The grammar of commands (RFC 5321 §4.1; parameters of RFC 1870, 3030, 4954, 6152 and 6531).
//!
//! Lenient where Postfix is, since real clients lean on it: blanks around the colon of MAIL and RCPT, paths without
//! angle brackets, blanks at the end. Source routes are dropped (RFC 5321 §4.1.1.3). A parameter of an extension
//! that is not offered is refused with 555, never ignored.

use mail_types::{Address, ForwardPath, ReversePath};

use crate::reply::Reply;

/// Longest argument of EHLO, HELO and LHLO that is kept (RFC 5321 §4.5.3.1.2).
pub const HELLO_OCTETS_MAX: usize = 255;
/// Most parameters of one MAIL or RCPT command; there are four that we know.
const PARAMETERS_MAX: usize = 16;

/// One command, understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// EHLO, HELO, LHLO with the name the client gives itself.
    Hello(HelloVerb, &'a str),
    /// MAIL FROM.
    Mail(Path<ReversePath>, MailParameters),
    /// RCPT TO.
    Rcpt(Path<ForwardPath>),
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

/// The parameters of MAIL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MailParameters {
    /// SIZE: octets announced (RFC 1870).
    pub size: Option<u64>,
    /// BODY: what the octets may be.
    pub body: BodyType,
    /// SMTPUTF8: addresses and header fields may hold UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// AUTH was there. Its value is dropped: nobody is trusted to name another submitter (RFC 4954 §5).
    pub auth: bool,
}

/// BODY of MAIL (RFC 6152, RFC 3030 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BodyType {
    /// 7BIT, or nothing said.
    #[default]
    SevenBit,
    /// 8BITMIME.
    EightBitMime,
    /// BINARYMIME: any octets, no lines; only with BDAT.
    BinaryMime,
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

/// Reads one line, without its CRLF.
///
/// # Errors
/// [`CommandError`], which knows its reply.
pub fn parse(line: &[u8]) -> Result<Command<'_>, CommandError> {
    let text = std::str::from_utf8(line).map_err(|_| CommandError::BadOctets)?;
    if text.chars().any(|char| char.is_control() && char != '\t') {
        return Err(CommandError::BadOctets);
    }
    let text = text.trim_end_matches(BLANK);
    let (verb, rest) = text.split_once(BLANK).unwrap_or((text, ""));
    let rest = rest.trim_start_matches(BLANK);
    match Verb::find(verb).ok_or(CommandError::Unknown)? {
        Verb::Hello(verb) => parse_hello(verb, rest),
        Verb::Mail => parse_mail(rest),
        Verb::Rcpt => parse_rcpt(rest),
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

fn parse_mail(rest: &str) -> Result<Command<'_>, CommandError> {
    let rest = after_keyword(rest, "FROM").ok_or(CommandError::BadArguments("Say MAIL FROM:<address>"))?;
    let (path, parameters) = split_path(rest).ok_or(CommandError::BadSender)?;
    let parameters = parse_mail_parameters(parameters)?;
    let reverse_path = match without_route(path) {
        "" => ReversePath::Null,
        address => ReversePath::Address(Address::parse(address).map_err(|_| CommandError::BadSender)?),
    };
    Ok(Command::Mail(Path { path: reverse_path, script: script_of(path) }, parameters))
}

fn parse_rcpt(rest: &str) -> Result<Command<'_>, CommandError> {
    let rest = after_keyword(rest, "TO").ok_or(CommandError::BadArguments("Say RCPT TO:<address>"))?;
    let (path, parameters) = split_path(rest).ok_or(CommandError::BadRecipient)?;
    if !parameters.is_empty() {
        return Err(CommandError::UnknownParameter);
    }
    let address = without_route(path);
    let forward_path = if address.eq_ignore_ascii_case("postmaster") {
        ForwardPath::Postmaster
    } else {
        ForwardPath::Address(Address::parse(address).map_err(|_| CommandError::BadRecipient)?)
    };
    Ok(Command::Rcpt(Path { path: forward_path, script: script_of(path) }))
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

fn parse_mail_parameters(text: &str) -> Result<MailParameters, CommandError> {
    let mut parameters = MailParameters::default();
    let mut body = None;
    for (index, parameter) in text.split(BLANK).filter(|word| !word.is_empty()).enumerate() {
        if index >= PARAMETERS_MAX {
            return Err(CommandError::BadParameter);
        }
        let (keyword, value) = match parameter.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (parameter, None),
        };
        let repeated = match keyword.to_ascii_uppercase().as_str() {
            "SIZE" => parameters.size.replace(parse_size(value)?).is_some(),
            "BODY" => body.replace(parse_body(value)?).is_some(),
            "SMTPUTF8" if value.is_none() => std::mem::replace(&mut parameters.smtputf8, true),
            "AUTH" if value.is_some_and(is_xtext) => std::mem::replace(&mut parameters.auth, true),
            "SMTPUTF8" | "AUTH" => true,
            _ => return Err(CommandError::UnknownParameter),
        };
        if repeated {
            return Err(CommandError::BadParameter);
        }
    }
    parameters.body = body.unwrap_or_default();
    Ok(parameters)
}

/// Up to twenty digits (RFC 1870 §3); what exceeds our integers is too large for any limit.
fn parse_size(value: Option<&str>) -> Result<u64, CommandError> {
    let digits = value.filter(|text| (1..=20).contains(&text.len()) && is_number(text));
    Ok(digits.ok_or(CommandError::BadParameter)?.parse().unwrap_or(u64::MAX))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

fn parse_body(value: Option<&str>) -> Result<BodyType, CommandError> {
    match value.unwrap_or_default().to_ascii_uppercase().as_str() {
        "7BIT" => Ok(BodyType::SevenBit),
        "8BITMIME" => Ok(BodyType::EightBitMime),
        "BINARYMIME" => Ok(BodyType::BinaryMime),
        _ => Err(CommandError::BadParameter),
    }
}

/// RFC 3461 §4: printable ASCII without `+` and `=`, or `+` and two upper-case hexadecimal digits.
fn is_xtext(text: &str) -> bool {
    let mut octets = text.bytes();
    let is_digit = |octet: Option<u8>| octet.is_some_and(|octet| matches!(octet, b'0'..=b'9' | b'A'..=b'F'));
    while let Some(octet) = octets.next() {
        let right = match octet {
            b'+' => is_digit(octets.next()) && is_digit(octets.next()),
            b'=' => false,
            _ => octet.is_ascii_graphic(),
        };
        if !right {
            return false;
        }
    }
    !text.is_empty()
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
