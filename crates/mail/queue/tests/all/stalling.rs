//! Connections that hang: how long who answers waits behind them.

use std::collections::BTreeMap;
use std::time::Duration;

use queue::{ConnectionEnd, Lease, Parcel, ParcelOutcome, RecipientOutcome, Settings};

use crate::house::{House, domain, later, new_message, now, number};

/// As long as a connection may hang before it counts as slow.
const STALL: Duration = Duration::from_secs(1);

fn house(connections_max: usize) -> House {
    House::with(Settings { connections_max, destination_connections_first: 1, ..Settings::default() })
}

impl House {
    async fn queue_one(&self, name: &str) {
        self.accept(new_message(&self.clock, &[&format!("ben@{name}")])).await;
    }

    /// Takes connections as long as there are any, each with its message.
    async fn hang(&self, held: &mut Vec<(Lease, Parcel)>) {
        while let Some(mut lease) = self.lease().await {
            let parcel = lease.next().await.unwrap();
            held.push((lease, parcel));
        }
    }
}

async fn settle(mut lease: Lease, parcel: Parcel) {
    let recipients = vec![(number(0), RecipientOutcome::Relayed)];
    lease.settle(parcel, ParcelOutcome { recipients, reports: Vec::new() }).await.unwrap();
    lease.flush().await.unwrap();
    lease.end(ConnectionEnd::Reached);
}

