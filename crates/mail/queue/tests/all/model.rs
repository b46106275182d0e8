//! Random histories against a model of a few lines: what was accepted and not finished waits, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use mail_types::QueueId;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use queue::{Filter, MessageState, OverdueKind, RecipientOutcome, Settings};

use crate::crash::{unsynced, without_index};
use crate::house::{House, copy_directory, domain, later, new_message, relayed};
use crate::purge::accept_noise;

#[derive(Clone, Debug)]
enum Step {
    Accept {
        recipients: Vec<u8>,
        octets: usize,
    },
    /// Some of what is due is sent; bits say what becomes of whom.
    Send {
        fates: u64,
    },
    Hold(usize),
    Release(usize),
    Drop(usize),
    /// Those at one destination, of one message or of all.
    DropAt(Option<usize>, u8),
    Pass(u64),
    Retry,
    Report,
    Checkpoint,
    Purge,
    Rebuild,
    Reopen,
    Crash(Crash),
}

#[derive(Clone, Copy, Debug)]
enum Crash {
    Sudden,
    Unsynced,
    IndexLost,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let recipients = prop::collection::vec(0_u8..4, 1..4);
    let octets = prop_oneof![Just(100_usize), Just(25_000), Just(60_000)];
    let accept = (recipients, octets).prop_map(|(recipients, octets)| Step::Accept { recipients, octets });
    let crash = prop_oneof![Just(Crash::Sudden), Just(Crash::Unsynced), Just(Crash::IndexLost)];
    let step = prop_oneof![
        6 => accept,
        5 => any::<u64>().prop_map(|fates| Step::Send { fates }),
        1 => (0_usize..20).prop_map(Step::Hold),
        1 => (0_usize..20).prop_map(Step::Release),
        1 => (0_usize..20).prop_map(Step::Drop),
        2 => (prop::option::of(0_usize..20), 0_u8..4).prop_map(|(place, domain)| Step::DropAt(place, domain)),
        2 => prop_oneof![Just(70_u64), Just(4_000), Just(18_000), Just(200_000)].prop_map(Step::Pass),
        1 => Just(Step::Retry),
        1 => Just(Step::Report),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::Purge),
        1 => Just(Step::Rebuild),
        1 => Just(Step::Reopen),
        2 => crash.prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 5..40)
}

/// What the model knows of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Known {
    waiting: Vec<bool>,
    /// The numbers of the recipients' domains.
    domains: Vec<u8>,
    is_held: bool,
}

struct World {
    house: House,
    model: BTreeMap<QueueId, Known>,
    /// The directory at the last checkpoint.
    quiet: tempfile::TempDir,
    count: u64,
}

impl World {
    async fn new() -> Self {
        let house = House::with(Settings::default());
        let quiet = tempfile::tempdir().unwrap();
        let mut world = Self { house, model: BTreeMap::new(), quiet, count: 0 };
        world.checkpoint().await;
        world
    }

    async fn checkpoint(&mut self) {
        self.house.store.checkpoint().await.unwrap();
        self.quiet = tempfile::tempdir().unwrap();
        copy_directory(self.house.data.path(), self.quiet.path());
    }

    fn nth(&self, place: usize) -> Option<QueueId> {
        let count = self.model.len();
        (count > 0).then(|| *self.model.keys().nth(place % count).unwrap())
    }

    async fn step(mut self, step: &Step) -> Self {
        match step {
            Step::Accept { recipients, octets } => self.accept(recipients, *octets).await,
            Step::Send { fates } => self.send(*fates).await,
            Step::Hold(place) => {
                if let Some(id) = self.nth(*place) {
                    self.house.queue.hold(Filter { id: Some(id), ..Filter::default() }).await.unwrap();
                    self.model.get_mut(&id).unwrap().is_held = true;
                }
            }
            Step::Release(place) => {
                if let Some(id) = self.nth(*place) {
                    self.house.queue.release(Filter { id: Some(id), ..Filter::default() }).await.unwrap();
                    self.model.get_mut(&id).unwrap().is_held = false;
                }
            }
            Step::Drop(place) => {
                if let Some(id) = self.nth(*place) {
                    self.house
                        .queue
                        .drop_recipients(Filter { id: Some(id), ..Filter::default() })
                        .await
                        .unwrap();
                    self.model.remove(&id);
                }
            }
            Step::DropAt(place, at) => self.drop_at(place.and_then(|place| self.nth(place)), *at).await,
            Step::Pass(seconds) => self.house.pass(Duration::from_secs(*seconds)).await,
            Step::Retry => drop(self.house.queue.retry(Filter::default()).await.unwrap()),
            Step::Report => self.report().await,
            Step::Checkpoint => self.checkpoint().await,
            Step::Purge => {
                self.house.store.purge().await.unwrap();
                self.checkpoint().await;
            }
            Step::Rebuild => self.house.store.rebuild(None).await.unwrap(),
            Step::Reopen => {
                self.house = self.house.reopened().await;
                self.checkpoint().await;
            }
            Step::Crash(crash) => {
                let (now, quiet) = (self.house.data.path(), self.quiet.path());
                let clock = self.house.clock.clone();
                self.house = match crash {
                    Crash::Sudden => self.house.crashed(),
                    Crash::Unsynced => House::from(unsynced(quiet, now), clock),
                    Crash::IndexLost => House::from(without_index(now), clock),
                };
                self.checkpoint().await;
            }
        }
        self.check().await;
        self
    }

