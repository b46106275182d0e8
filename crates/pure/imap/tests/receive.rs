//! Octets as they arrive, and what comes out of them: borders, bounds, refusals, streamed messages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use imap::command::{AppendForm, AppendMessage, BadKind};
use imap::{Command, Dialect, Limits, Received, Receiver};
use proptest::prelude::*;

const SMALL: Limits = Limits {
    line_octets_max: 40,
    literal_octets_max: 10,
    literals_max: 2,
    command_octets_max: 60,
    discarded_octets_max: 100,
};

/// What a door would do with each thing received, told in one line each; it takes every message and asks for every literal.
fn told(received: &Received<'_>) -> String {
    match received {
        Received::NeedMore => "more".to_owned(),
        Received::NeedContinuation => "continue".to_owned(),
        Received::Command(tagged) => format!("{}: {:?}", tagged.tag, tagged.command),
        Received::Append(append) => format!("{}: append to {}", append.tag, append.mailbox),
        Received::AppendMessage(message) => told_message(message),
        Received::AppendOctets(octets) => format!("octets {}", octets.escape_ascii()),
        Received::AppendMessageEnd => "message end".to_owned(),
        Received::AppendEnd => "append end".to_owned(),
        Received::Line(line) => format!("line {}", line.escape_ascii()),
        Received::Bad(bad) => {
            let mut out = Vec::new();
            imap::response::write_bad(&mut out, bad);
            String::from_utf8(out).unwrap().trim_end().to_owned()
        }
    }
}

fn told_message(message: &AppendMessage) -> String {
    let form = match message.form {
        AppendForm::Text => "text",
        AppendForm::Binary => "binary",
        AppendForm::Utf8 => "utf8",
    };
    let waits = if message.synchronising { "waits" } else { "comes" };
    let date = message.internal_date.map_or(String::new(), |date| format!(" of {}", date.unix_seconds));
    let keywords = &message.flags.keywords;
    format!("{form} of {} {waits}{date} flags {} {keywords:?}", message.octets, message.flags.system)
}

/// Everything received from these pieces; octets of messages joined, `more` left out.
fn receive_pieces<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut receiver = Receiver::new(limits, Dialect::default());
    let mut story: Vec<String> = Vec::new();
    for piece in pieces {
        let mut input = piece;
        loop {
            let received = receiver.receive(&mut input);
            match &received {
                Received::NeedMore => break,
                Received::AppendOctets(octets) => {
                    match story.last_mut().filter(|last| last.starts_with("octets")) {
                        Some(last) => last.push_str(&octets.escape_ascii().to_string()),
                        None => story.push(told(&received)),
                    }
                }
                Received::Bad(bad) if bad.must_close() => {
                    story.push(told(&received));
                    return story;
                }
                _ => story.push(told(&received)),
            }
        }
        assert!(input.is_empty(), "more is asked for only when all is taken");
    }
    story
}

fn receive(octets: &[u8]) -> Vec<String> {
    receive_pieces(Limits::after_login(), [octets])
}

fn receive_small(octets: &[u8]) -> Vec<String> {
    receive_pieces(SMALL, [octets])
}

#[test]
fn commands_follow_one_another() {
    assert_eq!(receive(b"A1 NOOP\r\nA2 CHECK\nA3 CLOSE\r\n"), ["A1: Noop", "A2: Check", "A3: Close"]);
    assert_eq!(receive(b"\r\n\r\nA1 NOOP\r\n"), ["A1: Noop"], "stray empty lines are passed over");
    assert_eq!(receive(b"A1 NOOP\rA2 NOOP\r\n"), ["A1 BAD Expected the end of the command at octet 8"]);
}

#[test]
fn literals_are_waited_for_or_come_at_once() {
    assert_eq!(
        receive(b"A1 DELETE {3}\r\nabc\r\nA2 RENAME {1+}\r\na {2+}\r\nbc\r\n"),
        [
            "continue",
            "A1: Delete(MailboxName(\"abc\"))",
            "A2: Rename { from: MailboxName(\"a\"), to: MailboxName(\"bc\") }"
        ]
    );
    assert_eq!(receive(b"A1 LOGIN {0+}\r\n \"\"\r\n").len(), 1);
}

#[test]
fn literals_hold_any_octets_and_announce_nothing() {
    let story = receive(b"A1 GETQUOTA {12+}\r\n)\"\r\nA9 {5}\r\n\r\nA2 NOOP\r\n");
    assert_eq!(story, ["A1: GetQuota { root: \")\\\"\\r\\nA9 {5}\\r\\n\" }", "A2: Noop"]);
}

