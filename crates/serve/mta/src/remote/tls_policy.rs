//! How a connection to a host must be protected: by what its owner says of it (DANE, RFC 7672; MTA-STS, RFC 8461), by
//! what the operator says, and by what the message itself demands (REQUIRETLS, RFC 8689).

use dns::Security;
use mail_types::Situation;
use queue::{Destination, RelayTls};
use sender_auth::mta_sts::Mode;
use sender_auth::reports::{TlsFailureType, TlsPolicyType};
use smtp::client::StartTlsUse;

use super::dane::TlsaRecords;
use super::mx::Host;
use crate::outbound::settings::TlsWish;
use crate::outbound::sts::policy::StsPolicy;
use crate::outbound::tls_result::AppliedPolicy;
use crate::way::PolicySource;

/// What a connection to one host needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TlsPolicy {
    /// Clear text.
    Never,
    /// TLS where it is offered, with whoever answers; in clear where it fails (RFC 7435).
    Opportunistic,
    /// The same, and what a trusted authority says of the certificate is told (RFC 8461 §5, mode `testing`).
    Observed {
        /// The name that the certificate should show.
        name: Box<str>,
    },
    /// TLS with whoever answers; else no connection.
    Encrypted,
    /// TLS with a certificate that DNS vouches for; else no connection.
    Dane(TlsaRecords),
    /// TLS with a certificate that a trusted authority gave to this name; else no connection.
    Verified {
        /// The name that the certificate has to show.
        name: Box<str>,
        /// When TLS begins.
        begins: TlsBegins,
    },
}

/// When TLS begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TlsBegins {
    /// After STARTTLS.
    OnCommand,
    /// With the connection (RFC 8314).
    AtOnce,
}

/// What a message itself demands of its way (RFC 8689).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Demand {
    /// Nothing.
    None,
    /// REQUIRETLS.
    RequireTls,
    /// To arrive, however the domain wants to be protected: it is about just that (RFC 8460 §3).
    Arrival,
}

/// What is known where a policy has to be found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) host: &'a Host,
    /// What the operator says of the destination.
    pub(crate) wish: &'a TlsWish,
    pub(crate) demand: Demand,
    /// What DNS says of the host.
    pub(crate) tlsa: Option<&'a TlsaRecords>,
    /// What the destination says of its hosts.
    pub(crate) sts: Option<&'a StsPolicy>,
}

/// A policy, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) policy: TlsPolicy,
    pub(crate) source: PolicySource,
    /// As it is told to the destination's owner.
    pub(crate) applied: AppliedPolicy,
    /// What is wrong already, and does not matter.
    pub(crate) known_fault: Option<TlsFailureType>,
}

/// Why there can be no connection to a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NoPolicy {
    /// The message demands what cannot be had here.
    Never(Situation),
    /// What the host should have is not there: it may be later.
    Later(Situation, &'static str, TlsFailureType),
}

