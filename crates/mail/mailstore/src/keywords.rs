//! Keywords of a mailbox: names as clients say them, numbers as messages carry them.

use mail_types::{Flags, KEYWORDS_MAX, Keyword, KeywordSet};

use crate::error::StoreError;
use crate::flags::FlagNames;

/// A mailbox's keywords while a change is decided, with those that the change brings.
pub(crate) struct KeywordTable {
    keywords: Vec<Keyword>,
    known: usize,
}

impl KeywordTable {
    pub(crate) fn new(keywords: &[Keyword]) -> Self {
        Self { keywords: keywords.to_vec(), known: keywords.len() }
    }

    /// The keyword's number, given now if it has none.
    fn number(&mut self, keyword: &Keyword) -> Result<usize, StoreError> {
        if let Some(number) = self.keywords.iter().position(|known| known == keyword) {
            return Ok(number);
        }
        if self.keywords.len() >= KEYWORDS_MAX {
            return Err(StoreError::Limit("keywords of a mailbox"));
        }
        self.keywords.push(keyword.clone());
        Ok(self.keywords.len() - 1)
    }

    /// Flags by name as flags by number.
    pub(crate) fn flags(&mut self, names: &FlagNames) -> Result<Flags, StoreError> {
        let mut keywords = 0;
        for keyword in &names.keywords {
            keywords |= 1 << self.number(keyword)?;
        }
        Ok(Flags { system: names.system & SYSTEM_FLAGS, keywords: KeywordSet(keywords) })
    }

    /// Another mailbox's flags as this one's.
    pub(crate) fn translated(&mut self, flags: Flags, theirs: &[Keyword]) -> Result<Flags, StoreError> {
        let mut keywords = 0;
        for number in flags.keywords.numbers() {
            if let Some(keyword) = theirs.get(number) {
                keywords |= 1 << self.number(keyword)?;
            }
        }
        Ok(Flags { system: flags.system, keywords: KeywordSet(keywords) })
    }

    /// All keywords, if some are new.
    pub(crate) fn changed(self) -> Option<Vec<Keyword>> {
        (self.keywords.len() > self.known).then_some(self.keywords)
    }
}

/// Bits that mean something; others a caller may not store.
const SYSTEM_FLAGS: u8 = 0b1_1111;

/// Keywords of `names` among `keywords`; `None` if one has no number yet.
pub(crate) fn known_flags(names: &FlagNames, keywords: &[Keyword]) -> Option<Flags> {
    let mut set = 0;
    for keyword in &names.keywords {
        set |= 1 << keywords.iter().position(|known| known == keyword)?;
    }
    Some(Flags { system: names.system & SYSTEM_FLAGS, keywords: KeywordSet(set) })
}