#[test]
fn a_bad_command_leaves_the_stream_in_step() {
    assert_eq!(
        receive(b"A1 FOO {8+}\r\nA9 NOOP\n {3+}\r\nA8 \r\nA2 NOOP\r\n"),
        ["A1 BAD Unknown command", "A2: Noop"]
    );
}

#[test]
fn lines_are_lines_when_asked_for() {
    let mut receiver = Receiver::new(SMALL, Dialect::default());
    let mut input = &b"A1 IDLE\r\nDONE\r\nA2 NOOP\r\n"[..];
    assert_eq!(told(&receiver.receive(&mut input)), "A1: Idle");
    receiver.expect_line();
    assert_eq!(receiver.receive(&mut input), Received::Line(b"DONE".to_vec()));
    assert_eq!(told(&receiver.receive(&mut input)), "A2: Noop");
    receiver.expect_line();
    let mut input = &b"a {5+"[..];
    assert_eq!(receiver.receive(&mut input), Received::NeedMore);
    let mut input = &b"}\r\nA3 NOOP\r\n"[..];
    assert_eq!(receiver.receive(&mut input), Received::Line(b"a {5+}".to_vec()));
    assert_eq!(told(&receiver.receive(&mut input)), "A3: Noop");
    receiver.expect_line();
    let long = [&b"a".repeat(41)[..], b"\r\nA4 NOOP\r\n"].concat();
    let mut input = &long[..];
    assert_eq!(
        told(&receiver.receive(&mut input)),
        "* BAD [TOOBIG] Command too large: a line has too many octets"
    );
    assert_eq!(told(&receiver.receive(&mut input)), "A4: Noop");
}

#[test]
fn lines_are_bounded() {
    let line = |octets: usize| {
        let mut line = b"A1 GETQUOTA ".to_vec();
        line.resize(octets, b'x');
        line.extend_from_slice(b"\r\nA2 NOOP\r\n");
        line
    };
    for octets in [39, 40] {
        assert!(receive_small(&line(octets))[0].starts_with("A1: GetQuota"), "{octets}");
    }
    for octets in [41, 42, 90] {
        for size in [1, 7, 200] {
            assert_eq!(
                receive_pieces(SMALL, line(octets).chunks(size)),
                ["A1 BAD [TOOBIG] Command too large: a line has too many octets", "A2: Noop"],
                "{octets} by {size}"
            );
        }
    }
    assert_eq!(
        receive_small(&line(400)).last().unwrap(),
        "* BYE [TOOBIG] Too much to skip",
        "a line without end is not read for ever"
    );
}

#[test]
fn literals_are_bounded() {
    let told = "A1 BAD [TOOBIG] Command too large: a literal has too many octets";
    assert!(receive_small(b"A1 GETQUOTA {9+}\r\n123456789\r\n")[0].starts_with("A1: GetQuota"));
    assert!(receive_small(b"A1 GETQUOTA {10+}\r\n1234567890\r\n")[0].starts_with("A1: GetQuota"));
    assert_eq!(receive_small(b"A1 GETQUOTA {11+}\r\n12345678901\r\nA2 NOOP\r\n"), [told, "A2: Noop"]);
    // Nothing comes of what the client asks leave for.
    assert_eq!(receive_small(b"A1 GETQUOTA {11}\r\nA2 NOOP\r\n"), [told, "A2: Noop"]);
    assert_eq!(receive_small(b"A1 GETQUOTA {99999999999999999999}\r\nA2 NOOP\r\n"), [told, "A2: Noop"]);
    let out_of_step = "* BYE [TOOBIG] Too much to skip";
    assert_eq!(receive_small(b"A1 GETQUOTA {101+}\r\n"), [told, out_of_step]);
    assert_eq!(receive_small(b"A1 GETQUOTA {99999999999999999999+}\r\n"), [told, out_of_step]);
    // The rest of a refused command may bring more to skip.
    let story = receive_small(b"A1 X {11+}\r\n12345678901 {3+}\r\n123 {4+}\r\n1234 x {3}\r\nA2 NOOP\r\n");
    assert_eq!(story, [told, "A2: Noop"]);
    let story = receive_small(&[b"A1 X {11+}\r\n12345678901 {90+}\r\n", &[b'x'; 90][..]].concat());
    assert_eq!(story, [told, out_of_step]);
}

