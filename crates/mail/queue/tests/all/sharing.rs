//! Destinations share the connections: who is quick is not held up by who is not.

use std::time::Duration;

use queue::{ConnectionEnd, Lease, ParcelOutcome, RecipientOutcome, Settings};

use crate::house::{House, domain, later, new_message, now, number};

/// Longer than any turn, and slow for a message.
const LONG: Duration = Duration::from_secs(6);
/// A wait that nothing in a test outlasts.
const PATIENCE: Duration = Duration::from_secs(3_600);

fn house(connections_max: usize) -> House {
    House::with(Settings { connections_max, destination_connections_first: 1, ..Settings::default() })
}

impl House {
    async fn queue_for(&self, domains: &[&str]) {
        for name in domains {
            self.accept(new_message(&self.clock, &[&format!("ben@{name}")])).await;
        }
    }

    /// Sends one message over a connection; the destination takes so long for it.
    async fn relay(&self, lease: &mut Lease, time: Duration) {
        let parcel = lease.next().await.unwrap();
        self.clock.advance(time);
        let recipients = vec![(number(0), RecipientOutcome::Relayed)];
        lease.settle(parcel, ParcelOutcome { recipients, reports: Vec::new() }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_waits_for_mail_makes_room() {
    let house = house(1);
    house.queue_for(&["one.example"]).await;
    let mut first = house.lease().await.unwrap();
    house.relay(&mut first, Duration::ZERO).await;
    let queue = house.queue.clone();
    let second = tokio::spawn(async move { queue.lease().await });
    let (more, ()) = tokio::join!(first.next_within(PATIENCE), house.queue_for(&["two.example"]));
    assert!(more.is_none(), "its hour is not over");
    first.end(ConnectionEnd::Reached);
    assert_eq!(second.await.unwrap().destination(), &domain("two.example"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_to_make_room_and_gets_mail_sends_it_first() {
    let house = house(1);
    house.queue_for(&["one.example"]).await;
    let mut first = house.lease().await.unwrap();
    house.relay(&mut first, Duration::ZERO).await;
    house.queue_for(&["two.example", "one.example"]).await;
    assert!(house.lease().await.is_none());
    house.relay(&mut first, Duration::ZERO).await;
    assert!(first.next_within(PATIENCE).await.is_none(), "others wait");
    first.end(ConnectionEnd::Reached);
    assert_eq!(house.lease().await.unwrap().destination(), &domain("two.example"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_has_had_its_turn_makes_room() {
    let house = house(1);
    house.queue_for(&["one.example", "one.example", "one.example", "two.example"]).await;
    let mut first = house.lease().await.unwrap();
    house.relay(&mut first, Duration::from_secs(4)).await;
    house.relay(&mut first, Duration::from_secs(4)).await;
    assert!(first.next().await.is_none());
    first.end(ConnectionEnd::Reached);
    let mut second = house.lease().await.unwrap();
    assert_eq!(second.destination(), &domain("two.example"));
    house.relay(&mut second, LONG).await;
    second.end(ConnectionEnd::Reached);
    assert_eq!(house.lease().await.unwrap().destination(), &domain("one.example"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_lasts_as_long_as_nobody_waits() {
    let house = house(1);
    house.queue_for(&["one.example", "one.example", "one.example"]).await;
    let mut lease = house.lease().await.unwrap();
    for _ in 0..3 {
        house.relay(&mut lease, LONG).await;
    }
    assert!(lease.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_destinations_leave_half_of_the_connections_to_others() {
    let house = house(4);
    let slow = ["slow0.example", "slow1.example", "slow2.example"];
    house.queue_for(&slow).await;
    for _ in slow {
        let mut lease = house.lease().await.unwrap();
        house.relay(&mut lease, LONG).await;
        lease.flush().await.unwrap();
        lease.end(ConnectionEnd::Reached);
    }
    house.queue_for(&slow).await;
    let held = [house.lease().await, house.lease().await];
    assert!(held.iter().all(Option::is_some) && house.lease().await.is_none());
    house.queue_for(&["quick.example"]).await;
    assert_eq!(house.lease().await.unwrap().destination(), &domain("quick.example"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_for_a_slow_destination_waits_in_the_index_but_for_a_few() {
    let house = house(4);
    house.queue_for(&["slow.example"; 100]).await;
    house.queue.look().await.unwrap();
    assert_eq!(house.queue.stats().await.unwrap().in_memory, 100, "nothing is known of it yet");
    let mut lease = house.lease().await.unwrap();
    house.relay(&mut lease, LONG).await;
    lease.flush().await.unwrap();
    house.queue_for(&["slow.example"; 50]).await;
    house.queue.look().await.unwrap();
    assert_eq!(house.queue.stats().await.unwrap().in_memory, 32);
    let mut sent = 1;
    while let Some(parcel) = lease.next().await {
        sent += 1;
        house.clock.advance(LONG);
        let recipients = vec![(number(0), RecipientOutcome::Relayed)];
        lease.settle(parcel, ParcelOutcome { recipients, reports: Vec::new() }).await.unwrap();
        assert!(house.queue.stats().await.unwrap().in_memory < 100);
    }
    lease.flush().await.unwrap();
    lease.end(ConnectionEnd::Reached);
    sent += house.send(&crate::house::relayed).await.len();
    assert_eq!(sent, 150);
    assert_eq!(house.queue.stats().await.unwrap().messages, 0);
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holes_leave_an_eighth_of_the_connections_to_those_who_are_known() {
    let house = house(8);
    house.queue_for(&["known.example"]).await;
    let mut lease = house.lease().await.unwrap();
    house.relay(&mut lease, Duration::from_secs(5)).await;
    lease.flush().await.unwrap();
    lease.end(ConnectionEnd::Reached);
    for number in 0..8 {
        house.queue_for(&[&format!("hole{number}.example")]).await;
    }
    let mut held = Vec::new();
    while let Some(lease) = house.lease().await {
        held.push(lease);
    }
    assert_eq!(held.len(), 7);
    house.queue_for(&["known.example"]).await;
    assert_eq!(house.lease().await.unwrap().destination(), &domain("known.example"));
    for lease in held {
        lease.end(ConnectionEnd::Unreachable(later()));
    }
    assert!(house.lease().await.is_some(), "the last hole has its turn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_of_which_nothing_is_known_gets_a_second_connection_only_while_there_are_many() {
    let settings = Settings { connections_max: 4, destination_connections_first: 2, ..Settings::default() };
    let house = House::with(settings);
    house.queue_for(&["one.example"; 2]).await;
    let both = [house.lease().await, house.lease().await];
    assert!(both.iter().all(Option::is_some));
    house.queue_for(&["two.example"; 2]).await;
    let third = house.lease().await.unwrap();
    assert_eq!(third.destination(), &domain("two.example"));
    assert!(now(house.queue.lease()).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_success_of_a_connection_earns_another_one() {
    let house = house(10);
    house.queue_for(&["one.example"; 4]).await;
    let mut first = house.lease().await.unwrap();
    assert!(house.lease().await.is_none(), "one to begin with");
    house.relay(&mut first, Duration::ZERO).await;
    let second = house.lease().await.unwrap();
    house.relay(&mut first, Duration::ZERO).await;
    assert!(house.lease().await.is_none(), "its later ones do not");
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_disk_alone_makes_room_for_as_many_as_there_are() {
    let house = house(2);
    house.queue_for(&["one.example", "two.example", "three.example", "four.example", "five.example"]).await;
    let mut closed = Vec::new();
    for _ in 0..2 {
        let mut lease = house.lease().await.unwrap();
        house.relay(&mut lease, Duration::ZERO).await;
        lease.close(ConnectionEnd::Reached);
        assert!(lease.next().await.is_none());
        closed.push(lease);
    }
    let mut third = house.lease().await.unwrap();
    house.relay(&mut third, Duration::ZERO).await;
    let fourth = house.lease().await.unwrap();
    third.close(ConnectionEnd::Reached);
    assert!(house.lease().await.is_none(), "two that are over wait already: the third keeps its place");
    drop(third);
    assert_ne!(house.lease().await.unwrap().destination(), fourth.destination());
    for lease in &mut closed {
        lease.flush().await.unwrap();
    }
}
