//! The second part of a report, for programs: message/delivery-status (RFC 3464 §2), message/global-delivery-status
//! (RFC 6533 §4).

use mail_types::{ForwardPath, OriginalRecipient, UnicodeForm};

use super::words::{ascii, words};
use super::{Action, DeliveryReport, REMOTE_WORDS_OCTETS_MAX, RecipientReport, ReportForm};
use crate::date::Date;
use crate::write::FoldedLine;

/// Longest address told in a field: a line has to hold it.
const ADDRESS_OCTETS_MAX: usize = 900;
/// Longest name of a host.
const HOST_OCTETS_MAX: usize = 255;

pub(super) fn write(report: &DeliveryReport<'_>, out: &mut Vec<u8>) {
    report.begin_part(out);
    let (media_type, encoding) = match report.form() {
        ReportForm::Classic => ("message/delivery-status", "7bit"),
        ReportForm::International => ("message/global-delivery-status", "8bit"),
    };
    let fields = format!(
        "Content-Type: {media_type}\r\nContent-Description: Delivery status\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    out.extend_from_slice(fields.as_bytes());
    if let Some(id) = report.envelope_id {
        write_field("Original-Envelope-Id", id.as_str().split(' '), out);
    }
    write_field("Reporting-MTA", ["dns;", report.reporting_mta.as_str()], out);
    write_date("Arrival-Date", report.arrived, out);
    for recipient in report.recipients {
        // RFC 3464 §2.1: a blank line parts the groups of fields.
        out.extend_from_slice(b"\r\n");
        write_recipient(recipient, report.form(), out);
    }
}

fn write_recipient(recipient: &RecipientReport<'_>, form: ReportForm, out: &mut Vec<u8>) {
    let unicode = match form {
        ReportForm::Classic => UnicodeForm::Ascii,
        ReportForm::International => UnicodeForm::Utf8,
    };
    if let Some(original) = recipient.original {
        write_address("Original-Recipient", &original.to_field(unicode), out);
    }
    let address = |path: &ForwardPath| match path {
        ForwardPath::Address(address) => OriginalRecipient::of(address).to_field(unicode),
        ForwardPath::Postmaster => "rfc822; postmaster".to_owned(),
    };
    write_address("Final-Recipient", &address(recipient.final_recipient), out);
    write_field("Action", [action_word(recipient.action)], out);
    write_field("Status", [recipient.status.to_string().as_str()], out);
    if let Some(host) = recipient.remote_mta {
        write_foreign("Remote-MTA", "dns;", host, HOST_OCTETS_MAX, form, out);
    }
    if let Some(said) = &recipient.said {
        let mut text = said.code.to_string();
        if let Some(enhanced) = said.enhanced {
            text.push_str(&format!(" {enhanced}"));
        }
        text.push(' ');
        text.push_str(said.text);
        write_foreign("Diagnostic-Code", "smtp;", &text, REMOTE_WORDS_OCTETS_MAX, form, out);
    }
    write_date("Last-Attempt-Date", recipient.last_attempt, out);
    if recipient.action == Action::Delayed {
        write_date("Will-Retry-Until", recipient.retry_until, out);
    }
    // An extension, so it comes last (RFC 3464 §2.3; RFC 3461 §6.3 (j)).
    if let Some(presented) = recipient.presented {
        write_address("SMTP-Remote-Recipient", &address(presented), out);
    }
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::Failed => "failed",
        Action::Delayed => "delayed",
        Action::Relayed => "relayed",
        Action::Expanded => "expanded",
        Action::Delivered => "delivered",
    }
}

/// `type; address`; one that no line can hold is left out. A final recipient never is: an `Address` is shorter.
fn write_address(name: &str, value: &str, out: &mut Vec<u8>) {
    let (address_type, address) = value.split_once("; ").unwrap_or(("rfc822", value));
    let address_type = format!("{address_type};");
    if address.len() <= ADDRESS_OCTETS_MAX {
        write_field(name, [address_type.as_str(), address], out);
    }
}

fn write_date(name: &str, date: Option<Date>, out: &mut Vec<u8>) {
    if let Some(date) = date {
        write_field(name, date.format().split(' '), out);
    }
}

fn write_foreign(name: &str, kind: &str, text: &str, octets_max: usize, form: ReportForm, out: &mut Vec<u8>) {
    let foreign = words(text, octets_max).map(|word| match form {
        ReportForm::Classic => ascii(&word),
        ReportForm::International => word,
    });
    let words: Vec<String> = std::iter::once(kind.to_owned()).chain(foreign).collect();
    if words.len() > 1 {
        write_field(name, words.iter().map(String::as_str), out);
    }
}

fn write_field<'w>(name: &str, words: impl IntoIterator<Item = &'w str>, out: &mut Vec<u8>) {
    let mut line = FoldedLine::begin(name, out);
    for (index, word) in words.into_iter().enumerate() {
        line.push_word(word, index > 0);
    }
    line.end();
}
