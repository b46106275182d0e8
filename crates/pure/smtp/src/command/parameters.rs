//! The parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152, RFC 3030), AUTH (RFC 4954), SMTPUTF8 (RFC 6531),
//! RET, ENVID, NOTIFY and ORCPT (RFC 3461), REQUIRETLS (RFC 8689), MT-PRIORITY (RFC 6710), BY (RFC 2852), HOLDFOR and
//! HOLDUNTIL (RFC 4865).

use mail_types::{DeliverBy, EnvelopeId, Notify, OriginalRecipient, Priority, ReturnedContent};

use super::{BLANK, CommandError, is_number};
use crate::extension::Offers;
use crate::future_release::Hold;

/// The parameters of MAIL.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MailParameters {
    /// SIZE: octets announced (RFC 1870).
    pub size: Option<u64>,
    /// BODY: what the octets may be.
    pub body: BodyType,
    /// SMTPUTF8: addresses and header fields may hold UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// AUTH was there. Its value is dropped: nobody is trusted to name another submitter (RFC 4954 §5).
    pub auth: bool,
    /// RET: how much of the message comes back with a report of failure.
    pub returned: Option<ReturnedContent>,
    /// ENVID: the sender's name for this transaction.
    pub envelope_id: Option<EnvelopeId>,
    /// REQUIRETLS: the message goes on by TLS alone, and only to hosts that promise the same (RFC 8689).
    pub require_tls: bool,
    /// MT-PRIORITY.
    pub priority: Option<Priority>,
    /// BY: when the message has to be there, counted from the command.
    pub deliver_by: Option<DeliverBy>,
    /// HOLDFOR or HOLDUNTIL: not to leave before. For submissions, never passed on.
    pub hold: Option<Hold>,
}

/// The parameters of RCPT.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RcptParameters {
    /// NOTIFY: what the sender wants to hear of; [`Notify::DEFAULT`] where it was not said.
    pub notify: Option<Notify>,
    /// ORCPT: whom the sender named.
    pub original: Option<OriginalRecipient>,
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

/// `KEYWORD` or `KEYWORD=value`, the keyword in upper case.
struct Parameter<'a> {
    keyword: String,
    value: Option<&'a str>,
}

/// The parameters of a command. Whoever reads them stops at the first that is unknown or was there before.
fn parameters(text: &str) -> impl Iterator<Item = Parameter<'_>> {
    let words = text.split(BLANK).filter(|word| !word.is_empty());
    words.map(|word| {
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        Parameter { keyword: keyword.to_ascii_uppercase(), value }
    })
}

impl Parameter<'_> {
    /// Puts the value where it belongs; twice is once too often.
    fn set<T>(&self, place: &mut Option<T>, read: impl Fn(&str) -> Option<T>) -> Result<(), CommandError> {
        let value = self.value.and_then(read).ok_or(CommandError::BadParameter)?;
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(CommandError::BadParameter),
        }
    }

    /// Raises a flag that has no value.
    fn raise(&self, flag: &mut bool) -> Result<(), CommandError> {
        match (self.value, std::mem::replace(flag, true)) {
            (None, false) => Ok(()),
            _ => Err(CommandError::BadParameter),
        }
    }
}

pub(super) fn parse_mail_parameters(text: &str, offers: &Offers) -> Result<MailParameters, CommandError> {
    let mut found = MailParameters::default();
    let (mut body, mut auth) = (None, None);
    for parameter in parameters(text) {
        match parameter.keyword.as_str() {
            "SIZE" => parameter.set(&mut found.size, read_size)?,
            "BODY" => parameter.set(&mut body, read_body)?,
            "SMTPUTF8" => parameter.raise(&mut found.smtputf8)?,
            "AUTH" => parameter.set(&mut auth, |value| is_xtext(value).then_some(()))?,
            "RET" if offers.dsn => parameter.set(&mut found.returned, ReturnedContent::parse)?,
            "ENVID" if offers.dsn => parameter.set(&mut found.envelope_id, EnvelopeId::parse)?,
            "REQUIRETLS" if offers.require_tls => parameter.raise(&mut found.require_tls)?,
            "MT-PRIORITY" if offers.priority => parameter.set(&mut found.priority, Priority::parse)?,
            "BY" if offers.deliver_by.is_some() => parameter.set(&mut found.deliver_by, DeliverBy::parse)?,
            // RFC 4865: one of the two, once.
            "HOLDFOR" if offers.future_release.is_some() => {
                parameter.set(&mut found.hold, Hold::parse_for)?
            }
            "HOLDUNTIL" if offers.future_release.is_some() => {
                parameter.set(&mut found.hold, Hold::parse_until)?;
            }
            _ => return Err(CommandError::UnknownParameter),
        }
    }
    found.body = body.unwrap_or_default();
    found.auth = auth.is_some();
    Ok(found)
}

pub(super) fn parse_rcpt_parameters(text: &str, offers: &Offers) -> Result<RcptParameters, CommandError> {
    let mut found = RcptParameters::default();
    for parameter in parameters(text) {
        match parameter.keyword.as_str() {
            "NOTIFY" if offers.dsn => parameter.set(&mut found.notify, Notify::parse)?,
            "ORCPT" if offers.dsn => parameter.set(&mut found.original, OriginalRecipient::parse)?,
            _ => return Err(CommandError::UnknownParameter),
        }
    }
    Ok(found)
}

/// Up to twenty digits (RFC 1870 §3); what exceeds our integers is too large for any limit.
fn read_size(value: &str) -> Option<u64> {
    let is_size = (1..=20).contains(&value.len()) && is_number(value);
    is_size.then(|| value.parse().unwrap_or(u64::MAX))
}

fn read_body(value: &str) -> Option<BodyType> {
    match value.to_ascii_uppercase().as_str() {
        "7BIT" => Some(BodyType::SevenBit),
        "8BITMIME" => Some(BodyType::EightBitMime),
        "BINARYMIME" => Some(BodyType::BinaryMime),
        _ => None,
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
