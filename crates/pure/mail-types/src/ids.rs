//! Identifiers: one type for each thing that has a number, so that no two can be swapped.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number!(
    /// An account of this server. Given once by the directory and never again.
    AccountId(u32)
);
number!(
    /// A mailbox within one account. Given once and never again, whatever the mailbox is renamed to.
    MailboxId(u32)
);
number!(
    /// One message's octets within one account (RFC 8474 EMAILID); copies in several mailboxes share it.
    EmailId(u64)
);
number!(
    /// A conversation within one account (RFC 8474 THREADID).
    ThreadId(u64)
);
number!(
    /// The unique identifier of a message in a mailbox, 1 or more (RFC 9051 §2.3.1.1).
    Uid(u32)
);
number!(
    /// The validity value of a mailbox's unique identifiers, 1 or more (RFC 9051 §2.3.1.1).
    UidValidity(u32)
);
number!(
    /// A modification sequence (RFC 7162 §3.1); fits 63 bits, grows with every change of an account.
    ModSeq(u64)
);
number!(
    /// One connection in logs and in the record of a message's way.
    ConnectionId(u64)
);
number!(
    /// One message's way through this server in logs and records, unique for ever.
    TransactionId(u64)
);

number!(
    /// One message in the outbound queue, unique for ever; later ones are greater.
    QueueId(u64)
);

/// A message's place: mailbox and unique identifier, within an account that the context names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MailboxUid {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The message's unique identifier there.
    pub uid: Uid,
}

impl Uid {
    /// The next identifier, or `None` when a mailbox has used them all.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl ModSeq {
    /// The largest value a client may be told (RFC 7162 §2: 63 bits).
    pub const MAX: Self = Self(i64::MAX as u64);
}

impl TransactionId {
    /// The id as people read it in logs, headers and `trace`: sixteen lower-case hexadecimal digits.
    #[must_use]
    pub fn to_text(self) -> String {
        format!("{:016x}", self.0)
    }

    /// Reads what [`Self::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        if text.len() != 16 {
            return None;
        }
        u64::from_str_radix(text, 16).ok().map(Self)
    }
}

/// Digits of a queue id: letters that look like digits, or make words, are left out.
const QUEUE_ID_DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Digits in a queue id's text: 13 of 5 bits hold 64.
const QUEUE_ID_LENGTH: usize = 13;

impl QueueId {
    /// The id as people read and type it: thirteen digits and lower-case letters, in the order of the ids.
    #[must_use]
    pub fn to_text(self) -> String {
        let digit = |place: usize| {
            let value = (self.0 >> (5 * place)) & 31;
            QUEUE_ID_DIGITS.get(value as usize).map_or('0', |digit| char::from(*digit))
        };
        (0..QUEUE_ID_LENGTH).rev().map(digit).collect()
    }

    /// Reads what [`Self::to_text`] wrote, in either case, with what people make of it: `o` for 0, `i` or `l` for 1.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        if text.len() != QUEUE_ID_LENGTH {
            return None;
        }
        let mut number = 0_u64;
        for octet in text.bytes() {
            let octet = match octet.to_ascii_lowercase() {
                b'o' => b'0',
                b'i' | b'l' => b'1',
                octet => octet,
            };
            let value = QUEUE_ID_DIGITS.iter().position(|digit| *digit == octet)?;
            number = number.checked_mul(32)?.checked_add(value as u64)?;
        }
        Some(Self(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_ids_read_back_as_written() {
        let mut before = String::new();
        for number in [0, 1, 31, 32, 1_700_000_000_000 << 20, u64::MAX - 1, u64::MAX] {
            let text = QueueId(number).to_text();
            assert_eq!(QueueId::from_text(&text), Some(QueueId(number)));
            assert_eq!(QueueId::from_text(&text.to_uppercase()), Some(QueueId(number)));
            assert!(before < text, "texts sort as the ids do");
            before = text;
        }
        assert_eq!(QueueId::from_text("000000000000o"), Some(QueueId(0)));
        assert_eq!(QueueId::from_text("00000000000iL"), Some(QueueId(33)));
    }

    #[test]
    fn other_texts_are_no_queue_ids() {
        for text in ["", "000000000000", "00000000000000", "000000000000u", "g000000000000", "zzzzzzzzzzzzz"]
        {
            assert_eq!(QueueId::from_text(text), None, "{text:?}");
        }
    }
}
