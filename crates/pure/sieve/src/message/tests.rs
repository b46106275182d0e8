//! The message as a whole: read, edited, written out.

use super::*;

fn open(text: &str) -> Message {
    Message::from_octets(text.as_bytes(), MessageLimits::default()).expect("readable")
}

fn crlf(text: &str) -> Message {
    open(&text.replace('\n', "\r\n"))
}

fn written(message: &Message) -> String {
    let edition = message.edition();
    let octets = edition.read(message.source(), Span::new(0, edition.octets())).expect("readable");
    assert_eq!(octets.len() as u64, message.octets());
    String::from_utf8(octets).expect("UTF-8")
}

fn bodies(message: &Message, transform: BodyTransform<'_>) -> Vec<String> {
    let texts = message.body_texts(transform).expect("readable");
    texts.iter().map(|text| text.replace('\r', "")).collect()
}

fn content(message: &Message, wanted: &str) -> Vec<String> {
    bodies(message, BodyTransform::Content(&[wanted.to_owned()]))
}

/// The message of RFC 5173's examples, with one part of each kind.
const NESTED: &str = "From: Whomever <whoever@example.com>
Subject: whatever
Content-Type: multipart/mixed; boundary=outer

This is a multi-part message in MIME format.

--outer
Content-Type: multipart/alternative; boundary=inner

This is a nested multi-part message in MIME format.

--inner
Content-Type: text/plain; charset=\"us-ascii\"

Hello

--inner
Content-Type: text/html; charset=\"us-ascii\"

<html><body>Hello, <b>HTML</b></body></html>

--inner--

This is the end of the inner MIME multipart.

--outer
Content-Type: message/rfc822

From: Someone Else
Subject: hello request

Please say Hello

--outer
Content-Type: text/plain/stupid

stupid
--outer--

This is the end of the outer MIME multipart.
";

#[test]
fn an_untouched_message_is_the_original() {
    for text in ["", "\n", "\r\nbody", "A: b", "A: b\r\n", "A: b\n\nbody", NESTED] {
        let message = open(text);
        assert!(!message.is_edited(), "{text}");
        assert_eq!(written(&message), text);
    }
}

#[test]
fn headers_are_bounded() {
    for octets in [HEADER_OCTETS_MAX - 1, HEADER_OCTETS_MAX, HEADER_OCTETS_MAX + 1] {
        let mut text = format!("A: {}\n", "x".repeat(octets - 5));
        text.push_str("\nbody");
        let message = open(&text);
        // The blank line has to lie within the bound to be seen.
        let is_seen = octets <= HEADER_OCTETS_MAX;
        assert_eq!(bodies(&message, BodyTransform::Raw) == ["body"], is_seen, "{octets}");
        assert_eq!(written(&message).len(), text.len());
    }
}

#[test]
fn a_blank_line_torn_between_two_reads_is_seen() {
    for octets in 16 * 1024 - 6..16 * 1024 + 3 {
        let text = format!("A: {}\r\n\r\nbody", "x".repeat(octets - 3));
        assert_eq!(bodies(&open(&text), BodyTransform::Raw), ["body"], "{octets}");
    }
}

#[test]
fn header_edits_leave_the_rest_alone() {
    let mut message = crlf("A: 1\nB: 2\n  folded\nA: 3\n\nbody\n");
    let before = message.edition().clone();
    message.add_field(Side::Top, "X-Top", "t");
    message.add_field(Side::Bottom, "X-Last", "l");
    assert_eq!(message.delete_fields("a", Occurrence::FromLast(1), |field| field.text() == "1"), 0);
    assert_eq!(message.delete_fields("a", Occurrence::FromLast(1), |field| field.text() == "3"), 1);
    assert_eq!(written(&message), "X-Top: t\r\nA: 1\r\nB: 2\r\n  folded\r\nX-Last: l\r\n\r\nbody\r\n");
    let Piece::Original(kept) = &message.edition().pieces()[1] else { panic!("a range of the original") };
    assert_eq!((kept.start, kept.end), (0, 22));
    // What was taken before the edits is as it was.
    assert!(before.is_original(message.source().octets()));
    assert!(message.is_edited());
}

#[test]
fn raw_bodies() {
    let message = crlf("A: b\n\nTest!\n\n");
    assert_eq!(bodies(&message, BodyTransform::Raw), ["Test!\n\n"]);
    assert_eq!(bodies(&crlf("A: b\n\n"), BodyTransform::Raw), [""]);
    assert_eq!(bodies(&crlf("A: b\n"), BodyTransform::Raw), Vec::<String>::new());
    assert_eq!(content(&crlf("A: b\n"), ""), Vec::<String>::new());
    let raw = &bodies(&crlf(NESTED), BodyTransform::Raw)[0];
    assert!(raw.contains("--inner") && raw.contains("boundary=inner") && raw.contains("<b>"));
}

