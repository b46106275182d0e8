//! A filter's answers: what becomes of the command, and what is changed in the message.

use std::borrow::Cow;

use smtp::Reply;
use smtp::reply::ReplyReader;

use super::negotiation::Actions;
use super::packet::{self, Packet};
use crate::Nonsense;

/// Longest address that a filter may name, with its brackets and parameters.
pub const ADDRESS_OCTETS_MAX: usize = 2_048;
/// Longest reason of a quarantine that is kept.
const REASON_OCTETS_MAX: usize = 500;

/// What becomes of what was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes on.
    Continue,
    /// It goes on, and the filter wants to see no more of the message, or of the connection.
    Accept,
    /// It is refused for good.
    Reject,
    /// It is refused for now.
    TempFail,
    /// It is refused in these words.
    Refuse(Reply),
    /// The message is taken and thrown away.
    Discard,
    /// It goes on, and the filter has seen enough of the body.
    Skip,
    /// The client's connection is to end.
    HangUp,
}

/// What is changed in a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Modification {
    /// A field at the header's end.
    AddField {
        /// Its name.
        name: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// A field somewhere in the header.
    InsertField {
        /// Before the field of this number; those beyond the last mean the end.
        index: u32,
        /// Its name.
        name: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// Another value for a field.
    ChangeField {
        /// Which of those of this name, from 1 on.
        index: u32,
        /// Its name.
        name: Vec<u8>,
        /// Its new value; an empty one takes the field away.
        value: Vec<u8>,
    },
    /// Another sender: its address as it was written, and parameters of MAIL.
    ChangeSender(Vec<u8>, Vec<u8>),
    /// One more recipient: its address as it was written, and parameters of RCPT.
    AddRecipient(Vec<u8>, Vec<u8>),
    /// One recipient less.
    DeleteRecipient(Vec<u8>),
    /// The next octets of another body.
    ReplaceBody(Vec<u8>),
    /// The message is to be kept apart, for this reason.
    Quarantine(String),
}

/// One answer.
pub(super) enum Answer {
    Verdict(Verdict),
    Modification(Modification),
    Progress,
}

/// Reads an answer to anything but our offer.
pub(super) fn read(packet: Packet) -> Result<Answer, Nonsense> {
    let Packet { command, data } = packet;
    let verdict = match command {
        b'c' => Verdict::Continue,
        b'a' => Verdict::Accept,
        b'r' => Verdict::Reject,
        b't' => Verdict::TempFail,
        b'd' => Verdict::Discard,
        b's' => Verdict::Skip,
        b'4' | b'f' => Verdict::HangUp,
        b'y' => Verdict::Refuse(reply(&data)?),
        b'p' => return Ok(Answer::Progress),
        _ => return modification(command, data).map(Answer::Modification),
    };
    Ok(Answer::Verdict(verdict))
}

fn modification(command: u8, data: Vec<u8>) -> Result<Modification, Nonsense> {
    Ok(match command {
        b'h' => {
            let (name, value) = field(&data)?;
            Modification::AddField { name, value }
        }
        b'i' => {
            let (index, rest) = packet::number(&data)?;
            let (name, value) = field(rest)?;
            Modification::InsertField { index, name, value }
        }
        b'm' => {
            let (index, rest) = packet::number(&data)?;
            let (name, value) = field(rest)?;
            Modification::ChangeField { index, name, value }
        }
        b'e' => {
            let (address, parameters) = path(&data)?;
            Modification::ChangeSender(address, parameters)
        }
        b'+' | b'2' => {
            let (address, parameters) = path(&data)?;
            Modification::AddRecipient(address, parameters)
        }
        b'-' => Modification::DeleteRecipient(path(&data)?.0),
        b'b' => Modification::ReplaceBody(data),
        b'q' => {
            let (reason, _) = packet::text(&data)?;
            let reason = reason.get(..REASON_OCTETS_MAX).unwrap_or(reason);
            Modification::Quarantine(String::from_utf8_lossy(reason).into_owned())
        }
        _ => return Err(Nonsense::Malformed),
    })
}

impl Modification {
    /// What has to have been agreed on for it.
    pub(super) const fn needs(&self) -> Actions {
        match self {
            Self::AddField { .. } | Self::InsertField { .. } => Actions::ADD_HEADER,
            Self::ChangeField { .. } => Actions::CHANGE_HEADER,
            Self::ChangeSender(..) => Actions::CHANGE_SENDER,
            Self::AddRecipient(_, parameters) if parameters.is_empty() => Actions::ADD_RECIPIENT,
            Self::AddRecipient(..) => Actions::ADD_RECIPIENT_WITH,
            Self::DeleteRecipient(_) => Actions::DELETE_RECIPIENT,
            Self::ReplaceBody(_) => Actions::CHANGE_BODY,
            Self::Quarantine(_) => Actions::QUARANTINE,
        }
    }
}

/// The name and the value of a header field.
fn field(data: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Nonsense> {
    let (name, rest) = packet::text(data)?;
    let (value, _) = packet::text(rest)?;
    // RFC 5322 §2.2; a name with other octets would be something else in the message.
    let is_name = !name.is_empty() && name.iter().all(|octet| matches!(octet, 33..=126) && *octet != b':');
    if is_name { Ok((name.to_vec(), value.to_vec())) } else { Err(Nonsense::Malformed) }
}

/// An address and its parameters, which need not be there.
fn path(data: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Nonsense> {
    if data.len() > ADDRESS_OCTETS_MAX {
        return Err(Nonsense::TooLong);
    }
    let (address, rest) = packet::text(data)?;
    let parameters = if rest.is_empty() { rest } else { packet::text(rest)?.0 };
    Ok((address.to_vec(), parameters.to_vec()))
}

/// A reply in the filter's own words: 4yz or 5yz, of one line or several, with `%%` for each `%`.
fn reply(data: &[u8]) -> Result<Reply, Nonsense> {
    let (text, _) = packet::text(data)?;
    let mut reader = ReplyReader::default();
    let wire = [text, b"\r\n"].concat();
    let (_, reply) = reader.next(&wire).map_err(|_| Nonsense::Malformed)?;
    let reply = reply.ok_or(Nonsense::Malformed)?;
    if !(400..600).contains(&reply.code.value()) {
        return Err(Nonsense::Malformed);
    }
    let text = reply.text.replace("%%", "%");
    Ok(Reply { text: Cow::Owned(text), ..reply })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(command: u8, data: &[u8]) -> Option<Verdict> {
        match read(Packet { command, data: data.to_vec() }) {
            Ok(Answer::Verdict(verdict)) => Some(verdict),
            _ => None,
        }
    }

    fn change(command: u8, data: &[u8]) -> Option<Modification> {
        match read(Packet { command, data: data.to_vec() }) {
            Ok(Answer::Modification(change)) => Some(change),
            _ => None,
        }
    }

    #[test]
    fn a_filter_has_its_own_words() {
        let said = |data: &[u8]| match verdict(b'y', data) {
            Some(Verdict::Refuse(reply)) => {
                let mut out = Vec::new();
                reply.write_to(&mut out);
                String::from_utf8(out).unwrap()
            }
            other => format!("{other:?}"),
        };
        assert_eq!(said(b"554 5.7.1 100%% junk\0"), "554 5.7.1 100% junk\r\n");
        assert_eq!(said(b"450-4.7.1 one\r\n450 4.7.1 two\0"), "450-4.7.1 one\r\n450 4.7.1 two\r\n");
        assert_eq!(said(b"550\0"), "550 \r\n");
        for nonsense in [&b"250 2.0.0 fine\0"[..], b"354 go\0", b"no\0", b"\0", b"550 no end", b"550-half\0"]
        {
            assert_eq!(said(nonsense), "None");
        }
    }

    #[test]
    fn changes_are_read() {
        assert_eq!(
            change(b'i', b"\0\0\0\x01X-A\0b\n c\0"),
            Some(Modification::InsertField { index: 1, name: b"X-A".to_vec(), value: b"b\n c".to_vec() })
        );
        assert_eq!(
            change(b'2', b"<a@b.example>\0NOTIFY=NEVER\0"),
            Some(Modification::AddRecipient(b"<a@b.example>".to_vec(), b"NOTIFY=NEVER".to_vec()))
        );
        assert_eq!(change(b'e', b"<>\0"), Some(Modification::ChangeSender(b"<>".to_vec(), Vec::new())));
        for nonsense in [&b"X A\0b\0"[..], b"\0b\0", b"X:\0b\0", b"X\r\nY\0b\0", b"X\0b", b"X"] {
            assert_eq!(change(b'h', nonsense), None, "{nonsense:?}");
        }
        assert_eq!((change(b'm', b"\0\0\0"), change(b'l', b"x\0"), change(b'X', b"")), (None, None, None));
    }

    #[test]
    fn addresses_have_a_bound() {
        let read = |octets: usize| {
            let data = [&vec![b'x'; octets - 1][..], b"\0"].concat();
            change(b'+', &data).is_some()
        };
        assert_eq!(
            [-1, 0, 1].map(|by| read(ADDRESS_OCTETS_MAX.saturating_add_signed(by))),
            [true, true, false]
        );
    }
}
