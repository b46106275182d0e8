//! Octets as they arrive, and what comes out of them: commands, borders, bounds, refusals.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use mail_types::ScriptName;
use managesieve::{BadCommand, Command, Limits, Place, Received, Receiver};
use proptest::prelude::*;

const SMALL: Limits =
    Limits { line_octets_max: 60, literal_octets_max: 10, script_octets_max: 20, discarded_octets_max: 200 };

/// Everything received from these pieces. A response is expected behind every AUTHENTICATE.
fn receive<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Received> {
    let mut receiver = Receiver::new(limits);
    // A line without its end, and two literals, one of which may be a script.
    let held_max = limits.line_octets_max
        + limits.literal_octets_max
        + limits.literal_octets_max.max(limits.script_octets_max);
    let mut story = Vec::new();
    for piece in pieces {
        let mut input = piece;
        loop {
            let received = receiver.receive(&mut input);
            match &received {
                Received::NeedMore => break,
                Received::Command(command) if matches!(**command, Command::Authenticate { .. }) => {
                    receiver.expect_response();
                }
                Received::Bad(BadCommand::OutOfStep) => {
                    story.push(received);
                    return story;
                }
                _ => {}
            }
            story.push(received);
        }
        assert!(input.is_empty());
        assert!(receiver.held_octets() <= held_max + 1, "{} octets", receiver.held_octets());
    }
    story
}

fn one(text: &str) -> Received {
    let mut story = receive(Limits::after_login(1_000), [text.as_bytes()]);
    assert_eq!(story.len(), 1, "{story:?}");
    story.remove(0)
}

fn command(command: Command) -> Received {
    Received::Command(Box::new(command))
}

fn name(text: &str) -> ScriptName {
    ScriptName::parse(text).unwrap()
}

fn is_syntax(received: &Received) -> bool {
    matches!(received, Received::Bad(BadCommand::Syntax(_)))
}

#[test]
fn every_command_is_read() {
    // RFC 5804 §2.1–§2.14, in its own examples' shapes.
    let plain = |initial_response: Option<&str>| Command::Authenticate {
        mechanism: "PLAIN".to_owned(),
        initial_response: initial_response.map(Into::into),
    };
    let script = b"#comment\r\nkeep;\r\n".to_vec();
    for (text, expected) in [
        ("AUTHENTICATE \"PLAIN\"\r\n", plain(None)),
        ("Authenticate \"PLAIN\" \"QJIrweAPyo6Q1T9xu\"\r\n", plain(Some("QJIrweAPyo6Q1T9xu"))),
        ("AUTHENTICATE {5+}\r\nPLAIN {0+}\r\n\r\n", plain(Some(""))),
        ("STARTTLS\r\n", Command::StartTls),
        ("logout\n", Command::Logout),
        ("CAPABILITY\r\n", Command::Capability),
        ("HAVESPACE \"myscript\" 999999\r\n", Command::HaveSpace { name: name("myscript"), octets: 999_999 }),
        (
            "PUTSCRIPT \"foo\" {17+}\r\n#comment\r\nkeep;\r\n\r\n",
            Command::PutScript { name: name("foo"), script: script.clone() },
        ),
        ("PUTSCRIPT {3+}\r\nfoo \"\"\r\n", Command::PutScript { name: name("foo"), script: Vec::new() }),
        ("PUTSCRIPT \"f\\\"\" {0+}\r\n\r\n", Command::PutScript { name: name("f\""), script: Vec::new() }),
        ("LISTSCRIPTS\r\n", Command::ListScripts),
        ("SETACTIVE \"vacationscript\"\r\n", Command::SetActive(Some(name("vacationscript")))),
        ("SETACTIVE \"\"\r\n", Command::SetActive(None)),
        ("GETSCRIPT \"été\"\r\n", Command::GetScript(name("été"))),
        ("DELETESCRIPT \"foo\"\r\n", Command::DeleteScript(name("foo"))),
        ("RENAMESCRIPT \"foo\" \"bar\"\r\n", Command::RenameScript { from: name("foo"), to: name("bar") }),
        ("CHECKSCRIPT {17}\r\n#comment\r\nkeep;\r\n\r\n", Command::CheckScript(script)),
        ("CHECKSCRIPT \"keep;\"\r\n", Command::CheckScript(b"keep;".to_vec())),
        ("NOOP\r\n", Command::Noop(None)),
        ("NOOP \"STARTTLS-RESYNC-CHECK\"\r\n", Command::Noop(Some(b"STARTTLS-RESYNC-CHECK".to_vec()))),
        ("NOOP {2+}\r\n\r\n\r\n", Command::Noop(Some(b"\r\n".to_vec()))),
        ("UNAUTHENTICATE\r\n", Command::Unauthenticate),
    ] {
        assert_eq!(one(text), command(expected), "{text}");
    }
}