#[test]
fn content_is_chosen_by_type() {
    for message in [crlf(NESTED), open(NESTED)] {
        assert_eq!(content(&message, "text/plain"), ["Hello\n", "Please say Hello\n"]);
        assert_eq!(content(&message, "TEXT/html"), ["<html><body>Hello, <b>HTML</b></body></html>\n"]);
        assert_eq!(content(&message, "text").len(), 3);
        assert_eq!(content(&message, "message/rfc822"), ["From: Someone Else\nSubject: hello request\n"]);
        let multipart = [
            "This is a multi-part message in MIME format.\n",
            "\nThis is the end of the outer MIME multipart.\n",
            "This is a nested multi-part message in MIME format.\n",
            "\nThis is the end of the inner MIME multipart.\n",
        ];
        assert_eq!(content(&message, "multipart"), multipart);
        assert_eq!(content(&message, "").len(), 8);
        for none in ["/plain", "text/", "text/plain/stupid", "application"] {
            assert_eq!(content(&message, none), Vec::<String>::new(), "{none}");
        }
    }
}

#[test]
fn text_is_what_people_read() {
    let texts = bodies(&crlf(NESTED), BodyTransform::Text);
    assert_eq!(
        texts.iter().map(|text| text.trim()).collect::<Vec<_>>(),
        ["Hello", "Hello, HTML", "Please say Hello"]
    );
    let encoded = crlf(
        "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe\n",
    );
    assert_eq!(bodies(&encoded, BodyTransform::Text), ["Grüße\n"]);
    assert_eq!(content(&encoded, "text"), ["Grüße\n"]);
    let unknown = crlf("Content-Type: text/html\nContent-Transfer-Encoding: multipart/related\n\nHello\n");
    assert_eq!(bodies(&unknown, BodyTransform::Text), Vec::<String>::new());
}

#[test]
fn decoded_text_is_bounded_for_the_whole_message() {
    let text = "Content-Type: multipart/mixed; boundary=a\n\n--a\n\n12345\n--a\n\n67890\n--a--\n";
    for (decoded_octets_max, expected) in
        [(9, ["12345", "6789"]), (10, ["12345", "67890"]), (11, ["12345", "67890"])]
    {
        let limits = MessageLimits { decoded_octets_max, ..MessageLimits::default() };
        let message = Message::from_octets(text.as_bytes(), limits).expect("readable");
        for _again in 0..3 {
            assert_eq!(content(&message, "text"), expected);
        }
    }
    let limits = MessageLimits { decoded_octets_max: 3, ..MessageLimits::default() };
    let message = Message::from_octets("\nüü".as_bytes(), limits).expect("readable");
    assert_eq!(bodies(&message, BodyTransform::Raw).concat().chars().count(), 1);
}

#[test]
fn texts_of_parts() {
    let message = crlf(NESTED);
    let text = |part, most| message.part_text(part, most).expect("readable");
    assert_eq!(message.part_count(), Ok(7));
    assert_eq!(message.inside_end(1), Ok(4));
    assert_eq!(text(2, None), "Hello\r\n");
    assert_eq!(text(2, Some(2)), "He");
    assert_eq!(text(2, Some(0)), "");
    assert_eq!(text(2, Some(u64::MAX)), "Hello\r\n");
    assert_eq!(text(0, None), "");
    assert_eq!(text(4, None), "");
    assert_eq!(text(5, None), "Please say Hello\r\n");
    assert_eq!(text(99, None), "");
    let header = message.part_header(5).expect("readable");
    assert_eq!(header.named("subject").next().map(HeaderField::text), Some("hello request"));
}

#[test]
fn a_new_content_type_changes_the_parts() {
    let mut message = crlf(NESTED);
    assert_eq!(message.part_count(), Ok(7));
    message.delete_fields("Content-Type", Occurrence::Any, |_| true);
    assert_eq!(message.part_count(), Ok(1));
    message.add_field(Side::Bottom, "Content-Type", "multipart/mixed; boundary=outer");
    assert_eq!(message.part_count(), Ok(7));
}

fn plain(text: &str) -> Replacement<'_> {
    Replacement { text, is_mime: false, subject: None, from: None }
}

#[test]
fn a_part_is_replaced() {
    let mut message = crlf(NESTED);
    assert_eq!(message.replace(1, plain("gone\n")), Ok(true));
    assert_eq!(message.part_count(), Ok(5));
    assert_eq!(message.part_text(1, None).as_deref(), Ok("gone\r\n"));
    let text = written(&message);
    assert!(text.contains("--outer\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\ngone\r\n\r\n--outer\r\n"), "{text}");
    assert!(text.contains("Please say Hello") && !text.contains("inner"));
    assert_eq!(message.edition().pieces().len(), 3);
    assert_eq!(message.replace(9, plain("x")), Ok(false));
}

