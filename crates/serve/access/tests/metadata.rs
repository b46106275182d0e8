//! Annotations of mailboxes and of the server: asked for, set, told of, bounded (RFC 5464, RFC 9590).

mod house;

use house::{House, with_word};

#[tokio::test]
async fn annotations_are_kept_at_mailboxes_and_at_the_server() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client
        .play(
            r#"C: a1 SETMETADATA INBOX (/private/comment "My own comment" /Shared/Vendor/X/Color "red")
               S: a1 OK SETMETADATA completed
               C: a2 GETMETADATA INBOX (/shared/vendor/x/color /private/comment)
               S: * METADATA INBOX (/private/comment "My own comment" /shared/vendor/x/color "red")
               S: a2 OK GETMETADATA completed
               C: a3 GETMETADATA "" /private/comment
               S: * METADATA "" (/private/comment NIL)
               S: a3 OK GETMETADATA completed
               C: a4 SETMETADATA "" (/private/comment "Home")
               S: a4 OK SETMETADATA completed
               C: a5 GETMETADATA "" /PRIVATE/comment
               S: * METADATA "" (/private/comment "Home")
               S: a5 OK GETMETADATA completed
               C: a6 SETMETADATA INBOX (/private/comment NIL /private/never NIL)
               S: a6 OK SETMETADATA completed
               C: a7 GETMETADATA INBOX /private/comment
               S: * METADATA INBOX (/private/comment NIL)
               S: a7 OK GETMETADATA completed
               C: a8 GETMETADATA Nowhere /private/comment
               S: a8 NO [NONEXISTENT] No such mailbox
               C: a9 SETMETADATA Nowhere (/private/comment "x")
               S: a9 NO [NONEXISTENT] No such mailbox"#,
        )
        .await;
    let mut bob = house.person("bob").await;
    bob.play(
        r#"C: b1 GETMETADATA "" /private/comment
           S: * METADATA "" (/private/comment NIL)
           S: b1 OK GETMETADATA completed"#,
    )
    .await;
}

#[tokio::test]
async fn depth_and_size_choose_what_is_told() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client
        .play(
            r#"C: a1 SETMETADATA INBOX (/private/f/v "1" /private/f/v/small "22" /private/f/v/small/x "333" /private/f/vv "4")
               S: a1 OK SETMETADATA completed
               C: a2 GETMETADATA (DEPTH 1) INBOX /private/f/v
               S: * METADATA INBOX (/private/f/v "1" /private/f/v/small "22")
               S: a2 OK GETMETADATA completed
               C: a3 GETMETADATA (DEPTH infinity MAXSIZE 2) INBOX /private/f
               S: * METADATA INBOX (/private/f NIL /private/f/v "1" /private/f/v/small "22" /private/f/vv "4")
               S: a3 OK [METADATA LONGENTRIES 3] GETMETADATA completed
               C: a4 GETMETADATA (DEPTH infinity) INBOX /shared
               S: a4 OK GETMETADATA completed
               C: a5 GETMETADATA INBOX (MAXSIZE 0) (/private/f/v)
               S: a5 OK [METADATA LONGENTRIES 1] GETMETADATA completed
               C: a6 GETMETADATA Sent (/private/specialuse)
               S: * METADATA "Sent" (/private/specialuse "\\Sent")
               S: a6 OK GETMETADATA completed
               C: a7 SETMETADATA Sent (/private/specialuse "\\Junk")
               S: a7 NO [NOPERM] CREATE says what a mailbox is for
               C: a8 GETMETADATA (DEPTH infinity) Sent /private
               S: * METADATA "Sent" (/private/specialuse "\\Sent")
               S: a8 OK GETMETADATA completed"#,
        )
        .await;
}

#[tokio::test]
async fn list_tells_annotations() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client
        .play(
            r#"C: a1 SETMETADATA Sent (/private/color "blue" /private/long "longer")
               S: a1 OK SETMETADATA completed
               C: a2 LIST "" (Sent Trash) RETURN (METADATA (/private/color))
               S: * LIST (\HasNoChildren \Sent) "/" "Sent"
               S: * METADATA "Sent" (/private/color "blue")
               S: * LIST (\HasNoChildren \Trash) "/" "Trash"
               S: * METADATA "Trash" (/private/color NIL)
               S: a2 OK LIST completed
               C: a3 LIST "" Sent RETURN (METADATA (MAXSIZE 4) (/private/color /private/long))
               S: * LIST (\HasNoChildren \Sent) "/" "Sent"
               S: * METADATA "Sent" (/private/color "blue")
               S: a3 OK [METADATA LONGENTRIES 6] LIST completed"#,
        )
        .await;
}

