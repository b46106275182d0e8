//! The operator's verbs.

use std::time::Duration;

use mail_types::ReversePath;
use queue::{ConnectionEnd, Filter, MessageState, NewMessage, QueueError, RecipientOutcome};

use crate::house::{House, address, deferred, domain, later, new_message, relayed};

fn only(id: mail_types::QueueId) -> Filter {
    Filter { id: Some(id), ..Filter::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_found_by_what_is_known_of_them() {
    let house = House::new();
    let first = house.accept(new_message(&house.clock, &["a@one.example", "b@two.example"])).await;
    house.clock.advance(Duration::from_secs(60));
    let other =
        NewMessage { reverse_path: ReversePath::Null, ..new_message(&house.clock, &["c@two.example"]) };
    let second = house.accept(other).await;
    let ids = async |filter: Filter| -> Vec<_> {
        let page = house.queue.list(filter, None, 10).await.unwrap();
        assert_eq!(page.next, None);
        page.messages.iter().map(|listed| listed.id).collect()
    };
    assert_eq!(ids(Filter::default()).await, [first, second]);
    assert_eq!(ids(only(second)).await, [second]);
    let there = |name| Filter { destination: Some(domain(name)), ..Filter::default() };
    assert_eq!(ids(there("one.example")).await, [first]);
    assert_eq!(ids(there("two.example")).await, [first, second]);
    assert_eq!(ids(there("three.example")).await, []);
    let from_null = Filter { sender: Some(ReversePath::Null), ..Filter::default() };
    assert_eq!(ids(from_null).await, [second]);
    let to = Filter { recipient: Some(address("b@two.example")), ..Filter::default() };
    assert_eq!(ids(to).await, [first]);
    let old = Filter { before: Some(house.clock.now()), ..Filter::default() };
    assert_eq!(ids(old).await, [first]);
    assert_eq!(ids(Filter { state: Some(MessageState::Held), ..Filter::default() }).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_come_in_pages() {
    let house = House::new();
    let mut all = Vec::new();
    for number in 0..25 {
        all.push(house.accept(new_message(&house.clock, &[&format!("u{number}@example.net")])).await);
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = house.queue.list(Filter::default(), after, 10).await.unwrap();
        found.extend(page.messages.iter().map(|listed| listed.id));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(found, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_mail_stays_until_it_is_released() {
    let house = House::new();
    let id = house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    house.accept(new_message(&house.clock, &["eve@example.net"])).await;
    assert_eq!(house.queue.hold(only(id)).await.unwrap(), 1);
    assert_eq!(house.queue.hold(only(id)).await.unwrap(), 0, "it is held already");
    assert_eq!(house.send(&relayed).await.len(), 1);
    house.queue.retry(only(id)).await.unwrap();
    assert!(house.lease().await.is_none());
    let house = house.crashed();
    assert_eq!(house.queue.show(id).await.unwrap().listed.state, MessageState::Held);
    house.pass(Duration::from_secs(9 * 24 * 3600)).await;
    assert!(house.lease().await.is_none() && house.overdue().await.is_none());
    assert_eq!(house.queue.release(Filter::default()).await.unwrap(), 1);
    assert_eq!(house.send(&relayed).await.len(), 1);
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_an_account_is_held_and_what_waits_by_wish_waits_again() {
    let house = House::new();
    let hour = Duration::from_secs(3_600);
    let of = |account: u32, to: &str| {
        let message = new_message(&house.clock, &[to]);
        queue::NewMessage { submitter: Some(mail_types::AccountId(account)), ..message }
    };
    let at_once = house.accept(of(1, "ben@example.net")).await;
    let at = house.clock.now().saturating_add(hour);
    let later = house.accept(queue::NewMessage { hold_until: Some(at), ..of(1, "eve@example.net") }).await;
    house.accept(of(2, "eve@example.net")).await;
    let ann = mail_types::AccountId(1);
    assert_eq!(house.queue.hold_all_of(ann).await.unwrap(), 2);
    assert_eq!(house.queue.hold_all_of(ann).await.unwrap(), 0, "it is held already");
    assert_eq!(house.send(&relayed).await.len(), 1, "others go on");
    let house = house.crashed();
    house.pass(hour / 2).await;
    assert_eq!(house.queue.release_held_of(ann).await.unwrap(), 2);
    assert_eq!(house.send(&relayed).await.len(), 1);
    assert!(house.queue.show(at_once).await.is_err() && house.queue.show(later).await.is_ok());
    assert_eq!(house.queue.hold_all_of(ann).await.unwrap(), 1);
    house.pass(hour).await;
    assert!(house.lease().await.is_none(), "its moment has come, and it is held");
    assert_eq!(house.queue.release_held_of(ann).await.unwrap(), 1);
    assert_eq!(house.send(&relayed).await.len(), 1);
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_held_is_listed_so_and_lives_as_long_as_others_once_it_is_released() {
    let house = House::new();
    let ann = mail_types::AccountId(1);
    let hold_until = Some(queue::UNTIL_RELEASED);
    let to = |to: &str| queue::NewMessage { submitter: Some(ann), ..new_message(&house.clock, &[to]) };
    let id = house.accept(queue::NewMessage { hold_until, ..to("ben@example.net") }).await;
    let house = house.crashed();
    let held = Filter { state: Some(MessageState::Held), ..Filter::default() };
    let listed = house.queue.list(held.clone(), None, 10).await.unwrap().messages;
    assert_eq!(listed.iter().map(|listed| (listed.id, listed.next_try)).collect::<Vec<_>>(), [(id, None)]);
    // It is not the account's, and stays as it is when that may send again.
    assert_eq!(house.queue.hold_all_of(ann).await.unwrap(), 0);
    assert_eq!(house.queue.release_held_of(ann).await.unwrap(), 0);
    assert_eq!(house.queue.retry(Filter::default()).await.unwrap(), 0);
    assert!(house.lease().await.is_none());
    assert_eq!(house.queue.release(held).await.unwrap(), 1);
    // Once released it is held by whom else there is, and no more for ever.
    assert_eq!(house.queue.hold_all_of(ann).await.unwrap(), 1);
    assert_eq!(house.queue.release_held_of(ann).await.unwrap(), 1);
    let shown = house.queue.show(id).await.unwrap();
    assert_eq!(shown.listed.state, MessageState::Waiting);
    assert!(shown.expires < house.clock.now().saturating_add(Duration::from_secs(30 * 24 * 3_600)));
    assert_eq!(house.send(&relayed).await.len(), 1);
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_holds_stays_held_when_its_account_may_send_again() {
    let house = House::new();
    let ann = mail_types::AccountId(1);
    let of = |to: &str| queue::NewMessage { submitter: Some(ann), ..new_message(&house.clock, &[to]) };
    let kept = house.accept(of("ben@example.net")).await;
    let only = Filter { id: Some(kept), ..Filter::default() };
    assert_eq!(house.queue.hold(only.clone()).await.unwrap(), 1);
    house.accept(of("eve@example.net")).await;
    assert_eq!(house.queue.hold_all_of(ann).await.unwrap(), 1);
    let house = house.crashed();
    assert_eq!(house.queue.release_held_of(ann).await.unwrap(), 1);
    assert_eq!(house.send(&relayed).await.len(), 1);
    assert_eq!(house.queue.show(kept).await.unwrap().listed.state, MessageState::Held);
    house.accept(of("eve@example.net")).await;
    assert_eq!(house.queue.hold_all_of(ann).await.unwrap(), 1);
    assert_eq!(house.queue.drop_held_of(ann).await.unwrap(), 1);
    assert_eq!(house.queue.show(kept).await.unwrap().listed.state, MessageState::Held);
    assert_eq!(house.queue.release(only).await.unwrap(), 1);
    assert_eq!(house.send(&relayed).await.len(), 1);
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_mail_is_gone_for_good() {
    let house = House::new();
    let id = house.accept(new_message(&house.clock, &["ben@example.net"])).await;
    let mut lease = house.lease().await.unwrap();
    let parcel = lease.next().await.unwrap();
    assert_eq!(house.queue.drop_recipients(Filter::default()).await.unwrap(), 1);
    // The connection that has it comes to its end as if nothing were.
    let recipients = vec![(queue::RecipientNumber(0), RecipientOutcome::Deferred(later()))];
    lease.settle(parcel, queue::ParcelOutcome { recipients, reports: Vec::new() }).await.unwrap();
    lease.end(ConnectionEnd::Reached);
    assert!(matches!(house.queue.show(id).await, Err(QueueError::NoSuchMessage(_))));
    let stats = house.queue.stats().await.unwrap();
    assert_eq!((stats.messages, stats.in_memory), (0, 0));
    let house = house.crashed();
    assert_eq!(house.queue.stats().await.unwrap().messages, 0);
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_makes_mail_due_and_forgives_its_destination() {
    let house = House::new();
    let id = house.accept(new_message(&house.clock, &["a@dead.example"])).await;
    house.accept(new_message(&house.clock, &["b@grey.example"])).await;
    let answer = |_: &queue::Parcel, _: &str| RecipientOutcome::Deferred(later());
    let mut lease = house.lease().await.unwrap();
    if lease.destination() != &domain("dead.example") {
        drop(lease);
        lease = house.lease().await.unwrap();
    }
    lease.end(ConnectionEnd::Unreachable(later()));
    house.send(&answer).await;
    let shown = house.queue.show(id).await.unwrap();
    assert!(shown.recipients[0].next_try.unwrap() > house.clock.now());
    assert_eq!(shown.recipients[0].last, Some(later()));
    assert!(house.lease().await.is_none());
    assert_eq!(house.queue.retry(Filter::default()).await.unwrap(), 2);
    assert_eq!(house.send(&relayed).await.len(), 2);
}

fn there(name: &str) -> Filter {
    Filter { destination: Some(domain(name)), ..Filter::default() }
}

/// Who waits of a message.
async fn waiting(house: &House, id: mail_types::QueueId) -> Vec<String> {
    let shown = house.queue.show(id).await.unwrap();
    let all = shown.recipients.iter().zip(&shown.message.recipients);
    let waits = all.filter(|(shown, _)| shown.state == queue::RecipientState::Waiting);
    waits.map(|(_, recipient)| recipient.forward_path.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_recipients_that_are_meant_are_dropped() {
    let house = House::new();
    let all = ["a@one.example", "b@one.example", "c@two.example", "d@three.example"];
    let id = house.accept(new_message(&house.clock, &all)).await;
    let alone = house.accept(new_message(&house.clock, &["e@one.example"])).await;
    let to = |text| Filter { recipient: Some(address(text)), ..Filter::default() };
    assert_eq!(house.queue.drop_recipients(to("a@one.example")).await.unwrap(), 1);
    assert_eq!(waiting(&house, id).await, ["b@one.example", "c@two.example", "d@three.example"]);
    let both = Filter { recipient: Some(address("c@two.example")), ..there("one.example") };
    assert_eq!(house.queue.drop_recipients(both).await.unwrap(), 0, "it fits, and nobody of it is meant");
    assert_eq!(house.queue.drop_recipients(there("one.example")).await.unwrap(), 2);
    assert_eq!(waiting(&house, id).await, ["c@two.example", "d@three.example"]);
    assert!(matches!(house.queue.show(alone).await, Err(QueueError::NoSuchMessage(_))));
    let house = house.crashed();
    assert_eq!(house.queue.show(id).await.unwrap().recipients[1].state, queue::RecipientState::Dropped);
    assert_eq!(house.queue.drop_recipients(to("d@three.example")).await.unwrap(), 1);
    let sent = house.send(&relayed).await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    house.assert_sound().await;
    assert_eq!(house.queue.stats().await.unwrap().messages, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_connection_has_is_dropped_around_it() {
    let house = House::new();
    let id =
        house.accept(new_message(&house.clock, &["a@one.example", "b@one.example", "c@two.example"])).await;
    let mut lease = house.lease().await.unwrap();
    while lease.destination() != &domain("one.example") {
        lease = house.lease().await.unwrap();
    }
    let parcel = lease.next().await.unwrap();
    let a = Filter { recipient: Some(address("a@one.example")), ..Filter::default() };
    assert_eq!(house.queue.drop_recipients(a).await.unwrap(), 1);
    assert_eq!(house.queue.drop_recipients(there("two.example")).await.unwrap(), 1);
    let both = [0, 1].map(|number| (queue::RecipientNumber(number), RecipientOutcome::Relayed));
    let outcome = queue::ParcelOutcome { recipients: both.to_vec(), reports: Vec::new() };
    lease.settle(parcel, outcome).await.unwrap();
    lease.flush().await.unwrap();
    lease.end(ConnectionEnd::Reached);
    house.queue.look().await.unwrap();
    assert!(matches!(house.queue.show(id).await, Err(QueueError::NoSuchMessage(_))));
    let stats = house.queue.stats().await.unwrap();
    assert_eq!((stats.messages, stats.destinations, stats.in_memory), (0, 0, 0));
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_destination_that_is_meant_is_tried_again() {
    let house = House::new();
    let id = house.accept(new_message(&house.clock, &["a@one.example", "b@two.example"])).await;
    assert_eq!(house.send(&deferred).await.len(), 2);
    let due =
        async || house.queue.show(id).await.unwrap().recipients.iter().map(|one| one.next_try).collect();
    let before: Vec<_> = due().await;
    assert_eq!(house.queue.retry(there("two.example")).await.unwrap(), 1);
    let after: Vec<_> = due().await;
    assert_eq!((after[0], after[1]), (before[0], Some(house.clock.now())));
    assert_eq!(house.send(&relayed).await.len(), 1);
    assert_eq!(waiting(&house, id).await, ["a@one.example"]);
    assert_eq!(house.queue.retry(there("two.example")).await.unwrap(), 0);
    let a = Filter { recipient: Some(address("a@one.example")), ..Filter::default() };
    assert_eq!(house.queue.retry(a).await.unwrap(), 1);
    assert_eq!(house.send(&relayed).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_numbers_add_up() {
    let house = House::new();
    house.accept(new_message(&house.clock, &["a@one.example"])).await;
    house.send(&deferred).await;
    house.accept(new_message(&house.clock, &["a@two.example"])).await;
    let stats = house.queue.stats().await.unwrap();
    assert_eq!((stats.messages, stats.deferred, stats.destinations, stats.held), (2, 1, 2, 0));
    assert_eq!(stats.oldest, Some(house.clock.now()));
    assert!(stats.octets > 0);
}
