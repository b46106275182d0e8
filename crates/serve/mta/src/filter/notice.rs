//! What the owner of a script is told when it fails: once a day, since the message itself is kept.

use mail_types::Address;
use message::OwnLetter;
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
    let letter = OwnLetter {
        from: ("Mail filters", postmaster),
        reply_to: None,
        to: owner,
        subject: "Your mail filter has failed",
        cause: "filter-fault",
        random,
        unix_millis: now.unix_millis(),
    };
    let mut text =
        "A script that sorts your mail has failed. The message it was to sort, and every one it fails on\r\n\
                    from now on, is kept in your inbox. You are told of it once a day at most.\r\n\r\n"
            .to_owned();
    for fault in faults.iter().take(FAULTS_MAX) {
        text.push_str(&format!("- {}\r\n", words(fault)));
    }
    let mut octets = Vec::new();
    letter.write(&text, &mut octets);
    octets
}

/// A fault in words.
pub(crate) fn words(fault: &RunFault) -> String {
    match fault.line {
        0 => format!("{}: {}", fault.script, fault.words),
        line => format!("{}, line {line}: {}", fault.script, fault.words),
    }
}
