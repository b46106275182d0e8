//! Flags, copies, moves, expunges, and what sessions see of them.

use std::sync::Arc;

use mail_types::{Keyword, ModSeq, SystemFlag, Uid};
use mailstore::{FlagChange, FlagChangeMode, HeaderField, QuotaLimit, StoreError, Want, fold};

use crate::house::{
    ANN, House, add, all, append, arriving, assert_sound, deliver, expunge, fill, flags, mailbox, name, read,
    text, uids,
};

#[tokio::test]
async fn flags_change_only_where_they_differ() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    fill(&house.store, &account, inbox, 0, 10).await;
    let seen = add(&[SystemFlag::Seen], &[]);
    let first = account.store_flags(inbox, &uids("2:4,99"), &seen, None).await.unwrap();
    assert_eq!(first.changed, uids("2:4"));
    let second = account.store_flags(inbox, &uids("1:5"), &seen, None).await.unwrap();
    assert_eq!(second.changed, uids("1,5"));
    assert!(second.modseq > first.modseq);
    let third = account.store_flags(inbox, &uids("1:5"), &seen, None).await.unwrap();
    assert_eq!((third.changed, third.modseq), (uids(""), None));
    let view = account.open_mailbox(inbox).await.unwrap();
    assert_eq!(view.highest_modseq(), second.modseq.unwrap());
    assert_eq!(view.find(Uid(3)).unwrap().1.modseq, first.modseq.unwrap());
    let info = account.mailboxes().await.unwrap();
    assert_eq!(info.by_id(inbox).unwrap().unseen, 5);
}

#[tokio::test]
async fn unchanged_since_leaves_alone_what_changed() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    fill(&house.store, &account, inbox, 0, 3).await;
    let since = account.open_mailbox(inbox).await.unwrap().highest_modseq();
    account.store_flags(inbox, &uids("2"), &add(&[SystemFlag::Seen], &[]), None).await.unwrap();
    let flagged = add(&[SystemFlag::Flagged], &[]);
    let outcome = account.store_flags(inbox, &uids("1:3"), &flagged, Some(since)).await.unwrap();
    assert_eq!((outcome.changed, outcome.modified), (uids("1,3"), uids("2")));
    let outcome = account.store_flags(inbox, &uids("1:3"), &flagged, Some(ModSeq(0))).await.unwrap();
    assert_eq!((outcome.changed, outcome.modified), (uids(""), uids("1:3")));
}

#[tokio::test]
async fn a_mailbox_has_room_for_so_many_keywords() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    fill(&house.store, &account, inbox, 0, 2).await;
    for number in 0..128 {
        account.store_flags(inbox, &uids("1"), &add(&[], &[&format!("k{number}")]), None).await.unwrap();
    }
    let one_more = account.store_flags(inbox, &uids("1"), &add(&[], &["k128"]), None).await;
    assert!(matches!(one_more, Err(StoreError::Limit(_))));
    account.store_flags(inbox, &uids("2"), &add(&[], &["K127"]), None).await.unwrap();
    let view = account.open_mailbox(inbox).await.unwrap();
    assert_eq!(view.entry(1).unwrap().flags.keywords.numbers().count(), 128);
    assert_eq!(view.entry(2).unwrap().flags.keywords.numbers().collect::<Vec<_>>(), [127]);
    let replace = FlagChange { mode: FlagChangeMode::Replace, flags: flags(&[SystemFlag::Draft], &["k3"]) };
    account.store_flags(inbox, &uids("1"), &replace, None).await.unwrap();
    let remove = FlagChange { mode: FlagChangeMode::Remove, flags: flags(&[SystemFlag::Draft], &[]) };
    account.store_flags(inbox, &uids("1"), &remove, None).await.unwrap();
    let entry = account.open_mailbox(inbox).await.unwrap().entry(1).unwrap();
    assert_eq!((entry.flags.system, entry.flags.keywords.0), (0, 1 << 3));
    assert_sound(&house.store).await;
}

