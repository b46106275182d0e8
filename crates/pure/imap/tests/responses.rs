//! What we write, as the RFCs show it; and that nothing from outside can end a line or begin a response.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use imap::client::{self, ClientLimits, Response, ResponseReader, Value};
use imap::command::{BadCommand, BadKind};
use imap::fetch::{FieldName, PartPath, Section, SectionText};
use imap::response::{
    Code, Condition, Esearch, FetchResponse, ListAttributes, ListEntry, PermanentFlags, QuotaResource,
    StatusValues, Vanished, write_bad, write_bye, write_capability, write_challenge, write_continuation,
    write_enabled, write_esearch, write_exists, write_expunge, write_flags, write_id, write_list,
    write_list_root, write_lsub, write_metadata, write_metadata_changes, write_namespace, write_quota,
    write_quota_root, write_recent, write_search, write_status, write_tagged, write_untagged, write_vanished,
};
use imap::{Command, DateTime, Dialect, NameEncoding, Numbering, Separator, SequenceSet, Tag, TaggedCommand};
use mail_types::{
    AnnotationName, EmailId, Flags, Keyword, KeywordSet, MailboxId, MailboxName, ModSeq, SpecialUse,
    SystemFlag, ThreadId, Uid, UidSet, UidValidity,
};
use message::{Addressee, Content, Disposition, EmbeddedMessage, Envelope, Parameter, Part, Span};
use proptest::prelude::*;

const PLAIN: Dialect = Dialect { encoding: NameEncoding::ModifiedUtf7, separator: Separator::Slash };
const UTF8: Dialect = Dialect { encoding: NameEncoding::Utf8, separator: Separator::Slash };
const DOTS: Dialect = Dialect { encoding: NameEncoding::ModifiedUtf7, separator: Separator::Dot };

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::parse(text.as_bytes()).unwrap()
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

fn uids(ranges: &[(u32, u32)]) -> UidSet {
    UidSet::from_ranges(ranges.iter().copied())
}

fn keywords(names: &[&str]) -> Vec<Keyword> {
    names.iter().map(|name| Keyword::parse(name).unwrap()).collect()
}

fn code(code: Code<'_>) -> String {
    let text = written(|out| write_untagged(out, Condition::Ok, Some(&code), "."));
    text.strip_prefix("* OK [").unwrap().strip_suffix("] .\r\n").unwrap().to_owned()
}

#[test]
fn commands_are_answered() {
    let ok = |text: &str| written(|out| write_tagged(out, &tag("a1"), Condition::Ok, None, text));
    assert_eq!(ok("NOOP completed"), "a1 OK NOOP completed\r\n");
    assert_eq!(
        written(|out| write_tagged(out, &tag("a"), Condition::No, Some(&Code::OverQuota), "Full")),
        "a NO [OVERQUOTA] Full\r\n"
    );
    assert_eq!(written(|out| write_bye(out, Some(&Code::Unavailable), "Bye")), "* BYE [UNAVAILABLE] Bye\r\n");
    assert_eq!(written(|out| write_continuation(out, "idling")), "+ idling\r\n");
    assert_eq!(written(|out| write_challenge(out, b"")), "+ \r\n");
    assert_eq!(written(|out| write_challenge(out, b"r=abc")), "+ cj1hYmM=\r\n");
}

#[test]
fn texts_are_one_line_and_no_code() {
    let ok = |text: &str| written(|out| write_untagged(out, Condition::Ok, None, text));
    assert_eq!(ok(""), "* OK .\r\n");
    assert_eq!(ok("[ALERT] a\r\n* BYE b"), "* OK (ALERT] a??* BYE b\r\n");
    assert_eq!(ok("Grüße"), "* OK Gr??e\r\n");
    let bad = BadCommand { tag: None, kind: BadKind::OutOfStep };
    assert_eq!(written(|out| write_bad(out, &bad)), "* BYE [TOOBIG] Too much to skip\r\n");
}

