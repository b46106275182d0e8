//! The root's keys and how they come and go (RFC 5011): a new key is trusted after it has stood in the root's signed set of
//! keys for thirty days, a key that revokes itself never again. No clock, no sockets, no files.

use std::fmt::Write;
use std::time::Duration;

use hickory_resolver::proto::dnssec::{Algorithm, PublicKey, PublicKeyBuf, TrustAnchors};
use platform::clock::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a new key must stand in the set before it is trusted, at least (RFC 5011 §2.4.1).
pub(crate) const ADD_HOLD_DOWN: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a revoked key is told to be so, before it is only known never to be trusted again (RFC 5011 §2.4.2).
const REMOVE_HOLD_DOWN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Keys that are remembered, whatever became of them. The root has had three in fifteen years.
pub(crate) const KEYS_MAX: usize = 32;
/// Octets of the text of them all.
pub(crate) const TEXT_OCTETS_MAX: usize = 64 * 1024;

/// One key of the root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RootKey {
    algorithm: u8,
    public: Vec<u8>,
}

impl RootKey {
    pub(crate) fn new(algorithm: Algorithm, public: &[u8]) -> Self {
        Self { algorithm: algorithm.into(), public: public.to_vec() }
    }
}

/// What became of a key (RFC 5011 §4.2). `Start` is a key that is not remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Seen; to be trusted when it is still there at this time.
    Pending(Timestamp),
    Valid,
    /// Trusted, though the set does not have it now.
    Missing,
    /// It has revoked itself, at this time.
    Revoked(Timestamp),
    Removed,
}

/// Who told us of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    Configured,
    Learned,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Known {
    key: RootKey,
    origin: Origin,
    state: State,
}

/// Every key that is remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Anchors(Vec<Known>);

/// A set of keys as the root's servers tell it, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    /// Keys that sign keys (SEP, RFC 4034 §2.1.1) and are not revoked, if a key that we trust has signed the set.
    pub(crate) standing: Option<Vec<RootKey>>,
    /// Keys that say that they are revoked, and have signed the set themselves.
    pub(crate) revoked: Vec<RootKey>,
    /// How long the set may be kept, as its signature says.
    pub(crate) original_ttl: Duration,
    /// How long its signature is still good.
    pub(crate) signed_for: Duration,
}

impl Seen {
    /// When to look again (RFC 5011 §2.3).
    pub(crate) fn next_look(&self) -> Duration {
        if self.standing.is_none() {
            return Self::retry(self.original_ttl, self.signed_for);
        }
        (self.original_ttl / 2).min(self.signed_for / 2).min(15 * DAY).max(DAY / 24)
    }

    /// When to look again after that failed.
    pub(crate) fn retry(original_ttl: Duration, signed_for: Duration) -> Duration {
        (original_ttl / 10).min(signed_for / 10).min(DAY).max(DAY / 24)
    }
}

impl Anchors {
    /// What the configuration says, and nothing seen yet.
    pub(crate) fn new(configured: &TrustAnchors) -> Self {
        let known = |key| Known { key, origin: Origin::Configured, state: State::Valid };
        Self(keys_of(configured).map(known).collect())
    }

    /// What was remembered, brought in line with the configuration: a configured key is trusted unless it has revoked
    /// itself; one that was configured once is no more; and when no configured key is left of those that were, the
    /// learned ones have lost what they were learned from.
    pub(crate) fn in_line_with(self, configured: &TrustAnchors) -> Self {
        let fresh = Self::new(configured);
        let is_configured = |known: &Known| fresh.0.iter().any(|new| new.key == known.key);
        let was_of_these =
            self.0.iter().any(|known| known.origin == Origin::Configured && is_configured(known));
        if !was_of_these {
            return fresh;
        }
        let mut all: Vec<Known> = self.0;
        all.retain(|known| known.origin == Origin::Learned || is_configured(known));
        for new in fresh.0 {
            match all.iter_mut().find(|known| known.key == new.key) {
                Some(known) => {
                    known.origin = Origin::Configured;
                    if matches!(known.state, State::Pending(_)) {
                        known.state = State::Valid;
                    }
                }
                None => all.push(new),
            }
        }
        Self(all)
    }

