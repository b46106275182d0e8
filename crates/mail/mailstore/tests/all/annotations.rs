//! Annotations: at mailboxes and at the account; bounded; under every name of their mailbox, there after a crash, a
//! rebuild and a purge, gone with the mailbox.

use std::time::Duration;

use mail_types::{AnnotationName, MailboxName};
use mailstore::{
    ANNOTATION_OCTETS_MAX, ANNOTATIONS_OCTETS_MAX, ANNOTATIONS_PER_PLACE_MAX, Account, Place, StoreError,
    Value,
};

use crate::crash::copy_directory;
use crate::house::{ANN, House, assert_sound, deliver, expunge, mailbox, open, uids};
use crate::repair::noise;

fn name(text: &str) -> AnnotationName {
    AnnotationName::parse(text).unwrap()
}

fn mailbox_name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

async fn set(account: &Account, place: Place, text: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
    account.annotate(place, &[(name(text), value.map(Value::from))]).await
}

async fn put(account: &Account, place: Place, text: &str, value: &str) {
    set(account, place, text, Some(value.as_bytes())).await.unwrap();
}

/// All annotations of some places, as text.
async fn board(account: &Account, mailboxes: &[&str]) -> Vec<String> {
    let list = account.mailboxes().await.unwrap();
    let ids = mailboxes.iter().map(|text| (*text, Some(list.by_name(&mailbox_name(text)).unwrap().id)));
    let mut lines = Vec::new();
    for (label, place) in [("", None)].into_iter().chain(ids) {
        let there = account.annotations().unwrap();
        let names: Vec<AnnotationName> = there.of(place).map(|(name, _)| name.clone()).collect();
        for (name, value) in account.annotation_values(place, names).await.unwrap() {
            let value = value.unwrap();
            assert_eq!(there.find(place, &name).unwrap().octets, value.len() as u64);
            lines.push(format!("{label}{name}={}", String::from_utf8_lossy(&value)));
        }
    }
    lines
}

