//! Every change of the directory: checked against the snapshot, committed to `directory.db`, then made in memory and
//! announced. Durable when it returns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mail_types::{AccountId, Address, DomainName};
use parking_lot::Mutex;

use crate::account::{Account, AccountState, DISPLAY_NAME_OCTETS_MAX, NewAccount, NewPassword, Quota};
use crate::alias::{ALIAS_TARGETS_MAX, Alias, AliasError, AliasSource, AliasTarget, to_keepable};
use crate::database::NewRow;
use crate::directory::Directory;
use crate::domain::{Domain, Removal};
use crate::error::DirectoryError;
use crate::password::{Credential, HashError};
use crate::resolve::Resolver;
use crate::settings::Settings;
use crate::snapshot::Snapshot;

type Result<T> = std::result::Result<T, DirectoryError>;

impl Directory {
    /// Adds a domain.
    ///
    /// # Errors
    /// It exists, or storage trouble.
    pub fn add_domain(&self, name: &DomainName) -> Result<Domain> {
        let mut database = self.inner.database.lock();
        if self.is_local_domain(name) {
            return Err(DirectoryError::Exists(name.to_string()));
        }
        let created = self.inner.clock.now();
        database.add_domain(name, created)?;
        self.publish(|snapshot| snapshot.put_domain(name.clone(), created));
        Ok(Domain { name: name.clone(), created })
    }

    /// Removes a domain and says which accounts went with it.
    ///
    /// # Errors
    /// Unknown, in use, or storage trouble.
    pub fn remove_domain(&self, name: &DomainName, removal: Removal) -> Result<Vec<AccountId>> {
        let mut database = self.inner.database.lock();
        let (accounts, aliases) = {
            let snapshot = self.snapshot();
            let names = snapshot.domain(name).ok_or_else(|| DirectoryError::UnknownDomain(name.clone()))?;
            (names.accounts().collect::<Vec<_>>(), names.alias_count())
        };
        if removal == Removal::IfUnused && (!accounts.is_empty() || aliases > 0) {
            let (domain, accounts) = (name.clone(), accounts.len());
            return Err(DirectoryError::DomainInUse { domain, accounts, aliases });
        }
        database.remove_domain(name)?;
        self.publish(|snapshot| snapshot.remove_domain(name));
        Ok(accounts)
    }

    /// Adds an account.
    ///
    /// # Errors
    /// Unknown domain, exists, unusable password, or storage trouble.
    pub fn add_account(&self, new: NewAccount) -> Result<Arc<Account>> {
        self.add_accounts(vec![new])?.pop().unwrap_or(Err(DirectoryError::UnknownAccount))
    }

    /// Adds many accounts in one transaction. Each has its own result, in order; those that fail leave the others.
    /// Passwords are hashed on as many threads as log-ins use.
    ///
    /// # Errors
    /// Storage trouble: then none is added.
    pub fn add_accounts(&self, new: Vec<NewAccount>) -> Result<Vec<Result<Arc<Account>>>> {
        let settings = self.settings();
        let snapshot = self.snapshot();
        let is_worth_hashing: Vec<bool> = new.iter().map(|new| check_new(&snapshot, new).is_ok()).collect();
        drop(snapshot);
        let credentials = make_credentials(&new, &is_worth_hashing, &settings);

        let mut database = self.inner.database.lock();
        let checked = check_batch(&self.snapshot(), &new, credentials);
        let created = self.inner.clock.now();
        let rows: Vec<NewRow<'_>> = new
            .iter()
            .zip(&checked)
            .filter_map(|(new, checked)| {
                let (address, credential) = checked.as_ref().ok()?;
                let display_name = new.display_name.as_deref();
                Some(NewRow { address, display_name, quota: new.quota, created, credential })
            })
            .collect();
        let mut ids = database.add_accounts(&rows)?.into_iter();

        let mut results = Vec::with_capacity(new.len());
        let mut added = Vec::with_capacity(ids.len());
        for (new, checked) in new.iter().zip(checked) {
            results.push(match checked {
                Ok((address, credential)) => {
                    let id = ids.next().ok_or(DirectoryError::UnknownAccount)?;
                    let account = Account {
                        id,
                        address,
                        display_name: new.display_name.as_deref().map(Into::into),
                        quota: new.quota,
                        state: AccountState::Enabled,
                        created,
                        has_password: credential.hash.is_some(),
                        has_scram_keys: credential.scram.is_some(),
                    };
                    added.push((account.clone(), credential));
                    Ok(Arc::new(account))
                }
                Err(error) => Err(error),
            });
        }
        self.publish(|snapshot| {
            for (account, credential) in added {
                snapshot.put_account(account, credential);
            }
        });
        Ok(results)
    }

