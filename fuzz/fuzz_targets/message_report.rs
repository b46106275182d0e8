//! Reports on delivery under any foreign text: whatever other hosts say and originals hold, a report keeps its parts, its
//! fields and its lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_types::{Address, DomainName, EnhancedCode, EnvelopeId, ForwardPath, OriginalRecipient, ReplyCode};
use message::{
    Action, Content, Date, DeliveryReport, Limits, Original, RecipientReport, RemoteWords, ReportForm,
    Returned, Scanner,
};

fuzz_target!(|octets: &[u8]| {
    let Some(([choice, cut], input)) = octets.split_first_chunk::<2>() else { return };
    let (header, words) = input.split_at(input.len() * usize::from(*cut) / 256);
    report(*choice, header, &String::from_utf8_lossy(words));
});

fn report(choice: u8, header: &[u8], words: &str) {
    let address = |text| Address::parse(text).expect("an address");
    let from = address("postmaster@example.net");
    let to = address(if choice & 1 == 0 { "a@b.example" } else { "\u{e4}@b.example" });
    let host = DomainName::parse("mail.example.net").expect("a name");
    let path = ForwardPath::Address(address("\"b b\"@example.com"));
    let original = OriginalRecipient::from_parts("rfc822", words);
    let envelope_id = EnvelopeId::new(words);
    let recipient = RecipientReport {
        final_recipient: &path,
        presented: Some(&path),
        original: original.as_ref(),
        action: if choice & 2 == 0 { Action::Failed } else { Action::Delayed },
        status: EnhancedCode::new(5, 1, 1),
        remote_mta: Some(words),
        said: Some(RemoteWords { code: ReplyCode::new(550), enhanced: None, text: words }),
        last_attempt: None,
        retry_until: Some(Date { unix_seconds: 1_795_640_400, zone_minutes: 0 }),
        reason: words,
        advice: words,
    };
    let report = DeliveryReport {
        from: &from,
        to: &to,
        date: Date { unix_seconds: 1_795_640_400, zone_minutes: 60 },
        message_id: "<report@example.net>",
        random: [0x5a; 16],
        reporting_mta: &host,
        arrived: None,
        envelope_id: envelope_id.as_ref(),
        recipients: &[recipient],
        original: Original { header, returned: Returned::Header },
        form: if choice & 4 == 0 { ReportForm::Classic } else { ReportForm::International },
    };
    let mut out = Vec::new();
    report.write_beginning(&mut out);
    report.write_end(&mut out);
    check(&out, report.needs().eight_bit);
}

/// Fields that stand once in the part for programs.
const FIELDS: [&str; 3] = ["Final-Recipient: ", "Action: ", "Reporting-MTA: "];

/// One pass by lines: a report is long, and whatever is compared is seen by the fuzzer.
fn check(out: &[u8], eight_bit: bool) {
    let text = std::str::from_utf8(out).expect("UTF-8");
    assert!(eight_bit || text.is_ascii());
    assert!(text.ends_with("--\r\n"));
    let (mut borders, mut fields) = (0, [0; FIELDS.len()]);
    for line in text.split_terminator('\n') {
        let line = line.strip_suffix('\r').expect("lines end with CRLF");
        assert!(line.len() <= 998 && !has_control(line), "{line:?}");
        borders += usize::from(line.starts_with("--=_"));
        if borders == 2 {
            fields
                .iter_mut()
                .zip(FIELDS)
                .for_each(|(count, name)| *count += usize::from(line.starts_with(name)));
        }
    }
    // Nobody foresees the random octets, but a fuzzer may find them in the target.
    if borders != 4 {
        return;
    }
    assert_eq!(fields, [1; FIELDS.len()], "{text}");
    let mut scanner = Scanner::new(Limits::default());
    scanner.feed(out);
    let summary = scanner.finish();
    let Content::Multipart(parts) = &summary.structure.content else { panic!("{text}") };
    assert_eq!(parts.len(), 3);
}

fn has_control(line: &str) -> bool {
    // By a table, without comparing.
    const CONTROLS: [u8; 256] = {
        let mut table = [0; 256];
        let mut octet = 0;
        while octet < 0x20 {
            table[octet] = 1;
            octet += 1;
        }
        (table[b'\t' as usize], table[0x7f]) = (0, 1);
        table
    };
    let in_ascii = line.bytes().fold(0, |found, octet| found | CONTROLS[usize::from(octet)]);
    in_ascii != 0 || (!line.is_ascii() && line.contains(|char: char| char.is_control() && char != '\t'))
}
