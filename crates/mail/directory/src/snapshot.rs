//! The directory as it stands in memory: what every look-up reads.
//!
//! A change is committed to `directory.db` first, then made here by the same calls that loading makes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mail_types::{AccountId, Address, AddressDomain, DomainName};
use platform::clock::Timestamp;
use sender_auth::dkim::Selector;

use crate::account::{Account, AccountState};
use crate::alias::{Alias, AliasSource, AliasTarget};
use crate::dkim_key::DkimKey;
use crate::domain::Domain;
use crate::password::Credential;

/// All domains, accounts and aliases.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Snapshot {
    domains: BTreeMap<DomainName, DomainNames>,
    accounts: BTreeMap<AccountId, Entry>,
    /// Enabled accounts that have a password and no SCRAM keys.
    without_scram: usize,
}

/// One account and its secrets.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Entry {
    pub(crate) account: Arc<Account>,
    pub(crate) credential: Arc<Credential>,
}

/// The names in one domain, by local part in lower case.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct DomainNames {
    created: Timestamp,
    names: HashMap<Box<str>, Name>,
    catch_all: Option<Arc<[AliasTarget]>>,
    accounts: BTreeSet<AccountId>,
    /// The oldest first.
    dkim_keys: Vec<Arc<DkimKey>>,
}

/// What one address is: an account, an alias, or both.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Name {
    pub(crate) account: Option<AccountId>,
    pub(crate) alias: Option<Arc<[AliasTarget]>>,
}

impl DomainNames {
    pub(crate) fn name(&self, local_part: &str) -> Option<&Name> {
        self.names.get(local_part)
    }

    pub(crate) fn catch_all(&self) -> Option<&Arc<[AliasTarget]>> {
        self.catch_all.as_ref()
    }

    /// Its accounts, the oldest first.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = AccountId> {
        self.accounts.iter().copied()
    }

    /// Its keys, the oldest first.
    pub(crate) fn dkim_keys(&self) -> &[Arc<DkimKey>] {
        &self.dkim_keys
    }

    pub(crate) fn alias_count(&self) -> usize {
        self.names.values().filter(|name| name.alias.is_some()).count()
            + usize::from(self.catch_all.is_some())
    }

    /// Changes one name and forgets it when nothing is left of it.
    fn change_name(&mut self, local_part: &str, change: impl FnOnce(&mut Name)) {
        let name = self.names.entry(local_part.into()).or_default();
        change(name);
        if *name == Name::default() {
            self.names.remove(local_part);
        }
    }
}

impl Entry {
    fn is_without_scram(&self) -> bool {
        self.account.state == AccountState::Enabled
            && self.account.has_password
            && !self.account.has_scram_keys
    }
}

impl Snapshot {
    pub(crate) fn domain(&self, name: &DomainName) -> Option<&DomainNames> {
        self.domains.get(name)
    }

    pub(crate) fn domains(&self) -> impl Iterator<Item = Domain> {
        self.domains.iter().map(|(name, names)| Domain { name: name.clone(), created: names.created })
    }

    pub(crate) fn entry(&self, id: AccountId) -> Option<&Entry> {
        self.accounts.get(&id)
    }

    pub(crate) fn account(&self, id: AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(&id).map(|entry| &entry.account)
    }

    /// The account of exactly this address, in any case.
    pub(crate) fn entry_by_address(&self, address: &Address) -> Option<&Entry> {
        let names = self.domains.get(address.domain_name()?)?;
        let id = names.name(&address.local_part().to_lowercase())?.account?;
        self.accounts.get(&id)
    }

    /// All accounts by domain and local part.
    pub(crate) fn accounts(&self) -> Vec<Arc<Account>> {
        let mut accounts: Vec<_> = self.accounts.values().map(|entry| Arc::clone(&entry.account)).collect();
        accounts.sort_by(|a, b| {
            let by_domain = a.address.domain().cmp(b.address.domain());
            by_domain.then_with(|| a.address.cmp(&b.address))
        });
        accounts
    }

    /// All accounts, the oldest first.
    pub(crate) fn account_ids(&self) -> impl Iterator<Item = AccountId> {
        self.accounts.keys().copied()
    }

    /// Whether every enabled account with a password has SCRAM keys.
    pub(crate) fn has_all_scram_keys(&self) -> bool {
        self.without_scram == 0
    }

    /// The targets of an alias.
    pub(crate) fn alias(&self, source: &AliasSource) -> Option<&Arc<[AliasTarget]>> {
        match source {
            AliasSource::CatchAll(domain) => self.domains.get(domain)?.catch_all.as_ref(),
            AliasSource::Address(address) => {
                self.domains.get(address.domain_name()?)?.name(address.local_part())?.alias.as_ref()
            }
        }
    }

