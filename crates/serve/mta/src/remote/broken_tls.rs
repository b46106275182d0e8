//! Hosts that offer STARTTLS and cannot do it: for a while their mail goes in clear at once, as it would after a failed
//! handshake each time (RFC 7435 §3). Asked only where TLS is as good as clear text; where it is demanded nothing here
//! counts.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use platform::clock::Monotonic;

/// How long a host's failure is remembered. Whoever breaks a handshake from in between gets no more than this for it, and
/// a host that mends its TLS has not long to wait.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// Hosts that are remembered. Beyond it those that failed longest ago are asked for TLS again.
const HOSTS_MAX: usize = 4_096;

/// A host as we reach it: its name and port.
type Key = (Box<str>, u16);

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct BrokenTls(Mutex<HashMap<Key, Failure>>);

#[derive(Debug)]
struct Failure {
    at: Monotonic,
    why: Box<str>,
}

impl BrokenTls {
    /// How a host's TLS failed a short while ago, if it did.
    pub(crate) fn why(&self, host: &str, port: u16, now: Monotonic) -> Option<Box<str>> {
        let mut hosts = self.0.lock();
        // Mail out is a matter of network time; building a key to look with is not what it waits for.
        let key = (host.into(), port);
        let failure = hosts.get(&key)?;
        if now.since(failure.at) >= REMEMBERED {
            hosts.remove(&key);
            return None;
        }
        Some(failure.why.clone())
    }

    /// Remembers that a host's TLS failed, and that it takes mail without.
    pub(crate) fn remember(&self, host: &str, port: u16, why: &str, now: Monotonic) {
        let mut hosts = self.0.lock();
        let key: Key = (host.into(), port);
        if hosts.len() >= HOSTS_MAX && !hosts.contains_key(&key) {
            let oldest = hosts.iter().max_by_key(|(_, failure)| now.since(failure.at));
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                hosts.remove(&oldest);
            }
        }
        hosts.insert(key, Failure { at: now, why: why.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::clock::{Clock, Timestamp};

    fn clock() -> Clock {
        Clock::settable(Timestamp::from_unix_seconds(0))
    }

    #[test]
    fn a_failure_is_remembered_for_a_while() {
        let (clock, broken) = (clock(), BrokenTls::default());
        broken.remember("mx.example.com", 25, "hung up", clock.monotonic());
        assert_eq!(broken.why("mx.example.com", 25, clock.monotonic()).as_deref(), Some("hung up"));
        assert_eq!(broken.why("mx.example.com", 587, clock.monotonic()), None, "another service");
        clock.advance(REMEMBERED - Duration::from_millis(1));
        assert!(broken.why("mx.example.com", 25, clock.monotonic()).is_some());
        clock.advance(Duration::from_millis(1));
        assert_eq!(broken.why("mx.example.com", 25, clock.monotonic()), None);
    }

    #[test]
    fn as_many_as_there_may_be_and_no_more() {
        let (clock, broken) = (clock(), BrokenTls::default());
        let known = |at: usize| broken.why(&format!("mx{at}.example.com"), 25, clock.monotonic()).is_some();
        for at in 0..HOSTS_MAX {
            broken.remember(&format!("mx{at}.example.com"), 25, "hung up", clock.monotonic());
            clock.advance(Duration::from_millis(1));
        }
        assert!(known(0) && known(HOSTS_MAX - 1));
        broken.remember("mx0.example.com", 25, "again", clock.monotonic());
        assert!(known(1), "one that is known already takes nobody's place");
        broken.remember(&format!("mx{HOSTS_MAX}.example.com"), 25, "hung up", clock.monotonic());
        assert!(!known(1), "the oldest goes");
        assert!(known(0) && known(2) && known(HOSTS_MAX));
    }
}
