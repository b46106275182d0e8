//! All checks of one message, asked for together.

use std::net::IpAddr;

use dns::Resolver;
use mail_types::{AddressDomain, DomainName, ReversePath};
use sender_auth::arc::ChainVerdict;
use sender_auth::dkim::{DkimResult, SignatureVerdict};
use sender_auth::dmarc::{self, Evaluation, Identifier, IdentifierOutcome, Identifiers};
use sender_auth::iprev::{self, Iprev};
use sender_auth::spf::{self, Identity, SpfResult};
use sender_auth::{Answers, Needs};

use super::Checks;
use super::questions::Asker;
use super::watch::Claims;

/// What the checks of a message found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Whether the client's address has a name that agrees.
    pub iprev: Iprev,
    /// SPF of the name behind HELO.
    pub spf_helo: spf::Outcome,
    /// SPF of MAIL FROM; none for a null reverse-path.
    pub spf: Option<spf::Outcome>,
    /// Each signature.
    pub dkim: Vec<SignatureVerdict>,
    /// The ARC chain.
    pub arc: ChainVerdict,
    /// What the author's domain makes of all that.
    pub dmarc: Evaluation,
}

/// The client, and who it says it is.
#[derive(Clone, Copy)]
pub(crate) struct Bringer<'a> {
    pub(crate) address: IpAddr,
    pub(crate) hello: &'a str,
    pub(crate) reverse_path: &'a ReversePath,
    /// Our name.
    pub(crate) receiver: &'a str,
    pub(crate) now_seconds: i64,
}

impl<'a> Bringer<'a> {
    /// The question that SPF answers.
    pub(crate) fn query(self) -> spf::Query<'a> {
        spf::Query {
            address: self.address,
            helo: self.hello,
            reverse_path: self.reverse_path,
            receiver: self.receiver,
            now_seconds: self.now_seconds,
        }
    }
}

impl Findings {
    /// Runs the checks.
    pub(crate) async fn of(
        resolver: &Resolver,
        checks: &Checks,
        bringer: Bringer<'_>,
        claims: &Claims,
    ) -> Self {
        let query = bringer.query();
        let now = u64::try_from(bringer.now_seconds).unwrap_or_default();
        let mut asker = Asker::new(resolver, checks.time_max);
        let (iprev, spf_helo, spf, dkim, arc) = asker
            .settle(|answers: &Answers| {
                let mut missing = Missing::default();
                let iprev = missing.note(iprev::check(bringer.address, answers));
                let limits = spf::Limits::default();
                let helo = missing.note(spf::check(Identity::Helo, &query, limits, answers));
                let mail_from = match bringer.reverse_path {
                    ReversePath::Null => Some(None),
                    ReversePath::Address(_) => {
                        missing.note(spf::check(Identity::MailFrom, &query, limits, answers)).map(Some)
                    }
                };
                let dkim = missing.note(claims.signatures.judge(answers, now));
                let arc = missing.note(claims.signatures.judge_chain(answers, now));
                match (iprev, helo, mail_from, dkim, arc) {
                    (Some(iprev), Some(helo), Some(mail_from), Some(dkim), Some(arc)) => {
                        Ok((iprev, helo, mail_from, dkim, arc))
                    }
                    _ => Err(missing.needs),
                }
            })
            .await;
        let identifiers = identifiers(bringer.reverse_path, spf.as_ref(), &dkim);
        let dmarc = asker.settle(|answers| dmarc::evaluate(&claims.authors, &identifiers, answers)).await;
        Self { iprev, spf_helo, spf, dkim, arc, dmarc }
    }

    /// Domains that SPF or DKIM proves to have brought or signed the message.
    pub(crate) fn proven_domains<'a>(
        &'a self,
        reverse_path: &'a ReversePath,
    ) -> impl Iterator<Item = &'a DomainName> {
        let passes = self.spf.as_ref().is_some_and(|spf| spf.result == SpfResult::Pass);
        let by_spf = domain_of(reverse_path).filter(|_| passes);
        by_spf.into_iter().chain(self.dkim.iter().filter_map(SignatureVerdict::passing_domain))
    }
}

impl Findings {
    /// Whether the client may send for the domain of MAIL FROM.
    pub(crate) fn spf_passes(&self) -> bool {
        self.spf.as_ref().is_some_and(|spf| spf.result == SpfResult::Pass)
    }

    /// The author's domain, if it vouches for the message: as its policy says, or where it has none, being the very one that SPF
    /// or DKIM proves. `named` is that of the first author, who is the one people see.
    pub(crate) fn proven_author<'a>(
        &'a self,
        named: Option<&'a DomainName>,
        reverse_path: &'a ReversePath,
    ) -> Option<&'a DomainName> {
        match self.dmarc.outcome {
            dmarc::Outcome::Pass => self.dmarc.author.as_ref(),
            dmarc::Outcome::None => {
                named.filter(|named| self.proven_domains(reverse_path).any(|proven| proven == *named))
            }
            _ => None,
        }
    }
}

/// What several checks are still waiting for.
struct Missing {
    needs: Needs,
}

impl Default for Missing {
    fn default() -> Self {
        Self { needs: Needs(Vec::new()) }
    }
}

impl Missing {
    fn note<T>(&mut self, checked: Result<T, Needs>) -> Option<T> {
        match checked {
            Ok(result) => Some(result),
            Err(Needs(questions)) => {
                for question in questions {
                    if !self.needs.0.contains(&question) {
                        self.needs.0.push(question);
                    }
                }
                None
            }
        }
    }
}

fn domain_of(reverse_path: &ReversePath) -> Option<&DomainName> {
    match reverse_path {
        ReversePath::Address(address) => match address.domain() {
            AddressDomain::Name(name) => Some(name),
            AddressDomain::Literal(_) => None,
        },
        ReversePath::Null => None,
    }
}

/// What DMARC compares with the author.
fn identifiers(
    reverse_path: &ReversePath,
    spf: Option<&spf::Outcome>,
    dkim: &[SignatureVerdict],
) -> Identifiers {
    let spf = domain_of(reverse_path).zip(spf).map(|(domain, spf)| Identifier {
        domain: domain.clone(),
        outcome: match spf.result {
            SpfResult::Pass => IdentifierOutcome::Pass,
            SpfResult::TempError => IdentifierOutcome::TempError,
            _ => IdentifierOutcome::Fail,
        },
    });
    let dkim = dkim.iter().filter_map(|signature| {
        let outcome = match signature.result {
            DkimResult::Pass => IdentifierOutcome::Pass,
            DkimResult::TempError => IdentifierOutcome::TempError,
            _ => IdentifierOutcome::Fail,
        };
        Some(Identifier { domain: signature.domain.clone()?, outcome })
    });
    Identifiers { spf, dkim: dkim.collect() }
}
