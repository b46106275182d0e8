//! Reports on abuse (RFC 5965), for `report`.

use mail_types::{Address, ReversePath};
use message::{write_address_field, write_date_field, write_text_field, write_text_part};

use super::{Letter, Office, Silence, with_line_ends};
use crate::message::{Edition, Message, Piece};
use crate::outcome::Report;

/// The report; it comes from `from`, or from the postmaster. The message itself goes with it as it is.
///
/// # Errors
/// Why there is none.
pub fn report_letter(
    report: &Report,
    message: &Message,
    office: &Office<'_>,
    from: Option<&Address>,
) -> Result<Letter, Silence> {
    let boundary = office.boundary();
    let from = from.unwrap_or(office.postmaster);
    let mut octets = Vec::new();
    office.begin(&mut octets);
    write_address_field("From", &[("", from)], &mut octets);
    write_address_field("To", &[("", &report.to)], &mut octets);
    let subject = message.named("subject").next().map(|field| field.text()).unwrap_or_default();
    write_text_field("Subject", &format!("Report: {subject}"), &mut octets);
    octets.extend_from_slice(
        format!(
            "Auto-Submitted: auto-generated (report)\r\nPrecedence: bulk\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=feedback-report;\r\n boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n"
        )
        .as_bytes(),
    );
    write_text_part(&format!("{}\r\n", report.message.trim_end()), &mut octets);
    octets.extend_from_slice(
        format!("--{boundary}\r\nContent-Type: message/feedback-report\r\n\r\n").as_bytes(),
    );
    write_feedback(report, office, &mut octets);
    let media_type = if report.headers_only { "text/rfc822-headers" } else { "message/rfc822" };
    octets.extend_from_slice(format!("\r\n--{boundary}\r\nContent-Type: {media_type}\r\n\r\n").as_bytes());
    let end = Piece::Literal(format!("\r\n--{boundary}--\r\n").into_bytes().into());
    let content = if report.headers_only {
        message.fields().for_each(|field| octets.extend_from_slice(field.octets()));
        Edition::new([Piece::Literal(with_line_ends(&octets).into()), end])
    } else {
        let pieces = message.edition().pieces().iter().cloned();
        Edition::new([Piece::Literal(with_line_ends(&octets).into())].into_iter().chain(pieces).chain([end]))
    };
    Ok(Letter { from: ReversePath::Address(from.clone()), recipients: vec![report.to.clone()], content })
}

/// RFC 5965 §3.
fn write_feedback(report: &Report, office: &Office<'_>, octets: &mut Vec<u8>) {
    let bare = |path: &str| path.trim_matches(['<', '>', ' ']).to_owned();
    let mut line = |name: &str, value: &str| {
        let value: String = value.chars().filter(|character| !character.is_control()).collect();
        octets.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    };
    line("Feedback-Type", &report.feedback_type);
    line("User-Agent", &format!("mailstead/{}", env!("CARGO_PKG_VERSION")));
    line("Version", "1");
    if let Some(from) = &office.envelope.from {
        line("Original-Mail-From", &format!("<{}>", bare(from)));
    }
    if let Some(to) = office.envelope.original_to.as_ref().or(office.envelope.to.as_ref()) {
        line("Original-Rcpt-To", &format!("<{}>", bare(to)));
    }
    if let Some(user) = office.own_addresses.first() {
        // What Pigeonhole, whose extension this is, calls it.
        line("Dovecot-Reporting-User", &format!("<{}>", bare(user)));
    }
    let mut arrival = Vec::new();
    write_date_field(office.now, &mut arrival);
    octets.extend_from_slice(b"Arrival-");
    octets.extend_from_slice(&arrival);
}
