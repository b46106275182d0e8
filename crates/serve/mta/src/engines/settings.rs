//! What the operator may choose about others' engines.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Listener;

/// Longest path of a Unix socket that the system takes, its NUL left out.
const SOCKET_PATH_OCTETS_MAX: usize = 107;

/// Where an engine listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EnginePlace {
    /// A socket in the file system.
    Unix(String),
    /// A host, by its address or by a name that this machine knows, and a port.
    Inet {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// A text is no place of an engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the place of an engine, such as \"unix:/run/x.sock\" or \"inet:127.0.0.1:8891\"")]
pub struct NoEnginePlace;

impl FromStr for EnginePlace {
    type Err = NoEnginePlace;

    fn from_str(text: &str) -> Result<Self, NoEnginePlace> {
        if let Some(path) = text.strip_prefix("unix:") {
            let fits = path.starts_with('/') && path.len() <= SOCKET_PATH_OCTETS_MAX && !path.contains('\0');
            return if fits { Ok(Self::Unix(path.to_owned())) } else { Err(NoEnginePlace) };
        }
        let inet = text.strip_prefix("inet:").ok_or(NoEnginePlace)?;
        let (host, port) = inet.rsplit_once(':').ok_or(NoEnginePlace)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(NoEnginePlace)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
                (1..=253).contains(&host.len()) && host.bytes().all(is_letter)
            }
        };
        let host = bare.unwrap_or(host).to_owned();
        if is_host { Ok(Self::Inet { host, port }) } else { Err(NoEnginePlace) }
    }
}

impl fmt::Display for EnginePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Inet { host, port } if host.contains(':') => write!(f, "inet:[{host}]:{port}"),
            Self::Inet { host, port } => write!(f, "inet:{host}:{port}"),
        }
    }
}

/// What becomes of mail when an engine does not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnEngineFailure {
    /// Its sender is to try again.
    Defer,
    /// It goes on as if the engine had nothing to say.
    Pass,
}

/// The listeners whose mail an engine sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EngineListeners {
    /// Mail of other servers.
    pub smtp: bool,
    /// Mail of our people.
    pub submission: bool,
    /// Mail of servers in front of us.
    pub lmtp: bool,
}

impl EngineListeners {
    /// Whether it sees mail of this one.
    #[must_use]
    pub const fn covers(self, listener: Listener) -> bool {
        match listener {
            Listener::Relay => self.smtp,
            Listener::Submission | Listener::ImplicitSubmission => self.submission,
            Listener::Lmtp => self.lmtp,
        }
    }
}

/// What clamd, spamd and rspamd have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScannerSettings {
    /// Where it is.
    pub place: EnginePlace,
    /// Whose mail it sees.
    pub listeners: EngineListeners,
    /// What becomes of mail when it does not answer.
    pub on_failure: OnEngineFailure,
    /// How long it may take for a message, all in all.
    pub timeout: Duration,
    /// Larger messages are not given to it.
    pub octets_max: u64,
    /// Messages that it gets at a time.
    pub connections_max: usize,
}

/// What follows from what an engine finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtFinding {
    /// Points, for those who add them up.
    Points,
    /// Filed as junk.
    Junk,
    /// Kept apart from all mailboxes that people see.
    Quarantine,
    /// Refused.
    Reject,
}

/// clamd.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClamdSettings {
    /// What it has in common with the others.
    pub scanner: ScannerSettings,
    /// What follows from a virus.
    pub at_virus: AtFinding,
}

/// spamd.
#[derive(Clone, PartialEq, Debug)]
pub struct SpamdSettings {
    /// What it has in common with the others.
    pub scanner: ScannerSettings,
    /// Its points are multiplied by this.
    pub factor: f32,
    /// The user whose settings it takes; its own where there is none.
    pub user: Option<String>,
    /// What follows where it calls a message spam.
    pub at_spam: AtFinding,
}

/// rspamd.
#[derive(Clone, PartialEq, Debug)]
pub struct RspamdSettings {
    /// What it has in common with the others.
    pub scanner: ScannerSettings,
    /// Its points are multiplied by this.
    pub factor: f32,
    /// Whether its actions are followed; else its points are taken alone.
    pub follows_actions: bool,
}

/// Milters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MilterSettings {
    /// Where they are, in the order in which they are asked.
    pub places: Vec<EnginePlace>,
    /// In whose sessions they have a say. Those of LMTP are out of their reach: it has a reply for each recipient.
    pub listeners: EngineListeners,
    /// What becomes of mail when one does not answer.
    pub on_failure: OnEngineFailure,
    /// How long a connection to one may take to stand, agreement included.
    pub connect_timeout: Duration,
    /// How long one may take for a command.
    pub command_timeout: Duration,
    /// How long one may take for a message that has come whole.
    pub message_timeout: Duration,
    /// Connections to one at a time.
    pub connections_max: usize,
}

impl Default for MilterSettings {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            listeners: EngineListeners { smtp: true, submission: true, lmtp: false },
            on_failure: OnEngineFailure::Defer,
            connect_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(30),
            message_timeout: Duration::from_secs(300),
            connections_max: 100,
        }
    }
}

/// All of them; none by default.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct EngineSettings {
    /// clamd.
    pub clamd: Option<ClamdSettings>,
    /// spamd.
    pub spamd: Option<SpamdSettings>,
    /// rspamd.
    pub rspamd: Option<RspamdSettings>,
    /// Milters.
    pub milters: MilterSettings,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back_as_written() {
        for text in ["unix:/run/a.sock", "inet:127.0.0.1:8891", "inet:clamav:3310", "inet:[::1]:783"] {
            assert_eq!(text.parse::<EnginePlace>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "/run/a.sock",
            "unix:a.sock",
            "inet:x",
            "inet:x:0",
            "inet:x:70000",
            "inet:::1:5",
            "inet:a b:5",
            "inet::5",
            "tcp:x:1",
        ] {
            assert_eq!(text.parse::<EnginePlace>(), Err(NoEnginePlace), "{text}");
        }
        let path = |octets: usize| format!("unix:/{}", "x".repeat(octets - 1)).parse::<EnginePlace>().is_ok();
        assert_eq!([106, 107, 108].map(path), [true, true, false]);
    }
}
