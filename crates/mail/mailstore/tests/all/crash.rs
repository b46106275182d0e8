//! What a crash leaves: the files as they are at some instant, with what was not synced lost or torn.

use std::fs;
use std::path::Path;

use mail_types::SystemFlag;
use mailstore::Store;
use tempfile::TempDir;

use crate::house::{
    ANN, BEN, House, add, assert_sound, deliver, expunge, fill, hand_over, mailbox, name, open, picture,
    read, text, uids,
};

/// Something that happens to a file or its octets.
type Damage<'a, T> = &'a dyn Fn(&mut T);

/// The data directory as a crash would leave it now.
fn crashed(house: &House) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_directory(house.data.path(), copy.path());
    copy
}

pub(crate) fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A store with a little of everything, and what its two accounts see.
async fn lived_in() -> (House, Vec<String>, Vec<String>) {
    let house = House::new();
    let account = house.account(ANN).await;
    let (inbox, archive) = (mailbox(&account, "INBOX").await, mailbox(&account, "Archive").await);
    fill(&house.store, &account, inbox, 0, 30).await;
    house.store.checkpoint().await.unwrap();
    fill(&house.store, &account, inbox, 30, 10).await;
    account.store_flags(inbox, &uids("3:8"), &add(&[SystemFlag::Flagged], &["later"]), None).await.unwrap();
    account.move_messages(inbox, &uids("5:10"), archive).await.unwrap();
    account.copy(inbox, &uids("1:2"), archive, mailstore::QuotaLimit::NONE).await.unwrap();
    expunge(&account, inbox, &uids("20:22")).await;
    account.create_mailbox(&name("a/b"), None).await.unwrap();
    account.rename_mailbox(&name("a"), &name("c")).await.unwrap();
    account.delete_mailbox(&name("Drafts")).await.unwrap();
    account.subscribe(&name("elsewhere")).await.unwrap();
    account.unsubscribe(&name("Sent")).await.unwrap();
    deliver(&house.store, BEN, &text(99)).await;
    let ben = house.account(BEN).await;
    hand_over(&house.store, (&account, inbox, 15), &text(14), BEN).await.unwrap();
    hand_over(&house.store, (&ben, mailbox(&ben, "INBOX").await, 1), &text(99), ANN).await.unwrap();
    // Deliveries are answered before the index has them.
    house.store.rebuild(Some(mail_types::AccountId(77))).await.unwrap();
    let (ann, ben) = (picture(&account).await, picture(&ben).await);
    (house, ann, ben)
}

async fn assert_same(data: &Path, house: &House, ann: &[String], ben: &[String]) -> Store {
    let store = open(data, &house.clock);
    assert_eq!(picture(&store.account(ANN).await.unwrap()).await, ann);
    assert_eq!(picture(&store.account(BEN).await.unwrap()).await, ben);
    assert_sound(&store).await;
    store
}

