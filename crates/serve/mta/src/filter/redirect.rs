//! `redirect`: to our own people through their own scripts, to others through the queue, as what aliases pass on goes
//! (RFC 5228 §4.2 and §10, RFC 6009, RFC 6134 §2.5).

use directory::{LocalTarget, Recipients, Resolution};
use mail_types::{Address, ForwardPath};
use mailstore::{Account, FlagNames, StoreError};
use platform::clock::Timestamp;
use queue::{BodyNeeds, DeliverBy, DeliverByMode, RECIPIENTS_MAX, ReturnContent};
use sieve::RedirectTo;
use sieve::message::Edition;

use super::letters::{Desk, needs};
use super::lists;
use super::plan::{Copy, Entry, Owner, Planner};
use crate::deliver::queued;
use crate::deliver::route::{RemoteTarget, check_quota};

/// Copies that redirects among our own people may make of one message.
const COPIES_MAX: usize = 100;
/// Redirects among our own people, one after the other.
const HOPS_MAX: usize = 8;
/// Addresses of a list that a message is redirected to.
const LISTED_MAX: usize = 100;

impl Planner<'_> {
    pub(super) async fn redirect(
        &mut self,
        copy: &Copy,
        owner: &Owner,
        redirect: &sieve::Redirect,
        edition: Option<&Edition>,
        by: &str,
    ) -> Result<(), StoreError> {
        let addresses = match &redirect.to {
            RedirectTo::Address(address) => vec![address.clone()],
            RedirectTo::List(list) => self.listed(&owner.account, list).await?,
        };
        let mut remote = Vec::new();
        let mut is_lost = addresses.is_empty();
        for address in addresses {
            match self.desk.rooms.directory.resolve(&ForwardPath::Address(address.clone())) {
                Resolution::Deliver(Recipients { local, remote: elsewhere }) => {
                    remote.extend(elsewhere);
                    for target in local {
                        is_lost |= !self.send_on_here(copy, owner, target, edition).await?;
                    }
                }
                Resolution::NotLocal => remote.push(address.clone()),
                Resolution::Discard => {}
                Resolution::Unknown | Resolution::Disabled | Resolution::Loop => is_lost = true,
            }
            self.note(copy.recipient, format!("redirect {address}{by}"));
        }
        if !remote.is_empty() {
            is_lost |= !self.send_on(copy, owner, redirect, edition, remote).await?;
        }
        if is_lost {
            self.note(copy.recipient, format!("redirect{by}: not possible for all, kept"));
            self.keep(copy, owner, edition, FlagNames::default()).await?;
        }
        Ok(())
    }

    /// The addresses of a list; none, if there are more than one message may go to.
    async fn listed(&self, account: &Account, list: &str) -> Result<Vec<Address>, StoreError> {
        let settings = self.filters.settings();
        let Some(entries) = lists::find(account, &settings, list).await? else { return Ok(Vec::new()) };
        let mut addresses: Vec<Address> =
            entries.iter().filter_map(|entry| Address::parse(entry).ok()).take(LISTED_MAX + 1).collect();
        if addresses.len() > LISTED_MAX {
            return Ok(Vec::new());
        }
        addresses.sort_by_key(ToString::to_string);
        Ok(addresses)
    }

    /// Sends a copy on to an account here, whose own scripts it goes through; whether that is possible: not to who has
    /// sent it on already, nor to who has no room for it.
    async fn send_on_here(
        &mut self,
        copy: &Copy,
        owner: &Owner,
        target: LocalTarget,
        edition: Option<&Edition>,
    ) -> Result<bool, StoreError> {
        let is_loop = target.account == copy.target.account || copy.senders.contains(&target.account);
        if is_loop
            || copy.senders.len() >= HOPS_MAX
            || self.copies >= COPIES_MAX + self.envelope.recipients.len()
        {
            return Ok(false);
        }
        let octets = edition.map_or_else(|| owner.source.0.octets(), Edition::octets);
        let Desk { rooms, known, .. } = self.desk;
        // Nobody has asked at RCPT.
        if check_quota(rooms, known.settings, target.account, octets).await.is_err() {
            return Ok(false);
        }
        self.copies += 1;
        let entry = self.edition(copy, owner, edition).await?;
        let mut senders = copy.senders.clone();
        senders.push(copy.target.account);
        self.waiting.push_back(Copy { recipient: copy.recipient, target, entry, senders });
        self.want(copy.recipient);
        Ok(true)
    }

    /// Queues a copy for addresses elsewhere; whether that is possible: there is a queue, and it takes so many.
    async fn send_on(
        &mut self,
        copy: &Copy,
        owner: &Owner,
        redirect: &sieve::Redirect,
        edition: Option<&Edition>,
        addresses: Vec<Address>,
    ) -> Result<bool, StoreError> {
        let Desk { rooms, known, brought } = self.desk;
        let Some(named) = self.envelope.recipients.get(copy.recipient) else { return Ok(false) };
        let octets = edition.map_or_else(|| owner.source.0.octets(), Edition::octets);
        let is_too_many = addresses.len() > RECIPIENTS_MAX;
        if rooms.queue.is_none() || is_too_many || !self.made.may_be(octets) {
            return Ok(false);
        }
        let by = &owner.facts.owner;
        let message = self.desk.sent_on(&owner.source, edition, by).await?;
        let routing = &known.settings.routing;
        let recipients = addresses.into_iter().map(|address| {
            let target = RemoteTarget {
                destination: routing.destination(&self.envelope.reverse_path, &address),
                expanded_from: Some(owner.facts.reached_by.clone()),
                address,
            };
            let mut recipient = queued::recipient(named, &target);
            // RFC 6009 §4: what the script wants to be told of counts.
            if let Some(asked) = redirect.notify.as_deref().and_then(mail_types::Notify::parse) {
                recipient.notify = queued::notify(asked, false);
            }
            recipient
        });
        let recipients: Vec<queue::Recipient> = recipients.collect();
        let traits = message.summary().traits;
        let mut new = queued::passed_on(self.envelope, recipients, traits, brought);
        let needed = needs(traits, &new.recipients);
        new.needs = BodyNeeds { binary: new.needs.binary, ..new.needs };
        new.needs.international |= needed.international;
        if let Some(ret) = redirect.ret.as_deref() {
            new.return_content = match ret.eq_ignore_ascii_case("FULL") {
                true => Some(ReturnContent::Full),
                false => Some(ReturnContent::Headers),
            };
        }
        if let Some((at, mode, is_traced)) = redirect.deliver_by {
            let mode = match mode {
                'R' | 'r' => DeliverByMode::Return,
                _ => DeliverByMode::Notify,
            };
            let at = Timestamp::from_unix_seconds(at);
            new.deliver_by = Some(DeliverBy { at, mode, is_traced });
        }
        self.plan.entries.push(Entry {
            message,
            queued: Some(new),
            caused_by: Some(copy.recipient),
            filings: Vec::new(),
        });
        self.want(copy.recipient);
        Ok(true)
    }
}
