//! MTA-STS: a domain's promise, over HTTPS, that its mail hosts speak TLS with valid certificates (RFC 8461). What the record
//! and the policy say; fetching and remembering them is their asker's.

use mail_types::DomainName;

use crate::dmarc::tags::{tags, value};
use crate::lookup::{Answers, Needs, QueryName, ReplyError};

/// Octets of the largest policy that is read (RFC 8461 §3.3 suggests 64 KiB).
pub const POLICY_OCTETS_MAX: usize = 64 * 1024;
/// Patterns of mail hosts in one policy. Real ones have up to ten.
pub const MX_PATTERNS_MAX: usize = 100;
/// Longest time that a policy is remembered: a year (RFC 8461 §3.2).
pub const MAX_AGE_SECONDS_MAX: u32 = 31_557_600;
/// The media type that a policy has to have (RFC 8461 §3.2).
pub const POLICY_MEDIA_TYPE: &str = "text/plain";
/// Where a policy lies on its host (RFC 8461 §3.2).
pub const POLICY_PATH: &str = "/.well-known/mta-sts.txt";
/// Longest identifier of a policy (RFC 8461 §3.1).
const ID_OCTETS_MAX: usize = 32;
/// TXT records at one name that are looked at.
const TEXTS_MAX: usize = 64;

/// The identifier of a policy: when it changes, the policy has.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PolicyId(Box<str>);

impl PolicyId {
    /// Up to 32 letters and digits.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_id = !text.is_empty() && text.len() <= ID_OCTETS_MAX;
        (is_id && text.bytes().all(|octet| octet.is_ascii_alphanumeric())).then(|| Self(text.into()))
    }

    /// Reads the TXT record that tells of a policy; `None` if it is no such record.
    #[must_use]
    pub fn parse_record(record: &[u8]) -> Option<Self> {
        Self::new(value(&tags(record, "STSv1")?, "id")?)
    }

    /// Writes the record as it is published.
    #[must_use]
    pub fn write_record(&self) -> String {
        format!("v=STSv1; id={};", self.0)
    }

    /// The identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a domain has a policy: its identifier, `None` where there is none (or records that contradict each other), an
/// error where DNS fails: then a policy that is remembered still counts (RFC 8461 §3.1 and §5.1).
///
/// # Errors
/// [`Needs`] as long as the answer is missing.
pub fn policy_id(
    domain: &DomainName,
    answers: &Answers,
) -> Result<Result<Option<PolicyId>, ReplyError>, Needs> {
    let Ok(name) = QueryName::parse(&format!("_mta-sts.{domain}")) else { return Ok(Ok(None)) };
    Ok(match answers.txt(&name)? {
        Ok(texts) => {
            let mut records = texts.iter().take(TEXTS_MAX).filter(|text| tags(text, "STSv1").is_some());
            match (records.next(), records.next()) {
                (Some(only), None) => Ok(PolicyId::parse_record(only)),
                _ => Ok(None),
            }
        }
        Err(ReplyError::NoSuchName | ReplyError::NoData) => Ok(None),
        Err(ReplyError::Failure) => Err(ReplyError::Failure),
    })
}

/// The host that a domain's policy lies on; `None` for a domain whose name leaves no room for it.
#[must_use]
pub fn policy_host(domain: &DomainName) -> Option<DomainName> {
    DomainName::parse(&format!("mta-sts.{domain}")).ok()
}

/// What senders do about a host that does not keep the promise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// They do not send to it.
    Enforce,
    /// They report it.
    Testing,
    /// Nothing: the policy is about to go.
    None,
}

impl Mode {
    const WORDS: [(&'static str, Self); 3] =
        [("enforce", Self::Enforce), ("testing", Self::Testing), ("none", Self::None)];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// A host, or all hosts one label below a domain.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum MxPattern {
    /// `mx.example.org`.
    Host(DomainName),
    /// `*.example.org`.
    Below(DomainName),
}

impl MxPattern {
    /// Reads a pattern.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("*.") {
            Some(domain) => DomainName::parse(domain).ok().map(Self::Below),
            None => DomainName::parse(text).ok().map(Self::Host),
        }
    }

    /// Whether a host is meant (RFC 8461 §4.1): the asterisk stands for one label.
    #[must_use]
    pub fn matches(&self, host: &DomainName) -> bool {
        match self {
            Self::Host(wanted) => wanted == host,
            Self::Below(domain) => {
                host.as_str().split_once('.').is_some_and(|(_, parent)| parent == domain.as_str())
            }
        }
    }
}

impl std::fmt::Display for MxPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host) => write!(f, "{host}"),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

