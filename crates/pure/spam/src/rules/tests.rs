//! Each rule fires for what it is about, and for nothing in mail that people write.

use mail_types::DomainName;

use super::{Language, judge};
use crate::catalogue::{Catalogue, Family, RULES};
use crate::facts::{Facts, Ours};
use crate::letter::Letter;

const HONEST: [&str; 3] = [
    "From: Ann Example <ann@example.org>\nTo: bob@home.example\nSubject: Re: the garden in spring\nDate: Mon, 5 Jan 2026 10:00:00 +0100\n\
     Message-ID: <abc.1@example.org>\nIn-Reply-To: <1@home.example>\n\nSee https://example.org/garden and www.example.net for it, it costs about 20 €.\n",
    "From: Shop <news@shop.example>\nTo: bob@home.example\nSubject: Our offers in January\nDate: Mon, 5 Jan 2026 10:00:00 +0100\n\
     Message-ID: <abc.2@shop.example>\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\n\
     Größe und Farbe sind frei wählbar, schauen Sie doch einmal herein.\n--b\nContent-Type: text/html; charset=utf-8\n\n\
     <div style='display:none'>Nur heute</div><p>Gr&ouml;&szlig;e und Farbe sind frei w&auml;hlbar, <a href='https://click.shop.example/x'>https://shop.example</a></p>\
     <img src=https://shop.example/a.png width=200 height=100>\n--b--\n",
    "From: \"ann@example.org via Talk\" <talk@lists.example>\nTo: talk@lists.example\nSubject: [talk] HTML\nList-Id: <talk.lists.example>\n\
     Date: Mon, 5 Jan 2026 10:00:00 +0100\nMessage-ID: <abc.3@home.example>\n\nA word, 1A2b3C4d, and a commit 3f786850e387550fdab836ed7e6dc881de23001b.\n",
];

fn hits(message: &[u8]) -> Vec<String> {
    let domains =
        [DomainName::parse("home.example").unwrap(), DomainName::parse("gardeners.example").unwrap()];
    let ours = Ours::new(&domains, ["Bob Builder", "Carol"]);
    let wanted = [Language::parse("en").unwrap(), Language::parse("de").unwrap()];
    let facts = Facts {
        arrived_unix_seconds: Some(1_767_604_000),
        ours: Some(&ours),
        wanted_languages: &wanted,
        ..Facts::default()
    };
    let hits = judge(&Letter::read(message), &facts, &Catalogue::default());
    hits.iter().map(|hit| hit.name().to_owned()).collect()
}

/// An otherwise honest message with these fields in place of its own, and this body.
fn with(fields: &str, body: &str) -> Vec<u8> {
    let mut message = Vec::new();
    for line in HONEST[0].lines().take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap();
        if !fields.lines().any(|own| own.split(':').next() == Some(name)) {
            message.extend_from_slice(format!("{line}\n").as_bytes());
        }
    }
    // A field without a value is left out.
    for line in fields.lines().filter(|line| !line.ends_with(':')) {
        message.extend_from_slice(format!("{line}\n").as_bytes());
    }
    message.extend_from_slice(format!("\n{body}\n").as_bytes());
    message
}

