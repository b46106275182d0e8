//! clamd, spamd and rspamd as they answer, and as they fail.

use std::time::Duration;

use mta::{
    AtFinding, ClamdSettings, EngineListeners, EnginePlace, EngineSettings, OnEngineFailure, RspamdSettings,
    ScannerSettings, Settings, SpamdSettings,
};

use super::fake::scanner;
use super::{MESSAGE, bring, greeted};
use crate::door::house::{House, settings};

fn scanner_settings(place: EnginePlace, on_failure: OnEngineFailure) -> ScannerSettings {
    ScannerSettings {
        place,
        listeners: EngineListeners { smtp: true, submission: false, lmtp: true },
        on_failure,
        timeout: Duration::from_millis(500),
        octets_max: 1_000_000,
        connections_max: 2,
    }
}

fn house(engines: EngineSettings) -> House {
    House::with(Settings { engines, ..settings() })
}

fn clamd(place: EnginePlace, on_failure: OnEngineFailure, at_virus: AtFinding) -> EngineSettings {
    let scanner = scanner_settings(place, on_failure);
    EngineSettings { clamd: Some(ClamdSettings { scanner, at_virus }), ..EngineSettings::default() }
}

fn spamd(place: EnginePlace, on_failure: OnEngineFailure, at_spam: AtFinding) -> EngineSettings {
    let scanner = scanner_settings(place, on_failure);
    let spamd = SpamdSettings { scanner, factor: 1.0, user: Some("ann".into()), at_spam };
    EngineSettings { spamd: Some(spamd), ..EngineSettings::default() }
}

fn rspamd(place: EnginePlace, follows_actions: bool) -> EngineSettings {
    let scanner = scanner_settings(place, OnEngineFailure::Defer);
    let rspamd = RspamdSettings { scanner, factor: 1.0, follows_actions };
    EngineSettings { rspamd: Some(rspamd), ..EngineSettings::default() }
}

fn is_asked_of_clamd(octets: &[u8]) -> bool {
    octets == b"zVERSION\0" || (octets.starts_with(b"zINSTREAM\0") && octets.ends_with(&[0; 4]))
}

fn is_message(octets: &[u8]) -> bool {
    octets.ends_with(b"text\r\n")
}

/// clamd with one answer to messages.
fn clamd_saying(answer: &'static [u8]) -> impl Fn(&[u8]) -> Vec<u8> {
    move |asked| if asked == b"zVERSION\0" { b"ClamAV 1.0/1\0".to_vec() } else { answer.to_vec() }
}

#[tokio::test]
async fn a_virus_is_refused_or_filed_as_junk() {
    for (at_virus, expected) in [
        (AtFinding::Reject, "550 5.7.1 A virus was found in the message"),
        (AtFinding::Junk, "250 2.0.0 Kept as 0000000000000001"),
        (AtFinding::Points, "250 2.0.0 Kept as 0000000000000001"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (place, _) = scanner(&folder, is_asked_of_clamd, clamd_saying(b"stream: Eicar FOUND\0"));
        let house = house(clamd(place, OnEngineFailure::Defer, at_virus));
        let mut peer = greeted(&house).await;
        let message = format!("Message-ID: <1@example.com>\r\n{MESSAGE}");
        assert_eq!(bring(&mut peer, &message).await, expected);
        // Whoever is asked why it was refused finds it.
        let way = &house.ways()[0];
        assert!(way.checks.iter().any(|line| line == "clamd: Eicar"), "{way:?}");
        assert_eq!(way.message_id.as_deref(), Some("<1@example.com>"));
    }
}

#[tokio::test]
async fn the_same_content_is_scanned_once() {
    let folder = tempfile::tempdir().unwrap();
    let (place, asked) = scanner(&folder, is_asked_of_clamd, clamd_saying(b"stream: OK\0"));
    let house = house(clamd(place, OnEngineFailure::Defer, AtFinding::Reject));
    let mut peer = greeted(&house).await;
    let to_another = format!("To: bob@example.org\r\n{MESSAGE}");
    let as_page = format!("Content-Type: text/html\r\n{MESSAGE}");
    let otherwise = format!("Reply-To: eve@example.net\r\n{MESSAGE}");
    // Another type is another content, whatever the body, and so is what signatures of fraud look at.
    for (message, scanned) in
        [(MESSAGE, 1), (to_another.as_str(), 1), (as_page.as_str(), 2), (otherwise.as_str(), 3), (MESSAGE, 3)]
    {
        assert!(bring(&mut peer, message).await.starts_with("250"));
        assert_eq!(scans(&asked.lock()), scanned, "{message}");
    }
}

#[tokio::test]
async fn what_is_found_in_one_message_is_looked_for_in_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (place, asked) = scanner(&folder, is_asked_of_clamd, clamd_saying(b"stream: Fraud.Header FOUND\0"));
    let house = house(clamd(place, OnEngineFailure::Defer, AtFinding::Reject));
    let mut peer = greeted(&house).await;
    for scanned in 1..=2 {
        assert!(bring(&mut peer, MESSAGE).await.starts_with("550"));
        assert_eq!(scans(&asked.lock()), scanned);
    }
}

