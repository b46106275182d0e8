//! What people are told of mail that is kept apart, and what becomes of it when they want it.

use std::time::Duration;

use directory::Account;
use mail_types::{AccountId, Address, AddressDomain, MailboxName, ReversePath};
use mailstore::{Filing, FilingTarget, FlagNames, QuotaLimit};
use message::{Date, OwnLetter, write_return_path};
use mta::{APART, Lesson, MessageWay, Order, Outcome, QuarantineLimits, Quarantined};
use platform::tasks::Shutdown;
use spam::{Class, MESSAGE_OCTETS_MAX};
use tokio::sync::mpsc;

use crate::house::House;
use crate::shown::{field_text, kept_header};

/// What may wait to be done about mail that is kept apart. It is done at the next start at the latest.
pub(crate) const CHANGES_MAX: usize = 1_000;
/// When what could not be released is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Messages that one digest names; how many more there are it says.
const NAMED_MAX: usize = 200;
/// How often it is looked what is to go, however rarely digests are sent.
const LOOK_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// How long after a start people are told at the latest: a server that is restarted every day must tell them too.
const FIRST_TOLD: Duration = Duration::from_secs(3_600);
/// Characters of a field that a digest shows.
const SHOWN_CHARACTERS: usize = 100;

/// Throws away what was kept apart for long enough, and tells people of what is new, now and then.
pub(crate) async fn tend(house: House, stop: Shutdown) {
    let every = house.settings.time("spam.quarantine_digest");
    let mut wait = FIRST_TOLD.min(every);
    loop {
        let (kept, now) = (house.settings.time("spam.quarantine_kept"), house.clock.now());
        match house.quarantine().expire(kept, now).await {
            Ok(0) => {}
            Ok(messages) => tracing::info!(messages, "what was kept apart for long enough is gone"),
            Err(error) => tracing::warn!(%error, "what was kept apart is looked at again tomorrow"),
        }
        // Not at once at a start: who restarts often would tell people often.
        // Neither arm loses anything when cancelled.
        tokio::select! {
            () = stop.triggered() => return,
            () = tokio::time::sleep(if every.is_zero() { LOOK_EVERY } else { wait }) => {}
        }
        wait = every.min(LOOK_EVERY);
        if every.is_zero() {
            continue;
        }
        match tell(&house).await {
            Ok(0) => {}
            Ok(people) => tracing::info!(people, "told of mail that is kept apart"),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "people are told tomorrow of mail kept apart");
            }
        }
    }
}

/// Tells everybody of what was kept apart since they were last told; how many there were to tell. Who cannot be told now is
/// told next time, and keeps nobody else from being told.
pub(crate) async fn tell(house: &House) -> anyhow::Result<usize> {
    let mut told = 0;
    for (account, messages) in house.quarantine().untold().await? {
        let Some(owner) = house.directory.account(account) else { continue };
        match tell_one(house, &owner, &messages).await {
            Ok(is_told) => told += usize::from(is_told),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(account = %owner.address, error, "not told of mail that is kept apart");
            }
        }
    }
    Ok(told)
}

async fn tell_one(house: &House, owner: &Account, messages: &[Quarantined]) -> anyhow::Result<bool> {
    let Some(digest) = digest(house, owner, messages)? else { return Ok(false) };
    let mut intake = house.store.intake()?;
    intake.write(&digest).await?;
    let filing = Filing {
        account: owner.id,
        mailbox: FilingTarget::Name(MailboxName::inbox()),
        flags: FlagNames::default(),
        internal_date: house.clock.now(),
        quota: QuotaLimit::NONE,
        way: house.transactions.next(),
    };
    for filed in house.store.deliver(intake.finish().await?, vec![filing]).await? {
        filed?;
    }
    // After a crash between the two they are told twice.
    house.quarantine().told(messages).await?;
    Ok(true)
}

/// Releases a message, and learns that it is wanted.
pub(crate) async fn release(house: &House, id: &str) -> anyhow::Result<()> {
    let now = house.clock.now();
    let (message, reader) = house.quarantine().release(id, house.transactions.next(), now).await?;
    let learned = async {
        let octets = reader.beginning(MESSAGE_OCTETS_MAX).await?;
        house.content.learn(Lesson::Account(message.account), octets, Class::Wanted, now).await
    };
    // It is where it belongs, whether or not that is learned.
    if let Err(error) = learned.await {
        tracing::warn!(%error, "that a message is wanted is not learned");
    }
    Ok(())
}

/// What has happened to mail that is kept apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// More of it is kept.
    More,
    /// This account wants some of it, which is written down already.
    Wanted(AccountId),
}

/// Picks out of all mail that comes what is kept apart, and what asks for it.
pub(crate) fn picker(
    house: &House,
    waiting: mpsc::Sender<Change>,
) -> impl Fn(&MessageWay) + Send + Sync + use<> {
    let content = house.content.clone();
    move |way| {
        let changes = way.recipients.iter().filter_map(|one| match &one.outcome {
            Outcome::Discarded => content.order(&one.forward_path).map(|order| Change::Wanted(order.account)),
            Outcome::Filed(filed) | Outcome::Queued { filed, .. } => {
                filed.iter().any(|filed| filed.account == APART).then_some(Change::More)
            }
            _ => None,
        });
        for change in changes {
            if waiting.try_send(change).is_err() {
                tracing::warn!(
                    "more happens to mail that is kept apart than can be done now: it is done later"
                );
            }
        }
    }
}

