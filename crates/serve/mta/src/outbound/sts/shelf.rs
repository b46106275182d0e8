//! Policies that were fetched, in memory and in a file each, so that they hold over a restart (RFC 8461 §3.2: `max_age`
//! is a promise of the domain, and a policy that is forgotten protects nobody).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mail_types::DomainName;
use parking_lot::Mutex;
use platform::clock::Timestamp;
use platform::durable::{self, Readable};
use sender_auth::mta_sts::PolicyId;

use super::policy::StsPolicy;

/// Domains of which something is known; the one whose policy ends first makes room.
pub(crate) const DOMAINS_MAX: usize = 10_000;
/// Octets of all that is known: as many policies of usual length.
pub(crate) const OCTETS_MAX: usize = 8 * 1024 * 1024;
/// What an entry takes beside its policy, about.
const ENTRY_OCTETS: usize = 256;

/// The policies.
pub(crate) struct Shelf {
    directory: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    domains: HashMap<DomainName, Entry>,
    octets: usize,
}

#[derive(Clone, Default)]
struct Entry {
    policy: Option<Arc<StsPolicy>>,
    /// When the last fetch failed; nothing once one has not.
    failed: Option<Timestamp>,
}

impl Entry {
    /// Until when it is worth keeping.
    fn end(&self) -> Timestamp {
        let policy = self.policy.as_ref().map(|policy| policy.end());
        policy.or(self.failed).unwrap_or_default()
    }

    fn octets(&self) -> usize {
        ENTRY_OCTETS + self.policy.as_ref().map_or(0, |policy| policy.octets())
    }
}

impl Known {
    /// Puts an entry; gives the domains that had to make room.
    fn put(&mut self, domain: &DomainName, entry: Entry) -> Vec<DomainName> {
        self.remove(domain);
        let mut forgotten = Vec::new();
        while self.domains.len() >= DOMAINS_MAX || self.octets + entry.octets() > OCTETS_MAX {
            let first = self.domains.iter().min_by_key(|(_, entry)| entry.end());
            let Some(first) = first.map(|(domain, _)| domain.clone()) else { break };
            self.remove(&first);
            forgotten.push(first);
        }
        self.octets += entry.octets();
        self.domains.insert(domain.clone(), entry);
        forgotten
    }

    fn remove(&mut self, domain: &DomainName) {
        if let Some(entry) = self.domains.remove(domain) {
            self.octets -= entry.octets();
        }
    }
}

impl Shelf {
    /// Reads what was kept. What has ended or cannot be read is removed.
    pub(crate) fn open(directory: PathBuf, now: Timestamp) -> io::Result<Self> {
        durable::create_directories(&directory)?;
        let mut known = Known::default();
        for file in fs::read_dir(&directory)? {
            let path = file?.path();
            let forgotten = match read(&path) {
                Some((domain, policy)) if policy.end() > now => {
                    known.put(&domain, Entry { policy: Some(Arc::new(policy)), failed: None })
                }
                _ => {
                    fs::remove_file(&path)?;
                    Vec::new()
                }
            };
            for domain in forgotten {
                fs::remove_file(directory.join(domain.as_str()))?;
            }
        }
        Ok(Self { directory, known: Mutex::new(known) })
    }

    /// The policy that holds for a domain now.
    pub(crate) fn policy(&self, domain: &DomainName, now: Timestamp) -> Option<Arc<StsPolicy>> {
        let known = self.known.lock();
        known.domains.get(domain)?.policy.clone().filter(|policy| policy.end() > now)
    }

    /// Whether the last fetch failed, and that not long ago.
    pub(crate) fn has_failed(&self, domain: &DomainName, now: Timestamp, lately: Duration) -> bool {
        let failed = self.known.lock().domains.get(domain).and_then(|entry| entry.failed);
        failed.is_some_and(|failed| now < failed.saturating_add(lately))
    }

    /// Takes down that a fetch failed.
    pub(crate) fn fail(&self, domain: &DomainName, now: Timestamp) {
        let forgotten = {
            let mut known = self.known.lock();
            let entry = known.domains.get(domain).cloned().unwrap_or_default();
            known.put(domain, Entry { failed: Some(now), ..entry })
        };
        for forgotten in forgotten {
            // A file that stays is found again after a restart, or has ended by then.
            let _ = fs::remove_file(self.file(&forgotten));
        }
    }

    /// Keeps a policy. Where the disk does not take it, it holds until a restart.
    pub(crate) async fn keep(&self, domain: &DomainName, policy: StsPolicy) {
        let (file, text) = (self.file(domain), policy.to_file());
        let policy = Some(Arc::new(policy));
        let forgotten = self.known.lock().put(domain, Entry { policy, failed: None });
        let forgotten: Vec<PathBuf> = forgotten.iter().map(|domain| self.file(domain)).collect();
        let written = tokio::task::spawn_blocking(move || {
            forgotten.iter().try_for_each(|file| durable::remove(file))?;
            durable::write(&file, text.as_bytes(), Readable::Owner)
        });
        let problem = match written.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(%domain, problem, "an MTA-STS policy could not be kept on disk");
    }

