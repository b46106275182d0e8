//! Making, naming, listing and counting mailboxes.

mod house;

use access::Settings;
use directory::Quota;
use house::{House, with_word};
use imap::Separator;

#[tokio::test]
async fn a_new_account_has_the_mailboxes_that_clients_look_for() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client
        .play(
            r#"C: a1 LIST "" *
               S: * LIST (\HasNoChildren \Archive) "/" "Archive"
               S: * LIST (\HasNoChildren \Drafts) "/" "Drafts"
               S: * LIST (\HasNoChildren) "/" INBOX
               S: * LIST (\HasNoChildren \Junk) "/" "Junk"
               S: * LIST (\HasNoChildren \Sent) "/" "Sent"
               S: * LIST (\HasNoChildren \Trash) "/" "Trash"
               S: a1 OK LIST completed
               C: a2 LIST "" ""
               S: * LIST (\Noselect) "/" ""
               S: a2 OK LIST completed
               C: a3 LIST (SPECIAL-USE) "" (Dra% S*) RETURN (SPECIAL-USE)
               S: * LIST (\HasNoChildren \Drafts) "/" "Drafts"
               S: * LIST (\HasNoChildren \Sent) "/" "Sent"
               S: a3 OK LIST completed"#,
        )
        .await;
}

#[tokio::test]
async fn mailboxes_are_made_renamed_and_deleted() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client
        .play(
            r#"C: a1 CREATE Work/2024/May/
               S: a1 OK [MAILBOXID (F…)] CREATE completed
               C: a2 CREATE Work/2024/May
               S: a2 NO [ALREADYEXISTS] Mailbox exists already
               C: a3 LIST "" Work*
               S: * LIST (\HasChildren) "/" "Work"
               S: * LIST (\HasChildren) "/" "Work/2024"
               S: * LIST (\HasNoChildren) "/" "Work/2024/May"
               S: a3 OK LIST completed
               C: a4 RENAME Work/2024 Play
               S: a4 OK RENAME completed
               C: a5 RENAME Work/2024 Play2
               S: a5 NO [NONEXISTENT] No such mailbox
               C: a6 DELETE Play
               S: a6 OK DELETE completed
               C: a7 LIST "" Play*
               S: * LIST (\NonExistent \Noselect \HasChildren) "/" "Play"
               S: * LIST (\HasNoChildren) "/" "Play/May"
               S: a7 OK LIST completed
               C: a8 SELECT Play
               S: a8 NO [NONEXISTENT] No such mailbox
               C: a9 DELETE INBOX
               S: a9 NO [CANNOT] …
               C: b1 DELETE Nowhere
               S: b1 NO [NONEXISTENT] No such mailbox
               C: b2 CREATE inbox
               S: b2 NO [ALREADYEXISTS] …
               C: b3 CREATE a//b
               S: b3 NO [CANNOT] …"#,
        )
        .await;
}

#[tokio::test]
async fn create_takes_a_special_use() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client
        .play(
            r#"C: a1 CREATE Everything (USE (\All))
               S: a1 NO [USEATTR] …
               C: a2 CREATE Two (USE (\Sent \Junk))
               S: a2 NO [USEATTR] …
               C: b1 CREATE Sent2 (USE (\Sent))
               S: b1 NO [USEATTR] …
               C: a3 DELETE Archive
               S: a3 OK DELETE completed
               C: a4 CREATE Old (USE (\Archive))
               S: a4 OK [MAILBOXID (F…)] CREATE completed
               C: a5 LIST "" Old
               S: * LIST (\HasNoChildren \Archive) "/" "Old"
               S: a5 OK LIST completed"#,
        )
        .await;
}

#[tokio::test]
async fn renaming_inbox_moves_its_messages_and_leaves_it() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append_many("INBOX", 2).await;
    client
        .play(
            r"C: a1 RENAME INBOX Saved
              S: a1 OK RENAME completed
              C: a2 STATUS INBOX (MESSAGES)
              S: * STATUS INBOX (MESSAGES 0)
              S: a2 OK STATUS completed
              C: a3 STATUS Saved (MESSAGES)
              S: * STATUS …Saved… (MESSAGES 2)
              S: a3 OK STATUS completed",
        )
        .await;
}