/// An account that has done everything that can be done with annotations, and what its board says.
async fn lived_in() -> (House, Vec<String>) {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = Some(mailbox(&account, "INBOX").await);
    let work = Some(account.create_mailbox(&mailbox_name("Work"), None).await.unwrap());
    let gone = Some(account.create_mailbox(&mailbox_name("Gone"), None).await.unwrap());
    put(&account, None, "/shared/comment", "a server").await;
    put(&account, inbox, "/private/comment", "first").await;
    put(&account, inbox, "/private/old", "old").await;
    put(&account, work, "/shared/comment", "work").await;
    put(&account, gone, "/shared/comment", "gone").await;
    house.store.checkpoint().await.unwrap();
    put(&account, inbox, "/private/comment", "caf\u{e9}\0").await;
    set(&account, inbox, "/private/old", None).await.unwrap();
    account.rename_mailbox(&mailbox_name("Work"), &mailbox_name("Play")).await.unwrap();
    account.delete_mailbox(&mailbox_name("Gone")).await.unwrap();
    let board = board(&account, &["INBOX", "Play"]).await;
    let expected =
        ["/shared/comment=a server", "INBOX/private/comment=caf\u{e9}\0", "Play/shared/comment=work"];
    assert_eq!(board, expected);
    assert_eq!(account.annotations().unwrap().of(gone).count(), 0);
    let late = set(&account, gone, "/shared/comment", Some(b"late")).await;
    assert!(matches!(late, Err(StoreError::NoSuchMailbox)));
    (house, board)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn annotations_are_there_after_a_crash_and_after_the_loss_of_every_index() {
    let (house, before) = lived_in().await;
    assert_sound(&house.store).await;
    for is_index_lost in [false, true] {
        let data = tempfile::tempdir().unwrap();
        copy_directory(house.data.path(), data.path());
        if is_index_lost {
            std::fs::remove_dir_all(data.path().join("accounts")).unwrap();
        }
        let store = open(data.path(), &house.clock);
        assert_eq!(board(&store.account(ANN).await.unwrap(), &["INBOX", "Play"]).await, before);
        assert_sound(&store).await;
    }
    let house = house.reopened().await;
    assert_eq!(board(&house.account(ANN).await, &["INBOX", "Play"]).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_keeps_annotations_and_drops_what_they_were() {
    let (house, before) = lived_in().await;
    let account = house.account(ANN).await;
    let inbox = mailbox(&account, "INBOX").await;
    for round in 0..40 {
        set(&account, Some(inbox), "/private/much", Some(&noise(round, 60_000))).await.unwrap();
        if round < 10 {
            deliver(&house.store, ANN, &noise(100 + round, 100_000)).await;
        }
    }
    set(&account, Some(inbox), "/private/much", None).await.unwrap();
    expunge(&account, inbox, &uids("1:10")).await;
    house.clock.advance(Duration::from_secs(8 * 24 * 3600));
    let outcome = house.store.purge().await.unwrap();
    assert!(outcome.packs >= 2 && outcome.octets > 1_500_000, "{outcome:?}");
    assert_eq!(board(&account, &["INBOX", "Play"]).await, before);
    drop(account);
    house.store.rebuild(None).await.unwrap();
    assert_eq!(board(&house.account(ANN).await, &["INBOX", "Play"]).await, before);
    assert_sound(&house.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn annotations_have_bounds_and_change_together() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = Some(mailbox(&account, "INBOX").await);
    for (octets, fits) in [(-1, true), (0, true), (1, false)] {
        let value = vec![b'x'; ANNOTATION_OCTETS_MAX.checked_add_signed(octets).unwrap()];
        assert_eq!(set(&account, inbox, "/private/large", Some(&value)).await.is_ok(), fits, "{octets}");
    }
    set(&account, inbox, "/private/large", None).await.unwrap();
    for number in 1..=ANNOTATIONS_PER_PLACE_MAX {
        put(&account, inbox, &format!("/private/{number}"), "").await;
    }
    let one_more = set(&account, inbox, "/private/more", Some(b"")).await;
    assert!(matches!(one_more, Err(StoreError::TooManyAnnotations)));
    put(&account, None, "/private/more", "elsewhere there is room").await;
    // One goes, another comes: that fits, together.
    let changes = [(name("/private/1"), None), (name("/private/more"), Some(Value::from(&b"x"[..])))];
    account.annotate(inbox, &changes).await.unwrap();
    let before = account.annotations().unwrap();
    let too_large: Value = vec![b'x'; ANNOTATION_OCTETS_MAX + 1].into();
    let changes = [(name("/private/2"), None), (name("/private/3"), Some(too_large))];
    let refused = account.annotate(inbox, &changes).await;
    assert!(matches!(refused, Err(StoreError::AnnotationTooLarge)));
    assert_eq!(account.annotations().unwrap(), before, "all or none");
    let scope = set(&account, inbox, "/private", Some(b"x")).await;
    assert!(matches!(scope, Err(StoreError::NotAllowed(_))));
    set(&account, inbox, "/private/never-there", None).await.unwrap();
    assert_eq!(account.annotations().unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_has_a_bound_for_all_its_annotations() {
    let house = House::new();
    let account = house.account(ANN).await;
    // Names of ten octets, and 64 for each.
    let each = ANNOTATION_OCTETS_MAX as u64 + 10 + 64;
    let whole = ANNOTATIONS_OCTETS_MAX / each;
    let value = vec![b'x'; ANNOTATION_OCTETS_MAX];
    for number in 0..whole {
        set(&account, None, &format!("/private/{number:x}"), Some(&value)).await.unwrap();
    }
    let left = usize::try_from(ANNOTATIONS_OCTETS_MAX - whole * each - 74).unwrap();
    let inbox = Some(mailbox(&account, "INBOX").await);
    for (octets, fits) in [(left - 1, true), (left, true), (left + 1, false)] {
        let answer = set(&account, inbox, "/private/z", Some(&value[..octets])).await;
        assert_eq!(answer.is_ok(), fits, "{octets}");
        assert!(fits || matches!(answer, Err(StoreError::OverQuota)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_between_two_moments_is_told() {
    let house = House::new();
    let account = house.account(ANN).await;
    let inbox = Some(mailbox(&account, "INBOX").await);
    for text in ["/private/same", "/private/other", "/private/gone"] {
        put(&account, inbox, text, "1").await;
    }
    let before = account.annotations().unwrap();
    put(&account, inbox, "/private/other", "2").await;
    put(&account, None, "/shared/new", "1").await;
    set(&account, inbox, "/private/gone", None).await.unwrap();
    let after = account.annotations().unwrap();
    let changed: Vec<String> =
        after.changed_since(&before).map(|(place, name)| format!("{}{name}", place.is_some())).collect();
    assert_eq!(changed, ["false/shared/new", "true/private/other", "true/private/gone"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_annotations_that_are_not_those_of_the_log() {
    let (house, _) = lived_in().await;
    let House { store, clock, data } = house;
    store.close().await.unwrap();
    let connection = storage::rusqlite::Connection::open(data.path().join("accounts/1/index.db")).unwrap();
    for damage in [
        "UPDATE annotations SET value = x'6b' WHERE mailbox = 0",
        "DELETE FROM annotations WHERE name = '/private/comment'",
        "INSERT INTO annotations VALUES(0, '/private/extra', 1, x'')",
    ] {
        assert_eq!(connection.execute(damage, []).unwrap(), 1, "{damage}");
    }
    drop(connection);
    let store = open(data.path(), &clock);
    let faults = store.verify().await.unwrap();
    for what in ["is not what", "is only", "is not in"] {
        let is_found = |text: &str| text.contains("annotation") && text.contains(what);
        assert!(faults.iter().any(|fault| is_found(&fault.text)), "{what}: {faults:#?}");
    }
    store.rebuild(Some(ANN)).await.unwrap();
    assert_sound(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_annotations_and_lets_them_be_taken_away() {
    let (house, _) = lived_in().await;
    let House { store, clock, data } = house;
    store.close().await.unwrap();
    let mut settings = crate::house::settings();
    settings.packs.free_octets_min = 1 << 60;
    let store = mailstore::Store::open(data.path(), settings, clock).unwrap();
    let account = store.account(ANN).await.unwrap();
    let more = set(&account, None, "/private/more", Some(b"x")).await;
    assert!(matches!(more, Err(StoreError::Full)));
    set(&account, None, "/shared/comment", None).await.unwrap();
    assert_eq!(account.annotations().unwrap().of(None).count(), 0);
}
