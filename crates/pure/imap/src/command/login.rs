//! Who the client is and what it speaks: AUTHENTICATE, LOGIN, ENABLE (RFC 9051 §6.2–6.3.1, RFC 4959, RFC 5161).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mail_types::Secret;

use super::bad::BadKind;
use super::cursor::{Cursor, Parsed};
use super::{Authenticate, Login, SaslAnswer};

/// Base64 that may lack its padding, as some scripted clients leave it away; otherwise strict, so that one value has one meaning.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Most capabilities that one ENABLE may name; we know a handful.
const ENABLE_MAX: usize = 64;

/// `authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]`
pub(super) fn authenticate(cursor: &mut Cursor<'_>) -> Parsed<Authenticate> {
    let mechanism = cursor.word("Expected a SASL mechanism")?;
    if !cursor.take_space_before_more() {
        return Ok(Authenticate { mechanism, initial_response: None });
    }
    let start = cursor.clone();
    let initial_response = match cursor.take_while(|octet| octet != b' ') {
        // The empty response, which an empty word could not show (RFC 4959 §3).
        b"=" => Secret::new(Vec::new()),
        text => decode(text).ok_or_else(|| start.complain("The initial response is not base64"))?,
    };
    Ok(Authenticate { mechanism, initial_response: Some(initial_response) })
}

impl SaslAnswer {
    /// Reads the line that answers a challenge.
    ///
    /// # Errors
    /// [`BadKind::Syntax`] for what is no base64: the exchange fails, and the command is BAD.
    pub fn parse(line: &[u8]) -> Result<Self, BadKind> {
        if line == b"*" {
            return Ok(Self::Cancelled);
        }
        decode(line).map(Self::Response).ok_or(BadKind::Syntax { what: "The response is not base64", at: 1 })
    }
}

/// Whether the line is what ends IDLE (RFC 2177 §3), in any case.
#[must_use]
pub fn is_idle_done(line: &[u8]) -> bool {
    line.trim_ascii_end().eq_ignore_ascii_case(b"DONE")
}

fn decode(text: &[u8]) -> Option<Secret> {
    BASE64.decode(text).ok().map(Secret::new)
}

/// `login = "LOGIN" SP userid SP password`
pub(super) fn login(cursor: &mut Cursor<'_>) -> Parsed<Login> {
    let start = cursor.clone();
    let user = cursor.astring("Expected a user name")?;
    let user =
        std::str::from_utf8(&user).map_err(|_| start.complain("The user name is not UTF-8"))?.to_owned();
    cursor.space()?;
    let password = Secret::new(cursor.astring("Expected a password")?.into_owned());
    Ok(Login { user, password })
}

/// `enable = "ENABLE" 1*(SP capability)`
pub(super) fn enable(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    let mut names = Vec::new();
    loop {
        let name = cursor.word("Expected a capability")?;
        if names.len() == ENABLE_MAX {
            return Err(cursor.complain("Too many capabilities"));
        }
        names.push(name);
        if !cursor.take_space_before_more() {
            return Ok(names);
        }
    }
}
