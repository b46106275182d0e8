//! Making, renaming, removing mailboxes; subscriptions.

use mail_types::{MailboxName, SpecialUse, Uid};
use mailstore::{Account, StoreError};

use crate::house::{ANN, House, assert_sound, fill, mailbox, name};

async fn names(account: &Account) -> String {
    let list = account.mailboxes().await.unwrap();
    let names: Vec<&str> = list.mailboxes.iter().map(|mailbox| mailbox.name.as_str()).collect();
    names.join(" ")
}

/// An account with INBOX alone.
async fn bare(house: &House) -> Account {
    let account = house.account(ANN).await;
    for special_use in SpecialUse::ALL {
        account.delete_mailbox(&name(special_use.default_name())).await.unwrap();
    }
    account
}

#[tokio::test]
async fn superior_names_come_with_the_first_below() {
    let house = House::new();
    let account = bare(&house).await;
    account.create_mailbox(&name("a/b/c"), None).await.unwrap();
    assert_eq!(names(&account).await, "INBOX a a/b a/b/c");
    let again = account.create_mailbox(&name("a/b"), None).await;
    assert!(matches!(again, Err(StoreError::MailboxExists)));
    let inbox = account.create_mailbox(&name("inbox"), None).await;
    assert!(matches!(inbox, Err(StoreError::MailboxExists)));
    account.create_mailbox(&name("Inbox/x"), Some(SpecialUse::Sent)).await.unwrap();
    let taken = account.create_mailbox(&name("y"), Some(SpecialUse::Sent)).await;
    assert!(matches!(taken, Err(StoreError::NotAllowed(_))));
}

#[tokio::test]
async fn a_removed_mailbox_leaves_those_below() {
    let house = House::new();
    let account = bare(&house).await;
    account.create_mailbox(&name("a/b"), None).await.unwrap();
    account.delete_mailbox(&name("a")).await.unwrap();
    assert_eq!(names(&account).await, "INBOX a/b");
    let list = account.mailboxes().await.unwrap();
    assert_eq!(list.superiors_without_mailbox().into_iter().collect::<Vec<_>>(), [name("a")]);
    assert!(matches!(account.delete_mailbox(&name("a")).await, Err(StoreError::NoSuchMailbox)));
    let inbox = account.delete_mailbox(&MailboxName::inbox()).await;
    assert!(matches!(inbox, Err(StoreError::NotAllowed(_))));
}

#[tokio::test]
async fn a_name_used_again_has_another_uid_validity() {
    let house = House::new();
    let account = bare(&house).await;
    let mut last = 0;
    for _ in 0..3 {
        let id = account.create_mailbox(&name("again"), None).await.unwrap();
        let validity = account.mailboxes().await.unwrap().by_id(id).unwrap().uid_validity.0;
        assert!(validity > last);
        last = validity;
        account.delete_mailbox(&name("again")).await.unwrap();
    }
}

#[tokio::test]
async fn a_rename_takes_those_below_along_and_keeps_identity() {
    let house = House::new();
    let account = bare(&house).await;
    let id = account.create_mailbox(&name("a/b"), None).await.unwrap();
    fill(&house.store, &account, id, 0, 3).await;
    let before = account.mailboxes().await.unwrap().by_id(id).unwrap().clone();
    account.rename_mailbox(&name("a"), &name("x/y")).await.unwrap();
    assert_eq!(names(&account).await, "INBOX x x/y x/y/b");
    let after = account.mailboxes().await.unwrap().by_id(id).unwrap().clone();
    assert_eq!((after.uid_validity, after.uid_next, after.messages), (before.uid_validity, Uid(4), 3));
    for (from, to) in [("x", "x/z"), ("x/y", "x/y")] {
        assert!(account.rename_mailbox(&name(from), &name(to)).await.is_err(), "{from} to {to}");
    }
    assert!(matches!(
        account.rename_mailbox(&name("none"), &name("q")).await,
        Err(StoreError::NoSuchMailbox)
    ));
    let taken = account.rename_mailbox(&name("x/y"), &name("inbox")).await;
    assert!(matches!(taken, Err(StoreError::MailboxExists)));
    // A name without a mailbox can be renamed for what is below it.
    account.delete_mailbox(&name("x/y")).await.unwrap();
    account.rename_mailbox(&name("x/y"), &name("w")).await.unwrap();
    assert_eq!(names(&account).await, "INBOX w/b x");
    account.rename_mailbox(&name("x"), &name("w")).await.unwrap();
    assert_eq!(names(&account).await, "INBOX w w/b");
    let house = house.reopened().await;
    assert_eq!(names(&house.account(ANN).await).await, "INBOX w w/b");
    assert_sound(&house.store).await;
}

#[tokio::test]
async fn a_rename_does_not_run_over_what_is_there() {
    let house = House::new();
    let account = bare(&house).await;
    account.create_mailbox(&name("a/c"), None).await.unwrap();
    account.create_mailbox(&name("b/c"), None).await.unwrap();
    account.delete_mailbox(&name("b")).await.unwrap();
    let over = account.rename_mailbox(&name("a"), &name("b")).await;
    assert!(matches!(over, Err(StoreError::MailboxExists)));
    let long = format!("{}/c", "x".repeat(1_021));
    account.create_mailbox(&name("d/e/f"), None).await.unwrap();
    let too_long = account.rename_mailbox(&name("d"), &name(&long)).await;
    assert!(matches!(too_long, Err(StoreError::NotAllowed(_))));
    assert_eq!(names(&account).await, "INBOX a a/c b/c d d/e d/e/f");
}

#[tokio::test]
async fn renaming_inbox_empties_it_into_the_new_mailbox() {
    let house = House::new();
    let account = bare(&house).await;
    let inbox = mailbox(&account, "INBOX").await;
    account.create_mailbox(&name("INBOX/below"), None).await.unwrap();
    fill(&house.store, &account, inbox, 0, 5).await;
    account.rename_mailbox(&MailboxName::inbox(), &name("old/mail")).await.unwrap();
    assert_eq!(names(&account).await, "INBOX INBOX/below old old/mail");
    let list = account.mailboxes().await.unwrap();
    assert_eq!(list.by_id(inbox).unwrap().messages, 0);
    assert_eq!(list.by_name(&name("old/mail")).unwrap().messages, 5);
    let exists = account.rename_mailbox(&MailboxName::inbox(), &name("old")).await;
    assert!(matches!(exists, Err(StoreError::MailboxExists)));
    assert_sound(&house.store).await;
}

#[tokio::test]
async fn subscriptions_are_to_names() {
    let house = House::new();
    let account = bare(&house).await;
    account.unsubscribe(&name("Trash")).await.unwrap();
    account.unsubscribe(&name("Trash")).await.unwrap();
    account.subscribe(&name("nowhere")).await.unwrap();
    let house = house.reopened().await;
    let account = house.account(ANN).await;
    let list = account.mailboxes().await.unwrap();
    let subscribed: Vec<&str> = list.subscriptions.iter().map(MailboxName::as_str).collect();
    assert_eq!(subscribed, ["Archive", "Drafts", "INBOX", "Junk", "Sent", "nowhere"]);
    account.create_mailbox(&name("nowhere"), None).await.unwrap();
    let list = account.mailboxes().await.unwrap();
    assert!(list.by_name(&name("nowhere")).unwrap().is_subscribed);
}
