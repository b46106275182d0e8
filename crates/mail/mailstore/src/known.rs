//! Which accounts the log has ever spoken of: a small file beside the indexes, renewed at checkpoints.
//!
//! Without it, an index that was lost could not be told from one that never was, and a mailbox full of mail would
//! open empty. Accounts founded after the checkpoint are in the part of the log that is replayed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use mail_types::AccountId;
use platform::durable::{self, Readable};

use crate::replay::IsRemoved;

/// First line of the file.
const TITLE: &str = "mailstead accounts 1";

/// The known accounts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Known {
    accounts: BTreeMap<AccountId, IsRemoved>,
    is_changed: bool,
}

impl Known {
    /// Reads the file; `None` if it is missing or damaged.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix("end\n")?.lines();
        if lines.next() != Some(TITLE) {
            return None;
        }
        let account = |line: &str| {
            let (number, removed) = match line.strip_suffix(" removed") {
                Some(number) => (number, IsRemoved::Yes),
                None => (line, IsRemoved::No),
            };
            Some((AccountId(number.parse().ok()?), removed))
        };
        Some(Self { accounts: lines.map(account).collect::<Option<_>>()?, is_changed: false })
    }

    /// Writes the file, if anything changed since.
    pub(crate) fn write(&mut self, path: &Path) -> io::Result<()> {
        if self.is_changed {
            durable::write(path, self.text().as_bytes(), Readable::Owner)?;
            self.is_changed = false;
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = format!("{TITLE}\n");
        for (account, removed) in &self.accounts {
            text.push_str(&account.to_string());
            text.push_str(if *removed == IsRemoved::Yes { " removed\n" } else { "\n" });
        }
        text.push_str("end\n");
        text
    }

    pub(crate) fn status(&self, account: AccountId) -> Option<IsRemoved> {
        self.accounts.get(&account).copied()
    }

    /// Learns of an account. One that was removed stays so.
    pub(crate) fn learn(&mut self, account: AccountId, removed: IsRemoved) {
        if self.status(account) != Some(IsRemoved::Yes) && self.status(account) != Some(removed) {
            self.accounts.insert(account, removed);
            self.is_changed = true;
        }
    }

    /// Accounts that are not removed.
    pub(crate) fn present(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.accounts.iter().filter(|(_, removed)| **removed == IsRemoved::No).map(|(account, _)| *account)
    }

    /// Accounts that are removed.
    pub(crate) fn removed(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.accounts.iter().filter(|(_, removed)| **removed == IsRemoved::Yes).map(|(account, _)| *account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_read_back_as_written() {
        let mut known = Known::default();
        known.learn(AccountId(3), IsRemoved::No);
        known.learn(AccountId(u32::MAX), IsRemoved::Yes);
        known.learn(AccountId(u32::MAX), IsRemoved::No);
        let read = Known::parse(&known.text()).unwrap();
        assert_eq!(read.present().collect::<Vec<_>>(), [AccountId(3)]);
        assert_eq!(read.removed().collect::<Vec<_>>(), [AccountId(u32::MAX)]);
    }

    #[test]
    fn a_torn_or_foreign_file_is_none() {
        for text in ["", "mailstead accounts 1\n1\n", "other\n1\nend\n", "mailstead accounts 1\nx\nend\n"] {
            assert_eq!(Known::parse(text), None, "{text:?}");
        }
    }
}
