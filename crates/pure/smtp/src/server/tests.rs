//! Dialogues with the server as the RFCs write them, and every known way to break one.

mod dialogue;
mod extensions;
mod mail;
mod smuggling;
mod tls_and_login;

use proptest::prelude::*;

use super::*;
use dialogue::{Door, settings};

#[test]
fn greeting_and_offers() {
    Door::dialogue(
        "
        S: 220 mail.example.org ESMTP mailstead
        C: EHLO client.example
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
        C: HELO client.example
        S: 250 mail.example.org
        C: LHLO client.example
        S: 500 5.5.1 Command not recognised
        C: VRFY ann
        S: 252 2.5.0 Cannot tell; send mail and see
        C: EXPN list
        S: 502 5.5.1 Command not implemented
        C: NOOP and more
        S: 250 2.0.0 Nothing done
        C: RSET
        S: 250 2.0.0 Reset
        C: HELP
        S: 214-2.0.0 AUTH BDAT DATA EHLO HELO HELP LHLO MAIL NOOP QUIT RCPT RSET STARTTLS VRFY
        S: 214 2.0.0 See RFC 5321
        C: QUIT
        S: 221 2.0.0 Bye
        closed
    ",
    );
}

#[test]
fn order_of_commands() {
    Door::dialogue(
        "
        S: 220 mail.example.org ESMTP mailstead
        C: MAIL FROM:<ann@example.org>
        S: 503 5.5.1 Say hello first
        C: HELO client.example
        S: 250 mail.example.org
        C: RCPT TO:<bob@example.org>
        S: 503 5.5.1 Need MAIL first
        C: DATA
        S: 503 5.5.1 Need MAIL first
        C: MAIL FROM:<ann@example.org>
        S: 250 2.1.0 Sender ok
        C: MAIL FROM:<ann@example.org>
        S: 503 5.5.1 A transaction is already open
        C: DATA
        S: 503 5.5.1 Need RCPT first
        C: RSET
        S: 250 2.0.0 Reset
        C: RCPT TO:<bob@example.org>
        S: 503 5.5.1 Need MAIL first
    ",
    );
}

#[test]
fn chunks_that_bring_nothing_end_the_session() {
    let mut door = Door::greeted(settings());
    door.say("MAIL FROM:<ann@example.org>");
    door.say("RCPT TO:<bob@example.org>");
    // EHLO and MAIL were counted too.
    for _ in 2..settings().idle_commands_max {
        assert_eq!(door.say("BDAT 0"), "250 2.0.0 Chunk received\r\n");
    }
    assert_eq!(door.say("BDAT 0"), "421 4.7.0 Too many commands without mail\r\n");
    assert!(door.is_closed());
}

#[test]
fn errors_end_the_session() {
    let mut door = Door::greeted(settings());
    for _ in 0..settings().errors_max - 1 {
        assert_eq!(door.say("WHAT"), "500 5.5.1 Command not recognised\r\n");
    }
    assert_eq!(door.say("WHAT"), "500 5.5.1 Command not recognised\r\n421 4.7.0 Too many errors\r\n");
    assert!(door.is_closed());
}

#[test]
fn commands_without_mail_end_the_session() {
    let mut door = Door::greeted(settings());
    // The greeting counted as one.
    for _ in 1..settings().idle_commands_max {
        assert_eq!(door.say("NOOP"), "250 2.0.0 Nothing done\r\n");
    }
    assert_eq!(door.say("RSET"), "421 4.7.0 Too many commands without mail\r\n");
    assert!(door.is_closed());
}

#[test]
fn overlong_lines_are_read_over() {
    let mut door = Door::greeted(settings());
    let longest = format!("NOOP {}", "x".repeat(crate::framing::COMMAND_OCTETS_MAX - 7));
    assert_eq!(longest.len() + 2, crate::framing::COMMAND_OCTETS_MAX);
    assert_eq!(door.say(&longest), "250 2.0.0 Nothing done\r\n");
    assert_eq!(door.say(&format!("{longest}x")), "500 5.5.2 Line too long\r\n");
    assert_eq!(door.say(&"x".repeat(100_000)), "500 5.5.2 Line too long\r\n");
    assert_eq!(door.say("NOOP"), "250 2.0.0 Nothing done\r\n");
}

#[test]
fn browsers_are_hung_up_on() {
    let mut door = Door::greeted(settings());
    assert_eq!(
        door.feed(b"POST / HTTP/1.1\r\nHost: mail.example.org\r\n\r\nMAIL FROM:<a@b.example>\r\n"),
        "500 5.5.1 Command not recognised\r\n"
    );
    assert!(door.is_closed());
}

#[test]
fn lmtp_greets_with_lhlo() {
    let mut door = Door::new(Settings { protocol: Protocol::Lmtp, ..settings() });
    assert_eq!(door.feed(b""), "220 mail.example.org LMTP mailstead\r\n");
    assert_eq!(door.say("EHLO client.example"), "500 5.5.1 Command not recognised\r\n");
    assert_eq!(door.say("HELO client.example"), "500 5.5.1 Command not recognised\r\n");
    assert!(door.say("LHLO client.example").starts_with("250-mail.example.org\r\n250-PIPELINING\r\n"));
}

