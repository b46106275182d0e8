//! Delivering and appending.

use mail_types::{AccountId, SpecialUse, SystemFlag, Uid};
use mailstore::{Append, Filing, FilingTarget, FlagNames, QuotaLimit, StoreError, Want};

use crate::house::{
    ANN, BEN, House, WAY, all, append, arriving, assert_sound, deliver, expunge, filing, fill, flags, inbox,
    mailbox, name, read, text, uids,
};

#[tokio::test]
async fn a_new_account_has_its_mailboxes() {
    let house = House::new();
    let list = house.account(ANN).await.mailboxes().await.unwrap();
    let names: Vec<String> = list.mailboxes.iter().map(|mailbox| mailbox.name.to_string()).collect();
    assert_eq!(names, ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]);
    assert!(list.mailboxes.iter().all(|mailbox| mailbox.is_subscribed));
    assert_eq!(list.by_special_use(SpecialUse::Sent).unwrap().name, name("Sent"));
    let mut validities: Vec<u32> = list.mailboxes.iter().map(|mailbox| mailbox.uid_validity.0).collect();
    validities.sort_unstable();
    validities.dedup();
    assert_eq!(validities.len(), 6);
    assert_sound(&house.store).await;
}

#[tokio::test]
async fn one_message_for_many_is_stored_once_and_read_by_all() {
    let house = House::new();
    let octets = text(1).repeat(10);
    let accounts: Vec<AccountId> = (1..=20).map(AccountId).collect();
    let filings = accounts.iter().map(|account| filing(*account, inbox())).collect();
    let before = house.store.stats().await.unwrap().entries;
    let answers = house.store.deliver(arriving(&house.store, &octets).await, filings).await.unwrap();
    assert_eq!(answers.len(), 20);
    assert_eq!(
        house.store.stats().await.unwrap().entries - before,
        20 + 1,
        "20 new accounts and one message"
    );
    for (account, answer) in accounts.iter().zip(answers) {
        let filed = answer.unwrap();
        assert_eq!((filed.account, filed.uid), (*account, Uid(1)));
        house.store.checkpoint().await.unwrap();
        let account = house.account(*account).await;
        assert_eq!(read(&account, filed.mailbox, 1).await, octets);
    }
    assert_sound(&house.store).await;
}

#[tokio::test]
async fn what_has_come_can_be_read_before_it_is_filed() {
    let house = House::new();
    for octets in [text(1), text(2).repeat(10_000)] {
        let message = arriving(&house.store, &octets).await;
        let reader = house.store.read_arriving(&message).await.unwrap();
        assert_eq!(reader.octets(), octets.len() as u64);
        let end = octets.len() as u64;
        assert_eq!(reader.read_here(3..9).unwrap(), octets[3..9]);
        assert_eq!(reader.read(end - 5..end + 9).await.unwrap(), octets[octets.len() - 5..]);
        let filed = house.store.deliver(message, vec![filing(ANN, inbox())]).await.unwrap();
        assert!(filed[0].is_ok());
        // It goes on being read where it lies now.
        assert_eq!(reader.read_here(0..4).unwrap(), octets[..4]);
    }
    assert_sound(&house.store).await;
}

#[tokio::test]
async fn two_ways_into_one_mailbox_are_one_message_with_the_flags_of_both() {
    let house = House::new();
    let filings = vec![
        Filing { flags: flags(&[SystemFlag::Seen], &["$Forwarded"]), ..filing(ANN, inbox()) },
        filing(ANN, FilingTarget::SpecialUse(SpecialUse::Archive)),
        Filing { flags: flags(&[SystemFlag::Flagged], &["other"]), ..filing(ANN, inbox()) },
    ];
    let answers = house.store.deliver(arriving(&house.store, &text(1)).await, filings).await.unwrap();
    let filed: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(filed[0], filed[2]);
    assert_ne!(filed[0].mailbox, filed[1].mailbox);
    assert_eq!(filed[0].email, filed[1].email);
    house.store.checkpoint().await.unwrap();
    let account = house.account(ANN).await;
    let view = account.open_mailbox(filed[0].mailbox).await.unwrap();
    assert_eq!(view.messages(), 1);
    let entry = view.entry(1).unwrap();
    assert!(entry.flags.has(SystemFlag::Seen) && entry.flags.has(SystemFlag::Flagged));
    let keywords: Vec<&str> = entry.flags.keywords.numbers().map(|at| view.keywords()[at].as_str()).collect();
    assert_eq!(keywords, ["$Forwarded", "other"]);
}