/// What fires each rule: fields, and a body.
const CASES: &[(&str, &str, &str)] = &[
    ("MISSING_DATE", "Date:", "x"),
    ("INVALID_DATE", "Date: soon", "x"),
    ("DATE_IN_PAST", "Date: Mon, 29 Dec 2025 09:00:00 +0000", "x"),
    ("DATE_IN_FUTURE", "Date: Mon, 5 Jan 2026 21:30:00 +0000", "x"),
    ("MISSING_MID", "Message-ID:", "x"),
    ("INVALID_MSGID", "Message-ID: 1@example.org", "x"),
    ("INVALID_MSGID", "Message-ID: <1>", "x"),
    ("MSGID_LOCAL", "Message-ID: <1@localhost>", "x"),
    ("MSGID_OURS", "Message-ID: <1@mail.home.example>", "x"),
    ("DUPLICATED_FIELD", "Subject: a\nSubject: b", "x"),
    ("MISSING_FROM", "From:", "x"),
    ("INVALID_FROM", "From: nobody", "x"),
    ("MISSING_SUBJECT", "Subject:", "x"),
    ("EMPTY_SUBJECT", "Subject: Re: ", "x"),
    ("SUBJ_ALL_CAPS", "Subject: Re: BUY NOW OR NEVER", "x"),
    ("SUBJECT_MONEY", "Subject: win $1,000 today", "x"),
    ("SUBJECT_MONEY", "Subject: 500 € for you", "x"),
    ("SUBJECT_SHOUTS", "Subject: now!!", "x"),
    ("SUBJECT_SPACED", "Subject: a f r e e b i e", "x"),
    ("SUBJECT_FALSE_REPLY", "In-Reply-To:", "x"),
    ("MISSING_TO", "To:", "x"),
    ("UNDISCLOSED_RECIPIENTS", "To: Undisclosed-recipients:;", "x"),
    ("SPAMWARE", "X-Mailer: Dark Mailer 2.0", "x"),
    ("SCRIPT_MAILER", "X-PHP-Originating-Script: 33:mail.php", "x"),
    ("FREEMAIL_FORGED_REPLYTO", "Reply-To: ceo@gmail.com", "x"),
    ("FOREIGN_LINES", "no field at all\nX-A: b", "x"),
    ("NAME_SHOWS_ADDRESS", "From: \"service@bank.example\" <a@evil.test>", "x"),
    ("NAME_SHOWS_OURS", "From: \"Help of home.example\" <a@evil.test>", "x"),
    ("NAME_OF_OURS", "From: BOB  Builder <a@evil.test>", "x"),
    ("NAME_OF_BRAND", "From: PayPal Service <a@evil.test>", "x"),
    ("NAME_MIXED_SCRIPTS", "From: p\u{430}ypal <a@evil.test>", "x"),
    ("LOOKALIKE_OURS", "From: Ann <a@h0me.example>", "x"),
    ("LOOKALIKE_OURS", "From: Ann <a@gardners.example>", "x"),
    ("LOOKALIKE_BRAND", "From: Ann <a@paypa1.com>", "x"),
    ("SUBJECT_MIXED_SCRIPTS", "Subject: p\u{430}ypal", "x"),
    ("SUBJECT_STYLED", "Subject: 𝓦𝓲𝓷𝓷𝓮𝓻", "x"),
    (
        "TEXT_MIXED_SCRIPTS",
        "Content-Type: text/plain; charset=utf-8",
        "p\u{430}ypal p\u{430}ypal p\u{430}ypal",
    ),
    ("TEXT_INVISIBLE", "Content-Type: text/plain; charset=utf-8", "a\u{200b}b\u{200b}c\u{200b}d"),
    ("BOUNDARY_MISSING", "Content-Type: multipart/mixed; boundary=b", "x"),
    ("BOUNDARY_MISSING", "Content-Type: multipart/mixed", "x"),
    ("MISSING_MIME_VERSION", "Content-Type: multipart/mixed; boundary=b", "--b\n\nx\n--b--"),
    ("MIME_BASE64_TEXT", "Content-Transfer-Encoding: base64", "cGxhaW4gdGV4dCBvZiBubyBoYXJtIGF0IGFsbA=="),
    ("CHARSET_UNKNOWN", "Content-Type: text/plain; charset=x-klingon", "x"),
    ("CHARSET_FALSE", "Content-Type: text/plain; charset=us-ascii", "ü"),
    (
        "MPART_ONE_HTML",
        "Content-Type: multipart/alternative; boundary=b",
        "--b\nContent-Type: text/html\n\nx\n--b--",
    ),
    ("HTML_ONLY", "Content-Type: text/html", "x"),
    ("LINK_NUMERIC", "X-A: b", "http://192.0.2.1/x"),
    ("LINK_USERINFO", "X-A: b", "http://bank.example@evil.test/"),
    ("LINK_PORT", "X-A: b", "http://evil.test:8081/"),
    ("LINK_SHORTENER", "X-A: b", "https://bit.ly/x"),
    ("LINK_FREE_HOST", "X-A: b", "https://login.pages.dev/x"),
    ("LINK_ESCAPED", "X-A: b", "http://evil.test/%61%62%63%64%65"),
    ("LINK_HOMOGRAPH", "X-A: b", "http://xn--pypal-4ve.test/"),
    ("LINK_LOOKALIKE", "X-A: b", "http://paypal.com.evil.test/"),
    ("LINK_LOOKALIKE_OURS", "X-A: b", "http://h0me.example/"),
    ("LINK_MISMATCH", "Content-Type: text/html", "<a href=http://evil.test/>https://www.bank.example/</a>"),
    ("LINK_PROGRAM", "Content-Type: text/html", "<a href='java\tscript:x'>x</a>"),
    ("HTML_FORM", "Content-Type: text/html", "<form>x</form>"),
    ("HTML_SCRIPT", "Content-Type: text/html", "<script>x</script>x"),
    ("HTML_REFRESH", "Content-Type: text/html", "<meta http-equiv=refresh content='0; url=x'>x"),
    ("TINY_IMAGE", "Content-Type: text/html", "x<img src=a width=1 height=1>"),
    ("IMAGE_ONLY", "Content-Type: text/html", "<img src=a>"),
    ("BROKEN_WORDS", "Content-Type: text/html", "a<!-- -->b<!-- -->c<!-- -->d"),
    ("EMPTY_BODY", "X-A: b", " "),
    ("BITCOIN_ADDRESS", "X-A: b", "Pay to bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq today"),
    ("BITCOIN_ADDRESS", "X-A: b", "Pay to 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 today"),
    (
        "UNWANTED_LANGUAGE",
        "Content-Type: text/plain; charset=utf-8",
        "Сад зелёный, и цветы цветут, это не всё, что мы для вас посадили, и как вы видите, это хорошо.",
    ),
    ("GTUBE", "X-A: b", "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"),
];

