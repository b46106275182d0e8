//! Bodies, header edits and MIME parts: the examples of RFC 5173, RFC 5293 and RFC 5703 as stories, and their edges.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod story;

use sieve::Outcome;
use sieve::message::{Message, MessageLimits, Piece};
use sieve::{Detail, EmptyWorld, Stage, run};
use story::{compiled, everything, story};

/// A letter with pictures, a page and a program.
const LETTER: &str = "From: Ann <ann@example.org>\r
To: bob@example.net\r
Subject: Pictures\r
X-Note: one\r
X-Note: two\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=outer\r
\r
To be ignored\r
--outer\r
Content-Type: multipart/alternative; boundary=inner\r
\r
--inner\r
Content-Type: text/plain; charset=iso-8859-1\r
Content-Transfer-Encoding: quoted-printable\r
\r
Gr=FC=DFe, make money fast\r
--inner\r
Content-Type: text/html\r
\r
<p>Make <b>money</b> now</p>\r
--inner--\r
--outer\r
Content-Type: image/png; name=cat.png\r
\r
png\r
--outer\r
Content-Type: application/octet-stream\r
Content-Disposition: attachment; filename=\"game.exe\"\r
\r
MZ\r
--outer--\r
";

/// What a script leaves of the letter.
fn edited(script: &str) -> (Outcome, String) {
    let mut message = Message::from_octets(LETTER.as_bytes(), MessageLimits::default()).unwrap();
    let stage = Stage { name: "user".to_owned(), script: compiled(script) };
    let outcome = run(&[stage], &mut message, &EmptyWorld, &everything(), Detail::Actions);
    let edition = message.edition();
    let all = message::Span::new(0, edition.octets());
    let text = String::from_utf8(edition.read(message.source(), all).unwrap()).unwrap();
    (outcome, text)
}

#[test]
fn bodies_are_searched() {
    // RFC 5173 §5.1, §5.2 and §5.3.
    for (test, expected) in [
        ("body :raw :contains \"MAKE MONEY FAST\"", "fileinto found"),
        ("body :content \"text\" :contains [\"missile\", \"grüße\"]", "fileinto found"),
        ("body :content \"text/html\" :contains \"<b>\"", "fileinto found"),
        ("body :content \"audio/mp3\" :contains \"\"", "keep"),
        ("body :text :contains \"make money now\"", "fileinto found"),
        ("body :text :contains \"<b>\"", "keep"),
        ("body :contains \"ignored\"", "keep"),
        ("body :content \"multipart\" :is \"To be ignored\"", "fileinto found"),
        ("body :raw :is \"\"", "keep"),
    ] {
        let script = format!("require [\"body\", \"fileinto\"]; if {test} {{ fileinto \"found\"; }}");
        story(&script, LETTER, expected);
    }
}

#[test]
fn what_bodies_match_is_no_variable() {
    let script = "require [\"body\", \"fileinto\", \"variables\"];
        if header :matches \"subject\" \"*\" {}
        if body :raw :matches \"*make*\" { fileinto \"${1}\"; }";
    story(script, LETTER, "fileinto Pictures");
}

#[test]
fn fields_are_added_and_deleted() {
    // RFC 5293 §4 and §5.
    let script = "require \"editheader\";
        addheader \"X-Sieve-Filtered\" \"<kim@job.example.com>\";
        addheader :last \"X-Last\" \"Grüße\";
        deleteheader :index 1 :contains \"X-Note\" \"one\";
        deleteheader :index 1 :last :is \"X-Note\" \"three\";";
    let (outcome, text) = edited(script);
    assert!(outcome.is_edited && outcome.faults.is_empty());
    let expected = LETTER
        .replace("X-Note: one\r\n", "")
        .replace("outer\r\n\r\nTo be", "outer\r\nX-Last: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\r\nTo be");
    assert_eq!(text, format!("X-Sieve-Filtered: <kim@job.example.com>\r\n{expected}"));
}