#[tokio::test]
async fn a_filing_makes_the_mailbox_it_names_and_refuses_one_that_is_gone() {
    let house = House::new();
    let account = house.account(ANN).await;
    let gone = account.create_mailbox(&name("gone"), None).await.unwrap();
    account.delete_mailbox(&name("gone")).await.unwrap();
    account.delete_mailbox(&name("Junk")).await.unwrap();
    let filings = vec![
        filing(ANN, FilingTarget::Name(name("Lists/rust"))),
        filing(ANN, FilingTarget::Id(gone)),
        filing(ANN, FilingTarget::SpecialUse(SpecialUse::Junk)),
    ];
    let answers = house.store.deliver(arriving(&house.store, &text(1)).await, filings).await.unwrap();
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert!(matches!(answers[1], Err(StoreError::NoSuchMailbox)));
    let list = account.mailboxes().await.unwrap();
    assert!(list.by_name(&name("Lists")).is_some());
    assert_eq!(list.by_special_use(SpecialUse::Junk).unwrap().name, name("Junk"));
}

#[tokio::test]
async fn quota_counts_every_copy_and_refuses_one_recipient_alone() {
    let house = House::new();
    let octets = text(1).len() as u64;
    let limit = QuotaLimit { octets: Some(octets * 2), messages: None };
    let limited = |account| Filing { quota: limit, ..filing(account, inbox()) };
    deliver(&house.store, ANN, &text(1)).await;
    for (expected, round) in [(true, 1), (false, 2)] {
        let filings = vec![limited(ANN), limited(BEN)];
        let answers = house.store.deliver(arriving(&house.store, &text(1)).await, filings).await.unwrap();
        assert_eq!(answers[0].is_ok(), expected, "round {round}");
        assert!(answers[1].is_ok());
    }
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    let archive = mailbox(&account, "Archive").await;
    house.store.checkpoint().await.unwrap();
    assert_eq!((account.quota_usage().octets, account.quota_usage().messages), (octets * 2, 2));
    assert!(matches!(account.copy(inbox, &uids("1"), archive, limit).await, Err(StoreError::OverQuota)));
    let append = Append {
        message: arriving(&house.store, &text(1)).await,
        flags: FlagNames::default(),
        internal_date: None,
    };
    assert!(matches!(account.append(inbox, vec![append], limit, WAY).await, Err(StoreError::OverQuota)));
    assert_eq!(account.quota_usage().messages, 2, "what was refused is not counted");
    account.move_messages(inbox, &uids("1"), archive).await.unwrap();
    expunge(&account, archive, &all()).await;
    assert_eq!((account.quota_usage().octets, account.quota_usage().messages), (octets, 1));
    account.copy(inbox, &uids("2"), archive, limit).await.unwrap();
    let count = QuotaLimit { octets: None, messages: Some(2) };
    assert!(matches!(account.copy(inbox, &uids("2"), archive, count).await, Err(StoreError::OverQuota)));
}

