//! A directory in a folder of its own, with cheap passwords and a clock that stands still.

use std::sync::Arc;

use directory::{
    Account, AliasSource, AliasTarget, Directory, DirectoryError, NewAccount, NewPassword, PasswordCost,
    Quota, Settings,
};
use mail_types::{Address, DomainName, ForwardPath};
use platform::clock::{Clock, Timestamp};
use platform::metrics::Metrics;

pub(crate) struct Fixture {
    pub(crate) directory: Directory,
    pub(crate) clock: Clock,
    folder: tempfile::TempDir,
}

pub(crate) fn cheap() -> Settings {
    Settings { password_cost: PasswordCost::MINIMAL, scram_iterations: 4096, ..Settings::default() }
}

impl Fixture {
    pub(crate) fn new(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::settable(Timestamp::from_unix_seconds(1_700_000_000));
        Self { directory: open(&folder, settings, &clock), clock, folder }
    }

    /// With the domain example.org and these accounts in it, each with the password `secret of <name>`.
    pub(crate) fn with_accounts(settings: Settings, names: &[&str]) -> Self {
        let fixture = Self::new(settings);
        fixture.directory.add_domain(&domain("example.org")).unwrap();
        for name in names {
            fixture.add(&format!("{name}@example.org"), &format!("secret of {name}")).unwrap();
        }
        fixture
    }

    /// Closes the directory and opens it again from the disk.
    pub(crate) fn reopened(self, settings: Settings) -> Self {
        let Self { directory, clock, folder } = self;
        drop(directory);
        Self { directory: open(&folder, settings, &clock), clock, folder }
    }

    pub(crate) fn add(&self, address: &str, password: &str) -> Result<Arc<Account>, DirectoryError> {
        self.directory.add_account(new_account(address, NewPassword::Cleartext(password.into())))
    }

    pub(crate) fn alias(&self, source: &str, targets: &[&str]) -> Result<(), DirectoryError> {
        self.directory.add_alias(&self::source(source), &self::targets(targets)).map(drop)
    }

    pub(crate) fn account(&self, address: &str) -> Arc<Account> {
        self.directory.account_by_address(&self::address(address)).unwrap()
    }
}

fn open(folder: &tempfile::TempDir, settings: Settings, clock: &Clock) -> Directory {
    let path = folder.path().join("directory.db");
    Directory::open(&path, settings, clock.clone(), &Metrics::new()).unwrap()
}

pub(crate) fn new_account(address: &str, password: NewPassword) -> NewAccount {
    NewAccount { address: self::address(address), password, display_name: None, quota: Quota::default() }
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

pub(crate) fn source(text: &str) -> AliasSource {
    AliasSource::parse(text).unwrap()
}

pub(crate) fn targets(texts: &[&str]) -> Vec<AliasTarget> {
    texts.iter().map(|text| AliasTarget::parse(text).unwrap()).collect()
}

pub(crate) fn path(text: &str) -> ForwardPath {
    match text {
        "postmaster" => ForwardPath::Postmaster,
        _ => ForwardPath::Address(address(text)),
    }
}
