//! What a script may ask about the account it runs for, and about the message's way here.

use std::sync::Arc;

use directory::{AliasTarget, Directory};
use mail_types::{AccountId, Address, AnnotationName, MailboxId, MailboxName, ScriptName, SpecialUse};
use mailstore::{Account, MailboxList, SPECIAL_USE_ANNOTATION};
use platform::clock::Timestamp;
use sieve::{Envelope, Finished, Now, Program, ProgramInput, Score, Script, ScriptPlace, World};
use tokio::runtime::Handle;

use super::event::EventFacts;
use super::memory::{Kind, key};
use super::operator::FilterSettings;
use super::programs::{self, Circumstances, Input, ProgramTime};
use super::run::Octets;
use super::{Filters, scripts};

/// Addresses of one's own that are looked at: an account with more aliases is no person.
const OWN_ADDRESSES_MAX: usize = 200;

/// Who the message is for, and how it came. Can be taken to another thread.
#[derive(Clone)]
pub(crate) struct Facts {
    pub(crate) account: AccountId,
    /// The account's own address.
    pub(crate) owner: Address,
    /// The address by which the message came to it.
    pub(crate) reached_by: Address,
    pub(crate) envelope: Envelope,
    pub(crate) is_junk: bool,
    /// How far it is on the way to spam, from 0 to 1; nothing where nobody has looked.
    pub(crate) spam: Option<f64>,
    /// Whether the sender of the envelope is proven to be no forgery.
    pub(crate) is_sender_proven: bool,
    pub(crate) now: Timestamp,
    pub(crate) hostname: String,
    pub(crate) remote_host: Option<String>,
    pub(crate) remote_address: Option<String>,
    /// What has happened in a mailbox, where it is not the message's coming.
    pub(crate) event: Option<EventFacts>,
}

/// The world of one run.
pub(crate) struct DeliveryWorld<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) directory: &'a Directory,
    pub(crate) filters: &'a Filters,
    pub(crate) settings: &'a FilterSettings,
    pub(crate) account: &'a Account,
    pub(crate) mailboxes: &'a MailboxList,
    pub(crate) source: &'a Octets,
    /// To wait for the store on a thread that may.
    pub(crate) runtime: &'a Handle,
    pub(crate) acts: Acts,
    pub(crate) program_time: &'a ProgramTime,
}

/// Whether what a run asks for may be done at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Acts {
    /// Programs are run.
    Yes,
    /// Nothing is done: it is only looked what would be.
    No,
}