#[test]
fn a_replacement_cannot_break_out_of_its_part() {
    let mut message = crlf(NESTED);
    assert_eq!(message.replace(2, plain("x\n--outer\n--inner--\n.\nFrom me\n--\u{fc}\n")), Ok(true));
    assert_eq!(message.part_count(), Ok(7));
    let expected = "x\r\n--outer\r\n--inner--\r\n.\r\nFrom me\r\n--\u{fc}\r\n";
    assert_eq!(message.part_text(2, None).as_deref(), Ok(expected));
    let before = written(&message);
    let mime = Replacement { is_mime: true, ..plain("Content-Type: text/plain\n\n--inner\n\nmore\n") };
    assert_eq!(message.replace(2, mime), Ok(false));
    assert_eq!(written(&message), before);
    let mime = Replacement { is_mime: true, ..plain("Content-Type: text/html\n\n<p>new\n") };
    assert_eq!(message.replace(2, mime), Ok(true));
    assert_eq!(content(&message, "text/html")[0], "<p>new\n");
}

#[test]
fn a_whole_message_is_replaced() {
    let mut message = crlf(NESTED);
    let replacement =
        Replacement { subject: Some("Grüße"), from: Some("ann@example.org"), ..plain("new\n") };
    assert_eq!(message.replace(0, replacement), Ok(true));
    assert_eq!(message.part_count(), Ok(1));
    let expected = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\
                    Original-Subject: whatever\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\
                    Original-From: Whomever <whoever@example.com>\r\nFrom: ann@example.org\r\n\r\nnew\r\n";
    assert_eq!(written(&message), expected);
}

#[test]
fn a_message_is_enclosed() {
    let mut message =
        crlf(&format!("To: Bob\nX-Other: o\n{}", NESTED.replace("Hello, <b>", "=_enclosed_41_ <b>")));
    let enclosure = Enclosure {
        text: "Attached.\n",
        subject: None,
        headers: &["to".to_owned(), "Content-Type".to_owned()],
        from: "ann@example.org",
        date: "Thu, 1 Jan 1970 00:00:00 +0000",
    };
    let original = written(&message);
    assert_eq!(message.enclose(&enclosure), Ok(true));
    let text = written(&message);
    assert!(text.starts_with("To: Bob\r\nSubject: whatever\r\nDate: Thu, 1 Jan"), "{text}");
    assert!(text.contains("boundary=\"=_enclosed_42_\"") && text.contains(&original));
    assert_eq!(message.part_count(), Ok(7 + Message::ENCLOSED_BY));
    assert_eq!(message.part_text(1, None).as_deref(), Ok("Attached.\r\n"));
    assert_eq!(message.part_text(2 + Message::ENCLOSED_BY, None).as_deref(), Ok("Hello\r\n"));
    assert_eq!(message.enclose(&Enclosure { subject: Some("again"), ..enclosure }), Ok(true));
    assert_eq!(message.header().named("Subject").map(HeaderField::text).collect::<Vec<_>>(), ["again"]);
    assert_eq!(message.part_count(), Ok(7 + 2 * Message::ENCLOSED_BY));
}

#[test]
fn a_message_without_body_is_enclosed() {
    let mut message = open("A: b\n");
    let enclosure = Enclosure { text: "t", subject: Some("s"), headers: &[], from: "a@b", date: "now" };
    assert_eq!(message.enclose(&enclosure), Ok(true));
    assert!(written(&message).contains("message/rfc822\n\nA: b\n\n\n--"), "{}", written(&message));
}

#[test]
fn rewrites_are_bounded() {
    let mut message = open(NESTED);
    for count in 0..=REWRITES_MAX {
        assert_eq!(message.replace(2, plain("x")), Ok(count < REWRITES_MAX));
    }
}

/// A source that cannot be read behind its header.
struct Broken;

impl Source for Broken {
    fn octets(&self) -> u64 {
        1_000_000
    }

    fn read(&self, span: Span) -> Result<Vec<u8>, Unreadable> {
        if span.start > 0 {
            return Err(Unreadable);
        }
        let mut octets = b"Subject: s\n\n".to_vec();
        octets.resize(span.end as usize, b'x');
        Ok(octets)
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let message = Message::open(Box::new(Broken), MessageLimits::default()).expect("a readable header");
    assert!(message.header().has("subject"));
    assert_eq!(message.body_texts(BodyTransform::Raw), Err(Unreadable));
    assert_eq!(message.part_count(), Err(Unreadable));
    // A failure is not remembered as an answer.
    assert_eq!(message.part_text(0, None), Err(Unreadable));
}

#[test]
fn headers_of_all_parts_together_are_bounded() {
    // Each header takes a 64th of the room, so that 64 are shown and no more.
    let header = "A:\n".repeat(PART_HEADERS_OCTETS_MAX / FIELD_OCTETS / 64);
    for (count, shown) in [(63, 63), (64, 64), (65, 64)] {
        let parts = format!("--b\n{header}\nx\n").repeat(count);
        let message = open(&format!("Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n"));
        let has_fields = |part: &usize| message.part_header(*part).expect("readable").has("A");
        assert_eq!((1..=count).filter(has_fields).count(), shown, "{count}");
        // What it was shown once stays.
        assert!(has_fields(&1) && has_fields(&shown));
        assert_eq!(bodies(&message, BodyTransform::Text).len(), count);
    }
}