impl Facts<'_> {
    /// Whether what the domain itself says of its protection counts.
    fn hears_domain(&self) -> bool {
        let is_its_own = matches!(self.destination, Destination::Domain(_) | Destination::Literal(_));
        self.demand != Demand::Arrival || !is_its_own || *self.wish != TlsWish::Automatic
    }

    /// Whether DNS has to be asked for TLSA records of the host.
    pub(crate) fn need_tlsa(&self) -> bool {
        let is_opportunistic = match self.destination {
            Destination::Domain(_) | Destination::Literal(_) => true,
            Destination::Relay(relay) => relay.tls == RelayTls::Opportunistic,
            Destination::Lmtp(_) => false,
        };
        let wishes = matches!(self.wish, TlsWish::Automatic | TlsWish::Dane | TlsWish::DaneOnly);
        let demands = self.demand == Demand::RequireTls && *self.wish != TlsWish::Never;
        is_opportunistic && (wishes || demands) && self.hears_domain()
    }

    /// Whether the destination has to be asked for its policy: DNS, where it speaks, speaks alone (RFC 8461 §2).
    pub(crate) fn need_sts(&self) -> bool {
        let demands = self.demand == Demand::RequireTls
            && self.host.security == Security::Insecure
            && *self.wish != TlsWish::Never;
        matches!(self.destination, Destination::Domain(_))
            && self.usable().is_none()
            && (*self.wish == TlsWish::Automatic || demands)
            && self.hears_domain()
    }

    /// TLSA records of which one can be used.
    fn usable(&self) -> Option<&TlsaRecords> {
        self.tlsa.filter(|records| records.trust.is_some())
    }

    /// The policy.
    ///
    /// # Errors
    /// [`NoPolicy`] where there can be no connection.
    pub(crate) fn decide(&self) -> Result<Decision, NoPolicy> {
        let usual = self.usual()?;
        match (self.demand, &usual.policy, usual.source) {
            (Demand::None | Demand::Arrival, ..) | (Demand::RequireTls, TlsPolicy::Dane(_), _) => Ok(usual),
            // The operator named this server or its certificate, or the domain did by its own.
            (Demand::RequireTls, TlsPolicy::Verified { .. }, PolicySource::Relay | PolicySource::MtaSts) => {
                Ok(usual)
            }
            (Demand::RequireTls, TlsPolicy::Verified { .. }, PolicySource::Operator)
                if matches!(self.wish, TlsWish::Verified(Some(_))) =>
            {
                Ok(usual)
            }
            (Demand::RequireTls, TlsPolicy::Never, _) => Err(NoPolicy::Never(Situation::TlsNeeded)),
            (Demand::RequireTls, ..) => self.required(),
        }
    }

    fn usual(&self) -> Result<Decision, NoPolicy> {
        match self.destination {
            Destination::Domain(_) | Destination::Literal(_) => self.wished(self.wish),
            Destination::Relay(relay) => match relay.tls {
                RelayTls::Plain => Ok(plain(TlsPolicy::Never, PolicySource::Relay)),
                RelayTls::Opportunistic => self.wished(&TlsWish::Dane),
                RelayTls::StartTls => {
                    Ok(plain(self.verified(None, TlsBegins::OnCommand), PolicySource::Relay))
                }
                RelayTls::Implicit => Ok(plain(self.verified(None, TlsBegins::AtOnce), PolicySource::Relay)),
            },
            // The operator's own network, or this machine.
            Destination::Lmtp(_) => Ok(plain(TlsPolicy::Never, PolicySource::Relay)),
        }
    }

    fn wished(&self, wish: &TlsWish) -> Result<Decision, NoPolicy> {
        let operator = |policy| Ok(plain(policy, PolicySource::Operator));
        match wish {
            TlsWish::Never => operator(TlsPolicy::Never),
            TlsWish::Opportunistic => operator(TlsPolicy::Opportunistic),
            TlsWish::Encrypted => operator(TlsPolicy::Encrypted),
            TlsWish::Verified(name) => operator(self.verified(name.as_deref(), TlsBegins::OnCommand)),
            TlsWish::Dane => Ok(self.dane().unwrap_or_else(opportunistic)),
            TlsWish::DaneOnly => match self.usable() {
                Some(_) => Ok(self.dane().unwrap_or_else(opportunistic)),
                None => Err(NoPolicy::Later(
                    Situation::TlsNeeded,
                    "no TLSA record vouches for this server, as the operator demands",
                    TlsFailureType::DaneRequired,
                )),
            },
            TlsWish::Automatic => match (self.usable(), self.sts) {
                (None, Some(sts)) if sts.mode() != Mode::None => self.sts(sts),
                _ => Ok(self.dane().unwrap_or_else(opportunistic)),
            },
        }
    }

    /// RFC 7672 §2.2: where no record can be used TLS is needed all the same, with whoever answers.
    fn dane(&self) -> Option<Decision> {
        let records = self.tlsa?;
        let policy = match records.trust {
            Some(_) => TlsPolicy::Dane(records.clone()),
            None => TlsPolicy::Encrypted,
        };
        let applied =
            AppliedPolicy { kind: TlsPolicyType::Tlsa, texts: records.texts.clone(), exchangers: Vec::new() };
        // RFC 8460 §4.3.2.1: "tlsa-invalid".
        let known_fault = records.trust.is_none().then_some(TlsFailureType::TlsaInvalid);
        Some(Decision { policy, source: PolicySource::Dane, applied, known_fault })
    }

    /// RFC 8461 §5.
    fn sts(&self, sts: &StsPolicy) -> Result<Decision, NoPolicy> {
        let is_named = sts.matches(&self.host.name);
        let decision = |policy, source, known_fault| {
            Ok(Decision { policy, source, applied: sts.applied(), known_fault })
        };
        match (sts.mode(), is_named) {
            (Mode::Enforce, true) => {
                decision(self.verified(None, TlsBegins::OnCommand), PolicySource::MtaSts, None)
            }
            (Mode::Enforce, false) => Err(NoPolicy::Later(
                Situation::TlsNeeded,
                "the domain's MTA-STS policy does not name this server",
                TlsFailureType::ValidationFailure,
            )),
            (Mode::Testing | Mode::None, _) => {
                // Records that nobody can use ask for TLS.
                let policy = match self.tlsa {
                    Some(_) => TlsPolicy::Encrypted,
                    None => TlsPolicy::Observed { name: self.host.name.clone() },
                };
                let fault = (!is_named).then_some(TlsFailureType::ValidationFailure);
                decision(policy, PolicySource::MtaStsTesting, fault)
            }
        }
    }

    /// RFC 8689 §4.2.1: the exchanger's name must have come by a way that nobody can bend, and the certificate must be for
    /// that name.
    fn required(&self) -> Result<Decision, NoPolicy> {
        if !matches!(self.destination, Destination::Domain(_)) {
            return Err(NoPolicy::Never(Situation::TlsNeeded));
        }
        if self.usable().is_some()
            && let Some(dane) = self.dane()
        {
            return Ok(dane);
        }
        let is_named = self.sts.is_some_and(|sts| sts.mode() != Mode::None && sts.matches(&self.host.name));
        if self.host.security == Security::Secure || is_named {
            let applied = self.sts.filter(|_| is_named).map_or_else(AppliedPolicy::none, StsPolicy::applied);
            let policy = self.verified(None, TlsBegins::OnCommand);
            Ok(Decision { policy, source: PolicySource::RequireTls, applied, known_fault: None })
        } else {
            Err(NoPolicy::Never(Situation::TlsNeeded))
        }
    }

    fn verified(&self, name: Option<&str>, begins: TlsBegins) -> TlsPolicy {
        TlsPolicy::Verified { name: name.unwrap_or(&self.host.name).into(), begins }
    }
}

