//! The listeners of the settings, bound.

use std::time::Duration;

use platform::guard::Refusal;
use platform::listener::{ListenAddress, Listener, ListenerSettings};

use crate::admin::MissedListener;
use crate::settings::Settings;

/// How long a load balancer may take to say who its client is.
const PROXY_TIMEOUT: Duration = Duration::from_secs(5);
/// Permission bits of the LMTP socket: the server's user and group.
const SOCKET_MODE: u32 = 0o660;

/// What a listener is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Smtp,
    Submission,
    Submissions,
    Lmtp,
    Imap,
    Imaps,
    ManageSieve,
    Https,
    Metrics,
}

impl Purpose {
    const ALL: [Self; 9] = [
        Self::Smtp,
        Self::Submission,
        Self::Submissions,
        Self::Imap,
        Self::Imaps,
        Self::ManageSieve,
        Self::Lmtp,
        Self::Https,
        Self::Metrics,
    ];

    /// Its name under `[listen]`.
    fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Lmtp => "lmtp",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::ManageSieve => "managesieve",
            Self::Https => "https",
            Self::Metrics => "metrics",
        }
    }

    /// What a peer is told for whom there is no place (RFC 5321 §3.8, RFC 5530); nothing where TLS comes first.
    fn refusal(self) -> fn(Refusal) -> &'static [u8] {
        match self {
            Self::Smtp => mta::Listener::Relay.refusal(),
            Self::Submission => mta::Listener::Submission.refusal(),
            Self::Submissions => mta::Listener::ImplicitSubmission.refusal(),
            Self::Lmtp => mta::Listener::Lmtp.refusal(),
            Self::ManageSieve => |refusal| match refusal {
                Refusal::Banned => {
                    b"BYE (TRYLATER) \"Too much came from your address that should not; come back later\"\r\n"
                }
                Refusal::ServerFull | Refusal::AddressFull => {
                    b"BYE (TRYLATER) \"Too many connections; come back later\"\r\n"
                }
            },
            Self::Imap => |refusal| {
                match refusal {
                Refusal::Banned => {
                    b"* BYE [UNAVAILABLE] Too much came from your address that should not; come back later\r\n"
                }
                Refusal::ServerFull | Refusal::AddressFull => {
                    b"* BYE [UNAVAILABLE] Too many connections; come back later\r\n"
                }
            }
            },
            Self::Metrics => {
                |_| b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            }
            Self::Imaps | Self::Https => |_| b"",
        }
    }

    /// What is missing without it, where mail goes on all the same.
    fn missed(self) -> Option<&'static str> {
        match self {
            Self::Https => Some("the policy of [mta_sts] is not shown to other servers"),
            Self::Metrics => Some("/metrics and /healthz are not served"),
            Self::Smtp
            | Self::Submission
            | Self::Submissions
            | Self::Lmtp
            | Self::Imap
            | Self::Imaps
            | Self::ManageSieve => None,
        }
    }

    /// Whether a load balancer may stand before it.
    fn may_be_proxied(self) -> bool {
        self != Self::Metrics
    }
}

/// What came of binding.
pub(super) struct Bound {
    pub(super) listeners: Vec<(Purpose, Listener)>,
    /// Those that listen nowhere.
    pub(super) missed: Vec<MissedListener>,
}

/// Binds every listener that is switched on. Where another program has a place that only our defaults ask for, and mail
/// does not need it, the server goes on without; a place that the operator wrote down has to be had.
pub(super) fn bind(settings: &Settings) -> anyhow::Result<Bound> {
    let (mut listeners, mut missed) = (Vec::new(), Vec::new());
    for purpose in Purpose::ALL {
        let mut places: Vec<ListenAddress> =
            settings.listener(purpose.name()).into_iter().map(ListenAddress::Tcp).collect();
        let socket = settings.text("listen.lmtp.socket");
        if purpose == Purpose::Lmtp && !socket.is_empty() {
            places.push(ListenAddress::Unix { path: socket.into(), mode: SOCKET_MODE });
        }
        for address in places {
            let listener = Listener::bind(ListenerSettings {
                name: purpose.name(),
                address,
                connections_max: settings.count("listen.connections_max"),
                proxies: if purpose.may_be_proxied() {
                    settings.networks("listen.proxy_networks")
                } else {
                    Vec::new()
                },
                proxy_timeout: PROXY_TIMEOUT,
                refusal: purpose.refusal(),
            });
            match listener {
                Ok(listener) => listeners.push((purpose, listener)),
                // A machine without IPv6 is no fault: the wildcard `::` is there by default.
                Err(error) if error.is_missing_family() && !listeners.is_empty() => {
                    tracing::info!(
                        listener = purpose.name(),
                        "this machine has no IPv6; not listening there"
                    );
                }
                Err(error) => match purpose.missed() {
                    Some(what) if !settings.is_touched(&format!("listen.{}", purpose.name())) => {
                        let one = MissedListener {
                            listener: purpose.name().to_owned(),
                            why: error.to_string(),
                            missed: what.to_owned(),
                        };
                        tracing::warn!(%error, "{what}; mail is taken all the same: {}", one.remedy());
                        missed.push(one);
                    }
                    _ => return Err(error.into()),
                },
            }
        }
    }
    // What listens somewhere is not missed.
    let listens = |name: &str| listeners.iter().any(|(purpose, _)| purpose.name() == name);
    missed.retain(|missed: &MissedListener| !listens(&missed.listener));
    missed.dedup_by(|one, other| one.listener == other.listener);
    Ok(Bound { listeners, missed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_banned_is_told_another_reason_than_who_finds_no_place() {
        for purpose in Purpose::ALL {
            let told = |refusal| String::from_utf8_lossy(purpose.refusal()(refusal)).into_owned();
            let is_without_words = told(Refusal::Banned).is_empty() || purpose == Purpose::Metrics;
            assert_eq!(told(Refusal::Banned).contains("Too much came"), !is_without_words, "{purpose:?}");
            for full in [Refusal::ServerFull, Refusal::AddressFull] {
                assert_eq!(told(full).contains("Too many connections"), !is_without_words, "{purpose:?}");
            }
        }
    }
}
