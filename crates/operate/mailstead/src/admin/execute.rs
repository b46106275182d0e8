//! Does what a request asks, on an open house.

use anyhow::{Context, bail};
use directory::{
    AccountState, AliasSource, AliasTarget, DkimKeyState, NewAccount, NewPassword, Quota, Removal,
};
use mail_types::{AccountId, Address, DomainName, Secret};
use mailstore::MailboxInfo;
use platform::clock::Timestamp;

use super::{AccountLine, AliasLine, Answer, DomainLine, Hidden, MailboxLine, Request, StoreStatus};
use super::{
    StoppedLine, bans, keys, quarantine, queue, reports, screen, sieve, sieve_lists, sieve_trial, spam, time,
    unlock,
};
use crate::house::House;
use crate::keys::KeyKind;

/// Does it; what fails is an answer too.
pub(crate) async fn execute(house: &House, request: Request) -> Answer {
    match Box::pin(act(house, request)).await {
        Ok(answer) => answer,
        Err(error) => Answer::Failed { why: format!("{error:#}") },
    }
}

async fn act(house: &House, request: Request) -> anyhow::Result<Answer> {
    match request {
        Request::AccountAdd { address, password, quota } => {
            add_account(house, &address, &password, quota).await
        }
        Request::AccountAddMany { people } => add_accounts(house, people).await,
        Request::AccountList => list_accounts(house).await,
        Request::AccountShow { address } => show_account(house, &address).await,
        Request::AccountPassword { address, password } => set_password(house, &address, password).await,
        Request::AccountEnable { address } => set_state(house, &address, AccountState::Enabled).await,
        Request::AccountDisable { address } => {
            set_state(house, &address, AccountState::Disabled { reason: "disabled by the operator".into() })
                .await
        }
        Request::AccountRemove { address, keep_mail } => remove_account(house, &address, keep_mail).await,
        Request::AccountUnlock { address, mail } => unlock::unlock(house, &address, mail).await,
        Request::BanList => Ok(bans::list(house)),
        Request::BanAdd { network, for_seconds, reason } => {
            bans::add(house, &network, for_seconds, &reason).await
        }
        Request::BanRemove { network } => bans::remove(house, &network).await,
        Request::AccountQuota { address, quota } => set_quota(house, &address, quota).await,
        Request::AliasAdd { alias, targets } => add_alias(house, &alias, &targets).await,
        Request::AliasList { of } => Ok(list_aliases(house, of.as_deref())),
        Request::AliasRemove { alias, targets } => remove_alias(house, &alias, &targets).await,
        Request::DomainAdd { domain } => take_domain(house, &domain).await,
        Request::DomainList => Ok(list_domains(house)),
        Request::DomainRemove { domain } => remove_domain(house, &domain).await,
        Request::DkimGenerate { domain, selector, kinds, waits } => {
            keys::generate(house, domain.as_deref(), selector, kinds, waits).await
        }
        Request::DkimImport { domain, selector, key, waits } => {
            keys::import(house, &domain, &selector, &key, waits).await
        }
        Request::DkimList { domain } => keys::list(house, domain.as_deref()),
        Request::DkimRotate { domain } => keys::rotate(house, domain.as_deref()).await,
        Request::DkimChange { domain, selector, change } => {
            keys::change(house, &domain, &selector, change).await
        }
        Request::PublishedKeys => super::published::published_keys(house),
        Request::MailboxList { address } | Request::MailboxStatus { address } => {
            list_mailboxes(house, &address).await
        }
        Request::Verify => verify(house).await,
        Request::StorePurge => purge_store(house).await,
        Request::StoreRebuild { address } => rebuild_index(house, &address).await,
        Request::StoreStatus => store_status(house).await,
        Request::QueueList { which, after, most } => queue::list(house, &which, after.as_deref(), most).await,
        Request::QueueShow { id } => queue::show(house, &id).await,
        Request::QueueChange { which, change } => queue::change(house, &which, change).await,
        Request::QueueStatus => queue::status(house).await,
        Request::ScreenStatus => screen::status(house).await,
        Request::TrapAdd { address } => screen::add_trap(house, &address).await,
        Request::TrapList => screen::traps(house).await,
        Request::TrapRemove { address } => screen::remove_trap(house, &address).await,
        Request::ReportsList { domain, since_seconds } => {
            reports::list(house, domain.as_deref(), since_seconds).await
        }
        Request::ReportsSend => reports::send(house).await,
        Request::SieveTest(asked) => sieve_trial::test(house, asked).await,
        Request::SieveReplay(asked) => sieve_trial::replay(house, asked).await,
        Request::SievePut { address, name, script, activate } => {
            sieve::put(house, &address, &name, &script, activate).await
        }
        Request::SieveGet { address, name } => sieve::get(house, &address, &name).await,
        Request::SieveList { address } => sieve::list(house, &address).await,
        Request::SieveActivate { address, name } => sieve::activate(house, &address, name.as_deref()).await,
        Request::SieveRename { address, from, to } => sieve::rename(house, &address, &from, &to).await,
        Request::SieveDelete { address, name } => sieve::delete(house, &address, &name).await,
        Request::SieveLists { address, name, change } => {
            sieve_lists::run(house, &address, name.as_deref(), change).await
        }
        Request::Spam { asked } => spam::act(house, asked).await,
        Request::Quarantine { asked } => quarantine::act(house, asked).await,
        Request::Trace { what, most } => Ok(Answer::Trace { steps: house.way.search(&what, most).await? }),
    }
}