/// Messages that clamd was given.
fn scans(asked: &[Vec<u8>]) -> usize {
    asked.iter().filter(|asked| asked.starts_with(b"zINSTREAM")).count()
}

#[tokio::test]
async fn a_scanner_that_fails() {
    let nowhere = EnginePlace::Unix("/nonexistent/x.sock".into());
    for answer in [&b""[..], b"stream: OK", b"nonsense\0", b"stream: Out of memory ERROR\0"] {
        let folder = tempfile::tempdir().unwrap();
        let (place, _) = scanner(&folder, is_asked_of_clamd, clamd_saying(answer));
        for place in [place, nowhere.clone()] {
            let defers = house(clamd(place.clone(), OnEngineFailure::Defer, AtFinding::Reject));
            let said = bring(&mut greeted(&defers).await, MESSAGE).await;
            assert_eq!(said, "451 4.3.0 A filter does not answer; try again later");
            let no_answer = |house: &House| {
                house.ways()[0].checks.iter().any(|line| line.starts_with("clamd: no answer"))
            };
            assert!(no_answer(&defers));
            let passes = house(clamd(place, OnEngineFailure::Pass, AtFinding::Reject));
            assert!(bring(&mut greeted(&passes).await, MESSAGE).await.starts_with("250"));
            assert!(no_answer(&passes));
        }
    }
    // One that listens and says nothing at all.
    let folder = tempfile::tempdir().unwrap();
    let (place, _) = scanner(&folder, |_| false, |_| Vec::new());
    let passes = house(spamd(place, OnEngineFailure::Pass, AtFinding::Reject));
    assert!(bring(&mut greeted(&passes).await, MESSAGE).await.starts_with("250"));
}

#[tokio::test]
async fn what_is_too_large_for_a_scanner_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (place, asked) =
        scanner(&folder, is_asked_of_clamd, clamd_saying(b"INSTREAM size limit exceeded. ERROR\0"));
    let mut engines = clamd(place, OnEngineFailure::Defer, AtFinding::Reject);
    let house_of = |engines: &EngineSettings| house(engines.clone());
    assert!(bring(&mut greeted(&house_of(&engines)).await, MESSAGE).await.starts_with("250"));
    for (spare, is_asked) in [(1, true), (0, true), (-1, false)] {
        asked.lock().clear();
        let octets_max = MESSAGE.len() as u64;
        engines.clamd.as_mut().unwrap().scanner.octets_max = octets_max.saturating_add_signed(spare);
        assert!(bring(&mut greeted(&house_of(&engines)).await, MESSAGE).await.starts_with("250"));
        assert_eq!(!asked.lock().is_empty(), is_asked);
    }
}

