//! Rebuilding, purging, removing.

use std::time::Duration;

use mail_types::{ModSeq, SystemFlag};
use mailstore::{StoreError, Want};

use crate::house::{
    ANN, BEN, House, add, all, append, assert_sound, deliver, expunge, fill, mailbox, name, picture, read,
    text, uids,
};

/// Text that does not pack away.
pub(crate) fn noise(number: u64, octets: usize) -> Vec<u8> {
    let mut message = text(number as usize);
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while message.len() < octets {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        message.extend(format!("{state:016x}{:016x}\r\n", state.rotate_left(17)).as_bytes());
    }
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuilt_index_is_the_original() {
    let house = House::new();
    let account = house.account(ANN).await;
    let (inbox, archive) = (mailbox(&account, "INBOX").await, mailbox(&account, "Archive").await);
    fill(&house.store, &account, inbox, 0, 40).await;
    account.store_flags(inbox, &uids("1:30"), &add(&[SystemFlag::Seen], &["a", "b"]), None).await.unwrap();
    account.move_messages(inbox, &uids("3:9"), archive).await.unwrap();
    expunge(&account, archive, &uids("2:3")).await;
    account.create_mailbox(&name("x"), None).await.unwrap();
    account.move_messages(inbox, &uids("10"), mailbox(&account, "x").await).await.unwrap();
    account.delete_mailbox(&name("x")).await.unwrap();
    let reply =
        b"Message-ID: <r@x>\r\nReferences: <39@example.org>\r\nSubject: Re: Message 39\r\n\r\n".to_vec();
    append(&house.store, &account, inbox, &[reply]).await;
    let before = picture(&account).await;
    house.store.rebuild(None).await.unwrap();
    assert!(matches!(account.mailboxes().await, Err(StoreError::Busy)), "an old handle says so");
    let account = house.account(ANN).await;
    assert_eq!(picture(&account).await, before);
    assert_sound(&house.store).await;
    fill(&house.store, &account, inbox, 50, 1).await;
    assert_eq!(read(&account, inbox, 42).await, text(50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_gives_room_back_and_loses_nothing() {
    let house = House::new();
    let account = house.account(ANN).await;
    let (inbox, archive) = (mailbox(&account, "INBOX").await, mailbox(&account, "Archive").await);
    for number in 0..200 {
        deliver(&house.store, if number % 20 == 0 { BEN } else { ANN }, &noise(number, 30_000)).await;
    }
    house.store.checkpoint().await.unwrap();
    fill(&house.store, &account, inbox, 1_000, 50).await;
    append(&house.store, &account, inbox, &[noise(900, 600_000), noise(901, 600_000)]).await;
    account
        .store_flags(inbox, &uids("180:190"), &add(&[SystemFlag::Flagged], &["keep"]), None)
        .await
        .unwrap();
    account.copy(inbox, &uids("1:3"), archive, mailstore::QuotaLimit::NONE).await.unwrap();
    expunge(&account, inbox, &uids("1:170,241")).await;
    let packs = house.store.stats().await.unwrap();
    let early = house.store.purge().await.unwrap();
    assert_eq!((early.messages, early.packs), (0, 0), "still recoverable");
    house.clock.advance(Duration::from_secs(8 * 24 * 3600));
    let before = picture(&account).await;
    let outcome = house.store.purge().await.unwrap();
    assert_eq!(outcome.messages, 171);
    assert!(outcome.packs >= 3, "{outcome:?}");
    let after = house.store.stats().await.unwrap();
    assert!(after.pack_octets < packs.pack_octets / 2, "{packs:?} {after:?}");
    assert_eq!(picture(&account).await, before);
    assert_sound(&house.store).await;
    assert_eq!(read(&account, archive, 2).await, noise(2, 30_000));
    assert_eq!(read(&account, inbox, 242).await, noise(901, 600_000));
    let ben = house.account(BEN).await;
    assert_eq!(read(&ben, mailbox(&ben, "INBOX").await, 1).await, noise(0, 30_000));
    drop(ben);
    // What was rewritten still makes the same index.
    house.store.rebuild(None).await.unwrap();
    assert_eq!(picture(&house.account(ANN).await).await, before);
    assert_sound(&house.store).await;
    drop(account);
    let house = house.reopened().await;
    assert_eq!(picture(&house.account(ANN).await).await, before);
    let second = house.store.purge().await.unwrap();
    assert_eq!(second.messages, 0);
    assert_sound(&house.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_a_purge_forgot_stays_gone_after_a_restart() {
    let recoverable = Duration::from_secs(8 * 24 * 3600);
    let house = House::new();
    let account = house.account(ANN).await;
    account.create_mailbox(&name("Old"), None).await.unwrap();
    fill(&house.store, &account, mailbox(&account, "Old").await, 0, 3).await;
    for number in 0..100 {
        deliver(&house.store, ANN, &noise(number, 30_000)).await;
    }
    expunge(&account, mailbox(&account, "INBOX").await, &uids("1:100")).await;
    house.clock.advance(recoverable);
    account.delete_mailbox(&name("Old")).await.unwrap();
    // The mailbox can still be recovered, so what makes it up is written again, behind its deletion.
    let first = house.store.purge().await.unwrap();
    assert_eq!((first.messages, first.packs), (100, 1));
    house.clock.advance(recoverable);
    assert_eq!(house.store.purge().await.unwrap().messages, 3);
    let before = picture(&account).await;
    drop(account);
    let house = house.reopened().await;
    assert_eq!(picture(&house.account(ANN).await).await, before);
    assert_sound(&house.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mail_comes_and_goes_while_a_purge_runs() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    for number in 0..120 {
        deliver(&house.store, ANN, &noise(number, 30_000)).await;
    }
    house.store.checkpoint().await.unwrap();
    expunge(&account, inbox, &uids("1:90")).await;
    house.clock.advance(Duration::from_secs(8 * 24 * 3600));
    let purging = tokio::spawn({
        let store = house.store.clone();
        async move { store.purge().await.unwrap() }
    });
    let working = tokio::spawn({
        let (store, account) = (house.store.clone(), account.clone());
        async move {
            for number in 0..60 {
                deliver(&store, ANN, &noise(500 + number, 20_000)).await;
                let one = mail_types::UidSet::from_ranges([(91 + number as u32 / 3, 91 + number as u32 / 3)]);
                account.store_flags(inbox, &one, &add(&[SystemFlag::Answered], &[]), None).await.unwrap();
                let rows = account.rows(inbox, &uids("91:120"), Want::Facts).await.unwrap();
                assert_eq!(rows.len(), 30);
                assert_eq!(read(&account, inbox, 100).await, noise(99, 30_000));
            }
        }
    });
    working.await.unwrap();
    assert!(purging.await.unwrap().packs > 0);
    assert_sound(&house.store).await;
    let before = picture(&account).await;
    house.store.rebuild(None).await.unwrap();
    assert_eq!(picture(&house.account(ANN).await).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_account_stays_removed() {
    let house = House::new();
    deliver(&house.store, ANN, &text(1)).await;
    deliver(&house.store, BEN, &text(2)).await;
    let account = house.account(ANN).await;
    house.store.remove_account(ANN).await.unwrap();
    house.store.remove_account(ANN).await.unwrap();
    assert!(matches!(house.store.account(ANN).await, Err(StoreError::NoSuchAccount)));
    assert!(account.mailboxes().await.is_err());
    drop(account);
    let filings = vec![
        crate::house::filing(ANN, crate::house::inbox()),
        crate::house::filing(BEN, crate::house::inbox()),
    ];
    let message = crate::house::arriving(&house.store, &text(3)).await;
    let answers = house.store.deliver(message, filings).await.unwrap();
    assert!(matches!(answers[0], Err(StoreError::NoSuchAccount)) && answers[1].is_ok());
    house.store.rebuild(None).await.unwrap();
    let house = house.reopened().await;
    assert!(matches!(house.store.account(ANN).await, Err(StoreError::NoSuchAccount)));
    let ben = house.account(BEN).await;
    let view = ben.open_mailbox(mailbox(&ben, "INBOX").await).await.unwrap();
    assert_eq!(view.messages(), 2);
    assert_sound(&house.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_what_is_wrong() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    fill(&house.store, &account, inbox, 0, 10).await;
    drop(account);
    let House { store, clock, data } = house;
    store.close().await.unwrap();
    let index = data.path().join("accounts/1/index.db");
    let connection = storage::rusqlite::Connection::open(&index).unwrap();
    for damage in [
        "UPDATE messages SET flags = 1 WHERE uid = 2",
        "DELETE FROM messages WHERE uid = 5",
        "UPDATE emails SET offset = offset + 1 WHERE id IN (SELECT email FROM messages WHERE uid = 7)",
        "UPDATE mailboxes SET octets = octets + 1 WHERE name = 'INBOX'",
        "INSERT INTO messages SELECT mailbox, 999, modseq, flags, keywords, keywords_high, internal_date, \
         save_date, octets, email FROM messages WHERE uid = 1",
    ] {
        assert!(connection.execute(damage, []).unwrap() > 0, "{damage}");
    }
    drop(connection);
    let store = crate::house::open(data.path(), &clock);
    let faults = store.verify().await.unwrap();
    for uid in [2, 5, 7, 999] {
        let is_told = faults.iter().any(|fault| fault.message.is_some_and(|at| at.uid.0 == uid));
        assert!(is_told, "{uid}: {faults:#?}");
    }
    assert!(faults.iter().any(|fault| fault.text.contains("counts")));
    store.rebuild(Some(ANN)).await.unwrap();
    assert_sound(&store).await;
    let account = store.account(ANN).await.unwrap();
    let view = account.open_mailbox(inbox).await.unwrap();
    assert_eq!((view.messages(), view.uids()), (10, uids("1:10")));
    assert_eq!(account.vanished_since(inbox, ModSeq(0)).await.unwrap(), uids(""));
    assert_eq!(account.rows(inbox, &all(), Want::Facts).await.unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_damaged_while_it_is_open_is_made_anew() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    fill(&house.store, &account, inbox, 0, 5).await;
    let damage = |sql: &str| {
        let index = house.data.path().join("accounts/1/index.db");
        let connection = storage::rusqlite::Connection::open(index).unwrap();
        connection.execute_batch(sql).unwrap();
    };
    // Found by a reader.
    damage("DROP TABLE headers");
    let field = mailstore::HeaderField::Subject;
    assert!(matches!(account.search_header(inbox, &all(), field, "").await, Err(StoreError::Corrupt(_))));
    assert!(account.open_mailbox(inbox).await.is_err(), "the old handle knows");
    let account = house.account(ANN).await;
    assert_eq!(account.search_header(inbox, &all(), field, "").await.unwrap(), uids("1:5"));
    // Found by the applier; what was delivered was told and is there.
    damage("DROP TABLE emails");
    deliver(&house.store, ANN, &text(5)).await;
    house.store.checkpoint().await.unwrap();
    assert!(account.open_mailbox(inbox).await.is_err());
    drop(account);
    let account = house.account(ANN).await;
    assert_eq!(account.open_mailbox(inbox).await.unwrap().messages(), 6);
    assert_eq!(read(&account, inbox, 6).await, text(5));
    assert_sound(&house.store).await;
}
