//! The mailboxes, annotations and sent mail of a file of tests.

use std::collections::BTreeMap;

/// A message in a mailbox.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) octets: Vec<u8>,
    pub(super) flags: Vec<String>,
}

/// A message that was sent to one recipient.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) reverse_path: String,
    pub(super) recipient: String,
    pub(super) octets: Vec<u8>,
}

/// All that can be looked at.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    mailboxes: BTreeMap<String, Vec<Stored>>,
    annotations: BTreeMap<(String, String), String>,
    pub(super) sent: Vec<Sent>,
}

impl Mailboxes {
    /// The inbox is always there.
    pub(super) fn new() -> Mailboxes {
        let mailboxes = BTreeMap::from([("INBOX".to_owned(), Vec::new())]);
        Mailboxes { mailboxes, ..Mailboxes::default() }
    }

    pub(super) fn create(&mut self, name: &str) {
        self.mailboxes.entry(key(name)).or_default();
    }

    pub(super) fn delete(&mut self, name: &str) {
        self.mailboxes.remove(&key(name));
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.mailboxes.contains_key(&key(name))
    }

    /// Files a message; whether there is such a mailbox.
    pub(super) fn store(&mut self, name: &str, stored: Stored) -> bool {
        self.mailboxes.get_mut(&key(name)).map(|messages| messages.push(stored)).is_some()
    }

    pub(super) fn message(&self, name: &str, index: usize) -> Option<&Stored> {
        self.mailboxes.get(&key(name))?.get(index)
    }

    pub(super) fn annotate(&mut self, mailbox: &str, annotation: &str, value: &str) {
        self.annotations.insert((key(mailbox), annotation.to_ascii_lowercase()), value.to_owned());
    }

    /// The server's annotations are those of the mailbox without a name (RFC 5464 §1).
    pub(super) fn annotation(&self, mailbox: &str, annotation: &str) -> Option<&str> {
        self.annotations.get(&(key(mailbox), annotation.to_ascii_lowercase())).map(String::as_str)
    }
}

/// Names below the inbox follow its letter case, too.
fn key(name: &str) -> String {
    match name.split_at_checked("INBOX".len()) {
        Some((inbox, rest))
            if inbox.eq_ignore_ascii_case("INBOX") && (rest.is_empty() || rest.starts_with('.')) =>
        {
            format!("INBOX{rest}")
        }
        _ => name.to_owned(),
    }
}
