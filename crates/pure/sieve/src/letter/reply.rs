//! Answers of `vacation`: whether one is due and what it says (RFC 5230 §4, §5; RFC 3834).

use mail_types::{Address, ReversePath};
use message::{
    Addressee, decode_field_text, message_ids, parse_addresses, write_address_field, write_text_field,
    write_text_part,
};

use super::{
    Letter, Office, SUBJECT_CHARACTERS_MAX, Silence, content, cut_subject, is_automatic, write_person,
};
use crate::message::Message;
use crate::outcome::Vacation;
use crate::path;

/// Octets of References, so that threads that never end do not make headers that never end.
const REFERENCES_OCTETS_MAX: usize = 4_096;
/// Addresses of one field that are looked at.
const ADDRESSES_MAX: usize = 1_000;

/// What the administrator has a say in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VacationRules {
    /// The subject of answers to messages without one.
    pub default_subject: String,
    /// The subject of answers; `%$` and `%{subject}` stand for the message's.
    pub subject_template: String,
    /// Characters of the subject.
    pub subject_characters_max: usize,
    /// Whether the address before aliases counts as the recipient's own.
    pub uses_original_recipient: bool,
    /// Whether the message has to be addressed to the recipient.
    pub checks_recipient: bool,
    /// Whether answers come from the recipient, where failures to deliver them come back to.
    pub sends_from_recipient: bool,
    /// Whether the To field names who wrote the message, whatever the envelope says.
    pub to_ignores_envelope: bool,
}

impl Default for VacationRules {
    fn default() -> VacationRules {
        VacationRules {
            default_subject: "Automated reply".to_owned(),
            subject_template: "Auto: %{subject}".to_owned(),
            subject_characters_max: SUBJECT_CHARACTERS_MAX,
            uses_original_recipient: false,
            checks_recipient: true,
            sends_from_recipient: false,
            to_ignores_envelope: false,
        }
    }
}

/// The answer to a message. How often one sender is answered is for the caller to know (RFC 5230 §4.2).
///
/// # Errors
/// Why there is none.
pub fn vacation_letter(
    vacation: &Vacation,
    message: &Message,
    office: &Office<'_>,
    rules: &VacationRules,
) -> Result<Letter, Silence> {
    let sender = office.sender().ok_or(Silence::NoSender)?;
    let own = own_addresses(vacation, office, rules);
    if own.iter().any(|address| address.eq_ignore_ascii_case(&sender.to_string())) {
        return Err(Silence::FromOurselves);
    }
    if is_program(&sender) {
        return Err(Silence::FromProgram);
    }
    refuse_automatic(message)?;
    let addressed = addressed(message, &own);
    if addressed.is_none() && rules.checks_recipient {
        return Err(Silence::NotAddressed);
    }
    let main = own.iter().find_map(|address| office.address(address));
    let answers_from = addressed.and_then(|address| office.address(&address)).or_else(|| main.clone());
    let from = vacation.from.as_deref().and_then(|from| path::recipient(from, office.address_form));
    let mut octets = Vec::new();
    office.begin(&mut octets);
    match (&from, &answers_from) {
        (Some(from), _) => write_person("From", from.name.as_deref(), &from.address, &mut octets),
        (None, Some(address)) => write_address_field("From", &[("", address)], &mut octets),
        (None, None) => write_address_field("From", &[("", office.postmaster)], &mut octets),
    }
    write_to(message, &sender, rules, office, &mut octets);
    write_text_field("Subject", &subject(vacation, message, rules), &mut octets);
    write_thread(message, &mut octets);
    // RFC 5230 §5.8 and what other systems look at.
    octets.extend_from_slice(
        b"Auto-Submitted: auto-replied (vacation)\r\nPrecedence: bulk\r\nX-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\n",
    );
    write_reason(vacation, &mut octets);
    let recipient = office.envelope.to.as_deref().and_then(|to| office.address(to)).or(main);
    let reverse_path = match recipient {
        Some(recipient) if rules.sends_from_recipient => ReversePath::Address(recipient),
        _ => ReversePath::Null,
    };
    Ok(Letter { from: reverse_path, recipients: vec![sender], content: content(octets) })
}

/// Who the recipient is, the most particular address first.
fn own_addresses(vacation: &Vacation, office: &Office<'_>, rules: &VacationRules) -> Vec<String> {
    let envelope = office.envelope;
    let original = envelope.original_to.as_ref().filter(|_| rules.uses_original_recipient);
    let of_envelope = envelope.to.iter().chain(original);
    let all = office.own_addresses.iter().chain(of_envelope).chain(&vacation.addresses);
    let bare = |address: &String| match path::recipient(address, office.address_form) {
        Some(recipient) => recipient.address.to_string(),
        None => address.trim_matches(['<', '>', ' ']).to_owned(),
    };
    all.map(bare).filter(|address| !address.is_empty()).collect()
}

/// RFC 3834 §2, RFC 5230 §4.6: names that programs have.
fn is_program(sender: &Address) -> bool {
    let local = sender.local_part().to_ascii_lowercase();
    ["mailer-daemon", "listserv", "majordomo", "noreply", "no-reply", "donotreply"].contains(&local.as_str())
        || local.starts_with("owner-")
        || ["-request", "-relay", "-bounces", "-owner"].iter().any(|end| local.ends_with(end))
        || local.starts_with("bounce-")
        || local.contains("-bounces+")
}