#[test]
fn codes_are_written_with_their_arguments() {
    let flags = keywords(&["$Junk", "a"]);
    let (from, to) = (uids(&[(304, 304), (319, 320)]), uids(&[(3956, 3958)]));
    for (value, text) in [
        (Code::AppendUid(UidValidity(38_505), &to), "APPENDUID 38505 3956:3958"),
        (
            Code::CopyUid { uid_validity: UidValidity(38_505), from: &from, to: &to },
            "COPYUID 38505 304,319:320 3956:3958",
        ),
        (Code::MetadataLongEntries(2_199), "METADATA LONGENTRIES 2199"),
        (Code::MetadataMaxSize(1_024), "METADATA MAXSIZE 1024"),
        (Code::MetadataTooMany, "METADATA TOOMANY"),
        (Code::Modified(&[(7, 7), (9, 9)]), "MODIFIED 7,9"),
        (Code::Capability("IMAP4rev1 IDLE"), "CAPABILITY IMAP4rev1 IDLE"),
        (Code::BadCharset, "BADCHARSET (US-ASCII UTF-8)"),
        (Code::MailboxId(MailboxId(255)), "MAILBOXID (Fff)"),
        (Code::HighestModSeq(ModSeq(715_194_045_007)), "HIGHESTMODSEQ 715194045007"),
        (Code::UidNext(Uid(u32::MAX)), "UIDNEXT 4294967295"),
        (Code::UidValidity(UidValidity(1)), "UIDVALIDITY 1"),
        (Code::Unseen(17), "UNSEEN 17"),
        (Code::PermanentFlags(PermanentFlags::None), "PERMANENTFLAGS ()"),
        (
            Code::PermanentFlags(PermanentFlags::Known(&[])),
            "PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
        ),
        (
            Code::PermanentFlags(PermanentFlags::KnownAndNew(&flags)),
            "PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk a \\*)",
        ),
        (Code::ReadWrite, "READ-WRITE"),
        (Code::UnknownCte, "UNKNOWN-CTE"),
    ] {
        assert_eq!(code(value), text);
    }
}

#[test]
fn mailboxes_tell_how_they_change() {
    assert_eq!(written(|out| write_exists(out, 172)), "* 172 EXISTS\r\n");
    assert_eq!(written(|out| write_recent(out, 0)), "* 0 RECENT\r\n");
    assert_eq!(written(|out| write_expunge(out, 44)), "* 44 EXPUNGE\r\n");
    let gone = uids(&[(405, 405), (407, 407), (410, 425)]);
    assert_eq!(written(|out| write_vanished(out, Vanished::Now, &gone)), "* VANISHED 405,407,410:425\r\n");
    assert_eq!(
        written(|out| write_vanished(out, Vanished::Earlier, &gone)),
        "* VANISHED (EARLIER) 405,407,410:425\r\n"
    );
    assert_eq!(written(|out| write_vanished(out, Vanished::Now, &UidSet::new())), "");
    assert_eq!(
        written(|out| write_flags(out, &keywords(&["$Forwarded"]))),
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded)\r\n"
    );
}

#[test]
fn status_tells_what_was_asked() {
    let values = StatusValues {
        messages: Some(231),
        recent: Some(0),
        uid_next: Some(Uid(44_292)),
        uid_validity: Some(UidValidity(1)),
        unseen: Some(2),
        deleted: Some(3),
        size: Some(5_000_000_000),
        highest_mod_seq: Some(ModSeq(9)),
        append_limit: Some(7),
        mailbox_id: Some(MailboxId(1)),
        deleted_storage: Some(8),
    };
    assert_eq!(
        written(|out| write_status(out, &name("a b"), &values, PLAIN)),
        "* STATUS \"a b\" (MESSAGES 231 RECENT 0 UIDNEXT 44292 UIDVALIDITY 1 UNSEEN 2 DELETED 3 SIZE 5000000000 \
         HIGHESTMODSEQ 9 APPENDLIMIT 7 DELETED-STORAGE 8 MAILBOXID (F1))\r\n"
    );
    let one = StatusValues { mailbox_id: Some(MailboxId(1)), ..StatusValues::default() };
    assert_eq!(
        written(|out| write_status(out, &name("INBOX"), &one, PLAIN)),
        "* STATUS INBOX (MAILBOXID (F1))\r\n"
    );
}

