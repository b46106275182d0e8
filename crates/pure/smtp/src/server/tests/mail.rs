//! Transactions: MAIL, RCPT, DATA, BDAT, and the bounds on them.

use super::super::*;
use super::dialogue::{Door, settings};

#[test]
fn a_message_comes_in() {
    let door = Door::dialogue(
        "
        S: 220 mail.example.org ESMTP mailstead
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<ann@example.org>
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<bob@example.org>
        S: 250 2.1.5 Recipient ok
        C: RCPT TO:<unknown@example.org>
        S: 550 5.1.1 No such user
        C: RCPT TO:<Postmaster>
        S: 250 2.1.5 Recipient ok
        C: DATA
        S: 354 End with a dot on a line of its own
        C: Subject: test
        C:
        C: ..a dot
        C: .
        S: 250 2.0.0 Kept
        C: QUIT
        S: 221 2.0.0 Bye
        closed
    ",
    );
    assert_eq!(door.only_message(), "Subject: test\r\n\r\n.a dot\r\n");
    let (envelope, _) = &door.delivered()[0];
    assert_eq!(envelope.reverse_path.to_string(), "ann@example.org");
    let recipients: Vec<String> =
        envelope.recipients.iter().map(|recipient| recipient.forward_path.to_string()).collect();
    assert_eq!(recipients, ["bob@example.org", "Postmaster"]);
}

#[test]
fn everything_may_be_pipelined() {
    let door = Door::dialogue(
        "
        S: 220 mail.example.org ESMTP mailstead
        C: HELO client.example
        C: MAIL FROM:<>
        C: RCPT TO:<bob@example.org>
        C: DATA
        C: one
        C: .
        C: MAIL FROM:<>
        C: RCPT TO:<bob@example.org>
        C: DATA
        C: .
        C: QUIT
        S: 250 mail.example.org
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 354 End with a dot on a line of its own
        S: 250 2.0.0 Kept
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 354 End with a dot on a line of its own
        S: 250 2.0.0 Kept
        S: 221 2.0.0 Bye
    ",
    );
    assert_eq!(door.delivered().len(), 2);
    assert!(door.delivered()[1].1.octets.is_empty());
}

#[test]
fn a_batch_after_a_refused_sender_is_no_heap_of_errors() {
    Door::dialogue(
        "
        S: 220 mail.example.org ESMTP mailstead
        C: HELO client.example
        C: MAIL FROM:<banned@example.org>
        C: RCPT TO:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: DATA
        S: 250 mail.example.org
        S: 550 5.7.1 Not you
        S: 503 5.5.1 Need MAIL first
        S: 503 5.5.1 Need MAIL first
        S: 503 5.5.1 Need MAIL first
        C: NOOP
        S: 250 2.0.0 Nothing done
    ",
    );
}

#[test]
fn recipients_have_a_bound() {
    let mut door = Door::greeted(settings());
    door.say("MAIL FROM:<>");
    for _ in 0..settings().recipients_max {
        assert_eq!(door.say("RCPT TO:<bob@example.org>"), "250 2.1.5 Recipient ok\r\n");
    }
    assert_eq!(door.say("RCPT TO:<bob@example.org>"), "452 4.5.3 Too many recipients\r\n");
    assert!(door.say("DATA").starts_with("354"));
    assert_eq!(door.feed(b".\r\n"), "250 2.0.0 Kept\r\n");
}

#[test]
fn who_tries_names_does_not_get_far() {
    let mut door = Door::greeted(settings());
    door.say("MAIL FROM:<>");
    for _ in 1..settings().refused_recipients_max {
        assert_eq!(door.say("RCPT TO:<unknown@example.org>"), "550 5.1.1 No such user\r\n");
    }
    assert_eq!(
        door.say("RCPT TO:<unknown@example.org>"),
        "550 5.1.1 No such user\r\n421 4.7.0 Too many refused recipients\r\n"
    );
    assert!(door.is_closed());
}

#[test]
fn transactions_have_a_bound() {
    let mut door = Door::greeted(settings());
    for _ in 0..settings().transactions_max {
        assert_eq!(door.say("MAIL FROM:<>"), "250 2.1.0 Sender ok\r\n");
        door.say("RSET");
    }
    assert_eq!(door.say("MAIL FROM:<>"), "421 4.7.0 Too many messages in one session\r\n");
    assert!(door.is_closed());
}

#[test]
fn announced_size_is_checked() {
    let mut door = Door::greeted(settings());
    assert_eq!(door.say("MAIL FROM:<> SIZE=1001"), "552 5.3.4 Message too large\r\n");
    assert_eq!(door.say("MAIL FROM:<> SIZE=1000"), "250 2.1.0 Sender ok\r\n");
}

