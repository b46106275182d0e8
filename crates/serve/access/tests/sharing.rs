//! Several sessions on one account: what each hears of the other, and when.

mod house;

use house::{Client, House, with_word};

async fn two(house: &House) -> (Client, Client) {
    let mut one = house.ann().await;
    one.append_many("INBOX", 4).await;
    let mut other = house.ann().await;
    for client in [&mut one, &mut other] {
        client.send("s SELECT INBOX\r\n").await;
        client.until("s").await;
    }
    (one, other)
}

#[tokio::test]
async fn idle_hears_of_everything_at_once() {
    let house = House::new().await;
    let (mut one, mut other) = two(&house).await;
    one.play("C: i IDLE\n S: + Idling").await;
    other.append("INBOX", "", "Subject: new\r\n\r\nnew\r\n").await;
    assert_eq!(one.line().await, "* 5 EXISTS");
    other.command("a STORE 2 +FLAGS (\\Seen)").await;
    assert_eq!(one.line().await, "* 2 FETCH (FLAGS (\\Seen))");
    other.command("b STORE 3 +FLAGS ($New \\Deleted)").await;
    assert!(one.line().await.starts_with("* FLAGS ("));
    assert!(one.line().await.starts_with("* OK [PERMANENTFLAGS ("));
    assert_eq!(one.line().await, "* 3 FETCH (FLAGS (\\Deleted $New))");
    other.command("c EXPUNGE").await;
    assert_eq!(one.line().await, "* 3 EXPUNGE");
    one.play("C: DONE\n S: i OK IDLE completed").await;
}

#[tokio::test]
async fn idle_ends_with_done_alone() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client
        .play(
            "C: a1 IDLE
             S: + Idling
             C: a2 NOOP
             S: a1 BAD DONE was expected
             C: a3 IDLE
             S: + Idling
             C: done
             S: a3 OK IDLE completed",
        )
        .await;
}