#[test]
fn rules_fire_for_what_they_are_about() {
    for (name, fields, body) in CASES {
        let hits = hits(&with(fields, body));
        assert!(hits.iter().any(|hit| hit == name), "{name}: {hits:?}");
    }
}

/// What needs more than a line to fire.
#[test]
fn rules_about_crowds_fire() {
    let crowd: Vec<String> = (0..40).map(|index| format!("p{index}@a.example")).collect();
    let links: String = (0..20).map(|index| format!("http://d{index}.example/ ")).collect();
    let parts = "--b\n\nx\n".repeat(50);
    let hidden = format!("<p style='display:none'>{}</p>x", "y".repeat(250));
    let mut latin = with("Subject:", "x");
    latin.splice(0..0, *b"Subject: gr\xfc\xdfe\n");
    for (name, message) in [
        ("MANY_RECIPIENTS", with(&format!("To: {}", crowd.join(",")), "x")),
        ("LINK_MANY_DOMAINS", with("X-A: b", &links)),
        ("MANY_PARTS", with("Content-Type: multipart/mixed; boundary=b", &format!("{parts}--b--"))),
        ("HIDDEN_TEXT", with("Content-Type: text/html", &hidden)),
        ("SUBJECT_RAW_OCTETS", latin),
    ] {
        let hits = hits(&message);
        assert!(hits.iter().any(|hit| hit == name), "{name}: {hits:?}");
    }
}

/// Every rule that is judged from a message has a case here: one that nothing fires would stand in the catalogue for nothing.
#[test]
fn no_rule_is_without_a_case() {
    let crowds = ["MANY_RECIPIENTS", "LINK_MANY_DOMAINS", "MANY_PARTS", "HIDDEN_TEXT", "SUBJECT_RAW_OCTETS"];
    for rule in RULES.iter().filter(|rule| rule.family <= Family::Text) {
        let has_case = CASES.iter().any(|(name, ..)| *name == rule.name) || crowds.contains(&rule.name);
        assert!(has_case, "{}", rule.name);
    }
}

#[test]
fn honest_mail_fires_nothing() {
    for message in HONEST {
        assert_eq!(hits(message.as_bytes()), [""; 0], "{message}");
    }
}

#[test]
fn rules_of_no_points_are_silent() {
    let mut catalogue = Catalogue::default();
    catalogue.set_points("MISSING_DATE", 0.0);
    let message = with("Date:", "x");
    let hits = judge(&Letter::read(&message), &Facts::default(), &catalogue);
    assert!(hits.iter().all(|hit| hit.name() != "MISSING_DATE"));
}