pub(super) fn done(what: String) -> anyhow::Result<Answer> {
    Ok(Answer::Done { what })
}

/// Runs a change of the directory, which waits for the disk, away from the async threads.
async fn change<T: Send + 'static>(
    house: &House,
    change: impl FnOnce(&directory::Directory) -> Result<T, directory::DirectoryError> + Send + 'static,
) -> anyhow::Result<T> {
    let directory = house.directory.clone();
    let result = tokio::task::spawn_blocking(move || change(&directory))
        .await
        .context("the change was interrupted")?;
    Ok(result?)
}

fn address(text: &str) -> anyhow::Result<Address> {
    Address::parse(text).with_context(|| format!("{text:?} is no address"))
}

pub(super) fn domain_name(text: &str) -> anyhow::Result<DomainName> {
    DomainName::parse(text).with_context(|| format!("{text:?} is no domain name"))
}

pub(super) fn account(house: &House, text: &str) -> anyhow::Result<std::sync::Arc<directory::Account>> {
    let address = address(text)?;
    house
        .directory
        .account_by_address(&address)
        .with_context(|| format!("there is no account {address}; `mailstead account list` shows them all"))
}

/// `{SCHEME}…` is a hash that somebody brings along, anything else a password as typed.
fn new_password(hidden: &Hidden) -> NewPassword {
    let secret = Secret::from(hidden.0.as_str());
    let is_hash = hidden.0.starts_with('{') && hidden.0.contains('}');
    if is_hash { NewPassword::Hash(secret) } else { NewPassword::Cleartext(secret) }
}

fn new_account(text: &str, password: &Hidden, octets_max: Option<u64>) -> anyhow::Result<NewAccount> {
    Ok(NewAccount {
        address: address(text)?,
        password: new_password(password),
        display_name: None,
        quota: Quota { octets_max, messages_max: None },
    })
}

/// Takes up the domain of a new account, so that one command is enough.
fn ensure_domain(
    directory: &directory::Directory,
    address: &Address,
    now: Timestamp,
) -> Result<(), directory::DirectoryError> {
    match address.domain_name() {
        Some(name) if !directory.is_local_domain(name) => add_domain(directory, name, now),
        _ => Ok(()),
    }
}

/// Takes up a domain, with keys that sign its mail. A domain without keys is better than none.
fn add_domain(
    directory: &directory::Directory,
    name: &DomainName,
    now: Timestamp,
) -> Result<(), directory::DirectoryError> {
    directory.add_domain(name)?;
    let made = crate::keys::make(directory, name, &KeyKind::BOTH, None, (DkimKeyState::Signing, now));
    if let Err(error) = made {
        tracing::error!(domain = %name, error = format!("{error:#}"), "no DKIM keys: `mailstead dkim generate` makes them");
    }
    Ok(())
}

async fn add_account(
    house: &House,
    text: &str,
    password: &Hidden,
    quota: Option<u64>,
) -> anyhow::Result<Answer> {
    let new = new_account(text, password, quota)?;
    let now = house.clock.now();
    let account = change(house, move |directory| {
        ensure_domain(directory, &new.address, now)?;
        directory.add_account(new)
    })
    .await?;
    // Opening it makes its mailboxes, so that the first look shows them.
    house.store.account(account.id).await?;
    done(format!("{} can log in and receive mail", account.address))
}

