//! What follows from what was found: whether a message is taken, filed as junk, refused or put off, and why.

use mail_types::{DomainName, ReversePath};
use sender_auth::arc::{ChainResult, Hop};
use sender_auth::dmarc::{Outcome, Policy};
use sender_auth::results::AuthenticationResults;
use smtp::Reply;

use super::{Checks, Enforcement, Findings, OnDnsFailure};

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

impl Decision {
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
    let asked = match (dmarc.outcome, dmarc.fault) {
        (Outcome::Fail, _) => dmarc.disposition,
        // Each mail program shows another author, or one that we cannot see.
        (_, Some(_)) if !dmarc_names_nobody(findings) => Policy::Quarantine,
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
        let why = match &overridden {
            Override::TrustedSealer(domain) => format!("{why}; {domain} is trusted and found that it passed"),
            Override::TrustedForwarder(domain) => format!("{why}; {domain} may forward anybody's mail"),
            Override::LocalPolicy => why,
        };
        return Decision { verdict: Verdict::Accept, why, overridden: Some(overridden) };
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

/// Whether there is no author at all: programs' mail, which deceives nobody.
fn dmarc_names_nobody(findings: &Findings) -> bool {
    findings.dmarc.fault == Some(sender_auth::dmarc::AuthorFault::NoDomain)
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