#[tokio::test]
async fn appends_are_all_or_none_and_seen_at_once() {
    let house = House::new();
    let account = house.account(ANN).await;
    let drafts = mailbox(&account, "Drafts").await;
    let filed = append(&house.store, &account, drafts, &[text(1), text(2), text(3)]).await;
    assert_eq!(filed.iter().map(|filed| filed.uid.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(filed.windows(2).all(|pair| pair[0].modseq < pair[1].modseq && pair[0].email != pair[1].email));
    assert_eq!(account.open_mailbox(drafts).await.unwrap().messages(), 3);
    let mut messages = Vec::new();
    for number in 0..3 {
        let message = arriving(&house.store, &text(number)).await;
        messages.push(Append { message, flags: FlagNames::default(), internal_date: None });
    }
    let limit = QuotaLimit { octets: None, messages: Some(5) };
    assert!(matches!(account.append(drafts, messages, limit, WAY).await, Err(StoreError::OverQuota)));
    assert_eq!(account.open_mailbox(drafts).await.unwrap().messages(), 3);
    assert_eq!(account.quota_usage().messages, 3);
    assert!(account.append(drafts, Vec::new(), limit, WAY).await.unwrap().is_empty());
    assert_sound(&house.store).await;
}

#[tokio::test]
async fn a_large_message_streams_in_and_out() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    let mut octets = text(1);
    while octets.len() < 3_000_000 {
        let line = format!("{:08} and more text that fills the line\r\n", octets.len());
        octets.extend(line.as_bytes());
    }
    for (uid, length) in [(1, 65_535), (2, 65_536), (3, 65_537), (4, 262_144), (5, 262_145), (6, 3_000_000)] {
        append(&house.store, &account, inbox, &[octets[..length].to_vec()]).await;
        assert!(read(&account, inbox, uid).await == octets[..length], "{length} octets");
    }
    let rows = account.rows(inbox, &all(), Want::Summaries).await.unwrap();
    assert_eq!(rows[5].octets, 3_000_000);
    let summary = message::Summary::decode(rows[5].summary.as_ref().unwrap()).unwrap();
    assert_eq!(summary.octets, 3_000_000);
    let reader = account.reader(rows[5].email).await.unwrap();
    assert_eq!(reader.read(2_999_990..u64::MAX).await.unwrap(), octets[2_999_990..3_000_000]);
    assert!(reader.read(3_000_000..u64::MAX).await.unwrap().is_empty());
    for octets_max in [0, 65_535, 65_536, 65_537, 2_999_999, 3_000_000, 3_000_001] {
        let beginning = reader.beginning(octets_max).await.unwrap();
        assert!(beginning == octets[..octets_max.min(3_000_000)], "{octets_max}");
    }
    assert_sound(&house.store).await;
}

#[tokio::test]
async fn threads_join_replies_but_not_other_subjects() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    let mail = |id: &str, answers: &str, subject: &str| {
        let references =
            if answers.is_empty() { String::new() } else { format!("References: {answers}\r\n") };
        format!("Message-ID: <{id}>\r\n{references}Subject: {subject}\r\n\r\nx\r\n").into_bytes()
    };
    let texts = [
        mail("a@x", "", "Plan"),
        mail("b@x", "<a@x>", "Re: Plan"),
        mail("c@x", "<a@x> <b@x>", "AW: plan"),
        mail("d@x", "<a@x>", "Lunch?"),
        mail("e@x", "<unseen@x> <c@x>", "Re: Plan"),
        mail("f@x", "", "Plan"),
    ];
    append(&house.store, &account, inbox, &texts).await;
    let rows = account.rows(inbox, &all(), Want::Facts).await.unwrap();
    let threads: Vec<u64> = rows.iter().map(|row| row.thread.0).collect();
    assert!([1, 2, 4].iter().all(|at| threads[*at] == threads[0]));
    assert!(threads[3] != threads[0] && threads[5] != threads[0] && threads[3] != threads[5]);
}