fn refuse_automatic(message: &Message) -> Result<(), Silence> {
    let is_list = message.fields().any(|field| {
        let name = field.name().as_bytes();
        name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"list-"))
    });
    if is_list {
        return Err(Silence::FromList);
    }
    let is_bulk = message.named("precedence").any(|field| {
        ["bulk", "list", "junk"].iter().any(|word| field.text().trim().eq_ignore_ascii_case(word))
    });
    let is_suppressed = message.named("x-auto-response-suppress").any(|field| {
        field.text().split(',').any(|word| {
            ["all", "oof", "autoreply"].iter().any(|known| word.trim().eq_ignore_ascii_case(known))
        })
    });
    if is_bulk || is_suppressed || is_automatic(message) { Err(Silence::Automatic) } else { Ok(()) }
}

/// The address of our own that the message is addressed to (RFC 5230 §4.5).
fn addressed(message: &Message, own: &[String]) -> Option<String> {
    for name in ["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"] {
        for field in message.named(name) {
            for address in field.addresses() {
                if let Some(own) = own.iter().find(|own| own.eq_ignore_ascii_case(address.all())) {
                    return Some(own.clone());
                }
            }
        }
    }
    None
}

/// RFC 5230 §5.4: who is answered, with the name that the message gives.
fn write_to(
    message: &Message,
    sender: &Address,
    rules: &VacationRules,
    office: &Office<'_>,
    header: &mut Vec<u8>,
) {
    let mut to = (None, sender.clone());
    'fields: for name in ["sender", "resent-from", "from"] {
        for field in message.named(name) {
            for addressee in parse_addresses(field.raw(), ADDRESSES_MAX) {
                let Addressee::Mailbox { name, local_part, domain, .. } = addressee else { continue };
                let written = [local_part.as_slice(), b"@", domain.as_slice()].concat();
                let Some(address) = office.address(&String::from_utf8_lossy(&written)) else { continue };
                let is_sender = address.to_string().eq_ignore_ascii_case(&sender.to_string());
                if rules.to_ignores_envelope || is_sender {
                    to = (name.map(|name| decode_field_text(&name)), address);
                    break 'fields;
                }
            }
        }
    }
    match to {
        (Some(name), address)
            if !name.is_empty() && name.bytes().all(|octet| matches!(octet, b' '..=b'~')) =>
        {
            // Always in quotes, as most programs write it.
            let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
            let line = format!("To: \"{escaped}\" <{address}>\r\n");
            match line.len() <= 900 && address.to_string().is_ascii() {
                true => header.extend_from_slice(line.as_bytes()),
                false => write_address_field("To", &[(&name, &address)], header),
            }
        }
        (Some(name), address) if !name.is_empty() => write_address_field("To", &[(&name, &address)], header),
        (_, address) => header.extend_from_slice(format!("To: <{address}>\r\n").as_bytes()),
    }
}

fn subject(vacation: &Vacation, message: &Message, rules: &VacationRules) -> String {
    let given = message.named("subject").next().map(|field| field.text().to_owned());
    let subject = match (&vacation.subject, given) {
        (Some(subject), _) => decode_field_text(subject.as_bytes()),
        (None, Some(given)) if !given.is_empty() => {
            let template = &rules.subject_template;
            template.replace("%{subject}", &given).replace("%$", &given)
        }
        (None, _) => rules.default_subject.clone(),
    };
    cut_subject(subject, rules.subject_characters_max)
}

/// RFC 5230 §5.6, RFC 5322 §3.6.4: In-Reply-To, and References of the thread, the oldest of a long one left out.
fn write_thread(message: &Message, header: &mut Vec<u8>) {
    let ids = |name: &str| -> Vec<String> {
        let fields = message.named(name).next().into_iter();
        let ids = fields.flat_map(|field| message_ids(field.raw()).collect::<Vec<_>>());
        ids.map(|id| format!("<{}>", String::from_utf8_lossy(&id))).collect()
    };
    let Some(id) = ids("message-id").into_iter().next().filter(|id| id.is_ascii()) else { return };
    let mut references = ids("references");
    if references.is_empty() {
        references = ids("in-reply-to");
        references.truncate(1);
    }
    references.retain(|reference| reference.is_ascii() && *reference != id);
    references.push(id.clone());
    let mut octets: usize = references.iter().map(|reference| reference.len() + 3).sum();
    while octets > REFERENCES_OCTETS_MAX && references.len() > 1 {
        octets -= references.remove(0).len() + 3;
    }
    header.extend_from_slice(format!("In-Reply-To: {id}\r\n").as_bytes());
    header.extend_from_slice(format!("References: {}\r\n", references.join("\r\n ")).as_bytes());
}

/// The text, or the MIME entity that the script brings (RFC 5230 §4.7).
fn write_reason(vacation: &Vacation, octets: &mut Vec<u8>) {
    if !vacation.is_mime {
        write_text_part(&vacation.reason, octets);
        return;
    }
    let entity = vacation.reason.as_bytes();
    let mut fields = message::fields(entity);
    for field in fields.by_ref() {
        // Of its header only what says what it is goes into ours.
        let is_content = field.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
        if is_content {
            octets.extend_from_slice(field.raw.trim_ascii_end());
            octets.extend_from_slice(b"\r\n");
        }
    }
    octets.extend_from_slice(b"\r\n");
    let rest = fields.rest();
    let body = rest.get(message::blank_line_octets(rest).unwrap_or_default()..).unwrap_or_default();
    octets.extend_from_slice(body);
    if !body.ends_with(b"\n") {
        octets.extend_from_slice(b"\r\n");
    }
}
