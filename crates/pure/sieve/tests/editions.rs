//! What always holds of messages under scripts' eyes, whatever the message is and whatever is done to it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod story;

use message::Span;
use proptest::prelude::*;
use sieve::message::{BodyTransform, Enclosure, Message, MessageLimits, Occurrence, Replacement, Side};

/// Something done to a message.
#[derive(Clone, Debug)]
enum Change {
    Add(bool, String, String),
    Delete(String, u64),
    Replace(usize, bool, String),
    Enclose(String),
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~äß€\r\n\t]{0,40}",
        Just("--a\r\n\r\nx\r\n--a--".to_owned()),
        Just("Content-Type: text/html\r\n\r\n<b>x".to_owned()),
        Just("=_enclosed_1_".to_owned()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Subject".to_owned()),
        Just("Content-Type".to_owned()),
        Just("X-A".to_owned()),
        "[!-9;-~]{1,12}",
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<bool>(), name(), words()).prop_map(|(top, name, text)| Change::Add(top, name, text)),
        (name(), 0..3_u64).prop_map(|(name, number)| Change::Delete(name, number)),
        (0..6_usize, any::<bool>(), words())
            .prop_map(|(part, is_mime, text)| Change::Replace(part, is_mime, text)),
        words().prop_map(Change::Enclose),
    ]
}

/// Lines that messages are made of, and others.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(b"Content-Type: multipart/mixed; boundary=a".to_vec()),
        Just(b"Content-Type: message/rfc822".to_vec()),
        Just(b"Content-Type: text/html".to_vec()),
        Just(b"Content-Transfer-Encoding: base64".to_vec()),
        Just(b"Subject: =?utf-8?q?a_b?=".to_vec()),
        Just(b"--a".to_vec()),
        Just(b"--a--".to_vec()),
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 0..30),
    ];
    (proptest::collection::vec(line, 0..24), any::<bool>(), any::<bool>()).prop_map(|(lines, crlf, ends)| {
        let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
        let mut octets = lines.join(end);
        if ends {
            octets.extend_from_slice(end);
        }
        octets
    })
}

fn open(octets: &[u8]) -> Message {
    Message::from_octets(octets, MessageLimits::default()).unwrap()
}

fn written(message: &Message) -> Vec<u8> {
    let edition = message.edition();
    edition.read(message.source(), Span::new(0, edition.octets())).unwrap()
}

fn carry_out(message: &mut Message, change: &Change) {
    match change {
        Change::Add(is_top, name, text) => {
            message.add_field(if *is_top { Side::Top } else { Side::Bottom }, name, text);
        }
        Change::Delete(name, 0) => drop(message.delete_fields(name, Occurrence::Any, |_| true)),
        Change::Delete(name, number) => {
            message.delete_fields(name, Occurrence::FromLast(*number), |field| field.text().len() != 1);
        }
        Change::Replace(part, is_mime, text) => {
            let replacement = Replacement { text, is_mime: *is_mime, subject: Some("s"), from: None };
            message.replace(*part, replacement).unwrap();
        }
        Change::Enclose(text) => {
            let headers = ["X-A".to_owned()];
            let enclosure = Enclosure { text, subject: None, headers: &headers, from: "a@b", date: "now" };
            message.enclose(&enclosure).unwrap();
        }
    }
}

/// Looks at all there is.
fn look(message: &Message) {
    let parts = message.part_count().unwrap();
    for part in 0..parts {
        let end = message.inside_end(part).unwrap();
        assert!(end > part && end <= parts);
        for field in message.part_header(part).unwrap().fields() {
            let _looked_at = (field.text(), field.casemap(), field.addresses().len());
        }
        let text = message.part_text(part, None).unwrap();
        assert!(text.starts_with(&message.part_text(part, Some(3)).unwrap()));
    }
    for transform in [BodyTransform::Raw, BodyTransform::Text, BodyTransform::Content(&[String::new()])] {
        message.body_texts(transform).unwrap();
    }
}

proptest! {
    #[test]
    fn a_message_that_is_only_looked_at_is_the_original(octets in octets()) {
        let message = open(&octets);
        look(&message);
        prop_assert!(!message.is_edited());
        prop_assert_eq!(message.octets(), octets.len() as u64);
        prop_assert_eq!(written(&message), octets);
    }

    #[test]
    fn an_edited_message_is_what_is_written(octets in octets(), changes in proptest::collection::vec(change(), 0..6)) {
        let mut message = open(&octets);
        for change in &changes {
            let before = message.edition().clone();
            let kept = before.read(message.source(), Span::new(0, before.octets())).unwrap();
            carry_out(&mut message, change);
            // What was taken before stays what it was.
            prop_assert_eq!(before.read(message.source(), Span::new(0, before.octets())).unwrap(), kept);
        }
        look(&message);
        let text = written(&message);
        prop_assert_eq!(message.octets(), text.len() as u64);
        prop_assert_eq!(message.edition().octets(), text.len() as u64);
    }

    #[test]
    fn one_added_field_is_one_field(octets in octets(), is_top: bool, name in name(), text in words()) {
        let mut message = open(&octets);
        let count = message.fields().count();
        carry_out(&mut message, &Change::Add(is_top, name.clone(), text));
        prop_assert_eq!(message.fields().count(), count + 1);
        let again = open(&written(&message));
        prop_assert_eq!(again.fields().count(), count + 1);
        prop_assert!(again.header().has(&name));
    }

    #[test]
    fn added_texts_are_read_as_they_were(text in "[ -~äß€\t\u{1}-\u{8}]{0,200}") {
        let mut message = open(b"A: b\r\n\r\n");
        message.add_field(Side::Top, "X-Test", &text);
        let again = open(&written(&message));
        let read: Vec<String> = again.named("X-Test").map(|field| field.text().to_owned()).collect();
        prop_assert_eq!(read, [text.trim_matches([' ', '\t'])]);
    }
}

#[test]
fn a_script_that_fails_leaves_the_message_as_it_came_to_it() {
    const LETTER: &str = "Subject: x\r\nA: b\r\n\r\nhi\r\n";
    let kept = |scripts: &[&str]| {
        let stages = scripts
            .iter()
            .map(|script| sieve::Stage { name: "x".to_owned(), script: story::compiled(script) });
        let mut message = Message::from_octets(LETTER.as_bytes(), MessageLimits::default()).unwrap();
        let stages: Vec<_> = stages.collect();
        let outcome = sieve::run(
            &stages,
            &mut message,
            &sieve::EmptyWorld,
            &story::everything(),
            sieve::Detail::Actions,
        );
        let edition = message.edition();
        let octets = edition.read(message.source(), Span::new(0, edition.octets())).unwrap();
        assert_eq!(outcome.is_edited, octets != LETTER.as_bytes());
        (story::words(&outcome), String::from_utf8(octets).unwrap())
    };
    let failing = "require [\"ihave\", \"replace\", \"editheader\", \"imap4flags\"];
        addflag \"\\\\Deleted\"; deleteheader \"subject\"; replace \"gone\"; error \"oh\";";
    assert_eq!(kept(&[failing]), ("keep | line 2: oh".to_owned(), LETTER.to_owned()));
    // What a script before it did stays.
    let before = "require [\"editheader\", \"imap4flags\"]; addheader \"X\" \"y\"; addflag \"\\\\Seen\";";
    let (words, octets) = kept(&[before, failing]);
    assert_eq!((words.as_str(), octets), ("keep [\\Seen] | line 2: oh", format!("X: y\r\n{LETTER}")));
}
