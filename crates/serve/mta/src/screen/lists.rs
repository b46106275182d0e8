//! Lists of senders in DNS, of addresses and of domains (RFC 5782): who stands on them, and whether a list can be believed.
//!
//! A list that dies may list everybody, and one that refuses to answer answers all the same: each is tested at the start and
//! from then on, and nobody suffers from one that is ill.

mod ask;
mod entry;
mod health;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use dns::{Name, Resolver};
use futures_util::{StreamExt, stream};
use mail_types::DomainName;
use parking_lot::Mutex;
use platform::clock::{Clock, Timestamp};
use platform::metrics::{Counter, Gauge, Metrics};
use platform::tasks::Shutdown;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use ask::{Said, entry_of, say};
use health::Unwell;

pub use entry::{Codes, ListAction, ListEntry, ListEntryError, POINTS_DEFAULT, POINTS_MAX};

/// Domains of one question; those beyond are not asked for.
pub const DOMAINS_MAX: usize = 20;
/// Entries of each kind.
pub const ENTRIES_MAX: usize = 50;
/// Questions that are open at a time.
const OPEN_MAX: usize = 16;
/// Questions about links that are open at a time, of all messages: half of what the resolver has open (`dns::Bounds`), so that
/// mail full of names that nobody has asked for yet leaves room for who waits for SPF.
const LINKS_OPEN_MAX: usize = 64;
/// Clients or messages, one after the other, about whom a list has answered nothing, after which it is not asked until it has
/// been tested.
const FAILURES_MAX: u32 = 5;

/// Which lists there are.
#[derive(Clone, Debug, Default)]
pub struct ListSettings {
    /// Lists of addresses.
    pub addresses: Vec<ListEntry>,
    /// Lists of domains.
    pub domains: Vec<ListEntry>,
    /// How long all questions about one client or message may take.
    pub time_max: Duration,
}

/// Somebody stands on a list.
#[derive(Clone, PartialEq, Debug)]
pub struct ListHit {
    /// The list.
    pub list: Name,
    /// What stands on it.
    pub asked: String,
    /// How the list answered.
    pub codes: Vec<Ipv4Addr>,
    /// What that is worth.
    pub points: f32,
    /// What follows.
    pub action: ListAction,
    /// The list's own words (printable ASCII, bounded), mostly with an address where to read on.
    pub words: Option<String>,
}

impl ListHit {
    /// Whether a domain's hit counts. Anybody can write a name: a list vouches only for the domain that is `proven` to be the
    /// sender's.
    pub(crate) fn is_believed(&self, proven: Option<&DomainName>) -> bool {
        self.points >= 0.0 || proven.is_some_and(|proven| proven.as_str() == self.asked)
    }
}

/// What a list is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ListKind {
    /// Addresses of clients.
    Addresses,
    /// Names of domains.
    Domains,
}

/// How a list is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListState {
    /// Not tested yet, so not asked.
    Untested,
    /// It answers as lists do.
    Healthy,
    /// It is not asked, for this reason.
    Off(String),
}

/// A list as `screen status` tells of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListStatus {
    /// The list.
    pub list: Name,
    /// What it is of.
    pub kind: ListKind,
    /// How it is.
    pub state: ListState,
    /// Since when.
    pub since: Timestamp,
    /// Whether it lists IPv6 addresses.
    pub has_ipv6: bool,
    /// Questions so far.
    pub asked: u64,
    /// Hits among them.
    pub hits: u64,
}

/// The lists. Clones share what is known of them.
#[derive(Clone, Debug)]
pub struct Lists(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    metrics: Metrics,
    /// Whom they are asked by; nobody in a command without a server.
    resolver: ArcSwapOption<Resolver>,
    settings: ArcSwap<ListSettings>,
    known: Mutex<BTreeMap<(ListKind, Name), Known>>,
    /// Other lists have been named.
    changed: Notify,
    /// Places for questions about links.
    link_places: Semaphore,
}

/// What is asked of whom.
struct Asking<'a> {
    kind: ListKind,
    entries: &'a [ListEntry],
    time_max: Duration,
    /// Where each question waits for its turn, if it has to.
    places: Option<&'a Semaphore>,
}

/// What came of one question.
enum Answer {
    /// The name stands on the list, which says so.
    Listed(Vec<Ipv4Addr>, Option<String>),
    /// It does not, or the list is not to be believed.
    Clean,
    /// Nothing came, though there was time for it.
    Silent,
    /// The list had no chance to answer: others came first.
    Unasked,
}