/// Why a policy is none. Senders act as if there were no new one, and report it (`sts-policy-invalid`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PolicyError {
    /// Larger than any policy.
    #[error("the policy is larger than 64 KiB or names too many hosts")]
    TooLarge,
    /// Not text.
    #[error("the policy is not UTF-8")]
    NotText,
    /// Another version, or none.
    #[error("the policy is not of version STSv1")]
    Version,
    /// No mode, or one that is not known.
    #[error("the policy has no mode that is known")]
    Mode,
    /// No maximum age, or no number.
    #[error("the policy has no max_age")]
    MaxAge,
    /// A pattern that is no host name, or none at all.
    #[error("the policy does not name its mail hosts")]
    Mx,
}

/// A policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// How strict it is.
    pub mode: Mode,
    /// How long it is remembered.
    pub max_age_seconds: u32,
    /// The hosts that mail may go to; empty only with [`Mode::None`].
    pub mx: Vec<MxPattern>,
}

impl Policy {
    /// Reads a policy. Fields that are not known are passed over; of those that stand there twice the first counts
    /// (RFC 8461 §3.2). An age beyond a year is a year.
    ///
    /// # Errors
    /// [`PolicyError`] says what is wrong.
    pub fn parse(octets: &[u8]) -> Result<Self, PolicyError> {
        if octets.len() > POLICY_OCTETS_MAX {
            return Err(PolicyError::TooLarge);
        }
        let text = std::str::from_utf8(octets).map_err(|_| PolicyError::NotText)?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name.trim() {
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" if mx.len() >= MX_PATTERNS_MAX => return Err(PolicyError::TooLarge),
                "mx" => mx.push(MxPattern::parse(value).ok_or(PolicyError::Mx)?),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(PolicyError::Version);
        }
        let mode = mode.and_then(|word| Mode::WORDS.into_iter().find(|(known, _)| *known == word));
        let (_, mode) = mode.ok_or(PolicyError::Mode)?;
        let max_age_seconds = max_age.and_then(seconds).ok_or(PolicyError::MaxAge)?;
        if mx.is_empty() && mode != Mode::None {
            return Err(PolicyError::Mx);
        }
        Ok(Self { mode, max_age_seconds, mx })
    }

    /// Writes the policy as it is published (RFC 8461 §3.2).
    #[must_use]
    pub fn write(&self) -> String {
        let mut text = format!("version: STSv1\r\nmode: {}\r\n", self.mode.as_str());
        self.mx.iter().for_each(|pattern| text.push_str(&format!("mx: {pattern}\r\n")));
        text.push_str(&format!("max_age: {}\r\n", self.max_age_seconds));
        text
    }

    /// Whether mail may go to a host. What follows if not is the mode's.
    #[must_use]
    pub fn allows(&self, host: &DomainName) -> bool {
        self.mx.iter().any(|pattern| pattern.matches(host))
    }
}