#[test]
fn others_may_have_a_say() {
    let mut door = Door::new(Settings { asks: true, ..settings() });
    door.feed(b"");
    door.objection = Some(Reply::fixed(550, (5, 7, 1), "Not you"));
    assert_eq!(door.say("HELO client.example"), "550 5.7.1 Not you\r\n");
    assert_eq!(door.say("MAIL FROM:<>"), "503 5.5.1 Say hello first\r\n");
    assert_eq!(door.say("WHAT"), "550 5.7.1 Not you\r\n");
    door.objection = None;
    assert_eq!(door.say("HELO client.example"), "250 mail.example.org\r\n");
    assert_eq!(door.say("WHAT"), "500 5.5.1 Command not recognised\r\n");
    door.feed(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n");
    door.objection = Some(Reply::fixed(450, (4, 7, 1), "Not now"));
    assert_eq!(door.say("DATA"), "450 4.7.1 Not now\r\n");
    // Whoever has objected does not see the message again, so nobody else does.
    door.objection = None;
    assert_eq!(door.say("DATA"), "503 5.5.1 Need MAIL first\r\n");
    door.feed(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n");
    door.objection = Some(Reply::fixed(550, (5, 7, 1), "Not you"));
    assert_eq!(door.say("EHLO other.example"), "550 5.7.1 Not you\r\n");
    door.objection = None;
    assert_eq!(door.say("DATA"), "503 5.5.1 Need MAIL first\r\n");
    door.feed(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n");
    assert_eq!(door.say("DATA"), "354 End with a dot on a line of its own\r\n");
}

/// Parts of conversations, to be put together at random.
const SNIPPETS: &[&[u8]] = &[
    b"EHLO client.example\r\n",
    b"MAIL FROM:<ann@example.org>\r\n",
    b"MAIL FROM:<ann@example.org> BODY=BINARYMIME\r\n",
    b"RCPT TO:<bob@example.org>\r\n",
    b"RCPT TO:<unknown@example.org>\r\n",
    b"DATA\r\n",
    b"BDAT 7\r\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT 5 LAST\r\n",
    b"BDAT 2000 LAST\r\n",
    b"RSET\r\n",
    b"QUIT\r\n",
    b"MAIL FROM:<ann@example.org> RET=FULL ENVID=x+2B MT-PRIORITY=9 BY=60;RT\r\n",
    b"RCPT TO:<bob@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2B@example.org\r\n",
    b"RCPT TO:<bob@example.org> NOTIFY=NEVER,DELAY\r\n",
    b"AUTH PLAIN\r\n",
    b"*\r\n",
    b"AGFubgBzZWNyZXQ=\r\n",
    b"\r\n.\r\n",
    b".\r\n",
    b"..\r\n",
    b"\r\r\n",
    b"\n.\n",
    b"\r.\r",
    b"text",
    b"\r",
    b"\n",
    b".",
];

/// What a message of a conversation begins with.
const BEGINNINGS: &[&[u8]] = &[
    b"",
    b"EHLO c.example\r\nLHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
    b"EHLO c.example\r\nLHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nBDAT 9\r\n",
    b"EHLO c.example\r\nLHLO c.example\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<b@example.org>\r\nBDAT 30 LAST\r\n",
];

fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        9 => proptest::sample::select(SNIPPETS).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    let parts = proptest::collection::vec(part, 0..40);
    (proptest::sample::select(BEGINNINGS), parts)
        .prop_map(|(beginning, parts)| [beginning, &parts.concat()].concat())
}

proptest! {
    /// Where the network cuts the octets changes nothing: neither replies nor messages.
    #[test]
    fn borders_of_reads_mean_nothing(
        octets in conversation(),
        cuts in proptest::collection::vec(1_usize..9, 1..20),
        lmtp in any::<bool>(),
        refuse in any::<bool>(),
        dsn in any::<bool>(),
        asks in any::<bool>(),
    ) {
        let settings = Settings {
            protocol: if lmtp { Protocol::Lmtp } else { Protocol::Smtp },
            bare_newlines: if refuse { BareNewlines::Refuse } else { BareNewlines::Normalise },
            auth: AuthOffer::Optional,
            asks,
            offers: Offers { dsn, priority: dsn, ..extensions::ALL },
            ..settings()
        };
        let mut whole = Door::new(settings.clone());
        let at_once = whole.feed(&octets);
        let mut cut = Door::new(settings);
        let mut replies = String::new();
        let mut rest = octets.as_slice();
        for length in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*length).min(rest.len()));
            replies.push_str(&cut.feed(piece));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(at_once, replies);
        prop_assert_eq!(whole.delivered(), cut.delivered());
        for (_, text) in whole.delivered() {
            prop_assert!(!text.has_bare_newline() || text.is_binary());
        }
    }
}