    /// Removes an account. Its mail is the mailstore's to remove; aliases that name it stay.
    ///
    /// # Errors
    /// Unknown, or storage trouble.
    pub fn remove_account(&self, id: AccountId) -> Result<()> {
        let mut database = self.inner.database.lock();
        if self.account(id).is_none() {
            return Err(DirectoryError::UnknownAccount);
        }
        database.remove_account(id)?;
        self.publish(|snapshot| snapshot.remove_account(id));
        Ok(())
    }

    /// Enables or disables an account.
    ///
    /// # Errors
    /// Unknown, or storage trouble.
    pub fn set_state(&self, id: AccountId, state: AccountState) -> Result<()> {
        self.update_account(id, |account, _| account.state = state)
    }

    /// Sets what an account may keep.
    ///
    /// # Errors
    /// Unknown, or storage trouble.
    pub fn set_quota(&self, id: AccountId, quota: Quota) -> Result<()> {
        self.update_account(id, |account, _| account.quota = quota)
    }

    /// Sets or clears a person's name.
    ///
    /// # Errors
    /// Unknown, a name that cannot be kept, or storage trouble.
    pub fn set_display_name(&self, id: AccountId, name: Option<&str>) -> Result<()> {
        check_display_name(name)?;
        self.update_account(id, |account, _| account.display_name = name.map(Into::into))
    }

    /// Sets a password; sessions that used the former one are no longer current.
    ///
    /// # Errors
    /// Unknown, unusable password, or storage trouble.
    pub fn set_password(&self, id: AccountId, password: NewPassword) -> Result<()> {
        let new = Credential::make(&password, &self.settings())?;
        self.update_account(id, |_, credential| {
            let generation = credential.generation.wrapping_add(1);
            *credential = Credential { generation, ..new };
        })
    }

    /// Adds targets to an alias, making it if it is not there. Targets it already has stay once. A target at a domain of
    /// ours need not exist yet.
    ///
    /// # Errors
    /// Unknown domain, no target, a loop, too many targets, or storage trouble.
    pub fn add_alias(&self, source: &AliasSource, targets: &[AliasTarget]) -> Result<Alias> {
        let mut database = self.inner.database.lock();
        let (snapshot, settings) = (self.snapshot(), self.settings());
        let bad = || AliasError::BadText(source.to_string());
        let source = source.to_canonical().ok_or_else(bad)?;
        let domain = source.domain().ok_or_else(bad)?;
        if snapshot.domain(domain).is_none() {
            return Err(DirectoryError::UnknownDomain(domain.clone()));
        }
        let former = snapshot.alias(&source).map_or(&[][..], |targets| targets);
        let merged: Arc<[AliasTarget]> = merge(former, targets)?.into();
        let resolver =
            Resolver { snapshot: &snapshot, settings: &settings, pending: Some((&source, &merged)) };
        if resolver.is_loop(&source) {
            return Err(AliasError::Loop(source).into());
        }
        drop(snapshot);
        database.put_alias(&source, &merged)?;
        self.publish(|snapshot| snapshot.put_alias(&source, &merged));
        Ok(Alias { targets: merged.to_vec(), source })
    }

    /// Removes targets from an alias; with none named, or none left, the alias itself.
    ///
    /// # Errors
    /// Unknown alias or target, or storage trouble.
    pub fn remove_alias(&self, source: &AliasSource, targets: &[AliasTarget]) -> Result<()> {
        let mut database = self.inner.database.lock();
        let source = source.to_canonical().ok_or(DirectoryError::UnknownAlias)?;
        let mut left = self.snapshot().alias(&source).ok_or(DirectoryError::UnknownAlias)?.to_vec();
        for target in targets {
            let place = left.iter().position(|left| left.is_same(target));
            left.remove(place.ok_or(DirectoryError::UnknownAlias)?);
        }
        if targets.is_empty() {
            left.clear();
        }
        database.put_alias(&source, &left)?;
        self.publish(|snapshot| snapshot.put_alias(&source, &left));
        Ok(())
    }

