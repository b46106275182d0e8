//! Reports as senders get them, and what no foreign text can do to them.

use proptest::prelude::*;

use super::*;
use crate::limits::Limits;
use crate::scanner::Scanner;
use crate::structure::Content;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn date(unix_seconds: i64) -> Date {
    Date { unix_seconds, zone_minutes: 0 }
}

const HEADER: &[u8] = b"Message-ID: <lunch.1@example.org>\r\nDate: Wed, 25 Nov 2026 20:59:00 +0000\r\n\
    From: Ann <ann@example.org>\r\nSubject: Lunch?\r\n\r\nbody that is not looked at";

fn recipient<'a>(path: &'a ForwardPath, action: Action) -> RecipientReport<'a> {
    RecipientReport {
        final_recipient: path,
        presented: None,
        original: None,
        action,
        status: EnhancedCode::new(5, 1, 1),
        remote_mta: None,
        said: None,
        last_attempt: None,
        retry_until: None,
        reason: "",
        advice: "",
    }
}

struct House {
    from: Address,
    to: Address,
    host: DomainName,
}

impl House {
    fn new(to: &str) -> Self {
        Self {
            from: address("postmaster@example.net"),
            to: address(to),
            host: DomainName::parse("mail.example.net").unwrap(),
        }
    }

    fn report<'a>(&'a self, recipients: &'a [RecipientReport<'a>]) -> DeliveryReport<'a> {
        DeliveryReport {
            from: &self.from,
            to: &self.to,
            date: date(1_795_640_460),
            message_id: "<report.1@mail.example.net>",
            random: [0xab; 16],
            reporting_mta: &self.host,
            arrived: Some(date(1_795_640_400)),
            envelope_id: None,
            recipients,
            original: Original { header: HEADER, returned: Returned::Header },
            form: ReportForm::Classic,
        }
    }
}

