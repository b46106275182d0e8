//! FETCH attributes and sections as clients write them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use imap::fetch::{
    BinarySection, BodySection, FetchAttribute, FieldName, PartPath, Partial, PreviewUrgency, Reading,
    Section, SectionText,
};
use imap::{Command, Dialect, TaggedCommand};

fn parse(text: &str) -> Result<Vec<FetchAttribute>, String> {
    let command = TaggedCommand::parse(format!("A1 FETCH 1 {text}").as_bytes(), Dialect::default());
    match command.map(|tagged| tagged.command) {
        Ok(Command::Fetch(fetch)) => Ok(fetch.attributes),
        Ok(other) => panic!("{other:?}"),
        Err(bad) => Err(bad.kind.to_string()),
    }
}

fn section(part: &[u32], text: Option<SectionText>) -> Section {
    Section { part: PartPath(part.to_vec()), text }
}

fn fields(names: &[&str]) -> Vec<FieldName> {
    names.iter().map(|name| FieldName::parse(name).unwrap()).collect()
}

#[test]
fn macros_stand_for_attributes() {
    use FetchAttribute::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    assert_eq!(parse("FAST").unwrap(), [Flags, InternalDate, Rfc822Size]);
    assert_eq!(parse("all").unwrap(), [Flags, InternalDate, Rfc822Size, Envelope]);
    assert_eq!(parse("FULL").unwrap(), [Flags, InternalDate, Rfc822Size, Envelope, Body]);
    assert_eq!(parse("(FLAGS FAST)").unwrap_err(), "Unknown attribute at octet 19");
}

#[test]
fn words_alone_are_attributes() {
    use FetchAttribute as A;
    for (text, attribute) in [
        ("UID", A::Uid),
        ("flags", A::Flags),
        ("INTERNALDATE", A::InternalDate),
        ("RFC822.SIZE", A::Rfc822Size),
        ("ENVELOPE", A::Envelope),
        ("BODY", A::Body),
        ("BODYSTRUCTURE", A::BodyStructure),
        ("MODSEQ", A::ModSeq),
        ("EMAILID", A::EmailId),
        ("THREADID", A::ThreadId),
        ("SAVEDATE", A::SaveDate),
        ("PREVIEW", A::Preview(PreviewUrgency::Now)),
        ("PREVIEW (LAZY)", A::Preview(PreviewUrgency::Lazy)),
        ("RFC822", A::Rfc822),
        ("RFC822.HEADER", A::Rfc822Header),
        ("RFC822.TEXT", A::Rfc822Text),
    ] {
        assert_eq!(parse(text).unwrap(), [attribute], "{text}");
    }
    assert_eq!(parse("PREVIEW (CHANGEDSINCE 1)").unwrap(), [A::Preview(PreviewUrgency::Now)]);
}

#[test]
fn sections_name_parts_and_texts() {
    for (text, expected) in [
        ("", section(&[], None)),
        ("HEADER", section(&[], Some(SectionText::Header))),
        ("TEXT", section(&[], Some(SectionText::Text))),
        ("1", section(&[1], None)),
        ("4.2.2.1", section(&[4, 2, 2, 1], None)),
        ("4.2.HEADER", section(&[4, 2], Some(SectionText::Header))),
        ("1.MIME", section(&[1], Some(SectionText::Mime))),
        ("3.text", section(&[3], Some(SectionText::Text))),
        (
            "HEADER.FIELDS (DATE \"From\")",
            section(&[], Some(SectionText::HeaderFields(fields(&["date", "FROM"])))),
        ),
        (
            "1.HEADER.FIELDS.NOT (Received)",
            section(&[1], Some(SectionText::HeaderFieldsNot(fields(&["Received"])))),
        ),
    ] {
        for (name, reading) in [("BODY", Reading::MarksSeen), ("BODY.PEEK", Reading::Peeks)] {
            let attribute =
                FetchAttribute::Section(BodySection { section: expected.clone(), reading, partial: None });
            assert_eq!(attribute.is_reading(), reading == Reading::MarksSeen);
            assert_eq!(parse(&format!("{name}[{text}]")).unwrap(), [attribute], "{text}");
        }
    }
}