    /// Policies that were fetched so long ago and still hold, with their ids.
    pub(crate) fn older_than(&self, age: Duration, now: Timestamp) -> Vec<(DomainName, PolicyId)> {
        let known = self.known.lock();
        let policies =
            known.domains.iter().filter_map(|(domain, entry)| Some((domain, entry.policy.as_ref()?)));
        policies
            .filter(|(_, policy)| policy.end() > now && now.since(policy.fetched) >= age)
            .map(|(domain, policy)| (domain.clone(), policy.id.clone()))
            .collect()
    }

    /// A domain name has letters, digits, hyphens and dots alone, and none first.
    fn file(&self, domain: &DomainName) -> PathBuf {
        self.directory.join(domain.as_str())
    }
}

fn read(path: &Path) -> Option<(DomainName, StsPolicy)> {
    let domain = DomainName::parse(path.file_name()?.to_str()?).ok()?;
    Some((domain, StsPolicy::from_file(&fs::read_to_string(path).ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_640_400);

    fn domain(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn policy(id: &str, max_age: u64) -> StsPolicy {
        let text = format!("version: STSv1\r\nmode: enforce\r\nmx: mx.example.com\r\nmax_age: {max_age}\r\n");
        StsPolicy::read(&PolicyId::new(id).unwrap(), NOW, text.as_bytes()).unwrap()
    }

    fn after(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(NOW.unix_seconds() + seconds)
    }

    #[tokio::test]
    async fn policies_hold_over_a_restart_until_they_end() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("mta-sts");
        let shelf = Shelf::open(place.clone(), NOW).unwrap();
        shelf.keep(&domain("example.com"), policy("1", 100)).await;
        shelf.keep(&domain("example.net"), policy("2", 1_000)).await;
        fs::write(place.join("example.org"), "nonsense").unwrap();
        let shelf = Shelf::open(place.clone(), after(50)).unwrap();
        let known = shelf.policy(&domain("example.com"), after(99)).unwrap();
        assert_eq!((known.id.as_str(), known.matches("MX.example.com")), ("1", true));
        assert!(shelf.policy(&domain("example.com"), after(100)).is_none());
        assert!(shelf.policy(&domain("example.org"), after(50)).is_none());
        let shelf = Shelf::open(place.clone(), after(100)).unwrap();
        assert!(shelf.policy(&domain("example.com"), NOW).is_none());
        let left: Vec<_> = fs::read_dir(place).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["example.net"]);
        assert_eq!(shelf.older_than(Duration::from_secs(99), after(100)).len(), 1);
        assert!(shelf.older_than(Duration::from_secs(101), after(100)).is_empty());
    }

    #[test]
    fn failures_are_remembered_for_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(directory.path().to_owned(), NOW).unwrap();
        let lately = Duration::from_secs(300);
        assert!(!shelf.has_failed(&domain("example.com"), NOW, lately));
        shelf.fail(&domain("example.com"), NOW);
        assert!(shelf.has_failed(&domain("example.com"), after(299), lately));
        assert!(!shelf.has_failed(&domain("example.com"), after(300), lately));
    }

    #[tokio::test]
    async fn what_ends_first_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(directory.path().to_owned(), NOW).unwrap();
        shelf.keep(&domain("short.example"), policy("1", 100)).await;
        shelf.keep(&domain("long.example"), policy("1", 1_000)).await;
        for number in 2..DOMAINS_MAX - 2 {
            let entry = Entry { policy: Some(Arc::new(policy("1", 500))), failed: None };
            shelf.known.lock().put(&domain(&format!("d{number}.example")), entry);
        }
        let held = |name: &str| shelf.policy(&domain(name), NOW).is_some();
        for (name, is_full) in [("one.example", false), ("two.example", false), ("three.example", true)] {
            assert!(held("short.example"), "{name}");
            shelf.keep(&domain(name), policy("1", 1_000)).await;
            assert_eq!(held("short.example"), !is_full, "{name}");
        }
        assert!(!directory.path().join("short.example").exists());
        assert!(held("long.example") && held("one.example"));
        assert_eq!(shelf.known.lock().domains.len(), DOMAINS_MAX);
    }

    #[test]
    fn long_policies_do_not_fill_the_memory() {
        let long = |octets: usize| {
            let text = format!("{}{}", policy("1", 500).to_file(), "x".repeat(octets));
            let policy = StsPolicy::from_file(&text).unwrap();
            Entry { policy: Some(Arc::new(policy)), failed: None }
        };
        let each = long(60_000).octets();
        let fit = OCTETS_MAX / each;
        let mut known = Known::default();
        for number in 0..=fit {
            let forgotten = known.put(&domain(&format!("d{number}.example")), long(60_000));
            assert_eq!(forgotten.len(), usize::from(number == fit), "{number}");
            assert!(known.octets <= OCTETS_MAX);
        }
        for number in 0..=fit {
            known.remove(&domain(&format!("d{number}.example")));
        }
        assert_eq!((known.octets, known.domains.len()), (0, 0));
    }
}