    /// All aliases by domain, the catch-all first, then by local part.
    pub(crate) fn aliases(&self) -> Vec<Alias> {
        let mut aliases = Vec::new();
        for (domain, names) in &self.domains {
            let alias = |source, targets: &Arc<[AliasTarget]>| Alias { source, targets: targets.to_vec() };
            if let Some(targets) = &names.catch_all {
                aliases.push(alias(AliasSource::CatchAll(domain.clone()), targets));
            }
            let mut named: Vec<_> = names
                .names
                .iter()
                .filter_map(|(local_part, name)| Some((local_part, name.alias.as_ref()?)))
                .collect();
            named.sort_unstable_by_key(|(local_part, _)| *local_part);
            aliases.extend(named.into_iter().filter_map(|(local_part, targets)| {
                let address = Address::new(local_part, AddressDomain::Name(domain.clone())).ok()?;
                Some(alias(AliasSource::Address(address), targets))
            }));
        }
        aliases
    }

    /// All keys, by domain.
    pub(crate) fn dkim_keys(&self) -> impl Iterator<Item = &Arc<DkimKey>> {
        self.domains.values().flat_map(|names| &names.dkim_keys)
    }

    // Changes.

    pub(crate) fn put_domain(&mut self, name: DomainName, created: Timestamp) {
        let names = DomainNames {
            created,
            names: HashMap::new(),
            catch_all: None,
            accounts: BTreeSet::new(),
            dkim_keys: Vec::new(),
        };
        self.domains.entry(name).or_insert(names);
    }

    /// Removes a domain with all that is in it.
    pub(crate) fn remove_domain(&mut self, name: &DomainName) {
        let Some(names) = self.domains.remove(name) else { return };
        for id in names.accounts {
            self.forget_entry(id);
        }
    }

    /// Adds an account or replaces the one of the same number; its domain must be there, its address never changes.
    pub(crate) fn put_account(&mut self, account: Account, credential: Credential) {
        let domain = account.address.domain_name().and_then(|name| self.domains.get_mut(name));
        let Some(names) = domain else { return };
        let id = account.id;
        names.accounts.insert(id);
        names.change_name(account.address.local_part(), |name| name.account = Some(id));
        self.forget_entry(id);
        let entry = Entry { account: Arc::new(account), credential: Arc::new(credential) };
        self.without_scram += usize::from(entry.is_without_scram());
        self.accounts.insert(id, entry);
    }

    pub(crate) fn remove_account(&mut self, id: AccountId) {
        let Some(entry) = self.forget_entry(id) else { return };
        let address = &entry.account.address;
        if let Some(names) = address.domain_name().and_then(|name| self.domains.get_mut(name)) {
            names.accounts.remove(&id);
            names.change_name(address.local_part(), |name| name.account = None);
        }
    }

    fn forget_entry(&mut self, id: AccountId) -> Option<Entry> {
        let entry = self.accounts.remove(&id)?;
        self.without_scram -= usize::from(entry.is_without_scram());
        Some(entry)
    }

    /// Adds a key or replaces the one of the same selector; its domain must be there.
    pub(crate) fn put_dkim_key(&mut self, key: DkimKey) {
        let Some(names) = self.domains.get_mut(key.key.domain()) else { return };
        let key = Arc::new(key);
        match names.dkim_keys.iter_mut().find(|other| other.key.selector() == key.key.selector()) {
            Some(place) => *place = key,
            None => names.dkim_keys.push(key),
        }
    }

    pub(crate) fn remove_dkim_key(&mut self, domain: &DomainName, selector: &Selector) {
        if let Some(names) = self.domains.get_mut(domain) {
            names.dkim_keys.retain(|key| key.key.selector() != selector);
        }
    }

    /// Sets an alias's targets; none removes it. Its domain must be there.
    pub(crate) fn put_alias(&mut self, source: &AliasSource, targets: &[AliasTarget]) {
        let targets = (!targets.is_empty()).then(|| Arc::from(targets));
        match source {
            AliasSource::CatchAll(domain) => {
                if let Some(names) = self.domains.get_mut(domain) {
                    names.catch_all = targets;
                }
            }
            AliasSource::Address(address) => {
                let names = address.domain_name().and_then(|name| self.domains.get_mut(name));
                if let Some(names) = names {
                    names.change_name(address.local_part(), |name| name.alias = targets);
                }
            }
        }
    }
}