#[tokio::test]
async fn annotations_follow_their_mailbox_and_go_with_it() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.command("a1 CREATE Work").await;
    client.command("a2 SETMETADATA Work (/private/comment \"kept\")").await;
    client
        .play(
            r#"C: a3 RENAME Work Play
               S: a3 OK RENAME completed
               C: a4 GETMETADATA Play /private/comment
               S: * METADATA "Play" (/private/comment "kept")
               S: a4 OK GETMETADATA completed
               C: a5 DELETE Play
               S: a5 OK DELETE completed"#,
        )
        .await;
    client.command("a6 CREATE Play").await;
    client
        .play(
            r#"C: a7 GETMETADATA Play /private/comment
               S: * METADATA "Play" (/private/comment NIL)
               S: a7 OK GETMETADATA completed"#,
        )
        .await;
}

#[tokio::test]
async fn who_asks_hears_of_what_others_change() {
    let house = House::new().await;
    let (mut one, mut other) = (house.ann().await, house.ann().await);
    other.command("a SETMETADATA INBOX (/private/old \"1\")").await;
    one.play(
        r#"C: e ENABLE METADATA
           S: * ENABLED METADATA
           S: e OK ENABLE completed"#,
    )
    .await;
    other.command("b SETMETADATA INBOX (/private/old NIL /private/new \"1\")").await;
    other.command("c SETMETADATA \"\" (/shared/comment \"1\")").await;
    one.play(
        r#"C: n NOOP
           S: * METADATA "" /shared/comment
           S: * METADATA INBOX /private/new /private/old
           S: n OK NOOP completed
           C: o SETMETADATA INBOX (/private/own "1")
           S: o OK SETMETADATA completed
           C: i IDLE
           S: + Idling"#,
    )
    .await;
    other.command("d SETMETADATA Sent (/private/comment \"x\")").await;
    assert_eq!(one.line().await, "* METADATA \"Sent\" /private/comment");
    one.play("C: DONE\n S: i OK IDLE completed").await;
    let quiet = other.command("q NOOP").await;
    assert!(with_word(&quiet, "METADATA").is_empty(), "only who asked hears of changes: {quiet:?}");
}

#[tokio::test]
async fn annotations_have_bounds() {
    let house = House::new().await;
    let mut client = house.ann().await;
    let set =
        |octets: usize| format!("SETMETADATA INBOX (/private/a {{{octets}+}}\r\n{})", "x".repeat(octets));
    let answer = client.command(&format!("a1 {}", set(65_535))).await;
    assert_eq!(answer, ["a1 OK SETMETADATA completed"]);
    let answer = client.command(&format!("a2 {}", set(65_536))).await;
    assert_eq!(answer, ["a2 OK SETMETADATA completed"]);
    for number in 2..=64 {
        let answer = client.command(&format!("b SETMETADATA INBOX (/private/{number} \"\")")).await;
        assert_eq!(answer, ["b OK SETMETADATA completed"]);
    }
    client
        .play(
            r#"C: c SETMETADATA INBOX (/private/more "")
               S: c NO [METADATA TOOMANY] Too many annotations
               C: d SETMETADATA INBOX (/private/2 NIL /private/more "")
               S: d OK SETMETADATA completed"#,
        )
        .await;
    // The mailbox has taken one such value: fourteen more fit.
    let mut refused = Vec::new();
    for number in 0..16 {
        let value = "x".repeat(65_536);
        let answer =
            client.command(&format!("e SETMETADATA \"\" (/private/{number} {{65536+}}\r\n{value})")).await;
        refused.extend(answer.into_iter().filter(|line| line.contains("NO ")));
    }
    assert_eq!(refused, ["e NO [OVERQUOTA] Quota exceeded"; 2]);
}
