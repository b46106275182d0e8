//! Notifications by mail (RFC 5436), and those of the draft before it.

use mail_types::{Address, ReversePath};
use message::{decode_field_text, write_address_field, write_text_field, write_text_part};

use super::{
    Letter, Office, SUBJECT_CHARACTERS_MAX, Silence, content, cut_subject, is_automatic, write_person,
};
use crate::mailto::{Mailto, MailtoRecipient};
use crate::message::Message;
use crate::outcome::Notify;
use crate::path;

/// The notification that goes to whom has not got one yet; `told` are those who have.
///
/// # Errors
/// Why there is none.
pub fn notification_letter(
    notify: &Notify,
    message: &Message,
    office: &Office<'_>,
    told: &[Address],
) -> Result<Letter, Silence> {
    // RFC 5436 §2.7.1: no notification of what is one perhaps.
    if is_automatic(message) {
        return Err(Silence::Automatic);
    }
    let Ok(mut mailto) = Mailto::parse(&notify.method, office.address_form) else {
        return Err(Silence::NobodyLeft);
    };
    let mut seen = told.to_vec();
    for recipients in [&mut mailto.to, &mut mailto.cc, &mut mailto.bcc] {
        recipients.retain(|recipient| {
            let is_new = !seen.contains(&recipient.address);
            if is_new {
                seen.push(recipient.address.clone());
            }
            is_new
        });
    }
    let recipients: Vec<Address> = mailto.recipients().into_iter().cloned().collect();
    if recipients.is_empty() {
        return Err(Silence::NobodyLeft);
    }
    let from = notify.from.as_deref().and_then(|from| path::recipient(from, office.address_form));
    let mut octets = Vec::new();
    write_header(notify, &mailto, message, office, from.as_ref(), &mut octets);
    let body = notify_text(notify, &mailto, message);
    write_text_part(&body, &mut octets);
    // RFC 5436 §2.3: a message without sender is told of without sender.
    let has_sender = office.envelope.from.as_deref().is_none_or(|from| !matches!(from.trim(), "" | "<>"));
    let reverse_path = match from {
        _ if !has_sender => ReversePath::Null,
        Some(from) => ReversePath::Address(from.address),
        None => ReversePath::Address(office.postmaster.clone()),
    };
    Ok(Letter { from: reverse_path, recipients, content: content(octets) })
}

fn write_header(
    notify: &Notify,
    mailto: &Mailto,
    message: &Message,
    office: &Office<'_>,
    from: Option<&path::Recipient>,
    octets: &mut Vec<u8>,
) {
    office.begin(octets);
    match from {
        Some(from) => write_person("From", from.name.as_deref(), &from.address, octets),
        None => write_address_field("From", &[("Postmaster", office.postmaster)], octets),
    }
    write_people("To", &mailto.to, office, octets);
    write_people("Cc", &mailto.cc, office, octets);
    let subject = mailto.subject.clone().or_else(|| notify.message.clone().filter(|_| !notify.is_old));
    let subject = subject.map(|subject| decode_field_text(subject.as_bytes())).unwrap_or_else(|| {
        let subject =
            message.named("subject").next().map(|field| field.text().to_owned()).unwrap_or_default();
        if subject.is_empty() { "New mail".to_owned() } else { format!("New mail: {subject}") }
    });
    write_text_field("Subject", &cut_subject(subject, SUBJECT_CHARACTERS_MAX), octets);
    for (name, value) in &mailto.fields {
        write_text_field(name, value, octets);
    }
    let owner = office.own_addresses.first().map(String::as_str).or(office.envelope.to.as_deref());
    let owner = owner.and_then(|owner| office.address(owner));
    let submitted = match (notify.is_old, owner) {
        (true, _) => "auto-generated (notify)".to_owned(),
        // RFC 5436 §2.7.1: who has the script that asked for it.
        (false, Some(owner)) => format!("auto-notified; owner-email=\"{owner}\""),
        (false, None) => "auto-notified".to_owned(),
    };
    let (priority, importance) = match notify.importance {
        1 => ("1 (High)", "high"),
        2 => ("3 (Normal)", "normal"),
        _ => ("5 (Low)", "low"),
    };
    octets.extend_from_slice(
        format!(
            "Auto-Submitted: {submitted}\r\nPrecedence: bulk\r\nX-Priority: {priority}\r\nImportance: {importance}\r\n\
             MIME-Version: 1.0\r\n"
        )
        .as_bytes(),
    );
}

fn write_people(field: &str, people: &[MailtoRecipient], office: &Office<'_>, octets: &mut Vec<u8>) {
    let named: Vec<(String, &Address)> = people
        .iter()
        .map(|person| {
            let name = path::recipient(&person.written, office.address_form).and_then(|person| person.name);
            (name.map(|name| decode_field_text(name.as_bytes())).unwrap_or_default(), &person.address)
        })
        .collect();
    let named: Vec<(&str, &Address)> =
        named.iter().map(|(name, address)| (name.as_str(), *address)).collect();
    if !named.is_empty() {
        write_address_field(field, &named, octets);
    }
}

/// RFC 5436 §2.5: the URI's body, or else the script's text and who wrote.
fn notify_text(notify: &Notify, mailto: &Mailto, message: &Message) -> String {
    let text =
        |name: &str| message.named(name).next().map(|field| field.text().to_owned()).unwrap_or_default();
    match (&mailto.body, &notify.message) {
        (Some(body), _) => format!("{body}\r\n"),
        (None, Some(message)) => format!("{message}\r\n"),
        (None, None) => {
            format!(
                "Notification of new mail.\r\n\r\nFrom: {}\r\nSubject: {}\r\n",
                text("from"),
                text("subject")
            )
        }
    }
}