#[tokio::test]
async fn subscriptions_are_kept_apart_from_mailboxes() {
    let house = House::new().await;
    let mut client = house.ann().await;
    for name in ["INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"] {
        client.command(&format!("u UNSUBSCRIBE {name}")).await;
    }
    client
        .play(
            r#"C: a1 CREATE Fruit/Banana
               S: a1 OK …
               C: a2 SUBSCRIBE Fruit/Banana
               S: a2 OK SUBSCRIBE completed
               C: a3 SUBSCRIBE Fruit/Peach
               S: a3 OK SUBSCRIBE completed
               C: a4 LIST (SUBSCRIBED) "" *
               S: * LIST (\Subscribed \HasNoChildren) "/" "Fruit/Banana"
               S: * LIST (\NonExistent \Noselect \Subscribed \HasNoChildren) "/" "Fruit/Peach"
               S: a4 OK LIST completed
               C: a5 LIST (SUBSCRIBED) "" %
               S: a5 OK LIST completed
               C: a6 LIST (SUBSCRIBED RECURSIVEMATCH) "" %
               S: * LIST (\HasChildren) "/" "Fruit" ("CHILDINFO" ("SUBSCRIBED"))
               S: a6 OK LIST completed
               C: a7 LSUB "" %
               S: * LSUB (\Noselect) "/" "Fruit"
               S: a7 OK LSUB completed
               C: a8 LSUB "" *
               S: * LSUB () "/" "Fruit/Banana"
               S: * LSUB () "/" "Fruit/Peach"
               S: a8 OK LSUB completed
               C: a9 UNSUBSCRIBE Fruit/Peach
               S: a9 OK UNSUBSCRIBE completed
               C: b1 LIST "" Fruit/* RETURN (SUBSCRIBED CHILDREN)
               S: * LIST (\Subscribed \HasNoChildren) "/" "Fruit/Banana"
               S: b1 OK LIST completed
               C: b2 LIST (RECURSIVEMATCH) "" %
               S: b2 BAD …"#,
        )
        .await;
}

#[tokio::test]
async fn status_counts_without_selecting() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append("INBOX", "\\Seen", "Subject: 1\r\n\r\n12345\r\n").await;
    client.append("INBOX", "\\Deleted", "Subject: 2\r\n\r\n12345\r\n").await;
    client
        .play(
            "C: a1 STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN DELETED SIZE DELETED-STORAGE APPENDLIMIT)
             S: * STATUS INBOX (MESSAGES 2 RECENT 0 UIDNEXT 3 UNSEEN 1 DELETED 1 SIZE 42 APPENDLIMIT 52428800 DELETED-STORAGE 21)
             S: a1 OK STATUS completed
             C: a2 STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ MAILBOXID)
             S: * STATUS INBOX (UIDVALIDITY … HIGHESTMODSEQ … MAILBOXID (F…))
             S: a2 OK STATUS completed
             C: a3 STATUS Nowhere (MESSAGES)
             S: a3 NO [NONEXISTENT] No such mailbox",
        )
        .await;
    let answer = client.command("a4 LIST \"\" % RETURN (STATUS (MESSAGES))").await;
    assert_eq!(with_word(&answer, "LIST (").len(), 6, "{answer:?}");
    assert!(answer.contains(&"* STATUS INBOX (MESSAGES 2)".to_owned()), "{answer:?}");
    assert_eq!(with_word(&answer, "STATUS").len(), 6, "{answer:?}");
}

#[tokio::test]
async fn names_travel_as_utf7_until_utf8_is_enabled() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client
        .play(
            r#"C: a1 CREATE "Entw&APw-rfe"
               S: a1 OK …
               C: a2 LIST "" Entw*
               S: * LIST (\HasNoChildren) "/" "Entw&APw-rfe"
               S: a2 OK LIST completed
               C: a3 ENABLE IMAP4rev2
               S: * ENABLED IMAP4rev2
               S: a3 OK ENABLE completed
               C: a4 LIST "" Entw*
               S: * LIST (\HasNoChildren) "/" "Entwürfe"
               S: a4 OK LIST completed
               C: a5 STATUS "Entwürfe" (MESSAGES)
               S: * STATUS "Entwürfe" (MESSAGES 0)
               S: a5 OK STATUS completed"#,
        )
        .await;
}

#[tokio::test]
async fn the_separator_may_be_a_dot() {
    let settings = Settings { separator: Separator::Dot, ..Settings::default() };
    let house = House::with(settings, Quota::default()).await;
    let mut client = house.ann().await;
    client
        .play(
            r#"C: a1 CREATE Lists.rust
               S: a1 OK …
               C: a2 LIST "" Lists.%
               S: * LIST (\HasNoChildren) "." "Lists.rust"
               S: a2 OK LIST completed
               C: a3 NAMESPACE
               S: * NAMESPACE (("" ".")) NIL NIL
               S: a3 OK NAMESPACE completed
               C: a4 LIST "" Lists
               S: * LIST (\HasChildren) "." "Lists"
               S: a4 OK LIST completed"#,
        )
        .await;
}

#[tokio::test]
async fn quota_is_told_and_not_for_clients_to_change() {
    let quota = Quota { octets_max: Some(10_240), messages_max: Some(3) };
    let house = House::with(Settings::default(), quota).await;
    let mut client = house.ann().await;
    client.append("INBOX", "", &format!("Subject: 1\r\n\r\n{}\r\n", "x".repeat(2_000))).await;
    client
        .play(
            r#"C: a1 GETQUOTAROOT INBOX
               S: * QUOTAROOT INBOX ""
               S: * QUOTA "" (STORAGE 2 10 MESSAGE 1 3)
               S: a1 OK GETQUOTAROOT completed
               C: a2 GETQUOTA ""
               S: * QUOTA "" (STORAGE 2 10 MESSAGE 1 3)
               S: a2 OK GETQUOTA completed
               C: a3 GETQUOTA other
               S: a3 NO [NONEXISTENT] No such quota root
               C: a4 SETQUOTA "" (STORAGE 100000)
               S: a4 NO [NOPERM] Only the operator changes quotas
               C: a5 APPEND INBOX {9000}
               S: a5 NO [OVERQUOTA] Quota exceeded"#,
        )
        .await;
    client.append_many("INBOX", 2).await;
    client
        .play(
            "C: a6 SELECT INBOX
             S: * FLAGS …",
        )
        .await;
    client.until("a6").await;
    let answer = client.command("a7 COPY 1 Archive").await;
    assert_eq!(answer, ["a7 NO [OVERQUOTA] Quota exceeded"]);
    let answer = client.command("a8 MOVE 1 Archive").await;
    assert!(answer.last().unwrap().starts_with("a8 OK"), "{answer:?}");
}