fn written(report: &DeliveryReport<'_>) -> String {
    let mut out = Vec::new();
    report.write_beginning(&mut out);
    if report.original.returned != Returned::Header {
        out.extend_from_slice(b"Subject: Lunch?\r\n\r\nAt noon.\r\n");
    }
    report.write_end(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_failure_as_the_sender_reads_it() {
    let house = House::new("ann@example.org");
    let path = ForwardPath::Address(address("bob@example.com"));
    let original = OriginalRecipient::from_parts("rfc822", "robert+lunch@example.org").unwrap();
    let id = EnvelopeId::new("QQ 314159").unwrap();
    let recipients = [RecipientReport {
        original: Some(&original),
        remote_mta: Some("mx.example.com"),
        said: Some(RemoteWords {
            code: ReplyCode::new(550),
            enhanced: Some(EnhancedCode::new(5, 1, 1)),
            text: "No such user\nSee https://example.com/help",
        }),
        last_attempt: Some(date(1_795_640_459)),
        retry_until: Some(date(1_795_640_500)),
        reason: "There is no such mailbox.",
        advice: "Check the address, or ask the recipient for another.",
        ..recipient(&path, Action::Failed)
    }];
    let report = DeliveryReport { envelope_id: Some(&id), ..house.report(&recipients) };
    assert_eq!(report.needs(), ReportNeeds { eight_bit: false, smtputf8: false });
    let expected = "\
Date: Wed, 25 Nov 2026 21:01:00 +0000
From: Mail Delivery System <postmaster@example.net>
To: ann@example.org
Subject: Not delivered: Lunch?
Message-ID: <report.1@mail.example.net>
In-Reply-To: <lunch.1@example.org>
References: <lunch.1@example.org>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary=\"=_abababababababababababababababab\"
Content-Transfer-Encoding: 7bit

--=_abababababababababababababababab
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: 7bit

This is the mail server mail.example.net.

Your message could not be delivered to:

  bob@example.com (for robert+lunch@example.org)
    There is no such mailbox.
    mx.example.com said:
      550 5.1.1 No such user See https://example.com/help
    Check the address, or ask the recipient for another.

The message:
  Subject: Lunch?
  Date: Wed, 25 Nov 2026 20:59:00 +0000

Attached are the details for mail programs and the header of the
message.

--=_abababababababababababababababab
Content-Type: message/delivery-status
Content-Description: Delivery status
Content-Transfer-Encoding: 7bit

Original-Envelope-Id: QQ 314159
Reporting-MTA: dns; mail.example.net
Arrival-Date: Wed, 25 Nov 2026 21:00:00 +0000

Original-Recipient: rfc822; robert+lunch@example.org
Final-Recipient: rfc822; bob@example.com
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.com
Diagnostic-Code: smtp; 550 5.1.1 No such user See https://example.com/help
Last-Attempt-Date: Wed, 25 Nov 2026 21:00:59 +0000

--=_abababababababababababababababab
Content-Type: text/rfc822-headers
Content-Description: The header of your message
Content-Transfer-Encoding: 7bit

Message-ID: <lunch.1@example.org>
Date: Wed, 25 Nov 2026 20:59:00 +0000
From: Ann <ann@example.org>
Subject: Lunch?

--=_abababababababababababababababab--
";
    assert_eq!(written(&report).replace("\r\n", "\n"), expected);
}

#[test]
fn a_delay_tells_until_when_we_try() {
    let house = House::new("ann@example.org");
    let path = ForwardPath::Address(address("bob@example.com"));
    let recipients = [RecipientReport {
        status: EnhancedCode::new(4, 4, 1),
        retry_until: Some(date(1_795_640_500)),
        ..recipient(&path, Action::Delayed)
    }];
    let text = written(&house.report(&recipients));
    assert!(text.contains("Subject: Not yet delivered: Lunch?\r\n"), "{text}");
    assert!(text.contains("We go on trying;\r\nthere is no need to send it again."), "{text}");
    assert!(text.contains("    We try until Wed, 25 Nov 2026 21:01:40 +0000.\r\n"), "{text}");
    assert!(text.contains("Will-Retry-Until: Wed, 25 Nov 2026 21:01:40 +0000\r\n"), "{text}");
}

#[test]
fn one_report_tells_of_many_the_worst_first() {
    let house = House::new("ann@example.org");
    let paths: Vec<ForwardPath> = ["a@example.com", "b@example.com", "c@example.com", "d@example.com"]
        .map(|text| ForwardPath::Address(address(text)))
        .to_vec();
    let actions = [Action::Delivered, Action::Expanded, Action::Relayed, Action::Failed];
    let mut recipients: Vec<_> =
        paths.iter().zip(actions).map(|(path, action)| recipient(path, action)).collect();
    recipients.push(recipient(&ForwardPath::Postmaster, Action::Delivered));
    let text = written(&house.report(&recipients));
    assert!(text.contains("Subject: Not delivered: Lunch?"));
    let places: Vec<_> =
        ["  d@example.com", "  c@example.com", "  b@example.com", "  a@example.com", "  postmaster"]
            .map(|address| text.find(address).unwrap_or_else(|| panic!("{address}: {text}")))
            .to_vec();
    assert!(places.is_sorted(), "{text}");
    assert_eq!(text.matches("\r\nAction: ").count(), 5);
    assert!(text.contains("Final-Recipient: rfc822; postmaster\r\n"));
    let happy = written(&house.report(&recipients[..1]));
    assert!(happy.contains("Subject: Delivered: Lunch?"));
}

#[test]
fn the_whole_message_comes_back_where_it_may() {
    let house = House::new("ann@example.org");
    let path = ForwardPath::Address(address("bob@example.com"));
    let recipients = [recipient(&path, Action::Failed)];
    for (octets, part, eight_bit) in [
        (OriginalOctets::SevenBit, "message/rfc822", false),
        (OriginalOctets::EightBit, "message/rfc822", true),
        (OriginalOctets::International, "message/global", true),
    ] {
        let mut report = house.report(&recipients);
        report.original.returned = Returned::Whole(octets);
        assert_eq!(report.needs(), ReportNeeds { eight_bit, smtputf8: false });
        let text = written(&report);
        let encoding = if eight_bit { "8bit" } else { "7bit" };
        let expected = format!(
            "Content-Type: {part}\r\nContent-Description: Your message\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\r\nSubject: Lunch?\r\n\r\nAt noon.\r\n\r\n--=_"
        );
        assert!(text.contains(&expected), "{text}");
        // The whole is as its part is (RFC 2045 §6.4).
        let (header, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(header.ends_with(&format!("Content-Transfer-Encoding: {encoding}")), "{header}");
    }
}

#[test]
fn international_addresses_in_both_forms() {
    let path = ForwardPath::Address(address("jürgen@bücher.example"));
    let original = OriginalRecipient::of(&address("grüße@example.org"));
    let recipients = [RecipientReport { original: Some(&original), ..recipient(&path, Action::Failed) }];
    let house = House::new("ann@example.org");
    let classic = written(&house.report(&recipients));
    assert!(classic.is_ascii());
    assert!(classic.contains("Original-Recipient: utf-8; gr\\x{FC}\\x{DF}e@example.org\r\n"), "{classic}");
    assert!(classic.contains("Final-Recipient: utf-8; j\\x{FC}rgen@xn--bcher-kva.example\r\n"), "{classic}");
    assert!(classic.contains("j=C3=BCrgen@xn--bcher-kva.example"), "{classic}");
    // A sender whom only SMTPUTF8 reaches can read UTF-8.
    let house = House::new("änn@example.org");
    let report = house.report(&recipients);
    assert_eq!(report.needs(), ReportNeeds { eight_bit: true, smtputf8: true });
    let global = written(&report);
    assert!(global.contains("To: änn@example.org\r\n"), "{global}");
    assert!(global.contains("report-type=global-delivery-status;"), "{global}");
    assert!(global.contains("Content-Type: message/global-delivery-status\r\n"), "{global}");
    assert!(global.contains("Original-Recipient: utf-8; grüße@example.org\r\n"), "{global}");
    assert!(global.contains("Content-Type: message/global-headers\r\n"), "{global}");
}

#[test]
fn a_header_that_is_no_ascii_is_quoted() {
    let house = House::new("ann@example.org");
    let path = ForwardPath::Address(address("bob@example.com"));
    let recipients = [recipient(&path, Action::Failed)];
    let mut report = house.report(&recipients);
    report.original.header = "Subject: Grüße\nX: a\r--=_\0\n\nbody".as_bytes();
    let text = written(&report);
    assert!(text.contains("Subject: =?utf-8?Q?Not_delivered=3A_Gr=C3=BC=C3=9Fe?=\r\n"), "{text}");
    assert!(text.contains("\r\n\r\nSubject: Gr=C3=BC=C3=9Fe\r\nX: a=0D--=3D_=00\r\n\r\n--=_"), "{text}");
    assert!(!text.contains("In-Reply-To"));
    report.original.header = b"";
    assert!(written(&report).contains("Subject: Not delivered: your message\r\n"));
}

#[test]
fn what_comes_back_is_bounded() {
    let house = House::new("ann@example.org");
    let path = ForwardPath::Address(address("bob@example.com"));
    let long = "x".repeat(REMOTE_WORDS_OCTETS_MAX + 1);
    let recipients = [RecipientReport {
        said: Some(RemoteWords { code: ReplyCode::new(550), enhanced: None, text: &long }),
        ..recipient(&path, Action::Failed)
    }];
    for octets in [ORIGINAL_HEADER_OCTETS_MAX - 1, ORIGINAL_HEADER_OCTETS_MAX, ORIGINAL_HEADER_OCTETS_MAX + 1]
    {
        let line = format!("Subject: {}\r\n", "s".repeat(REPEATED_SUBJECT_OCTETS_MAX + 1));
        let rest = octets - line.len() - "Y: \r\n".len();
        let header = format!("{line}Y: {}\r\n\r\n", "\r\n y".repeat(rest / 4) + &"y".repeat(rest % 4));
        let mut report = house.report(&recipients);
        report.original.header = header.as_bytes();
        let text = written(&report);
        assert_eq!(text.contains("\r\nY: "), octets <= ORIGINAL_HEADER_OCTETS_MAX, "{octets}");
        let repeated = text.split("--=_").nth(1).unwrap().matches('s').count();
        assert!(repeated < REPEATED_SUBJECT_OCTETS_MAX + 60, "{repeated}");
        assert!(text.matches('x').count() <= 2 * REMOTE_WORDS_OCTETS_MAX + 20);
    }
    for (octets, is_repeated) in [(899, true), (900, true), (901, false)] {
        let header = format!("Message-ID: <{}>\r\n\r\n", "i".repeat(octets));
        let mut report = house.report(&recipients);
        report.original.header = header.as_bytes();
        assert_eq!(written(&report).contains("In-Reply-To: <i"), is_repeated);
    }
}

#[test]
fn what_no_line_can_hold_is_left_out() {
    let house = House::new("ann@example.org");
    let path = ForwardPath::Address(address("bob@example.com"));
    // Each letter takes six octets of ASCII.
    for (letters, is_told) in [(149, true), (150, true), (151, false)] {
        let original = OriginalRecipient::from_parts("utf-8", &"ø".repeat(letters)).unwrap();
        let recipients = [RecipientReport { original: Some(&original), ..recipient(&path, Action::Failed) }];
        let text = written(&house.report(&recipients));
        assert_eq!(text.contains("Original-Recipient: "), is_told, "{letters}");
    }
    for (octets, told) in [(254, 254), (255, 255), (256, 255)] {
        let host = "h".repeat(octets);
        let recipients = [RecipientReport { remote_mta: Some(&host), ..recipient(&path, Action::Failed) }];
        let text = written(&house.report(&recipients));
        assert!(text.contains(&format!("Remote-MTA: dns;\r\n {}\r\n", "h".repeat(told))), "{text}");
    }
    let nothing = [RecipientReport { remote_mta: Some("\r\n"), ..recipient(&path, Action::Failed) }];
    assert!(!written(&house.report(&nothing)).contains("Remote-MTA"));
}

#[test]
fn sentences_have_bounds() {
    let house = House::new("ann@example.org");
    let path = ForwardPath::Address(address("bob@example.com"));
    let empty = written(&house.report(&[recipient(&path, Action::Failed)])).matches('z').count();
    for octets in [1_999, 2_000, 2_001] {
        let reason = "z".repeat(octets);
        let recipients = [RecipientReport { reason: &reason, ..recipient(&path, Action::Failed) }];
        let told = written(&house.report(&recipients)).matches('z').count();
        assert_eq!(told, empty + octets.min(2_000));
    }
}

/// Whatever is told, a report has its three parts and its lines.
fn check(report: &DeliveryReport<'_>) -> Result<(), TestCaseError> {
    let mut out = Vec::new();
    report.write_beginning(&mut out);
    report.write_end(&mut out);
    let text = String::from_utf8(out).unwrap();
    let is_ascii = report.form() == ReportForm::Classic;
    prop_assert!(!is_ascii || text.is_ascii());
    for line in text.split("\r\n") {
        prop_assert!(
            line.len() <= 998 && !line.contains(|char: char| char.is_control() && char != '\t'),
            "{line:?}"
        );
    }
    prop_assert_eq!(text.matches(&report.boundary()).count(), 5);
    prop_assert_eq!(text.matches("\r\nFinal-Recipient: ").count(), report.recipients.len());
    prop_assert_eq!(text.matches("\r\nStatus: ").count(), report.recipients.len());
    let mut scanner = Scanner::new(Limits::default());
    scanner.feed(text.as_bytes());
    let summary = scanner.finish();
    let Content::Multipart(parts) = &summary.structure.content else { panic!("{text}") };
    prop_assert_eq!(parts.len(), 3);
    Ok(())
}

proptest! {
    #[test]
    fn foreign_text_stays_where_it_is(
        header in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b':'), Just(b' ')], 0..400),
        words in "(\\PC|[\r\n\t \u{0}\u{85}\u{202e}]){0,300}",
        host in "(\\PC|[\r\n]){0,40}",
        is_international in any::<bool>(),
        subject in "(\\PC|[\r\n]){0,80}",
    ) {
        let house = House::new(if is_international { "änn@example.org" } else { "ann@example.org" });
        let path = ForwardPath::Address(address("\"b b\\\"\"@example.com"));
        let original = OriginalRecipient::from_parts("x400", "/S=a b/").unwrap();
        let recipients = [RecipientReport {
            original: Some(&original),
            remote_mta: Some(&host),
            said: Some(RemoteWords { code: ReplyCode::new(450), enhanced: None, text: &words }),
            reason: &words,
            advice: &host,
            ..recipient(&path, Action::Delayed)
        }, recipient(&ForwardPath::Postmaster, Action::Failed)];
        let mut report = house.report(&recipients);
        let header = [format!("Subject: {subject}\r\n").as_bytes(), &header].concat();
        report.original.header = &header;
        check(&report)?;
    }
}
