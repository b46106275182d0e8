//! `directory.db`: the rows behind the snapshot. Every change is one transaction, on disk when it returns.

use std::path::Path;

use mail_types::{AccountId, Address, AddressDomain, DomainName, Secret};
use platform::clock::Timestamp;
use sender_auth::dkim::{KeyFor, Selector, SigningKey};
use storage::rusqlite::{Row, Transaction, named_params, params};
use storage::{CacheBudget, Database, Durability};

use crate::account::{Account, AccountState, Quota};
use crate::alias::{AliasSource, AliasTarget};
use crate::dkim_key::{DkimKey, DkimKeyState};
use crate::error::DirectoryError;
use crate::password::{Credential, StoredHash, random};
use crate::sasl::ScramKeys;
use crate::snapshot::Snapshot;
use crate::srs_key::SrsKey;

type Result<T> = std::result::Result<T, DirectoryError>;

/// Account numbers come from AUTOINCREMENT: SQLite keeps the highest ever given, so none comes back.
/// The local part of a catch-all is the empty text, which no address has.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE domain (
        name TEXT PRIMARY KEY,
        created_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE account (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        domain TEXT NOT NULL REFERENCES domain (name),
        local_part TEXT NOT NULL,
        display_name TEXT,
        quota_octets INTEGER,
        quota_messages INTEGER,
        disabled_reason TEXT,
        created_ms INTEGER NOT NULL,
        password_hash TEXT,
        scram_keys TEXT,
        password_generation INTEGER NOT NULL,
        UNIQUE (domain, local_part)
    ) STRICT;
    CREATE TABLE alias_target (
        domain TEXT NOT NULL REFERENCES domain (name),
        local_part TEXT NOT NULL,
        position INTEGER NOT NULL,
        target TEXT NOT NULL,
        PRIMARY KEY (domain, local_part, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE secret (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE dkim_key (
        domain TEXT NOT NULL REFERENCES domain (name),
        selector TEXT NOT NULL,
        private_key TEXT NOT NULL,
        state TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        since_ms INTEGER NOT NULL,
        PRIMARY KEY (domain, selector)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE srs_key (
        made_on INTEGER PRIMARY KEY,
        secret BLOB NOT NULL
    ) STRICT;
",
];

/// The name of the secret from which users who do not exist get their SCRAM salts.
const NOBODY_SECRET: &str = "scram-nobody";

/// The open database. One thread at a time changes it.
#[derive(Debug)]
pub(crate) struct DirectoryDatabase {
    database: Database,
}

/// An account that has no number yet.
#[derive(Debug)]
pub(crate) struct NewRow<'a> {
    pub(crate) address: &'a Address,
    pub(crate) display_name: Option<&'a str>,
    pub(crate) quota: Quota,
    pub(crate) created: Timestamp,
    pub(crate) credential: &'a Credential,
}

impl DirectoryDatabase {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let database = Database::open(path, Durability::Durable, CacheBudget::Small, MIGRATIONS)?;
        Ok(Self { database })
    }

    /// The secret behind the salts of nobody; made at the first opening.
    pub(crate) fn nobody_secret(&mut self) -> Result<[u8; 32]> {
        let fresh = random::<32>()?;
        let transaction = self.database.transaction()?;
        transaction.execute(
            "INSERT INTO secret (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![NOBODY_SECRET, fresh.as_slice()],
        )?;
        let kept: Vec<u8> = transaction.query_row(
            "SELECT value FROM secret WHERE name = ?1",
            params![NOBODY_SECRET],
            |row| row.get(0),
        )?;
        transaction.commit()?;
        kept.try_into().map_err(|_| DirectoryError::Damaged(format!("the secret {NOBODY_SECRET}")))
    }

    /// Reads everything.
    pub(crate) fn load(&self) -> Result<Snapshot> {
        let connection = self.database.connection();
        let mut snapshot = Snapshot::default();
        let mut domains = connection.prepare("SELECT name, created_ms FROM domain")?;
        let mut rows = domains.query([])?;
        while let Some(row) = rows.next()? {
            let created = Timestamp::from_unix_millis(row.get("created_ms")?);
            snapshot.put_domain(read_domain(row, "name")?, created);
        }
        let mut accounts = connection.prepare("SELECT * FROM account")?;
        let mut rows = accounts.query([])?;
        while let Some(row) = rows.next()? {
            let (account, credential) = read_account(row)?;
            snapshot.put_account(account, credential);
        }
        load_aliases(&self.database, &mut snapshot)?;
        load_dkim_keys(&self.database, &mut snapshot)?;
        Ok(snapshot)
    }

    pub(crate) fn add_domain(&mut self, name: &DomainName, created: Timestamp) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT INTO domain (name, created_ms) VALUES (?1, ?2)",
                params![name.as_str(), created.unix_millis()],
            )?;
            Ok(())
        })
    }

    /// Removes a domain with all that is in it.
    pub(crate) fn remove_domain(&mut self, name: &DomainName) -> Result<()> {
        self.change(|transaction| {
            for statement in [
                "DELETE FROM alias_target WHERE domain = ?1",
                "DELETE FROM dkim_key WHERE domain = ?1",
                "DELETE FROM account WHERE domain = ?1",
                "DELETE FROM domain WHERE name = ?1",
            ] {
                transaction.execute(statement, params![name.as_str()])?;
            }
            Ok(())
        })
    }

    /// Adds accounts, all or none, and gives their numbers in order.
    pub(crate) fn add_accounts(&mut self, rows: &[NewRow<'_>]) -> Result<Vec<AccountId>> {
        self.change(|transaction| rows.iter().map(|row| insert_account(transaction, row)).collect())
    }

    pub(crate) fn remove_account(&mut self, id: AccountId) -> Result<()> {
        self.change(|transaction| {
            transaction.execute("DELETE FROM account WHERE id = ?1", params![id.0])?;
            Ok(())
        })
    }

    /// Writes what can change of an account: all but its number, address and age.
    pub(crate) fn update_account(&mut self, account: &Account, credential: &Credential) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "UPDATE account SET display_name = :display_name, quota_octets = :quota_octets,
                    quota_messages = :quota_messages, disabled_reason = :disabled_reason,
                    password_hash = :password_hash, scram_keys = :scram_keys,
                    password_generation = :password_generation
                 WHERE id = :id",
                named_params! {
                    ":id": account.id.0,
                    ":display_name": account.display_name.as_deref(),
                    ":quota_octets": account.quota.octets_max.map(to_column),
                    ":quota_messages": account.quota.messages_max.map(to_column),
                    ":disabled_reason": match &account.state {
                        AccountState::Enabled => None,
                        AccountState::Disabled { reason } => Some(reason.as_ref()),
                    },
                    ":password_hash": credential.hash.as_ref().map(StoredHash::as_text),
                    ":scram_keys": credential.scram.as_ref().map(ScramKeys::to_text),
                    ":password_generation": credential.generation,
                },
            )?;
            Ok(())
        })
    }

    /// Sets an alias's targets; none removes it.
    pub(crate) fn put_alias(&mut self, source: &AliasSource, targets: &[AliasTarget]) -> Result<()> {
        let Some((domain, local_part)) = alias_columns(source) else { return Ok(()) };
        self.change(|transaction| {
            transaction.execute(
                "DELETE FROM alias_target WHERE domain = ?1 AND local_part = ?2",
                params![domain.as_str(), local_part],
            )?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO alias_target (domain, local_part, position, target) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for (position, target) in (0i64..).zip(targets) {
                insert.execute(params![domain.as_str(), local_part, position, target.to_string()])?;
            }
            Ok(())
        })
    }

    /// Writes keys, new ones and those whose state has changed.
    pub(crate) fn put_dkim_keys(&mut self, keys: &[DkimKey]) -> Result<()> {
        self.change(|transaction| {
            let mut put = transaction.prepare_cached(
                "INSERT INTO dkim_key (domain, selector, private_key, state, created_ms, since_ms)
                 VALUES (:domain, :selector, :private_key, :state, :created_ms, :since_ms)
                 ON CONFLICT DO UPDATE SET state = excluded.state, since_ms = excluded.since_ms",
            )?;
            for key in keys {
                let unwritable = |_| damaged("private key of", key.key.domain());
                let pem = key.key.key().to_pem().map_err(unwritable)?;
                put.execute(named_params! {
                    ":domain": key.key.domain().as_str(),
                    ":selector": key.key.selector().as_str(),
                    ":private_key": pem.reveal_str(),
                    ":state": key.state.as_str(),
                    ":created_ms": key.created.unix_millis(),
                    ":since_ms": key.since.unix_millis(),
                })?;
            }
            Ok(())
        })
    }

    /// The keys of SRS, the newest first.
    pub(crate) fn srs_keys(&self) -> Result<Vec<SrsKey>> {
        let mut keys = self
            .database
            .connection()
            .prepare("SELECT made_on, secret FROM srs_key ORDER BY made_on DESC")?;
        let rows = keys.query_map([], |row| {
            let made_on: i64 = row.get("made_on")?;
            Ok(SrsKey { secret: Secret::new(row.get("secret")?), made_on: from_column(made_on) })
        })?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    /// Adds a key of SRS and forgets the oldest beyond so many.
    pub(crate) fn put_srs_key(&mut self, key: &SrsKey, most: usize) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT INTO srs_key (made_on, secret) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET secret = excluded.secret",
                params![to_column(key.made_on), key.secret.reveal()],
            )?;
            transaction.execute(
                "DELETE FROM srs_key WHERE made_on NOT IN
                    (SELECT made_on FROM srs_key ORDER BY made_on DESC LIMIT ?1)",
                params![to_column(most as u64)],
            )?;
            Ok(())
        })
    }

    pub(crate) fn remove_dkim_key(&mut self, domain: &DomainName, selector: &Selector) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "DELETE FROM dkim_key WHERE domain = ?1 AND selector = ?2",
                params![domain.as_str(), selector.as_str()],
            )?;
            Ok(())
        })
    }

    fn change<T>(&mut self, change: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let transaction = self.database.transaction()?;
        let result = change(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

fn insert_account(transaction: &Transaction<'_>, row: &NewRow<'_>) -> Result<AccountId> {
    let domain = row.address.domain_name().ok_or_else(|| DirectoryError::BadAddress(row.address.clone()))?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO account (domain, local_part, display_name, quota_octets, quota_messages, created_ms,
            password_hash, scram_keys, password_generation)
         VALUES (:domain, :local_part, :display_name, :quota_octets, :quota_messages, :created_ms,
            :password_hash, :scram_keys, :password_generation)",
    )?;
    let id = insert.insert(named_params! {
        ":domain": domain.as_str(),
        ":local_part": row.address.local_part(),
        ":display_name": row.display_name,
        ":quota_octets": row.quota.octets_max.map(to_column),
        ":quota_messages": row.quota.messages_max.map(to_column),
        ":created_ms": row.created.unix_millis(),
        ":password_hash": row.credential.hash.as_ref().map(StoredHash::as_text),
        ":scram_keys": row.credential.scram.as_ref().map(ScramKeys::to_text),
        ":password_generation": row.credential.generation,
    })?;
    u32::try_from(id).map(AccountId).map_err(|_| DirectoryError::Full("all account numbers have been given"))
}

fn load_aliases(database: &Database, snapshot: &mut Snapshot) -> Result<()> {
    let mut aliases = database.connection().prepare(
        "SELECT domain, local_part, target FROM alias_target ORDER BY domain, local_part, position",
    )?;
    let mut rows = aliases.query([])?;
    let mut current: Option<(AliasSource, Vec<AliasTarget>)> = None;
    while let Some(row) = rows.next()? {
        let source = read_source(row)?;
        let target: String = row.get("target")?;
        let target = AliasTarget::parse(&target).map_err(|_| damaged("alias target", &target))?;
        match &mut current {
            Some((last, targets)) if *last == source => targets.push(target),
            _ => {
                if let Some((last, targets)) = current.replace((source, vec![target])) {
                    snapshot.put_alias(&last, &targets);
                }
            }
        }
    }
    if let Some((last, targets)) = current {
        snapshot.put_alias(&last, &targets);
    }
    Ok(())
}

fn load_dkim_keys(database: &Database, snapshot: &mut Snapshot) -> Result<()> {
    let mut keys =
        database.connection().prepare("SELECT * FROM dkim_key ORDER BY domain, created_ms, selector")?;
    let mut rows = keys.query([])?;
    while let Some(row) = rows.next()? {
        snapshot.put_dkim_key(read_dkim_key(row)?);
    }
    Ok(())
}

fn read_dkim_key(row: &Row<'_>) -> Result<DkimKey> {
    let domain = read_domain(row, "domain")?;
    let selector: String = row.get("selector")?;
    let which = || damaged("DKIM key", format!("{selector}._domainkey.{domain}"));
    let private: String = row.get("private_key")?;
    let private = Secret::from(private);
    let key = private.reveal_str().and_then(|pem| SigningKey::parse(pem).ok()).ok_or_else(which)?;
    let named = Selector::parse(&selector).map_err(|_| which())?;
    let state: String = row.get("state")?;
    Ok(DkimKey {
        key: KeyFor::new(domain.clone(), named, key).map_err(|_| which())?,
        state: DkimKeyState::parse(&state).ok_or_else(which)?,
        created: Timestamp::from_unix_millis(row.get("created_ms")?),
        since: Timestamp::from_unix_millis(row.get("since_ms")?),
    })
}

fn alias_columns(source: &AliasSource) -> Option<(&DomainName, &str)> {
    match source {
        AliasSource::CatchAll(domain) => Some((domain, "")),
        AliasSource::Address(address) => Some((address.domain_name()?, address.local_part())),
    }
}

fn read_source(row: &Row<'_>) -> Result<AliasSource> {
    let domain = read_domain(row, "domain")?;
    let local_part: String = row.get("local_part")?;
    if local_part.is_empty() {
        return Ok(AliasSource::CatchAll(domain));
    }
    read_address(&local_part, domain).map(AliasSource::Address)
}

fn read_account(row: &Row<'_>) -> Result<(Account, Credential)> {
    let local_part: String = row.get("local_part")?;
    let address = read_address(&local_part, read_domain(row, "domain")?)?;
    let credential = read_credential(row, &address)?;
    let disabled_reason: Option<String> = row.get("disabled_reason")?;
    let account = Account {
        id: AccountId(row.get("id")?),
        display_name: row.get::<_, Option<String>>("display_name")?.map(Into::into),
        quota: Quota {
            octets_max: row.get::<_, Option<i64>>("quota_octets")?.map(from_column),
            messages_max: row.get::<_, Option<i64>>("quota_messages")?.map(from_column),
        },
        state: disabled_reason
            .map_or(AccountState::Enabled, |reason| AccountState::Disabled { reason: reason.into() }),
        created: Timestamp::from_unix_millis(row.get("created_ms")?),
        has_password: credential.hash.is_some(),
        has_scram_keys: credential.scram.is_some(),
        address,
    };
    Ok((account, credential))
}

fn read_credential(row: &Row<'_>, address: &Address) -> Result<Credential> {
    let hash: Option<String> = row.get("password_hash")?;
    let scram: Option<String> = row.get("scram_keys")?;
    let hash = hash.map(|text| StoredHash::read(&text)).transpose();
    let scram = scram.map(|text| ScramKeys::from_text(&text).ok_or(())).transpose();
    Ok(Credential {
        hash: hash.map_err(|_| damaged("password of", address))?,
        scram: scram.map_err(|()| damaged("SCRAM keys of", address))?,
        generation: row.get("password_generation")?,
    })
}

fn read_domain(row: &Row<'_>, column: &str) -> Result<DomainName> {
    let name: String = row.get(column)?;
    DomainName::parse(&name).map_err(|_| damaged("domain", &name))
}

fn read_address(local_part: &str, domain: DomainName) -> Result<Address> {
    Address::new(local_part, AddressDomain::Name(domain)).map_err(|_| damaged("local part", local_part))
}

fn damaged(what: &str, which: impl std::fmt::Display) -> DirectoryError {
    DirectoryError::Damaged(format!("{what} {which}"))
}

/// SQLite's integers end at 2^63 - 1: more than any disk.
fn to_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_column(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
