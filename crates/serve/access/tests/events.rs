//! What clients do to messages is told to who runs scripts on it (RFC 6785 §2.2).

mod house;

use house::House;
use mailstore::{EventCause, MailboxEvent};

/// What was heard since the last time: cause and messages.
fn heard(house: &House) -> Vec<String> {
    let events = house.heard();
    let line = |event: &MailboxEvent| {
        let uids: Vec<String> = event.uids.iter().map(|uid| uid.0.to_string()).collect();
        let cause = match &event.cause {
            EventCause::Append => "append".to_owned(),
            EventCause::Copy { .. } => "copy".to_owned(),
            EventCause::Flag(flags) => format!("flag {}", flags.join(" ")),
        };
        format!("{} {cause}: {}", event.mailbox, uids.join(","))
    };
    events.iter().map(line).collect()
}

#[tokio::test]
async fn appends_copies_moves_and_flags_are_told() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append_many("INBOX", 3).await;
    let appended = heard(&house);
    assert_eq!(appended.len(), 3);
    let (inbox, _) = appended[0].split_once(' ').unwrap();
    assert!(appended[2].ends_with(" append: 3"), "{appended:?}");
    for command in ["SELECT INBOX", "FETCH 1:3 (UID FLAGS)", "SEARCH ALL"] {
        client.command(&format!("a {command}")).await;
    }
    assert_eq!(heard(&house), [""; 0], "who reads changes nothing");
    client.command("b STORE 1:2 +FLAGS.SILENT (\\Flagged $Label)").await;
    assert_eq!(heard(&house), [format!("{inbox} flag \\Flagged $Label: 1,2")]);
    client.command("c STORE 2:3 FLAGS (\\Flagged \\Seen)").await;
    let changed = heard(&house);
    assert_eq!(
        changed,
        [format!("{inbox} flag \\Flagged \\Seen: 3"), format!("{inbox} flag \\Seen $Label: 2")]
    );
    client.command("d STORE 3 +FLAGS (\\Seen)").await;
    assert_eq!(heard(&house), [""; 0], "nothing has changed");
    client.command("e COPY 1:2 Archive").await;
    client.command("f MOVE 3 Archive").await;
    let copied = heard(&house);
    let there: Vec<&str> = copied.iter().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(there, ["copy: 1,2", "copy: 3"]);
    client.command("g COPY 1 Nowhere").await;
    client.command("h EXPUNGE").await;
    assert_eq!(heard(&house), [""; 0]);
}