fn seconds(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX).min(MAX_AGE_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::{Question, Reply};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn host(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    #[test]
    fn the_policy_of_the_rfc() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n\
                    mx: backupmx.example.com\r\nmax_age: 604800\r\n";
        let policy = Policy::parse(text.as_bytes()).unwrap();
        assert_eq!((policy.mode, policy.max_age_seconds, policy.mx.len()), (Mode::Enforce, 604_800, 3));
        for allowed in ["mail.example.com", "mx1.example.net", "MX2.Example.NET."] {
            assert!(policy.allows(&host(allowed)), "{allowed}");
        }
        for other in
            ["example.net", "a.b.example.net", "xmail.example.com", "badexample.net", "example.com", "net"]
        {
            assert!(!policy.allows(&host(other)), "{other}");
        }
    }

    #[test]
    fn policies_are_read_leniently() {
        let text = "mode:none\nmode: enforce\nfuture: x:y\n\nno field\nmax_age : 99999999999\nversion: STSv1";
        let policy = Policy::parse(text.as_bytes()).unwrap();
        assert_eq!(policy, Policy { mode: Mode::None, max_age_seconds: MAX_AGE_SECONDS_MAX, mx: Vec::new() });
        assert!(!policy.allows(&host("mx.example.org")));
    }

    #[test]
    fn broken_policies_are_none() {
        let good = "version: STSv1\nmode: testing\nmx: a.example\nmax_age: 1\n";
        assert!(Policy::parse(good.as_bytes()).is_ok());
        for (from, to, error) in [
            ("STSv1", "STSv2", PolicyError::Version),
            ("version", "Version", PolicyError::Version),
            ("testing", "tests", PolicyError::Mode),
            ("mode: testing", "", PolicyError::Mode),
            ("max_age: 1", "", PolicyError::MaxAge),
            ("max_age: 1", "max_age: -1", PolicyError::MaxAge),
            ("max_age: 1", "max_age:", PolicyError::MaxAge),
            ("mx: a.example", "", PolicyError::Mx),
            ("mx: a.example", "mx: *.*.example", PolicyError::Mx),
            ("mx: a.example", "mx: a*.example", PolicyError::Mx),
            ("mx: a.example", "mx: ", PolicyError::Mx),
        ] {
            assert_eq!(Policy::parse(good.replace(from, to).as_bytes()), Err(error), "{to}");
        }
        assert_eq!(Policy::parse(b"\xff"), Err(PolicyError::NotText));
    }

    #[test]
    fn the_bounds_hold() {
        let policy = |mx: usize| {
            format!("version: STSv1\nmode: enforce\nmax_age: 1\n{}", "mx: a.example\n".repeat(mx))
        };
        for count in [MX_PATTERNS_MAX - 1, MX_PATTERNS_MAX, MX_PATTERNS_MAX + 1] {
            assert_eq!(Policy::parse(policy(count).as_bytes()).is_ok(), count <= MX_PATTERNS_MAX);
        }
        for octets in [POLICY_OCTETS_MAX - 1, POLICY_OCTETS_MAX, POLICY_OCTETS_MAX + 1] {
            let mut text = policy(1);
            text.push_str(&"x".repeat(octets - text.len()));
            assert_eq!(Policy::parse(text.as_bytes()).is_ok(), octets <= POLICY_OCTETS_MAX);
        }
        for (seconds, kept) in [(31_557_599, 31_557_599), (31_557_600, 31_557_600), (31_557_601, 31_557_600)]
        {
            let text = policy(1).replace("max_age: 1", &format!("max_age: {seconds}"));
            assert_eq!(Policy::parse(text.as_bytes()).unwrap().max_age_seconds, kept);
        }
        for octets in [31, 32, 33] {
            assert_eq!(PolicyId::new(&"a".repeat(octets)).is_some(), octets <= ID_OCTETS_MAX);
        }
    }

    #[test]
    fn records_name_the_policy_s_identifier() {
        let id = PolicyId::parse_record(b"v=STSv1; id=20160831085700Z;").unwrap();
        assert_eq!(
            (id.as_str(), id.write_record().as_str()),
            ("20160831085700Z", "v=STSv1; id=20160831085700Z;")
        );
        for record in ["v=STSv1;", "v=STSv1; id=", "v=STSv1; id=a-b", "v=STSv2; id=a", "id=a; v=STSv1"] {
            assert_eq!(PolicyId::parse_record(record.as_bytes()), None, "{record}");
        }
    }

    #[test]
    fn looking_for_a_policy() {
        let domain = host("example.org");
        assert_eq!(policy_host(&domain), Some(host("mta-sts.example.org")));
        let question = Question::Txt(QueryName::parse("_mta-sts.example.org").unwrap());
        let mut answers = Answers::new();
        assert_eq!(policy_id(&domain, &answers), Err(Needs(vec![question.clone()])));
        let mut find = |reply| {
            answers.add(question.clone(), reply);
            policy_id(&domain, &answers).unwrap()
        };
        let text = |text: &str| -> Box<[u8]> { text.as_bytes().into() };
        assert_eq!(find(Ok(Reply::Txt(vec![text("x"), text("v=STSv1; id=1")]))), Ok(PolicyId::new("1")));
        assert_eq!(find(Ok(Reply::Txt(vec![text("v=STSv1; id=1"), text("v=STSv1; id=2")]))), Ok(None));
        assert_eq!(find(Err(ReplyError::NoSuchName)), Ok(None));
        assert_eq!(find(Err(ReplyError::Failure)), Err(ReplyError::Failure));
    }

    proptest! {
        #[test]
        fn a_policy_reads_back_as_written(
            mode in select(vec![Mode::Enforce, Mode::Testing]),
            max_age_seconds in 0..=MAX_AGE_SECONDS_MAX,
            mx in vec(("[a-z0-9]{1,8}(\\.[a-z0-9]{1,8}){0,3}", any::<bool>()), 1..5),
        ) {
            let pattern = |(name, is_wild): (String, bool)| {
                let name = DomainName::parse(&name).ok()?;
                Some(if is_wild { MxPattern::Below(name) } else { MxPattern::Host(name) })
            };
            let mx: Vec<MxPattern> = mx.into_iter().filter_map(pattern).collect();
            prop_assume!(!mx.is_empty());
            let policy = Policy { mode, max_age_seconds, mx };
            prop_assert_eq!(Policy::parse(policy.write().as_bytes()), Ok(policy));
        }

        #[test]
        fn any_octets_are_survived(octets in vec(any::<u8>(), 0..200)) {
            let _ = Policy::parse(&octets);
            let _ = PolicyId::parse_record(&octets);
        }
    }
}