#[tokio::test]
async fn copies_keep_flags_and_dates_and_share_octets() {
    let house = House::new();
    let account = house.account(ANN).await;
    let (inbox, archive) = (mailbox(&account, "INBOX").await, mailbox(&account, "Archive").await);
    deliver(&house.store, ANN, &text(1)).await;
    house.store.checkpoint().await.unwrap();
    // The same keyword has other numbers in the two mailboxes.
    fill(&house.store, &account, archive, 50, 1).await;
    account.store_flags(archive, &uids("1"), &add(&[], &["first", "second"]), None).await.unwrap();
    account.store_flags(inbox, &uids("1"), &add(&[SystemFlag::Seen], &["second"]), None).await.unwrap();
    house.clock.advance(std::time::Duration::from_secs(100));
    let outcome = account.copy(inbox, &uids("1:5"), archive, QuotaLimit::NONE).await.unwrap();
    assert_eq!((outcome.from, outcome.to), (uids("1"), uids("2")));
    let view = account.open_mailbox(archive).await.unwrap();
    let entry = view.entry(2).unwrap();
    assert!(entry.flags.has(SystemFlag::Seen));
    let numbers: Vec<usize> = entry.flags.keywords.numbers().collect();
    assert_eq!(numbers.len(), 1);
    assert_eq!(view.keywords()[numbers[0]], Keyword::parse("second").unwrap());
    let (source, copy) = (
        account.rows(inbox, &all(), Want::Facts).await.unwrap(),
        account.rows(archive, &uids("2"), Want::Facts).await.unwrap(),
    );
    assert_eq!((source[0].email, source[0].internal_date), (copy[0].email, copy[0].internal_date));
    assert!(copy[0].save_date > source[0].save_date);
    let missing = account.copy(inbox, &uids("9"), archive, QuotaLimit::NONE).await.unwrap();
    assert!(missing.from.is_empty() && missing.to.is_empty());
    assert_sound(&house.store).await;
}

#[tokio::test]
async fn moved_messages_are_there_and_no_longer_here() {
    let house = House::new();
    let account = house.account(ANN).await;
    let (inbox, trash) = (mailbox(&account, "INBOX").await, mailbox(&account, "Trash").await);
    fill(&house.store, &account, inbox, 0, 20).await;
    let before = account.open_mailbox(inbox).await.unwrap();
    let outcome = account.move_messages(inbox, &uids("5:8,30"), trash).await.unwrap();
    assert_eq!((outcome.from, outcome.to), (uids("5:8"), uids("1:4")));
    let after = account.open_mailbox(inbox).await.unwrap();
    assert_eq!(after.messages(), 16);
    let changes = after.changes_since(&before);
    assert_eq!(changes.vanished, [(5, Uid(5)), (6, Uid(6)), (7, Uid(7)), (8, Uid(8))]);
    assert_eq!(account.vanished_since(inbox, before.highest_modseq()).await.unwrap(), uids("5:8"));
    assert_eq!(read(&account, trash, 1).await, text(4));
    let same = account.move_messages(trash, &uids("1:2"), trash).await.unwrap();
    assert_eq!((same.from, same.to), (uids("1:2"), uids("5:6")));
    assert_sound(&house.store).await;
}

#[tokio::test]
async fn expunge_takes_what_is_marked_and_named() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    fill(&house.store, &account, inbox, 0, 10).await;
    let begin = account.open_mailbox(inbox).await.unwrap();
    account.store_flags(inbox, &uids("2:5"), &add(&[SystemFlag::Deleted], &[]), None).await.unwrap();
    let marked = account.open_mailbox(inbox).await.unwrap();
    assert_eq!(account.expunge(inbox, Some(&uids("1:3"))).await.unwrap(), uids("2:3"));
    assert_eq!(account.expunge(inbox, None).await.unwrap(), uids("4:5"));
    assert_eq!(account.expunge(inbox, None).await.unwrap(), uids(""));
    let end = account.open_mailbox(inbox).await.unwrap();
    assert_eq!(end.uids(), uids("1,6:10"));
    assert_eq!(end.uid_next(), Uid(11));
    let changes = end.changes_since(&begin);
    assert_eq!((changes.vanished.len(), changes.changed.len(), changes.arrived), (4, 0, 0));
    let kept = end.keeping_vanished_of(&marked);
    assert_eq!(kept.uids(), uids("1:10"));
    assert_eq!(account.vanished_since(inbox, begin.highest_modseq()).await.unwrap(), uids("2:5"));
    assert_eq!(account.vanished_since(inbox, end.highest_modseq()).await.unwrap(), uids(""));
}