#[test]
fn trace_fields_cannot_be_deleted() {
    // RFC 5293 §6.
    let script = "require [\"editheader\", \"fileinto\"];
        addheader \"Received\" \"by me\"; addheader \"Auto-Submitted\" \"yes\";
        deleteheader \"received\"; deleteheader \"auto-submitted\"; deleteheader \"subject\";
        if allof (exists [\"received\", \"auto-submitted\"], not exists \"subject\") { fileinto \"ok\"; }";
    story(script, LETTER, "fileinto ok");
}

#[test]
fn each_action_takes_the_message_as_it_is_then() {
    let script = "require [\"editheader\", \"fileinto\", \"copy\"];
        fileinto :copy \"before\"; addheader \"X-A\" \"1\"; fileinto :copy \"between\"; deleteheader \"X-A\"; keep;";
    let (outcome, _) = edited(script);
    let octets = |index: usize| {
        let edition = outcome.actions[index].edition.as_ref();
        edition.map_or(LETTER.len() as u64, |edition| edition.octets())
    };
    assert_eq!(octets(0), LETTER.len() as u64);
    assert_eq!(octets(1), LETTER.len() as u64 + 8);
    assert_eq!(octets(2), LETTER.len() as u64);
    let pieces = outcome.actions[1].edition.as_ref().unwrap().pieces();
    assert!(matches!(pieces, [Piece::Literal(_), Piece::Original(_)]), "{pieces:?}");
}

#[test]
fn parts_are_tested() {
    // RFC 5703 §4.
    for (test, expected) in [
        ("header :mime :type \"Content-Type\" \"multipart\"", "fileinto found"),
        ("header :mime :anychild :contenttype \"Content-Type\" \"text/html\"", "fileinto found"),
        ("header :mime :contenttype \"Content-Type\" \"text/html\"", "keep"),
        ("header :mime :anychild :subtype \"Content-Type\" \"octet-stream\"", "fileinto found"),
        (
            "header :mime :anychild :param \"filename\" :matches [\"Content-Type\", \"Content-Disposition\"] [\"*.com\", \"*.exe\"]",
            "fileinto found",
        ),
        ("header :mime :anychild :type \"Content-Disposition\" \"attachment\"", "fileinto found"),
        ("exists :mime :anychild \"Content-Disposition\"", "fileinto found"),
        ("exists :mime \"Content-Disposition\"", "keep"),
        ("address :mime :anychild \"from\" \"ann@example.org\"", "fileinto found"),
        ("address :mime :is :all \"content-from\" \"tim@example.com\"", "keep"),
        ("header :mime :anychild :count \"eq\" :type \"Content-Type\" \"6\"", "fileinto found"),
    ] {
        let script =
            format!("require [\"mime\", \"relational\", \"fileinto\"]; if {test} {{ fileinto \"found\"; }}");
        story(&script, LETTER, expected);
    }
}

#[test]
fn parts_are_walked_through() {
    // RFC 5703 §3: each part before those inside it; a loop in a loop walks through the inside of the part at hand.
    let script = "require [\"foreverypart\", \"mime\", \"variables\", \"fileinto\"];
        foreverypart {
            if header :mime :contenttype :matches \"content-type\" \"*/*\" { set \"seen\" \"${seen} ${2}\"; }
            if header :mime :subtype \"content-type\" \"alternative\" {
                foreverypart :name \"inner\" {
                    if header :mime :contenttype :matches \"content-type\" \"*/*\" { set \"seen\" \"${seen}>${2}\"; }
                    break :name \"inner\";
                }
            }
            if header :mime :type \"content-type\" \"image\" { break; }
        }
        fileinto \"x${seen}\";";
    story(script, LETTER, "fileinto x mixed alternative>plain plain html png");
}

#[test]
fn text_is_extracted() {
    let script = "require [\"foreverypart\", \"mime\", \"variables\", \"extracttext\", \"fileinto\"];
        foreverypart {
            extracttext :first 5 \"text\";
            set \"all\" \"${all}[${text}]\";
        }
        fileinto \"${all}\";";
    story(script, LETTER, "fileinto [][][Grüße][ Make][][]");
    let script = "require [\"foreverypart\", \"variables\", \"extracttext\", \"fileinto\"];
        foreverypart { extracttext :length :first 100 \"n\"; set \"all\" \"${all} ${n}\"; }
        fileinto \"x${all}\";";
    story(script, LETTER, "fileinto x 0 0 22 16 0 0");
}

#[test]
fn dangerous_parts_are_replaced() {
    // RFC 5703 §9.
    let script = "require [\"foreverypart\", \"mime\", \"replace\"];
        foreverypart {
            if header :mime :param \"filename\" :matches [\"Content-Type\", \"Content-Disposition\"] [\"*.com\", \"*.exe\"] {
                replace \"Executable attachment removed by user filter\";
            }
        }";
    let (outcome, text) = edited(script);
    assert!(outcome.faults.is_empty() && outcome.is_edited);
    let start = LETTER.find("Content-Type: application/octet-stream").unwrap();
    let end = LETTER.find("\r\n--outer--").unwrap();
    let new = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
               Executable attachment removed by user filter";
    assert_eq!(text, [&LETTER[..start], new, &LETTER[end..]].concat());
}

#[test]
fn loops_go_on_behind_what_was_replaced() {
    let script = "require [\"foreverypart\", \"mime\", \"replace\", \"variables\", \"fileinto\"];
        foreverypart {
            if header :mime :contenttype :matches \"content-type\" \"*/*\" { set \"seen\" \"${seen} ${2}\"; }
            if header :mime :subtype \"content-type\" \"alternative\" { replace \"gone\"; }
        }
        fileinto \"x${seen}\";";
    story(script, LETTER, "fileinto x mixed alternative png octet-stream");
}

