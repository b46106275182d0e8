//! Compiled scripts at hand: those of accounts are compiled when they are first needed, and once for all accounts that
//! have the same.

use std::collections::HashMap;
use std::sync::Arc;

use mail_types::{AccountId, ModSeq, ScriptName};
use mailstore::{Account, StoreError};
use parking_lot::Mutex;
use sieve::{Dialect, Script, compile};
use storage::blake3;

/// Octets of script text whose compiled form is kept: some megabytes, for a compiled script takes a few times as much.
const KEPT_OCTETS_MAX: usize = 4 * 1024 * 1024;
/// Scripts of accounts that are known by their last change, so that their text need not be read.
const KNOWN_MAX: usize = 20_000;

/// Octets of a script that is compiled at once: below a millisecond.
const AT_ONCE_OCTETS_MAX: usize = 16 * 1024;

/// What came of a script: compiled, or the faults that it has.
pub(crate) type Compiled = Result<Arc<Script>, Arc<str>>;

/// The scripts at hand.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<Shelves>);

#[derive(Default)]
struct Shelves {
    known: HashMap<(AccountId, ScriptName), (ModSeq, blake3::Hash)>,
    compiled: HashMap<blake3::Hash, Kept>,
    octets: usize,
    uses: u64,
}

struct Kept {
    script: Compiled,
    octets: usize,
    used: u64,
}

impl Shelf {
    /// A script of an account that was last changed at `modseq`.
    pub(crate) async fn personal(
        &self,
        account: &Account,
        name: &ScriptName,
        modseq: ModSeq,
        dialect: &Dialect,
    ) -> Result<Compiled, StoreError> {
        let key = (account.id(), name.clone());
        {
            let mut shelves = self.0.lock();
            let known = shelves.known.get(&key).filter(|known| known.0 == modseq).map(|known| known.1);
            if let Some(script) = known.and_then(|hash| shelves.take(&hash)) {
                return Ok(script);
            }
        }
        let script = account.script(name).await?;
        let hash = blake3::hash(&script.text);
        let found = self.0.lock().take(&hash);
        let compiled = match found {
            Some(compiled) => compiled,
            None => {
                let compiled = compiled_aside(&script.text, dialect).await;
                self.0.lock().keep(hash, compiled.clone(), script.text.len());
                compiled
            }
        };
        self.0.lock().know(key, script.modseq, hash);
        Ok(compiled)
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        *self.0.lock() = Shelves::default();
    }
}

/// Compiles a script; a long one where nobody else waits for the thread.
async fn compiled_aside(text: &Arc<[u8]>, dialect: &Dialect) -> Compiled {
    if text.len() <= AT_ONCE_OCTETS_MAX {
        return compiled(text, dialect);
    }
    let (text, dialect) = (Arc::clone(text), dialect.clone());
    let compiling = tokio::task::spawn_blocking(move || compiled(&text, &dialect));
    compiling.await.unwrap_or_else(|error| Err(error.to_string().into()))
}

impl Shelves {
    fn take(&mut self, hash: &blake3::Hash) -> Option<Compiled> {
        self.uses += 1;
        let kept = self.compiled.get_mut(hash)?;
        kept.used = self.uses;
        Some(kept.script.clone())
    }

    fn keep(&mut self, hash: blake3::Hash, script: Compiled, octets: usize) {
        while self.octets.saturating_add(octets) > KEPT_OCTETS_MAX {
            let oldest = self.compiled.iter().min_by_key(|(_, kept)| kept.used).map(|(hash, _)| *hash);
            let Some(gone) = oldest.and_then(|hash| self.compiled.remove(&hash)) else { return };
            self.octets -= gone.octets;
        }
        self.octets += octets;
        let before = self.compiled.insert(hash, Kept { script, octets, used: self.uses });
        self.octets -= before.map_or(0, |before| before.octets);
    }

    fn know(&mut self, key: (AccountId, ScriptName), modseq: ModSeq, hash: blake3::Hash) {
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&key) {
            self.known.clear();
        }
        self.known.insert(key, (modseq, hash));
    }
}

/// Compiles a script; its first faults in words.
pub(crate) fn compiled(text: &[u8], dialect: &Dialect) -> Compiled {
    const FAULTS_TOLD_MAX: usize = 5;
    compile(text, dialect).map(Arc::new).map_err(|faults| {
        let faults: Vec<String> = faults.iter().take(FAULTS_TOLD_MAX).map(ToString::to_string).collect();
        faults.join("; ").into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(shelves: &mut Shelves, number: usize, octets: usize) {
        let script = compiled(b"keep;", &Dialect::default());
        shelves.keep(blake3::hash(&number.to_le_bytes()), script, octets);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut shelves = Shelves::default();
        let half = KEPT_OCTETS_MAX / 2;
        keep(&mut shelves, 1, half);
        keep(&mut shelves, 2, half);
        assert!(shelves.take(&blake3::hash(&1_usize.to_le_bytes())).is_some(), "both fit");
        keep(&mut shelves, 3, 1);
        assert!(shelves.take(&blake3::hash(&2_usize.to_le_bytes())).is_none());
        assert!(shelves.take(&blake3::hash(&1_usize.to_le_bytes())).is_some());
        assert_eq!(shelves.octets, half + 1);
        keep(&mut shelves, 4, KEPT_OCTETS_MAX + 1);
        assert_eq!((shelves.octets, shelves.compiled.len()), (0, 0), "what never fits is not kept");
    }

    #[test]
    fn faults_are_told_with_their_places() {
        let faults = compiled(b"keep;\nfoo;", &Dialect::default()).err().unwrap();
        assert!(faults.starts_with("line 2"), "{faults}");
    }
}