#[test]
fn actual_size_is_checked_and_the_rest_read_over() {
    for (octets, reply) in [(998, "250 2.0.0 Kept\r\n"), (999, "552 5.3.4 Message too large\r\n")] {
        let mut door = Door::greeted(settings());
        door.feed(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n");
        assert_eq!(door.feed(format!("{}\r\n.\r\n", "x".repeat(octets)).as_bytes()), reply);
        assert_eq!(door.say("NOOP"), "250 2.0.0 Nothing done\r\n");
    }
    let mut door = Door::greeted(settings());
    door.feed(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n");
    assert_eq!(door.feed(&b"MAIL FROM:<x@y.example>\r\n".repeat(1_000)), "");
    assert_eq!(door.feed(b".\r\n"), "552 5.3.4 Message too large\r\n");
    assert!(door.delivered().is_empty());
}

#[test]
fn utf8_needs_its_parameter() {
    let mut door = Door::greeted(settings());
    assert_eq!(door.say("MAIL FROM:<ännchen@example.org>"), "553 5.6.7 Address needs SMTPUTF8\r\n");
    assert_eq!(door.say("MAIL FROM:<ann@example.org>"), "250 2.1.0 Sender ok\r\n");
    assert_eq!(door.say("RCPT TO:<bøb@example.org>"), "553 5.6.7 Address needs SMTPUTF8\r\n");
    assert_eq!(door.say("RCPT TO:<bob@bücher.example>"), "553 5.6.7 Address needs SMTPUTF8\r\n");
    door.say("RSET");
    assert_eq!(door.say("MAIL FROM:<ännchen@example.org> SMTPUTF8"), "250 2.1.0 Sender ok\r\n");
    assert_eq!(door.say("RCPT TO:<bøb@bücher.example>"), "250 2.1.5 Recipient ok\r\n");
    door.feed(b"DATA\r\n.\r\n");
}

#[test]
fn parameters_not_offered_are_refused() {
    let mut door = Door::greeted(settings());
    assert_eq!(door.say("MAIL FROM:<> RET=HDRS"), "555 5.5.4 Parameter not recognised\r\n");
    assert_eq!(door.say("MAIL FROM:<> AUTH=<>"), "555 5.5.4 Parameter not recognised\r\n");
    assert_eq!(door.say("MAIL FROM:<> SIZE=x"), "501 5.5.4 Bad parameter value\r\n");
    door.say("MAIL FROM:<>");
    assert_eq!(door.say("RCPT TO:<bob@example.org> NOTIFY=NEVER"), "555 5.5.4 Parameter not recognised\r\n");
}

#[test]
fn chunks_make_a_message() {
    let door = Door::dialogue(
        "
        S: 220 mail.example.org ESMTP mailstead
        C: EHLO client.example
        C: RSET
        S: 250-mail.example.org
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250-STARTTLS
        S: 250 LIMITS RCPTMAX=5 MAILMAX=6
        S: 250 2.0.0 Reset
        C: MAIL FROM:<ann@example.org>
        C: RCPT TO:<bob@example.org>
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        C: BDAT 9
        c: .\\r\\n.\\r\\nab\\r
        S: 250 2.0.0 Chunk received
        C: BDAT 3
        c: \\ncd
        S: 250 2.0.0 Chunk received
        C: DATA
        S: 503 5.5.1 Go on with BDAT or say RSET
        C: RCPT TO:<bob@example.org>
        S: 503 5.5.1 Go on with BDAT or say RSET
        C: BDAT 0 LAST
        S: 250 2.0.0 Kept
    ",
    );
    assert_eq!(door.only_message(), ".\r\n.\r\nab\r\ncd");
}

#[test]
fn binary_needs_chunks_and_passes_as_it_is() {
    let mut door = Door::greeted(settings());
    door.feed(b"MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<bob@example.org>\r\n");
    assert_eq!(door.say("DATA"), "503 5.5.1 BODY=BINARYMIME needs BDAT\r\n");
    assert_eq!(door.feed(b"BDAT 8 LAST\r\n\r\n.\r\n\0\r\n"), "250 2.0.0 Kept\r\n");
    assert_eq!(door.only_message(), "\r\n.\r\n\0\r\n");
}

#[test]
fn a_chunked_message_has_the_same_bound() {
    let mut door = Door::greeted(settings());
    door.feed(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n");
    door.feed(format!("BDAT 600\r\n{}", "x".repeat(600)).as_bytes());
    assert_eq!(
        door.feed(format!("BDAT 401\r\n{}", "x".repeat(401)).as_bytes()),
        "552 5.3.4 Message too large\r\n"
    );
    assert_eq!(door.feed(b"BDAT 4 LAST\r\nQUIT"), "503 5.5.1 The transaction has failed; say RSET\r\n");
    assert_eq!(door.say("MAIL FROM:<>"), "503 5.5.1 The transaction has failed; say RSET\r\n");
    assert_eq!(door.say("RSET"), "250 2.0.0 Reset\r\n");
    assert_eq!(door.say("MAIL FROM:<>"), "250 2.1.0 Sender ok\r\n");
    assert!(door.delivered().is_empty());
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let lmtp = Settings { protocol: Protocol::Lmtp, ..settings() };
    let mut door = Door::greeted(lmtp.clone());
    door.outcome = vec![Reply::fixed(250, (2, 0, 0), "Kept"), Reply::fixed(452, (4, 2, 2), "Mailbox full")];
    let batch = b"MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nRCPT TO:<unknown@example.org>\r\nRCPT TO:<b@example.org>\r\n";
    door.feed(batch);
    assert_eq!(
        door.feed(b"DATA\r\n.\r\n"),
        "354 End with a dot on a line of its own\r\n250 2.0.0 Kept\r\n452 4.2.2 Mailbox full\r\n"
    );
    door.feed(batch);
    assert_eq!(door.feed(b"BDAT 2 LAST\r\n\r\n"), "250 2.0.0 Kept\r\n452 4.2.2 Mailbox full\r\n");
    door.feed(batch);
    let too_large = format!("BDAT 1001 LAST\r\n{}", "x".repeat(1_001));
    assert_eq!(door.feed(too_large.as_bytes()), "552 5.3.4 Message too large\r\n".repeat(2));
    // RFC 2033 §4.2: no valid recipient, no DATA.
    let mut door = Door::greeted(lmtp);
    assert_eq!(
        door.feed(b"MAIL FROM:<>\r\nDATA\r\n"),
        "250 2.1.0 Sender ok\r\n503 5.5.1 Need RCPT first\r\n"
    );
}
