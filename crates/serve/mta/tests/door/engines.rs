//! Others' engines at the door: milters through whole sessions, scanners after them, and all that can go wrong with both.

mod changes;
mod failures;
mod fake;
mod scanners;

use mta::{EngineSettings, Listener, MilterSettings, Settings};

use self::fake::{FakeMilter, Script};
use super::house::{House, settings};
use crate::foundation::Peer;

/// A house with these milters.
fn house(milters: &[&FakeMilter]) -> House {
    house_with(MilterSettings {
        places: milters.iter().map(|milter| milter.place()).collect(),
        ..MilterSettings::default()
    })
}

fn house_with(milters: MilterSettings) -> House {
    House::with(Settings { engines: EngineSettings { milters, ..EngineSettings::default() }, ..settings() })
}

/// Brings a message from a stranger; the last reply.
async fn bring(peer: &mut Peer, message: &str) -> String {
    assert_eq!(peer.say("MAIL FROM:<someone@elsewhere.example>").await, "250 2.1.0 Sender ok");
    assert_eq!(peer.say("RCPT TO:<ann@example.org>").await, "250 2.1.5 Recipient ok");
    assert!(peer.say("DATA").await.starts_with("354"));
    peer.say(&format!("{message}.")).await
}

async fn greeted(house: &House) -> Peer {
    let mut peer = house.connect(Listener::Relay);
    assert!(peer.reply().await.starts_with("220"));
    assert!(peer.say("EHLO client.example").await.starts_with("250"));
    peer
}

const MESSAGE: &str = "From: someone@elsewhere.example\r\nSubject: hello\r\n\r\ntext\r\n";

#[tokio::test]
async fn a_milter_sees_the_whole_session() {
    let milter = FakeMilter::start(Script::default());
    let house = house(&[&milter]);
    let mut peer = greeted(&house).await;
    assert_eq!(peer.say("NONSENSE").await, "500 5.5.1 Command not recognised");
    assert_eq!(peer.say("MAIL FROM:<a@b.example> SIZE=9").await, "250 2.1.0 Sender ok");
    assert_eq!(peer.say("RCPT TO:<nobody@example.org>").await, "550 5.1.1 No such mailbox here");
    assert_eq!(peer.say("RSET").await, "250 2.0.0 Reset");
    assert_eq!(bring(&mut peer, MESSAGE).await, "250 2.0.0 Kept as 0000000000000002");
    assert_eq!(peer.say("QUIT").await, "221 2.0.0 Bye");
    peer.expect_end().await;
    milter.wait_for("Q").await;
    let heard = milter.heard();
    let expected = [
        "O",
        "DC j=mail.example.org _=[192.0.2.1] daemon_name=smtp if_name=mail.example.org v=mailstead 0.1.0 \
         client_addr=192.0.2.1 client_name=unknown client_port=4711 client_ptr=unknown client_connections=1",
        "C [192.0.2.1]|4..192.0.2.1|",
        "H client.example|",
        "U NONSENSE|",
        "DM i=0000000000000001 mail_mailer=esmtp mail_host=b.example mail_addr=a@b.example",
        "M <a@b.example>|SIZE=9|",
        "DR rcpt_mailer=error rcpt_host=5.1.1 rcpt_addr=No such mailbox here b=Then r=ESMTP s=client.example",
        "R <nobody@example.org>|",
        "A",
        "DM i=0000000000000002 mail_mailer=esmtp mail_host=elsewhere.example mail_addr=someone@elsewhere.example",
        "M <someone@elsewhere.example>|",
        "DR rcpt_mailer=local rcpt_host=example.org rcpt_addr=ann@example.org b=Then r=ESMTP s=client.example",
        "R <ann@example.org>|",
        "DT i=0000000000000002",
        "T",
        "L From| someone@elsewhere.example|",
        "L Subject| hello|",
        "DN i=0000000000000002",
        "N",
        "B text..",
        "DE i=0000000000000002",
        "E",
        "Q",
    ];
    for (heard, expected) in heard.iter().zip(expected) {
        assert_eq!(without_date(heard), expected);
    }
    assert_eq!(heard.len(), expected.len(), "{heard:?}");
}

