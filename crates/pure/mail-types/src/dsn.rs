//! What a sender may ask about reports on delivery (RFC 3461): carried from MAIL and RCPT through the queue to the next
//! host, and into the reports themselves (RFC 3464, RFC 6533).

use std::fmt;

use crate::address::Address;
use crate::xtext::{self, UnicodeForm};

/// Longest ENVID, decoded. RFC 3461 §4.4 and §5.4 have 100 octets with keyword and encoding; we read more, and pass on what
/// others have to read.
pub const ENVELOPE_ID_OCTETS_MAX: usize = 100;
/// Longest ORCPT as it stands on the wire, type included. RFC 3461 §4.2 and §5.4 count the keyword, too.
pub const ORIGINAL_RECIPIENT_OCTETS_MAX: usize = 500;
/// Longest address type; those of the registry have up to seven letters.
pub const ADDRESS_TYPE_OCTETS_MAX: usize = 40;

/// What a sender may want to hear of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NotifyEvent {
    /// The message arrived.
    Success,
    /// It did not and will not.
    Failure,
    /// It takes longer than usual.
    Delay,
}

impl NotifyEvent {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Success, "SUCCESS"), (Self::Failure, "FAILURE"), (Self::Delay, "DELAY")];

    const fn bit(self) -> u8 {
        match self {
            Self::Success => 1,
            Self::Failure => 2,
            Self::Delay => 4,
        }
    }
}

/// NOTIFY of RCPT (RFC 3461 §4.1): what the sender wants to hear of about one recipient.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Notify(u8);

impl Notify {
    /// Nothing at all.
    pub const NEVER: Self = Self(0);
    /// What holds where NOTIFY is absent; §4.1 leaves the choice between failure alone and failure and delay.
    pub const DEFAULT: Self = Self(NotifyEvent::Failure.bit() | NotifyEvent::Delay.bit());

    /// Reads the parameter's value: `NEVER` alone, or a list of events.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        if value.eq_ignore_ascii_case("NEVER") {
            return Some(Self::NEVER);
        }
        let mut events = 0;
        for word in value.split(',') {
            let (event, _) = NotifyEvent::ALL.iter().find(|(_, name)| name.eq_ignore_ascii_case(word))?;
            events |= event.bit();
        }
        Some(Self(events))
    }

    /// Whether the sender wants to hear of it.
    #[must_use]
    pub const fn wants(self, event: NotifyEvent) -> bool {
        self.0 & event.bit() != 0
    }

    /// One octet to be kept.
    #[must_use]
    pub const fn to_bits(self) -> u8 {
        self.0
    }

    /// What [`Self::to_bits`] gave; `None` for anything else.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits < 8 { Some(Self(bits)) } else { None }
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("NEVER");
        }
        let wanted = NotifyEvent::ALL.iter().filter(|(event, _)| self.wants(*event));
        for (index, (_, name)) in wanted.enumerate() {
            f.write_str(if index > 0 { "," } else { "" })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notify({self})")
    }
}

/// RET of MAIL (RFC 3461 §4.3): how much of the message comes back with a report of failure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReturnedContent {
    /// The whole message.
    Full,
    /// Its header.
    Headers,
}

impl ReturnedContent {
    /// Reads the parameter's value.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        match value {
            _ if value.eq_ignore_ascii_case("FULL") => Some(Self::Full),
            _ if value.eq_ignore_ascii_case("HDRS") => Some(Self::Headers),
            _ => None,
        }
    }
}

impl fmt::Display for ReturnedContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        })
    }
}

/// ENVID of MAIL (RFC 3461 §4.4): the sender's own name for the transaction. Printable ASCII, blanks among it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EnvelopeId(Box<str>);

impl EnvelopeId {
    /// An identifier as people read it; `None` if it is empty, too long or has anything but printable ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=ENVELOPE_ID_OCTETS_MAX).contains(&text.len());
        let is_printable = text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        (fits && is_printable).then(|| Self(text.into()))
    }

    /// Reads the parameter's value, which is xtext.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        // The bound on what comes out holds for what goes in three times over.
        let decoded = (value.len() <= 3 * ENVELOPE_ID_OCTETS_MAX).then(|| xtext::decode(value))??;
        Self::new(std::str::from_utf8(&decoded).ok()?)
    }

    /// As people read it and as Original-Envelope-Id tells it (RFC 3464 §2.2.1).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parameter's value.
    #[must_use]
    pub fn to_xtext(&self) -> String {
        xtext::encode(&self.0)
    }
}