#[test]
fn places_are_those_of_the_rfc() {
    assert_eq!(Command::Noop(None).place(), Place::Anywhere);
    assert_eq!(Command::StartTls.place(), Place::BeforeLogin);
    assert_eq!(Command::ListScripts.place(), Place::AfterLogin);
    assert_eq!(Command::Unauthenticate.place(), Place::AfterLogin);
}

#[test]
fn what_is_no_command_is_told_and_skipped() {
    for text in [
        "FOO\r\n",
        "\"NOOP\"\r\n",
        "NOOP x\r\n",
        "NOOP \"a\" \"b\"\r\n",
        "LOGOUT \"now\"\r\n",
        "HAVESPACE \"a\"\r\n",
        "HAVESPACE \"a\" -1\r\n",
        "HAVESPACE \"a\" \"1\"\r\n",
        "HAVESPACE \"\" 1\r\n",
        "PUTSCRIPT \"a\"\r\n",
        "PUTSCRIPT \"\" \"keep;\"\r\n",
        "PUTSCRIPT a \"keep;\"\r\n",
        "GETSCRIPT \"\"\r\n",
        "DELETESCRIPT \"\"\r\n",
        "RENAMESCRIPT \"a\" \"\"\r\n",
        "GETSCRIPT {3+}\r\na\0b\r\n",
        "GETSCRIPT {1+}\r\n\u{7f}\r\n",
        "GETSCRIPT \"a\" {4+}\r\nNOOP\r\n",
        "GETSCRIPT \"a {6+}\r\nNOOP\r\n\r\n",
        "SETACTIVE\r\n",
        "{4+}\r\nNOOP\r\n",
        "NOOP {4+}\r\nNOOP\"x\"\r\n",
        "PUTSCRIPT \"a\" {5+}\r\nkeep; {4+}\r\nNOOP {4+}\r\nNOOP\r\n",
    ] {
        let story = receive(Limits::after_login(1_000), [format!("{text}NOOP\r\n").as_bytes()]);
        assert_eq!(story.len(), 2, "{text}: {story:?}");
        assert!(is_syntax(&story[0]), "{text}: {story:?}");
        assert_eq!(story[1], command(Command::Noop(None)), "{text}");
    }
    let invalid = [b"GETSCRIPT {1+}\r\n\xff\r\n".as_slice(), b"GETSCRIPT \"\xff\"\r\n"];
    for octets in invalid {
        assert!(is_syntax(&receive(SMALL, [octets])[0]));
    }
}

#[test]
fn stray_empty_lines_do_no_harm() {
    assert_eq!(one("\r\n\n\r\nNOOP\r\n"), command(Command::Noop(None)));
}

#[test]
fn lines_have_a_bound() {
    for (octets, fits) in [(59, true), (60, true), (61, false)] {
        let line = format!("NOOP \"{}\"", "x".repeat(octets - 7));
        assert_eq!(line.len(), octets);
        for end in ["\r\n", "\n"] {
            let story = receive(SMALL, [format!("{line}{end}NOOP\r\n").as_bytes()]);
            assert_eq!(story[0] != Received::Bad(BadCommand::TooLarge), fits, "{octets}: {story:?}");
            assert_eq!(story.last(), Some(&command(Command::Noop(None))));
        }
    }
}

#[test]
fn lines_of_one_command_have_the_bound_together() {
    for (octets, fits) in [(21, true), (22, true), (23, false)] {
        // 23 octets, and 15 beside the name.
        let text =
            format!("RENAMESCRIPT       {{1+}}\r\na            \"{}\" \r\nNOOP\r\n", "x".repeat(octets));
        let story = receive(SMALL, [text.as_bytes()]);
        assert_eq!(story[0] != Received::Bad(BadCommand::TooLarge), fits, "{octets}: {story:?}");
        assert_eq!(story[1], command(Command::Noop(None)));
    }
    // Each command begins anew.
    let lines = "NOOP \"12345678901234567890\"\r\n   \r\n".repeat(20);
    assert_eq!(receive(SMALL, [lines.as_bytes()]).len(), 20);
}

#[test]
fn literals_and_scripts_have_bounds() {
    for (octets, fits) in [(9, true), (10, true), (11, false)] {
        let text = format!("GETSCRIPT {{{octets}+}}\r\n{}\r\nNOOP\r\n", "x".repeat(octets));
        let story = receive(SMALL, [text.as_bytes()]);
        assert_eq!(story[0] != Received::Bad(BadCommand::TooLarge), fits, "{octets}: {story:?}");
        assert_eq!(story[1], command(Command::Noop(None)));
    }
    for (octets, fits) in [(19, true), (20, true), (21, false)] {
        for verb in ["PUTSCRIPT \"a\"", "CHECKSCRIPT", "putscript {1+}\r\na"] {
            let text = format!("{verb} {{{octets}+}}\r\n{}\r\nNOOP\r\n", "\n".repeat(octets));
            let story = receive(SMALL, [text.as_bytes()]);
            assert_eq!(story[0] != Received::Bad(BadCommand::ScriptTooLarge), fits, "{octets}: {story:?}");
            assert_eq!(story[1], command(Command::Noop(None)));
        }
    }
}

