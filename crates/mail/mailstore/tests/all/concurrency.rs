//! Many at once: what each was promised holds, and the store stays sound.

use std::collections::BTreeSet;

use mail_types::{ModSeq, SystemFlag, UidSet};
use mailstore::{Account, QuotaLimit};

use crate::house::{ANN, BEN, House, add, all, assert_sound, deliver, mailbox, picture, text};

/// Watches a mailbox: what a session sees never goes back.
async fn watch(account: Account, mailbox: mail_types::MailboxId, rounds: usize) {
    let mut view = account.open_mailbox(mailbox).await.unwrap();
    for _ in 0..rounds {
        tokio::task::yield_now().await;
        let next = account.open_mailbox(mailbox).await.unwrap();
        assert!(next.highest_modseq() >= view.highest_modseq(), "HIGHESTMODSEQ went down");
        assert!(next.uid_next() >= view.uid_next(), "UIDNEXT went down");
        let changes = next.changes_since(&view);
        let expected = view.messages() as usize - changes.vanished.len() + changes.arrived as usize;
        assert_eq!(next.messages() as usize, expected);
        assert!(next.iter().all(|(_, entry)| entry.uid < next.uid_next()));
        view = next;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deliveries_stores_moves_and_expunges_go_together() {
    let house = House::new();
    let account = house.account(ANN).await;
    let (inbox, archive) = (mailbox(&account, "INBOX").await, mailbox(&account, "Archive").await);
    let mut tasks = Vec::new();
    for task in 0..4 {
        let store = house.store.clone();
        tasks.push(tokio::spawn(async move {
            for number in 0..50 {
                deliver(&store, if number % 5 == 0 { BEN } else { ANN }, &text(task * 100 + number)).await;
            }
        }));
    }
    let change = account.clone();
    tasks.push(tokio::spawn(async move {
        for round in 0..60_u32 {
            let some = UidSet::from_ranges([(round, round + 10)]);
            change.store_flags(inbox, &some, &add(&[SystemFlag::Seen], &["busy"]), None).await.unwrap();
        }
    }));
    let moving = account.clone();
    tasks.push(tokio::spawn(async move {
        for round in 0..40_u32 {
            let some = UidSet::from_ranges([(round * 3, round * 3 + 1)]);
            moving.move_messages(inbox, &some, archive).await.unwrap();
            moving.copy(archive, &some, inbox, QuotaLimit::NONE).await.unwrap();
        }
    }));
    let expunging = account.clone();
    tasks.push(tokio::spawn(async move {
        for round in 0..40_u32 {
            let some = UidSet::from_ranges([(round * 4, round * 4)]);
            expunging.store_flags(inbox, &some, &add(&[SystemFlag::Deleted], &[]), None).await.unwrap();
            expunging.expunge(inbox, None).await.unwrap();
        }
    }));
    tasks.push(tokio::spawn(watch(account.clone(), inbox, 500)));
    tasks.push(tokio::spawn(watch(account.clone(), archive, 500)));
    for task in tasks {
        task.await.unwrap();
    }
    assert_sound(&house.store).await;
    let before = picture(&account).await;
    drop(account);
    let house = house.reopened().await;
    assert_eq!(picture(&house.account(ANN).await).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_who_move_the_same_messages_move_each_once() {
    let house = House::new();
    let account = house.account(ANN).await;
    let (inbox, archive) = (mailbox(&account, "INBOX").await, mailbox(&account, "Archive").await);
    for number in 0..50 {
        deliver(&house.store, ANN, &text(number)).await;
    }
    house.store.checkpoint().await.unwrap();
    let movers: Vec<_> = (0..4)
        .map(|_| {
            let account = account.clone();
            tokio::spawn(async move { account.move_messages(inbox, &all(), archive).await.unwrap() })
        })
        .collect();
    let mut moved = 0;
    for mover in movers {
        moved += mover.await.unwrap().from.count();
    }
    assert_eq!(moved, 50);
    assert_eq!(account.open_mailbox(archive).await.unwrap().messages(), 50);
    let rows = account.rows(archive, &all(), mailstore::Want::Facts).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.email).collect::<BTreeSet<_>>().len(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_in_the_middle_disturbs_nobody() {
    let house = House::new();
    let account = house.account(ANN).await;
    let (inbox, archive) = (mailbox(&account, "INBOX").await, mailbox(&account, "Archive").await);
    for number in 0..30 {
        deliver(&house.store, ANN, &text(number)).await;
    }
    house.store.checkpoint().await.unwrap();
    // Polled a few times, then dropped: at every stage of a move some client hangs up.
    for polls in 0..30_u32 {
        let one = UidSet::from_ranges([(polls + 1, polls + 1)]);
        let mut moving = Box::pin(account.move_messages(inbox, &one, archive));
        for _ in 0..polls {
            tokio::select! {
                biased;
                _ = &mut moving => break,
                () = tokio::task::yield_now() => {}
            }
        }
    }
    // A change that waits its turn comes after all that was begun.
    account.subscribe(&crate::house::name("turn")).await.unwrap();
    let (here, there) =
        (account.open_mailbox(inbox).await.unwrap(), account.open_mailbox(archive).await.unwrap());
    assert_eq!(here.messages() + there.messages(), 30);
    assert_sound(&house.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn quota_holds_against_deliveries_at_once() {
    let house = House::new();
    house.account(ANN).await;
    let deliveries: Vec<_> = (0..40)
        .map(|number| {
            let store = house.store.clone();
            tokio::spawn(async move {
                let message = crate::house::arriving(&store, &text(number)).await;
                let quota = QuotaLimit { octets: None, messages: Some(10) };
                let filing = mailstore::Filing { quota, ..crate::house::filing(ANN, crate::house::inbox()) };
                store.deliver(message, vec![filing]).await.unwrap().remove(0).is_ok()
            })
        })
        .collect();
    let mut filed = 0;
    for delivery in deliveries {
        filed += u32::from(delivery.await.unwrap());
    }
    assert_eq!(filed, 10);
    house.store.checkpoint().await.unwrap();
    assert_eq!(house.account(ANN).await.quota_usage().messages, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_accounts_than_may_be_open() {
    let (data, clock) = (tempfile::tempdir().unwrap(), crate::house::clock());
    let settings = mailstore::Settings { accounts_open_max: 3, ..crate::house::settings() };
    let store = mailstore::Store::open(data.path(), settings, clock.clone()).unwrap();
    for round in 0..3 {
        let tasks: Vec<_> = (1..=12)
            .map(|account| {
                let store = store.clone();
                tokio::spawn(async move {
                    deliver(&store, mail_types::AccountId(account), &text(round)).await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
    for account in 1..=12 {
        store.checkpoint().await.unwrap();
        let account = store.account(mail_types::AccountId(account)).await.unwrap();
        let inbox = mailbox(&account, "INBOX").await;
        let view = account.open_mailbox(inbox).await.unwrap();
        assert_eq!(view.messages(), 3);
        assert!(view.highest_modseq() > ModSeq(0));
    }
    assert_sound(&store).await;
    // Nobody holds any now; the next that is opened makes the others go.
    let last = store.account(mail_types::AccountId(13)).await.unwrap();
    assert!(store.stats().await.unwrap().accounts_open <= 3);
    drop(last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_told_that_a_message_is_kept_finds_it() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    for number in 0..100 {
        let filed = deliver(&house.store, ANN, &text(number)).await;
        let listed = account.mailboxes().await.unwrap();
        assert_eq!(listed.by_id(inbox).unwrap().messages as usize, number + 1);
        let view = account.open_mailbox(inbox).await.unwrap();
        assert_eq!(view.messages() as usize, number + 1);
        assert!(view.iter().any(|(_, entry)| entry.uid == filed.uid));
    }
}
