//! The first part of a report, for people: what happened, what the other host said, what can be done.

use mail_types::ForwardPath;

use super::words::{line, words};
use super::{Action, DeliveryReport, REMOTE_WORDS_OCTETS_MAX, RecipientReport, Returned, quoted};

/// Columns of the text.
const COLUMNS: usize = 72;
/// Longest paragraph: one that holds another host's words, and as much of ours.
const PARAGRAPH_OCTETS_MAX: usize = 2 * REMOTE_WORDS_OCTETS_MAX;
/// Longest address that is shown.
const ADDRESS_OCTETS_MAX: usize = 600;

pub(super) fn write(report: &DeliveryReport<'_>, out: &mut Vec<u8>) {
    let text = text(report);
    report.begin_part(out);
    quoted::write_text_part(&text, out);
}

/// The text, its lines parted by LF.
fn text(report: &DeliveryReport<'_>) -> String {
    let mut text = String::new();
    paragraph(0, &format!("This is the mail server {}.", report.reporting_mta), &mut text);
    for action in [Action::Failed, Action::Delayed, Action::Relayed, Action::Expanded, Action::Delivered] {
        let mut concerned =
            report.recipients.iter().filter(|recipient| recipient.action == action).peekable();
        if concerned.peek().is_none() {
            continue;
        }
        text.push('\n');
        paragraph(0, what_happened(action), &mut text);
        concerned.for_each(|recipient| write_recipient(recipient, &mut text));
    }
    text.push('\n');
    paragraph(0, "The message:", &mut text);
    if let Some(subject) = report.original.subject() {
        paragraph(2, &format!("Subject: {subject}"), &mut text);
    }
    if let Some(date) = report.original.date() {
        paragraph(2, &format!("Date: {date}"), &mut text);
    }
    text.push('\n');
    let attached = match report.original.returned {
        Returned::Header => "Attached are the details for mail programs and the header of the message.",
        Returned::Whole(_) => "Attached are the details for mail programs and the message.",
    };
    paragraph(0, attached, &mut text);
    text
}

fn what_happened(action: Action) -> &'static str {
    match action {
        Action::Failed => "Your message could not be delivered to:",
        Action::Delayed => {
            "Your message has not been delivered yet to those below. We go on trying; there is no need to send it again."
        }
        Action::Relayed => {
            "Your message was passed on for those below to a mail server that does not report. You will hear more \
             only if something goes wrong."
        }
        Action::Expanded => "Your message was passed on to everybody behind:",
        Action::Delivered => "Your message was delivered to:",
    }
}

fn write_recipient(recipient: &RecipientReport<'_>, text: &mut String) {
    let shown = |path: &ForwardPath| match path {
        ForwardPath::Postmaster => "postmaster".to_owned(),
        ForwardPath::Address(address) => line(&address.to_string(), ADDRESS_OCTETS_MAX),
    };
    let address = shown(recipient.final_recipient);
    text.push('\n');
    let named = recipient.original.map(|original| line(original.address(), ADDRESS_OCTETS_MAX));
    match named.filter(|named| !named.eq_ignore_ascii_case(&address)) {
        Some(named) => paragraph(2, &format!("{address} (for {named})"), text),
        None => paragraph(2, &address, text),
    }
    if let Some(presented) = recipient.presented {
        paragraph(4, &format!("(passed on to {})", shown(presented)), text);
    }
    paragraph(4, recipient.reason, text);
    if let Some(said) = &recipient.said {
        let host = recipient.remote_mta.map(|host| line(host, ADDRESS_OCTETS_MAX));
        let host = host.filter(|host| !host.is_empty()).unwrap_or("The other mail server".to_owned());
        paragraph(4, &format!("{host} said:"), text);
        let code = said.code;
        let enhanced = said.enhanced.map(|enhanced| format!("{enhanced} ")).unwrap_or_default();
        let words = line(said.text, REMOTE_WORDS_OCTETS_MAX);
        paragraph(6, &format!("{code} {enhanced}{words}"), text);
    }
    if let Some(until) = recipient.retry_until.filter(|_| recipient.action == Action::Delayed) {
        paragraph(4, &format!("We try until {}.", until.format()), text);
    }
    paragraph(4, recipient.advice, text);
}

/// Appends words in lines that are indented, broken where they get too long.
fn paragraph(indent: usize, sentence: &str, text: &mut String) {
    let mut column = 0;
    for word in words(sentence, PARAGRAPH_OCTETS_MAX) {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > COLUMNS {
            text.push('\n');
            column = 0;
        }
        if column == 0 {
            text.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(&word);
        column += width;
    }
    if column > 0 {
        text.push('\n');
    }
}