/// What is known of a list.
#[derive(Debug)]
struct Known {
    state: ListState,
    since: Timestamp,
    has_ipv6: bool,
    failures: u32,
    asked: u64,
    hits: u64,
    hit_count: Counter,
    is_up: Gauge,
}

impl Lists {
    /// No lists yet, and nobody who asks them.
    #[must_use]
    pub fn new(clock: Clock, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            clock,
            metrics,
            resolver: ArcSwapOption::empty(),
            settings: ArcSwap::from_pointee(ListSettings::default()),
            known: Mutex::default(),
            changed: Notify::new(),
            link_places: Semaphore::new(LINKS_OPEN_MAX),
        }))
    }

    /// Says who asks them.
    pub fn ask_by(&self, resolver: Resolver) {
        self.0.resolver.store(Some(Arc::new(resolver)));
    }

    /// Takes other lists, for questions that come from now on. What is known of those that stay is kept.
    pub fn reconfigure(&self, settings: ListSettings) {
        let now = self.0.clock.now();
        let zones = |kind, entries: &[ListEntry]| {
            entries.iter().take(ENTRIES_MAX).map(|entry| (kind, entry.zone.clone())).collect::<Vec<_>>()
        };
        let mut wanted = zones(ListKind::Addresses, &settings.addresses);
        wanted.extend(zones(ListKind::Domains, &settings.domains));
        let mut known = self.0.known.lock();
        known.retain(|list, _| wanted.contains(list));
        for list in wanted {
            let zone = list.1.clone();
            known.entry(list).or_insert_with(|| Known::new(&zone, now, &self.0.metrics));
        }
        drop(known);
        self.0.settings.store(Arc::new(settings));
        self.0.changed.notify_one();
    }

    /// Which lists an address stands on. Takes `time_max` at most; what is not known by then is not told.
    pub async fn ask_address(&self, address: IpAddr) -> Vec<ListHit> {
        let settings = self.0.settings.load_full();
        let asked = [address.to_canonical()];
        let entry = |zone: &Name, address: &IpAddr| entry_of(*address, zone);
        let is_for = |known: &Known, address: &IpAddr| address.is_ipv4() || known.has_ipv6;
        let (kind, time_max) = (ListKind::Addresses, settings.time_max);
        let asking = Asking { kind, entries: &settings.addresses, time_max, places: None };
        self.ask(asking, &asked, entry, is_for).await
    }

    /// Which lists these domains stand on, those of HELO and of the sender. Takes `time_max` at most.
    pub async fn ask_domains(&self, domains: &[DomainName]) -> Vec<ListHit> {
        self.ask_about(domains, None).await
    }

    /// The same of domains of links in a message, as somebody has registered them. What finds no place within `time_max` is
    /// not asked.
    pub async fn ask_links(&self, domains: &[DomainName]) -> Vec<ListHit> {
        self.ask_about(domains, Some(&self.0.link_places)).await
    }

    async fn ask_about(&self, domains: &[DomainName], places: Option<&Semaphore>) -> Vec<ListHit> {
        let settings = self.0.settings.load_full();
        let mut asked: Vec<&DomainName> = Vec::new();
        for domain in domains {
            // Addresses, and names that nobody can have registered, are on no list.
            let is_name = domain
                .as_str()
                .rsplit_once('.')
                .is_some_and(|(_, top)| !top.bytes().all(|o| o.is_ascii_digit()));
            if is_name && !asked.contains(&domain) && asked.len() < DOMAINS_MAX {
                asked.push(domain);
            }
        }
        let entry = |zone: &Name, domain: &&DomainName| Name::parse(&format!("{domain}.{zone}")).ok();
        let (kind, time_max) = (ListKind::Domains, settings.time_max);
        let asking = Asking { kind, entries: &settings.domains, time_max, places };
        self.ask(asking, &asked, entry, |_, _| true).await
    }

    /// Asks all healthy lists of a kind about all these, at the same time.
    async fn ask<T: ToString>(
        &self,
        asking: Asking<'_>,
        asked: &[T],
        entry: impl Fn(&Name, &T) -> Option<Name>,
        is_for: impl Fn(&Known, &T) -> bool,
    ) -> Vec<ListHit> {
        let Some(resolver) = self.0.resolver.load_full() else { return Vec::new() };
        let Asking { kind, entries, time_max, places } = asking;
        let deadline = Instant::now() + time_max;
        let questions: Vec<_> = {
            let known = self.0.known.lock();
            let healthy =
                || known.iter().filter(|((of, _), list)| *of == kind && list.state == ListState::Healthy);
            // All lists about one, then about the next: a slow one does not keep the others waiting for long.
            let asked = asked.iter().flat_map(|one| healthy().map(move |list| (list, one)));
            asked
                .filter(|((_, list), one)| is_for(list, one))
                .filter_map(|(((_, zone), _), one)| Some((entry(zone, one)?, zone.clone(), one.to_string())))
                .collect()
        };
        let resolver = &*resolver;
        let answers: Vec<(Name, String, Answer)> = stream::iter(questions)
            .map(|(name, zone, one)| async move {
                let Some(_place) = place(places, deadline).await else { return (zone, one, Answer::Unasked) };
                let answer = self.answer(resolver, (kind, &zone), &name, deadline, time_max).await;
                (zone, one, answer)
            })
            .buffer_unordered(OPEN_MAX)
            .collect()
            .await;
        self.note_silent(kind, &answers);
        let mut hits: Vec<ListHit> = Vec::new();
        for (zone, one, answer) in answers {
            let Answer::Listed(codes, words) = answer else { continue };
            let counting = entries.iter().filter(|entry| entry.zone == zone);
            let counting = counting.filter(|entry| codes.iter().any(|code| entry.counts(*code)));
            hits.extend(counting.map(|entry| ListHit {
                list: zone.clone(),
                asked: one.clone(),
                codes: codes.clone(),
                points: entry.points,
                action: entry.action,
                words: words.clone(),
            }));
        }
        hits.sort_by(|one, other| (&one.list, &one.asked).cmp(&(&other.list, &other.asked)));
        for hit in &hits {
            self.with(kind, &hit.list, |known| {
                known.hits += 1;
                known.hit_count.increment();
            });
        }
        hits
    }

    /// What a list answers by a deadline. One whose turn comes when there is little time left says nothing by being silent.
    async fn answer(
        &self,
        resolver: &Resolver,
        (kind, zone): (ListKind, &Name),
        name: &Name,
        deadline: Instant,
        time_max: Duration,
    ) -> Answer {
        let begun = Instant::now();
        if begun >= deadline {
            return Answer::Unasked;
        }
        let answered = tokio::time::timeout_at(deadline, self.hit(resolver, kind, zone, name)).await;
        let had_time = deadline - begun >= time_max / 2;
        answered.unwrap_or(if had_time { Answer::Silent } else { Answer::Unasked })
    }

    /// How a list answers for one name, and its words.
    async fn hit(&self, resolver: &Resolver, kind: ListKind, zone: &Name, name: &Name) -> Answer {
        let said = say(resolver, name).await;
        if said == Said::Unasked {
            return Answer::Unasked;
        }
        self.with(kind, zone, |known| known.asked += 1);
        match said {
            Said::Clean => Answer::Clean,
            Said::Silent(_) => Answer::Silent,
            Said::Unasked => Answer::Unasked,
            Said::Nonsense(why) => {
                self.switch_off(kind, zone, why);
                Answer::Clean
            }
            Said::Listed(codes) => {
                // One that has gone mad since it was tested: the answer is mostly in the cache.
                if let Some(why) = health::lists_everybody(resolver, kind, zone).await {
                    self.switch_off(kind, zone, why);
                    return Answer::Clean;
                }
                Answer::Listed(codes, ask::words(resolver, name).await)
            }
        }
    }

    /// Counts the lists that have answered nothing of what they were asked at once; one answer shows that a list is there.
    fn note_silent(&self, kind: ListKind, answers: &[(Name, String, Answer)]) {
        let mut has_answered: BTreeMap<&Name, bool> = BTreeMap::new();
        for (zone, _, answer) in answers {
            match answer {
                Answer::Listed(..) | Answer::Clean => drop(has_answered.insert(zone, true)),
                Answer::Silent => drop(has_answered.entry(zone).or_insert(false)),
                Answer::Unasked => {}
            }
        }
        for (zone, has_answered) in has_answered {
            match has_answered {
                true => self.with(kind, zone, |known| known.failures = 0),
                false => self.failed(kind, zone),
            }
        }
    }

    fn with(&self, kind: ListKind, zone: &Name, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.0.known.lock().get_mut(&(kind, zone.clone())) {
            change(known);
        }
    }

    fn failed(&self, kind: ListKind, zone: &Name) {
        let mut has_failed_enough = false;
        self.with(kind, zone, |known| {
            known.failures += 1;
            has_failed_enough = known.failures >= FAILURES_MAX;
        });
        if has_failed_enough {
            self.switch_off(kind, zone, "it does not answer".to_owned());
        }
    }

    /// A list is not asked until it is found healthy; told once.
    fn switch_off(&self, kind: ListKind, zone: &Name, why: String) {
        let now = self.0.clock.now();
        self.with(kind, zone, |known| {
            let was_off = matches!(known.state, ListState::Off(_));
            if !was_off {
                tracing::warn!(
                    list = %zone,
                    why,
                    "a list is not asked until it is well again; tested again soon, or take it out of [screen]"
                );
                known.since = now;
            }
            known.state = ListState::Off(why);
            known.is_up.set(0);
        });
    }

    /// Tests all lists.
    pub async fn test_all(&self) {
        self.test(|_| true).await;
    }

    /// Tests those lists again that are not asked.
    pub async fn test_ill(&self) {
        self.test(|known| known.state != ListState::Healthy).await;
    }

    async fn test(&self, is_due: impl Fn(&Known) -> bool) {
        let Some(resolver) = self.0.resolver.load_full() else { return };
        let lists: Vec<(ListKind, Name)> = {
            let known = self.0.known.lock();
            known.iter().filter(|(_, known)| is_due(known)).map(|(list, _)| list.clone()).collect()
        };
        let resolver = &*resolver;
        stream::iter(lists)
            .for_each_concurrent(OPEN_MAX, |(kind, zone)| async move {
                let found = health::test(resolver, kind, &zone).await;
                self.tested(kind, &zone, found);
            })
            .await;
    }

    fn tested(&self, kind: ListKind, zone: &Name, found: Result<health::Health, Unwell>) {
        let health = match found {
            Ok(health) => health,
            Err(Unwell::Ill(why)) => return self.switch_off(kind, zone, why),
            // It is tested again in its turn.
            Err(Unwell::Unasked) => return,
        };
        let now = self.0.clock.now();
        self.with(kind, zone, |known| {
            if matches!(known.state, ListState::Off(_)) {
                tracing::info!(list = %zone, "a list is well again and asked");
            }
            if known.state != ListState::Healthy {
                known.since = now;
            }
            known.state = ListState::Healthy;
            known.has_ipv6 = health.has_ipv6;
            known.failures = 0;
            known.is_up.set(1);
        });
    }

    /// Tests the lists now, every hour, and when others are named; those that are ill more often. To be spawned once, as a
    /// task; ends at `stop`.
    pub async fn tend(self, stop: Shutdown) {
        loop {
            // No arm loses anything when cancelled: lists are tested again.
            tokio::select! {
                () = stop.triggered() => return,
                () = self.0.changed.notified() => {}
                () = self.test_for_an_hour() => {}
            }
        }
    }

    async fn test_for_an_hour(&self) {
        self.test_all().await;
        for _ in 0..health::TURNS {
            tokio::time::sleep(health::TEST_EVERY / health::TURNS).await;
            self.test_ill().await;
        }
    }

    /// How each list is.
    #[must_use]
    pub fn status(&self) -> Vec<ListStatus> {
        let known = self.0.known.lock();
        let status = known.iter().map(|((kind, list), known)| ListStatus {
            list: list.clone(),
            kind: *kind,
            state: known.state.clone(),
            since: known.since,
            has_ipv6: known.has_ipv6,
            asked: known.asked,
            hits: known.hits,
        });
        status.collect()
    }
}

/// A place for a question, where it needs one; nothing where none is free by the deadline.
async fn place(places: Option<&Semaphore>, deadline: Instant) -> Option<Option<SemaphorePermit<'_>>> {
    let Some(places) = places else { return Some(None) };
    Some(Some(tokio::time::timeout_at(deadline, places.acquire()).await.ok()?.ok()?))
}

impl Known {
    fn new(list: &Name, now: Timestamp, metrics: &Metrics) -> Self {
        let labels = &[("list", list.as_str())];
        let hits = "Clients and domains found on a list.";
        let up = "Whether a list answers as lists do (1) or is not asked (0).";
        Self {
            state: ListState::Untested,
            since: now,
            has_ipv6: false,
            failures: 0,
            asked: 0,
            hits: 0,
            hit_count: metrics.counter("mailstead_screen_list_hits_total", hits, labels),
            is_up: metrics.gauge("mailstead_screen_list_up", up, labels),
        }
    }
}

#[cfg(test)]
mod tests;
