//! Every command as the RFCs show it, read into types; and what is wrong, told with its place.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use imap::command::{
    Authenticate, Copy, Create, Fetch, FlagNames, GetMetadata, IdParameters, List, ListReturn, ListSelection,
    Login, MetadataDepth, MetadataQuestion, Opening, Qresync, SaslAnswer, Select, SequenceMatch, SetMetadata,
    StatusItems, Store, StoreAction, StoreAnswer, is_idle_done,
};
use imap::{
    BadCommand, Command, Dialect, ListPattern, NameEncoding, Numbering, Separator, SequenceSet, TaggedCommand,
};
use mail_types::{
    AnnotationName, Keyword, MailboxName, ModSeq, Secret, SpecialUse, SystemFlag, UidSet, UidValidity,
};

const PLAIN: Dialect = Dialect { encoding: NameEncoding::ModifiedUtf7, separator: Separator::Slash };
const UTF8: Dialect = Dialect { encoding: NameEncoding::Utf8, separator: Separator::Slash };
const DOTS: Dialect = Dialect { encoding: NameEncoding::ModifiedUtf7, separator: Separator::Dot };

fn parse(octets: &[u8], dialect: Dialect) -> Result<Command, BadCommand> {
    TaggedCommand::parse(&[b"A1 ", octets].concat(), dialect).map(|tagged| {
        assert_eq!(tagged.tag.as_str(), "A1");
        tagged.command
    })
}

fn read(text: &str) -> Command {
    parse(text.as_bytes(), PLAIN).unwrap_or_else(|bad| panic!("{text}: {bad:?}"))
}