async fn add_accounts(house: &House, people: Vec<(String, Hidden)>) -> anyhow::Result<Answer> {
    let new: Vec<NewAccount> = people
        .iter()
        .map(|(address, password)| new_account(address, password, None))
        .collect::<anyhow::Result<_>>()?;
    let now = house.clock.now();
    let results = change(house, move |directory| {
        for account in &new {
            ensure_domain(directory, &account.address, now)?;
        }
        directory.add_accounts(new)
    })
    .await?;
    let mut faults = Vec::new();
    let mut added = 0_usize;
    for ((address, _), result) in people.iter().zip(results) {
        match result {
            Ok(account) => {
                house.store.account(account.id).await?;
                added += 1;
            }
            Err(error) => faults.push(format!("{address}: {error}")),
        }
    }
    if !faults.is_empty() {
        bail!("{added} accounts added, {} not:\n{}", faults.len(), faults.join("\n"));
    }
    done(format!("{added} accounts added"))
}

async fn list_accounts(house: &House) -> anyhow::Result<Answer> {
    let mut lines = Vec::new();
    for account in house.directory.accounts() {
        lines.push(account_line(house, &account).await?);
    }
    Ok(Answer::Accounts { accounts: lines })
}

async fn show_account(house: &House, text: &str) -> anyhow::Result<Answer> {
    let account = account(house, text)?;
    Ok(Answer::Accounts { accounts: vec![account_line(house, &account).await?] })
}

async fn account_line(house: &House, account: &directory::Account) -> anyhow::Result<AccountLine> {
    let usage = house.store.account(account.id).await?.quota_usage();
    let target = AliasTarget::Address(account.address.clone());
    let aliases = house.directory.aliases();
    Ok(AccountLine {
        address: account.address.to_string(),
        enabled: account.state == AccountState::Enabled,
        quota: account.quota.octets_max,
        used_octets: usage.octets,
        messages: usage.messages,
        aliases: aliases
            .iter()
            .filter(|a| a.targets.contains(&target))
            .map(|a| a.source.to_string())
            .collect(),
        created: jiff::Timestamp::from_millisecond(account.created.unix_millis())
            .map(|t| t.to_string())
            .unwrap_or_default(),
        stopped: house
            .breaker
            .stopped(account.id)
            .map(|stopped| StoppedLine { since: time(stopped.since), reason: stopped.reason.to_string() }),
    })
}

async fn set_password(house: &House, text: &str, password: Hidden) -> anyhow::Result<Answer> {
    let id = account(house, text)?.id;
    change(house, move |directory| directory.set_password(id, new_password(&password))).await?;
    let sending = unlock::after_new_password(house, id).await?;
    done(format!("{text} has a new password{sending}"))
}

async fn set_state(house: &House, text: &str, state: AccountState) -> anyhow::Result<Answer> {
    let id = account(house, text)?.id;
    let what = if state == AccountState::Enabled {
        "enabled"
    } else {
        "disabled: it can no longer log in or receive"
    };
    change(house, move |directory| directory.set_state(id, state)).await?;
    done(format!("{text} is {what}"))
}

async fn remove_account(house: &House, text: &str, keep_mail: bool) -> anyhow::Result<Answer> {
    let id = account(house, text)?.id;
    change(house, move |directory| directory.remove_account(id)).await?;
    house.breaker.forget(id).await?;
    if keep_mail {
        return done(format!("{text} is removed; its mail stays in the store as account {id}"));
    }
    house.store.remove_account(id).await?;
    let content = house.content.clone();
    tokio::task::spawn_blocking(move || content.forget(id)).await??;
    // What is kept apart of it goes with what is too old.
    house.quarantine().expire(house.settings.time("spam.quarantine_kept"), house.clock.now()).await?;
    done(format!("{text} and its mail are removed"))
}

async fn set_quota(house: &House, text: &str, octets_max: Option<u64>) -> anyhow::Result<Answer> {
    let account = account(house, text)?;
    let quota = Quota { octets_max, ..account.quota };
    change(house, move |directory| directory.set_quota(account.id, quota)).await?;
    done(octets_max.map_or_else(
        || format!("{text} has no quota"),
        |octets| format!("{text} may keep {}", crate::settings::show_octets(octets)),
    ))
}

fn alias_targets(texts: &[String]) -> anyhow::Result<Vec<AliasTarget>> {
    Ok(texts.iter().map(|text| AliasTarget::parse(text.trim())).collect::<Result<_, _>>()?)
}

async fn add_alias(house: &House, alias: &str, targets: &[String]) -> anyhow::Result<Answer> {
    let (source, targets) = (AliasSource::parse(alias)?, alias_targets(targets)?);
    let made = change(house, move |directory| directory.add_alias(&source, &targets)).await?;
    done(format!("{} leads to {}", made.source, texts(&made.targets).join(", ")))
}

async fn remove_alias(house: &House, alias: &str, targets: &[String]) -> anyhow::Result<Answer> {
    let (source, targets) = (AliasSource::parse(alias)?, alias_targets(targets)?);
    change(house, move |directory| directory.remove_alias(&source, &targets)).await?;
    done(format!("{alias} is changed"))
}