#[test]
fn messages_are_enclosed() {
    // RFC 5703 §6.
    let script = "require [\"enclose\", \"foreverypart\", \"mime\", \"variables\", \"fileinto\"];
        foreverypart {
            if header :mime :type \"content-type\" \"image\" {
                enclose :subject \"Warning\" :headers [\"to\"] \"This message has a picture.\";
            }
            if header :mime :contenttype :matches \"content-type\" \"*/*\" { set \"seen\" \"${seen} ${2}\"; }
        }
        if header \"subject\" \"Warning\" { fileinto \"x${seen}\"; }";
    story(script, LETTER, "fileinto x mixed alternative plain html png octet-stream");
    let (_, text) = edited("require \"enclose\"; enclose :subject \"Warning\" \"Mind.\";");
    assert!(
        text.contains(LETTER) && text.contains("Subject: Warning\r\n") && text.contains("message/rfc822")
    );
}

#[test]
fn loops_have_their_bounds() {
    let nested = |depth: usize| {
        let (open, close) = ("foreverypart { ".repeat(depth), "}".repeat(depth));
        format!("require \"foreverypart\"; {open} break; {close}")
    };
    for (depth, is_valid) in [(3, true), (4, true), (5, false)] {
        assert_eq!(sieve::compile(nested(depth).as_bytes(), &everything()).is_ok(), is_valid, "{depth}");
    }
}

#[test]
fn added_fields_have_their_bound() {
    let octets_max = everything().bounds.added_field_octets_max;
    for (octets, is_valid) in [(octets_max - 1, true), (octets_max, true), (octets_max + 1, false)] {
        let script = format!("require \"editheader\"; addheader \"X\" \"{}\";", "x".repeat(octets));
        assert_eq!(sieve::compile(script.as_bytes(), &everything()).is_ok(), is_valid, "{octets}");
    }
}

#[test]
fn edited_headers_have_their_bound() {
    use sieve::message::HEADER_OCTETS_MAX;
    // The name and the value of the field that is added have an octet each.
    for (octets, fits) in
        [(HEADER_OCTETS_MAX - 3, true), (HEADER_OCTETS_MAX - 2, true), (HEADER_OCTETS_MAX - 1, false)]
    {
        let letter = format!("A: {}\n\n", "x".repeat(octets - 4));
        let mut message = Message::from_octets(letter.as_bytes(), MessageLimits::default()).unwrap();
        let stage = Stage {
            name: "user".to_owned(),
            script: compiled("require \"editheader\"; addheader \"X\" \"y\";"),
        };
        let outcome = run(&[stage], &mut message, &EmptyWorld, &everything(), Detail::Actions);
        assert_eq!((outcome.faults.is_empty(), message.header().has("X")), (fits, fits), "{octets}");
    }
}

#[test]
fn what_is_read_is_paid_for() {
    let body = "x".repeat(1_000_000);
    let letter = format!("A: b\r\n\r\n{body}");
    let cost = |script: &str| {
        let mut message = Message::from_octets(letter.as_bytes(), MessageLimits::default()).unwrap();
        let stage = Stage { name: "user".to_owned(), script: compiled(script) };
        let outcome = run(&[stage], &mut message, &EmptyWorld, &everything(), Detail::Actions);
        assert!(outcome.faults.is_empty());
        outcome.cost
    };
    assert!(cost("keep;") < 1_000);
    let once = cost("require \"foreverypart\"; foreverypart { }");
    assert!((1_000_000..1_100_000).contains(&once), "{once}");
    // Parts are looked for once, and again only when the message has become another.
    let twice = cost("require \"foreverypart\"; foreverypart { } foreverypart { }");
    assert!((1_000_000..1_100_000).contains(&twice), "{twice}");
    let anew =
        cost("require [\"foreverypart\", \"enclose\"]; foreverypart { } enclose \"x\"; foreverypart { }");
    assert!(anew > 3_000_000, "{anew}");
}

#[test]
fn what_outlives_a_run_can_go_to_other_threads() {
    fn goes<T: Send + Sync>() {}
    goes::<Outcome>();
    goes::<sieve::Script>();
    goes::<sieve::message::Edition>();
    goes::<sieve::Letter>();
}

#[test]
fn headers_that_are_edited_without_end_cost_too_much() {
    // Nested loops over many parts, each adding fields: the run ends by its cost, and keeps the message.
    let parts = "--b\r\n\r\nx\r\n".repeat(900);
    let letter = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    let script = "require [\"foreverypart\", \"editheader\"];
        foreverypart { foreverypart { } addheader \"X-A\" \"1\"; deleteheader :matches \"X-B\" \"*\";
            foreverypart { addheader \"X-A\" \"1\"; } addheader \"X-A\" \"2\"; }";
    story(script, &letter, "keep");
}