/// What the client is told of a command that is wrong.
fn bad(text: &str) -> String {
    let bad = parse(text.as_bytes(), PLAIN).err().unwrap_or_else(|| panic!("{text} was read"));
    let mut out = Vec::new();
    imap::response::write_bad(&mut out, &bad);
    String::from_utf8(out).unwrap()
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

fn set(ranges: &[(u32, u32)]) -> SequenceSet {
    SequenceSet::Ranges(ranges.to_vec())
}

#[test]
fn commands_without_arguments() {
    for (text, command) in [
        ("CAPABILITY", Command::Capability),
        ("noop", Command::Noop),
        ("Logout", Command::Logout),
        ("STARTTLS", Command::StartTls),
        ("NAMESPACE", Command::Namespace),
        ("IDLE", Command::Idle),
        ("CHECK", Command::Check),
        ("CLOSE", Command::Close),
        ("UNSELECT", Command::Unselect),
        ("EXPUNGE", Command::Expunge(None)),
        ("NOOP  ", Command::Noop),
    ] {
        assert_eq!(read(text), command, "{text}");
    }
    assert_eq!(bad("NOOP x"), "A1 BAD Expected the end of the command at octet 9\r\n");
}

#[test]
fn what_is_no_command_is_told() {
    assert_eq!(bad("XYZZY {3+} 1"), "A1 BAD Unknown command\r\n");
    assert_eq!(bad("UID NOOP 1"), "A1 BAD Unknown command\r\n");
    assert_eq!(bad(""), "A1 BAD Expected a command at octet 4\r\n");
    assert_eq!(bad("APPEND INBOX \"x\""), "A1 BAD APPEND needs a message as a literal at octet 11\r\n");
    assert_eq!(bad("LOGIN"), "A1 BAD Expected a user name at octet 9\r\n");
    assert_eq!(bad("LOGIN\"ann\" x"), "A1 BAD Expected a space at octet 9\r\n");
    assert_eq!(bad("UID"), "A1 BAD Expected a command after UID at octet 7\r\n");
    assert_eq!(bad("XYZZY"), "A1 BAD Unknown command\r\n");
}

#[test]
fn commands_without_a_tag_get_an_untagged_answer() {
    for octets in [&b"+ NOOP"[..], b"* NOOP", b" NOOP", b"a\xff NOOP", b"(", b""] {
        let bad = TaggedCommand::parse(octets, PLAIN).unwrap_err();
        assert_eq!(bad.tag, None);
        let mut out = Vec::new();
        imap::response::write_bad(&mut out, &bad);
        assert_eq!(out, b"* BAD Expected a tag at octet 1\r\n");
    }
}

#[test]
fn login_takes_any_string() {
    for octets in [
        &b"LOGIN ann@example.org sesame"[..],
        b"LOGIN \"ann@example.org\" \"sesame\"",
        b"LOGIN {15}\r\nann@example.org {6+}\r\nsesame",
    ] {
        let login = Login { user: "ann@example.org".to_owned(), password: Secret::from("sesame") };
        assert_eq!(parse(octets, PLAIN), Ok(Command::Login(login)));
    }
    let Command::Login(login) = read(r#"LOGIN "a\"b\\c" "" "#) else { panic!() };
    assert_eq!((login.user.as_str(), login.password.reveal()), ("a\"b\\c", &b""[..]));
    // A password is octets: a client's Latin-1 must reach the comparison as it is.
    let Ok(Command::Login(login)) = parse(b"LOGIN ann \"p\xe4ss\"", PLAIN) else { panic!() };
    assert_eq!(login.password.reveal(), b"p\xe4ss");
}

#[test]
fn broken_strings_are_told() {
    for (text, answer) in [
        ("LOGIN \"ann x", "A1 BAD A quoted string does not end at octet 10\r\n"),
        ("LOGIN \"an\rn\" x", "A1 BAD A quoted string holds no line end and no NUL at octet 13\r\n"),
        ("LOGIN \"an\\\rn\" x", "A1 BAD A quoted string holds no line end and no NUL at octet 14\r\n"),
        ("LOGIN {3}\r\nan", "A1 BAD A literal is broken at octet 10\r\n"),
        ("LOGIN {3} ann", "A1 BAD A literal is broken at octet 10\r\n"),
        ("LOGIN {99999999999999999999}\r\n x", "A1 BAD A literal is broken at octet 10\r\n"),
        ("LOGIN (", "A1 BAD Expected a user name at octet 10\r\n"),
        ("LOGIN ann", "A1 BAD Expected a space at octet 13\r\n"),
        ("LOGIN ann ", "A1 BAD Expected a password at octet 14\r\n"),
    ] {
        assert_eq!(bad(text), answer);
    }
}

#[test]
fn passwords_are_not_shown_to_logs() {
    assert!(!format!("{:?}", read("LOGIN ann sesame")).contains("sesame"));
    assert!(!format!("{:?}", read("AUTHENTICATE PLAIN AGFubgBzZXNhbWU=")).contains("sesame"));
}

#[test]
fn authenticate_may_bring_its_first_response() {
    let authenticate = |mechanism: &str, response: Option<&[u8]>| {
        let initial_response = response.map(|octets| Secret::new(octets.to_vec()));
        Command::Authenticate(Authenticate { mechanism: mechanism.to_owned(), initial_response })
    };
    assert_eq!(read("AUTHENTICATE plain"), authenticate("PLAIN", None));
    assert_eq!(read("AUTHENTICATE SCRAM-SHA-256 ="), authenticate("SCRAM-SHA-256", Some(b"")));
    assert_eq!(
        read("AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q="),
        authenticate("PLAIN", Some(b"test\0test\0test"))
    );
    assert_eq!(
        read("AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q"),
        authenticate("PLAIN", Some(b"test\0test\0test"))
    );
    let answer = "A1 BAD The initial response is not base64 at octet 23\r\n";
    for text in [
        "AUTHENTICATE PLAIN dG\tVz",
        "AUTHENTICATE PLAIN d",
        "AUTHENTICATE PLAIN dGVzd===",
        "AUTHENTICATE PLAIN *",
    ] {
        assert_eq!(bad(text), answer);
    }
}

#[test]
fn answers_to_challenges_are_base64_or_a_star() {
    assert_eq!(SaslAnswer::parse(b"*"), Ok(SaslAnswer::Cancelled));
    assert_eq!(SaslAnswer::parse(b""), Ok(SaslAnswer::Response(Secret::new(Vec::new()))));
    assert_eq!(SaslAnswer::parse(b"YW5u"), Ok(SaslAnswer::Response(Secret::from("ann"))));
    assert!(SaslAnswer::parse(b"YW5u\tYW5u").is_err());
    assert!(SaslAnswer::parse(b"YW5u ").is_err());
}

#[test]
fn done_ends_idle() {
    assert!(is_idle_done(b"DONE") && is_idle_done(b"done "));
    assert!(!is_idle_done(b"A1 DONE") && !is_idle_done(b""));
}

#[test]
fn id_is_nil_or_pairs() {
    let pair = |field: &str, value: Option<&str>| (field.to_owned(), value.map(str::to_owned));
    assert_eq!(read("ID NIL"), Command::Id(IdParameters::default()));
    assert_eq!(read("ID ()"), Command::Id(IdParameters::default()));
    assert_eq!(
        read(r#"ID ("name" "sodr" "version" NIL)"#),
        Command::Id(IdParameters(vec![pair("name", Some("sodr")), pair("version", None)]))
    );
    assert_eq!(bad("ID (\"name\")"), "A1 BAD Expected a space at octet 14\r\n");
}

#[test]
fn id_is_bounded_as_its_rfc_says() {
    let pairs = |count: usize| format!("ID ({})", vec!["\"a\" \"b\""; count].join(" "));
    assert!(matches!(read(&pairs(30)), Command::Id(pairs) if pairs.0.len() == 30));
    assert!(bad(&pairs(31)).contains("at most 30 pairs"));
    let field = |octets: usize| format!("ID (\"{}\" NIL)", "a".repeat(octets));
    read(&field(30));
    assert!(bad(&field(31)).contains("at most 30 octets"));
    let value = |octets: usize| format!("ID (\"a\" \"{}\")", "a".repeat(octets));
    read(&value(1_024));
    assert!(bad(&value(1_025)).contains("at most 1,024 octets"));
}

#[test]
fn enable_names_capabilities() {
    let names = ["CONDSTORE", "X-GOOD-IDEA", "UTF8=ACCEPT"].map(str::to_owned).to_vec();
    assert_eq!(read("ENABLE condstore X-GOOD-IDEA utf8=accept"), Command::Enable(names));
    assert!(bad("ENABLE ").contains("Expected a capability"));
    read(&format!("ENABLE {}", vec!["X"; 64].join(" ")));
    assert!(bad(&format!("ENABLE {}", vec!["X"; 65].join(" "))).contains("Too many capabilities"));
}

#[test]
fn select_knows_its_parameters() {
    let plain =
        Select { mailbox: name("INBOX"), opening: Opening::ReadWrite, condstore: false, qresync: None };
    assert_eq!(read("SELECT inbox"), Command::Select(plain.clone()));
    assert_eq!(
        read("EXAMINE INBOX"),
        Command::Select(Select { opening: Opening::ReadOnly, ..plain.clone() })
    );
    assert_eq!(
        read("SELECT INBOX (CONDSTORE)"),
        Command::Select(Select { condstore: true, ..plain.clone() })
    );
    let qresync = |known_uids: Option<&[(u32, u32)]>, samples: Option<SequenceMatch>| Qresync {
        uid_validity: UidValidity(67_890_007),
        mod_seq: ModSeq(20_050_715_194_045_000),
        known_uids: known_uids.map(|ranges| UidSet::from_ranges(ranges.iter().copied())),
        samples,
    };
    let samples = SequenceMatch {
        numbers: UidSet::from_ranges([(1, 1), (29, 29)]),
        uids: UidSet::from_ranges([(12, 12), (300, 300)]),
    };
    for (text, expected) in [
        ("(67890007 20050715194045000)", qresync(None, None)),
        ("(67890007 20050715194045000 41,43:211)", qresync(Some(&[(41, 41), (43, 211)]), None)),
        ("(67890007 20050715194045000 (1,29 12,300))", qresync(None, Some(samples.clone()))),
        (
            "(67890007 20050715194045000 41,43:211 (1,29 12,300))",
            qresync(Some(&[(41, 41), (43, 211)]), Some(samples.clone())),
        ),
    ] {
        let select = Select { qresync: Some(expected), ..plain.clone() };
        assert_eq!(read(&format!("SELECT INBOX (QRESYNC {text})")), Command::Select(select));
    }
}

#[test]
fn select_refuses_what_it_does_not_know() {
    for (text, what) in [
        ("SELECT INBOX (FOO)", "Unknown parameter at octet 18"),
        ("SELECT INBOX FOO", "Expected parameters in parentheses"),
        ("SELECT INBOX (QRESYNC (1))", "Expected a space"),
        ("SELECT INBOX (QRESYNC (1 2 1:*))", "Expected numbers without * and $"),
        ("SELECT INBOX (QRESYNC (1 2 (1:2 7)))", "Each sequence number needs its unique identifier"),
        ("SELECT INBOX (QRESYNC (1 9223372036854775808))", "at most 63 bits"),
    ] {
        assert!(bad(text).contains(what), "{text}: {}", bad(text));
    }
    assert!(matches!(read("SELECT INBOX (QRESYNC (1 9223372036854775807))"), Command::Select(_)));
}

#[test]
fn mailboxes_are_made_renamed_and_removed() {
    let create = |text: &str, special_uses: &[SpecialUse]| {
        Command::Create(Create { mailbox: name(text), special_uses: special_uses.to_vec() })
    };
    assert_eq!(read("CREATE owatagusiam/"), create("owatagusiam", &[]));
    assert_eq!(read("CREATE a/b"), create("a/b", &[]));
    assert_eq!(
        read("CREATE MySpecial (USE (\\Drafts \\sent))"),
        create("MySpecial", &[SpecialUse::Drafts, SpecialUse::Sent])
    );
    assert_eq!(bad("CREATE Everything (USE (\\All))"), "A1 NO [USEATTR] Unknown special use\r\n");
    assert_eq!(read("DELETE blurdybloop"), Command::Delete(name("blurdybloop")));
    assert_eq!(read("RENAME a b"), Command::Rename { from: name("a"), to: name("b") });
    assert_eq!(read("SUBSCRIBE #news.comp.mail.mime"), Command::Subscribe(name("#news.comp.mail.mime")));
    assert_eq!(read("UNSUBSCRIBE \"a b\""), Command::Unsubscribe(name("a b")));
}

#[test]
fn impossible_names_get_no_and_not_bad() {
    for text in ["CREATE a//b", "CREATE /", "SELECT \"\"", "RENAME a b/", "DELETE \"a\tb\""] {
        assert!(bad(text).starts_with("A1 NO [CANNOT] Not a mailbox name"), "{text}");
    }
}

#[test]
fn names_are_read_in_the_dialect_spoken() {
    let subscribed = |text: &str| Ok(Command::Subscribe(name(text)));
    assert_eq!(parse(b"SUBSCRIBE Entw&APw-rfe", PLAIN), subscribed("Entwürfe"));
    assert_eq!(parse("SUBSCRIBE \"Entwürfe\"".as_bytes(), PLAIN), subscribed("Entwürfe"));
    assert_eq!(parse("SUBSCRIBE Entwürfe".as_bytes(), UTF8), subscribed("Entwürfe"));
    assert_eq!(parse(b"SUBSCRIBE Entw&APw-rfe", UTF8), subscribed("Entw&APw-rfe"));
    assert_eq!(parse(b"SUBSCRIBE INBOX.Lists.v1/0", DOTS), subscribed("INBOX/Lists/v1.0"));
    assert_eq!(parse(b"CREATE a.", DOTS), parse(b"CREATE a/", PLAIN));
    assert!(parse(b"SUBSCRIBE \"\xff\"", PLAIN).is_err());
}

#[test]
fn list_is_plain_or_extended() {
    let list = |patterns: &[&str]| List {
        selection: ListSelection::default(),
        patterns: patterns.iter().map(|text| ListPattern::new(text)).collect(),
        returns: ListReturn::default(),
        metadata: None,
        extended: false,
    };
    let extended = |patterns: &[&str]| List { extended: true, ..list(patterns) };
    for (text, expected) in [
        ("LIST \"\" \"\"", list(&[])),
        ("LIST \"\" *", list(&["*"])),
        ("LIST ~/Mail/ %", list(&["~/Mail/%"])),
        ("LIST \"\" \"*\"", list(&["*"])),
        ("LIST () \"\" *", extended(&["*"])),
        ("LIST \"\" (\"INBOX\" \"Drafts\" \"Sent/%\")", extended(&["INBOX", "Drafts", "Sent/%"])),
    ] {
        assert_eq!(read(text), Command::List(expected), "{text}");
    }
    let selection = ListSelection { subscribed: true, recursive_match: true, ..ListSelection::default() };
    assert_eq!(
        read("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" *"),
        Command::List(List { selection, ..extended(&["*"]) })
    );
    let status = StatusItems { messages: true, unseen: true, ..StatusItems::default() };
    let returns = ListReturn { children: true, status: Some(status), ..ListReturn::default() };
    assert_eq!(
        read("LIST \"\" % RETURN (CHILDREN STATUS (MESSAGES UNSEEN))"),
        Command::List(List { returns, ..extended(&["%"]) })
    );
    let selection = ListSelection { special_use: true, remote: true, ..ListSelection::default() };
    let returns = ListReturn { special_use: true, subscribed: true, ..ListReturn::default() };
    assert_eq!(
        read("LIST (SPECIAL-USE REMOTE) \"\" \"*\" RETURN (SPECIAL-USE SUBSCRIBED)"),
        Command::List(List { selection, returns, ..extended(&["*"]) })
    );
}

#[test]
fn list_refuses_what_it_does_not_know() {
    for (text, what) in [
        ("LIST (RECURSIVEMATCH) \"\" *", "RECURSIVEMATCH needs another selection option"),
        ("LIST (RECURSIVEMATCH REMOTE) \"\" *", "RECURSIVEMATCH needs another selection option"),
        ("LIST (FOO) \"\" *", "Unknown selection option at octet 10"),
        ("LIST \"\" * RETURN (FOO)", "Unknown return option"),
        ("LIST \"\" * FOO", "Expected RETURN"),
        ("LIST \"\"", "Expected a space"),
    ] {
        assert!(bad(text).contains(what), "{text}: {}", bad(text));
    }
    let patterns = |count: usize| format!("LIST \"\" ({})", vec!["*"; count].join(" "));
    read(&patterns(64));
    assert!(bad(&patterns(65)).contains("Too many patterns"));
    let long = |octets: usize| format!("LIST a {}", "b".repeat(octets));
    read(&long(1_023));
    assert!(bad(&long(1_024)).contains("longer than any mailbox name"));
}

#[test]
fn lsub_joins_reference_and_pattern() {
    let Command::Lsub(lsub) = read("LSUB \"#news.\" \"comp.mail.*\"") else { panic!() };
    assert_eq!(lsub.pattern.unwrap().as_str(), "#news.comp.mail.*");
    assert!(matches!(read("LSUB \"\" \"\""), Command::Lsub(lsub) if lsub.pattern.is_none()));
}

#[test]
fn status_names_its_items() {
    let Command::Status { mailbox, items } = read(
        "STATUS blurdybloop (UIDNEXT MESSAGES UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ APPENDLIMIT MAILBOXID RECENT DELETED-STORAGE)",
    ) else {
        panic!()
    };
    assert_eq!(mailbox, name("blurdybloop"));
    let all = StatusItems {
        messages: true,
        recent: true,
        uid_next: true,
        uid_validity: true,
        unseen: true,
        deleted: true,
        size: true,
        highest_mod_seq: true,
        append_limit: true,
        mailbox_id: true,
        deleted_storage: true,
    };
    assert_eq!(items, all);
    assert_eq!(bad("STATUS a (FOO)"), "A1 BAD Unknown status item at octet 14\r\n");
}

#[test]
fn store_changes_flags() {
    let flags = FlagNames { system: SystemFlag::Deleted as u8, keywords: Vec::new() };
    let store = Store {
        numbering: Numbering::Sequence,
        set: set(&[(2, 4)]),
        unchanged_since: None,
        action: StoreAction::Add,
        answer: StoreAnswer::Flags,
        flags,
    };
    assert_eq!(read("STORE 2:4 +FLAGS (\\Deleted)"), Command::Store(store.clone()));
    assert_eq!(read("STORE 2:4 +flags \\deleted"), Command::Store(store.clone()));
    assert_eq!(
        read("UID STORE 2:4 (UNCHANGEDSINCE 320162338) -FLAGS.SILENT (\\Deleted)"),
        Command::Store(Store {
            numbering: Numbering::Uid,
            unchanged_since: Some(ModSeq(320_162_338)),
            action: StoreAction::Remove,
            answer: StoreAnswer::Silent,
            ..store.clone()
        })
    );
    let keywords = vec![Keyword::parse("$Junk").unwrap(), Keyword::parse("NonJunk").unwrap()];
    let flags = FlagNames { system: SystemFlag::Seen as u8, keywords };
    assert_eq!(
        read("STORE 2:4 FLAGS $Junk \\Seen NonJunk $junk \\Recent"),
        Command::Store(Store { action: StoreAction::Replace, flags, ..store.clone() })
    );
    assert_eq!(
        read("STORE 2:4 FLAGS ()"),
        Command::Store(Store { action: StoreAction::Replace, flags: FlagNames::default(), ..store })
    );
}

#[test]
fn store_refuses_what_are_no_flags() {
    for (text, what) in [
        ("STORE 1 +FLAGS (\\*)", "Expected a flag"),
        ("STORE 1 +FLAGS (\\Foo)", "Unknown system flag at octet 20"),
        ("STORE 1 +FLAGS", "Expected a space"),
        ("STORE 1 FLAG (x)", "Expected FLAGS or FLAGS.SILENT at octet 12"),
        ("STORE 1 +FLAGS (a", "Expected a flag"),
        ("STORE 1 +FLAGS ((((a))))", "Expected a flag"),
        ("STORE 1 (CHANGEDSINCE 1) FLAGS (a)", "Unknown modifier"),
    ] {
        assert!(bad(text).contains(what), "{text}: {}", bad(text));
    }
    let keywords = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("k{number}")).collect();
        format!("STORE 1 +FLAGS ({})", names.join(" "))
    };
    read(&keywords(128));
    assert!(bad(&keywords(129)).contains("Too many keywords"));
}

#[test]
fn messages_are_copied_moved_and_expunged() {
    let copy = Copy { numbering: Numbering::Sequence, set: set(&[(2, 4)]), mailbox: name("MEETING") };
    assert_eq!(read("COPY 2:4 MEETING"), Command::Copy(copy.clone()));
    assert_eq!(
        read("UID MOVE 42:69 foo"),
        Command::Move(Copy { numbering: Numbering::Uid, set: set(&[(42, 69)]), mailbox: name("foo") })
    );
    assert_eq!(
        read("UID COPY $ foo"),
        Command::Copy(Copy { numbering: Numbering::Uid, set: SequenceSet::Saved, mailbox: name("foo") })
    );
    assert_eq!(read("MOVE 2:4 MEETING"), Command::Move(copy));
    assert_eq!(read("UID EXPUNGE 3000:3002"), Command::Expunge(Some(set(&[(3_000, 3_002)]))));
}

fn question(names: &[&str], depth: MetadataDepth, octets_max: Option<u64>) -> MetadataQuestion {
    let names = names.iter().map(|text| AnnotationName::parse(text).unwrap()).collect();
    MetadataQuestion { names, depth, octets_max }
}

#[test]
fn annotations_are_asked_for() {
    let (a, b) = ("/shared/comment", "/private/comment");
    let inbox = |question| Command::GetMetadata(GetMetadata { mailbox: Some(name("INBOX")), question });
    let server = |question| Command::GetMetadata(GetMetadata { mailbox: None, question });
    use MetadataDepth::{AllBelow, Named, OneBelow};
    for (text, expected) in [
        ("GETMETADATA \"\" /shared/comment", server(question(&[a], Named, None))),
        ("GETMETADATA INBOX (/shared/comment /Private/Comment)", inbox(question(&[a, b], Named, None))),
        ("GETMETADATA inbox (/shared/comment /SHARED/comment)", inbox(question(&[a], Named, None))),
        ("GETMETADATA (MAXSIZE 1024) INBOX \"/shared/comment\"", inbox(question(&[a], Named, Some(1024)))),
        (
            "GETMETADATA (DEPTH 1 MAXSIZE 0) INBOX (/private)",
            inbox(question(&["/private"], OneBelow, Some(0))),
        ),
        ("GETMETADATA INBOX (DEPTH infinity) ( /shared/comment )", inbox(question(&[a], AllBelow, None))),
        ("GETMETADATA \"INBOX\" (depth 0) /shared/comment", inbox(question(&[a], Named, None))),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    for text in [
        "GETMETADATA INBOX",
        "GETMETADATA INBOX ()",
        "GETMETADATA INBOX /other/comment",
        "GETMETADATA INBOX /shared/",
        "GETMETADATA INBOX /shared/com*",
        "GETMETADATA (DEPTH 2) INBOX /shared/comment",
        "GETMETADATA (MAXSIZE) INBOX /shared/comment",
        "GETMETADATA (WIDTH 1) INBOX /shared/comment",
        "GETMETADATA INBOX (/shared/comment",
    ] {
        assert!(parse(text.as_bytes(), PLAIN).is_err(), "{text}");
    }
    let asked = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("/shared/{number}")).collect();
        parse(format!("GETMETADATA INBOX ({})", names.join(" ")).as_bytes(), PLAIN)
    };
    for (count, fits) in [(63, true), (64, true), (65, false)] {
        assert_eq!(asked(count).is_ok(), fits, "{count}");
    }
    let list = read("LIST \"\" % RETURN (METADATA (MAXSIZE 9) (/shared/comment) CHILDREN)");
    let Command::List(list) = list else { panic!("{list:?}") };
    assert_eq!(list.metadata, Some(question(&[a], Named, Some(9))));
    assert!(list.returns.children);
}

#[test]
fn annotations_are_set() {
    let set = |changes: &[(&str, Option<&[u8]>)]| {
        let changes = changes
            .iter()
            .map(|(text, value)| (AnnotationName::parse(text).unwrap(), value.map(<[u8]>::to_vec)));
        Command::SetMetadata(SetMetadata { mailbox: Some(name("INBOX")), changes: changes.collect() })
    };
    for (text, expected) in [
        ("SETMETADATA INBOX (/private/comment \"x\")", set(&[("/private/comment", Some(b"x"))])),
        (
            "SETMETADATA INBOX ( /private/a NIL /private/b {3}\r\na\0b )",
            set(&[("/private/a", None), ("/private/b", Some(b"a\0b"))]),
        ),
        ("SETMETADATA INBOX (/private/a ~{0}\r\n)", set(&[("/private/a", Some(b""))])),
        ("SETMETADATA INBOX (/private/a \"1\" /Private/A \"2\")", set(&[("/private/a", Some(b"2"))])),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    for text in [
        "SETMETADATA INBOX ()",
        "SETMETADATA INBOX /private/comment \"x\"",
        "SETMETADATA INBOX (/private \"x\")",
        "SETMETADATA INBOX (/private/comment)",
        "SETMETADATA INBOX (/private/comment x)",
    ] {
        assert!(parse(text.as_bytes(), PLAIN).is_err(), "{text}");
    }
    let many = |count: usize| {
        let changes: Vec<String> = (0..count).map(|number| format!("/private/{number} NIL")).collect();
        parse(format!("SETMETADATA \"\" ({})", changes.join(" ")).as_bytes(), PLAIN)
    };
    for (count, fits) in [(63, true), (64, true), (65, false)] {
        assert_eq!(many(count).is_ok(), fits, "{count}");
    }
}

#[test]
fn quota_is_asked_for_and_set() {
    assert_eq!(
        read("GETQUOTA \"!partition/sda4\""),
        Command::GetQuota { root: "!partition/sda4".to_owned() }
    );
    assert_eq!(read("GETQUOTA \"\""), Command::GetQuota { root: String::new() });
    assert_eq!(read("GETQUOTAROOT INBOX"), Command::GetQuotaRoot(name("INBOX")));
    assert_eq!(
        read("SETQUOTA \"\" (STORAGE 512 message 10)"),
        Command::SetQuota {
            root: String::new(),
            limits: vec![("STORAGE".to_owned(), 512), ("MESSAGE".to_owned(), 10)]
        }
    );
    let limits = |count: usize| format!("SETQUOTA a ({})", vec!["X 1"; count].join(" "));
    read(&limits(16));
    assert!(bad(&limits(17)).contains("Too many resources"));
}

#[test]
fn several_spaces_stand_for_one() {
    assert_eq!(read("STORE  1   FLAGS  ( \\Seen  a ) "), read("STORE 1 FLAGS (\\Seen a)"));
    assert_eq!(read("FETCH 1  ( UID  FLAGS ) "), read("FETCH 1 (UID FLAGS)"));
}

#[test]
fn sets_are_numbers_ranges_stars_and_the_saved_result() {
    let of = |text: &str| match read(&format!("UID EXPUNGE {text}")) {
        Command::Expunge(Some(set)) => set,
        _ => panic!(),
    };
    assert_eq!(of("2,4:7,9,12:*"), set(&[(2, 2), (4, 7), (9, 9), (12, 0)]));
    assert_eq!(of("*:4,*"), set(&[(0, 4), (0, 0)]));
    assert_eq!(of("$"), SequenceSet::Saved);
    assert_eq!(of("4294967295"), set(&[(u32::MAX, u32::MAX)]));
    for text in [
        "0",
        "1:0",
        "",
        ",",
        "1,",
        ":1",
        "1:",
        "1:2:3",
        "-1",
        "4294967296",
        "$,1",
        "1,$",
        "99999999999999999999",
    ] {
        assert!(parse(format!("UID EXPUNGE {text}").as_bytes(), PLAIN).is_err(), "{text}");
    }
}

#[test]
fn sets_are_bounded() {
    let set =
        |elements: usize| parse(format!("UID EXPUNGE {}", vec!["1"; elements].join(",")).as_bytes(), PLAIN);
    for elements in [SequenceSet::ELEMENTS_MAX - 1, SequenceSet::ELEMENTS_MAX] {
        assert!(set(elements).is_ok());
    }
    assert!(set(SequenceSet::ELEMENTS_MAX + 1).is_err());
}

#[test]
fn sets_of_twenty_thousand_are_read_in_no_time() {
    let numbers: Vec<String> = (1..=20_000).map(|number| (number * 2).to_string()).collect();
    let text = format!("UID EXPUNGE {}", numbers.join(","));
    let start = std::time::Instant::now();
    let Command::Expunge(Some(set)) = read(&text) else { panic!() };
    // A tenth of a millisecond when optimised; a quadratic reader would take seconds.
    assert!(start.elapsed().as_millis() < 200);
    assert_eq!(set.uids(Some(mail_types::Uid(40_000))).unwrap().count(), 20_000);
}

#[test]
fn parentheses_are_no_way_to_our_stack() {
    let open = "(".repeat(100_000);
    for text in [
        format!("SEARCH {open}"),
        format!("SEARCH {}ALL", "NOT ".repeat(100_000)),
        format!("SEARCH {}ALL", "OR ".repeat(100_000)),
        format!("SEARCH {}", "OR ALL ".repeat(100_000)),
        format!("FETCH 1 {open}"),
        format!("FETCH 1 BODY[HEADER.FIELDS {open}"),
        format!("LIST {open}"),
        format!("LIST \"\" {open}"),
        format!("ID {open}"),
        format!("STORE 1 FLAGS {open}"),
        format!("STATUS a {open}"),
        format!("SELECT a {open}"),
        format!("SELECT a (QRESYNC {open}"),
        format!("CREATE a {open}"),
        format!("SETQUOTA a {open}"),
    ] {
        let start = std::time::Instant::now();
        let _ = parse(text.as_bytes(), PLAIN);
        assert!(start.elapsed().as_millis() < 500, "{}", &text[..30]);
    }
}

#[test]
fn fetch_is_read_whole() {
    let Command::Fetch(Fetch { numbering, changed_since, vanished, .. }) =
        read("UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)")
    else {
        panic!()
    };
    assert_eq!((numbering, changed_since, vanished), (Numbering::Uid, Some(ModSeq(12_345)), true));
    let answer = bad("FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)");
    assert!(answer.contains("VANISHED needs UID FETCH and CHANGEDSINCE"));
    let answer = bad("UID FETCH 1 FLAGS (VANISHED)");
    assert!(answer.contains("VANISHED needs UID FETCH and CHANGEDSINCE"));
}
