//! Values an attacker might choose to make reading slow: each is read in time that grows with its length alone. Quadratic
//! reading of so many octets takes minutes.

mod invariants;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use message::{Date, TextExtraction, TextScope, html_text, message_ids, parse_addresses, visit_text};

/// As long as the longest header that is parsed.
const VALUE_OCTETS: usize = 256 * 1024;

/// Debug build and busy machine included.
const TIME_MAX: Duration = Duration::from_secs(10);

/// What makes parsers go back or look far ahead.
const PIECES: [&str; 34] = [
    "a",
    " ",
    "\t",
    "\n ",
    "\r\n ",
    "\r\n",
    "(",
    ")",
    "()",
    "\\",
    "\"",
    "\"\"",
    "<",
    ">",
    "<>",
    "<a",
    "@",
    "a@",
    "<@a",
    ":",
    "g:",
    ";",
    "g:;",
    ",",
    "a,",
    "[",
    "=?",
    "=?a?q?",
    "=?a?q?b?= ",
    "*0=a;",
    ";a*1*=%41",
    "=",
    "&",
    "<!--",
];

/// Checks what follows with each piece repeated, whole and after an opening one.
fn check(what: &str, read: impl Fn(&str)) {
    for piece in PIECES {
        let value = piece.repeat(VALUE_OCTETS / piece.len());
        let started = Instant::now();
        read(&value);
        assert!(started.elapsed() < TIME_MAX, "{what} of {piece:?} took {:?}", started.elapsed());
    }
}

#[test]
fn header_values() {
    check("addresses", |value| drop(parse_addresses(value.as_bytes(), usize::MAX)));
    check("a date", |value| assert!(Date::parse(value.as_bytes()).is_none()));
    check("identifiers", |value| assert!(message_ids(value.as_bytes()).count() <= VALUE_OCTETS));
    check("text", |value| drop(message::decode_field_text(value.as_bytes())));
}

#[test]
fn html() {
    check("HTML", |value| drop(html_text(value)));
}

#[test]
fn fields_and_bodies() {
    for start in [
        "To: ",
        "Content-Type: a/b; c=",
        "Content-Disposition: a; b",
        "Content-Language: ",
        "References: ",
        "",
    ] {
        let middle = "\nContent-Type: multipart/mixed; boundary=\"a\"\n\n--a\n";
        check(start, |value| {
            let message = format!("{start}{value}{middle}{value}");
            let summary = invariants::scan(message.as_bytes(), usize::MAX);
            assert_eq!(summary.octets, message.len() as u64);
        });
    }
}

#[test]
fn bodies_in_every_encoding() {
    for encoding in ["7bit", "base64", "quoted-printable"] {
        check(encoding, |value| {
            let message =
                format!("Content-Type: text/html\nContent-Transfer-Encoding: {encoding}\n\n{value}");
            let summary = invariants::scan(message.as_bytes(), usize::MAX);
            let extraction = TextExtraction::new(&summary.structure, TextScope::Body, u64::MAX);
            let read = |span| Ok::<_, ()>(invariants::octets(message.as_bytes(), span).to_vec());
            assert_eq!(visit_text(extraction, read, |_| ControlFlow::Continue(())), Ok(()));
        });
    }
}