    /// Keeps better hashes of the same password, unless it has been changed meanwhile. Nobody needs to hear of it.
    pub(crate) fn upgrade_credential(&self, id: AccountId, better: Credential) -> Result<()> {
        let mut database = self.inner.database.lock();
        let Some(entry) = self.snapshot().entry(id).cloned() else { return Ok(()) };
        if entry.credential.generation != better.generation {
            return Ok(());
        }
        let account = with_credential(Account::clone(&entry.account), &better);
        drop(entry);
        database.update_account(&account, &better)?;
        self.change_snapshot(|snapshot| snapshot.put_account(account, better));
        Ok(())
    }

    fn update_account(
        &self,
        id: AccountId,
        change: impl FnOnce(&mut Account, &mut Credential),
    ) -> Result<()> {
        let mut database = self.inner.database.lock();
        let entry = self.snapshot().entry(id).cloned().ok_or(DirectoryError::UnknownAccount)?;
        let (mut account, mut credential) =
            (Account::clone(&entry.account), Credential::clone(&entry.credential));
        change(&mut account, &mut credential);
        let account = with_credential(account, &credential);
        database.update_account(&account, &credential)?;
        self.publish(|snapshot| snapshot.put_account(account, credential));
        Ok(())
    }

    pub(crate) fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        self.change_snapshot(change);
        self.announce();
    }
}

fn with_credential(account: Account, credential: &Credential) -> Account {
    Account { has_password: credential.hash.is_some(), has_scram_keys: credential.scram.is_some(), ..account }
}

/// Whether an account can be added; gives its canonical address.
fn check_new(snapshot: &Snapshot, new: &NewAccount) -> Result<Address> {
    let bad = || DirectoryError::BadAddress(new.address.clone());
    let address = to_keepable(&new.address).ok_or_else(bad)?;
    let domain = address.domain_name().ok_or_else(bad)?;
    if snapshot.domain(domain).is_none() {
        return Err(DirectoryError::UnknownDomain(domain.clone()));
    }
    if snapshot.entry_by_address(&address).is_some() {
        return Err(DirectoryError::Exists(address.to_string()));
    }
    check_display_name(new.display_name.as_deref())?;
    Ok(address)
}

/// Checks a batch, in which an address may also stand twice.
fn check_batch(
    snapshot: &Snapshot,
    new: &[NewAccount],
    credentials: Vec<std::result::Result<Credential, HashError>>,
) -> Vec<Result<(Address, Credential)>> {
    let mut taken = std::collections::HashSet::new();
    let check = |(new, credential): (&NewAccount, std::result::Result<Credential, HashError>)| {
        let address = check_new(snapshot, new)?;
        let credential = credential?;
        if !taken.insert(address.clone()) {
            return Err(DirectoryError::Exists(address.to_string()));
        }
        Ok((address, credential))
    };
    new.iter().zip(credentials).map(check).collect()
}

/// Hashes the passwords of a batch on several threads. Those not worth it get none.
fn make_credentials(
    new: &[NewAccount],
    is_worth_hashing: &[bool],
    settings: &Settings,
) -> Vec<std::result::Result<Credential, HashError>> {
    let next = AtomicUsize::new(0);
    let made: Vec<Mutex<std::result::Result<Credential, HashError>>> =
        new.iter().map(|_| Mutex::new(Ok(Credential::default()))).collect();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(new), Some(place)) = (new.get(at), made.get(at)) else { return };
            if is_worth_hashing.get(at) == Some(&true) {
                *place.lock() = Credential::make(&new.password, settings);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..settings.verification_threads.min(new.len()) {
            scope.spawn(work);
        }
        work();
    });
    made.into_iter().map(Mutex::into_inner).collect()
}

fn check_display_name(name: Option<&str>) -> Result<()> {
    let fits = |name: &str| name.len() <= DISPLAY_NAME_OCTETS_MAX && !name.chars().any(char::is_control);
    if name.is_none_or(fits) { Ok(()) } else { Err(DirectoryError::BadDisplayName) }
}

/// Former targets and new ones, none twice.
fn merge(former: &[AliasTarget], new: &[AliasTarget]) -> std::result::Result<Vec<AliasTarget>, AliasError> {
    let mut merged = former.to_vec();
    for target in new {
        if !merged.iter().any(|known| known.is_same(target)) {
            merged.push(target.clone());
        }
        if merged.len() > ALIAS_TARGETS_MAX {
            return Err(AliasError::TooMany);
        }
    }
    if merged.is_empty() { Err(AliasError::NoTarget) } else { Ok(merged) }
}
