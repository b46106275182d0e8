//! How a connection to a host must be protected. Here a host's own policy comes in (DANE, RFC 7672; MTA-STS, RFC 8461).

use dns::Security;
use mail_types::Situation;
use queue::{Destination, RelayTls};
use smtp::client::StartTlsUse;

use super::mx::Host;
use crate::outbound::settings::ExchangerTls;

/// What a connection to one host needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TlsPolicy {
    /// Clear text.
    Never,
    /// TLS where it is offered, with whoever answers; in clear where it fails (RFC 7435).
    Opportunistic,
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
}

impl TlsPolicy {
    /// The policy for a host of a destination and a message's demand.
    ///
    /// # Errors
    /// [`Situation::TlsNeeded`] where the demand cannot be met at all.
    pub(crate) fn of(
        destination: &Destination,
        host: &Host,
        exchangers: ExchangerTls,
        demand: Demand,
    ) -> Result<Self, Situation> {
        let verified = |begins| Self::Verified { name: host.name.clone(), begins };
        let usual = match destination {
            Destination::Domain(_) | Destination::Literal(_) => match exchangers {
                ExchangerTls::Never => Self::Never,
                ExchangerTls::Opportunistic => Self::Opportunistic,
            },
            Destination::Relay(relay) => match relay.tls {
                RelayTls::Plain => Self::Never,
                RelayTls::Opportunistic => Self::Opportunistic,
                RelayTls::StartTls => verified(TlsBegins::OnCommand),
                RelayTls::Implicit => verified(TlsBegins::AtOnce),
            },
            // The operator's own network, or this machine.
            Destination::Lmtp(_) => Self::Never,
        };
        match (demand, usual) {
            (Demand::None, usual) => Ok(usual),
            (Demand::RequireTls, usual @ Self::Verified { .. }) => Ok(usual),
            // RFC 8689 §4.2.1: the exchanger's name must have come by a way that nobody can bend, and the certificate
            // must be for that name.
            (Demand::RequireTls, Self::Opportunistic) if host.security == Security::Secure => {
                match destination {
                    Destination::Domain(_) => Ok(verified(TlsBegins::OnCommand)),
                    _ => Err(Situation::TlsNeeded),
                }
            }
            (Demand::RequireTls, _) => Err(Situation::TlsNeeded),
        }
    }

    /// When STARTTLS is said.
    pub(crate) fn starttls(&self) -> StartTlsUse {
        match self {
            Self::Never => StartTlsUse::Never,
            Self::Opportunistic => StartTlsUse::WhenOffered,
            Self::Verified { begins: TlsBegins::OnCommand, .. } => StartTlsUse::Required,
            Self::Verified { begins: TlsBegins::AtOnce, .. } => StartTlsUse::Begun,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::{AddressLiteral, DomainName};
    use queue::{LmtpServer, Relay, RelayHost};

    fn host(security: Security) -> Host {
        Host { name: "mx.example.com".into(), addresses: Vec::new(), security }
    }

    fn relay(tls: RelayTls) -> Destination {
        let host = RelayHost::Name(DomainName::parse("mx.example.com").unwrap());
        Destination::Relay(Relay { host, port: 25, tls, credentials: None })
    }

    fn policy(
        destination: &Destination,
        security: Security,
        demand: Demand,
    ) -> Result<StartTlsUse, Situation> {
        let policy = TlsPolicy::of(destination, &host(security), ExchangerTls::Opportunistic, demand)?;
        Ok(policy.starttls())
    }

    #[test]
    fn strangers_get_what_they_offer() {
        let domain = Destination::Domain(DomainName::parse("example.com").unwrap());
        let insecure = Security::Insecure;
        assert_eq!(policy(&domain, insecure, Demand::None), Ok(StartTlsUse::WhenOffered));
        let never = TlsPolicy::of(&domain, &host(insecure), ExchangerTls::Never, Demand::None);
        assert_eq!(never, Ok(TlsPolicy::Never));
    }

    #[test]
    fn a_relay_is_what_the_operator_says() {
        for (tls, expected) in [
            (RelayTls::Plain, StartTlsUse::Never),
            (RelayTls::Opportunistic, StartTlsUse::WhenOffered),
            (RelayTls::StartTls, StartTlsUse::Required),
            (RelayTls::Implicit, StartTlsUse::Begun),
        ] {
            assert_eq!(policy(&relay(tls), Security::Insecure, Demand::None), Ok(expected));
        }
    }

    #[test]
    fn required_tls_needs_a_name_that_can_be_trusted() {
        let domain = Destination::Domain(DomainName::parse("example.com").unwrap());
        let require = Demand::RequireTls;
        assert_eq!(policy(&domain, Security::Secure, require), Ok(StartTlsUse::Required));
        assert_eq!(policy(&domain, Security::Insecure, require), Err(Situation::TlsNeeded));
        let literal = Destination::Literal(AddressLiteral([192, 0, 2, 1].into()));
        assert_eq!(policy(&literal, Security::Secure, require), Err(Situation::TlsNeeded));
        assert_eq!(
            policy(&relay(RelayTls::StartTls), Security::Insecure, require),
            Ok(StartTlsUse::Required)
        );
        assert_eq!(policy(&relay(RelayTls::Plain), Security::Secure, require), Err(Situation::TlsNeeded));
        let lmtp = Destination::Lmtp(LmtpServer::Unix("/run/lmtp".into()));
        assert_eq!(policy(&lmtp, Security::Secure, require), Err(Situation::TlsNeeded));
    }
}
