//! The world that scripts of a file of tests see: what the tests have set, and nothing else.

use std::sync::Arc;

use mail_types::MailboxName;
use message::Span;

use super::suite::Suite;
use crate::script::Script;
use crate::world::{Envelope, Finished, Now, Program, ProgramInput, ProgramPurpose, ScriptPlace, World};

impl World for Suite<'_> {
    fn now(&self) -> Now {
        self.host.now()
    }

    fn envelope(&self) -> Envelope {
        self.envelope.borrow().clone()
    }

    fn environment(&self, item: &str) -> Option<String> {
        let value = match item {
            // The suites ask by name for the engine they were written for.
            "name" => "Pigeonhole Sieve",
            "version" => env!("CARGO_PKG_VERSION"),
            "location" => "MS",
            "phase" => "during",
            "host" => "host.example.com",
            "domain" => "example.com",
            "vnd.dovecot.default-mailbox" | "vnd.dovecot.default_mailbox" => "INBOX",
            "vnd.dovecot.username" => "user",
            other => {
                let name = other.strip_prefix("vnd.dovecot.config.")?;
                return self.settings.borrow().text(&format!("sieve_env_{name}")).map(str::to_owned);
            }
        };
        Some(value.to_owned())
    }

    fn own_addresses(&self) -> Vec<String> {
        let envelope = self.envelope.borrow();
        self.user_email().into_iter().chain(envelope.to.clone()).collect()
    }

    fn has_mailbox(&self, mailbox: &MailboxName) -> bool {
        self.mailboxes.borrow().has(mailbox.as_str())
    }

    fn metadata(&self, mailbox: Option<&MailboxName>, annotation: &str) -> Option<String> {
        let mailbox = mailbox.map(MailboxName::as_str).unwrap_or_default();
        self.mailboxes.borrow().annotation(mailbox, annotation).map(str::to_owned)
    }

    fn is_listed(&self, list: &str, value: &str) -> bool {
        let settings = self.settings.borrow();
        let Some(path) =
            settings.text(&format!("sieve_extlists_list/{}/dict/file/path", short_list_name(list)))
        else {
            return false;
        };
        let text = self.host.read(path).unwrap_or_default();
        value_of(&text, &format!("priv/sieve/extlists/{value}")).is_some()
    }

    fn has_list(&self, list: &str) -> bool {
        let settings = self.settings.borrow();
        let lists = settings.text("sieve_extlists_list").unwrap_or_default();
        lists.split_ascii_whitespace().any(|known| known == short_list_name(list))
    }

    fn script(&self, place: ScriptPlace, name: &str) -> Result<Option<Arc<Script>>, String> {
        let (setting, directory) = match place {
            ScriptPlace::Personal => ("sieve", "included"),
            ScriptPlace::Global => ("sieve_global", "included-global"),
        };
        let dictionary = self
            .settings
            .borrow()
            .text(setting)
            .and_then(|value| value.strip_prefix("dict:file:").map(str::to_owned));
        let text = match dictionary {
            Some(path) => self.host.read(&path).and_then(|text| from_dictionary(&text, name)),
            None => self.host.read(&self.path(&format!("{directory}/{name}.sieve"))),
        };
        let Some(text) = text else { return Ok(None) };
        match crate::compile(&text, &self.dialect()) {
            Ok(script) => Ok(Some(Arc::new(script))),
            Err(faults) => Err(faults.first().map(ToString::to_string).unwrap_or_default()),
        }
    }

    fn run_program(&self, program: &Program<'_>) -> Result<Finished, String> {
        let kind = match program.purpose {
            ProgramPurpose::Filter => "filter",
            ProgramPurpose::Execute => "execute",
        };
        let input = match program.input {
            ProgramInput::Octets(octets) => octets.to_vec(),
            ProgramInput::Nothing => Vec::new(),
            ProgramInput::Message(message) => {
                let edition = message.edition();
                edition
                    .read(message.source(), Span::new(0, edition.octets()))
                    .map_err(|error| error.to_string())?
            }
        };
        self.run_named(kind, program.name, program.arguments, &input)
    }
}

/// The script of a name in a dictionary of Pigeonhole's: lines of keys, each followed by a line of its value.
fn from_dictionary(text: &[u8], name: &str) -> Option<Vec<u8>> {
    let id = value_of(text, &format!("priv/sieve/name/{name}"))?;
    value_of(text, &format!("priv/sieve/data/{}", String::from_utf8_lossy(&id)))
}

/// The value of a key in a dictionary.
fn value_of(text: &[u8], key: &str) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = text.split(|&octet| octet == b'\n').collect();
    let mut pairs = lines.chunks_exact(2);
    pairs.find_map(|pair| match pair {
        [found, value] if *found == key.as_bytes() => Some(value.to_vec()),
        _ => None,
    })
}

/// RFC 6134 §2.4: a list's name may leave its beginning out.
fn short_list_name(list: &str) -> &str {
    list.strip_prefix("urn:ietf:params:sieve").unwrap_or(list)
}
