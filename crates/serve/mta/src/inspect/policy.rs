//! What follows from what was found: whether a message is taken, filed as junk, refused or put off, and why.

use mail_types::{DomainName, ReversePath};
use sender_auth::arc::{ChainResult, Hop};
use sender_auth::dmarc::{AuthorFault, Outcome, Policy};
use sender_auth::results::AuthenticationResults;
use smtp::Reply;

use super::{Checks, Enforcement, Findings, OnDnsFailure, WithoutAuthor};

/// What was done with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// Taken.
    Nothing,
    /// Filed as junk.
    Junk,
    /// Refused.
    Refused,
}

/// Why something else was done than the author's domain asks for (RFC 9990, `policy_override_reason`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Override {
    /// A forwarder whom we believe found that it passed.
    TrustedSealer(DomainName),
    /// A forwarder or mailing list that may bring anybody's mail.
    TrustedForwarder(DomainName),
    /// The operator chose so.
    LocalPolicy,
}

/// What becomes of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    /// In plain words, for the message's record.
    pub(crate) why: String,
    pub(crate) overridden: Option<Override>,
}

/// What is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It is taken.
    Accept,
    /// It is taken and filed as junk.
    Junk,
    /// It is refused, for good or for now, with these words.
    Refuse(Reply),
}

impl Verdict {
    /// Its word in a message's record.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Accept => "taken",
            Self::Junk => "filed as junk",
            Self::Refuse(_) => "refused",
        }
    }
}

/// RFC 7372 §3.3.
const REFUSED: Reply = Reply::fixed(550, (5, 7, 26), "");
/// RFC 7372 §3.3, for now.
const PUT_OFF: Reply =
    Reply::fixed(451, (4, 7, 26), "DNS does not tell whether this sender may send; try again later");

/// RFC 3463 §3.8; others say the same.
const NO_AUTHOR: Reply =
    Reply::fixed(550, (5, 7, 1), "The message has no From field with an address in it (RFC 5322 3.6)");
const NOT_PASSED_ON: Reply =
    Reply::fixed(550, (5, 7, 1), "The message is taken for junk, which is not passed on to other servers");

impl Decision {
    /// What becomes of a message of which a recipient has nothing here: junk that we passed on would be our junk.
    pub(crate) fn without_place_here(self) -> Self {
        match self.verdict {
            Verdict::Junk => Self {
                verdict: Verdict::Refuse(NOT_PASSED_ON),
                why: format!("{}; it could only be passed on", self.why),
                overridden: Some(Override::LocalPolicy),
            },
            Verdict::Accept | Verdict::Refuse(_) => self,
        }
    }

    fn accept(why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Accept, why: why.into(), overridden: None }
    }

    /// What was done, for reports.
    pub(crate) fn applied(&self) -> Applied {
        match &self.verdict {
            Verdict::Accept => Applied::Nothing,
            Verdict::Junk => Applied::Junk,
            Verdict::Refuse(_) => Applied::Refused,
        }
    }
}