impl fmt::Debug for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnvelopeId({:?})", self.0)
    }
}

/// ORCPT of RCPT (RFC 3461 §4.2): whom the sender named, before any host on the way rewrote it. Any address of any
/// kind of mail; without control characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    address_type: Box<str>,
    address: Box<str>,
}

const RFC822: &str = "rfc822";
const UTF8: &str = "utf-8";

impl OriginalRecipient {
    /// The original recipient of a message that named this address.
    #[must_use]
    pub fn of(address: &Address) -> Self {
        let address = address.to_string();
        let address_type = if address.is_ascii() { RFC822 } else { UTF8 };
        Self { address_type: address_type.into(), address: address.into() }
    }

    /// Reads the parameter's value: `type;address`, the address in xtext or in a form of RFC 6533 §3. UTF-8 under the
    /// type `rfc822` is taken for what it must be.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        if value.len() > ORIGINAL_RECIPIENT_OCTETS_MAX {
            return None;
        }
        let (address_type, encoded) = value.split_once(';')?;
        let is_utf8 = address_type.eq_ignore_ascii_case(UTF8);
        let address = match is_utf8 || !encoded.is_ascii() {
            true => xtext::decode_unicode(encoded)?,
            false => String::from_utf8(xtext::decode(encoded)?).ok()?,
        };
        Self::from_parts(address_type, &address)
    }

    /// From its two parts, the address decoded; `None` where one is empty, too long or has what it may not have.
    #[must_use]
    pub fn from_parts(address_type: &str, address: &str) -> Option<Self> {
        let is_atom = address_type.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        let has_type = (1..=ADDRESS_TYPE_OCTETS_MAX).contains(&address_type.len());
        let has_address = (1..=ORIGINAL_RECIPIENT_OCTETS_MAX).contains(&address.len());
        if !is_atom || !has_type || !has_address || address.chars().any(char::is_control) {
            return None;
        }
        let lower = address_type.to_ascii_lowercase();
        let address_type = match lower.as_str() {
            RFC822 if !address.is_ascii() => UTF8.to_owned(),
            UTF8 => lower,
            // What is no internet mail has ASCII only (RFC 3461 §4.2).
            _ if !address.is_ascii() => return None,
            _ => lower,
        };
        Some(Self { address_type: address_type.into(), address: address.into() })
    }

    /// `rfc822`, `utf-8`, `x400` and the like, in lower case.
    #[must_use]
    pub fn address_type(&self) -> &str {
        &self.address_type
    }

    /// The address, decoded.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The parameter's value; UTF-8 as it is only where SMTPUTF8 was agreed on.
    #[must_use]
    pub fn to_parameter(&self, form: UnicodeForm) -> String {
        let address = match &*self.address_type {
            UTF8 => xtext::encode_unicode(&self.address, form),
            _ => xtext::encode(&self.address),
        };
        format!("{};{address}", self.address_type)
    }

    /// The value of Original-Recipient in a report (RFC 3464 §2.3.1): `rfc822; ann@example.org`. In a report that is
    /// ASCII throughout, an address that is not takes the form of RFC 6533 §3.
    #[must_use]
    pub fn to_field(&self, form: UnicodeForm) -> String {
        match (&*self.address_type, form) {
            (UTF8, UnicodeForm::Ascii) => {
                format!("{UTF8}; {}", xtext::encode_unicode(&self.address, UnicodeForm::Ascii))
            }
            (address_type, _) => format!("{address_type}; {}", self.address),
        }
    }
}

