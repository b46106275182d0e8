//! DMARC: whether whoever a message names as its author let it be sent, and what that domain's owner asks for if not
//! (RFC 9989). SPF and DKIM say which domains vouch for the message, this module whether one of them is the author's.

mod author;
mod record;
pub(crate) mod tags;
pub(crate) mod walk;

use mail_types::DomainName;

pub use author::{AUTHOR_DOMAINS_MAX, AuthorDomains, AuthorFault};
pub use record::{AlignmentMode, FailureOptions, Policy, PublicSuffix, Record};

use crate::lookup::{Answers, Needs, QueryName, Question, ReplyError};
use walk::{DnsFailure, Walk, is_within, record_at, share_a_root};

/// Identifiers of DKIM that are compared; those behind them do not count. A message costs at most eight questions for
/// each identifier and each author, and one more for each author.
pub const DKIM_IDENTIFIERS_MAX: usize = 16;

/// A domain that a check looked at, and how that went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identifier {
    /// The domain of MAIL FROM, or the `d=` of a signature.
    pub domain: DomainName,
    /// How the check went.
    pub outcome: IdentifierOutcome,
}

/// How the check of an identifier went, as far as DMARC wants to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdentifierOutcome {
    /// It vouches for the message.
    Pass,
    /// It does not: every other result.
    Fail,
    /// Nobody knows for now.
    TempError,
}

/// What SPF and DKIM found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identifiers {
    /// SPF's result for MAIL FROM; for a null reverse-path there is none (RFC 9989 §4.4.2 does not look at HELO).
    pub spf: Option<Identifier>,
    /// Each signature's result.
    pub dkim: Vec<Identifier>,
}

/// How an identifier and the author's domain go together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alignment {
    /// They are the same.
    Same,
    /// They are one organisation's, and the author's domain is content with that.
    Organisation,
    /// They have nothing to do with each other.
    Different,
    /// DNS failed.
    Unknown,
}

impl Alignment {
    /// Whether the identifier vouches for the author.
    #[must_use]
    pub fn is_aligned(self) -> bool {
        matches!(self, Self::Same | Self::Organisation)
    }
}

/// The result of DMARC, as Authentication-Results names it (RFC 9989 §9.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// The author's domain vouches for the message.
    Pass,
    /// The author's domain has no policy: DMARC has nothing to say.
    None,
    /// The policy cannot be read, or nobody can say who the author is ([`Evaluation::fault`]).
    PermError,
    /// DNS failed; nothing follows from it but that asking later may do better.
    TempError,
    /// The author's domain does not vouch for the message.
    Fail,
}

/// Where the policy record of an author's domain stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// At the domain itself.
    Own,
    /// At its organisation's domain.
    Organisation,
    /// At the registry above it.
    Registry,
}

/// A policy as it was published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// The domain whose record it is: reports are about it.
    pub domain: DomainName,
    /// How that domain stands to the author's.
    pub standing: Standing,
    /// The record.
    pub record: Record,
}

/// What DMARC found about a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evaluation {
    /// The result.
    pub outcome: Outcome,
    /// What the owner asks for this message: `None` unless it failed.
    pub disposition: Policy,
    /// The author's domain that the result speaks of: of several, the one that decided. None where nobody is named.
    pub author: Option<DomainName>,
    /// What is wrong with how the message names its author. Such a message never passes.
    pub fault: Option<AuthorFault>,
    /// The policy of the author's domain.
    pub published: Option<Published>,
    /// How MAIL FROM and the author go together; none where SPF did not pass.
    pub spf: Option<Alignment>,
    /// How each signature and the author go together, in the order they came in; none where it did not pass.
    pub dkim: Vec<Option<Alignment>>,
}

impl Evaluation {
    /// Whether SPF alone makes it pass.
    #[must_use]
    pub fn has_aligned_spf(&self) -> bool {
        self.spf.is_some_and(Alignment::is_aligned)
    }

