//! A message goes from one account to another: it is with one of the two at any time, or stays where it was.

use std::time::Duration;

use mail_types::Uid;
use mailstore::{QuotaLimit, StoreError};

use crate::house::{
    ANN, BEN, House, arriving, assert_sound, deliver, expunge, filing, fill, hand_over, inbox, mailbox, name,
    picture, read, text, uids,
};
use crate::repair::noise;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_handed_over_is_there_and_no_longer_here() {
    let house = House::new();
    for (from, to) in [(ANN, BEN), (BEN, ANN), (ANN, ANN)] {
        let (account, other) = (house.account(from).await, house.account(to).await);
        let here = mailbox(&account, "INBOX").await;
        let sent = deliver(&house.store, from, &text(1)).await;
        let before = account.open_mailbox(here).await.unwrap();
        let entries = house.store.stats().await.unwrap().entries;
        let filed = hand_over(&house.store, (&account, here, sent.uid.0), &text(2), to).await.unwrap();
        assert_eq!(house.store.stats().await.unwrap().entries, entries + 1, "one durable write");
        let vanished = account.vanished_since(here, before.highest_modseq()).await.unwrap();
        assert_eq!(vanished, [sent.uid].into_iter().collect());
        let there = mailbox(&other, "INBOX").await;
        assert_eq!(read(&other, there, filed.uid.0).await, text(2));
        assert_sound(&house.store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_handed_over_stays_and_comes_nowhere() {
    let house = House::new();
    let (ann, ben) = (house.account(ANN).await, house.account(BEN).await);
    let here = mailbox(&ann, "INBOX").await;
    fill(&house.store, &ann, here, 0, 3).await;
    expunge(&ann, here, &uids("2")).await;
    let (of_ann, of_ben) = (picture(&ann).await, picture(&ben).await);
    for gone in [2, 4] {
        let handed = hand_over(&house.store, (&ann, here, gone), &text(gone as usize), BEN).await;
        assert!(matches!(handed, Err(StoreError::NoSuchMessage)), "{handed:?}");
    }
    let full = QuotaLimit { octets: Some(1), messages: None };
    let over_quota = mailstore::Filing { quota: full, ..filing(BEN, inbox()) };
    let message = arriving(&house.store, &text(1)).await;
    let handed = house.store.hand_over(&ann, (here, Uid(1)), message, over_quota).await;
    assert!(matches!(handed, Err(StoreError::OverQuota)), "{handed:?}");
    assert_eq!((picture(&ann).await, picture(&ben).await), (of_ann, of_ben));
    assert_sound(&house.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_that_many_hand_over_comes_once() {
    let house = House::new();
    let ann = house.account(ANN).await;
    let here = mailbox(&ann, "INBOX").await;
    fill(&house.store, &ann, here, 0, 1).await;
    let tries = (0..8).map(|_| {
        let (store, ann) = (house.store.clone(), ann.clone());
        tokio::spawn(async move { hand_over(&store, (&ann, here, 1), &text(0), BEN).await.is_ok() })
    });
    let mut handed = 0;
    for one in tries.collect::<Vec<_>>() {
        handed += usize::from(one.await.unwrap());
    }
    let ben = house.account(BEN).await.mailboxes().await.unwrap();
    assert_eq!((handed, ben.by_name(&name("INBOX")).unwrap().messages), (1, 1));
    assert_sound(&house.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_handed_over_outlives_a_purge_of_either_side() {
    let house = House::new();
    let (ann, ben) = (house.account(ANN).await, house.account(BEN).await);
    let (here, there) = (mailbox(&ann, "INBOX").await, mailbox(&ben, "INBOX").await);
    fill(&house.store, &ann, here, 0, 200).await;
    for number in 1..=20 {
        hand_over(&house.store, (&ann, here, number), &text(number as usize), BEN).await.unwrap();
    }
    // What is dead around it makes its pack one that is written anew.
    for number in 0..100 {
        deliver(&house.store, ANN, &noise(number, 30_000)).await;
    }
    assert_eq!(ann.open_mailbox(here).await.unwrap().messages(), 280);
    expunge(&ann, here, &uids("21:190,201:300")).await;
    assert_eq!(ben.open_mailbox(there).await.unwrap().messages(), 20);
    expunge(&ben, there, &uids("1:10")).await;
    house.clock.advance(Duration::from_secs(8 * 24 * 3600));
    let (of_ann, of_ben) = (picture(&ann).await, picture(&ben).await);
    let outcome = house.store.purge().await.unwrap();
    assert_eq!((outcome.messages, outcome.packs > 0), (20 + 170 + 100 + 10, true), "{outcome:?}");
    assert_eq!((picture(&ann).await, picture(&ben).await), (of_ann.clone(), of_ben.clone()));
    house.store.rebuild(None).await.unwrap();
    let (ann, ben) = (house.account(ANN).await, house.account(BEN).await);
    assert_eq!((picture(&ann).await, picture(&ben).await), (of_ann, of_ben));
    assert_eq!(read(&ben, there, 20).await, text(20));
    assert_sound(&house.store).await;
}
