//! The policies of other domains about TLS (MTA-STS, RFC 8461): found by DNS, fetched by HTTPS, kept until they end.
//!
//! In a message's path: `remote/protection.rs` asks for the policy of a domain whose exchangers DNS does not vouch for.

pub(crate) mod policy;
mod shelf;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use dns::{Name, Resolver};
use mail_types::DomainName;
use parking_lot::Mutex;
use platform::clock::{Clock, Timestamp};
use platform::egress::Egress;
use platform::tasks::Shutdown;
use sender_auth::mta_sts::{
    POLICY_MEDIA_TYPE, POLICY_OCTETS_MAX, POLICY_PATH, PolicyId, policy_host, policy_id,
};
use sender_auth::reports::TlsFailureType;
use sender_auth::{Answers, Needs, Question, Reply, ReplyError};
use tls::Connector;

use self::policy::StsPolicy;
use self::shelf::Shelf;
use super::settings::{Loopback, OutboundSettings};
use super::{Gate, LiveOut};

/// After this time a policy is fetched again though nothing says that it has changed (RFC 8461 §3.3: once a day), so
/// that who can keep us from fetching it has to do so for as long as it lasts.
const REFRESH_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// How often old policies are looked for.
const REFRESH_EVERY: Duration = Duration::from_secs(3_600);
/// How long a fetch that failed is not tried again (RFC 8461 §3.3: five minutes or longer).
const RETRY_AFTER: Duration = Duration::from_secs(300);

/// What MTA-STS works with.
pub struct StsRooms {
    /// Where policies are kept.
    pub directory: PathBuf,
    /// Fetches them.
    pub fetch: PolicyFetch,
}

/// Fetches a policy by HTTPS: the octets of an answer with status 200 from a server that showed the right certificate.
/// Follows no redirection, and is bounded in time (RFC 8461 §3.3).
pub type PolicyFetch = Arc<dyn Fn(PolicyOrder) -> PolicyFetched + Send + Sync>;

/// What is fetched.
pub type PolicyFetched = Pin<Box<dyn Future<Output = Result<Vec<u8>, PolicyFetchError>> + Send>>;

/// What to fetch from where.
#[derive(Clone, Debug)]
pub struct PolicyOrder {
    /// The server's name, which its certificate must show.
    pub host: DomainName,
    /// Where it answers.
    pub addresses: Vec<SocketAddr>,
    /// The path.
    pub path: &'static str,
    /// The only media type that is taken.
    pub media_type: &'static str,
    /// How many octets are taken at the most.
    pub octets_max: usize,
    /// How to connect.
    pub egress: Egress,
    /// Whom to trust.
    pub connector: Connector,
}

