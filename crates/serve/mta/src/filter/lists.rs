//! Lists that scripts look into (RFC 6134): the account's own, kept as annotations so that any client which knows METADATA
//! can edit them, and the operator's files.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mail_types::AnnotationName;
use mailstore::{Account, StoreError};

use super::operator::FilterSettings;

/// Where an account's lists stand among its annotations.
const OWN_LISTS: &str = "/private/vendor/mailstead/lists/";
/// The names of address books (RFC 6134), in full and in short.
const ADDRESS_BOOK: [&str; 2] = ["urn:ietf:params:sieve:addrbook:", ":addrbook:"];
/// The address book that everybody has, be it empty.
const DEFAULT_BOOK: &str = ":addrbook:default";

/// A list's entries in small letters.
pub(crate) type Entries = Arc<HashSet<String>>;

/// The lists of one run, each read once.
#[derive(Default)]
pub(crate) struct ListsRead(RefCell<HashMap<String, Option<Entries>>>);

impl ListsRead {
    /// A list, as it was when the run first asked for it.
    pub(crate) fn get(&self, name: &str, read: impl FnOnce() -> Option<Entries>) -> Option<Entries> {
        if let Some(known) = self.0.borrow().get(name) {
            return known.clone();
        }
        let entries = read();
        self.0.borrow_mut().insert(name.to_owned(), entries.clone());
        entries
    }
}

/// The annotation that holds an account's list; `None` where there can be no such list.
#[must_use]
pub fn list_annotation(name: &str) -> Option<AnnotationName> {
    AnnotationName::parse(&format!("{OWN_LISTS}{}", short(name))).ok()
}

/// The list that an annotation holds.
#[must_use]
pub fn list_of_annotation(annotation: &AnnotationName) -> Option<&str> {
    annotation.as_str().strip_prefix(OWN_LISTS)
}

/// The entries of a list's text: one a line, without what begins with `#`.
pub fn list_entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A list's entries, ready to be looked up.
pub(super) fn entries_of(text: &str) -> HashSet<String> {
    list_entries(text).map(str::to_lowercase).collect()
}

/// A list's name as it is looked up: address books by their short name.
pub(super) fn short(name: &str) -> String {
    let [full, prefix] = ADDRESS_BOOK;
    match name.get(..full.len()) {
        Some(head) if head.eq_ignore_ascii_case(full) => {
            format!("{prefix}{}", name.get(full.len()..).unwrap_or_default())
        }
        _ => name.to_owned(),
    }
}

/// A list: the account's own, else the operator's; `None` if there is none.
pub(super) async fn find(
    account: &Account,
    settings: &FilterSettings,
    name: &str,
) -> Result<Option<Entries>, StoreError> {
    let name = short(name);
    if let Some(annotation) = list_annotation(&name)
        // Most accounts have none: known without waiting.
        && account.annotations()?.find(None, &annotation).is_some()
        && let Some((_, Some(text))) = account.annotation_values(None, vec![annotation]).await?.pop()
    {
        return Ok(Some(Arc::new(entries_of(&String::from_utf8_lossy(&text)))));
    }
    let found = settings.lists.get(&name).cloned();
    Ok(found.or_else(|| name.eq_ignore_ascii_case(DEFAULT_BOOK).then(Entries::default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_books_have_two_names_and_one_annotation() {
        for name in [":addrbook:default", "URN:ietf:params:sieve:addrbook:default"] {
            let annotation = list_annotation(name).unwrap();
            assert_eq!(annotation.as_str(), "/private/vendor/mailstead/lists/:addrbook:default");
            assert_eq!(list_of_annotation(&annotation), Some(":addrbook:default"));
        }
        assert_eq!(short("urn:ietf:params:sieve:other"), "urn:ietf:params:sieve:other");
        for none in ["", "a%", "a//b", "ä"] {
            assert_eq!(list_annotation(none), None, "{none}");
        }
    }

    #[test]
    fn a_list_has_an_entry_a_line() {
        let entries = entries_of("# those\r\nEve@Example.org\n\n  bob@example.org \n");
        assert_eq!(entries, HashSet::from(["eve@example.org".to_owned(), "bob@example.org".to_owned()]));
    }
}