#[test]
fn lists_show_names_in_the_dialect_spoken() {
    let entry = |name: &MailboxName, dialect| {
        let attributes = ListAttributes { has_children: Some(false), ..ListAttributes::default() };
        let entry = ListEntry { name, attributes, has_subscribed_below: false, old_name: None };
        written(|out| write_list(out, &entry, dialect))
    };
    let umlauts = name("Entwürfe/v1.0");
    assert_eq!(entry(&umlauts, PLAIN), "* LIST (\\HasNoChildren) \"/\" \"Entw&APw-rfe/v1.0\"\r\n");
    assert_eq!(entry(&umlauts, UTF8), "* LIST (\\HasNoChildren) \"/\" \"Entwürfe/v1.0\"\r\n");
    assert_eq!(entry(&umlauts, DOTS), "* LIST (\\HasNoChildren) \".\" \"Entw&APw-rfe.v1/0\"\r\n");
    assert_eq!(entry(&name("inbox"), DOTS), "* LIST (\\HasNoChildren) \".\" INBOX\r\n");
    assert_eq!(entry(&name("a\"b\\c & d"), PLAIN), "* LIST (\\HasNoChildren) \"/\" \"a\\\"b\\\\c &- d\"\r\n");
    assert_eq!(written(|out| write_list_root(out, DOTS)), "* LIST (\\Noselect) \".\" \"\"\r\n");
}

#[test]
fn lists_show_attributes_and_extended_data() {
    let (new, old) = (name("new"), name("old/x"));
    let attributes = ListAttributes {
        non_existent: true,
        no_select: true,
        subscribed: true,
        has_children: Some(true),
        special_use: Some(SpecialUse::Sent),
    };
    let entry = ListEntry { name: &new, attributes, has_subscribed_below: true, old_name: Some(&old) };
    assert_eq!(
        written(|out| write_list(out, &entry, PLAIN)),
        "* LIST (\\NonExistent \\Noselect \\Subscribed \\HasChildren \\Sent) \"/\" \"new\" \
         (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (\"old/x\"))\r\n"
    );
    assert_eq!(
        written(|out| write_lsub(out, &new, &ListAttributes::default(), PLAIN)),
        "* LSUB () \"/\" \"new\"\r\n"
    );
}

#[test]
fn searches_are_answered_in_two_forms() {
    assert_eq!(written(|out| write_search(out, [2, 84, 882], None)), "* SEARCH 2 84 882\r\n");
    assert_eq!(written(|out| write_search(out, [], None)), "* SEARCH\r\n");
    assert_eq!(
        written(|out| write_search(out, [2], Some(ModSeq(917_162_500)))),
        "* SEARCH 2 (MODSEQ 917162500)\r\n"
    );
    let result = Esearch { count: Some(3), all: Some(&[(2, 2), (10, 11)]), ..Esearch::default() };
    assert_eq!(
        written(|out| write_esearch(out, &tag("A282"), Numbering::Sequence, &result)),
        "* ESEARCH (TAG \"A282\") COUNT 3 ALL 2,10:11\r\n"
    );
    let result = Esearch {
        min: Some(7),
        max: Some(3_800),
        mod_seq: Some(ModSeq(9)),
        all: Some(&[]),
        ..Esearch::default()
    };
    assert_eq!(
        written(|out| write_esearch(out, &tag("A283"), Numbering::Uid, &result)),
        "* ESEARCH (TAG \"A283\") UID MIN 7 MAX 3800 MODSEQ 9\r\n"
    );
}

#[test]
fn server_and_account_are_told_of() {
    assert_eq!(written(|out| write_capability(out, "IMAP4rev2 ID")), "* CAPABILITY IMAP4rev2 ID\r\n");
    assert_eq!(
        written(|out| write_enabled(out, &["CONDSTORE", "QRESYNC"])),
        "* ENABLED CONDSTORE QRESYNC\r\n"
    );
    assert_eq!(written(|out| write_enabled(out, &[])), "* ENABLED\r\n");
    assert_eq!(
        written(|out| write_id(out, &[("name", "mail\"stead")])),
        "* ID (\"name\" \"mail\\\"stead\")\r\n"
    );
    assert_eq!(written(|out| write_id(out, &[])), "* ID NIL\r\n");
    assert_eq!(written(|out| write_namespace(out, DOTS)), "* NAMESPACE ((\"\" \".\")) NIL NIL\r\n");
    let resources = [
        QuotaResource { name: "STORAGE", usage: 10, limit: 512 },
        QuotaResource { name: "MESSAGE", usage: 1, limit: 2 },
    ];
    assert_eq!(
        written(|out| write_quota(out, "", &resources)),
        "* QUOTA \"\" (STORAGE 10 512 MESSAGE 1 2)\r\n"
    );
    assert_eq!(
        written(|out| write_quota_root(out, &name("INBOX"), &["", "a b"], PLAIN)),
        "* QUOTAROOT INBOX \"\" \"a b\"\r\n"
    );
}