/// Macros with another date.
fn without_date(heard: &str) -> String {
    match heard.split_once(" b=").and_then(|(before, date)| Some((before, date.split_once(" r=")?.1))) {
        Some((before, after)) => format!("{before} b=Then r={after}"),
        None => heard.to_owned(),
    }
}

#[tokio::test]
async fn what_milters_say_is_counted() {
    let milter = FakeMilter::start(Script::default().answering(b'E', &[b"hX-A\0 b\0", b"c"]));
    let refuses = FakeMilter::start(Script::default().answering(b'M', &[b"r"]));
    let house_of = |milter: &FakeMilter| house(&[milter]);
    let (changed, refused) = (house_of(&milter), house_of(&refuses));
    assert!(bring(&mut greeted(&changed).await, MESSAGE).await.starts_with("250"));
    assert!(greeted(&refused).await.say("MAIL FROM:<a@b.example>").await.starts_with("550"));
    for (house, milter, asked, verdict) in
        [(&changed, &milter, 7, "changed"), (&refused, &refuses, 4, "refused")]
    {
        let told = house.metrics.render();
        let engine = milter.place();
        for line in [
            format!("mailstead_engine_asked_total{{engine=\"{engine}\",outcome=\"answered\"}} {asked}"),
            format!("mailstead_engine_asked_total{{engine=\"{engine}\",outcome=\"failed\"}} 0"),
            format!("mailstead_engine_verdicts_total{{engine=\"{engine}\",verdict=\"{verdict}\"}} 1"),
            format!("mailstead_engine_verdicts_total{{engine=\"{engine}\",verdict=\"passed\"}} 0"),
            format!("mailstead_engine_seconds_count{{engine=\"{engine}\"}} {asked}"),
        ] {
            assert!(told.contains(&line), "{line}\n{told}");
        }
    }
}

#[tokio::test]
async fn each_client_has_a_connection_to_a_milter() {
    let milter = FakeMilter::start(Script::default());
    let house = house(&[&milter]);
    for count in 1..=2 {
        let mut peer = greeted(&house).await;
        assert!(bring(&mut peer, MESSAGE).await.starts_with("250"));
        assert!(bring(&mut peer, MESSAGE).await.starts_with("250"));
        peer.say("QUIT").await;
        peer.expect_end().await;
        milter.wait_for("Q").await;
        milter.forget();
        assert_eq!(milter.connections(), count);
    }
}

#[tokio::test]
async fn tls_and_log_in_are_told() {
    let milter = FakeMilter::start(Script::default());
    let house = house(&[&milter]);
    let mut peer = house.connect_ann().await;
    assert_eq!(peer.say("MAIL FROM:<ann@example.org>").await, "250 2.1.0 Sender ok");
    let heard = milter.heard();
    let hello = heard.iter().find(|line| line.starts_with("DH")).unwrap();
    assert!(hello.starts_with("DH tls_version=TLSv1.3 cipher=TLS"), "{hello}");
    assert!(hello.contains(" cipher_bits=256"), "{hello}");
    let sender = heard.iter().find(|line| line.starts_with("DM")).unwrap();
    assert!(sender.contains(" auth_type=PLAIN auth_authen=ann@example.org "), "{sender}");
}

#[tokio::test]
async fn starttls_begins_the_session_anew() {
    let milter = FakeMilter::start(Script::default());
    let house = house(&[&milter]);
    let mut peer = house.connect(Listener::Relay);
    peer.reply().await;
    peer.say("EHLO client.example").await;
    peer.say("MAIL FROM:<a@b.example>").await;
    peer.dialogue("C: STARTTLS\nS: 220 2.0.0 Ready to start TLS\ntls").await;
    peer.say("EHLO client.example").await;
    assert!(bring(&mut peer, MESSAGE).await.starts_with("250"));
    let heard = milter.heard();
    let order: String = heard.iter().filter(|line| !line.starts_with('D')).map(|line| &line[..1]).collect();
    assert_eq!(order, "OCHMAHMRTLLNBE");
    assert!(heard.iter().any(|line| line.starts_with("DH tls_version=TLSv1.3")));
}

