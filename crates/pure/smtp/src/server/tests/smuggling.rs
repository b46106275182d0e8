//! Known ways to smuggle commands or messages past a server; none may work.

use super::super::*;
use super::dialogue::{Door, settings};

const ENVELOPE: &[u8] = b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n";
const SMUGGLED: &str = "MAIL FROM:<mallory@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nbad\r\n.\r\n";

/// CVE-2023-51764, -51765, -51766 and the variants found since: whatever is not CRLF dot CRLF is text.
#[test]
fn only_crlf_dot_crlf_ends_a_message() {
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r\n.\r",
        "\r.\r\n",
        "\n.\r",
        "\r.\n",
        "\r\n\0.\r\n",
        "\r\n.\0\r\n",
        "\n\n.\r\n",
        "\r\r\n.\r\r\n",
        "\r\n.\r\r\n",
        "\r\n. \r\n",
        "\r\n..\r\n",
        "\u{a0}.\r\n",
    ] {
        for policy in [BareNewlines::Normalise, BareNewlines::Refuse] {
            let mut door = Door::greeted(Settings { bare_newlines: policy, ..settings() });
            door.feed(ENVELOPE);
            let smuggled = SMUGGLED.replace("\r\n.\r\n", "\r\n");
            assert_eq!(door.feed(format!("text{end}{smuggled}").as_bytes()), "", "{end:?}");
            let reply = door.feed(b".\r\n");
            assert_eq!(reply.lines().count(), 1, "{end:?}: {reply}");
            let kept = door.delivered().iter().map(|(_, text)| String::from_utf8_lossy(&text.octets));
            for text in kept {
                assert!(text.contains("mallory"), "{end:?}");
            }
        }
    }
}

#[test]
fn bare_newlines_are_normalised() {
    for (sent, kept) in [
        ("a\nb\r\n", "a\r\nb\r\n"),
        ("a\rb\r\n", "a\r\nb\r\n"),
        ("a\r\r\r\nb\r\n", "a\r\nb\r\n"),
        ("a\r\rb\r\n", "a\r\nb\r\n"),
        ("a\n\nb\r\n", "a\r\n\r\nb\r\n"),
        ("a\n\rb\r\n", "a\r\n\r\nb\r\n"),
        ("\n.\n.\r\n", "\r\n.\r\n.\r\n"),
        ("a\n..b\r\n", "a\r\n..b\r\n"),
        ("\r\n..\r\n", "\r\n.\r\n"),
        (".\na\r\n", "\r\na\r\n"),
        ("..\r\n...\r\n.a\r\n", ".\r\n..\r\na\r\n"),
        ("\0\r\n", "\0\r\n"),
    ] {
        let mut door = Door::greeted(settings());
        door.feed(ENVELOPE);
        assert_eq!(door.feed(format!("{sent}.\r\n").as_bytes()), "250 2.0.0 Kept\r\n", "{sent:?}");
        assert_eq!(door.only_message(), kept, "{sent:?}");
    }
}

/// CVE-2026-94057: what follows a rejection within DATA is still the message.
#[test]
fn a_refused_message_is_read_to_its_true_end() {
    let strict = Settings { bare_newlines: BareNewlines::Refuse, ..settings() };
    for fault in ["a\nb", "a\rb", "\r\r\n", "\n.\n", "\r\n.\n"] {
        let mut door = Door::greeted(strict.clone());
        door.feed(ENVELOPE);
        assert_eq!(door.feed(format!("{fault}\r\nMAIL FROM:<x@y.example>\r\nQUIT\r\n").as_bytes()), "");
        assert_eq!(
            door.feed(b".\r\n"),
            "550 5.6.11 Message has CR or LF alone; lines end with CRLF\r\n",
            "{fault:?}"
        );
        assert!(door.delivered().is_empty());
        assert_eq!(door.say("NOOP"), "250 2.0.0 Nothing done\r\n");
    }
}

#[test]
fn chunks_follow_the_same_policy() {
    let strict = Settings { bare_newlines: BareNewlines::Refuse, ..settings() };
    for chunk in ["a\nb", "a\rb", "ab\r"] {
        let mut door = Door::greeted(strict.clone());
        door.feed(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n");
        let reply = door.feed(format!("BDAT {} LAST\r\n{chunk}", chunk.len()).as_bytes());
        assert_eq!(reply, "550 5.6.11 Message has CR or LF alone; lines end with CRLF\r\n", "{chunk:?}");
        let mut door = Door::greeted(settings());
        door.feed(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n");
        door.feed(format!("BDAT {} LAST\r\n{chunk}", chunk.len()).as_bytes());
        assert!(!door.delivered()[0].1.has_bare_newline(), "{chunk:?}");
    }
    // A line end cut in two by chunks is whole.
    let mut door = Door::greeted(strict);
    door.feed(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n");
    assert_eq!(
        door.feed(b"BDAT 2\r\na\rBDAT 2 LAST\r\n\nb"),
        "250 2.0.0 Chunk received\r\n250 2.0.0 Kept\r\n"
    );
    assert_eq!(door.only_message(), "a\r\nb");
}

/// The octets of a refused chunk are no commands.
#[test]
fn refused_chunks_are_read_over() {
    let mut door = Door::greeted(settings());
    assert_eq!(door.feed(b"BDAT 6\r\nQUIT\r\n"), "503 5.5.1 Need MAIL first\r\n");
    assert_eq!(
        door.feed(b"MAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\n").lines().last(),
        Some("503 5.5.1 Need RCPT first")
    );
    assert_eq!(door.feed(b"BDAT 2000\r\n"), "");
    assert_eq!(door.feed(&b"QUIT\r\n".repeat(300)), "");
    assert!(door.feed(&[b'x'; 200]).starts_with("503"));
    assert!(!door.is_closed());
}

/// After a BDAT that cannot be read nobody knows what is command and what is message.
#[test]
fn an_unreadable_chunk_size_ends_the_session() {
    for size in ["x", "-1", "99999999999999999999", "", "1 FIRST"] {
        let mut door = Door::greeted(settings());
        door.feed(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n");
        assert!(door.feed(format!("BDAT {size}\r\nQUIT\r\n").as_bytes()).starts_with("501"), "{size}");
        assert!(door.is_closed(), "{size}");
    }
}

#[test]
fn lf_alone_ends_no_command() {
    let mut door = Door::greeted(settings());
    assert_eq!(
        door.feed(b"NOOP\nMAIL FROM:<ann@example.org>\r\n"),
        "500 5.5.2 Lines end with CRLF, not with LF alone\r\n"
    );
    assert!(door.is_closed());
    let mut door = Door::greeted(settings());
    assert_eq!(door.feed(b"NOOP\rQUIT\r\n"), "500 5.5.2 Octets that no command has\r\n");
}