fn texts(targets: &[AliasTarget]) -> Vec<String> {
    targets.iter().map(ToString::to_string).collect()
}

fn list_aliases(house: &House, of: Option<&str>) -> Answer {
    let aliases = house
        .directory
        .aliases()
        .iter()
        .map(|alias| AliasLine { alias: alias.source.to_string(), targets: texts(&alias.targets) })
        .filter(|line| of.is_none_or(|of| line.targets.iter().any(|target| target == of)))
        .collect();
    Answer::Aliases { aliases }
}

async fn take_domain(house: &House, text: &str) -> anyhow::Result<Answer> {
    let (name, now) = (domain_name(text)?, house.clock.now());
    change(house, move |directory| add_domain(directory, &name, now)).await?;
    done(format!("mail for {text} is taken from now on"))
}

async fn remove_domain(house: &House, text: &str) -> anyhow::Result<Answer> {
    let name = domain_name(text)?;
    change(house, move |directory| directory.remove_domain(&name, Removal::IfUnused)).await?;
    done(format!("mail for {text} is no longer taken"))
}

fn list_domains(house: &House) -> Answer {
    let (accounts, aliases) = (house.directory.accounts(), house.directory.aliases());
    let domains = house
        .directory
        .domains()
        .iter()
        .map(|domain| {
            let has_alias = |source: &AliasSource| match source {
                AliasSource::Address(address) => address.domain_name() == Some(&domain.name),
                AliasSource::CatchAll(name) => *name == domain.name,
            };
            DomainLine {
                domain: domain.name.to_unicode(),
                accounts: count(
                    accounts.iter().filter(|a| a.address.domain_name() == Some(&domain.name)).count(),
                ),
                aliases: count(aliases.iter().filter(|alias| has_alias(&alias.source)).count()),
            }
        })
        .collect();
    Answer::Domains { domains }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

async fn list_mailboxes(house: &House, text: &str) -> anyhow::Result<Answer> {
    let id: AccountId = account(house, text)?.id;
    let list = house.store.account(id).await?.mailboxes().await?;
    Ok(Answer::Mailboxes { mailboxes: list.mailboxes.iter().map(mailbox_line).collect() })
}

fn mailbox_line(mailbox: &MailboxInfo) -> MailboxLine {
    MailboxLine {
        name: mailbox.name.to_string(),
        special_use: mailbox.special_use.map(|special| special.attribute().to_owned()),
        subscribed: mailbox.is_subscribed,
        messages: mailbox.messages.into(),
        unseen: mailbox.unseen.into(),
        octets: mailbox.octets,
        uid_validity: mailbox.uid_validity.0,
        uid_next: mailbox.uid_next.0,
        highest_mod_seq: mailbox.highest_modseq.0,
    }
}

async fn verify(house: &House) -> anyhow::Result<Answer> {
    let faults = house.store.verify().await?;
    let (mut messages, mut octets, accounts) = (0, 0, house.directory.accounts());
    for account in &accounts {
        let usage = house.store.account(account.id).await?.quota_usage();
        messages += usage.messages;
        octets += usage.octets;
    }
    let tell = |fault: &mailstore::Fault| {
        let place = fault.account.map(|id| {
            let address = house.directory.account(id).map(|account| account.address.to_string());
            format!("{}: ", address.unwrap_or_else(|| format!("account {id}")))
        });
        let message = fault.message.map(|at| format!("mailbox {} message {}: ", at.mailbox, at.uid));
        format!("{}{}{}", place.unwrap_or_default(), message.unwrap_or_default(), fault.text)
    };
    Ok(Answer::Verified {
        messages,
        octets,
        accounts: count(accounts.len()),
        faults: faults.iter().map(tell).collect(),
    })
}

async fn purge_store(house: &House) -> anyhow::Result<Answer> {
    let outcome = house.store.purge().await?;
    done(format!(
        "{} messages purged, {} packs rewritten, {} octets given back",
        outcome.messages, outcome.packs, outcome.octets
    ))
}

async fn rebuild_index(house: &House, text: &str) -> anyhow::Result<Answer> {
    let id = account(house, text)?.id;
    house.store.rebuild(Some(id)).await?;
    done(format!("the index of {text} was made anew from the packs"))
}

async fn store_status(house: &House) -> anyhow::Result<Answer> {
    let stats = house.store.stats().await?;
    let data = house.settings.path("data");
    let free_octets =
        storage::free_octets(&data).with_context(|| format!("asking for free room on {}", data.display()))?;
    Ok(Answer::Store {
        status: StoreStatus { packs: stats.packs, pack_octets: stats.pack_octets, free_octets },
    })
}
