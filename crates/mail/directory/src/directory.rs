//! The directory's front: every question and every change the rest of the house has.

use std::path::Path;
use std::sync::Arc;

use mail_types::{AccountId, Address, DomainName, ForwardPath};
use platform::clock::Clock;
use tokio::sync::watch;

use crate::account::{Account, AccountState, NewAccount, NewPassword, Quota};
use crate::alias::{Alias, AliasSource, AliasTarget};
use crate::domain::{Domain, Removal};
use crate::error::{AuthenticationError, DirectoryError};
use crate::login::{Authenticated, Login, PasswordClaim};
use crate::resolve::Resolution;
use crate::sasl::{Channel, Mechanism};
use crate::settings::Settings;

/// Who is who on this server. Clones share one directory. Look-ups read memory; changes block on the disk, so async
/// callers make them on a blocking thread.
#[derive(Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Directory")
    }
}

struct Inner {
    changes: watch::Sender<u64>,
}

type Result<T> = std::result::Result<T, DirectoryError>;

impl Directory {
    /// Opens `directory.db`, making it if it is not there.
    ///
    /// # Errors
    /// Storage trouble, a newer schema, or a damaged database.
    pub fn open(path: &Path, settings: Settings, clock: Clock) -> Result<Self> {
        let _ = (path, settings, clock);
        Ok(Self { inner: Arc::new(Inner { changes: watch::channel(0).0 }) })
    }

    // Look-ups.

    /// All domains by name.
    #[must_use]
    pub fn domains(&self) -> Vec<Domain> {
        Vec::new()
    }

    /// Whether mail for this domain is ours.
    #[must_use]
    pub fn is_local_domain(&self, name: &DomainName) -> bool {
        let _ = name;
        false
    }

    /// All accounts by address.
    #[must_use]
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        Vec::new()
    }

    /// The account of this number.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<Arc<Account>> {
        let _ = id;
        None
    }

    /// The account of exactly this address, in any case; aliases and sub-addresses are [`Self::resolve`]'s.
    #[must_use]
    pub fn account_by_address(&self, address: &Address) -> Option<Arc<Account>> {
        let _ = address;
        None
    }

    /// All aliases by source.
    #[must_use]
    pub fn aliases(&self) -> Vec<Alias> {
        Vec::new()
    }

    /// Whose mail it is.
    #[must_use]
    pub fn resolve(&self, path: &ForwardPath) -> Resolution {
        let _ = path;
        Resolution::NotLocal
    }

    /// Whether the account may use this address as sender: its own, a sub-address of it, or one whose mail it gets.
    #[must_use]
    pub fn may_send_as(&self, account: AccountId, address: &Address) -> bool {
        let _ = (account, address);
        false
    }

    /// Tells of every change; the value is the directory's generation.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Whether a session may go on: the account is still there and enabled, and its password is unchanged since.
    #[must_use]
    pub fn is_current(&self, session: &Authenticated) -> bool {
        let _ = session;
        false
    }

    // Logging in.

    /// The mechanisms to offer on this channel, the best first.
    #[must_use]
    pub fn mechanisms(&self, channel: &Channel) -> Vec<Mechanism> {
        let _ = channel;
        Vec::new()
    }

    /// Starts a SASL exchange, or `None` where the mechanism is not offered on this channel (504 5.5.4, `NO`).
    #[must_use]
    pub fn login(&self, mechanism: Mechanism, channel: Channel) -> Option<Login> {
        let _ = (mechanism, channel);
        Some(Login { directory: self.clone() })
    }

    /// Verifies a user name and password. Cancel-safe.
    ///
    /// # Errors
    /// Refused or Busy.
    pub async fn authenticate(
        &self,
        claim: PasswordClaim,
    ) -> std::result::Result<Authenticated, AuthenticationError> {
        let _ = claim;
        Err(AuthenticationError::Refused)
    }

    // Changes, durable when they return.

    /// Adds a domain.
    ///
    /// # Errors
    /// It exists, or storage trouble.
    pub fn add_domain(&self, name: &DomainName) -> Result<Domain> {
        Err(DirectoryError::UnknownDomain(name.clone()))
    }

    /// Removes a domain and says which accounts went with it.
    ///
    /// # Errors
    /// Unknown, in use, or storage trouble.
    pub fn remove_domain(&self, name: &DomainName, removal: Removal) -> Result<Vec<AccountId>> {
        let _ = removal;
        Err(DirectoryError::UnknownDomain(name.clone()))
    }

    /// Adds an account.
    ///
    /// # Errors
    /// Unknown domain, exists, unusable password, or storage trouble.
    pub fn add_account(&self, new: NewAccount) -> Result<Arc<Account>> {
        let _ = new;
        Err(DirectoryError::UnknownAccount)
    }

    /// Adds many accounts in one transaction. Each has its own result, in order; those that fail leave the others.
    ///
    /// # Errors
    /// Storage trouble: then none is added.
    pub fn add_accounts(&self, new: Vec<NewAccount>) -> Result<Vec<Result<Arc<Account>>>> {
        let _ = new;
        Ok(Vec::new())
    }

    /// Removes an account. Its mail is the mailstore's to remove; aliases that name it stay.
    ///
    /// # Errors
    /// Unknown, or storage trouble.
    pub fn remove_account(&self, id: AccountId) -> Result<()> {
        let _ = id;
        Err(DirectoryError::UnknownAccount)
    }

    /// Enables or disables an account.
    ///
    /// # Errors
    /// Unknown, or storage trouble.
    pub fn set_state(&self, id: AccountId, state: AccountState) -> Result<()> {
        let _ = (id, state);
        Err(DirectoryError::UnknownAccount)
    }

    /// Sets what an account may keep.
    ///
    /// # Errors
    /// Unknown, or storage trouble.
    pub fn set_quota(&self, id: AccountId, quota: Quota) -> Result<()> {
        let _ = (id, quota);
        Err(DirectoryError::UnknownAccount)
    }

    /// Sets or clears a person's name.
    ///
    /// # Errors
    /// Unknown, or storage trouble.
    pub fn set_display_name(&self, id: AccountId, name: Option<&str>) -> Result<()> {
        let _ = (id, name);
        Err(DirectoryError::UnknownAccount)
    }

    /// Sets a password; sessions that used the former one are no longer current.
    ///
    /// # Errors
    /// Unknown, unusable password, or storage trouble.
    pub fn set_password(&self, id: AccountId, password: NewPassword) -> Result<()> {
        let _ = (id, password);
        Err(DirectoryError::UnknownAccount)
    }

    /// Adds targets to an alias, making it if it is not there. Targets it already has stay once.
    ///
    /// # Errors
    /// Unknown domain, a loop, too many targets, or storage trouble.
    pub fn add_alias(&self, source: &AliasSource, targets: &[AliasTarget]) -> Result<Alias> {
        let _ = (source, targets);
        Err(DirectoryError::UnknownAlias)
    }

    /// Removes targets from an alias; with none named, or none left, the alias itself.
    ///
    /// # Errors
    /// Unknown alias or target, or storage trouble.
    pub fn remove_alias(&self, source: &AliasSource, targets: &[AliasTarget]) -> Result<()> {
        let _ = (source, targets);
        Err(DirectoryError::UnknownAlias)
    }
}
