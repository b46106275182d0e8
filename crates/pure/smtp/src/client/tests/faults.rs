//! Servers that break off, talk before they are asked, or never stop.

use mail_types::Verdict;

use super::*;

const BROKEN: Reply = Reply::fixed(451, (4, 4, 2), "The connection broke off");

fn greeted() -> Talk {
    let mut talk = Talk::new(settings());
    talk.script("S: 220 x\nC: EHLO client.example\nS: 250-x|250 PIPELINING");
    talk
}

/// Whoever can put octets before the server's could answer for it, and every reply would be taken for the next one's.
#[test]
fn an_answer_before_its_question_is_none() {
    let mut out = Vec::new();
    let mut client = Client::new(settings());
    let error = client.on_octets(b"220 x\r\n250 mallory\r\n", &mut out).unwrap_err();
    assert!(matches!(error, ClientError::Unasked));
    // What was read with the last reply is given again, and has not become an answer by then.
    let mut client = Client::new(settings());
    client.on_octets(b"220 x\r\n", &mut out).unwrap();
    let (used, step) = client.on_octets(b"250-x\r\n250 PIPELINING\r\n250 sender ok\r\n", &mut out).unwrap();
    assert_eq!(step, ClientStep::Ready(Readiness::Ready));
    client.send(&order(&["a@example.org"]), &mut out);
    let rest = &b"250-x\r\n250 PIPELINING\r\n250 sender ok\r\n"[used..];
    assert!(matches!(client.on_octets(rest, &mut out), Err(ClientError::Unasked)));
    // Half a reply is as much too early as a whole one.
    let mut client = Client::new(settings());
    client.on_octets(b"220 x\r\n", &mut out).unwrap();
    client.on_octets(b"250-x\r\n250 PIPELINING\r\n", &mut out).unwrap();
    client.on_octets(b"25", &mut out).unwrap();
    client.send(&order(&["a@example.org"]), &mut out);
    assert!(matches!(client.on_octets(b"0 ok\r\n", &mut out), Err(ClientError::Unasked)));
}

/// What breaks off between the word STARTTLS and the first reply within TLS is TLS, whatever breaks it.
#[test]
fn it_is_known_when_tls_is_what_breaks() {
    let mut talk = Talk::new(Settings { starttls: StartTlsUse::WhenOffered, ..settings() });
    talk.script("S: 220 x\nC: EHLO client.example");
    assert!(!talk.client.is_securing());
    talk.script("S: 250-x|250 STARTTLS\nC: STARTTLS");
    assert!(talk.client.is_securing());
    talk.script("S: 220 go");
    talk.step = talk.client.on_tls_started(&mut talk.out);
    assert!(talk.client.is_securing() && talk.client.is_encrypted());
    talk.script("C: EHLO client.example\nS: 250 x");
    assert!(!talk.client.is_securing() && talk.client.is_encrypted());
    let mut talk = Talk::new(Settings { starttls: StartTlsUse::WhenOffered, ..settings() });
    talk.script("S: 220 x\nC: EHLO client.example\nS: 250-x|250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 not now");
    assert_eq!(talk.step, ClientStep::Ready(Readiness::Ready));
    assert!(!talk.client.is_securing() && !talk.client.is_encrypted());
    assert_eq!(talk.client.starttls_refusal().map(|reply| reply.code.value()), Some(454));
}

#[test]
fn a_server_may_close_whenever_it_likes() {
    // While nothing was asked.
    let mut talk = greeted();
    let closing = talk.client.on_octets(b"421 4.4.2 idle too long\r\n", &mut talk.out);
    assert!(matches!(closing, Err(ClientError::Closing(_))));
    assert_eq!(talk.client.broken_off(BROKEN), None);
    // With the last answer.
    let mut talk = greeted();
    talk.send(&order(&["a@example.org"]));
    talk.out.clear();
    talk.script("S: 250 ok|250 ok|354 go on");
    talk.step = talk.client.data_sent();
    let wire = b"250 kept\r\n421 enough\r\n";
    let (used, step) = talk.client.on_octets(wire, &mut talk.out).unwrap();
    assert!(matches!(step, ClientStep::Done(_)), "the message is theirs");
    let closing = talk.client.on_octets(&wire[used..], &mut talk.out);
    assert!(matches!(closing, Err(ClientError::Closing(_))));
}

/// LMTP tells one recipient after the other: who was told has it, whatever comes then.
#[test]
fn what_was_said_before_the_end_holds() {
    let mut talk = Talk::new(Settings { protocol: Protocol::Lmtp, ..settings() });
    talk.script("S: 220 x\nC: LHLO client.example\nS: 250-x|250 PIPELINING");
    talk.send(&order(&["a@example.org", "b@example.org", "c@example.org"]));
    talk.out.clear();
    talk.script("S: 250 ok|250 ok|550 no such user|250 ok|354 go on");
    talk.step = talk.client.data_sent();
    talk.script("S: 250 kept");
    let error = talk.client.on_octets(b"421 4.3.2 going down\r\n", &mut talk.out).unwrap_err();
    let ClientError::Closing(last) = error else { panic!("{error:?}") };
    talk.step = ClientStep::Done(talk.client.broken_off(last).unwrap());
    assert_eq!(talk.codes(), [250, 550, 421]);
    assert_eq!(talk.client.broken_off(BROKEN), None);
}