#[test]
fn annotations_are_written_with_and_without_values() {
    let names = ["/private/comment", "/shared/a b"].map(|text| AnnotationName::parse(text).unwrap());
    let [comment, other] = &names;
    for (value, expected) in [
        (Some(&b"a \"word\""[..]), "\"a \\\"word\\\"\""),
        (Some(b""), "\"\""),
        (Some(b"a\r\nb"), "{4}\r\na\r\nb"),
        (Some(b"a\0b"), "~{3}\r\na\0b"),
        (None, "NIL"),
    ] {
        assert_eq!(
            written(|out| write_metadata(out, Some(&name("a b")), [(comment, value)], PLAIN)),
            format!("* METADATA \"a b\" (/private/comment {expected})\r\n")
        );
    }
    let values = [(comment, Some(&b"1"[..])), (other, Some(b"2"))];
    assert_eq!(
        written(|out| write_metadata(out, None, values, PLAIN)),
        "* METADATA \"\" (/private/comment \"1\" \"/shared/a b\" \"2\")\r\n"
    );
    assert_eq!(
        written(|out| write_metadata_changes(out, Some(&name("INBOX")), &names, PLAIN)),
        "* METADATA INBOX /private/comment \"/shared/a b\"\r\n"
    );
}

/// The one FETCH response that this writes.
fn fetched(dialect: Dialect, items: impl FnOnce(&mut FetchResponse, &mut Vec<u8>)) -> String {
    written(|out| {
        let mut response = FetchResponse::start(out, 12, dialect);
        items(&mut response, out);
        response.finish(out);
    })
}

#[test]
fn fetch_items_are_parted_by_spaces() {
    let flags = Flags { system: SystemFlag::Seen as u8, keywords: KeywordSet(0b101) };
    let date = DateTime { unix_seconds: 837_596_665, zone_minutes: -420 };
    let text = fetched(PLAIN, |response, out| {
        response.flags(out, flags, &keywords(&["$Junk", "b", "c"]));
        response.uid(out, Uid(7));
        response.internal_date(out, date);
        response.rfc822_size(out, 4_286);
        response.mod_seq(out, ModSeq(65_402));
        response.email_id(out, EmailId(31));
        response.thread_id(out, Some(ThreadId(32)));
        response.thread_id(out, None);
        response.save_date(out, None);
        response.preview(out, Some("a\"b"));
        response.preview(out, None);
        response.binary_size(out, &PartPath(vec![1, 2]), 9);
        response.flags(out, Flags::NONE, &[]);
    });
    assert_eq!(
        text,
        "* 12 FETCH (FLAGS (\\Seen $Junk c) UID 7 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 4286 \
         MODSEQ (65402) EMAILID (M1f) THREADID (T20) THREADID NIL SAVEDATE NIL PREVIEW \"a\\\"b\" PREVIEW NIL \
         BINARY.SIZE[1.2] 9 FLAGS ())\r\n"
    );
}

#[test]
fn sections_are_announced_and_streamed() {
    let fields = [FieldName::parse("From").unwrap(), FieldName::parse("X(odd)").unwrap()];
    let chosen = Section { part: PartPath(vec![1]), text: Some(SectionText::HeaderFields(fields.to_vec())) };
    let text = fetched(PLAIN, |response, out| {
        response.section(out, &Section::default(), None, 5);
        out.extend_from_slice(b"a\r\n)\r");
        response.section(out, &chosen, Some(3), 0);
        response.section_nil(out, &Section { part: PartPath(vec![4]), text: Some(SectionText::Mime) }, None);
        response.binary(out, &PartPath(vec![2]), Some(0), 1);
        out.push(b'\0');
        response.binary_nil(out, &PartPath::default(), None);
        response.rfc822(out, "RFC822.TEXT", 1);
        out.push(b'x');
    });
    assert_eq!(
        text,
        "* 12 FETCH (BODY[] {5}\r\na\r\n)\r BODY[1.HEADER.FIELDS (From \"X(odd)\")]<3> {0}\r\n BODY[4.MIME] NIL \
         BINARY[2]<0> ~{1}\r\n\0 BINARY[] NIL RFC822.TEXT {1}\r\nx)\r\n"
    );
}

