//! Authentication-Results: what our checks found, told to whoever reads the message after us, and the same from others
//! (RFC 8601).
//!
//! Readers believe this field because our name stands first in it. So two things must never happen: that a message brings
//! one with our name along ([`is_forged`] finds those, to be removed), and that words of strangers get into ours and look
//! like results (CVE-2019-16378, CVE-2020-12272). Whatever a stranger chose is written so that even a reader who knows
//! neither quotes nor comments sees no other result in it.

mod forged;
mod read;
mod write;

use std::net::IpAddr;

use mail_types::DomainName;

use crate::dmarc::{Evaluation, Outcome};

pub use forged::is_forged;
pub use read::{
    AuthenticationResults, COMMENT_DEPTH_MAX, FIELD_OCTETS_MAX, PROPERTIES_MAX, RESULTS_MAX, ReadProperty,
    ReadResult, ResultsError,
};
pub use write::{VALUE_OCTETS_MAX, results_value, write_results};

/// The checks whose results we write (RFC 8601 §2.7; RFC 9989 §9.1, RFC 8617 §10.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// SPF.
    Spf,
    /// DKIM; one result for each signature.
    Dkim,
    /// DMARC.
    Dmarc,
    /// ARC.
    Arc,
    /// Whether the client's address has a name that agrees.
    Iprev,
    /// SMTP AUTH.
    Auth,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Spf => "spf",
            Self::Dkim => "dkim",
            Self::Dmarc => "dmarc",
            Self::Arc => "arc",
            Self::Iprev => "iprev",
            Self::Auth => "auth",
        }
    }
}

/// Results of all methods (RFC 8601 §2.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// Nothing to check.
    None,
    /// It passed.
    Pass,
    /// It failed.
    Fail,
    /// SPF: probably not allowed.
    SoftFail,
    /// It says nothing.
    Neutral,
    /// A signature that is not accepted.
    Policy,
    /// It could not be checked now.
    TempError,
    /// It cannot be checked.
    PermError,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Neutral => "neutral",
            Self::Policy => "policy",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::None => Self::None,
            Outcome::PermError => Self::PermError,
            Outcome::TempError => Self::TempError,
            Outcome::Fail => Self::Fail,
        }
    }
}

/// Where a checked value came from (RFC 8601 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum PropertyType {
    Smtp,
    Header,
    Policy,
}

impl PropertyType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Header => "header",
            Self::Policy => "policy",
        }
    }
}

/// A value that was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Property {
    kind: PropertyType,
    name: &'static str,
    value: String,
}

/// The result of one check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MethodResult {
    method: Method,
    verdict: Verdict,
    /// Why, in words for people.
    reason: Option<String>,
    properties: Vec<Property>,
}

/// What is told of a DKIM signature. All of it is the signer's to choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DkimSignature<'a> {
    /// `d=`; empty if it is not known.
    pub domain: &'a str,
    /// `s=`; empty if it is not known.
    pub selector: &'a str,
    /// `i=`, if it says more than `d=`.
    pub identity: Option<&'a str>,
    /// `a=`.
    pub algorithm: Option<&'a str>,
    /// `b=`: its beginning tells signatures apart (RFC 6008).
    pub signature: Option<&'a str>,
}

/// Octets of a signature that are told (RFC 6008 §4).
const SIGNATURE_OCTETS: usize = 8;

impl MethodResult {
    fn new(method: Method, verdict: Verdict) -> Self {
        Self { method, verdict, reason: None, properties: Vec::new() }
    }

    fn with(mut self, kind: PropertyType, name: &'static str, value: impl Into<String>) -> Self {
        self.properties.push(Property { kind, name, value: value.into() });
        self
    }

    /// Says why, in words for people.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// SPF of MAIL FROM. Only the domain is told: it is all that SPF checked.
    #[must_use]
    pub fn spf_mail_from(verdict: Verdict, domain: &str) -> Self {
        Self::new(Method::Spf, verdict).with(PropertyType::Smtp, "mailfrom", domain)
    }

    /// SPF of HELO.
    #[must_use]
    pub fn spf_helo(verdict: Verdict, domain: &str) -> Self {
        Self::new(Method::Spf, verdict).with(PropertyType::Smtp, "helo", domain)
    }

    /// DKIM of one signature.
    #[must_use]
    pub fn dkim(verdict: Verdict, signature: &DkimSignature<'_>) -> Self {
        let beginning = signature.signature.map(|text| {
            text.chars().filter(|char| !char.is_whitespace()).take(SIGNATURE_OCTETS).collect::<String>()
        });
        let told = [
            ("d", Some(signature.domain)),
            ("s", Some(signature.selector)),
            ("i", signature.identity),
            ("a", signature.algorithm),
            ("b", beginning.as_deref()),
        ];
        // Of a broken signature some are not known; an empty value would be one that other readers stumble over.
        let known = told.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known
            .filter(|(_, value)| !value.is_empty())
            .fold(Self::new(Method::Dkim, verdict), |result, (name, value)| {
                result.with(PropertyType::Header, name, value)
            })
    }

    /// DKIM of a message without signatures.
    #[must_use]
    pub fn no_dkim() -> Self {
        Self::new(Method::Dkim, Verdict::None)
    }

    /// DMARC.
    #[must_use]
    pub fn dmarc(evaluation: &Evaluation) -> Self {
        let mut result = Self::new(Method::Dmarc, evaluation.outcome.into());
        if let Some(author) = &evaluation.author {
            result = result.with(PropertyType::Header, "from", author.as_str());
        }
        if evaluation.outcome == Outcome::Fail {
            result = result.with(PropertyType::Policy, "dmarc", evaluation.disposition.as_str());
        }
        result
    }

    /// ARC: what the chain says, and from which set on it held (RFC 8617 §10.2).
    #[must_use]
    pub fn arc(verdict: Verdict, oldest_pass: Option<u8>, client: Option<IpAddr>) -> Self {
        let mut result = Self::new(Method::Arc, verdict);
        if let Some(oldest) = oldest_pass {
            result = result.with(PropertyType::Header, "oldest-pass", oldest.to_string());
        }
        if let Some(client) = client {
            result = result.with(PropertyType::Smtp, "remote-ip", client.to_string());
        }
        result
    }

    /// Whether the client's address has a name that agrees.
    #[must_use]
    pub fn iprev(verdict: Verdict, client: IpAddr) -> Self {
        Self::new(Method::Iprev, verdict).with(PropertyType::Policy, "iprev", client.to_string())
    }

    /// Who logged in.
    #[must_use]
    pub fn auth(verdict: Verdict, login: &str) -> Self {
        Self::new(Method::Auth, verdict).with(PropertyType::Smtp, "auth", login)
    }

    /// The check.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// What came of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }
}

/// Whether two names of servers are the same, however they are spelled or folded.
fn is_same_name(claimed: &str, ours: &DomainName) -> bool {
    let claimed: String =
        claimed.chars().filter(|char| !char.is_whitespace() && !char.is_control()).collect();
    match DomainName::parse(&claimed) {
        Ok(claimed) => claimed == *ours,
        Err(_) => claimed.trim_end_matches('.').eq_ignore_ascii_case(ours.as_str()),
    }
}

#[cfg(test)]
mod tests;
