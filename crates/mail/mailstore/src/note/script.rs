//! Records about Sieve scripts: what one says, and which one is active.

use std::sync::Arc;

use mail_types::{ModSeq, ScriptName};

use super::modseq;
use crate::varint::{Damaged, Reader, put_number, put_octets};

/// A script of this name says this, or there is none. The text stands in the record itself: scripts are small, and what
/// runs them should not have to look into the packs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ScriptRecord {
    pub(crate) name: ScriptName,
    pub(crate) modseq: ModSeq,
    pub(crate) text: Option<Arc<[u8]>>,
}

/// The script of this name runs when mail comes, or none does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ActiveScript {
    pub(crate) name: Option<ScriptName>,
    pub(crate) modseq: ModSeq,
}

impl ScriptRecord {
    /// About what the record takes in memory.
    pub(crate) fn octets(&self) -> usize {
        self.text.as_ref().map_or(0, |text| text.len())
    }

    /// Writes all but the tag.
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        put_octets(into, self.name.as_str().as_bytes());
        put_number(into, self.modseq.0);
        into.push(self.text.is_some().into());
        if let Some(text) = &self.text {
            put_octets(into, text);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let (name, modseq) = (name(reader.text()?)?, modseq(reader)?);
        let text = if reader.octet()? == 0 { None } else { Some(reader.octets()?.into()) };
        Ok(Self { name, modseq, text })
    }
}

impl ActiveScript {
    /// Writes all but the tag.
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        put_number(into, self.modseq.0);
        put_octets(into, self.name.as_ref().map_or("", ScriptName::as_str).as_bytes());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let modseq = modseq(reader)?;
        let text = reader.text()?;
        // No script has an empty name.
        let name = if text.is_empty() { None } else { Some(name(text)?) };
        Ok(Self { name, modseq })
    }
}

fn name(text: &str) -> Result<ScriptName, Damaged> {
    ScriptName::parse(text).map_err(|_| Damaged)
}
