//! The identifiers of RFC 8474 on the wire: `M` for an email, `T` for a thread, `F` for a mailbox, then hexadecimal digits.
//!
//! The letter keeps the three apart in a client's cache and is never a digit or `NIL`.

use mail_types::{EmailId, MailboxId, ThreadId};

/// Reads an EMAILID of ours; `None` for anything else, which no message has.
#[must_use]
pub fn parse_email_id(text: &str) -> Option<EmailId> {
    number(text, 'M').map(EmailId)
}

/// Reads a THREADID of ours; `None` for anything else, which no message has.
#[must_use]
pub fn parse_thread_id(text: &str) -> Option<ThreadId> {
    number(text, 'T').map(ThreadId)
}

/// The EMAILID on the wire.
pub(crate) fn email_id(email: EmailId) -> String {
    format!("M{:x}", email.0)
}

/// The THREADID on the wire.
pub(crate) fn thread_id(thread: ThreadId) -> String {
    format!("T{:x}", thread.0)
}

/// The MAILBOXID on the wire.
pub(crate) fn mailbox_id(mailbox: MailboxId) -> String {
    format!("F{:x}", mailbox.0)
}

fn number(text: &str, letter: char) -> Option<u64> {
    let digits = text.strip_prefix(letter)?;
    // `from_str_radix` alone would take a sign; we never write one, nor capitals, nor leading zeros.
    let number = u64::from_str_radix(digits, 16).ok()?;
    (format!("{number:x}") == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_read_back_as_written() {
        assert_eq!(parse_email_id(&email_id(EmailId(0x1f))), Some(EmailId(0x1f)));
        assert_eq!(parse_thread_id(&thread_id(ThreadId(u64::MAX))), Some(ThreadId(u64::MAX)));
        assert_eq!(mailbox_id(MailboxId(10)), "Fa");
    }

    #[test]
    fn what_we_did_not_write_is_nobodys() {
        for text in ["", "M", "T1", "m1", "M01", "M+1", "M1F", "Mg", "M11111111111111111"] {
            assert_eq!(parse_email_id(text), None, "{text}");
        }
    }
}