#[tokio::test]
async fn chunks_come_as_data() {
    let milter = FakeMilter::start(Script::default());
    let house = house(&[&milter]);
    let mut peer = greeted(&house).await;
    peer.say("MAIL FROM:<a@b.example>").await;
    peer.say("RCPT TO:<ann@example.org>").await;
    assert!(peer.say("BDAT 12\r\nSubject: a").await.starts_with("250"));
    assert!(peer.say("BDAT 5 LAST\r\n\r\nb").await.starts_with("250 2.0.0 Kept"));
    let heard = milter.heard();
    assert!(heard.iter().any(|line| line == "T"), "{heard:?}");
    assert!(heard.iter().any(|line| line == "L Subject| a|"), "{heard:?}");
}

#[tokio::test]
async fn a_milter_refuses_in_its_own_words() {
    let words = b"y554 5.7.1 Not on a Thursday, 100%%\0";
    for (stage, refused) in [
        (b'C', "connection"),
        (b'H', "EHLO"),
        (b'U', "NONSENSE"),
        (b'M', "MAIL"),
        (b'R', "RCPT"),
        (b'T', "DATA"),
        (b'L', "message"),
        (b'N', "message"),
        (b'B', "message"),
        (b'E', "message"),
    ] {
        let milter = FakeMilter::start(Script::default().answering(stage, &[words]));
        let house = house(&[&milter]);
        let mut peer = house.connect(Listener::Relay);
        let mut replies = vec![("connection", peer.reply().await)];
        if refused == "connection" {
            assert_eq!(replies[0].1, "554 5.7.1 Not on a Thursday, 100%");
            peer.expect_end().await;
            continue;
        }
        for (name, line) in [
            ("EHLO", "EHLO client.example"),
            ("NONSENSE", "NONSENSE"),
            ("MAIL", "MAIL FROM:<a@b.example>"),
            ("RCPT", "RCPT TO:<ann@example.org>"),
            ("DATA", "DATA"),
            ("message", &format!("{MESSAGE}.")),
        ] {
            replies.push((name, peer.say(line).await));
            if name == refused && name != "NONSENSE" {
                break;
            }
        }
        let said = &replies.iter().find(|(name, _)| *name == refused).unwrap().1;
        assert_eq!(said, "554 5.7.1 Not on a Thursday, 100%", "{}", char::from(stage));
        assert!(house.only_filings().len() == usize::from(refused == "NONSENSE"));
    }
}

#[tokio::test]
async fn who_says_421_hangs_up() {
    for (stage, answer, expected) in [
        (b'M', &b"y421 4.7.0 Away with you\0"[..], "421 4.7.0 Away with you"),
        (b'M', b"4", "421 4.7.0 No service here; come again later"),
        (b'E', b"4", "421 4.7.0 No service here; come again later"),
    ] {
        let milter = FakeMilter::start(Script::default().answering(stage, &[answer]));
        let house = house(&[&milter]);
        let mut peer = greeted(&house).await;
        let mut said = peer.say("MAIL FROM:<a@b.example>").await;
        if stage == b'E' {
            peer.say("RCPT TO:<ann@example.org>").await;
            peer.say("DATA").await;
            said = peer.say(&format!("{MESSAGE}.")).await;
        }
        assert_eq!(said, expected);
        peer.expect_end().await;
    }
}

#[tokio::test]
async fn a_refused_message_does_not_come_by_the_back_door() {
    let milter = FakeMilter::start(Script::default().answering(b'T', &[b"t"]));
    let house = house(&[&milter]);
    let mut peer = greeted(&house).await;
    peer.say("MAIL FROM:<a@b.example>").await;
    peer.say("RCPT TO:<ann@example.org>").await;
    assert_eq!(peer.say("DATA").await, "451 4.7.1 Not now; try again later");
    assert_eq!(peer.say("DATA").await, "503 5.5.1 Need MAIL first");
    assert!(house.only_filings().is_empty());
}