async fn gives_way(lease: &mut Lease) -> bool {
    now(lease.give_way()).await.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_gives_way_after_it_has_hung_for_a_while_and_not_before() {
    let house = house(4);
    for name in ["one.example", "two.example", "three.example", "four.example", "five.example"] {
        house.queue_one(name).await;
    }
    let mut held = Vec::new();
    house.hang(&mut held).await;
    assert_eq!(held.len(), 4);
    house.clock.advance(STALL - Duration::from_millis(1));
    for (lease, _) in &mut held {
        assert!(!gives_way(lease).await, "it may still come to something");
    }
    house.clock.advance(Duration::from_millis(1));
    let mut given_up = Vec::new();
    for (at, (lease, _)) in held.iter_mut().enumerate() {
        if gives_way(lease).await {
            given_up.push(at);
        }
    }
    assert_eq!(given_up, [2], "two may hang, and one place is all that is wanted");
    let (lease, parcel) = held.remove(2);
    let fifth = house.lease().await.expect("its place is free at once");
    assert_eq!(fifth.destination(), &domain("five.example"));
    drop(parcel);
    lease.end(ConnectionEnd::GaveWay);
    assert!(house.lease().await.is_none(), "it waits until slow ones have room");
    for (lease, parcel) in held {
        drop(parcel);
        lease.end(ConnectionEnd::Unreachable(later()));
    }
    assert_eq!(house.lease().await.unwrap().destination(), &domain("three.example"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_hangs_stays_while_nobody_waits() {
    let house = house(4);
    for name in ["one.example", "two.example", "three.example", "four.example"] {
        house.queue_one(name).await;
    }
    let mut held = Vec::new();
    house.hang(&mut held).await;
    house.clock.advance(STALL * 20);
    for (lease, _) in &mut held {
        assert!(!gives_way(lease).await);
    }
    // Who waits among the slow is no reason.
    let (lease, parcel) = held.pop().unwrap();
    settle(lease, parcel).await;
    house.queue_one("four.example").await;
    assert!(house.lease().await.is_none(), "it was slow");
    for (lease, _) in &mut held {
        assert!(!gives_way(lease).await);
    }
    // Somebody else is.
    for name in ["five.example", "six.example"] {
        house.queue_one(name).await;
    }
    house.hang(&mut held).await;
    assert_eq!(held.len(), 4, "one was free");
    assert!(gives_way(&mut held[0].0).await && !gives_way(&mut held[1].0).await, "one is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_under_way_is_never_given_up_but_counts_as_slow() {
    let house = house(2);
    house.queue_one("one.example").await;
    let mut lease = house.lease().await.unwrap();
    let parcel = lease.next().await.unwrap();
    house.queue_one("slow.example").await;
    let mut other = house.lease().await.unwrap();
    let slow = other.next().await.unwrap();
    house.clock.advance(STALL * 6);
    settle(other, slow).await;
    let (answer, heard) = tokio::sync::oneshot::channel();
    let took_its_time = async {
        house.clock.advance(STALL);
        heard.await.unwrap()
    };
    let meanwhile = async {
        house.queue_one("slow.example").await;
        assert!(house.lease().await.is_none(), "one of two hangs, which is half of them");
        house.queue_one("quick.example").await;
        assert_eq!(house.lease().await.unwrap().destination(), &domain("quick.example"));
        answer.send(7).unwrap();
    };
    let (heard, ()) = tokio::join!(lease.watch(took_its_time), meanwhile);
    assert_eq!(heard, 7);
    settle(lease, parcel).await;
    assert_eq!(house.lease().await.unwrap().destination(), &domain("slow.example"));
}

/// A host as it is met, and what a connection to it does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    /// Takes a message at once.
    Well,
    /// Takes 12 seconds for a message, 4 of them before it wants to hear anything.
    Slow,
    /// Lets the connection vanish for half a minute.
    Hole,
}

impl Kind {
    fn of(lease: &Lease) -> Self {
        let name = lease.destination().key();
        match name.as_bytes()[0] {
            b'w' => Self::Well,
            b's' => Self::Slow,
            _ => Self::Hole,
        }
    }
}

struct Crowd {
    house: House,
    /// Connections that hang, since when in ticks.
    held: Vec<(Lease, Parcel, u64)>,
    tick: u64,
    /// When each healthy destination was last sent to, in ticks.
    sent: BTreeMap<String, u64>,
}

impl Crowd {
    const TICK: Duration = Duration::from_millis(100);

    async fn pass(&mut self) {
        self.give_out().await;
        self.house.pass(Self::TICK).await;
        self.tick += 1;
        let mut held = Vec::new();
        for (mut lease, parcel, since) in std::mem::take(&mut self.held) {
            let age = self.tick - since;
            match Kind::of(&lease) {
                Kind::Hole if age >= 300 => {
                    drop(parcel);
                    lease.end(ConnectionEnd::Unreachable(later()));
                }
                Kind::Slow if age >= 120 => settle(lease, parcel).await,
                kind if (kind == Kind::Hole || age < 40) && gives_way(&mut lease).await => {
                    drop(parcel);
                    lease.end(ConnectionEnd::GaveWay);
                }
                _ => held.push((lease, parcel, since)),
            }
            self.give_out().await;
        }
        self.held.extend(held);
    }

    async fn give_out(&mut self) {
        while let Some(mut lease) = self.house.lease().await {
            let Some(parcel) = lease.next().await else { continue };
            if Kind::of(&lease) == Kind::Well {
                self.sent.insert(lease.destination().key(), self.tick);
                settle(lease, parcel).await;
            } else {
                self.held.push((lease, parcel, self.tick));
            }
        }
    }

    /// Queues a message for a healthy destination, and says how many ticks later it is sent.
    async fn wait_of(&mut self, name: &str) -> u64 {
        let begun = self.tick;
        self.sent.remove(name);
        self.house.queue_one(name).await;
        loop {
            self.give_out().await;
            if let Some(tick) = self.sent.get(name) {
                return tick - begun;
            }
            assert!(self.tick - begun < 1_000, "{name} is never sent to");
            self.pass().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_bad_destinations_holds_up_who_is_known_not_at_all_and_who_is_not_for_moments() {
    for (holes, slow) in [(24, 0), (0, 24), (12, 12)] {
        let mut crowd = Crowd { house: house(16), held: Vec::new(), tick: 0, sent: BTreeMap::new() };
        assert_eq!(crowd.wait_of("well.example").await, 0);
        for at in 0..holes.max(slow) {
            if at < holes {
                crowd.house.queue_one(&format!("hole{at}.example")).await;
            }
            if at < slow {
                crowd.house.queue_one(&format!("slow{at}.example")).await;
            }
        }
        // Fourteen of sixteen may be unknown, eight may hang: of twenty-four, six a second are found out.
        assert_eq!(crowd.wait_of("well.example").await, 0);
        let first = crowd.wait_of("well-unknown.example").await;
        assert!(first <= 30, "{holes} holes, {slow} slow: {first} ticks");
        assert_eq!(crowd.wait_of("well.example").await, 0);
        for at in 0..20 {
            let wait = crowd.wait_of(&format!("well{at}.example")).await;
            assert!(wait == 0, "{holes} holes, {slow} slow: {wait} ticks once they are found out");
            crowd.pass().await;
        }
    }
}