/// Why a policy was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFetchError {
    /// The server's certificate is not right.
    #[error("{0}")]
    Certificate(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Why there is no new policy.
#[derive(Debug)]
pub(crate) struct FetchFailure {
    pub(crate) kind: TlsFailureType,
    pub(crate) detail: String,
}

/// The policies that are known.
pub(crate) struct StsPolicies {
    fetch: PolicyFetch,
    shelf: Shelf,
    /// Whose policy is being fetched: the others wait for it.
    turns: Mutex<HashMap<DomainName, Weak<tokio::sync::Mutex<()>>>>,
}

impl StsPolicies {
    /// Reads what was kept.
    pub(crate) fn open(rooms: StsRooms, now: Timestamp) -> io::Result<Self> {
        let shelf = Shelf::open(rooms.directory, now)?;
        Ok(Self { fetch: rooms.fetch, shelf, turns: Mutex::default() })
    }

    /// The policy of a domain, as far as there is one; fetched if it is not known or no longer the one that DNS speaks of
    /// (RFC 8461 §5.1). A policy that cannot be fetched again holds until it ends.
    pub(crate) async fn find(
        &self,
        (resolver, clock): (&Resolver, &Clock),
        live: &LiveOut,
        domain: &DomainName,
    ) -> (Option<Arc<StsPolicy>>, Option<FetchFailure>) {
        let announced = announced(resolver, domain).await;
        let now = clock.now();
        let is_wanted = |known: Option<&StsPolicy>| match (known, &announced) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(known), Some(id)) => known.id != *id || now.since(known.fetched) >= REFRESH_AFTER,
        };
        let known = self.shelf.policy(domain, now);
        let Some(id) = announced.as_ref().filter(|_| is_wanted(known.as_deref())) else {
            return (known, None);
        };
        let turn = self.turn(domain);
        let _turn = turn.lock().await;
        let known = self.shelf.policy(domain, now);
        if !is_wanted(known.as_deref()) || self.shelf.has_failed(domain, now, RETRY_AFTER) {
            return (known, None);
        }
        let failure = self.renew((resolver, clock), live, domain, id).await.err();
        (self.shelf.policy(domain, now), failure)
    }

    /// Fetches and keeps a policy.
    async fn renew(
        &self,
        (resolver, clock): (&Resolver, &Clock),
        live: &LiveOut,
        domain: &DomainName,
        id: &PolicyId,
    ) -> Result<(), FetchFailure> {
        let fetched = self.fetch_text(resolver, live, domain).await;
        let now = clock.now();
        let read = fetched.and_then(|octets| {
            StsPolicy::read(id, now, &octets).map_err(|error| FetchFailure {
                kind: TlsFailureType::StsPolicyInvalid,
                detail: error.to_string(),
            })
        });
        match read {
            Ok(policy) => {
                tracing::info!(%domain, id = id.as_str(), mode = policy.mode().as_str(), "MTA-STS policy fetched");
                self.shelf.keep(domain, policy).await;
                Ok(())
            }
            Err(failure) => {
                let (kind, detail) = (failure.kind.as_str(), &failure.detail);
                tracing::info!(%domain, kind, detail, "no MTA-STS policy could be had");
                self.shelf.fail(domain, now);
                Err(failure)
            }
        }
    }

    async fn fetch_text(
        &self,
        resolver: &Resolver,
        live: &LiveOut,
        domain: &DomainName,
    ) -> Result<Vec<u8>, FetchFailure> {
        let failure = |detail: String| FetchFailure { kind: TlsFailureType::StsPolicyFetchError, detail };
        let settings = &live.settings;
        let host = policy_host(domain).ok_or_else(|| failure("the domain's name is too long".to_owned()))?;
        let name = Name::parse(host.as_str()).map_err(|error| failure(error.to_string()))?;
        let answer = resolver.addresses(&name, settings.families).await;
        let addresses = answer.map_err(|error| failure(format!("{name}: {error}")))?.records;
        let addresses: Vec<SocketAddr> = addresses
            .into_iter()
            .filter(|address| may_be_asked(settings, *address))
            .map(|address| SocketAddr::new(address, settings.sts_port))
            .collect();
        let order = PolicyOrder {
            host,
            addresses,
            path: POLICY_PATH,
            media_type: POLICY_MEDIA_TYPE,
            octets_max: POLICY_OCTETS_MAX,
            egress: Egress {
                ipv4: settings.identity.ipv4,
                ipv6: settings.identity.ipv6,
                connect_timeout: settings.timeouts.connect,
                fall_over: settings.timeouts.fall_over,
            },
            connector: live.verified.clone(),
        };
        (self.fetch)(order).await.map_err(|error| match error {
            PolicyFetchError::Certificate(detail) => {
                FetchFailure { kind: TlsFailureType::StsWebPkiInvalid, detail }
            }
            PolicyFetchError::Failed(detail) => failure(detail),
        })
    }

    fn turn(&self, domain: &DomainName) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock();
        if let Some(turn) = turns.get(domain).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(domain.clone(), Arc::downgrade(&turn));
        turn
    }

    /// Fetches again what was fetched long ago and still holds.
    pub(crate) async fn refresh(&self, rooms: (&Resolver, &Clock), live: &LiveOut) {
        for (domain, id) in self.shelf.older_than(REFRESH_AFTER, rooms.1.now()) {
            let id = announced(rooms.0, &domain).await.unwrap_or(id);
            // It was said what failed, and the former policy holds.
            let _ = self.renew(rooms, live, &domain, &id).await;
        }
    }
}

impl fmt::Debug for StsPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StsPolicies")
    }
}

/// Keeps policies fresh.
pub(crate) async fn keep_fresh(gate: Arc<Gate>, stop: Shutdown) {
    loop {
        tokio::select! {
            biased;
            () = stop.triggered() => return,
            // Cancelled asleep: nothing is lost.
            () = tokio::time::sleep(REFRESH_EVERY) => {}
        }
        let Some(policies) = &gate.sts else { return };
        let live = gate.live.load_full();
        tokio::select! {
            biased;
            () = stop.triggered() => return,
            // Cancelled, what was not fetched yet is fetched another time.
            () = policies.refresh((&gate.rooms.resolver, &gate.rooms.clock), &live) => {}
        }
    }
}

