//! What the grammar takes and what it refuses.

use mail_types::{DeliverBy, EnvelopeId, Notify, OriginalRecipient, Priority, ReturnedContent};

use super::*;
use crate::extension::{DeliverByOffer, FutureReleaseOffer};
use crate::future_release::Hold;

/// All that can be offered.
const ALL: Offers = Offers {
    dsn: true,
    require_tls: true,
    priority: true,
    deliver_by: Some(DeliverByOffer { seconds_min: None }),
    future_release: Some(FutureReleaseOffer { seconds_max: 86_400 }),
};

fn parse(line: &[u8]) -> Result<Command<'_>, CommandError> {
    super::parse(line, &Offers::NONE)
}

fn parameters_of_all(text: &str) -> Result<MailParameters, CommandError> {
    match super::parse(format!("MAIL FROM:<> {text}").as_bytes(), &ALL)? {
        Command::Mail(_, parameters) => Ok(parameters),
        other => panic!("{other:?}"),
    }
}

fn recipient_parameters(text: &str) -> Result<RcptParameters, CommandError> {
    match super::parse(format!("RCPT TO:<bob@example.org> {text}").as_bytes(), &ALL)? {
        Command::Rcpt(_, parameters) => Ok(parameters),
        other => panic!("{other:?}"),
    }
}

fn sender(line: &str) -> Result<String, CommandError> {
    match parse(line.as_bytes())? {
        Command::Mail(path, _) => Ok(path.path.to_string()),
        other => panic!("{other:?}"),
    }
}

fn recipient(line: &str) -> Result<String, CommandError> {
    match parse(line.as_bytes())? {
        Command::Rcpt(path, _) => Ok(path.path.to_string()),
        other => panic!("{other:?}"),
    }
}

fn parameters(line: &str) -> Result<MailParameters, CommandError> {
    match parse(line.as_bytes())? {
        Command::Mail(_, parameters) => Ok(parameters),
        other => panic!("{other:?}"),
    }
}