#[test]
fn a_refused_sender_stays_refused_when_the_connection_breaks() {
    let mut talk = greeted();
    talk.send(&order(&["a@example.org", "b@example.org"]));
    talk.out.clear();
    talk.script("S: 550 5.7.1 not you");
    talk.step = ClientStep::Done(talk.client.broken_off(BROKEN).unwrap());
    assert_eq!(talk.codes(), [550, 550]);
    let mut talk = greeted();
    talk.send(&order(&["a@example.org"]));
    talk.step = ClientStep::Done(talk.client.broken_off(BROKEN).unwrap());
    assert_eq!(talk.codes(), [451]);
}

/// A server out of step must not make us believe that it has a message it never saw.
#[test]
fn only_the_message_itself_can_be_accepted() {
    let mut talk = greeted();
    talk.send(&order(&["a@example.org", "b@example.org"]));
    talk.out.clear();
    talk.script("S: 250 ok|250 ok|550 no|250 what?\nC: RSET\nS: 250 ok");
    assert_eq!(talk.codes(), [451, 550]);
    for reply in ["354 go on", "334 go on"] {
        let mut talk = greeted();
        talk.send(&order(&["a@example.org"]));
        talk.out.clear();
        talk.script("S: 250 ok|250 ok|354 go on");
        talk.step = talk.client.data_sent();
        talk.script(&format!("S: {reply}"));
        let ClientStep::Done(Outcome::Answered(answers)) = &talk.step else { panic!("{:?}", talk.step) };
        assert_eq!(answers.replies[0].verdict(), Verdict::Later);
    }
    let mut talk = greeted();
    talk.send(&order(&["a@example.org"]));
    let kept = Reply::fixed(250, (2, 0, 0), "Kept");
    talk.step = ClientStep::Done(talk.client.broken_off(kept).unwrap());
    assert_eq!(talk.codes(), [451]);
}

/// A server that refuses MAIL speaks of us; one that refuses RCPT, of the recipient.
#[test]
fn who_was_refused_is_told() {
    for (replies, is_sender_refused) in [
        ("S: 451 too much|503 no|503 no\nC: RSET\nS: 250 ok", true),
        ("S: 250 ok|451 greylisted|503 no\nC: RSET\nS: 250 ok", false),
    ] {
        let mut talk = greeted();
        talk.send(&order(&["a@example.org"]));
        talk.out.clear();
        talk.script(replies);
        let ClientStep::Done(Outcome::Answered(answers)) = &talk.step else { panic!("{:?}", talk.step) };
        assert_eq!((answers.is_sender_refused, answers.replies[0].code.value()), (is_sender_refused, 451));
    }
}

#[test]
fn a_refused_chunk_is_known_before_the_next() {
    let mut talk = Talk::new(Settings { chunking: ChunkingUse::WhenOffered, ..settings() });
    talk.script("S: 220 x\nC: EHLO client.example\nS: 250-x|250 CHUNKING");
    talk.send(&order(&["a@example.org"]));
    talk.out.clear();
    talk.script("S: 250 ok\nC: RCPT TO:<a@example.org>\nS: 250 ok");
    let heard = talk.client.replies_heard();
    assert!(!talk.client.awaits_reply() && !talk.client.is_refused());
    talk.client.write_chunk_header(5, ChunkPlace::Middle, &mut talk.out);
    talk.out.clear();
    assert!(talk.client.awaits_reply());
    talk.script("S: 552 5.3.4 too large");
    assert!(!talk.client.awaits_reply() && talk.client.is_refused());
    assert_eq!(talk.client.replies_heard(), heard + 1);
    talk.client.write_chunk_header(0, ChunkPlace::Last, &mut talk.out);
    talk.out.clear();
    talk.script("S: 503 5.5.1 RSET first");
    assert_eq!(talk.codes(), [552]);
}

#[test]
fn essays_about_recipients_are_cut() {
    for octets in [ANSWER_OCTETS_MAX - 1, ANSWER_OCTETS_MAX, ANSWER_OCTETS_MAX + 1] {
        let mut talk = greeted();
        talk.send(&order(&["a@example.org", "b@example.org"]));
        talk.out.clear();
        talk.script(&format!("S: 250 ok|550 {}|250 ok|354 go on", "x".repeat(octets)));
        talk.step = talk.client.data_sent();
        talk.script(&format!("S: 554 ü{}", "x".repeat(octets)));
        let ClientStep::Done(Outcome::Answered(answers)) = &talk.step else { panic!("{:?}", talk.step) };
        assert_eq!(answers.replies[0].text.len(), octets.min(ANSWER_OCTETS_MAX));
        assert_eq!(answers.replies[1].text.len(), (octets + 2).min(ANSWER_OCTETS_MAX));
    }
}

#[test]
fn a_dot_behind_a_lone_cr_is_doubled() {
    let mut wire = Vec::new();
    let mut writer = DataWriter::default();
    writer.write(b"a\r", &mut wire);
    writer.write(b".\r", &mut wire);
    writer.write(b"\n.\nQUIT", &mut wire);
    writer.finish(&mut wire);
    assert_eq!(wire, b"a\r\n..\r\n..\r\nQUIT\r\n.\r\n");
}