/// The id of the policy that a domain says it has (RFC 8461 §3.1); nothing where it says so not at all, not clearly, or
/// DNS fails.
async fn announced(resolver: &Resolver, domain: &DomainName) -> Option<PolicyId> {
    let mut answers = Answers::new();
    let Err(Needs(questions)) = policy_id(domain, &answers) else { return None };
    for question in questions {
        let Question::Txt(name) = &question else { return None };
        let reply = match resolver.txt(&Name::parse(name.as_str()).ok()?).await {
            Ok(answer) => Ok(Reply::Txt(answer.records.into_iter().map(Into::into).collect())),
            Err(error) if error.is_absence() => Err(ReplyError::NoData),
            Err(_) => Err(ReplyError::Failure),
        };
        answers.add(question, reply);
    }
    policy_id(domain, &answers).ok()?.ok()?
}

/// A policy that lies on this machine is somebody's try to have us talk to ourselves.
fn may_be_asked(settings: &OutboundSettings, address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_here = address.is_loopback() || address.is_unspecified();
    !address.is_multicast() && (!is_here || settings.loopback == Loopback::Others)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dns::{FixedRecords, RecordData};
    use mail_types::Address;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_640_400);

    struct House {
        _directory: tempfile::TempDir,
        policies: StsPolicies,
        names: FixedRecords,
        resolver: Resolver,
        clock: Clock,
        live: LiveOut,
        fetches: Arc<AtomicUsize>,
        domain: DomainName,
    }

    /// example.com has a policy; each fetch lets the others run first.
    fn house() -> House {
        let directory = tempfile::tempdir().unwrap();
        let domain = DomainName::parse("example.com").unwrap();
        let names = FixedRecords::new();
        names.add(&Name::parse("mta-sts.example.com").unwrap(), RecordData::Address([192, 0, 2, 1].into()));
        let fetches = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&fetches);
        let fetch: PolicyFetch = Arc::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {
                tokio::task::yield_now().await;
                Ok(b"version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 604800\n".to_vec())
            })
        });
        let rooms = StsRooms { directory: directory.path().to_owned(), fetch };
        let us = DomainName::parse("mail.example.org").unwrap();
        let settings = OutboundSettings::new(us, Address::parse("postmaster@example.org").unwrap());
        House {
            policies: StsPolicies::open(rooms, NOW).unwrap(),
            resolver: Resolver::fixed(names.clone()),
            names,
            clock: Clock::settable(NOW),
            live: LiveOut::new(settings).unwrap(),
            fetches,
            domain,
            _directory: directory,
        }
    }

    impl House {
        fn announce(&self, id: &str) {
            let name = Name::parse("_mta-sts.example.com").unwrap();
            self.names.clear(&name);
            self.names.add(&name, RecordData::Text(format!("v=STSv1; id={id};").into_bytes()));
        }

        async fn find(&self) -> Option<Arc<StsPolicy>> {
            let (found, failure) =
                self.policies.find((&self.resolver, &self.clock), &self.live, &self.domain).await;
            assert!(failure.is_none(), "{failure:?}");
            found
        }

        fn fetches(&self) -> usize {
            self.fetches.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_waits_for_one_fetch() {
        let house = house();
        assert!(house.find().await.is_none(), "nothing is announced");
        house.announce("1");
        let (one, two, three) = tokio::join!(house.find(), house.find(), house.find());
        assert!(one.is_some() && two.is_some() && three.is_some());
        assert_eq!(house.fetches(), 1);
        house.announce("2");
        assert_eq!(house.find().await.unwrap().id.as_str(), "2");
        assert_eq!(house.fetches(), 2);
    }

    #[tokio::test]
    async fn a_policy_that_nobody_asks_for_stays_fresh() {
        let house = house();
        house.announce("1");
        house.find().await.unwrap();
        house.clock.advance(REFRESH_AFTER - Duration::from_secs(1));
        house.policies.refresh((&house.resolver, &house.clock), &house.live).await;
        assert_eq!(house.fetches(), 1);
        house.clock.advance(Duration::from_secs(1));
        house.policies.refresh((&house.resolver, &house.clock), &house.live).await;
        assert_eq!(house.fetches(), 2);
        let known = house.policies.shelf.policy(&house.domain, house.clock.now()).unwrap();
        assert_eq!(known.fetched, house.clock.now());
    }

    #[test]
    fn nobody_has_us_ask_ourselves() {
        let mut settings = house().live.settings;
        for (address, on_the_internet, in_tests) in [
            ("127.0.0.1", false, true),
            ("::ffff:127.0.0.1", false, true),
            ("0.0.0.0", false, true),
            ("224.0.0.1", false, false),
            ("192.0.2.1", true, true),
        ] {
            let address = address.parse().unwrap();
            for (loopback, expected) in [(Loopback::Ourselves, on_the_internet), (Loopback::Others, in_tests)]
            {
                settings.loopback = loopback;
                assert_eq!(may_be_asked(&settings, address), expected, "{address}");
            }
        }
    }
}