    /// Whether DKIM alone makes it pass.
    #[must_use]
    pub fn has_aligned_dkim(&self) -> bool {
        self.dkim.iter().flatten().any(|alignment| alignment.is_aligned())
    }

    fn without_policy(outcome: Outcome, author: Option<&DomainName>) -> Self {
        Self {
            outcome,
            disposition: Policy::None,
            author: author.cloned(),
            fault: None,
            published: None,
            spf: None,
            dkim: Vec::new(),
        }
    }
}

/// Judges a message.
///
/// Several domains in one From field are judged each by itself, and the worst result is the message's: it passes only if
/// each of them passes, and fails with the strictest policy among those that fail (RFC 9989 §11.5). A message with more
/// than one From field or with an author that cannot be read never passes: where no domain fails it, the result is
/// `permerror`.
///
/// # Errors
/// [`Needs`] as long as answers are missing.
pub fn evaluate(
    authors: &AuthorDomains,
    identifiers: &Identifiers,
    answers: &Answers,
) -> Result<Evaluation, Needs> {
    let judged = gather(authors.domains().iter().map(|author| judge(author, identifiers, answers)))?;
    let worst = judged.into_iter().max_by_key(|evaluation| (evaluation.outcome, evaluation.disposition));
    let mut worst = worst.unwrap_or_else(|| Evaluation::without_policy(Outcome::PermError, None));
    worst.fault = authors.fault();
    if worst.fault.is_some() && worst.outcome < Outcome::PermError {
        worst.outcome = Outcome::PermError;
    }
    Ok(worst)
}

fn judge(author: &DomainName, identifiers: &Identifiers, answers: &Answers) -> Result<Evaluation, Needs> {
    let published = match discover(author, answers)? {
        Err(DnsFailure) => return Ok(Evaluation::without_policy(Outcome::TempError, Some(author))),
        Ok(None) => return Ok(Evaluation::without_policy(Outcome::None, Some(author))),
        Ok(Some(published)) => published,
    };
    if !published.record.has_effect() {
        let broken = Evaluation::without_policy(Outcome::PermError, Some(author));
        return Ok(Evaluation { published: Some(published), ..broken });
    }
    let record = &published.record;
    let spf = identifiers.spf.iter().map(|spf| (spf, record.spf_alignment));
    let dkim = identifiers.dkim.iter().take(DKIM_IDENTIFIERS_MAX).map(|dkim| (dkim, record.dkim_alignment));
    let checked: Vec<_> = spf.chain(dkim).collect();
    let alignments = gather(checked.iter().map(|(found, mode)| align(author, found, *mode, answers)))?;
    let mut outcome = Outcome::Fail;
    for ((identifier, _), alignment) in checked.iter().zip(&alignments) {
        let Some(alignment) = alignment else { continue };
        match (identifier.outcome, alignment) {
            (IdentifierOutcome::Pass, Alignment::Same | Alignment::Organisation) => outcome = Outcome::Pass,
            (_, Alignment::Different) => {}
            // RFC 9989 §5.3.6: what DNS did not let us see is neither a pass nor a failure.
            _ => outcome = outcome.min(Outcome::TempError),
        }
    }
    let disposition = match outcome {
        Outcome::Fail => disposition(author, &published, answers)?,
        _ => Ok(Policy::None),
    };
    let (outcome, disposition) = match disposition {
        Ok(disposition) => (outcome, disposition),
        Err(DnsFailure) => (Outcome::TempError, Policy::None),
    };
    let has_passed = |(index, alignment): (usize, Option<Alignment>)| {
        let (identifier, _) = checked.get(index)?;
        alignment.filter(|_| identifier.outcome == IdentifierOutcome::Pass)
    };
    let mut told = alignments.into_iter().enumerate().map(has_passed);
    let spf = identifiers.spf.as_ref().and_then(|_| told.next().flatten());
    let dkim = told.collect();
    let author = Some(author.clone());
    Ok(Evaluation { outcome, disposition, author, fault: None, published: Some(published), spf, dkim })
}

