//! The record about an annotation of a mailbox or of the account as a whole.

use std::sync::Arc;

use mail_types::{AnnotationName, MailboxId, ModSeq};

use super::modseq;
use crate::varint::{Damaged, Reader, put_number, put_octets};

/// An annotation has this value, or is gone. The value stands in the record itself, as a script's text does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AnnotationRecord {
    /// `None` for the account as a whole: the server as its owner sees it.
    pub(crate) mailbox: Option<MailboxId>,
    pub(crate) name: AnnotationName,
    pub(crate) modseq: ModSeq,
    pub(crate) value: Option<Arc<[u8]>>,
}

impl AnnotationRecord {
    /// About what the record takes in memory.
    pub(crate) fn octets(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.len())
    }

    /// Writes all but the tag. No mailbox has the number 0.
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        put_number(into, self.mailbox.map_or(0, |mailbox| mailbox.0).into());
        put_octets(into, self.name.as_str().as_bytes());
        put_number(into, self.modseq.0);
        into.push(self.value.is_some().into());
        if let Some(value) = &self.value {
            put_octets(into, value);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mailbox = Some(MailboxId(reader.small()?)).filter(|mailbox| mailbox.0 != 0);
        let name = AnnotationName::parse(reader.text()?).map_err(|_| Damaged)?;
        let modseq = modseq(reader)?;
        let value = if reader.octet()? == 0 { None } else { Some(reader.octets()?.into()) };
        Ok(Self { mailbox, name, modseq, value })
    }
}