#[test]
fn what_may_be_skipped_counts_for_each_command_anew() {
    let refused = b"A1 X {60+}\r\n".iter().copied().chain([b'x'; 60]).chain(*b"\r\n").collect::<Vec<u8>>();
    let long = [&[b'x'; 80][..], b"\r\n"].concat();
    for command in [refused, long] {
        let story = receive_small(&command.repeat(20));
        assert_eq!(story.len(), 20);
        assert!(story.iter().all(|line| line.contains("Command too large")), "{story:?}");
    }
}

#[test]
fn number_of_literals_is_bounded() {
    assert!(receive_small(b"A1 LOGIN {1+}\r\na {1+}\r\nb\r\n")[0].starts_with("A1: Login"));
    assert_eq!(
        receive_small(b"A1 X {1+}\r\na {1+}\r\nb {1+}\r\nc\r\nA2 X {1+}\r\na {1+}\r\nb\r\n"),
        ["A1 BAD [TOOBIG] Command too large: it has too many literals", "A2 BAD Unknown command"]
    );
}

#[test]
fn literals_are_counted_for_each_command_anew() {
    let append = b"A1 APPEND {1+}\r\na {1+}\r\nx\r\n";
    let story = receive_small(&[&append.repeat(3)[..], b"A2 LOGIN {1+}\r\na {1+}\r\nb\r\n"].concat());
    assert!(story.last().unwrap().starts_with("A2: Login"), "{story:?}");
}

#[test]
fn commands_are_bounded_as_a_whole() {
    // 27 octets and a literal of 10, before the last line.
    let command = |last: usize| {
        let mut command = b"A1 X 5678901234567890 {10+}\r\n0123456789".to_vec();
        command.extend(std::iter::repeat_n(b'x', last));
        command.extend_from_slice(b"\r\nA2 NOOP\r\n");
        command
    };
    for (last, is_read) in [(20, true), (21, true), (22, false), (39, false)] {
        for size in [1, 5, 100] {
            let story = receive_pieces(SMALL, command(last).chunks(size));
            let expected = if is_read {
                "A1 BAD Unknown command"
            } else {
                "A1 BAD [TOOBIG] Command too large: it has too many octets"
            };
            assert_eq!(story, [expected, "A2: Noop"], "{last} by {size}");
        }
    }
}

#[test]
fn strangers_cannot_make_us_hold_much() {
    let limits = Limits::before_login();
    let flood = [b"A1 LOGIN ".to_vec(), vec![b'a'; 100_000]].concat();
    assert!(receive_pieces(limits, [&flood[..]])[0].contains("a line has too many octets"));
    let literals = b"A1 LOGIN {4096+}\r\n".to_vec();
    let literals = [literals, vec![b'a'; 4_096], b" {4097}\r\nA2 NOOP\r\n".to_vec()].concat();
    assert_eq!(
        receive_pieces(limits, [&literals[..]]),
        ["A1 BAD [TOOBIG] Command too large: a literal has too many octets", "A2: Noop"]
    );
}

#[test]
fn a_message_streams() {
    assert_eq!(
        receive(b"A3 APPEND saved (\\Seen $Junk) \" 7-Feb-1994 21:52:25 -0800\" {10}\r\nDate: x\r\n.\r\nA4 NOOP\r\n"),
        [
            "A3: append to saved",
            "text of 10 waits of 760686745 flags 1 [Keyword(\"$Junk\")]",
            "octets Date: x\\r\\n.",
            "message end",
            "append end",
            "A4: Noop"
        ]
    );
}

#[test]
fn append_has_many_forms() {
    for (octets, message) in [
        (&b"A APPEND a {1+}\r\nx\r\n"[..], "text of 1 comes flags 0 []"),
        (b"A APPEND a ~{1+}\r\n\0\r\n", "binary of 1 comes flags 0 []"),
        (b"A append \"a\" () {1}\r\nx\r\n", "text of 1 waits flags 0 []"),
        (b"A APPEND a UTF8 (~{1+}\r\nx)\r\n", "utf8 of 1 comes flags 0 []"),
        (b"A APPEND a (\\Draft) utf8 (~{1}\r\nx)\r\n", "utf8 of 1 waits flags 16 []"),
        (
            b"A APPEND a \"07-Feb-1994 21:52:25 +0000\" {1}\r\nx\r\n",
            "text of 1 waits of 760657945 flags 0 []",
        ),
        (b"A APPEND {1+}\r\na {1+}\r\nx\r\n", "text of 1 comes flags 0 []"),
    ] {
        let story = receive(octets);
        assert_eq!(story.first().unwrap(), "A: append to a", "{}", octets.escape_ascii());
        assert_eq!(story[1], message);
        assert_eq!(&story[3..], ["message end", "append end"]);
    }
    let story = receive(b"A APPEND {1}\r\na {1}\r\nx\r\n");
    assert_eq!(story[..2], ["continue", "A: append to a"], "the mailbox may be waited for as well");
}

