//! SEARCH and UID SEARCH: which messages match, and telling it in the form asked for (RFC 9051 §6.4.4, RFC 3501 §6.4.4,
//! RFC 4731, 5032, 5182, 7162 §3.1.5, 8474, 8514).

mod find;
mod hits;
mod text;

use imap::Numbering;
use imap::command::{Search, Tag};
use imap::response::{self, Esearch};
use imap::search::{SearchKey, SearchReturn};
use mail_types::ModSeq;
use platform::lines::Wire;

use super::enable;
use super::person::{Person, Selected};
use super::replies::{Done, Stop};
use find::Finder;
use hits::Hits;

/// SEARCH or UID SEARCH.
pub(crate) async fn search(
    wire: &mut Wire,
    person: &mut Person,
    tag: &Tag,
    arguments: Search,
) -> Result<Done, Stop> {
    let uses_mod_seq = arguments.key.uses_mod_seq();
    if uses_mod_seq {
        enable::imply_condstore(wire.output(), person);
    }
    let saves = arguments.returns.is_some_and(|returns| returns.save);
    let selected = person.selected()?;
    let found = match Finder::new(person, selected).find(&arguments.key).await {
        Ok(found) => found,
        Err(stop) => {
            let is_no = matches!(&stop, Stop::Refused(refusal) if !refusal.is_clients_mistake());
            if saves && is_no {
                // A search that fails with NO leaves nothing saved; BAD has no effect (RFC 9051 §6.4.4.1).
                person.selected_mut()?.saved = mail_types::UidSet::new();
            }
            return Err(stop);
        }
    };
    let answer = Answer { selected, found, numbering: arguments.numbering, uses_mod_seq };
    // SEARCH of IMAP4rev2 answers as with RETURN (ALL) (RFC 9051 §6.4.4).
    let rev2 = person.enabled.rev2.then_some(SearchReturn { all: true, ..SearchReturn::default() });
    match arguments.returns.or(rev2) {
        Some(returns) => answer.extended(wire, tag, returns),
        None => answer.plain(wire),
    }
    if let (true, Some(returns)) = (saves, arguments.returns) {
        let saved = answer.to_save(returns);
        person.selected_mut()?.saved = saved;
    }
    Ok(Done::plain("SEARCH completed"))
}

/// Whether a key names message sequence numbers, which an EXPUNGE meanwhile would change.
pub(crate) fn names_numbers(key: &SearchKey) -> bool {
    match key {
        SearchKey::Sequence(_) => true,
        SearchKey::And(keys) | SearchKey::Or(keys) => keys.iter().any(names_numbers),
        SearchKey::Not(key) => names_numbers(key),
        _ => false,
    }
}

/// What was found, and how it is to be told.
struct Answer<'a> {
    selected: &'a Selected,
    found: Hits,
    numbering: Numbering,
    uses_mod_seq: bool,
}

impl Answer<'_> {
    fn plain(&self, wire: &mut Wire) {
        let mod_seq = self.highest_mod_seq(&self.found);
        let view = &self.selected.view;
        match self.numbering {
            Numbering::Sequence => response::write_search(wire.output(), self.found.numbers(), mod_seq),
            Numbering::Uid => {
                let hits = view.iter().filter(|&(number, _)| self.found.contains(number));
                response::write_search(wire.output(), hits.map(|(_, entry)| entry.uid.0), mod_seq);
            }
        }
    }

    fn extended(&self, wire: &mut Wire, tag: &Tag, returns: SearchReturn) {
        // With SAVE alone nothing is told (RFC 5182 §2.1).
        if !(returns.min || returns.max || returns.all || returns.count) {
            return;
        }
        let (lowest, highest) = (self.found.numbers().next(), self.last());
        let ranges = returns.all.then(|| self.ranges());
        let result = Esearch {
            min: lowest.filter(|_| returns.min).and_then(|number| self.told(number)),
            max: highest.filter(|_| returns.max).and_then(|number| self.told(number)),
            all: ranges.as_deref(),
            count: returns.count.then(|| self.found.count()),
            mod_seq: self.highest_mod_seq(&self.to_tell(returns)),
        };
        response::write_esearch(wire.output(), tag, self.numbering, &result);
    }

    /// The messages whose mod-sequence counts: with MIN and MAX alone only these two (RFC 4731 §3.2).
    fn to_tell(&self, returns: SearchReturn) -> Hits {
        if returns.all || returns.count {
            return self.found.clone();
        }
        self.ends(returns)
    }

    /// What `$` means from now on: with MIN and MAX alone only these two (RFC 5182 §2.1).
    fn to_save(&self, returns: SearchReturn) -> mail_types::UidSet {
        let only_ends = (returns.min || returns.max) && !(returns.all || returns.count);
        let saved = if only_ends { self.ends(returns) } else { self.found.clone() };
        saved.uids(&self.selected.view)
    }

    fn ends(&self, returns: SearchReturn) -> Hits {
        let mut ends = Hits::none(self.selected.view.messages());
        let lowest = self.found.numbers().next().filter(|_| returns.min);
        let highest = self.last().filter(|_| returns.max);
        lowest.into_iter().chain(highest).for_each(|number| ends.add(number));
        ends
    }

    fn last(&self) -> Option<u32> {
        self.found.numbers().last()
    }

    fn told(&self, number: u32) -> Option<u32> {
        match self.numbering {
            Numbering::Sequence => Some(number),
            Numbering::Uid => self.selected.view.entry(number).map(|entry| entry.uid.0),
        }
    }

    fn ranges(&self) -> Vec<(u32, u32)> {
        if self.numbering == Numbering::Uid {
            return self.found.uids(&self.selected.view).ranges().to_vec();
        }
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for number in self.found.numbers() {
            match ranges.last_mut() {
                Some(range) if range.1 + 1 == number => range.1 = number,
                _ => ranges.push((number, number)),
            }
        }
        ranges
    }

    /// The highest mod-sequence among these, where the search asked for mod-sequences.
    fn highest_mod_seq(&self, among: &Hits) -> Option<ModSeq> {
        if !self.uses_mod_seq {
            return None;
        }
        let hits = self.selected.view.iter().filter(|&(number, _)| among.contains(number));
        hits.map(|(_, entry)| entry.modseq).max()
    }
}
