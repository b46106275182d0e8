//! A small world for tests: what a script may ask has an answer written here.

use std::collections::BTreeMap;
use std::sync::Arc;

use mail_types::MailboxName;
use sieve::{Envelope, Finished, Now, Program, ProgramInput, Score, Script, ScriptPlace, World};

/// The world.
#[derive(Default)]
pub(crate) struct Town {
    pub(crate) now: Now,
    pub(crate) envelope: Envelope,
    pub(crate) items: BTreeMap<&'static str, &'static str>,
    pub(crate) mailboxes: Vec<&'static str>,
    pub(crate) ids: BTreeMap<&'static str, &'static str>,
    pub(crate) uses: BTreeMap<&'static str, &'static str>,
    /// Mailbox (empty for the server), annotation, value.
    pub(crate) metadata: Vec<(&'static str, &'static str, &'static str)>,
    pub(crate) seen: Vec<Vec<u8>>,
    pub(crate) lists: BTreeMap<&'static str, Vec<&'static str>>,
    pub(crate) spam: Score,
    pub(crate) virus: Option<u8>,
    pub(crate) scripts: BTreeMap<&'static str, Arc<Script>>,
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

impl World for Town {
    fn now(&self) -> Now {
        self.now
    }

    fn envelope(&self) -> Envelope {
        self.envelope.clone()
    }

    fn environment(&self, item: &str) -> Option<String> {
        self.items.get(item).map(|value| (*value).to_owned())
    }

    fn has_mailbox(&self, mailbox: &MailboxName) -> bool {
        self.mailboxes.contains(&mailbox.as_str())
    }

    fn mailbox_with_id(&self, id: &str) -> Option<MailboxName> {
        self.ids.get(id).map(|mailbox| name(mailbox))
    }

    fn mailboxes_with_use(&self, special_use: &str) -> Vec<MailboxName> {
        self.uses.get(special_use).map(|mailbox| name(mailbox)).into_iter().collect()
    }

    fn metadata(&self, mailbox: Option<&MailboxName>, annotation: &str) -> Option<String> {
        let mailbox = mailbox.map_or("", MailboxName::as_str);
        let found = self.metadata.iter().find(|(known, name, _)| *known == mailbox && *name == annotation);
        found.map(|(.., value)| (*value).to_owned())
    }

    fn was_seen(&self, identifier: &[u8]) -> bool {
        self.seen.iter().any(|seen| seen == identifier)
    }

    fn is_listed(&self, list: &str, value: &str) -> bool {
        self.lists.get(list).is_some_and(|list| list.contains(&value))
    }

    fn has_list(&self, list: &str) -> bool {
        self.lists.contains_key(list)
    }

    fn spam(&self) -> Score {
        self.spam
    }

    fn virus(&self) -> Option<u8> {
        self.virus
    }

    fn script(&self, place: ScriptPlace, name: &str) -> Result<Option<Arc<Script>>, String> {
        let key = match place {
            ScriptPlace::Personal => name.to_owned(),
            ScriptPlace::Global => format!(":global {name}"),
        };
        Ok(self.scripts.get(key.as_str()).cloned())
    }

    /// `shout` writes its input in capitals, `fail` fails; others are not known.
    fn run_program(&self, program: &Program<'_>) -> Result<Finished, String> {
        let input = match program.input {
            ProgramInput::Nothing => Vec::new(),
            ProgramInput::Octets(octets) => octets.to_vec(),
            ProgramInput::Message(message) => {
                let mut octets = Vec::new();
                let whole = message::Span::new(0, u64::MAX);
                message
                    .edition()
                    .visit(message.source(), whole, |run| {
                        octets.extend_from_slice(run);
                        true
                    })
                    .unwrap();
                octets
            }
        };
        match program.name {
            "shout" => Ok(Finished { is_success: true, output: input.to_ascii_uppercase() }),
            "fail" => Ok(Finished::default()),
            _ => Err("there is no such program".to_owned()),
        }
    }
}