impl World for DeliveryWorld<'_> {
    fn now(&self) -> Now {
        Now { unix_seconds: self.facts.now.unix_seconds(), zone_minutes: 0 }
    }

    fn envelope(&self) -> Envelope {
        self.facts.envelope.clone()
    }

    fn environment(&self, item: &str) -> Option<String> {
        let facts = self.facts;
        match item {
            "host" => Some(facts.hostname.clone()),
            "domain" => Some(facts.hostname.split_once('.').map_or("", |(_, domain)| domain).to_owned()),
            "location" => Some(facts.event.as_ref().map_or("MTA", |_| "MS").to_owned()),
            "phase" => Some(facts.event.as_ref().map_or("during", |_| "post").to_owned()),
            // People log in by their address.
            "imap.user" | "imap.email" => facts.event.as_ref().map(|_| facts.owner.to_string()),
            "imap.cause" => facts.event.as_ref().map(|event| event.cause.to_owned()),
            "imap.mailbox" => facts.event.as_ref().map(|event| event.mailbox.to_string()),
            "imap.changedflags" => facts.event.as_ref().map(|event| event.changed_flags.clone()),
            "remote-host" => facts.remote_host.clone(),
            "remote-ip" => facts.remote_address.clone(),
            "vnd.dovecot.default-mailbox" => Some("INBOX".to_owned()),
            "vnd.dovecot.username" => Some(facts.owner.to_string()),
            _ => None,
        }
    }

    fn flags(&self) -> Vec<String> {
        self.facts.event.as_ref().map(|event| event.flags.clone()).unwrap_or_default()
    }

    fn own_addresses(&self) -> Vec<String> {
        own_addresses(self.directory, self.facts)
    }

    fn has_mailbox(&self, mailbox: &MailboxName) -> bool {
        self.mailboxes.by_name(mailbox).is_some()
    }

    fn mailbox_with_id(&self, id: &str) -> Option<MailboxName> {
        let mailbox = self.mailboxes.by_id(mailbox_id(id)?)?;
        Some(mailbox.name.clone())
    }

    fn mailboxes_with_use(&self, special_use: &str) -> Vec<MailboxName> {
        let Some(special_use) = SpecialUse::parse(special_use) else { return Vec::new() };
        self.mailboxes.by_special_use(special_use).map(|mailbox| mailbox.name.clone()).into_iter().collect()
    }

    fn metadata(&self, mailbox: Option<&MailboxName>, annotation: &str) -> Option<String> {
        let name = AnnotationName::parse(annotation).ok()?;
        let mailbox = match mailbox {
            Some(name) => Some(self.mailboxes.by_name(name)?),
            None => None,
        };
        if let (Some(mailbox), SPECIAL_USE_ANNOTATION) = (mailbox, name.as_str()) {
            return mailbox.special_use.map(|special_use| special_use.attribute().to_owned());
        }
        let place = mailbox.map(|mailbox| mailbox.id);
        // Most accounts have none: known without waiting.
        self.account.annotations().ok()?.find(place, &name)?;
        let values = self.runtime.block_on(self.account.annotation_values(place, vec![name]));
        let values = values.inspect_err(|error| tracing::error!(%error, "an annotation cannot be read"));
        let (_, value) = values.ok()?.pop()?;
        value.map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    fn was_seen(&self, identifier: &[u8]) -> bool {
        let memory = &self.filters.0.memory;
        let seen = memory.has(self.facts.account, &key(Kind::Seen, &[identifier]), self.facts.now);
        seen.unwrap_or_else(|error| {
            tracing::error!(%error, "nobody knows whether a message is a duplicate");
            false
        })
    }

    fn is_listed(&self, list: &str, value: &str) -> bool {
        self.settings.lists.get(list).is_some_and(|entries| entries.contains(&value.to_lowercase()))
    }

    fn has_list(&self, list: &str) -> bool {
        self.settings.lists.contains_key(list)
    }

    fn spam(&self) -> Score {
        self.facts.spam.map_or(Score::Untested, Score::Part)
    }

    fn script(&self, place: ScriptPlace, name: &str) -> Result<Option<Arc<Script>>, String> {
        match place {
            ScriptPlace::Global => Ok(self.settings.global.get(name).cloned()),
            ScriptPlace::Personal => self.personal(name),
        }
    }

    fn run_program(&self, program: &Program<'_>) -> Result<Finished, String> {
        let path = self.settings.programs.get(program.name).ok_or("there is no such program")?;
        if self.acts == Acts::No {
            return Err("programs are not run by a test".to_owned());
        }
        let input = match program.input {
            ProgramInput::Nothing => Input::Nothing,
            ProgramInput::Octets(octets) => Input::Octets(octets),
            ProgramInput::Message(message) => {
                Input::Message { source: self.source, edition: Some(message.edition()) }
            }
        };
        let circumstances = circumstances(self.facts);
        let bounds = self.settings.program_bounds;
        let (is_success, output) =
            programs::run(path, program.arguments, &circumstances, &input, bounds, self.program_time)?;
        Ok(Finished { is_success, output })
    }
}

impl DeliveryWorld<'_> {
    fn personal(&self, name: &str) -> Result<Option<Arc<Script>>, String> {
        let Ok(name) = ScriptName::parse(name) else { return Ok(None) };
        let scripts = self.account.scripts().map_err(|error| error.to_string())?;
        let Some(found) = scripts.into_iter().find(|script| script.name == name) else { return Ok(None) };
        let shelf = &self.filters.0.shelf;
        let compiled = shelf.personal(self.account, &name, found.modseq, &self.settings.dialect);
        let compiled: scripts::Compiled =
            self.runtime.block_on(compiled).map_err(|error| error.to_string())?;
        compiled.map(Some).map_err(|faults| faults.to_string())
    }
}

/// What programs are told.
pub(crate) fn circumstances(facts: &Facts) -> Circumstances {
    Circumstances {
        sender: facts.envelope.from.clone().unwrap_or_default(),
        recipient: facts.reached_by.to_string(),
        user: facts.owner.to_string(),
    }
}

/// The addresses of an account, the main one first.
pub(crate) fn own_addresses(directory: &Directory, facts: &Facts) -> Vec<String> {
    let target = AliasTarget::Address(facts.owner.clone());
    let leads_here = |alias: &directory::Alias| alias.targets.contains(&target);
    let aliases = directory.aliases();
    let aliases = aliases.iter().filter(|alias| leads_here(alias)).map(|alias| alias.source.to_string());
    let mut addresses = vec![facts.owner.to_string()];
    for address in std::iter::once(facts.reached_by.to_string()).chain(aliases) {
        if addresses.len() < OWN_ADDRESSES_MAX && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// A MAILBOXID as IMAP tells it (RFC 8474 §4).
pub(super) fn mailbox_id(text: &str) -> Option<MailboxId> {
    let number = u32::from_str_radix(text.strip_prefix('F')?, 16).ok()?;
    (format!("F{number:x}") == text).then_some(MailboxId(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailbox_ids_are_those_of_imap() {
        assert_eq!(mailbox_id("F1f"), Some(MailboxId(31)));
        for other in ["", "F", "1f", "F1F", "F01", "F+1", "F100000000"] {
            assert_eq!(mailbox_id(other), None, "{other}");
        }
    }
}