fn index_files(data: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for account in fs::read_dir(data.join("accounts")).unwrap() {
        for file in fs::read_dir(account.unwrap().path()).unwrap() {
            files.push(file.unwrap().path());
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_told_is_there_after_a_crash() {
    let (house, ann, ben) = lived_in().await;
    let data = crashed(&house);
    let store = assert_same(data.path(), &house, &ann, &ben).await;
    let account = store.account(ANN).await.unwrap();
    assert_eq!(read(&account, mailbox(&account, "INBOX").await, 40).await, text(39));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsynced_index_changes_come_back_from_the_log() {
    let (house, ann, ben) = lived_in().await;
    let garble = |octets: &mut Vec<u8>| octets.iter_mut().skip(40).for_each(|octet| *octet ^= 0x55);
    let halve = |octets: &mut Vec<u8>| octets.truncate(octets.len() / 2);
    let empty = |octets: &mut Vec<u8>| octets.clear();
    let damages: [Damage<'_, Vec<u8>>; 3] = [&garble, &halve, &empty];
    for damage in damages {
        let data = crashed(&house);
        for file in index_files(data.path()) {
            if file.to_string_lossy().ends_with("-wal") {
                let mut octets = fs::read(&file).unwrap();
                damage(&mut octets);
                fs::write(&file, octets).unwrap();
            } else if file.to_string_lossy().ends_with("-shm") {
                fs::remove_file(&file).unwrap();
            }
        }
        assert_same(data.path(), &house, &ann, &ben).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_or_damaged_indexes_are_made_anew() {
    let (house, ann, ben) = lived_in().await;
    house.store.checkpoint().await.unwrap();
    let remove = |file: &Path| fs::remove_file(file).unwrap();
    let garble = |file: &Path| fs::write(file, [0x5a; 20_000]).unwrap();
    let empty = |file: &Path| fs::write(file, []).unwrap();
    let damages: [&dyn Fn(&Path); 3] = [&remove, &garble, &empty];
    for damage in damages {
        let data = crashed(&house);
        index_files(data.path()).iter().for_each(|file| damage(file));
        assert_same(data.path(), &house, &ann, &ben).await;
    }
    let data = crashed(&house);
    fs::remove_dir_all(data.path().join("accounts")).unwrap();
    assert_same(data.path(), &house, &ann, &ben).await;
    let data = crashed(&house);
    fs::remove_dir_all(data.path().join("accounts")).unwrap();
    fs::remove_file(data.path().join("accounts.list")).unwrap();
    assert_same(data.path(), &house, &ann, &ben).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_not_given_twice_after_a_crash() {
    let (house, _, _) = lived_in().await;
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    expunge(&account, inbox, &uids("40")).await;
    let before = account.mailboxes().await.unwrap();
    let before = before.by_id(inbox).unwrap();
    let data = crashed(&house);
    index_files(data.path()).iter().for_each(|file| fs::remove_file(file).unwrap());
    let store = open(data.path(), &house.clock);
    let filed = deliver(&store, ANN, &text(100)).await;
    assert_eq!(filed.uid, before.uid_next);
    assert!(filed.modseq > before.highest_modseq);
    assert_sound(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_in_the_midst_of_work_lose_nothing_that_was_told() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    fill(&house.store, &account, inbox, 1_000, 3).await;
    house.store.checkpoint().await.unwrap();
    let quiet = crashed(&house);
    let (told, mut tellings) = tokio::sync::mpsc::unbounded_channel();
    let store = house.store.clone();
    let work = tokio::spawn(async move {
        let deliveries: Vec<_> = (0..8)
            .map(|task| {
                let (store, told) = (store.clone(), told.clone());
                tokio::spawn(async move {
                    for number in 0..40 {
                        let number = task * 40 + number;
                        let filed = deliver(&store, ANN, &text(number)).await;
                        told.send((filed.uid.0, number)).unwrap();
                    }
                })
            })
            .collect();
        for delivery in deliveries {
            delivery.await.unwrap();
        }
    });
    let mut known = Vec::new();
    for round in 0..8 {
        for _ in 0..30 {
            known.extend(tellings.recv().await);
        }
        // The indexes and the mark as they once were, the log as it is: nothing else was synced. Or no index at all.
        let data = tempfile::tempdir().unwrap();
        copy_directory(quiet.path(), data.path());
        for file in fs::read_dir(house.data.path().join("packs")).unwrap() {
            let file = file.unwrap();
            if file.path().extension().is_some_and(|extension| extension == "pack") {
                fs::copy(file.path(), data.path().join("packs").join(file.file_name())).unwrap();
            }
        }
        if round % 2 == 1 {
            fs::remove_dir_all(data.path().join("accounts")).unwrap();
        }
        let store = open(data.path(), &house.clock);
        let account = store.account(ANN).await.unwrap();
        for (uid, number) in &known {
            assert_eq!(read(&account, inbox, *uid).await, text(*number));
        }
        assert_sound(&store).await;
    }
    work.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_account_does_not_come_back_with_a_crash() {
    let (house, _, ben) = lived_in().await;
    house.store.remove_account(ANN).await.unwrap();
    let data = crashed(&house);
    for _ in 0..2 {
        let store = open(data.path(), &house.clock);
        assert!(matches!(store.account(ANN).await, Err(mailstore::StoreError::NoSuchAccount)));
        assert_eq!(picture(&store.account(BEN).await.unwrap()).await, ben);
        store.checkpoint().await.unwrap();
        assert!(!data.path().join("accounts/1").exists());
        assert_sound(&store).await;
    }
}