/// Finds the policy of a domain (RFC 9989 §4.10.1).
fn discover(author: &DomainName, answers: &Answers) -> Result<Result<Option<Published>, DnsFailure>, Needs> {
    match record_at(author.as_str(), answers)? {
        Err(failure) => return Ok(Err(failure)),
        Ok(Some(record)) => {
            return Ok(Ok(Some(Published { domain: author.clone(), standing: Standing::Own, record })));
        }
        Ok(None) => {}
    }
    let walk = match Walk::from(author, answers)? {
        Err(failure) => return Ok(Err(failure)),
        Ok(walk) => walk,
    };
    let published = walk.inherited().and_then(|(domain, record)| {
        let is_organisation = domain == walk.organisational_domain();
        let standing = if is_organisation { Standing::Organisation } else { Standing::Registry };
        // The end of a domain name is one.
        Some(Published { domain: DomainName::parse(domain).ok()?, standing, record: record.clone() })
    });
    Ok(Ok(published))
}

/// Compares an identifier with the author's domain; none if it does not vouch for anything.
fn align(
    author: &DomainName,
    identifier: &Identifier,
    mode: AlignmentMode,
    answers: &Answers,
) -> Result<Option<Alignment>, Needs> {
    if identifier.outcome == IdentifierOutcome::Fail {
        return Ok(None);
    }
    let (author_name, name) = (author.as_str(), identifier.domain.as_str());
    if author_name == name {
        return Ok(Some(Alignment::Same));
    }
    // Two domains without a common end have no common organisation: nothing to ask.
    if mode == AlignmentMode::Strict || !share_a_root(author_name, name) {
        return Ok(Some(Alignment::Different));
    }
    let Ok(author_walk) = Walk::from(author, answers)? else { return Ok(Some(Alignment::Unknown)) };
    let organisation = author_walk.organisational_domain();
    // An organisation's domains stand below its own.
    if !is_within(name, organisation) {
        return Ok(Some(Alignment::Different));
    }
    let Ok(walk) = Walk::from(&identifier.domain, answers)? else { return Ok(Some(Alignment::Unknown)) };
    let is_same = walk.organisational_domain() == organisation;
    Ok(Some(if is_same { Alignment::Organisation } else { Alignment::Different }))
}

/// What the owner asks for a message of this author that failed (RFC 9989 §4.10.1, `t` of §4.7).
fn disposition(
    author: &DomainName,
    published: &Published,
    answers: &Answers,
) -> Result<Result<Policy, DnsFailure>, Needs> {
    let record = &published.record;
    let existing = record.subdomain_policy.unwrap_or(record.policy);
    let asked = match (published.standing, record.nonexistent_policy) {
        (Standing::Own, _) => record.policy,
        (_, Some(nonexistent)) if nonexistent != existing => match exists(author, answers)? {
            Ok(true) => existing,
            Ok(false) => nonexistent,
            Err(failure) => return Ok(Err(failure)),
        },
        _ => existing,
    };
    Ok(Ok(if record.is_testing { asked.milder() } else { asked }))
}

/// Whether a domain exists: DNS has something at it or below it (RFC 9989 §3.2, RFC 8020).
fn exists(domain: &DomainName, answers: &Answers) -> Result<Result<bool, DnsFailure>, Needs> {
    Ok(match answers.a(&QueryName::from(domain))? {
        Ok(_) | Err(ReplyError::NoData) => Ok(true),
        Err(ReplyError::NoSuchName) => Ok(false),
        Err(ReplyError::Failure) => Err(DnsFailure),
    })
}

/// All results, or all that they need together.
fn gather<T>(results: impl Iterator<Item = Result<T, Needs>>) -> Result<Vec<T>, Needs> {
    let mut found = Vec::new();
    let mut missing: Vec<Question> = Vec::new();
    for result in results {
        match result {
            Ok(value) => found.push(value),
            Err(Needs(questions)) => {
                for question in questions {
                    if !missing.contains(&question) {
                        missing.push(question);
                    }
                }
            }
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(Needs(missing)) }
}

#[cfg(test)]
mod tests;