/// Decides.
pub(crate) fn decide(checks: &Checks, findings: &Findings, reverse_path: &ReversePath) -> Decision {
    let dmarc = &findings.dmarc;
    let author = dmarc.author.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    if dmarc.outcome == Outcome::TempError {
        return match checks.on_dns_failure {
            OnDnsFailure::Defer => Decision {
                verdict: Verdict::Refuse(PUT_OFF),
                why: format!("DNS does not tell whether {author} sent it"),
                overridden: None,
            },
            OnDnsFailure::Accept => Decision::accept("taken although DNS does not tell who sent it"),
        };
    }
    if dmarc.fault == Some(AuthorFault::NoDomain) {
        return of_nobody(checks, findings, reverse_path);
    }
    let asked = match (dmarc.outcome, dmarc.fault) {
        (Outcome::Fail, _) => dmarc.disposition,
        // Each mail program shows another author, or one that we cannot see.
        (_, Some(_)) => Policy::Quarantine,
        _ => Policy::None,
    };
    let why = match (dmarc.outcome, dmarc.fault) {
        (Outcome::Fail, _) => {
            format!("{author} did not send it and asks for {}", dmarc.disposition.as_str())
        }
        (_, Some(fault)) => format!("its author cannot be told: {fault:?}"),
        (Outcome::Pass, None) => return Decision::accept(format!("{author} vouches for it")),
        (_, None) => return Decision::accept(format!("{author} says nothing of it")),
    };
    if asked == Policy::None {
        return Decision::accept(why);
    }
    if let Some(overridden) = trust(checks, findings, reverse_path) {
        return trusted(&why, overridden);
    }
    let local = Some(Override::LocalPolicy);
    match (checks.dmarc, asked) {
        (Enforcement::Off, _) => Decision { verdict: Verdict::Accept, why, overridden: local },
        (Enforcement::AsPublished, Policy::Reject) => {
            let words = format!("{author} does not let this host send its mail (DMARC)");
            Decision { verdict: Verdict::Refuse(REFUSED.with_text(words)), why, overridden: None }
        }
        (Enforcement::Junk, Policy::Reject) => Decision { verdict: Verdict::Junk, why, overridden: local },
        _ => Decision { verdict: Verdict::Junk, why, overridden: None },
    }
}

/// Decides about a message that names no author.
fn of_nobody(checks: &Checks, findings: &Findings, reverse_path: &ReversePath) -> Decision {
    let why = "it names no author".to_owned();
    if let Some(overridden) = trust(checks, findings, reverse_path) {
        return trusted(&why, overridden);
    }
    let verdict = match (checks.without_author, reverse_path) {
        (WithoutAuthor::Accept, _) => Verdict::Accept,
        (WithoutAuthor::Refuse, ReversePath::Address(_)) => Verdict::Refuse(NO_AUTHOR),
        // A report that is refused is lost: whoever sends it is told of nothing (RFC 5321 §4.5.5).
        (WithoutAuthor::Refuse, ReversePath::Null) | (WithoutAuthor::Junk, _) => Verdict::Junk,
    };
    Decision { verdict, why, overridden: None }
}

/// What somebody we trust brings is taken.
fn trusted(why: &str, overridden: Override) -> Decision {
    let why = match &overridden {
        Override::TrustedSealer(domain) => format!("{why}; {domain} is trusted and found that it passed"),
        Override::TrustedForwarder(domain) => format!("{why}; {domain} may forward anybody's mail"),
        Override::LocalPolicy => why.to_owned(),
    };
    Decision { verdict: Verdict::Accept, why, overridden: Some(overridden) }
}

/// Whether somebody we trust brought the message or vouches for it.
fn trust(checks: &Checks, findings: &Findings, reverse_path: &ReversePath) -> Option<Override> {
    let is_trusted = |domain: &&DomainName| is_listed(domain, &checks.trusted_forwarders);
    if let Some(domain) = findings.proven_domains(reverse_path).find(is_trusted) {
        return Some(Override::TrustedForwarder(domain.clone()));
    }
    if findings.arc.result != ChainResult::Pass {
        return None;
    }
    // From the newest seal back, as far as each is trusted: what an untrusted one says between them counts for nothing.
    let trusted =
        findings.arc.hops.iter().rev().take_while(|hop| is_listed(&hop.domain, &checks.trusted_sealers));
    let found = trusted.into_iter().find(|hop| says_that_it_passed(hop))?;
    Some(Override::TrustedSealer(found.domain.clone()))
}

fn says_that_it_passed(hop: &Hop) -> bool {
    AuthenticationResults::parse(&hop.authentication_results).is_ok_and(|said| {
        said.results.iter().any(|result| result.method == "dmarc" && result.result == "pass")
    })
}

/// Whether a domain, or one above it, is in a list.
fn is_listed(domain: &DomainName, list: &[DomainName]) -> bool {
    list.iter().any(|listed| {
        let above = domain.as_str().strip_suffix(listed.as_str());
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    })
}