#[test]
fn ranges_follow_sections() {
    let partial = Some(Partial { start: 0, octets: 2_048 });
    let whole = section(&[], None);
    let body = FetchAttribute::Section(BodySection { section: whole, reading: Reading::Peeks, partial });
    assert_eq!(parse("BODY.PEEK[]<0.2048>").unwrap(), [body]);
    let part = PartPath(vec![1, 2]);
    let binary = BinarySection { part: part.clone(), reading: Reading::MarksSeen, partial };
    assert_eq!(
        parse("(BINARY[1.2]<0.2048> BINARY.SIZE[1.2])").unwrap(),
        [FetchAttribute::Binary(binary), FetchAttribute::BinarySize(part)]
    );
    let whole = BinarySection { part: PartPath::default(), reading: Reading::Peeks, partial: None };
    assert_eq!(parse("BINARY.PEEK[]").unwrap(), [FetchAttribute::Binary(whole)]);
}

#[test]
fn ranges_end_where_the_section_does() {
    let partial = |start, octets| Partial { start, octets };
    assert_eq!(partial(0, 10).within(5), 0..5);
    assert_eq!(partial(3, 10).within(20), 3..13);
    assert_eq!(partial(20, 10).within(20), 20..20);
    assert_eq!(partial(u64::MAX, u64::MAX).within(20), 20..20);
}

#[test]
fn what_is_no_attribute_is_told() {
    for (text, what) in [
        ("FOO", "Unknown attribute at octet 12"),
        ("()", "Unknown attribute"),
        ("(UID", "Expected a space or the end of the attributes"),
        ("(UID,FLAGS)", "Unknown attribute"),
        ("UID[1]", "Unknown attribute"),
        ("BODY.PEEK", "Unknown attribute"),
        ("BODY[MIME]", "Unknown section"),
        ("BODY[FOO]", "Unknown section"),
        ("BODY[0]", "must not be zero"),
        ("BODY[1.]", "Unknown section"),
        ("BODY[1", "Expected the end of the section"),
        ("BODY[1.HEADER", "Expected the end of the section"),
        ("BODY[HEADER.FIELDS ()]", "Expected a field name"),
        ("BODY[HEADER.FIELDS (a:)]", "No header field can be called so"),
        ("BODY[]<0>", "Expected a dot"),
        ("BODY[]<0.0>", "must not be zero"),
        ("BODY[]<.1>", "Expected where the range starts"),
        ("BODY[]<0.99999999999999999999>", "Expected how many octets"),
        ("BINARY[TEXT]", "Expected the end of the section"),
        ("BINARY[1.TEXT]", "Expected a part number"),
        ("BINARY.SIZE[1]<0.1>", "Expected the end of the command"),
        ("UID (FOO)", "Unknown modifier"),
    ] {
        let told = parse(text).expect_err(text);
        assert!(told.contains(what), "{text}: {told}");
    }
}

#[test]
fn attributes_fields_and_parts_are_bounded() {
    let attributes = |count: usize| {
        let sections: Vec<String> = (1..=count).map(|part| format!("BODY.PEEK[{part}]")).collect();
        format!("({})", sections.join(" "))
    };
    assert_eq!(parse(&attributes(256)).unwrap().len(), 256);
    assert!(parse(&attributes(257)).unwrap_err().contains("Too many attributes"));
    assert_eq!(parse(&format!("({})", "UID ".repeat(1_000))).unwrap(), [FetchAttribute::Uid]);
    let fields = |count: usize| format!("BODY[HEADER.FIELDS ({})]", vec!["a"; count].join(" "));
    assert!(parse(&fields(256)).is_ok());
    assert!(parse(&fields(257)).unwrap_err().contains("Too many field names"));
    let parts = |count: usize| format!("BODY[{}]", vec!["1"; count].join("."));
    assert!(parse(&parts(128)).is_ok());
    assert!(parse(&parts(129)).unwrap_err().contains("too deep"));
}
