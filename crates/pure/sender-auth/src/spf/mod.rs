//! SPF: whether a host may send mail for a domain, as the domain's owner says in DNS (RFC 7208).
//!
//! [`check`] is asked for each of the two identities, as often as it has [`Needs`]. Records are typed by [`Record`],
//! evaluated in `evaluate.rs`; a failure's reason is fetched by `explanation.rs`.

mod evaluate;
mod explanation;
mod macro_string;
mod received_spf;
mod record;

use std::fmt;
use std::net::IpAddr;

use mail_types::{AddressDomain, ReversePath};

use crate::lookup::{Answers, Needs, QueryName};
use evaluate::{Evaluation, Stop};

pub use explanation::EXPLANATION_OCTETS_MAX;
pub use macro_string::{DomainSpec, MacroError, MacroLetter, MacroString};
pub use received_spf::write_received_spf;
pub use record::{
    Directive, DualPrefix, Mechanism, Qualifier, RECORD_OCTETS_MAX, Record, RecordError, is_record,
};

/// What is checked for: the client, and who it says it is.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The client's address.
    pub address: IpAddr,
    /// What the client said behind HELO or EHLO, whatever it is.
    pub helo: &'a str,
    /// What the client said in MAIL FROM.
    pub reverse_path: &'a ReversePath,
    /// Our host's name, for explanations.
    pub receiver: &'a str,
    /// Now, in seconds since 1970, for explanations.
    pub now_seconds: i64,
}

/// Which of its names a client is checked for (RFC 7208 §2.3, §2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// The name behind HELO or EHLO.
    Helo,
    /// The domain of the reverse-path; with `<>` the name behind HELO stands for it.
    MailFrom,
}

/// The mailbox that a check is about (`<sender>` of RFC 7208 §4.1), as text: it may be anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sender {
    /// What stands before the `@`.
    pub local_part: String,
    /// What stands behind it.
    pub domain: String,
}

impl Sender {
    /// The mailbox that stands for an identity.
    #[must_use]
    pub fn of(identity: Identity, query: &Query<'_>) -> Self {
        match (identity, query.reverse_path) {
            (Identity::MailFrom, ReversePath::Address(address)) => Self {
                local_part: address.local_part().to_owned(),
                domain: match address.domain() {
                    AddressDomain::Name(name) => name.to_string(),
                    AddressDomain::Literal(literal) => literal.to_string(),
                },
            },
            (Identity::Helo, _) | (Identity::MailFrom, ReversePath::Null) => {
                Self { local_part: POSTMASTER.to_owned(), domain: query.helo.to_owned() }
            }
        }
    }
}

/// The local part where a sender has none (RFC 7208 §4.3).
const POSTMASTER: &str = "postmaster";

/// How much a domain's owner may make us ask (RFC 7208 §4.6.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Terms that ask DNS.
    pub lookups: u8,
    /// Terms among them for which DNS has nothing.
    pub voids: u8,
}

/// Addresses looked up for one `mx`, names for one `ptr` or `%{p}` (RFC 7208 §4.6.4).
pub const NAMES_PER_TERM_MAX: usize = 10;

impl Default for Limits {
    fn default() -> Self {
        Self { lookups: 10, voids: 2 }
    }
}

/// What a check says (RFC 7208 §2.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SpfResult {
    /// No record, or no domain that could have one.
    None,
    /// The owner says nothing about the client.
    Neutral,
    /// The client may send.
    Pass,
    /// The client may not send.
    Fail,
    /// The client probably may not send.
    SoftFail,
    /// DNS fails now.
    TempError,
    /// The record is wrong.
    PermError,
}

impl SpfResult {
    /// The word for it in Received-SPF and Authentication-Results (RFC 7208 §9.1, RFC 8601 §2.7.2).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A check's result and how it came about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What was found.
    pub result: SpfResult,
    /// The domain that was checked, as text: whatever the client gave.
    pub domain: String,
    /// The directive that decided; none where no mechanism matched.
    pub matched: Option<Matched>,
    /// What is wrong, if the result is an error.
    pub problem: Option<Problem>,
    /// What the domain's owner tells those who fail: printable ASCII, at most [`EXPLANATION_OCTETS_MAX`] octets.
    /// These are a stranger's words (RFC 7208 §11.5).
    pub explanation: Option<String>,
}

/// The directive that decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matched {
    /// As it stands in the record, shortened if it is long: `-all`, `ip4:192.0.2.0/24`.
    pub directive: String,
    /// Whose record: the domain checked, or one it redirects to.
    pub record_of: QueryName,
}

/// Why a check ended in an error, and in whose record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{fault} (record of {record_of})")]
pub struct Problem {
    /// The record that was being evaluated.
    pub record_of: QueryName,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a record, or with the DNS behind it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// DNS fails now.
    #[error("DNS fails for {0}")]
    Dns(QueryName),
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// More than one record.
    #[error("more than one SPF record")]
    SeveralRecords,
    /// Included or redirected to a name that has no record, or that cannot be one.
    #[error("{0} leads to no SPF record")]
    NoRecord(String),
    /// Beyond [`Limits::lookups`].
    #[error("too many terms that ask DNS")]
    TooManyLookups,
    /// Beyond [`Limits::voids`].
    #[error("too many terms that find nothing in DNS")]
    TooManyVoids,
    /// Beyond [`NAMES_PER_TERM_MAX`].
    #[error("{0} has too many mail exchangers")]
    TooManyExchangers(QueryName),
}

impl Fault {
    fn result(&self) -> SpfResult {
        match self {
            Self::Dns(_) => SpfResult::TempError,
            _ => SpfResult::PermError,
        }
    }
}

/// Checks one of a client's identities.
///
/// # Errors
/// [`Needs`]: what has to be asked before the check can go on.
pub fn check(
    identity: Identity,
    query: &Query<'_>,
    limits: Limits,
    answers: &Answers,
) -> Result<Outcome, Needs> {
    check_host(&Sender::of(identity, query), query, limits, answers)
}

/// `check_host()` of RFC 7208 §4 for a sender given as text; the query's reverse-path is not looked at.
///
/// # Errors
/// [`Needs`]: what has to be asked before the check can go on.
pub fn check_host(
    sender: &Sender,
    query: &Query<'_>,
    limits: Limits,
    answers: &Answers,
) -> Result<Outcome, Needs> {
    let mut outcome = Outcome {
        result: SpfResult::None,
        domain: sender.domain.clone(),
        matched: None,
        problem: None,
        explanation: None,
    };
    let Some(domain) = checkable(&sender.domain) else { return Ok(outcome) };
    let mut evaluation = Evaluation::new(sender, query, limits, answers);
    match evaluation.evaluate(domain) {
        Ok(found) => {
            outcome.result = found.result;
            if let (SpfResult::Fail, Some((spec, domain))) = (found.result, &found.explanation) {
                outcome.explanation = evaluation.explain(spec, domain)?;
            }
            outcome.matched = found.matched;
        }
        Err(Stop::Needs(needs)) => return Err(needs),
        Err(Stop::Problem(problem)) => {
            outcome.result = problem.fault.result();
            outcome.problem = Some(*problem);
        }
    }
    Ok(outcome)
}

/// A domain that can have a record: more than one label, the last of them no number and no bracket (RFC 7208 §4.3).
fn checkable(domain: &str) -> Option<QueryName> {
    let name = QueryName::parse(domain).ok()?;
    let (_, last) = name.as_str().rsplit_once('.')?;
    macro_string::is_top_label(last).then_some(name)
}

#[cfg(test)]
mod tests;