impl fmt::Debug for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OriginalRecipient({};{:?})", self.address_type, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_is_read_as_written() {
        for (value, written) in [
            ("NEVER", "NEVER"),
            ("never", "NEVER"),
            ("SUCCESS", "SUCCESS"),
            ("delay,Failure", "FAILURE,DELAY"),
            ("SUCCESS,FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"),
            ("SUCCESS,SUCCESS", "SUCCESS"),
        ] {
            let notify = Notify::parse(value).unwrap();
            assert_eq!(notify.to_string(), written);
            assert_eq!(Notify::from_bits(notify.to_bits()), Some(notify));
        }
        for value in ["", "NEVER,SUCCESS", "SUCCESS,NEVER", "SUCCESS,", ",", "ALWAYS", "SUCCESS DELAY"] {
            assert_eq!(Notify::parse(value), None, "{value}");
        }
        assert_eq!((Notify::from_bits(7).is_some(), Notify::from_bits(8)), (true, None));
        assert!(Notify::DEFAULT.wants(NotifyEvent::Failure) && !Notify::DEFAULT.wants(NotifyEvent::Success));
    }

    #[test]
    fn envelope_ids_are_printable_and_bounded() {
        let id = EnvelopeId::parse("QQ314159+20x+3D+2B").unwrap();
        assert_eq!(id.as_str(), "QQ314159 x=+");
        assert_eq!(EnvelopeId::parse(&id.to_xtext()), Some(id));
        for octets in [ENVELOPE_ID_OCTETS_MAX - 1, ENVELOPE_ID_OCTETS_MAX, ENVELOPE_ID_OCTETS_MAX + 1] {
            let fits = octets <= ENVELOPE_ID_OCTETS_MAX;
            assert_eq!(EnvelopeId::parse(&"x".repeat(octets)).is_some(), fits);
            assert_eq!(EnvelopeId::parse(&"+2B".repeat(octets)).is_some(), fits);
        }
        // Such an identifier would write fields of its own into reports.
        for value in ["", "a+0D+0Ab", "a+09b", "a+7F", "+C3+A4", "a b", "a+", "a=b"] {
            assert_eq!(EnvelopeId::parse(value), None, "{value}");
        }
    }

    #[test]
    fn original_recipients_of_all_kinds() {
        for (value, address_type, address) in [
            ("rfc822;Ann+2Btag@example.org", "rfc822", "Ann+tag@example.org"),
            ("RFC822;ann@example.org", "rfc822", "ann@example.org"),
            ("x400;/S+3Dann/C+3Dde/", "x400", "/S=ann/C=de/"),
            (r"utf-8;j\x{FC}rgen@example.org", "utf-8", "jürgen@example.org"),
            ("utf-8;jürgen@example.org", "utf-8", "jürgen@example.org"),
            ("rfc822;jürgen@example.org", "utf-8", "jürgen@example.org"),
            ("rfc822;j+C3+BCrgen@example.org", "utf-8", "jürgen@example.org"),
        ] {
            let read = OriginalRecipient::parse(value).unwrap();
            assert_eq!((read.address_type(), read.address()), (address_type, address), "{value}");
            for form in [UnicodeForm::Ascii, UnicodeForm::Utf8] {
                let written = read.to_parameter(form);
                assert!(form == UnicodeForm::Utf8 || written.is_ascii());
                assert_eq!(OriginalRecipient::parse(&written).as_ref(), Some(&read), "{written}");
                assert!(form == UnicodeForm::Utf8 || read.to_field(form).is_ascii());
            }
        }
    }

    #[test]
    fn bad_original_recipients_are_refused() {
        for value in [
            "",
            "ann@example.org",
            ";ann@example.org",
            "rfc822;",
            "rfc822;a b",
            "rfc822;a+0D+0AX-Evil:+20b",
            "utf-8;a\\x{0D}\\x{0A}b",
            "utf-8;a\\x{85}b",
            "x400;ä",
            "x400;+C3+A4",
            "rf c822;a@b",
            "rfc822;+FF",
            "utf-8;a+2Bb",
        ] {
            assert_eq!(OriginalRecipient::parse(value), None, "{value}");
        }
        for (octets, is_read) in [(499, true), (500, true), (501, false)] {
            let value = format!("rfc822;{}", "a".repeat(octets - "rfc822;".len()));
            assert_eq!(OriginalRecipient::parse(&value).is_some(), is_read);
        }
        for (octets, is_read) in [(39, true), (40, true), (41, false)] {
            assert_eq!(OriginalRecipient::parse(&format!("{};a", "x".repeat(octets))).is_some(), is_read);
        }
    }

    #[test]
    fn how_much_comes_back() {
        for content in [ReturnedContent::Full, ReturnedContent::Headers] {
            assert_eq!(ReturnedContent::parse(&content.to_string().to_lowercase()), Some(content));
        }
        assert_eq!(ReturnedContent::parse("HEADERS"), None);
    }
}