fn octets(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn mailbox(name: Option<&str>, local_part: &str, domain: &str) -> Addressee {
    Addressee::Mailbox {
        name: name.map(octets),
        route: None,
        local_part: octets(local_part),
        domain: octets(domain),
    }
}

/// The envelope that RFC 9051 §8 shows.
fn example_envelope() -> Envelope {
    let terry = mailbox(Some("Terry Gray"), "gray", "cac.washington.edu");
    Envelope {
        date: Some(octets("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)")),
        subject: Some(octets("IMAP4rev2 WG mtg summary and minutes")),
        from: vec![terry.clone()],
        sender: vec![terry.clone()],
        reply_to: vec![terry],
        to: vec![mailbox(None, "imap", "cac.washington.edu")],
        cc: vec![
            mailbox(None, "minutes", "CNRI.Reston.VA.US"),
            mailbox(Some("John Klensin"), "KLENSIN", "MIT.EDU"),
        ],
        bcc: Vec::new(),
        in_reply_to: None,
        message_id: Some(octets("<B27397-0100000@cac.washington.ed>")),
    }
}

const EXAMPLE_ENVELOPE: &str = "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \
    \"IMAP4rev2 WG mtg summary and minutes\" \
    ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
    ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
    ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
    ((NIL NIL \"imap\" \"cac.washington.edu\")) \
    ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
    \"<B27397-0100000@cac.washington.ed>\")";

#[test]
fn envelopes_are_written_as_the_rfc_shows() {
    let text = fetched(PLAIN, |response, out| response.envelope(out, &example_envelope()));
    assert_eq!(text, format!("* 12 FETCH (ENVELOPE {EXAMPLE_ENVELOPE})\r\n"));
    let empty = fetched(PLAIN, |response, out| response.envelope(out, &Envelope::default()));
    assert_eq!(empty, "* 12 FETCH (ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL))\r\n");
}

#[test]
fn groups_are_opened_and_closed() {
    let to =
        vec![Addressee::GroupStart { name: octets("A \"b\"") }, mailbox(None, "c", ""), Addressee::GroupEnd];
    let envelope = Envelope { to, ..Envelope::default() };
    let text = fetched(PLAIN, |response, out| response.envelope(out, &envelope));
    assert!(text.contains("((NIL NIL \"A \\\"b\\\"\" NIL)(NIL NIL \"c\" \"\")(NIL NIL NIL NIL))"), "{text}");
}

#[test]
fn texts_beyond_ascii_are_quoted_only_when_agreed() {
    let envelope = Envelope { subject: Some(octets("Grüße")), ..Envelope::default() };
    let text = |dialect| fetched(dialect, |response, out| response.envelope(out, &envelope));
    assert!(text(PLAIN).contains("(NIL {7}\r\nGrüße NIL"));
    assert!(text(UTF8).contains("(NIL \"Grüße\" NIL"));
    let latin = Envelope { subject: Some(b"Gr\xfc\0".to_vec()), ..Envelope::default() };
    let mut out = Vec::new();
    let mut response = FetchResponse::start(&mut out, 1, UTF8);
    response.envelope(&mut out, &latin);
    response.finish(&mut out);
    assert!(out.windows(8).any(|window| window == b"{4}\r\nGr\xfc"), "what is not UTF-8 is a literal");
    assert!(!out.contains(&0), "no literal holds a NUL");
}

#[test]
fn long_texts_are_literals() {
    for (octets, start) in [(999, "(NIL \"xx"), (1_000, "(NIL \"xx"), (1_001, "(NIL {1001}\r\nxx")] {
        let envelope = Envelope { subject: Some(vec![b'x'; octets]), ..Envelope::default() };
        let text = fetched(PLAIN, |response, out| response.envelope(out, &envelope));
        assert!(text.contains(start), "{octets}");
    }
}

fn leaf(media_type: &str, subtype: &str, body_octets: u64, lines: u64) -> Part {
    Part {
        header: Span::default(),
        body: Span::new(0, body_octets),
        lines,
        media_type: octets(media_type),
        subtype: octets(subtype),
        parameters: Vec::new(),
        id: None,
        description: None,
        encoding: octets("7bit"),
        md5: None,
        disposition: None,
        languages: Vec::new(),
        location: None,
        content: Content::Leaf,
    }
}

fn parameter(attribute: &str, value: &str) -> Parameter {
    Parameter { attribute: octets(attribute), value: octets(value) }
}

fn structure(part: &Part) -> (String, String) {
    let body = fetched(PLAIN, |response, out| response.body(out, part));
    let extended = fetched(PLAIN, |response, out| response.body_structure(out, part));
    let inner = |text: String, start: &str| {
        text.strip_prefix(start).unwrap().strip_suffix(")\r\n").unwrap().to_owned()
    };
    (inner(body, "* 12 FETCH (BODY "), inner(extended, "* 12 FETCH (BODYSTRUCTURE "))
}

#[test]
fn structures_of_single_parts() {
    let mut text = leaf("text", "plain", 3_028, 92);
    text.parameters = vec![parameter("charset", "us-ascii")];
    assert_eq!(
        structure(&text),
        (
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3028 92)".to_owned(),
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3028 92 NIL NIL NIL NIL)"
                .to_owned()
        )
    );
    let mut image = leaf("image", "gif", 5, 1);
    image.id = Some(octets("<a@b>"));
    image.description = Some(octets("A \"cat\""));
    image.encoding = octets("base64");
    image.md5 = Some(octets("Q2hlY2s="));
    let parameters = vec![parameter("filename", "cat.gif")];
    image.disposition = Some(Disposition { kind: octets("attachment"), parameters });
    image.languages = vec![octets("en"), octets("de")];
    image.location = Some(octets("cat"));
    assert_eq!(
        structure(&image).1,
        "(\"image\" \"gif\" NIL \"<a@b>\" \"A \\\"cat\\\"\" \"base64\" 5 \"Q2hlY2s=\" \
         (\"attachment\" (\"filename\" \"cat.gif\")) (\"en\" \"de\") \"cat\")"
    );
}

#[test]
fn structures_of_nested_parts() {
    let inner = leaf("text", "plain", 10, 1);
    let embedded = EmbeddedMessage { envelope: example_envelope(), structure: inner.clone() };
    let mut message = leaf("message", "rfc822", 400, 12);
    message.content = Content::Message(Box::new(embedded));
    let mut multipart = leaf("multipart", "mixed", 500, 20);
    multipart.parameters = vec![parameter("boundary", "x")];
    multipart.content = Content::Multipart(vec![inner, message]);
    multipart.languages = vec![octets("en")];
    let text = "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 10 1)";
    let text_extended = "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 10 1 NIL NIL NIL NIL)";
    let (body, extended) = structure(&multipart);
    assert_eq!(
        body,
        format!(
            "({text}(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 400 {EXAMPLE_ENVELOPE} {text} 12) \"mixed\")"
        )
    );
    assert_eq!(
        extended,
        format!(
            "({text_extended}(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 400 {EXAMPLE_ENVELOPE} {text_extended} 12 \
             NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"x\") NIL \"en\" NIL)"
        )
    );
}

/// What our own client makes of a response.
fn read_back(octets: &[u8]) -> Response {
    let mut reader = ResponseReader::new(ClientLimits::default());
    let mut input = octets;
    let response = reader.receive(&mut input).unwrap().unwrap();
    assert!(input.is_empty(), "one response, no more: {}", octets.escape_ascii());
    response
}

fn any_dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(vec![PLAIN, UTF8, DOTS])
}