#[tokio::test]
async fn numbers_do_not_move_while_they_are_used() {
    let house = House::new().await;
    let (mut one, mut other) = two(&house).await;
    other.command("a STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    other.command("b EXPUNGE").await;
    other.append("INBOX", "", "Subject: new\r\n\r\nnew\r\n").await;
    one.play(
        r"C: a1 FETCH 3 UID
          S: * 3 FETCH (UID 3)
          S: * 5 EXISTS
          S: a1 OK FETCH completed
          C: a2 STORE 4 +FLAGS (\Seen)
          S: * 4 FETCH (FLAGS (\Seen))
          S: a2 OK STORE completed
          C: a3 SEARCH ALL
          S: * SEARCH 1 2 3 4 5
          S: a3 OK SEARCH completed
          C: a4 UID SEARCH 1:3
          S: * SEARCH 1 2 3
          S: a4 OK SEARCH completed
          C: a5 FETCH 2 (UID BODY.PEEK[])
          S: a5 NO [EXPUNGEISSUED] Some of the messages no longer exist
          C: a6 STORE 2 +FLAGS (\Seen)
          S: a6 NO [EXPUNGEISSUED] Some of the messages no longer exist
          C: a7 UID FETCH 2 (BODY.PEEK[])
          S: * 2 EXPUNGE
          S: a7 OK FETCH completed
          C: a8 FETCH 2 UID
          S: * 2 FETCH (UID 3)
          S: a8 OK FETCH completed",
    )
    .await;
}

#[tokio::test]
async fn noop_tells_what_others_did() {
    let house = House::new().await;
    let (mut one, mut other) = two(&house).await;
    other.command("a STORE 1:3 +FLAGS.SILENT (\\Deleted)").await;
    other.command("b EXPUNGE").await;
    other.command("c STORE 1 +FLAGS (\\Flagged)").await;
    one.play(
        r"C: a1 NOOP
          S: * 3 EXPUNGE
          S: * 2 EXPUNGE
          S: * 1 EXPUNGE
          S: * 1 FETCH (FLAGS (\Flagged))
          S: a1 OK NOOP completed
          C: a2 NOOP
          S: a2 OK NOOP completed",
    )
    .await;
}

#[tokio::test]
async fn silent_changes_of_ones_own_are_not_told_but_those_of_others_are() {
    let house = House::new().await;
    let (mut one, mut other) = two(&house).await;
    one.play(
        r"C: a1 STORE 1:2 +FLAGS.SILENT (\Seen)
          S: a1 OK STORE completed
          C: a2 NOOP
          S: a2 OK NOOP completed",
    )
    .await;
    other.play("C: b1 NOOP\n S: * 1 FETCH (FLAGS (\\Seen))\n S: * 2 FETCH (FLAGS (\\Seen))\n S: b1 OK NOOP completed").await;
    other.command("b2 STORE 3 +FLAGS.SILENT (\\Answered)").await;
    one.play(
        r"C: a3 STORE 4 +FLAGS.SILENT (\Seen)
          S: * 3 FETCH (FLAGS (\Answered))
          S: a3 OK STORE completed",
    )
    .await;
}

#[tokio::test]
async fn conditional_store_leaves_what_others_changed() {
    let house = House::new().await;
    let (mut one, mut other) = two(&house).await;
    let answer = one.command("a1 FETCH 1:4 (MODSEQ)").await;
    assert!(answer[0].starts_with("* OK [HIGHESTMODSEQ "), "{answer:?}");
    let modseq = answer[0].split(' ').nth(3).unwrap().trim_end_matches(']').to_owned();
    other.command("b1 STORE 2 +FLAGS (\\Answered)").await;
    one.play(&format!(
        r"C: a2 UID STORE 1:3 (UNCHANGEDSINCE {modseq}) +FLAGS.SILENT (\Seen)
          S: * 1 FETCH (UID 1 MODSEQ (…))
          S: * 3 FETCH (UID 3 MODSEQ (…))
          S: * 2 FETCH (UID 2 FLAGS (\Answered) MODSEQ (…))
          S: a2 OK [MODIFIED 2] …
          C: a3 STORE 4 (UNCHANGEDSINCE {modseq}) FLAGS (\Flagged)
          S: * 4 FETCH (UID 4 FLAGS (\Flagged) MODSEQ (…))
          S: a3 OK STORE completed"
    ))
    .await;
}

#[tokio::test]
async fn expunges_kept_back_keep_the_safe_mod_sequence_back() {
    let house = House::new().await;
    let (mut one, mut other) = two(&house).await;
    let answer = one.command("e ENABLE QRESYNC").await;
    let code = answer.iter().find(|line| line.contains("[HIGHESTMODSEQ ")).unwrap();
    let safe: u64 = code.split(' ').nth(3).unwrap().trim_end_matches(']').parse().unwrap();
    other.command("a STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    other.command("b EXPUNGE").await;
    one.play(&format!(
        r"C: a1 STORE 4 +FLAGS (\Seen)
          S: * 4 FETCH (UID 4 FLAGS (\Seen) MODSEQ (…))
          S: * OK [HIGHESTMODSEQ {safe}] …
          S: a1 OK STORE completed
          C: a2 STORE 4 +FLAGS.SILENT (\Flagged)
          S: * 4 FETCH (UID 4 MODSEQ (…))
          S: * OK [HIGHESTMODSEQ {safe}] …
          S: a2 OK STORE completed"
    ))
    .await;
    let answer = one.command("a3 NOOP").await;
    assert_eq!(answer[0], "* VANISHED 2");
    let settled: u64 = answer[1].split(' ').nth(3).unwrap().trim_end_matches(']').parse().unwrap();
    assert!(answer[1].starts_with("* OK [HIGHESTMODSEQ ") && settled > safe, "{answer:?}");
    one.play("C: a4 NOOP\n S: a4 OK NOOP completed").await;
}

#[tokio::test]
async fn qresync_brings_a_client_up_to_date() {
    let house = House::new().await;
    let mut one = house.ann().await;
    one.append_many("INBOX", 6).await;
    let answer = one.command("s SELECT INBOX (QRESYNC (1 1))").await;
    assert_eq!(answer, ["s BAD Say ENABLE QRESYNC first"]);
    one.command("e ENABLE QRESYNC").await;
    let answer = one.command("s SELECT INBOX").await;
    let code = |name: &str| {
        let line = answer.iter().find(|line| line.contains(name)).unwrap();
        line.split(' ').nth(3).unwrap().trim_end_matches(']').to_owned()
    };
    let (validity, modseq) = (code("[UIDVALIDITY "), code("[HIGHESTMODSEQ "));
    one.command("u UNSELECT").await;

    let mut other = house.ann().await;
    other.command("s SELECT INBOX").await;
    other.command("a STORE 2,4 +FLAGS.SILENT (\\Deleted)").await;
    other.command("b EXPUNGE").await;
    other.command("c STORE 1,4 +FLAGS.SILENT (\\Flagged)").await;

    let answer = one.command(&format!("s SELECT INBOX (QRESYNC ({validity} {modseq} 1:5))")).await;
    assert!(answer.contains(&"* VANISHED (EARLIER) 2,4".to_owned()), "{answer:?}");
    assert_eq!(with_word(&answer, "FETCH (UID 1 FLAGS (\\Flagged) MODSEQ (").len(), 1, "{answer:?}");
    assert_eq!(with_word(&answer, "FETCH").len(), 1, "UID 6 was not known: {answer:?}");

    // Samples that still hold say that nothing before them can have vanished unheard.
    let answer = one.command(&format!("s SELECT INBOX (QRESYNC ({validity} {modseq} 1:6 (1,2 1,3)))")).await;
    assert_eq!(with_word(&answer, "VANISHED"), ["* VANISHED (EARLIER) 4"], "{answer:?}");
    let answer = one.command("s SELECT INBOX (QRESYNC (999 1))").await;
    assert!(
        with_word(&answer, "VANISHED").is_empty() && with_word(&answer, "FETCH").is_empty(),
        "{answer:?}"
    );

    one.play(&format!(
        r"C: f UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)
          S: * VANISHED (EARLIER) 2,4
          S: * 1 FETCH (UID 1 FLAGS (\Flagged) MODSEQ (…))
          S: * 4 FETCH (UID 6 FLAGS (\Flagged) MODSEQ (…))
          S: f OK FETCH completed"
    ))
    .await;
    other.command("d STORE 1:2 +FLAGS.SILENT (\\Deleted)").await;
    other.command("e EXPUNGE").await;
    one.play(
        "C: n NOOP
         S: * VANISHED 1,3
         S: n OK NOOP completed",
    )
    .await;
    one.command("d STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    one.play(
        "C: x EXPUNGE
         S: * VANISHED 5
         S: x OK [HIGHESTMODSEQ …] EXPUNGE completed",
    )
    .await;
}

#[tokio::test]
async fn a_mailbox_deleted_by_another_session_ends_the_session() {
    let house = House::new().await;
    let (mut one, mut other) = two(&house).await;
    for client in [&mut one, &mut other] {
        client.command("c CREATE Shared").await;
        client.command("s SELECT Shared").await;
    }
    one.play("C: i IDLE\n S: + Idling").await;
    other.play("C: d DELETE Shared\n S: d OK DELETE completed\n C: n NOOP\n S: n OK NOOP completed").await;
    other.play("C: f FETCH 1 UID\n S: f BAD No mailbox is selected").await;
    one.play("S: * BYE Selected mailbox was deleted\n S: <closed>").await;
}

#[tokio::test]
async fn what_one_session_appends_the_other_finds() {
    let house = House::new().await;
    let (mut one, mut other) = two(&house).await;
    other.append("INBOX", "", "Subject: found\r\n\r\n\r\n").await;
    one.play(
        "C: a1 SEARCH SUBJECT found
         S: * SEARCH
         S: * 5 EXISTS
         S: a1 OK SEARCH completed
         C: a2 SEARCH SUBJECT found
         S: * SEARCH 5
         S: a2 OK SEARCH completed",
    )
    .await;
}