#[tokio::test]
async fn spamd_says_spam() {
    let answer = b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 12.0 / 5.0\r\n\r\nBAYES_99,URIBL\r\n";
    for (at_spam, expected) in [
        (AtFinding::Reject, "550 5.7.1 Refused as spam"),
        (AtFinding::Junk, "250 2.0.0 Kept as 0000000000000001"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (place, asked) = scanner(&folder, is_message, |_| answer.to_vec());
        let house = house(spamd(place, OnEngineFailure::Defer, at_spam));
        assert_eq!(bring(&mut greeted(&house).await, MESSAGE).await, expected);
        let asked = String::from_utf8(asked.lock()[0].clone()).unwrap();
        let (head, message) = asked.split_once("\r\n\r\n").unwrap();
        assert_eq!(head, format!("SYMBOLS SPAMC/1.5\r\nContent-length: {}\r\nUser: ann", message.len()));
        assert!(
            message.starts_with("Return-Path: <someone@elsewhere.example>\r\nReceived: from client.example")
        );
        if at_spam == AtFinding::Junk {
            let line = "spamd: 12.0 of 5.0: BAYES_99, URIBL";
            assert!(house.ways()[0].checks.iter().any(|check| check == line), "{:?}", house.ways()[0].checks);
        }
    }
}

#[tokio::test]
async fn rspamd_is_told_of_the_session_and_followed() {
    fn json(action: &str) -> Vec<u8> {
        let body = format!(
            "{{\"score\":9.5,\"required_score\":15,\"action\":\"{action}\",\"symbols\":{{\"A\":{{\"score\":9.5}}}},\
             \"milter\":{{\"add_headers\":{{\"X-Spamd-Result\":{{\"value\":\"default: 9.5\\n Bcc: x\",\"order\":1}}}}}}}}"
        );
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }
    for (action, follows, expected) in [
        ("no action", true, "250 2.0.0 Kept as"),
        ("add header", true, "250 2.0.0 Kept as"),
        ("reject", true, "550 5.7.1 Refused as spam"),
        ("soft reject", true, "451 4.7.1 Not now; try again later"),
        ("discard", true, "250 2.0.0 Taken as"),
        ("reject", false, "250 2.0.0 Kept as"),
        ("dance", true, "451 4.3.0 A filter does not answer"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (place, asked) = scanner(&folder, is_message, move |_| json(action));
        let house = house(rspamd(place, follows));
        let said = bring(&mut greeted(&house).await, MESSAGE).await;
        assert!(said.starts_with(expected), "{action}: {said}");
        let asked = String::from_utf8(asked.lock()[0].clone()).unwrap();
        for line in [
            "POST /checkv2 HTTP/1.1",
            "From: someone@elsewhere.example",
            "Rcpt: ann@example.org",
            "IP: 192.0.2.1",
            "Helo: client.example",
        ] {
            assert!(asked.contains(&format!("{line}\r\n")), "{line}: {asked}");
        }
        let verdict = match action {
            "no action" => "passed",
            "add header" => "spam",
            "reject" => "refused",
            "soft reject" => "later",
            "discard" => "discarded",
            _ => "none",
        };
        let told = house.metrics.render();
        let counted =
            format!("mailstead_engine_verdicts_total{{engine=\"rspamd\",verdict=\"{verdict}\"}} 1\n");
        let failed = "mailstead_engine_asked_total{engine=\"rspamd\",outcome=\"failed\"} 1\n";
        assert!(told.contains(if verdict == "none" { failed } else { &counted }), "{action}: {told}");
        if action == "add header" {
            let message = house.only_message().await;
            assert!(message.contains("X-Spamd-Result: default: 9.5 Bcc: x\r\n"), "{message}");
        }
    }
}

#[tokio::test]
async fn rspamd_writes_another_subject_and_takes_fields_away() {
    let folder = tempfile::tempdir().unwrap();
    let answer = br#"{"score":7,"required_score":15,"action":"rewrite subject","subject":"[spam] hello",
        "milter":{"remove_headers":{"X-Mark":1,"Received":0,"Return-Path":0}}}"#;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
    let said = [head.as_bytes(), answer].concat();
    let (place, _) = scanner(&folder, is_message, move |_| said.clone());
    let house = house(rspamd(place, true));
    let message = format!("Received: from far\r\nX-Mark: 1\r\nX-Mark: 2\r\n{MESSAGE}");
    let said = bring(&mut greeted(&house).await, &message).await;
    assert!(said.starts_with("250 2.0.0 Kept as"), "{said}");
    let message = house.only_message().await;
    assert!(message.starts_with("Return-Path: <someone@elsewhere.example>\r\nReceived: from client.example"));
    let expected = "Received: from far\r\nX-Mark: 2\r\nFrom: someone@elsewhere.example\r\n\
                    Subject: [spam] hello\r\n\r\ntext\r\n";
    assert!(message.ends_with(expected), "{message}");
}

#[tokio::test]
async fn mail_of_other_listeners_is_none_of_its_business() {
    let folder = tempfile::tempdir().unwrap();
    let (place, asked) = scanner(&folder, is_message, |_| Vec::new());
    let house = house(spamd(place, OnEngineFailure::Defer, AtFinding::Reject));
    let mut peer = house.connect_ann().await;
    peer.say("MAIL FROM:<ann@example.org>").await;
    peer.say("RCPT TO:<bob@example.org>").await;
    peer.say("DATA").await;
    assert!(peer.say("From: ann@example.org\r\n\r\ntext\r\n.").await.starts_with("250"));
    assert!(asked.lock().is_empty());
}
