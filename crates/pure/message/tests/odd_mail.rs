//! Odd mail of our own making: each file in `data` is scanned and shown as text, which lies beside it for review.
//! `MAILSTEAD_BLESS=1 cargo test -p message` writes the texts anew.
#![allow(clippy::expect_used, reason = "a test ends where it cannot go on")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use message::{Addressee, Content, Envelope, Limits, Parameter, Part, Scanner, Summary};

#[test]
fn odd_mail_is_understood_as_reviewed() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut seen = 0;
    for entry in fs::read_dir(&directory).expect("test data") {
        let path = entry.expect("test data").path();
        if path.extension().is_some_and(|extension| extension == "eml") {
            seen += 1;
            check(&path);
        }
    }
    assert!(seen >= 20, "only {seen} mails found");
}

fn check(path: &Path) {
    let message = fs::read(path).expect("a mail");
    let summary = scan(&message);
    assert_eq!(Summary::decode(&summary.encode()).as_ref(), Ok(&summary), "{}", path.display());
    let shown = show(&summary);
    let reviewed_path = path.with_extension("txt");
    if std::env::var_os("MAILSTEAD_BLESS").is_some() {
        fs::write(&reviewed_path, &shown).expect("writable test data");
    }
    let reviewed = fs::read_to_string(&reviewed_path).unwrap_or_default();
    assert_eq!(shown, reviewed, "{}", path.display());
}

fn scan(message: &[u8]) -> Summary {
    let mut scanner = Scanner::new(Limits::default());
    scanner.feed(message);
    scanner.finish()
}

fn show(summary: &Summary) -> String {
    let mut shown = String::new();
    let _ = writeln!(shown, "octets {} traits {:?}", summary.octets, summary.traits);
    let _ = writeln!(shown, "date {}", summary.date.map(|date| date.format()).unwrap_or_default());
    for reference in &summary.references {
        let _ = writeln!(shown, "reference {}", reference.escape_ascii());
    }
    let preview = summary.preview_part().map(|part| part.body.start);
    let _ = writeln!(shown, "attachment {} preview {preview:?}", summary.has_attachment());
    show_envelope(&summary.envelope, 0, &mut shown);
    show_part(&summary.structure, 0, &mut shown);
    shown
}

fn show_envelope(envelope: &Envelope, indent: usize, shown: &mut String) {
    let texts = [
        ("date", &envelope.date),
        ("subject", &envelope.subject),
        ("in-reply-to", &envelope.in_reply_to),
        ("message-id", &envelope.message_id),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            let _ = writeln!(shown, "{:indent$}envelope {name} {}", "", short(text));
        }
    }
    let lists = [
        ("from", &envelope.from),
        ("sender", &envelope.sender),
        ("reply-to", &envelope.reply_to),
        ("to", &envelope.to),
        ("cc", &envelope.cc),
        ("bcc", &envelope.bcc),
    ];
    for (name, list) in lists {
        for addressee in list {
            let _ = writeln!(shown, "{:indent$}envelope {name} {}", "", show_addressee(addressee));
        }
    }
}

fn show_addressee(addressee: &Addressee) -> String {
    match addressee {
        Addressee::Mailbox { name, route, local_part, domain } => {
            let optional = |text: &Option<Vec<u8>>| text.as_ref().map_or("-".to_owned(), |text| short(text));
            let (name, route) = (optional(name), optional(route));
            format!("[{name}] [{route}] [{}] [{}]", short(local_part), short(domain))
        }
        Addressee::GroupStart { name } => format!("group [{}]", short(name)),
        Addressee::GroupEnd => "group end".to_owned(),
    }
}

fn show_part(part: &Part, indent: usize, shown: &mut String) {
    let _ = write!(
        shown,
        "{:indent$}part {}/{} {} header {}..{} body {}..{} lines {}",
        "",
        short(&part.media_type),
        short(&part.subtype),
        short(&part.encoding),
        part.header.start,
        part.header.end,
        part.body.start,
        part.body.end,
        part.lines
    );
    show_parameters(&part.parameters, shown);
    let texts = [
        ("id", &part.id),
        ("description", &part.description),
        ("md5", &part.md5),
        ("location", &part.location),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            let _ = write!(shown, " {name}=[{}]", short(text));
        }
    }
    if let Some(disposition) = &part.disposition {
        let _ = write!(shown, " disposition={}", short(&disposition.kind));
        show_parameters(&disposition.parameters, shown);
    }
    for language in &part.languages {
        let _ = write!(shown, " language={}", short(language));
    }
    if let Some(name) = part.file_name() {
        let _ = write!(shown, " file name [{name}]");
    }
    shown.push('\n');
    match &part.content {
        Content::Leaf => {}
        Content::Multipart(parts) => parts.iter().for_each(|child| show_part(child, indent + 2, shown)),
        Content::Message(embedded) => {
            show_envelope(&embedded.envelope, indent + 2, shown);
            show_part(&embedded.structure, indent + 2, shown);
        }
    }
}

fn show_parameters(parameters: &[Parameter], shown: &mut String) {
    for parameter in parameters {
        let _ = write!(shown, " ;{}=[{}]", short(&parameter.attribute), short(&parameter.value));
    }
}

fn short(text: &[u8]) -> String {
    match text.get(..200) {
        Some(start) => format!("{}... ({} octets)", start.escape_ascii(), text.len()),
        None => text.escape_ascii().to_string(),
    }
}