    /// The keys that are trusted now.
    pub(crate) fn trusted(&self) -> TrustAnchors {
        let mut trusted = TrustAnchors::empty();
        for known in self.0.iter().filter(|known| matches!(known.state, State::Valid | State::Missing)) {
            let algorithm = Algorithm::from_u8(known.key.algorithm);
            trusted.insert(&PublicKeyBuf::new(known.key.public.clone(), algorithm));
        }
        trusted
    }

    /// Takes a look's result in. What is trusted may be another set afterwards.
    pub(crate) fn observe(&mut self, seen: &Seen, now: Timestamp) {
        for revoked in &seen.revoked {
            self.0.retain(|known| known.key != *revoked || !matches!(known.state, State::Pending(_)));
            for known in self.0.iter_mut().filter(|known| known.key == *revoked) {
                if matches!(known.state, State::Valid | State::Missing) {
                    known.state = State::Revoked(now);
                }
            }
        }
        let Some(standing) = &seen.standing else { return };
        self.0.retain(|known| !matches!(known.state, State::Pending(_)) || standing.contains(&known.key));
        for known in &mut self.0 {
            let stands = standing.contains(&known.key);
            known.state = match known.state {
                State::Pending(until) if now >= until => State::Valid,
                State::Valid if !stands => State::Missing,
                State::Missing if stands => State::Valid,
                State::Revoked(since) if now.since(since) >= REMOVE_HOLD_DOWN => State::Removed,
                unchanged => unchanged,
            };
        }
        let until = now.saturating_add(ADD_HOLD_DOWN.max(seen.original_ttl));
        for key in standing {
            if self.0.len() < KEYS_MAX && !self.0.iter().any(|known| known.key == *key) {
                let key = key.clone();
                self.0.push(Known { key, origin: Origin::Learned, state: State::Pending(until) });
            }
        }
    }

    /// As it is written to a file: a line each, `ALGORITHM KEY ORIGIN STATE [SECONDS]`, the key in hexadecimal.
    pub(crate) fn to_text(&self) -> String {
        let mut text =
            String::from("# The root's keys as mailstead has followed them (RFC 5011). Not to be edited.\n");
        for Known { key, origin, state } in &self.0 {
            // Writing into a String cannot fail.
            let _ = write!(text, "{} ", key.algorithm);
            for octet in &key.public {
                let _ = write!(text, "{octet:02x}");
            }
            let origin = match origin {
                Origin::Configured => "configured",
                Origin::Learned => "learned",
            };
            let _ = match state {
                State::Pending(until) => writeln!(text, " {origin} pending {}", until.unix_seconds()),
                State::Valid => writeln!(text, " {origin} valid"),
                State::Missing => writeln!(text, " {origin} missing"),
                State::Revoked(since) => writeln!(text, " {origin} revoked {}", since.unix_seconds()),
                State::Removed => writeln!(text, " {origin} removed"),
            };
        }
        text
    }

    /// Reads what [`Self::to_text`] wrote; `None` when it is anything else.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        if text.len() > TEXT_OCTETS_MAX {
            return None;
        }
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let all: Vec<Known> = lines.map(known_in).collect::<Option<_>>()?;
        (all.len() <= KEYS_MAX).then_some(Self(all))
    }
}

