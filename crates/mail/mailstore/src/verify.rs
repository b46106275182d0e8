//! Checking the store: every pack entry against its checksums, every index against one made anew from the log, every
//! counter against what it counts.

use std::path::Path;
use std::sync::Arc;

use mail_types::{AccountId, MailboxUid};
use storage::{PackStore, check};

use crate::accounts::Accounts;
use crate::error::StoreError;
use crate::index::SqliteIndex;
use crate::replay::{BUILT_TOGETHER_MAX, Built, Digests, build, index_path, remove_database};
use crate::store::Store;
use crate::tenants;

/// Faults that are told; a store with more of them is damaged throughout.
const FAULTS_MAX: usize = 10_000;

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Fault {
    /// Whose mail, where that is known.
    pub account: Option<AccountId>,
    /// Which message, where that is known.
    pub message: Option<MailboxUid>,
    /// What is wrong.
    pub text: String,
}

impl Store {
    /// Compares every index with the log, octets with their hashes, and counters with what they count. Mail may
    /// come and go meanwhile.
    ///
    /// # Errors
    /// What the disk says, where it keeps the check from going on.
    pub async fn verify(&self) -> Result<Vec<Fault>, StoreError> {
        let accounts = Arc::clone(&self.shared().accounts);
        self.shared().accounts.engine.writers.run(move || verify(&accounts)).await?
    }
}

fn verify(accounts: &Arc<Accounts>) -> Result<Vec<Fault>, StoreError> {
    let packs = &accounts.engine.packs;
    let mut faults: Vec<Fault> = Vec::new();
    for finding in check(packs)?.findings {
        let text = format!("pack {}: {}", finding.pack, finding.what);
        faults.push(Fault { account: None, message: None, text });
    }
    accounts.engine.wait_applied();
    verify_tenants(accounts, &mut faults)?;
    let which: Vec<AccountId> = accounts.known.lock().present().collect();
    for some in which.chunks(BUILT_TOGETHER_MAX) {
        let mut pairs = Vec::with_capacity(some.len());
        for account in some {
            match pair(accounts, *account) {
                Ok(pair) => pairs.push(pair),
                Err(error) => faults.push(Fault {
                    account: Some(*account),
                    message: None,
                    text: format!("the index cannot be opened: {error}"),
                }),
            }
        }
        compare(packs, pairs, &mut faults)?;
        if faults.len() > FAULTS_MAX {
            faults.truncate(FAULTS_MAX);
            break;
        }
    }
    Ok(faults)
}

fn verify_tenants(accounts: &Accounts, faults: &mut Vec<Fault>) -> Result<(), StoreError> {
    let packs = &accounts.engine.packs;
    for tenant in accounts.engine.tenants.all() {
        let found = tenant.verify(&|visit| tenants::read(packs, tenant.owner(), visit))?;
        faults.extend(found.into_iter().map(|text| Fault { account: None, message: None, text }));
    }
    Ok(())
}

/// An index as it is at one moment, and an empty one to be filled from the log up to that moment.
struct Pair {
    there: SqliteIndex,
    anew: Built,
}

fn pair(accounts: &Arc<Accounts>, account: AccountId) -> Result<Pair, StoreError> {
    // Opening repairs what can be repaired.
    let core = accounts.open_here(account)?;
    let path = index_path(&accounts.directory, account);
    let there = SqliteIndex::open_reader(&path)?;
    let until = there.hold()?.modseq_last;
    let path = path.with_file_name("verify.db");
    remove_database(&path)?;
    let anew = Built { account, index: SqliteIndex::open(&path)?, path, until: Some(until) };
    drop(core);
    Ok(Pair { there, anew })
}

fn compare(packs: &PackStore, pairs: Vec<Pair>, faults: &mut Vec<Fault>) -> Result<(), StoreError> {
    let (there, mut anew): (Vec<SqliteIndex>, Vec<Built>) =
        pairs.into_iter().map(|pair| (pair.there, pair.anew)).unzip();
    let built = build(packs, &mut anew, Digests::Empty);
    let compared = built.map_err(StoreError::from).and_then(|()| {
        for (there, anew) in there.iter().zip(&anew) {
            let mut tell = |message, text| {
                if faults.len() <= FAULTS_MAX {
                    faults.push(Fault { account: Some(anew.account), message, text });
                }
            };
            there.compare(&anew.index, &mut |one, other| same_octets(packs, one, other), &mut tell)?;
        }
        Ok(())
    });
    for Built { index, path, .. } in anew {
        drop(index);
        remove_database(Path::new(&path))?;
    }
    compared
}

/// Whether two places hold the same octets: a purge that was interrupted leaves them in both.
fn same_octets(packs: &PackStore, one: storage::BlobRef, other: storage::BlobRef) -> bool {
    one == other
        || match (packs.read(one), packs.read(other)) {
            (Ok(one), Ok(other)) => one.hash() == other.hash(),
            _ => false,
        }
}