#[test]
fn paths_are_read_leniently() {
    for line in [
        "MAIL FROM:<ann@example.org>",
        "mail from:<ann@example.org>",
        "MAIL FROM: <ann@example.org>",
        "MAIL  FROM : <ann@example.org>  ",
        "MAIL FROM:ann@example.org",
        "MAIL FROM:< ann@example.org >",
        "MAIL FROM:<@relay.example,@other.example:ann@example.org>",
    ] {
        assert_eq!(sender(line).as_deref(), Ok("ann@example.org"), "{line}");
    }
    assert_eq!(sender("MAIL FROM:<>").as_deref(), Ok(""));
    assert_eq!(sender(r#"MAIL FROM:<"a>b \" c"@example.org>"#).as_deref(), Ok(r#""a>b \" c"@example.org"#));
    assert_eq!(recipient("RCPT TO:<postMASTER>").as_deref(), Ok("Postmaster"));
    assert_eq!(recipient("rcpt to: bob@example.org").as_deref(), Ok("bob@example.org"));
}

#[test]
fn bad_paths_are_refused() {
    for line in [
        "MAIL FROM:",
        "MAIL FROM:<",
        "MAIL FROM:<ann@example.org",
        "MAIL FROM:<ann@example.org>x",
        "MAIL FROM:<ann>",
        "MAIL FROM:<<ann@example.org>>",
        "MAIL FROM:<\"ann@example.org>",
        "MAIL FROM:<@relay.example:>x",
    ] {
        assert_eq!(sender(line), Err(CommandError::BadSender), "{line}");
    }
    for line in ["RCPT TO:<>", "RCPT TO:<bob>", "RCPT TO:"] {
        assert_eq!(recipient(line), Err(CommandError::BadRecipient), "{line}");
    }
    assert!(matches!(sender("MAIL <ann@example.org>"), Err(CommandError::BadArguments(_))));
    assert!(matches!(sender("MAIL FRÖM:<a@b.example>"), Err(CommandError::BadArguments(_))));
}

#[test]
fn utf8_in_a_path_is_noticed_wherever_it_stands() {
    for (line, expected) in [
        ("RCPT TO:<bob@example.org>", Script::Ascii),
        ("RCPT TO:<bøb@example.org>", Script::Utf8),
        ("RCPT TO:<bob@bücher.example>", Script::Utf8),
    ] {
        let Ok(Command::Rcpt(path, _)) = parse(line.as_bytes()) else { panic!("{line}") };
        assert_eq!(path.script, expected, "{line}");
    }
}

#[test]
fn parameters_are_read() {
    let read = parameters("MAIL FROM:<> SIZE=1234 body=8bitmime SMTPUTF8 AUTH=<>").unwrap();
    assert_eq!(
        read,
        MailParameters {
            size: Some(1234),
            body: BodyType::EightBitMime,
            smtputf8: true,
            auth: true,
            ..MailParameters::default()
        }
    );
    assert_eq!(parameters("MAIL FROM:<>").unwrap(), MailParameters::default());
    assert_eq!(parameters("MAIL FROM:<> SIZE=99999999999999999999").unwrap().size, Some(u64::MAX));
    assert_eq!(parameters("MAIL FROM:<> BODY=BINARYMIME").unwrap().body, BodyType::BinaryMime);
    assert!(parameters("MAIL FROM:<> AUTH=e+3Dmc2@example.com").unwrap().auth);
}

#[test]
fn bad_parameters_are_refused() {
    for text in [
        "SIZE",
        "SIZE=",
        "SIZE=-1",
        "SIZE=1x",
        "SIZE=100000000000000000000",
        "BODY",
        "BODY=9BIT",
        "SMTPUTF8=1",
        "AUTH",
        "AUTH=",
        "AUTH=a+zz",
        "AUTH=a=b",
        "SIZE=1 SIZE=2",
        "BODY=7BIT BODY=7BIT",
        "SMTPUTF8 SMTPUTF8",
        "AUTH=<> AUTH=<>",
    ] {
        assert_eq!(parameters(&format!("MAIL FROM:<> {text}")), Err(CommandError::BadParameter), "{text}");
    }
}

#[test]
fn parameters_of_extensions_not_offered_are_refused() {
    for text in [
        "RET=HDRS",
        "RET=what",
        "ENVID=x",
        "REQUIRETLS",
        "HOLDFOR=1",
        "HOLDUNTIL=2026-11-25T21:00:00Z",
        "BY=1;R",
        "MT-PRIORITY=1",
        "X",
    ] {
        let refused = Err(CommandError::UnknownParameter);
        assert_eq!(parameters(&format!("MAIL FROM:<> {text}")), refused, "{text}");
    }
    for text in ["NOTIFY=NEVER", "ORCPT=rfc822;a@b", "SIZE=1"] {
        let refused = Err(CommandError::UnknownParameter);
        assert_eq!(recipient(&format!("RCPT TO:<bob@example.org> {text}")), refused, "{text}");
    }
}

#[test]
fn parameters_of_all_extensions_are_read() {
    let read = parameters_of_all(
        "RET=HDRS ENVID=QQ+2B1 REQUIRETLS MT-PRIORITY=-3 BY=120;RT HOLDUNTIL=1970-01-01T00:01:00Z SIZE=5",
    );
    let expected = MailParameters {
        size: Some(5),
        returned: Some(ReturnedContent::Headers),
        envelope_id: EnvelopeId::new("QQ+1"),
        require_tls: true,
        priority: Priority::new(-3),
        deliver_by: DeliverBy::parse("120;RT"),
        hold: Some(Hold::Until(60)),
        ..MailParameters::default()
    };
    assert_eq!(read, Ok(expected));
    assert_eq!(parameters_of_all("holdfor=60").unwrap().hold, Some(Hold::For(60)));
    assert_eq!(
        recipient_parameters("NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@example.net"),
        Ok(RcptParameters {
            notify: Notify::parse("SUCCESS,DELAY"),
            original: OriginalRecipient::from_parts("rfc822", "Bob+x@example.net"),
        })
    );
    assert_eq!(recipient_parameters(""), Ok(RcptParameters::default()));
    assert_eq!(recipient_parameters("SIZE=1"), Err(CommandError::UnknownParameter));
}

#[test]
fn bad_parameters_of_all_extensions_are_refused() {
    for text in [
        "RET",
        "RET=",
        "RET=ALL",
        "RET=FULL RET=HDRS",
        "ENVID=",
        "ENVID=a+0D+0Ab",
        "ENVID=a ENVID=a",
        "REQUIRETLS=1",
        "REQUIRETLS REQUIRETLS",
        "MT-PRIORITY=10",
        "MT-PRIORITY=",
        "MT-PRIORITY=1 MT-PRIORITY=1",
        "BY=0;R",
        "BY=1",
        "BY=1;N BY=1;N",
        "HOLDFOR=0",
        "HOLDUNTIL=tomorrow",
        "HOLDFOR=1 HOLDUNTIL=2026-11-25T21:00:00Z",
        "HOLDFOR=1 HOLDFOR=1",
    ] {
        assert_eq!(parameters_of_all(text), Err(CommandError::BadParameter), "{text}");
    }
    for text in ["NOTIFY=NEVER,DELAY", "NOTIFY", "NOTIFY=", "ORCPT=bob@example.org", "ORCPT=rfc822;a+0Ab"] {
        assert_eq!(recipient_parameters(text), Err(CommandError::BadParameter), "{text}");
    }
    for text in ["NOTIFY=NEVER NOTIFY=NEVER", "ORCPT=rfc822;a ORCPT=rfc822;a"] {
        assert_eq!(recipient_parameters(text), Err(CommandError::BadParameter), "{text}");
    }
}

#[test]
fn utf8_in_orcpt_is_noticed_too() {
    for (text, expected) in
        [("ORCPT=utf-8;b\\x{F8}b@example.org", Script::Ascii), ("ORCPT=utf-8;bøb@example.org", Script::Utf8)]
    {
        let line = format!("RCPT TO:<bob@example.org> {text}");
        let Ok(Command::Rcpt(path, parameters)) = super::parse(line.as_bytes(), &ALL) else {
            panic!("{line}")
        };
        assert_eq!(path.script, expected, "{line}");
        assert_eq!(parameters.original, OriginalRecipient::from_parts("utf-8", "bøb@example.org"));
    }
}

#[test]
fn control_characters_and_foreign_octets_are_no_command() {
    for line in [
        &b"NOOP \0"[..],
        b"NOOP a\rb",
        b"MAIL FROM:<a\x7f@b>",
        b"NOOP \xff",
        b"NOOP \x1b[2J",
        b"NOOP \xc2\x85",
    ] {
        assert_eq!(parse(line), Err(CommandError::BadOctets), "{line:?}");
    }
}

#[test]
fn verbs_without_arguments_take_none() {
    for verb in ["DATA", "RSET", "QUIT", "STARTTLS"] {
        assert!(parse(verb.to_lowercase().as_bytes()).is_ok());
        assert!(parse(format!("{verb}  ").as_bytes()).is_ok());
        assert!(matches!(parse(format!("{verb} x").as_bytes()), Err(CommandError::BadArguments(_))));
    }
    assert_eq!(parse(b"NOOP whatever"), Ok(Command::Noop));
    assert_eq!(parse(b"HELP me"), Ok(Command::Help));
}

#[test]
fn chunks_are_read() {
    assert_eq!(parse(b"BDAT 0 LAST"), Ok(Command::Bdat { octets: 0, last: true }));
    assert_eq!(parse(b"bdat 86 last"), Ok(Command::Bdat { octets: 86, last: true }));
    assert_eq!(parse(b"BDAT 18446744073709551615"), Ok(Command::Bdat { octets: u64::MAX, last: false }));
    for line in
        ["BDAT", "BDAT x", "BDAT -1", "BDAT +1", "BDAT 1 LAS", "BDAT 1 LAST x", "BDAT 18446744073709551616"]
    {
        assert!(matches!(parse(line.as_bytes()), Err(CommandError::BadArguments(_))), "{line}");
    }
}

#[test]
fn greetings_have_bounds() {
    let longest = "a".repeat(HELLO_OCTETS_MAX);
    assert_eq!(
        parse(format!("EHLO {longest}").as_bytes()),
        Ok(Command::Hello(HelloVerb::Ehlo, longest.as_str()))
    );
    assert!(parse(format!("EHLO {longest}a").as_bytes()).is_err());
    assert!(parse(b"HELO ").is_err());
    assert_eq!(parse(b"HELO my printer"), Ok(Command::Hello(HelloVerb::Helo, "my")));
}

#[test]
fn unknown_and_old_verbs_differ() {
    assert_eq!(parse(b"FOO"), Err(CommandError::Unknown));
    assert_eq!(parse(b""), Err(CommandError::Unknown));
    assert_eq!(parse(b"ETRN example.org"), Err(CommandError::NotImplemented));
    assert_eq!(parse(b"TURN"), Err(CommandError::NotImplemented));
}
