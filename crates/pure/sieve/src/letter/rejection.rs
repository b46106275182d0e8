//! Refusals that cannot be said in the protocol any more: a disposition notification (RFC 5429 §2.2, RFC 8098).

use mail_types::ReversePath;
use message::{write_address_field, write_text_part};

use super::{Letter, Office, Silence, content};
use crate::message::Message;
use crate::outcome::Reject;

/// Octets of the original header that goes back.
const HEADER_OCTETS_MAX: usize = 64 * 1024;

/// The notification that tells the sender.
///
/// # Errors
/// Why there is none.
pub fn rejection_letter(reject: &Reject, message: &Message, office: &Office<'_>) -> Result<Letter, Silence> {
    let sender = office.sender().ok_or(Silence::NoSender)?;
    let boundary = office.boundary();
    let mut octets = Vec::new();
    office.begin(&mut octets);
    write_address_field("From", &[("Mail Delivery Subsystem at Postmaster", office.postmaster)], &mut octets);
    octets.extend_from_slice(format!("To: <{sender}>\r\n").as_bytes());
    octets.extend_from_slice(
        format!(
            "Subject: Automatically rejected mail\r\nAuto-Submitted: auto-replied (rejected)\r\nPrecedence: bulk\r\n\
             MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=disposition-notification;\r\n boundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\n"
        )
        .as_bytes(),
    );
    let recipient = office.envelope.to.as_deref().unwrap_or("its recipient").trim_matches(['<', '>']);
    let text = format!(
        "Your message to <{recipient}> was automatically rejected:\r\n\r\n{}\r\n",
        reject.reason.trim_end()
    );
    write_text_part(&text, &mut octets);
    octets.extend_from_slice(
        format!("--{boundary}\r\nContent-Type: message/disposition-notification\r\n\r\n").as_bytes(),
    );
    write_disposition(message, office, &mut octets);
    octets.extend_from_slice(
        format!("\r\n--{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n").as_bytes(),
    );
    let start = octets.len();
    for field in message.fields() {
        if octets.len() - start + field.octets().len() > HEADER_OCTETS_MAX {
            break;
        }
        octets.extend_from_slice(field.octets());
    }
    octets.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Ok(Letter { from: ReversePath::Null, recipients: vec![sender], content: content(octets) })
}

/// RFC 8098 §3.2.
fn write_disposition(message: &Message, office: &Office<'_>, octets: &mut Vec<u8>) {
    let mut line = |name: &str, value: &str| {
        let value: String = value.chars().filter(|character| !character.is_control()).collect();
        octets.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    };
    line("Reporting-UA", &format!("{}; mailstead {}", office.host, env!("CARGO_PKG_VERSION")));
    if let Some(original) = &office.envelope.original_to {
        line("Original-Recipient", &format!("rfc822;{}", original.trim_matches(['<', '>'])));
    }
    if let Some(recipient) = &office.envelope.to {
        line("Final-Recipient", &format!("rfc822;{}", recipient.trim_matches(['<', '>'])));
    }
    if let Some(id) = message.named("message-id").next() {
        line("Original-Message-ID", id.text());
    }
    line("Disposition", "automatic-action/MDN-sent-automatically; deleted");
}