fn known_in(line: &str) -> Option<Known> {
    let words: Vec<&str> = line.split(' ').collect();
    let [algorithm, public, origin, state, time @ ..] = words.as_slice() else { return None };
    let public = (0..public.len())
        .step_by(2)
        .map(|at| public.get(at..at + 2).and_then(|octet| u8::from_str_radix(octet, 16).ok()))
        .collect::<Option<Vec<u8>>>()?;
    let time = match time {
        [] => None,
        [seconds] => Some(Timestamp::from_unix_seconds(seconds.parse().ok()?)),
        _ => return None,
    };
    Some(Known {
        key: RootKey { algorithm: algorithm.parse().ok()?, public },
        origin: match *origin {
            "configured" => Origin::Configured,
            "learned" => Origin::Learned,
            _ => return None,
        },
        state: match (*state, time) {
            ("pending", Some(until)) => State::Pending(until),
            ("valid", None) => State::Valid,
            ("missing", None) => State::Missing,
            ("revoked", Some(since)) => State::Revoked(since),
            ("removed", None) => State::Removed,
            _ => return None,
        },
    })
}

fn keys_of(anchors: &TrustAnchors) -> impl Iterator<Item = RootKey> {
    (0..anchors.len())
        .filter_map(|at| anchors.get(at))
        .map(|key| RootKey::new(key.algorithm(), key.public_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn key(number: u8) -> RootKey {
        RootKey { algorithm: 13, public: vec![number; 64] }
    }

    fn configured(numbers: &[u8]) -> TrustAnchors {
        let mut anchors = TrustAnchors::empty();
        for number in numbers {
            anchors.insert(&PublicKeyBuf::new(vec![*number; 64], Algorithm::ECDSAP256SHA256));
        }
        anchors
    }

    fn seen(standing: &[u8], revoked: &[u8]) -> Seen {
        Seen {
            standing: Some(standing.iter().map(|number| key(*number)).collect()),
            revoked: revoked.iter().map(|number| key(*number)).collect(),
            original_ttl: 2 * DAY,
            signed_for: 10 * DAY,
        }
    }

    fn trusted(anchors: &Anchors) -> Vec<u8> {
        keys_of(&anchors.trusted()).map(|key| key.public[0]).collect()
    }

    fn after(days: u32) -> Timestamp {
        START.saturating_add(days * DAY)
    }

    #[test]
    fn a_new_key_is_trusted_after_thirty_days_in_the_set() {
        let mut anchors = Anchors::new(&configured(&[1]));
        anchors.observe(&seen(&[1, 2], &[]), START);
        for days in [1, 29] {
            anchors.observe(&seen(&[1, 2], &[]), after(days));
            assert_eq!(trusted(&anchors), [1], "{days}");
        }
        anchors.observe(&seen(&[1, 2], &[]), after(30));
        assert_eq!(trusted(&anchors), [1, 2]);
        // A set that is kept for longer asks for longer.
        let slow = Seen { original_ttl: 40 * DAY, ..seen(&[1, 2, 3], &[]) };
        anchors.observe(&slow, after(30));
        anchors.observe(&slow, after(69));
        assert_eq!(trusted(&anchors), [1, 2]);
        anchors.observe(&slow, after(70));
        assert_eq!(trusted(&anchors), [1, 2, 3]);
    }

    #[test]
    fn a_key_that_goes_before_its_time_begins_anew() {
        let mut anchors = Anchors::new(&configured(&[1]));
        anchors.observe(&seen(&[1, 2], &[]), START);
        anchors.observe(&seen(&[1], &[]), after(10));
        anchors.observe(&seen(&[1, 2], &[]), after(20));
        anchors.observe(&seen(&[1, 2], &[]), after(49));
        assert_eq!(trusted(&anchors), [1]);
        anchors.observe(&seen(&[1, 2], &[]), after(50));
        assert_eq!(trusted(&anchors), [1, 2]);
    }

    #[test]
    fn a_set_that_nobody_we_trust_signed_changes_nothing_but_what_revokes_itself() {
        let mut anchors = Anchors::new(&configured(&[1, 2]));
        let before = anchors.clone();
        anchors.observe(&Seen { standing: None, ..seen(&[], &[]) }, START);
        assert_eq!(anchors, before);
        anchors.observe(&Seen { standing: None, ..seen(&[], &[1]) }, START);
        assert_eq!(trusted(&anchors), [2]);
    }

    #[test]
    fn a_missing_key_is_still_trusted_and_a_revoked_one_never_again() {
        let mut anchors = Anchors::new(&configured(&[1, 2]));
        anchors.observe(&seen(&[2], &[]), START);
        assert_eq!(trusted(&anchors), [1, 2], "missing");
        anchors.observe(&seen(&[1, 2], &[]), after(1));
        anchors.observe(&seen(&[2], &[1]), after(2));
        assert_eq!(trusted(&anchors), [2]);
        for days in [3, 31, 32, 100, 200] {
            anchors.observe(&seen(&[1, 2], &[]), after(days));
            assert_eq!(trusted(&anchors), [2], "{days}");
        }
        assert!(anchors.to_text().contains("configured removed\n"));
        // Neither does the configuration bring it back.
        assert_eq!(trusted(&anchors.in_line_with(&configured(&[1, 2]))), [2]);
    }

    #[test]
    fn a_pending_key_that_revokes_itself_is_gone() {
        let mut anchors = Anchors::new(&configured(&[1]));
        anchors.observe(&seen(&[1, 2], &[]), START);
        anchors.observe(&seen(&[1], &[2]), after(29));
        anchors.observe(&seen(&[1], &[2]), after(31));
        assert_eq!(trusted(&anchors), [1]);
    }

    #[test]
    fn what_is_remembered_follows_the_configuration() {
        let mut anchors = Anchors::new(&configured(&[1]));
        anchors.observe(&seen(&[1, 2, 3], &[]), START);
        anchors.observe(&seen(&[1, 2], &[]), after(30));
        assert_eq!(trusted(&anchors.clone().in_line_with(&configured(&[1]))), [1, 2], "learned");
        assert_eq!(trusted(&anchors.clone().in_line_with(&configured(&[1, 4]))), [1, 2, 4], "one more");
        assert_eq!(trusted(&anchors.in_line_with(&configured(&[4]))), [4], "another root");
        let mut both = Anchors::new(&configured(&[1, 5]));
        both.observe(&seen(&[1, 5, 2], &[]), START);
        assert_eq!(trusted(&both.clone().in_line_with(&configured(&[5]))), [5], "one less");
        assert_eq!(trusted(&both.in_line_with(&configured(&[5, 2]))), [5, 2], "told before its time");
    }

    #[test]
    fn keys_are_remembered_to_the_bound() {
        let mut anchors = Anchors::new(&configured(&[1]));
        let many: Vec<u8> = (1..=40).collect();
        anchors.observe(&seen(&many, &[]), START);
        assert_eq!(anchors.0.len(), KEYS_MAX);
        assert_eq!(Anchors::from_text(&anchors.to_text()), Some(anchors.clone()));
        let one_more = format!("{}13 00 learned valid\n", anchors.to_text());
        assert_eq!(Anchors::from_text(&one_more), None);
    }

    #[test]
    fn a_file_is_read_as_it_was_written_or_not_at_all() {
        let mut anchors = Anchors::new(&configured(&[1, 2, 3]));
        anchors.observe(&seen(&[1, 4], &[3]), START);
        let text = anchors.to_text();
        assert_eq!(Anchors::from_text(&text), Some(anchors));
        for broken in
            ["13", "13 0 learned valid", "13 00 learned", "13 00 learned valid 7", "13 zz learned valid"]
        {
            assert_eq!(Anchors::from_text(broken), None, "{broken:?}");
        }
        assert_eq!(Anchors::from_text(&"#".repeat(TEXT_OCTETS_MAX + 1)), None);
    }

    #[test]
    fn looks_are_neither_too_often_nor_too_seldom() {
        let look = |ttl, signed_for| Seen { original_ttl: ttl, signed_for, ..seen(&[1], &[]) }.next_look();
        assert_eq!(look(2 * DAY, 10 * DAY), DAY);
        assert_eq!(look(100 * DAY, 100 * DAY), 15 * DAY);
        assert_eq!(look(Duration::ZERO, 10 * DAY), DAY / 24);
        assert_eq!(Seen::retry(2 * DAY, 10 * DAY), DAY / 5);
    }
}
