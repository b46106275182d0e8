//! SEARCH as clients write it, read into keys.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use imap::search::{DateIs, DateOf, EnvelopeField, Needle, SearchKey, SearchReturn};
use imap::{BadCommand, Command, Dialect, Numbering, SequenceSet, TaggedCommand};
use imap::{command::Search, fetch::FieldName};
use mail_types::{EmailId, Keyword, ModSeq, SystemFlag, ThreadId};

fn parse(octets: &[u8]) -> Result<Search, BadCommand> {
    match TaggedCommand::parse(&[b"A1 SEARCH ", octets].concat(), Dialect::default())?.command {
        Command::Search(search) => Ok(search),
        other => panic!("{other:?}"),
    }
}

fn key(text: &str) -> SearchKey {
    let search = parse(text.as_bytes()).unwrap_or_else(|bad| panic!("{text}: {bad:?}"));
    assert_eq!((search.numbering, search.returns), (Numbering::Sequence, None));
    search.key
}

fn bad(octets: &[u8]) -> String {
    let bad = parse(octets).expect_err("this is no search");
    let mut out = Vec::new();
    imap::response::write_bad(&mut out, &bad);
    String::from_utf8(out).unwrap()
}

fn needle(text: &str) -> Needle {
    Needle(text.to_owned())
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

fn set(ranges: &[(u32, u32)]) -> SequenceSet {
    SequenceSet::Ranges(ranges.to_vec())
}

const SEEN: SearchKey = SearchKey::Flag(SystemFlag::Seen);

#[test]
fn words_alone_are_flags() {
    for (text, expected) in [
        ("ALL", SearchKey::All),
        ("seen", SEEN),
        ("UNSEEN", not(SEEN)),
        ("ANSWERED", SearchKey::Flag(SystemFlag::Answered)),
        ("UNDELETED", not(SearchKey::Flag(SystemFlag::Deleted))),
        ("DRAFT", SearchKey::Flag(SystemFlag::Draft)),
        ("UNFLAGGED", not(SearchKey::Flag(SystemFlag::Flagged))),
        ("RECENT", SearchKey::Recent),
        ("OLD", not(SearchKey::Recent)),
        ("NEW", SearchKey::And(vec![SearchKey::Recent, not(SEEN)])),
        ("SAVEDATESUPPORTED", SearchKey::SaveDateSupported),
        ("KEYWORD $Junk", SearchKey::Keyword(Keyword::parse("$Junk").unwrap())),
        ("UNKEYWORD $Junk", not(SearchKey::Keyword(Keyword::parse("$Junk").unwrap()))),
    ] {
        assert_eq!(key(text), expected, "{text}");
    }
}

#[test]
fn texts_numbers_and_sets_follow_their_keys() {
    for (text, expected) in [
        ("FROM Smith", SearchKey::Envelope(EnvelopeField::From, needle("Smith"))),
        ("BCC \"\"", SearchKey::Envelope(EnvelopeField::Bcc, needle(""))),
        ("CC a", SearchKey::Envelope(EnvelopeField::Cc, needle("a"))),
        ("TO {3}\r\na b", SearchKey::Envelope(EnvelopeField::To, needle("a b"))),
        ("SUBJECT \"a \\\"b\\\"\"", SearchKey::Envelope(EnvelopeField::Subject, needle("a \"b\""))),
        ("BODY hello", SearchKey::Body(needle("hello"))),
        ("TEXT hello", SearchKey::Text(needle("hello"))),
        (
            "HEADER Message-ID <a@b>",
            SearchKey::Header(FieldName::parse("message-id").unwrap(), needle("<a@b>")),
        ),
        ("HEADER \"X-Spam:\" \"\"", SearchKey::Header(FieldName::parse("X-Spam").unwrap(), needle(""))),
        ("LARGER 5000000000", SearchKey::Larger(5_000_000_000)),
        ("SMALLER 0", SearchKey::Smaller(0)),
        ("OLDER 259200", SearchKey::Older(259_200)),
        ("YOUNGER 1", SearchKey::Younger(1)),
        ("2:4,*", SearchKey::Sequence(set(&[(2, 4), (0, 0)]))),
        ("$", SearchKey::Sequence(SequenceSet::Saved)),
        ("UID 7:*", SearchKey::Uid(set(&[(7, 0)]))),
        ("UID $", SearchKey::Uid(SequenceSet::Saved)),
        ("MODSEQ 620162338", SearchKey::ModSeq(ModSeq(620_162_338))),
        ("MODSEQ \"/flags/\\\\draft\" all 620162338", SearchKey::ModSeq(ModSeq(620_162_338))),
        ("EMAILID M1f", SearchKey::EmailId(Some(EmailId(0x1f)))),
        ("EMAILID xyz", SearchKey::EmailId(None)),
        ("THREADID T1f", SearchKey::ThreadId(Some(ThreadId(0x1f)))),
    ] {
        assert_eq!(key(text), expected, "{text}");
    }
}

#[test]
fn dates_are_of_three_kinds() {
    let mut seen = Vec::new();
    for (text, expected) in [
        ("BEFORE 1-Feb-1994", (DateOf::Internal, DateIs::Before)),
        ("ON \"1-Feb-1994\"", (DateOf::Internal, DateIs::On)),
        ("SINCE 01-feb-1994", (DateOf::Internal, DateIs::Since)),
        ("SENTBEFORE 1-Feb-1994", (DateOf::Sent, DateIs::Before)),
        ("SENTON 1-Feb-1994", (DateOf::Sent, DateIs::On)),
        ("SENTSINCE 1-Feb-1994", (DateOf::Sent, DateIs::Since)),
        ("SAVEDBEFORE 1-Feb-1994", (DateOf::Saved, DateIs::Before)),
        ("SAVEDON 1-Feb-1994", (DateOf::Saved, DateIs::On)),
        ("SAVEDSINCE 1-Feb-1994", (DateOf::Saved, DateIs::Since)),
    ] {
        let SearchKey::Date { of, is, day } = key(text) else { panic!("{text}") };
        assert_eq!((of, is), expected, "{text}");
        seen.push(day);
    }
    assert!(seen.iter().all(|day| day.since_epoch == 8_797));
    assert!(bad(b"SINCE yesterday").contains("Expected a date like 1-Feb-1994 at octet 17"));
}

#[test]
fn keys_are_joined_negated_and_chosen_from() {
    assert_eq!(
        key("FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\""),
        SearchKey::And(vec![
            SearchKey::Flag(SystemFlag::Flagged),
            key("SINCE 1-Feb-1994"),
            not(SearchKey::Envelope(EnvelopeField::From, needle("Smith"))),
        ])
    );
    assert_eq!(key("OR SEEN (ALL DRAFT)"), SearchKey::Or(vec![SEEN, key("ALL DRAFT")]));
    assert_eq!(key("OR SEEN OR ALL DRAFT"), SearchKey::Or(vec![SEEN, SearchKey::All, key("DRAFT")]));
    assert_eq!(
        key("OR OR SEEN ALL DRAFT"),
        SearchKey::Or(vec![SearchKey::Or(vec![SEEN, SearchKey::All]), key("DRAFT")])
    );
    assert_eq!(key("NOT NOT NOT SEEN"), not(SEEN));
    assert_eq!(key("NOT NOT SEEN"), SEEN);
    assert_eq!(key("( SEEN )"), SEEN);
    assert_eq!(key("OR (SEEN) NOT (ALL)"), SearchKey::Or(vec![SEEN, not(SearchKey::All)]));
}

#[test]
fn the_answer_may_be_an_esearch() {
    let returns = |text: &str| parse(text.as_bytes()).unwrap().returns.unwrap();
    assert_eq!(returns("RETURN () ALL"), SearchReturn { all: true, ..SearchReturn::default() });
    assert_eq!(
        returns("RETURN (MIN MAX COUNT) ALL"),
        SearchReturn { min: true, max: true, count: true, ..SearchReturn::default() }
    );
    assert_eq!(
        returns("RETURN (SAVE ALL) CHARSET UTF-8 ALL"),
        SearchReturn { save: true, all: true, ..SearchReturn::default() }
    );
    assert!(bad(b"RETURN (FOO) ALL").contains("Unknown return option"));
}

#[test]
fn modification_sequences_are_noticed_at_any_depth() {
    assert!(key("OR SEEN NOT (ALL MODSEQ 1)").uses_mod_seq());
    assert!(!key("OR SEEN NOT (ALL DRAFT)").uses_mod_seq());
}

#[test]
fn texts_come_in_the_charset_named() {
    let text = |octets: &[u8]| match parse(octets).unwrap().key {
        SearchKey::Text(Needle(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(text("CHARSET UTF-8 TEXT {6}\r\nмат".as_bytes()), "мат");
    assert_eq!(text("charset utf-8 TEXT мат".as_bytes()), "мат");
    assert_eq!(text("TEXT \"мат\"".as_bytes()), "мат");
    assert_eq!(text(b"CHARSET \"iso-8859-1\" TEXT {3}\r\nm\xfct"), "müt");
    assert_eq!(text(b"CHARSET KOI8-R TEXT {3}\r\n\xcd\xc1\xd4"), "мат");
    assert_eq!(bad(b"CHARSET KLINGON TEXT a"), "A1 NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset\r\n");
    assert_eq!(bad(b"TEXT {1}\r\n\xfc"), "A1 NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset\r\n");
}

#[test]
fn what_is_no_key_is_told() {
    for (octets, what) in [
        (&b""[..], "Expected a search key"),
        (b"FOO", "Unknown search key at octet 11"),
        (b"FOO bar", "Unknown search key at octet 11"),
        (b"TEXT\"a\"", "Expected a space at octet 15"),
        (b"()", "Expected a search key"),
        (b"(SEEN", "Expected a space or the end of the search keys"),
        (b"OR SEEN", "Expected a space"),
        (b"NOT", "Expected a search key"),
        (b"HEADER \"a b\" c", "No header field can be called so"),
        (b"OLDER 0", "must not be zero"),
        (b"LARGER x", "Expected how many octets"),
        (b"KEYWORD \\Seen", "Expected a keyword"),
        (b"SEEN)", "Expected the end of the command"),
        (b"MODSEQ \"/flags/a\" mine 1", "Expected priv, shared or all"),
    ] {
        assert!(bad(octets).contains(what), "{}: {}", octets.escape_ascii(), bad(octets));
    }
}

#[test]
fn nesting_and_number_of_keys_are_bounded() {
    let nested = |depth: usize| format!("{}ALL{}", "(".repeat(depth), ")".repeat(depth));
    key(&nested(62));
    key(&nested(63));
    assert!(bad(nested(64).as_bytes()).contains("nested too deep"));
    let many = |count: usize| vec!["ALL"; count].join(" ");
    key(&many(1_999));
    key(&many(2_000));
    assert!(bad(many(2_001).as_bytes()).contains("Too many search keys"));
    // What a client chains to find a conversation is no nesting.
    key(&format!("{}HEADER Message-ID <z@example>", "OR HEADER Message-ID <a@example> ".repeat(500)));
}