#[tokio::test]
async fn many_deliveries_at_once_share_syncs() {
    let house = House::new();
    fill(&house.store, &house.account(ANN).await, mailbox(&house.account(ANN).await, "INBOX").await, 0, 1)
        .await;
    let before = house.store.stats().await.unwrap();
    let deliveries: Vec<_> = (0..200)
        .map(|number| {
            let store = house.store.clone();
            tokio::spawn(async move { deliver(&store, ANN, &text(number)).await })
        })
        .collect();
    let mut uids = Vec::new();
    for delivery in deliveries {
        uids.push(delivery.await.unwrap().uid.0);
    }
    uids.sort_unstable();
    assert_eq!(uids, (2..=201).collect::<Vec<_>>());
    let after = house.store.stats().await.unwrap();
    assert_eq!(after.entries - before.entries, 200);
    assert_sound(&house.store).await;
}

#[tokio::test(start_paused = true)]
async fn large_messages_that_never_end_take_a_bounded_number_of_places() {
    let house = House::new();
    let piece = vec![b'x'; 70_000];
    let mut unfinished = Vec::new();
    for _ in 0..256 {
        let mut intake = house.store.intake().unwrap();
        intake.write(&piece).await.unwrap();
        unfinished.push(intake);
    }
    let mut late = house.store.intake().unwrap();
    assert!(matches!(late.write(&piece).await, Err(StoreError::Busy)));
    // Its message is lost, and stays so.
    unfinished.pop();
    assert!(matches!(late.write(&piece).await, Err(StoreError::Busy)));
    // Small ones come all the same, and a place given back is another's.
    arriving(&house.store, &text(1)).await;
    let mut next = house.store.intake().unwrap();
    next.write(&piece).await.unwrap();
    next.finish().await.unwrap();
    let mut other = house.store.intake().unwrap();
    other.write(&piece).await.unwrap();
}

#[tokio::test]
async fn what_is_put_in_front_comes_out_in_front() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    let mut octets = text(1);
    while octets.len() < 1_000_000 {
        let line = format!("{:08} and more text that fills the line\r\n", octets.len());
        octets.extend(line.as_bytes());
    }
    let front = b"X-In-Front: this was known last\r\n";
    for (uid, length) in [(1, 500), (2, 65_536), (3, 65_537), (4, 262_144), (5, 1_000_000)] {
        let mut holding = house.store.holding().unwrap();
        for piece in octets[..length].chunks(10_007) {
            holding.write(piece).await.unwrap();
        }
        assert_eq!(holding.octets(), length as u64);
        let reader = holding.reader();
        let mut held = Vec::new();
        let keep = |piece: &[u8]| {
            held.extend_from_slice(piece);
            true
        };
        reader.visit_here(keep).unwrap();
        assert!(held == octets[..length], "{length} octets held");
        let end = length as u64;
        assert_eq!(reader.read(end - 7..end + 9).await.unwrap(), octets[length - 7..length]);
        assert_eq!(reader.read(end..end + 1).await.unwrap(), b"");
        let message = holding.finish(front.to_vec()).await.unwrap();
        let whole = [front, &octets[..length]].concat();
        assert_eq!(message.octets(), whole.len() as u64);
        assert_eq!(message.summary().octets, whole.len() as u64);
        let append = Append { message, flags: FlagNames::default(), internal_date: None };
        account.append(inbox, vec![append], QuotaLimit::NONE, WAY).await.unwrap();
        assert!(read(&account, inbox, uid).await == whole, "{length} octets");
    }
    assert_sound(&house.store).await;
}

#[tokio::test(start_paused = true)]
async fn held_messages_share_the_places_of_the_large_ones() {
    let house = House::new();
    let piece = vec![b'x'; 70_000];
    let mut unfinished = Vec::new();
    for _ in 0..256 {
        let mut holding = house.store.holding().unwrap();
        holding.write(&piece).await.unwrap();
        unfinished.push(holding);
    }
    let mut late = house.store.holding().unwrap();
    assert!(matches!(late.write(&piece).await, Err(StoreError::Busy)));
    unfinished.pop();
    // Its message is lost, and stays so.
    assert!(matches!(late.finish(Vec::new()).await, Err(StoreError::Busy)));
    let mut next = house.store.holding().unwrap();
    next.write(&piece).await.unwrap();
    next.finish(Vec::new()).await.unwrap();
}