#[test]
fn several_messages_come_in_one_append() {
    assert_eq!(
        receive(b"A1 APPEND a {2+}\r\nxy (\\Seen) {0+}\r\n \"17-Jul-1996 02:44:25 -0700\" UTF8 (~{1}\r\nz)\r\nA2 NOOP\r\n"),
        [
            "A1: append to a",
            "text of 2 comes flags 0 []",
            "octets xy",
            "message end",
            "text of 0 comes flags 1 []",
            "message end",
            "utf8 of 1 waits of 837596665 flags 0 []",
            "octets z",
            "message end",
            "append end",
            "A2: Noop"
        ]
    );
}

#[test]
fn an_append_that_cannot_be_read_is_skipped() {
    for (octets, answer) in [
        (
            &b"A1 APPEND a/ {3+}\r\nabc\r\nA2 NOOP\r\n"[..],
            "NO [CANNOT] Not a mailbox name: a mailbox name has no empty levels",
        ),
        (
            b"A1 APPEND a (\\Foo) {3+}\r\nabc (x) {4+}\r\nabcd\r\nA2 NOOP\r\n",
            "BAD Unknown system flag at octet 14",
        ),
        (
            b"A1 APPEND a \"now\" {3+}\r\nabc\r\nA2 NOOP\r\n",
            "BAD Expected a date like 17-Jul-1996 02:44:25 -0700 at octet 13",
        ),
        (
            b"A1 APPEND a CATENATE (TEXT {3+}\r\nabc)\r\nA2 NOOP\r\n",
            "BAD Expected a message as a literal at octet 13",
        ),
        (b"A1 APPEND a CATENATE (TEXT {3}\r\nA2 NOOP\r\n", "BAD Expected a message as a literal at octet 13"),
        (b"A1 APPEND \"a {3+}\r\nabc\r\nA2 NOOP\r\n", "BAD A quoted string does not end at octet 11"),
    ] {
        assert_eq!(receive(octets), [&format!("A1 {answer}")[..], "A2: Noop"], "{}", octets.escape_ascii());
    }
}

#[test]
fn what_follows_a_message_must_be_another_or_the_end() {
    let told = |rest: &[u8]| {
        let mut story = receive(&[b"A1 APPEND a {1+}\r\nx", rest, b"\r\nA2 NOOP\r\n"].concat());
        assert_eq!(story.pop().unwrap(), "A2: Noop", "{}", rest.escape_ascii());
        story.pop().unwrap()
    };
    assert_eq!(told(b""), "append end");
    assert_eq!(told(b" "), "append end");
    assert_eq!(told(b")"), "A1 BAD Expected the end of the command at octet 1");
    assert_eq!(told(b"x {1+}\r\ny"), "A1 BAD Expected a space at octet 1");
    assert_eq!(told(b" (\\Foo) {1+}\r\ny {3+}\r\nabc"), "A1 BAD Unknown system flag at octet 3");
    assert_eq!(told(b" (\\Foo) {1}"), "A1 BAD Unknown system flag at octet 3");
    let mut story = receive(b"A1 APPEND a UTF8 (~{1+}\r\nx\r\nA2 NOOP\r\n");
    assert_eq!(story.pop().unwrap(), "A2: Noop");
    assert_eq!(story.pop().unwrap(), "A1 BAD Expected a parenthesis behind the message at octet 1");
}

#[test]
fn messages_in_one_append_are_bounded() {
    let append = |messages: usize| {
        [b"A1 APPEND a".to_vec(), b" {1+}\r\nx".repeat(messages), b"\r\n".to_vec()].concat()
    };
    assert_eq!(receive(&append(1_000)).last().unwrap(), "append end");
    assert_eq!(
        receive(&append(1_001)).last().unwrap(),
        "A1 BAD [TOOBIG] Command too large: it has too many messages"
    );
}

/// Refuses the APPEND after so many things received of it, and tells what comes then.
fn after_refusal(octets: &[u8], things: usize) -> Vec<String> {
    let mut receiver = Receiver::new(Limits::after_login(), Dialect::default());
    let mut input = octets;
    for _ in 0..things {
        assert!(!matches!(receiver.receive(&mut input), Received::NeedMore));
    }
    receiver.refuse_append();
    let mut story = Vec::new();
    loop {
        match receiver.receive(&mut input) {
            Received::NeedMore => return story,
            received => story.push(told(&received)),
        }
    }
}

