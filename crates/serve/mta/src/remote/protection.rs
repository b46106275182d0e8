//! Finds the policy for a connection to a host, and tells what became of it to whoever counts for TLS reports.

use dns::LookupError;
use mail_types::{DomainName, Situation};
use queue::{Destination, Diagnostic};
use sender_auth::reports::{TlsFailureType, TlsPolicyType};
use smtp::client::Missing;
use tls::CertificateFault;

use super::connect::{Connection, NoUse, TlsFailure};
use super::dane;
use super::judge;
use super::mx::Host;
use super::tls_policy::{Decision, Demand, Facts, NoPolicy, TlsPolicy};
use crate::outbound::settings::Identity;
use crate::outbound::tls_result::{AppliedPolicy, TlsPlace, TlsResult};
use crate::outbound::{Gate, LiveOut};
use crate::way::{PolicySource, Protection, VerifiedBy};

/// A connection to be made.
#[derive(Clone, Copy)]
pub(crate) struct Undertaking<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) live: &'a LiveOut,
    pub(crate) destination: &'a Destination,
    pub(crate) host: &'a Host,
    pub(crate) port: u16,
    pub(crate) identity: &'a Identity,
    pub(crate) demand: Demand,
}

/// Why no connection is made.
#[derive(Debug)]
pub(crate) struct Forbidden {
    pub(crate) diagnostic: Diagnostic,
    /// No later try can do better.
    pub(crate) is_final: bool,
}

impl Undertaking<'_> {
    /// The policy: asks DNS, and the destination, as far as they have a say.
    pub(crate) async fn policy(&self) -> Result<Decision, Forbidden> {
        let (resolver, clock) = (&self.gate.rooms.resolver, &self.gate.rooms.clock);
        let wish = self.live.settings.tls_wish(self.destination);
        let mut facts = Facts {
            destination: self.destination,
            host: self.host,
            wish,
            demand: self.demand,
            tlsa: None,
            sts: None,
        };
        let tlsa = match facts.need_tlsa() {
            true => {
                dane::look_up(resolver, self.host, self.port).await.map_err(|error| self.unknown(&error))?
            }
            false => None,
        };
        facts.tlsa = tlsa.as_ref();
        let sts = match (self.destination, &self.gate.sts) {
            (Destination::Domain(domain), Some(policies)) if facts.need_sts() => {
                let (found, failure) = policies.find((resolver, clock), self.live, domain).await;
                if let Some(failure) = failure {
                    let applied = found.as_ref().map_or_else(unread, |found| found.applied());
                    self.tell(applied, None, Some(failure.kind), &failure.detail);
                }
                found
            }
            _ => None,
        };
        facts.sts = sts.as_deref();
        facts.decide().map_err(|no_policy| match no_policy {
            NoPolicy::Never(situation) => {
                Forbidden { diagnostic: judge::found_out(situation, Some(&self.host.name)), is_final: true }
            }
            NoPolicy::Later(situation, why, failure) => {
                let applied = sts.as_ref().map_or_else(AppliedPolicy::none, |sts| sts.applied());
                self.tell(applied, Some(self.place(None)), Some(failure), why);
                let diagnostic = judge::detailed(situation, Some(&self.host.name), why);
                Forbidden { diagnostic, is_final: false }
            }
        })
    }

    /// RFC 7672 §2.1.2: where nobody knows whether there are TLSA records mail waits.
    fn unknown(&self, error: &LookupError) -> Forbidden {
        if matches!(error, LookupError::Bogus(_)) {
            let applied =
                AppliedPolicy { kind: TlsPolicyType::Tlsa, texts: Vec::new(), exchangers: Vec::new() };
            let failure = Some(TlsFailureType::DnssecInvalid);
            self.tell(applied, Some(self.place(None)), failure, &error.to_string());
        }
        let detail = format!("TLSA records: {error}");
        let diagnostic = judge::detailed(Situation::DnsFailure, Some(&self.host.name), &detail);
        Forbidden { diagnostic, is_final: false }
    }

    /// Tells what a connection under this policy came to.
    pub(crate) fn tell_outcome(&self, decision: Decision, reached: &Result<Connection, NoUse>) {
        let Some(Came { failure, detail }) = came(&decision, reached) else { return };
        self.gate.counts.protected(decision.source, failure.is_none());
        let address = reached.as_ref().ok().and_then(|connection| connection.end.address.address());
        self.tell(decision.applied, Some(self.place(address)), failure, &detail);
    }

    fn place(&self, address: Option<std::net::IpAddr>) -> TlsPlace {
        TlsPlace { host: self.host.name.clone(), address, hello: self.identity.hello.clone() }
    }

    fn tell(
        &self,
        policy: AppliedPolicy,
        place: Option<TlsPlace>,
        failure: Option<TlsFailureType>,
        detail: &str,
    ) {
        let Some(domain) = self.reported_domain() else { return };
        let time = self.gate.rooms.clock.now();
        let detail = judge::bounded(detail);
        (self.gate.rooms.tls_results)(&TlsResult { time, domain, policy, place, failure, detail });
    }

    /// Whose owner may want to hear of it; nobody's where the operator named the server.
    fn reported_domain(&self) -> Option<DomainName> {
        match self.destination {
            Destination::Domain(domain) => Some(domain.clone()),
            _ => None,
        }
    }
}