fn plain(policy: TlsPolicy, source: PolicySource) -> Decision {
    Decision { policy, source, applied: AppliedPolicy::none(), known_fault: None }
}

fn opportunistic() -> Decision {
    plain(TlsPolicy::Opportunistic, PolicySource::None)
}

impl TlsPolicy {
    /// When STARTTLS is said.
    pub(crate) fn starttls(&self) -> StartTlsUse {
        match self {
            Self::Never => StartTlsUse::Never,
            Self::Opportunistic | Self::Observed { .. } => StartTlsUse::WhenOffered,
            Self::Encrypted | Self::Dane(_) | Self::Verified { begins: TlsBegins::OnCommand, .. } => {
                StartTlsUse::Required
            }
            Self::Verified { begins: TlsBegins::AtOnce, .. } => StartTlsUse::Begun,
        }
    }

    /// Whether mail may go in clear where TLS fails.
    pub(crate) fn allows_clear(&self) -> bool {
        matches!(self, Self::Never | Self::Opportunistic | Self::Observed { .. })
    }

    /// Whether a connection under this policy is one to the right server.
    pub(crate) fn verifies(&self) -> bool {
        matches!(self, Self::Dane(_) | Self::Verified { .. })
    }

    /// The name that a server called `host` is asked for (RFC 6066 §3).
    pub(crate) fn server_name<'a>(&'a self, host: &'a str) -> &'a str {
        match self {
            Self::Never | Self::Opportunistic | Self::Encrypted => host,
            Self::Observed { name } | Self::Verified { name, .. } => name,
            Self::Dane(records) => &records.base,
        }
    }
}

#[cfg(test)]
mod tests;
