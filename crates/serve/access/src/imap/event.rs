//! Who waits for what clients do to messages is told of it, once that is done: scripts may run on it (RFC 6785).

use std::collections::BTreeMap;

use mail_types::{Flags, Keyword, SystemFlag, UidSet};
use mailstore::{MailboxEvent, View};

/// Takes what has been done. It must not wait.
pub type EventSink = Box<dyn Fn(MailboxEvent) + Send + Sync>;

/// Which of these messages had which flags set or taken away, between what the client knew and now.
pub(crate) fn changed_flags(before: &View, now: &View, uids: &UidSet) -> Vec<(Vec<String>, UidSet)> {
    let mut groups: BTreeMap<Vec<String>, UidSet> = BTreeMap::new();
    for uid in uids.iter() {
        let (Some((_, old)), Some((_, new))) = (before.find(uid), now.find(uid)) else { continue };
        let names = names(old.flags.without(new.flags).union(new.flags.without(old.flags)), now.keywords());
        if !names.is_empty() {
            groups.entry(names).or_default().push(uid);
        }
    }
    groups.into_iter().collect()
}

fn names(flags: Flags, keywords: &[Keyword]) -> Vec<String> {
    let system = SystemFlag::ALL.into_iter().filter(|flag| flags.has(*flag));
    let keywords = flags.keywords.numbers().filter_map(|number| keywords.get(number));
    let keywords = keywords.map(|keyword| keyword.as_str().to_owned());
    system.map(|flag| flag.name().to_owned()).chain(keywords).collect()
}