/// A policy that could not be had.
fn unread() -> AppliedPolicy {
    AppliedPolicy { kind: TlsPolicyType::Sts, texts: Vec::new(), exchangers: Vec::new() }
}

struct Came {
    failure: Option<TlsFailureType>,
    detail: String,
}

/// What a try to protect a connection came to; `None` where it did not come so far, or TLS was not wanted.
fn came(decision: &Decision, reached: &Result<Connection, NoUse>) -> Option<Came> {
    let (failure, detail) = match reached {
        _ if decision.policy == TlsPolicy::Never => return None,
        Ok(Connection { tls: Some(session), .. }) => {
            (session.fault.map(of_certificate).or(decision.known_fault), String::new())
        }
        Ok(Connection { tls_failure: Some(words), .. }) => {
            (Some(TlsFailureType::ValidationFailure), words.to_string())
        }
        Ok(_) | Err(NoUse::Lacks(Missing::StartTls)) => {
            (Some(TlsFailureType::StartTlsNotSupported), String::new())
        }
        Err(NoUse::Tls(failure)) => (Some(of_tls(failure)), judge::tls_failure(failure).into()),
        Err(_) => return None,
    };
    Some(Came { failure, detail })
}

/// What failed where TLS was offered.
fn of_tls(failure: &TlsFailure) -> TlsFailureType {
    let fault = match failure {
        TlsFailure::Handshake(error) => error.certificate_fault(),
        TlsFailure::Conversation(_) => None,
    };
    fault.map_or(TlsFailureType::ValidationFailure, of_certificate)
}

fn of_certificate(fault: CertificateFault) -> TlsFailureType {
    match fault {
        CertificateFault::WrongName => TlsFailureType::CertificateHostMismatch,
        CertificateFault::Expired => TlsFailureType::CertificateExpired,
        CertificateFault::Untrusted => TlsFailureType::CertificateNotTrusted,
        CertificateFault::NoTlsaMatch => TlsFailureType::TlsaInvalid,
        CertificateFault::Unusable => TlsFailureType::ValidationFailure,
    }
}

/// What was proven of a server that was reached under a policy.
pub(crate) fn proven(policy: &TlsPolicy, source: PolicySource, session: Option<&tls::Session>) -> Protection {
    let verified = match (policy, session) {
        (_, None) => VerifiedBy::Nobody,
        (TlsPolicy::Dane(_), Some(_)) => VerifiedBy::Dane,
        (TlsPolicy::Verified { .. }, Some(_)) => VerifiedBy::Authority,
        (TlsPolicy::Observed { .. }, Some(session)) if session.fault.is_none() => VerifiedBy::Authority,
        (_, Some(_)) => VerifiedBy::Nobody,
    };
    Protection { source, verified }
}
