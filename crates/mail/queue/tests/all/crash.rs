//! What a crash leaves: the files as they are at some instant, with what was not synced lost.

use std::fs;
use std::path::Path;

use queue::{Filter, RecipientOutcome};
use tempfile::TempDir;

use crate::house::{House, copy_directory, deferred, later, new_message, relayed};

/// The index and the mark as they were in `quiet`, the packs as they are now: nothing else was synced. Packs that a
/// purge has removed since are there, as if it had not come to that.
pub(crate) fn unsynced(quiet: &Path, now: &Path) -> TempDir {
    let data = tempfile::tempdir().unwrap();
    copy_directory(quiet, data.path());
    for file in fs::read_dir(now.join("packs")).unwrap() {
        let file = file.unwrap();
        if file.path().extension().is_some_and(|extension| extension == "pack" || extension == "blob") {
            fs::copy(file.path(), data.path().join("packs").join(file.file_name())).unwrap();
        }
    }
    data
}

pub(crate) fn without_index(from: &Path) -> TempDir {
    let data = tempfile::tempdir().unwrap();
    copy_directory(from, data.path());
    for suffix in ["", "-wal", "-shm"] {
        // Not every one is there.
        let _ = fs::remove_file(data.path().join(format!("queue.db{suffix}")));
    }
    data
}

fn two_of_three(_: &queue::Parcel, address: &str) -> RecipientOutcome {
    match address {
        "c@two.example" => RecipientOutcome::Deferred(later()),
        _ => RecipientOutcome::Relayed,
    }
}

async fn waiting(house: &House) -> Vec<(mail_types::QueueId, usize)> {
    let page = house.queue.list(Filter::default(), None, 1_000).await.unwrap();
    page.messages.iter().map(|listed| (listed.id, listed.recipients_waiting)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_and_settled_is_so_after_every_kind_of_crash() {
    let house = House::new();
    house.accept(new_message(&house.clock, &["before@one.example"])).await;
    house.send(&relayed).await;
    house.store.checkpoint().await.unwrap();
    let quiet = tempfile::tempdir().unwrap();
    copy_directory(house.data.path(), quiet.path());
    house.accept(new_message(&house.clock, &["gone@one.example"])).await;
    house.send(&relayed).await;
    let half =
        house.accept(new_message(&house.clock, &["a@one.example", "b@two.example", "c@two.example"])).await;
    house.send(&two_of_three).await;
    let whole = house.accept(new_message(&house.clock, &["d@one.example"])).await;
    let expected = [(half, 1), (whole, 1)];
    assert_eq!(waiting(&house).await, expected);
    let crashes = [unsynced(quiet.path(), house.data.path()), without_index(house.data.path()), {
        let data = tempfile::tempdir().unwrap();
        copy_directory(house.data.path(), data.path());
        fs::write(data.path().join("queue.db"), [0x5a; 20_000]).unwrap();
        data
    }];
    for data in crashes {
        let house = House::from(data, house.clock.clone());
        assert_eq!(waiting(&house).await, expected);
        house.assert_sound().await;
        let next = house.accept(new_message(&house.clock, &["e@one.example"])).await;
        assert!(next > whole, "ids are not given twice");
        house.queue.retry(Filter::default()).await.unwrap();
        assert_eq!(house.send(&relayed).await.len(), 3);
        assert!(waiting(&house).await.is_empty());
        house.assert_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_in_the_midst_of_work_lose_nothing_and_send_nothing_settled_again() {
    let house = House::new();
    house.store.checkpoint().await.unwrap();
    let quiet = tempfile::tempdir().unwrap();
    copy_directory(house.data.path(), quiet.path());
    let (mut accepted, mut settled) = (Vec::new(), Vec::new());
    for round in 0..6 {
        for number in 0..20 {
            let address = format!("u{round}.{number}@d{}.example", number % 3);
            accepted.push(format!(
                "{} {address}",
                house.accept(new_message(&house.clock, &[&address])).await.to_text()
            ));
        }
        // A part goes out, and that is durable.
        let mut lease = house.lease().await.unwrap();
        for _ in 0..4 {
            let parcel = lease.next().await.unwrap();
            let (number, recipient) = parcel.recipients().next().unwrap();
            settled.push(format!("{} {}", parcel.id().to_text(), recipient.forward_path));
            let recipients = vec![(number, RecipientOutcome::Relayed)];
            lease.settle(parcel, queue::ParcelOutcome { recipients, reports: Vec::new() }).await.unwrap();
        }
        lease.flush().await.unwrap();
        drop(lease);
        let data = unsynced(quiet.path(), house.data.path());
        let data = if round % 2 == 1 { without_index(data.path()) } else { data };
        let crashed = House::from(data, house.clock.clone());
        crashed.queue.look().await.unwrap();
        let mut sent = crashed.send(&relayed).await;
        let mut expected: Vec<String> =
            accepted.iter().filter(|line| !settled.contains(line)).cloned().collect();
        sent.sort();
        expected.sort();
        assert_eq!(sent, expected);
        crashed.assert_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_index_is_made_anew_while_mail_goes_on() {
    let house = House::new();
    house.accept(new_message(&house.clock, &["a@one.example"])).await;
    house.send(&deferred).await;
    house.queue.look().await.unwrap();
    house.store.rebuild(None).await.unwrap();
    house.accept(new_message(&house.clock, &["b@one.example"])).await;
    assert_eq!(waiting(&house).await.len(), 2);
    // Attempts and times are not in the log: the deferred one may go sooner.
    house.queue.look().await.unwrap();
    assert_eq!(house.send(&relayed).await.len(), 2);
    house.assert_sound().await;
}