    async fn accept(&mut self, recipients: &[u8], octets: usize) {
        let number = |(place, domain): (usize, &u8)| format!("u{place}@d{domain}.example");
        let addresses: Vec<String> = recipients.iter().enumerate().map(number).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let new = new_message(&self.house.clock, &addresses);
        self.count += 1;
        let id = accept_noise(&self.house, new, self.count, octets).await;
        let known =
            Known { waiting: vec![true; recipients.len()], domains: recipients.to_vec(), is_held: false };
        assert_eq!(self.model.insert(id, known), None, "an id came twice");
    }

    async fn drop_at(&mut self, id: Option<QueueId>, at: u8) {
        let destination = Some(domain(&format!("d{at}.example")));
        let dropped =
            self.house.queue.drop_recipients(Filter { id, destination, ..Filter::default() }).await.unwrap();
        let mut expected = 0;
        for known in self.model.iter_mut().filter(|(known, _)| id.is_none_or(|id| id == **known)) {
            let known = known.1;
            let before = known.waiting.clone();
            let all = known.waiting.iter_mut().zip(&known.domains);
            all.for_each(|(waits, domain)| *waits &= *domain != at);
            expected += u64::from(known.waiting != before);
        }
        self.model.retain(|_, known| known.waiting.contains(&true));
        assert_eq!(dropped, expected);
    }

    async fn send(&mut self, mut fates: u64) {
        let mut leases = fates % 3 + 1;
        while let Some(mut lease) = self.house.lease().await {
            while let Some(parcel) = lease.next().await {
                let known = self.model.get_mut(&parcel.id()).expect("what is finished is not sent");
                assert!(!known.is_held, "held mail is not sent");
                let mut outcome = queue::ParcelOutcome::default();
                for (number, _) in parcel.recipients() {
                    fates = fates.rotate_right(3) ^ 0x9e37_79b9;
                    let waiting = &mut known.waiting[usize::from(number.0)];
                    assert!(*waiting, "nobody gets it twice");
                    let fate = match fates % 8 {
                        0..=3 => RecipientOutcome::Relayed,
                        4 => RecipientOutcome::Failed(later()),
                        5 | 6 => RecipientOutcome::Deferred(later()),
                        _ => continue,
                    };
                    *waiting = matches!(fate, RecipientOutcome::Deferred(_));
                    outcome.recipients.push((number, fate));
                }
                let is_untried = outcome.recipients.is_empty();
                let id = parcel.id();
                lease.settle(parcel, outcome).await.unwrap();
                if !self.model[&id].waiting.contains(&true) {
                    self.model.remove(&id);
                }
                if is_untried {
                    break;
                }
            }
            lease.flush().await.unwrap();
            leases -= 1;
            if leases == 0 {
                lease.end(queue::ConnectionEnd::Unreachable(later()));
                return;
            }
            lease.end(queue::ConnectionEnd::Reached);
        }
    }

    async fn report(&mut self) {
        self.house.queue.look().await.unwrap();
        while let Some(overdue) = self.house.overdue().await {
            let known = self.model.get_mut(&overdue.id()).expect("what is finished is not overdue");
            if overdue.kind() == OverdueKind::Expired {
                for recipient in overdue.recipients() {
                    known.waiting[usize::from(recipient.number.0)] = false;
                }
                if !known.waiting.contains(&true) {
                    self.model.remove(&overdue.id());
                }
            }
            overdue.settle(Vec::new()).await.unwrap();
        }
    }

    async fn check(&self) {
        let page = self.house.queue.list(Filter::default(), None, 1_000).await.unwrap();
        let found: BTreeMap<QueueId, (usize, bool)> = page
            .messages
            .iter()
            .map(|listed| (listed.id, (listed.recipients_waiting, listed.state == MessageState::Held)))
            .collect();
        let expected: BTreeMap<QueueId, (usize, bool)> = self
            .model
            .iter()
            .map(|(id, known)| (*id, (known.waiting.iter().filter(|waits| **waits).count(), known.is_held)))
            .collect();
        assert_eq!(found, expected);
    }

    /// Everything that waits can be sent in the end, and then nothing is left, not even in the log.
    async fn finish(self) {
        self.house.assert_sound().await;
        self.house.queue.release(Filter::default()).await.unwrap();
        self.house.pass(Duration::from_secs(4_000)).await;
        let mut expected: usize =
            self.model.values().map(|known| known.waiting.iter().filter(|waits| **waits).count()).sum();
        // What was about to be reported goes out as well.
        while let Some(overdue) = self.house.overdue().await {
            if overdue.kind() == OverdueKind::Expired {
                expected -= overdue.recipients().count();
            }
            overdue.settle(Vec::new()).await.unwrap();
        }
        self.house.queue.retry(Filter::default()).await.unwrap();
        assert_eq!(self.house.send(&relayed).await.len(), expected);
        let stats = self.house.queue.stats().await.unwrap();
        assert_eq!((stats.messages, stats.destinations, stats.in_memory), (0, 0, 0));
        self.house.store.purge().await.unwrap();
        let anew = House::from(without_index(self.house.data.path()), self.house.clock.clone());
        assert_eq!(anew.queue.stats().await.unwrap().messages, 0);
    }
}

#[test]
fn random_histories_end_as_the_model_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cases = std::env::var("MAILSTEAD_QUEUE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    // The same histories in every run: a failure can be looked into.
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 1_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let run = |steps: Vec<Step>| {
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in &steps {
                world = world.step(step).await;
            }
            world.finish().await;
        });
        Ok(())
    };
    runner.run(&steps(), run).unwrap();
}