#[test]
fn an_append_may_be_refused_at_any_moment() {
    let comes = b"A1 APPEND a {3+}\r\nabc (\\Seen) {3+}\r\nabc\r\nA2 NOOP\r\n";
    // The append, a message, octets, its end, another message, octets, its end.
    for things in 1..=7 {
        assert_eq!(after_refusal(comes, things), ["A2: Noop"], "after {things}");
    }
    let waits = b"A1 APPEND a {3}\r\nA2 NOOP\r\n";
    for things in 1..=2 {
        assert_eq!(after_refusal(waits, things), ["A2: Noop"], "after {things}");
    }
    let second_waits = b"A1 APPEND a {3+}\r\nabc {3}\r\nA2 NOOP\r\n";
    for things in 1..=5 {
        assert_eq!(after_refusal(second_waits, things), ["A2: Noop"], "after {things}");
    }
}

#[test]
fn refusing_when_nothing_is_under_way_does_nothing() {
    assert_eq!(after_refusal(b"A1 NOOP\r\nA2 NOOP\r\n", 1), ["A2: Noop"]);
    assert_eq!(after_refusal(b"A1 NOOP\r\nA2 NOOP\r\n", 0), ["A1: Noop", "A2: Noop"]);
}

#[test]
fn a_message_is_never_gathered() {
    let mut receiver = Receiver::new(Limits::after_login(), Dialect::default());
    let mut input = &b"A1 APPEND a {52428800+}\r\n"[..];
    receiver.receive(&mut input);
    receiver.receive(&mut input);
    let piece = vec![b'x'; 65_536];
    for _ in 0..800 {
        let mut input = &piece[..];
        // The very octets that came in, handed on.
        assert!(
            matches!(receiver.receive(&mut input), Received::AppendOctets(octets) if octets.as_ptr() == piece.as_ptr())
        );
        assert!(input.is_empty());
    }
    assert_eq!(receiver.receive(&mut &b"\r\n"[..]), Received::AppendMessageEnd);
}

#[test]
fn new_limits_hold_from_the_next_command_on() {
    let mut receiver = Receiver::new(SMALL, Dialect::default());
    let long = [&b"A1 GETQUOTA "[..], &[b'x'; 100], b"\r\n"].concat();
    assert!(
        matches!(receiver.receive(&mut &long[..]), Received::Bad(bad) if matches!(bad.kind, BadKind::TooLarge(_)))
    );
    receiver.set_limits(Limits::after_login());
    assert!(
        matches!(receiver.receive(&mut &long[..]), Received::Command(tagged) if matches!(tagged.command, Command::GetQuota { .. }))
    );
}

/// Commands good and bad, literals of every kind, and rubbish.
fn pieces_of_a_session() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 17] = [
        b"A1 NOOP\r\n",
        b"A2 LOGIN {3}\r\nann {3+}\r\nabc\r\n",
        b"A3 APPEND a {5+}\r\n12345\r\n",
        b"A4 APPEND a {2+}\r\n12 (\\Seen) {3+}\r\n123\r\n",
        b"A5 APPEND a UTF8 (~{2+}\r\n12)\r\n",
        b"A6 APPEND a (\\Foo) {7+}\r\nabcdefg\r\n",
        b"A7 X {30+}\r\n012345678901234567890123456789\r\n",
        b"A8 FETCH 1 (FLAGS BODY.PEEK[HEADER.FIELDS (A B)])\r\n",
        b"{3}\r\n",
        b"{9+}\r\n",
        b"~{1+}\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"A9 SEARCH OR NOT (",
        b"\"\\\xff\0",
        b"0123456789012345678901234567890123456789",
    ];
    prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_received_does_not_depend_on_how_it_arrives(
        octets in pieces_of_a_session(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        small in any::<bool>(),
    ) {
        let limits = if small { SMALL } else { Limits::after_login() };
        let whole = receive_pieces(limits, [&octets[..]]);
        let mut borders: Vec<usize> = cuts.iter().map(|cut| cut.index(octets.len() + 1)).collect();
        borders.extend([0, octets.len()]);
        borders.sort_unstable();
        let pieces = borders.windows(2).map(|ends| &octets[ends[0]..ends[1]]);
        prop_assert_eq!(receive_pieces(limits, pieces), whole.clone());
        prop_assert_eq!(receive_pieces(limits, octets.chunks(1)), whole);
    }
}