#[test]
fn what_is_skipped_has_a_bound() {
    for (octets, fits) in [(199, true), (200, true), (201, false)] {
        let text = format!("GETSCRIPT {{{octets}+}}\r\n{}\r\nNOOP\r\n", "x".repeat(octets));
        let story = receive(SMALL, [text.as_bytes()]);
        // The line behind the literal counts too.
        assert_eq!(
            story.last() == Some(&Received::Bad(BadCommand::OutOfStep)),
            !(fits && octets < 199),
            "{octets}"
        );
    }
    let endless = vec![b'x'; 1_000];
    assert_eq!(receive(SMALL, [endless.as_slice()]), [Received::Bad(BadCommand::OutOfStep)]);
    let announced = b"PUTSCRIPT \"a\" {18446744073709551615+}\r\n".as_slice();
    assert_eq!(receive(SMALL, [announced]), [Received::Bad(BadCommand::OutOfStep)]);
}

#[test]
fn strangers_have_no_scripts() {
    let story = receive(Limits::before_login(), [b"PUTSCRIPT \"a\" {1+}\r\nx\r\nNOOP\r\n".as_slice()]);
    assert_eq!(story, [Received::Bad(BadCommand::ScriptTooLarge), command(Command::Noop(None))]);
    let announced = b"AUTHENTICATE {100000+}\r\n".as_slice();
    assert_eq!(receive(Limits::before_login(), [announced]), [Received::Bad(BadCommand::OutOfStep)]);
}

#[test]
fn responses_come_as_strings() {
    let response = |text: &str| Received::Response(text.into());
    for (text, expected) in
        [("\"YQ==\"", "YQ=="), ("{4+}\r\nYQ==", "YQ=="), ("\"\"", ""), ("\"*\"", "*"), ("*", "*")]
    {
        let text = format!("AUTHENTICATE \"X\"\r\n{text}\r\nNOOP\r\n");
        let story = receive(SMALL, [text.as_bytes()]);
        assert_eq!(story[1..], [response(expected), command(Command::Noop(None))], "{text}");
    }
    for text in ["", "YQ==", "\"a\" \"b\"", "NOOP \"x\"", "\"a"] {
        let text = format!("AUTHENTICATE \"X\"\r\n{text}\r\nNOOP\r\n");
        let story = receive(SMALL, [text.as_bytes()]);
        assert!(is_syntax(&story[1]), "{text}: {story:?}");
        assert_eq!(story[2], command(Command::Noop(None)), "{text}");
    }
}

/// Octets that are likely to mean something.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just(b"\"a\"".to_vec()),
        "(NOOP|PUTSCRIPT|CHECKSCRIPT|GETSCRIPT|AUTHENTICATE|HAVESPACE) ?".prop_map(String::into_bytes),
        (0_u32..40).prop_map(|octets| format!("{{{octets}+}}\r\n").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..30),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_received_does_not_depend_on_how_it_arrives(octets in soup(), piece_octets in 1_usize..9) {
        let whole = receive(SMALL, [octets.as_slice()]);
        prop_assert_eq!(&whole, &receive(SMALL, octets.chunks(piece_octets)));
    }

    #[test]
    fn scripts_arrive_octet_for_octet(script in proptest::collection::vec(any::<u8>(), 0..300), piece_octets in 1_usize..99) {
        let mut octets = format!("PUTSCRIPT \"a\" {{{}+}}\r\n", script.len()).into_bytes();
        octets.extend_from_slice(&script);
        octets.extend_from_slice(b"\r\nNOOP\r\n");
        let story = receive(Limits::after_login(300), octets.chunks(piece_octets));
        let put = Command::PutScript { name: name("a"), script };
        prop_assert_eq!(story, [command(put), command(Command::Noop(None))]);
    }

    #[test]
    fn what_we_write_can_be_read(texts in proptest::collection::vec("[^\\x00]{0,40}", 1..4)) {
        let mut out = Vec::new();
        for text in &texts {
            // A tag comes back as a string, behind a verb that takes one.
            out.extend_from_slice(b"NOOP ");
            managesieve::response::write_challenge(&mut out, text);
        }
        let story = receive(Limits::after_login(0), [out.as_slice()]);
        let expected: Vec<_> =
            texts.iter().map(|text| command(Command::Noop(Some(text.as_bytes().to_vec())))).collect();
        prop_assert_eq!(story, expected);
    }
}