#[tokio::test]
async fn sessions_share_a_view_and_hear_of_changes() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    let one = account.open_mailbox(inbox).await.unwrap();
    let mut watch = account.watch();
    watch.borrow_and_update();
    deliver(&house.store, ANN, &text(1)).await;
    watch.changed().await.unwrap();
    let two = account.open_mailbox(inbox).await.unwrap();
    assert_eq!((one.messages(), two.messages()), (0, 1));
    assert_eq!(two.changes_since(&one).arrived, 1);
    let _other = Arc::clone(&two);
    drop((one, two));
    assert_eq!(account.open_mailbox(inbox).await.unwrap().messages(), 1);
}

#[tokio::test]
async fn headers_are_found_decoded_and_folded() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    let mail =
        |subject: &str, from: &str| format!("Subject: {subject}\r\nFrom: {from}\r\n\r\nx\r\n").into_bytes();
    let texts = [
        mail("=?utf-8?q?Gr=C3=BC=C3=9Fe?= aus Wien", "\"Ann B.\" <ann@example.org>"),
        mail("Hello world", "=?utf-8?b?w5ZsaQ==?= <oli@example.net>"),
        mail("", "c@d"),
        b"From: no@subject\r\n\r\n".to_vec(),
    ];
    append(&house.store, &account, inbox, &texts).await;
    for (field, needle, found) in [
        (HeaderField::Subject, "GRÜSSE", "1"),
        (HeaderField::Subject, "LO WOR", "2"),
        (HeaderField::Subject, "", "1:3"),
        (HeaderField::Subject, "nothing", ""),
        (HeaderField::From, "öLI", "2"),
        (HeaderField::From, "@example.", "1:2"),
        (HeaderField::To, "", ""),
    ] {
        let found_now = account.search_header(inbox, &all(), field, &fold(needle)).await.unwrap();
        assert_eq!(found_now, uids(found), "{field:?} {needle:?}");
    }
    let some = account.search_header(inbox, &uids("2:4"), HeaderField::Subject, "").await.unwrap();
    assert_eq!(some, uids("2:3"));
}

#[tokio::test]
async fn old_tombstones_give_way_to_the_conservative_answer() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    let since = account.open_mailbox(inbox).await.unwrap().highest_modseq();
    // One by one expunges over the bound are slow to make; ranges with gaps count as many.
    for round in 0..5 {
        fill(&house.store, &account, inbox, 0, 9_000).await;
        let first = round * 9_000 + 1;
        let odd = mail_types::UidSet::from_ranges((0..4_500).map(|at| (first + at * 2, first + at * 2)));
        assert_eq!(expunge(&account, inbox, &odd).await.count(), 4_500);
    }
    let vanished = account.vanished_since(inbox, since).await.unwrap();
    assert_eq!(vanished.count(), 5 * 4_500);
    let view = account.open_mailbox(inbox).await.unwrap();
    assert!(view.iter().all(|(_, entry)| !vanished.contains(entry.uid)));
    assert_sound(&house.store).await;
}

#[tokio::test]
async fn a_mailbox_that_is_gone_is_no_mailbox() {
    let house = House::new();
    let account = house.account(ANN).await;
    let id = account.create_mailbox(&name("short-lived"), None).await.unwrap();
    let view = account.open_mailbox(id).await.unwrap();
    account.delete_mailbox(&name("short-lived")).await.unwrap();
    assert!(matches!(account.open_mailbox(id).await, Err(StoreError::NoSuchMailbox)));
    assert!(matches!(account.rows(id, &all(), Want::Facts).await, Err(StoreError::NoSuchMailbox)));
    assert!(matches!(account.expunge(id, None).await, Err(StoreError::NoSuchMailbox)));
    let message = arriving(&house.store, &text(1)).await;
    let append = mailstore::Append { message, flags: flags(&[], &[]), internal_date: None };
    let answer = account.append(id, vec![append], QuotaLimit::NONE, crate::house::WAY).await;
    assert!(matches!(answer, Err(StoreError::NoSuchMailbox)));
    assert_eq!(view.messages(), 0);
}