/// Releases what people want, and throws away the oldest of what is too much.
pub(crate) async fn carry_out(house: House, mut waiting: mpsc::Receiver<Change>, stop: Shutdown) {
    // What was wanted before the start is still wanted.
    let mut is_all_done = release_wanted(&house, None).await;
    trim(&house).await;
    loop {
        // No arm loses anything when cancelled.
        tokio::select! {
            () = stop.triggered() => return,
            () = tokio::time::sleep(AGAIN_AFTER), if !is_all_done => {
                is_all_done = release_wanted(&house, None).await;
            }
            change = waiting.recv() => match change {
                Some(Change::Wanted(account)) => is_all_done &= release_wanted(&house, Some(account)).await,
                Some(Change::More) => trim(&house).await,
                None => return,
            },
        }
    }
}

/// Releases what is wanted; whether nothing of it is left.
async fn release_wanted(house: &House, account: Option<AccountId>) -> bool {
    let ids = match house.quarantine().wanted(account).await {
        Ok(ids) => ids,
        Err(error) => {
            tracing::error!(%error, "what is kept apart cannot be read");
            return false;
        }
    };
    let mut is_all_done = true;
    for id in ids {
        match release(house, &id).await {
            Ok(()) => tracing::info!(id, "released, as its owner asked by mail"),
            Err(error) => {
                is_all_done = false;
                tracing::error!(id, error = format!("{error:#}"), "not released yet");
            }
        }
    }
    is_all_done
}

async fn trim(house: &House) {
    let limits = QuarantineLimits {
        messages: house.settings.number("spam.quarantine_messages_max"),
        octets: house.settings.number("spam.quarantine_octets_max"),
    };
    match house.quarantine().trim(limits).await {
        Ok(trimmed) => {
            for (account, messages) in trimmed {
                tracing::warn!(%account, messages, "too much is kept apart of its mail: the oldest has gone");
            }
        }
        Err(error) => tracing::warn!(%error, "what is kept apart beyond its bounds stays for now"),
    }
}

/// The mail that tells of messages; nothing for an account whose domain cannot be written to.
fn digest(house: &House, owner: &Account, messages: &[Quarantined]) -> anyhow::Result<Option<Vec<u8>>> {
    let (Some(domain), Some(first), Some(last)) =
        (owner.address.domain_name(), messages.first(), messages.last())
    else {
        return Ok(None);
    };
    let to_have = |order: Order| house.content.order_address(order, domain);
    let all = Order { account: owner.id, first: first.uid(), last: last.uid() };
    let Some(reply_to) = to_have(all) else { return Ok(None) };
    let mut entries = String::new();
    for message in messages.iter().take(NAMED_MAX) {
        let order = Order { account: owner.id, first: message.uid(), last: message.uid() };
        if let Some(address) = to_have(order) {
            entries.push_str(&entry(message, &address));
        }
    }
    let more = messages.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        entries.push_str(&format!("and {more} more\r\n"));
    }
    let days = house.settings.time("spam.quarantine_kept").as_secs() / (24 * 3_600);
    let mut random = [0; 16];
    directory::fill_random(&mut random)?;
    let postmaster = Address::new("postmaster", AddressDomain::Name(domain.clone()))?;
    let text = format!(
        "These messages were taken for something that nobody wants, and are in none of your mailboxes.\r\n\
         They go after {days} days, where there are very many the oldest sooner.\r\n\
         \r\n\
         To have one of them, write to the address beneath it; what you write does not matter.\r\n\
         To have all of them, answer this message. Nobody has to do anything about the others.\r\n\
         \r\n{entries}"
    );
    let letter = OwnLetter {
        from: ("Mail kept apart", &postmaster),
        reply_to: Some(&reply_to),
        to: &owner.address,
        subject: &format!("{} messages are kept apart from your mail", messages.len()),
        cause: "quarantine",
        random,
        unix_millis: house.clock.now().unix_millis(),
    };
    let mut octets = Vec::new();
    write_return_path(&ReversePath::Null, &mut octets);
    letter.write(&text, &mut octets);
    Ok(Some(octets))
}

/// What is told of one message. Words of a stranger must not look like ours: each field is one line, and short.
fn entry(message: &Quarantined, address: &Address) -> String {
    let header = kept_header(message.summary.as_deref());
    let text = |name: &str| {
        let text: String =
            field_text(&header, name).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        text.trim().chars().take(SHOWN_CHARACTERS).collect::<String>()
    };
    let date = Date { unix_seconds: message.time.unix_seconds(), zone_minutes: 0 }.format();
    format!(
        "{date}\r\n  From:    {}\r\n  Subject: {}\r\n  To have it: <mailto:{address}>\r\n\r\n",
        text("From"),
        text("Subject")
    )
}
