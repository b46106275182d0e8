//! What the owner of a script is told when it fails: once a day, since the message itself is kept.

use mail_types::Address;
use message::{
    Date, new_message_id, write_address_field, write_date_field, write_message_id_field, write_text_field,
    write_text_part,
};
use platform::clock::Timestamp;
use sieve::RunFault;

/// Faults that are told in one notice.
const FAULTS_MAX: usize = 20;
/// How long after a notice there is no other one.
pub(crate) const QUIET_SECONDS: u64 = 24 * 3_600;

/// The notice.
pub(crate) fn write(
    owner: &Address,
    postmaster: &Address,
    faults: &[RunFault],
    random: [u8; 16],
    now: Timestamp,
) -> Vec<u8> {
    let mut octets = Vec::new();
    let milliseconds = u64::try_from(now.unix_millis()).unwrap_or_default();
    let domain = owner.domain_name().map_or("localhost", mail_types::DomainName::as_str);
    write_date_field(Date { unix_seconds: now.unix_seconds(), zone_minutes: 0 }, &mut octets);
    write_address_field("From", &[("Mail filters", postmaster)], &mut octets);
    write_address_field("To", &[("", owner)], &mut octets);
    write_text_field("Subject", "Your mail filter has failed", &mut octets);
    write_message_id_field(&new_message_id(milliseconds, random, domain), &mut octets);
    octets.extend_from_slice(b"Auto-Submitted: auto-generated (filter-fault)\r\nMIME-Version: 1.0\r\n");
    let mut text =
        "A script that sorts your mail has failed. The message it was to sort, and every one it fails on\r\n\
                    from now on, is kept in your inbox. You are told of it once a day at most.\r\n\r\n"
            .to_owned();
    for fault in faults.iter().take(FAULTS_MAX) {
        text.push_str(&format!("- {}\r\n", words(fault)));
    }
    write_text_part(&text, &mut octets);
    octets
}

/// A fault in words.
pub(crate) fn words(fault: &RunFault) -> String {
    match fault.line {
        0 => format!("{}: {}", fault.script, fault.words),
        line => format!("{}, line {line}: {}", fault.script, fault.words),
    }
}
