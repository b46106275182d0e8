//! Retries, warnings and giving up, under a clock that tests set.

use std::time::Duration;

use platform::clock::Timestamp;
use queue::{ConnectionEnd, DeliverBy, DeliverByMode, MessageKind, NewMessage, OverdueKind, RecipientState};

use crate::house::{House, address, deferred, later, new_message, relayed};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn greylisted_mail_waits_while_its_destination_goes_on() {
    let house = House::new();
    house.accept(new_message(&house.clock, &["grey@example.net"])).await;
    assert_eq!(house.send(&deferred).await.len(), 1);
    house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    assert_eq!(house.send(&relayed).await.len(), 1, "the destination is not to blame");
    house.pass(Duration::from_secs(50)).await;
    assert!(house.lease().await.is_none());
    house.pass(Duration::from_secs(20)).await;
    assert_eq!(house.send(&relayed).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn intervals_double_up_to_an_hour() {
    let house = House::new();
    let id = house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(house.send(&deferred).await.len(), 1);
        let shown = house.queue.show(id).await.unwrap();
        let wait = shown.recipients[0].next_try.unwrap().since(house.clock.now());
        assert!(wait >= MINUTE * minutes * 7 / 8 && wait <= MINUTE * minutes * 9 / 8, "{minutes}: {wait:?}");
        assert_eq!(shown.recipients[0].last, Some(later()));
        house.pass(wait).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_destination_is_left_alone_and_forgiven() {
    let house = House::new();
    house.accept(new_message(&house.clock, &["a@dead.example"])).await;
    house.lease().await.unwrap().end(ConnectionEnd::Unreachable(later()));
    house.accept(new_message(&house.clock, &["b@dead.example"])).await;
    assert!(house.lease().await.is_none(), "fresh mail waits as well");
    assert_eq!(house.queue.stats().await.unwrap().in_memory, 0, "and not in memory");
    house.pass(MINUTE * 2).await;
    let lease = house.lease().await.unwrap();
    assert_eq!(lease.attempts(), 1);
    drop(lease);
    assert_eq!(house.send(&relayed).await.len(), 2);
    house.accept(new_message(&house.clock, &["c@dead.example"])).await;
    assert_eq!(house.lease().await.unwrap().attempts(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_off_survives_an_orderly_restart() {
    let house = House::new();
    house.accept(new_message(&house.clock, &["a@dead.example"])).await;
    house.queue.look().await.unwrap();
    house.lease().await.unwrap().end(ConnectionEnd::Unreachable(later()));
    house.queue.look().await.unwrap();
    let house = house.reopened().await;
    house.accept(new_message(&house.clock, &["b@dead.example"])).await;
    house.queue.look().await.unwrap();
    assert!(house.lease().await.is_none());
    house.pass(MINUTE * 2).await;
    assert_eq!(house.send(&relayed).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_destination_gets_a_pause() {
    let house = House::new();
    house.accept(new_message(&house.clock, &["a@example.net"])).await;
    house.lease().await.unwrap().end(ConnectionEnd::Throttled(later()));
    assert!(house.lease().await.is_none());
    house.pass(MINUTE * 2).await;
    assert_eq!(house.send(&relayed).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_is_warned_once_and_then_gets_the_message_back() {
    let house = House::new();
    let id = house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    house.send(&deferred).await;
    house.pass(HOUR * 5).await;
    assert!(house.overdue().await.is_none(), "it is tried first");
    house.send(&deferred).await;
    let overdue = house.overdue().await.unwrap();
    assert_eq!((overdue.kind(), overdue.id()), (OverdueKind::Delayed, id));
    assert_eq!(overdue.recipients().next().unwrap().diagnostic, Some(&later()));
    overdue.settle(Vec::new()).await.unwrap();
    house.pass(HOUR * 2).await;
    house.send(&deferred).await;
    assert!(house.overdue().await.is_none(), "once is enough");
    house.pass(HOUR * 24 * 5).await;
    house.send(&deferred).await;
    let overdue = house.overdue().await.unwrap();
    assert_eq!(overdue.kind(), OverdueKind::Expired);
    assert!(house.lease().await.is_none());
    drop(overdue);
    assert!(house.overdue().await.is_none());
    house.queue.look().await.unwrap();
    let overdue = house.overdue().await.unwrap();
    overdue.settle(Vec::new()).await.unwrap();
    assert_eq!(house.queue.stats().await.unwrap().messages, 0);
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_for_a_dead_destination_is_given_up_without_being_taken() {
    let house = House::new();
    for number in 0..5 {
        house.accept(new_message(&house.clock, &[&format!("u{number}@dead.example")])).await;
    }
    house.pass(HOUR * 24 * 6).await;
    assert!(house.overdue().await.is_none(), "a server that was down tries once more");
    house.lease().await.unwrap().end(ConnectionEnd::Unreachable(later()));
    house.queue.look().await.unwrap();
    let mut expired = 0;
    while let Some(overdue) = house.overdue().await {
        assert_eq!(overdue.kind(), OverdueKind::Expired);
        assert_eq!(overdue.recipients().next().unwrap().diagnostic, Some(&later()));
        overdue.settle(Vec::new()).await.unwrap();
        expired += 1;
    }
    assert_eq!(expired, 5);
    assert_eq!(house.queue.stats().await.unwrap().messages, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_live_a_day_and_nobody_is_warned_about_them() {
    let house = House::new();
    let new = NewMessage {
        kind: MessageKind::Report,
        reverse_path: mail_types::ReversePath::Null,
        ..new_message(&house.clock, &["ben@example.net"])
    };
    house.accept(new).await;
    for hours in [0, 12, 13] {
        house.pass(HOUR * hours).await;
        house.send(&deferred).await;
        if hours < 13 {
            assert!(house.overdue().await.is_none());
        }
    }
    assert_eq!(house.overdue().await.unwrap().kind(), OverdueKind::Expired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moment_that_the_sender_named_is_kept_to() {
    let house = House::new();
    let by = |mode| NewMessage {
        deliver_by: Some(DeliverBy {
            at: house.clock.now().saturating_add(MINUTE * 10),
            mode,
            is_traced: false,
        }),
        ..new_message(&house.clock, &["ben@example.net"])
    };
    let returned = house.accept(by(DeliverByMode::Return)).await;
    let notified = house.accept(by(DeliverByMode::Notify)).await;
    house.send(&deferred).await;
    house.pass(MINUTE * 9).await;
    house.send(&deferred).await;
    assert!(house.overdue().await.is_none());
    house.pass(MINUTE * 2).await;
    let mut found = Vec::new();
    while let Some(overdue) = house.overdue().await {
        found.push((overdue.id(), overdue.kind()));
        overdue.settle(Vec::new()).await.unwrap();
    }
    found.sort_by_key(|(id, _)| *id);
    assert_eq!(found, [(returned, OverdueKind::Expired), (notified, OverdueKind::Delayed)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_for_later_waits_until_then_and_lives_from_then_on() {
    let house = House::new();
    let until = house.clock.now().saturating_add(HOUR * 24 * 10);
    let new = NewMessage { hold_until: Some(until), ..new_message(&house.clock, &["ben@example.net"]) };
    let id = house.accept(new).await;
    house.queue.look().await.unwrap();
    assert!(house.lease().await.is_none());
    assert_eq!(house.queue.stats().await.unwrap().in_memory, 0);
    house.pass(HOUR * 24 * 10).await;
    let shown = house.queue.show(id).await.unwrap();
    assert_eq!(shown.expires, until.saturating_add(HOUR * 24 * 5));
    assert_eq!(shown.recipients[0].state, RecipientState::Waiting);
    assert_eq!(shown.message.recipients[0].forward_path, address("ben@example.net"));
    assert_eq!(house.send(&relayed).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_loses_nothing() {
    let house = House::new();
    let first = house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    house.clock.set(Timestamp::from_unix_seconds(1_600_000_000));
    let second = house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    assert!(second > first, "ids only grow");
    house.clock.set(Timestamp::from_unix_seconds(1_700_000_100));
    house.queue.look().await.unwrap();
    assert_eq!(house.send(&relayed).await.len(), 2);
}