proptest! {
    #[test]
    fn sets_read_back_as_written(ranges in prop::collection::vec((1..=u32::MAX, 0..50_u32), 1..50)) {
        let set = UidSet::from_ranges(ranges.iter().map(|&(first, more)| (first, first.saturating_add(more))));
        let text = written(|out| write_vanished(out, Vanished::Now, &set));
        let set_text = text.trim_end().strip_prefix("* VANISHED ").unwrap();
        prop_assert_eq!(set_text, set.to_string());
        let command = TaggedCommand::parse(format!("a UID EXPUNGE {set_text}").as_bytes(), PLAIN).unwrap().command;
        let Command::Expunge(Some(read)) = command else { panic!() };
        prop_assert_eq!(read.known_uids(), Some(set.clone()));
        prop_assert_eq!(read.uids(Some(Uid(u32::MAX))), Some(set));
    }

    #[test]
    fn names_read_back_as_written(text in "[^/\\p{Cc}\u{2028}\u{2029}]{1,12}(/[^/\\p{Cc}\u{2028}\u{2029}]{1,12}){0,2}", dialect in any_dialect()) {
        let Ok(name) = MailboxName::parse(&text) else { return Ok(()) };
        let attributes = ListAttributes::default();
        let line = written(|out| write_lsub(out, &name, &attributes, dialect));
        let start = format!("* LSUB () \"{}\" ", char::from(dialect.separator.octet()));
        let on_wire = line.strip_prefix(&start).unwrap().strip_suffix("\r\n").unwrap();
        let command = TaggedCommand::parse(format!("a DELETE {on_wire}").as_bytes(), dialect).unwrap().command;
        prop_assert_eq!(command, Command::Delete(name));
    }

    #[test]
    fn nothing_from_outside_ends_a_response(
        subject in prop::collection::vec(any::<u8>(), 0..60),
        local_part in prop::collection::vec(prop::sample::select(&b"a\"\\\r\n{}()[]* \0\xc3\xbc"[..]), 0..30),
        dialect in any_dialect(),
    ) {
        let addressee = Addressee::Mailbox {
            name: None,
            route: None,
            local_part: local_part.clone(),
            domain: b"\r\n* BYE".to_vec(),
        };
        let envelope = Envelope { subject: Some(subject.clone()), to: vec![addressee], ..Envelope::default() };
        let mut out = Vec::new();
        let mut fetch = FetchResponse::start(&mut out, 1, dialect);
        fetch.envelope(&mut out, &envelope);
        fetch.finish(&mut out);
        let response = read_back(&out);
        let Some(Value::List(items)) = response.item("ENVELOPE") else { panic!() };
        prop_assert_eq!(items.len(), 10);
        let without_nul = |octets: &[u8]| octets.iter().map(|&o| if o == 0 { b'?' } else { o }).collect::<Vec<u8>>();
        prop_assert_eq!(items[1].as_octets().unwrap(), without_nul(&subject));
        let to = items[5].as_list().unwrap()[0].as_list().unwrap();
        prop_assert_eq!(to[2].as_octets().unwrap(), without_nul(&local_part));
    }

    #[test]
    fn texts_never_leave_their_line(text in any::<String>()) {
        let mut out = Vec::new();
        write_tagged(&mut out, &tag("a"), Condition::No, None, &text);
        let Response::Status { tag: Some(tag), condition, code, .. } = read_back(&out) else { panic!() };
        prop_assert_eq!((tag.as_str(), condition, code), ("a", client::Condition::No, None));
    }

    #[test]
    fn sequence_sets_mean_what_they_say(ranges in prop::collection::vec((0..12_u32, 0..12_u32), 1..6), exists in 0..10_u32) {
        let set = SequenceSet::Ranges(ranges.clone());
        let numbers = set.sequence_numbers(exists).unwrap();
        let number = |number: u32| if number == 0 { exists } else { number };
        let has_beyond = exists == 0 && ranges.iter().any(|&(a, b)| a == 0 || b == 0)
            || ranges.iter().any(|&(a, b)| a > exists || b > exists);
        prop_assert_eq!(numbers.is_err(), has_beyond);
        if let Ok(numbers) = numbers {
            for candidate in 1..=exists {
                let is_in = ranges.iter().any(|&(a, b)| {
                    let (a, b) = (number(a), number(b));
                    (a.min(b)..=a.max(b)).contains(&candidate)
                });
                prop_assert_eq!(numbers.contains(candidate), is_in);
            }
        }
    }
}
