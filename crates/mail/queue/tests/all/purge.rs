//! The queue's part of the log is purged, moved and made anew like everybody's.

use std::collections::BTreeMap;

use mail_types::QueueId;
use queue::{Filter, NewMessage};

use crate::crash::{unsynced, without_index};
use crate::house::{House, arriving, copy_directory, new_message, octets, relayed};

/// Octets that do not pack well, different for each number.
pub(crate) fn noise(number: u64, count: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = format!("Subject: {number}\r\n\r\n").into_bytes();
    while text.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend(format!("{state:016x}\r\n").into_bytes());
    }
    text
}

pub(crate) async fn accept_noise(house: &House, new: NewMessage, number: u64, count: usize) -> QueueId {
    let message = arriving(&house.store, &noise(number, count)).await;
    house.queue.accept(message, new, Vec::new()).await.unwrap().0.id()
}

async fn sent_whole(house: &House, expected: &BTreeMap<QueueId, u64>, count: usize) {
    let mut seen = BTreeMap::new();
    while let Some(mut lease) = house.lease().await {
        while let Some(parcel) = lease.next().await {
            let number = expected[&parcel.id()];
            assert_eq!(octets(&parcel).await, noise(number, count));
            let recipients =
                parcel.recipients().map(|(number, _)| (number, queue::RecipientOutcome::Relayed)).collect();
            seen.insert(parcel.id(), number);
            lease.settle(parcel, queue::ParcelOutcome { recipients, reports: Vec::new() }).await.unwrap();
        }
        lease.flush().await.unwrap();
    }
    assert_eq!(&seen, expected);
}

/// Many messages, of which one in ten stays; a copy of the directory from before the purge; what stayed.
async fn mostly_done(count: usize) -> (House, tempfile::TempDir, BTreeMap<QueueId, u64>) {
    let house = House::new();
    let mut stayed = BTreeMap::new();
    for number in 0..100 {
        let id = accept_noise(&house, new_message(&house.clock, &["ben@example.net"]), number, count).await;
        if number % 10 == 0 {
            stayed.insert(id, number);
            house.queue.hold(Filter { id: Some(id), ..Filter::default() }).await.unwrap();
        }
    }
    house.send(&relayed).await;
    house.store.checkpoint().await.unwrap();
    let quiet = tempfile::tempdir().unwrap();
    copy_directory(house.data.path(), quiet.path());
    (house, quiet, stayed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_keeps_what_waits_and_nothing_comes_back() {
    let (house, quiet, stayed) = mostly_done(20_000).await;
    let outcome = house.store.purge().await.unwrap();
    assert!(outcome.octets > 400_000, "{outcome:?}");
    house.assert_sound().await;
    let crashes = [
        // The copies are durable, and nothing else that the purge did.
        unsynced(quiet.path(), house.data.path()),
        without_index(unsynced(quiet.path(), house.data.path()).path()),
        without_index(house.data.path()),
    ];
    for data in crashes {
        let crashed = House::from(data, house.clock.clone());
        crashed.assert_sound().await;
        assert_eq!(crashed.queue.release(Filter::default()).await.unwrap(), 10);
        sent_whole(&crashed, &stayed, 20_000).await;
        crashed.store.purge().await.unwrap();
        let again = House::from(without_index(crashed.data.path()), house.clock.clone());
        assert_eq!(again.queue.stats().await.unwrap().messages, 0, "what is done stays done");
        again.assert_sound().await;
    }
    house.queue.release(Filter::default()).await.unwrap();
    sent_whole(&house, &stayed, 20_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_in_packs_of_their_own_stay_and_go() {
    let (house, _, stayed) = mostly_done(300_000).await;
    let packs = house.store.stats().await.unwrap().packs;
    house.store.purge().await.unwrap();
    assert!(house.store.stats().await.unwrap().packs <= packs - 89, "finished ones are gone");
    house.queue.release(Filter::default()).await.unwrap();
    sent_whole(&house, &stayed, 300_000).await;
    house.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_opened_without_the_queue_keeps_its_notes() {
    let (house, _, stayed) = mostly_done(20_000).await;
    let House { store, queue, clock, data } = house;
    drop(queue);
    store.close().await.unwrap();
    let mut settings = mailstore::Settings::default();
    settings.packs.pack_octets = 1 << 18;
    settings.packs.free_octets_min = 0;
    settings.packs.reserve_octets = 0;
    let store = mailstore::Store::open(data.path(), settings, clock.clone()).unwrap();
    store.purge().await.unwrap();
    store.close().await.unwrap();
    let house = House::from(data, clock);
    house.queue.release(Filter::default()).await.unwrap();
    sent_whole(&house, &stayed, 20_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_under_load_disturbs_nobody() {
    let house = House::new();
    let (mut expected, mut sent) = (Vec::new(), Vec::new());
    for round in 0..10 {
        for number in 0..30 {
            let new = new_message(&house.clock, &[&format!("u{number}@d{}.example", number % 4)]);
            let id = accept_noise(&house, new, round * 30 + number, 20_000).await;
            expected.push(format!("{} u{number}@d{}.example", id.to_text(), number % 4));
        }
        let (purged, now) = tokio::join!(house.store.purge(), house.send(&relayed));
        purged.unwrap();
        sent.extend(now);
    }
    expected.sort();
    sent.sort();
    assert_eq!(sent, expected);
    house.assert_sound().await;
    house.store.purge().await.unwrap();
    let anew = House::from(without_index(house.data.path()), house.clock.clone());
    assert_eq!(anew.queue.stats().await.unwrap().messages, 0);
}
