//! Which messages match: keys are tried from the cheapest to the dearest, each on what the ones before have left.
//! What the view knows touches no disk; only what nothing else decides reads messages.

use std::future::Future;
use std::pin::Pin;

use imap::fetch::FieldName;
use imap::search::{DateIs, DateOf, EnvelopeField, Needle, SearchKey};
use imap::{Day, Numbering};
use mail_types::{Uid, UidSet};
use mailstore::{Entry, HeaderField, Row, StoreError, Want, fold};
use message::{DAY_SECONDS, Summary, TextScope, TextSearch};
use platform::clock::Timestamp;
use tokio::time::Instant;

use super::super::octets::Octets;
use super::super::person::{Person, Selected};
use super::super::replies::{Refusal, Stop};
use super::hits::Hits;
use super::text;

/// Rows without summaries that are read at a time.
const FACTS_BATCH: usize = 4_096;
/// Rows with summaries that are read at a time: the summary of a message made to be hard has some hundred KiB.
const SUMMARIES_BATCH: usize = 64;

/// What a key costs for each message, cheapest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Cost {
    /// In memory.
    View,
    /// One row of the index.
    Facts,
    /// A folded column of the index.
    Columns,
    /// The summary.
    Summaries,
    /// The message.
    Octets,
}

/// A search under way.
pub(crate) struct Finder<'a> {
    person: &'a Person,
    selected: &'a Selected,
    now: Timestamp,
    deadline: Instant,
}

/// A message, its octets or why there are none, and its row.
type Opened = (u32, Result<Octets, StoreError>, Row);

type Finding<'f> = Pin<Box<dyn Future<Output = Result<Hits, Stop>> + Send + 'f>>;

impl<'a> Finder<'a> {
    /// A search of the selected mailbox.
    pub(crate) fn new(person: &'a Person, selected: &'a Selected) -> Self {
        let deadline = Instant::now() + person.settings.search_time_max;
        Self { person, selected, now: person.door.rooms.clock.now(), deadline }
    }

    /// The messages that match.
    pub(crate) async fn find(&self, key: &SearchKey) -> Result<Hits, Stop> {
        self.among(key, Hits::all(self.selected.view.messages())).await
    }

    /// Those of `among` that match. Boxed, as keys hold keys; `imap` has bounded how deep.
    fn among<'f>(&'f self, key: &'f SearchKey, among: Hits) -> Finding<'f> {
        Box::pin(async move {
            if among.is_empty() {
                return Ok(among);
            }
            // A command may hold thousands of keys, each a walk through the whole view.
            self.check_time()?;
            tokio::task::yield_now().await;
            match key {
                SearchKey::And(keys) => self.all_of(keys, among).await,
                SearchKey::Or(keys) => self.any_of(keys, among).await,
                SearchKey::Not(key) => {
                    let mut rest = among.clone();
                    rest.subtract(&self.among(key, among).await?);
                    Ok(rest)
                }
                key => match cost(key) {
                    Cost::View => self.by_view(key, among),
                    Cost::Facts => self.by_facts(key, among).await,
                    Cost::Columns => self.by_columns(key, among).await,
                    Cost::Summaries | Cost::Octets => self.by_reading(key, among).await,
                },
            }
        })
    }

    async fn all_of(&self, keys: &[SearchKey], mut among: Hits) -> Result<Hits, Stop> {
        for key in cheapest_first(keys) {
            among = self.among(key, among).await?;
        }
        Ok(among)
    }

    async fn any_of(&self, keys: &[SearchKey], mut among: Hits) -> Result<Hits, Stop> {
        let mut found = Hits::none(self.selected.view.messages());
        for key in cheapest_first(keys) {
            let hits = self.among(key, among.clone()).await?;
            among.subtract(&hits);
            found.unite(&hits);
        }
        Ok(found)
    }

    fn by_view(&self, key: &SearchKey, mut among: Hits) -> Result<Hits, Stop> {
        let view = &self.selected.view;
        let matching = match key {
            SearchKey::All | SearchKey::SaveDateSupported => return Ok(among),
            SearchKey::Sequence(set) => self.named(self.selected.named(set, Numbering::Sequence)?.numbers),
            SearchKey::Uid(set) => self.named(self.selected.named(set, Numbering::Uid)?.numbers),
            SearchKey::Flag(flag) => self.entries(|entry| entry.flags.has(*flag)),
            SearchKey::Keyword(keyword) => match view.keywords().iter().position(|known| known == keyword) {
                Some(number) => self.entries(|entry| entry.flags.keywords.contains(number)),
                None => Hits::none(view.messages()),
            },
            SearchKey::ModSeq(least) => self.entries(|entry| entry.modseq >= *least),
            // No message is recent here (RFC 3501 §2.3.2 leaves it to the server), and no identifier unknown to us
            // is a message's.
            _ => Hits::none(view.messages()),
        };
        among.intersect(&matching);
        Ok(among)
    }

    fn named(&self, numbers: Vec<(u32, u32)>) -> Hits {
        let mut hits = Hits::none(self.selected.view.messages());
        numbers.into_iter().for_each(|(first, last)| hits.add_range(first, last));
        hits
    }

    fn entries(&self, matches: impl Fn(&Entry) -> bool) -> Hits {
        let mut hits = Hits::none(self.selected.view.messages());
        for (number, entry) in self.selected.view.iter() {
            if matches(&entry) {
                hits.add(number);
            }
        }
        hits
    }

    async fn by_facts(&self, key: &SearchKey, among: Hits) -> Result<Hits, Stop> {
        let mut found = Hits::none(self.selected.view.messages());
        for batch in self.messages(&among).chunks(FACTS_BATCH) {
            for (number, row) in self.rows(batch, Want::Facts).await? {
                if self.facts_match(key, &row) {
                    found.add(number);
                }
            }
        }
        Ok(found)
    }

    fn facts_match(&self, key: &SearchKey, row: &Row) -> bool {
        let age = self.now.unix_seconds().saturating_sub(row.internal_date.unix_seconds());
        match key {
            SearchKey::Date { of: DateOf::Internal, is, day } => lies(day_of(row.internal_date), *is, *day),
            SearchKey::Date { of: DateOf::Saved, is, day } => lies(day_of(row.save_date), *is, *day),
            SearchKey::Older(seconds) => age >= i64::from(*seconds),
            SearchKey::Younger(seconds) => age <= i64::from(*seconds),
            SearchKey::Larger(octets) => row.octets > *octets,
            SearchKey::Smaller(octets) => row.octets < *octets,
            SearchKey::EmailId(email) => *email == Some(row.email),
            SearchKey::ThreadId(thread) => *thread == Some(row.thread),
            _ => false,
        }
    }

    async fn by_columns(&self, key: &SearchKey, among: Hits) -> Result<Hits, Stop> {
        let (field, Needle(needle)) = match key {
            SearchKey::Envelope(EnvelopeField::Bcc, needle) => (HeaderField::Bcc, needle),
            SearchKey::Envelope(EnvelopeField::Cc, needle) => (HeaderField::Cc, needle),
            SearchKey::Envelope(EnvelopeField::From, needle) => (HeaderField::From, needle),
            SearchKey::Envelope(EnvelopeField::To, needle) => (HeaderField::To, needle),
            SearchKey::Envelope(EnvelopeField::Subject, needle) => (HeaderField::Subject, needle),
            SearchKey::Header(name, needle) if is_message_id(name) => (HeaderField::MessageId, needle),
            SearchKey::Header(_, needle) => (HeaderField::Subject, needle),
            _ => return Ok(Hits::none(self.selected.view.messages())),
        };
        self.check_time()?;
        let uids = among.uids(&self.selected.view);
        let account = &self.person.account;
        let found = account.search_header(self.selected.mailbox, &uids, field, &fold(needle)).await?;
        Ok(self.named(self.selected.numbers_of(&found).numbers))
    }

    /// Reads summaries, and messages where the key needs them: the next ones are opened while the last are searched.
    async fn by_reading(&self, key: &SearchKey, among: Hits) -> Result<Hits, Stop> {
        let mut found = Hits::none(self.selected.view.messages());
        let words = TextSearch::new(&[needle(key)]);
        for batch in self.messages(&among).chunks(SUMMARIES_BATCH) {
            let rows = self.rows(batch, Want::Summaries).await?;
            let mut rest = rows.into_iter();
            let mut opened = self.open_some(key, &mut rest).await?;
            while !opened.is_empty() {
                let searching = self.search_opened(key, &words, opened, &mut found);
                let (searched, following) = tokio::join!(searching, self.open_some(key, &mut rest));
                searched?;
                opened = following?;
            }
        }
        Ok(found)
    }

    async fn open_some(
        &self,
        key: &SearchKey,
        rest: &mut std::vec::IntoIter<(u32, Row)>,
    ) -> Result<Vec<Opened>, StoreError> {
        let account = &self.person.account;
        if cost(key) < Cost::Octets {
            let closed = |(number, row): (u32, Row)| (number, Ok(Octets::closed(account, &row)), row);
            return Ok(rest.map(closed).collect());
        }
        let count = Octets::together(rest.as_slice().iter().map(|(_, row)| row.octets));
        let some: Vec<_> = rest.take(count).collect();
        if some.is_empty() {
            return Ok(Vec::new());
        }
        let octets = Octets::open_all(account, some.iter().map(|(_, row)| row)).await?;
        Ok(some.into_iter().zip(octets).map(|((number, row), octets)| (number, octets, row)).collect())
    }

    async fn search_opened(
        &self,
        key: &SearchKey,
        words: &TextSearch,
        opened: Vec<Opened>,
        found: &mut Hits,
    ) -> Result<(), Stop> {
        for (number, octets, row) in opened {
            self.check_time()?;
            // A summary that cannot be read cannot match; FETCH makes such a one anew, a search does not.
            let Some(Ok(summary)) = row.summary.as_deref().map(Summary::decode) else { continue };
            let matched = match octets {
                Ok(mut octets) => reading_matches(key, words, &mut octets, &summary).await,
                Err(error) => Err(error),
            };
            match matched {
                Ok(true) => found.add(number),
                // A message that another session has expunged meanwhile is not found.
                Ok(false) | Err(StoreError::NoSuchMessage) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The messages among these with their identifiers.
    fn messages(&self, among: &Hits) -> Vec<(u32, Uid)> {
        let hits = self.selected.view.iter().filter(|&(number, _)| among.contains(number));
        hits.map(|(number, entry)| (number, entry.uid)).collect()
    }

    /// The rows of those messages that still exist, with their sequence numbers.
    async fn rows(&self, messages: &[(u32, Uid)], want: Want) -> Result<Vec<(u32, Row)>, Stop> {
        self.check_time()?;
        let uids: UidSet = messages.iter().map(|&(_, uid)| uid).collect();
        let rows = self.person.account.rows(self.selected.mailbox, &uids, want).await?;
        let mut messages = messages.iter().peekable();
        let numbered = rows.into_iter().filter_map(|row| {
            while messages.next_if(|(_, uid)| *uid < row.uid).is_some() {}
            messages.next_if(|(_, uid)| *uid == row.uid).map(|&(number, _)| (number, row))
        });
        Ok(numbered.collect())
    }

    /// One search must not keep the machine busy for ever.
    fn check_time(&self) -> Result<(), Refusal> {
        if Instant::now() > self.deadline { Err(Refusal::SearchTooCostly) } else { Ok(()) }
    }
}

async fn reading_matches(
    key: &SearchKey,
    words: &TextSearch,
    octets: &mut Octets,
    summary: &Summary,
) -> Result<bool, StoreError> {
    match key {
        SearchKey::Date { of: DateOf::Sent, is, day } => Ok(summary.date.is_some_and(|date| {
            // The day as the sender wrote it, its zone left aside (RFC 9051 §6.4.4).
            let local = date.unix_seconds.saturating_add(i64::from(date.zone_minutes) * 60);
            lies(local.div_euclid(DAY_SECONDS), *is, *day)
        })),
        SearchKey::Header(name, _) => text::in_field(octets, summary, name, words.clone()).await,
        SearchKey::Body(_) => text::in_text(octets, summary, TextScope::Body, words.clone()).await,
        SearchKey::Text(_) => text::in_text(octets, summary, TextScope::HeaderAndBody, words.clone()).await,
        _ => Ok(false),
    }
}

/// The needle of a key that has one.
fn needle(key: &SearchKey) -> &str {
    match key {
        SearchKey::Header(_, Needle(needle))
        | SearchKey::Body(Needle(needle))
        | SearchKey::Text(Needle(needle)) => needle,
        _ => "",
    }
}

/// What a key costs: as much as the dearest within it.
fn cost(key: &SearchKey) -> Cost {
    match key {
        SearchKey::And(keys) | SearchKey::Or(keys) => keys.iter().map(cost).max().unwrap_or(Cost::View),
        SearchKey::Not(key) => cost(key),
        SearchKey::All
        | SearchKey::Flag(_)
        | SearchKey::Keyword(_)
        | SearchKey::Recent
        | SearchKey::SaveDateSupported
        | SearchKey::Sequence(_)
        | SearchKey::Uid(_)
        | SearchKey::ModSeq(_)
        | SearchKey::EmailId(None)
        | SearchKey::ThreadId(None) => Cost::View,
        SearchKey::Date { of: DateOf::Internal | DateOf::Saved, .. }
        | SearchKey::Older(_)
        | SearchKey::Younger(_)
        | SearchKey::Larger(_)
        | SearchKey::Smaller(_)
        | SearchKey::EmailId(Some(_))
        | SearchKey::ThreadId(Some(_)) => Cost::Facts,
        SearchKey::Envelope(..) => Cost::Columns,
        SearchKey::Header(name, _) if is_message_id(name) => Cost::Columns,
        SearchKey::Header(name, _) if name.as_str().eq_ignore_ascii_case("Subject") => Cost::Columns,
        SearchKey::Date { of: DateOf::Sent, .. } | SearchKey::Header(..) => Cost::Summaries,
        SearchKey::Body(_) | SearchKey::Text(_) => Cost::Octets,
    }
}

fn is_message_id(name: &FieldName) -> bool {
    name.as_str().eq_ignore_ascii_case("Message-ID")
}

fn cheapest_first(keys: &[SearchKey]) -> Vec<&SearchKey> {
    let mut sorted: Vec<_> = keys.iter().collect();
    sorted.sort_by_key(|key| cost(key));
    sorted
}

fn day_of(time: Timestamp) -> i64 {
    time.unix_seconds().div_euclid(DAY_SECONDS)
}

fn lies(day: i64, is: DateIs, given: Day) -> bool {
    let given = i64::from(given.since_epoch);
    match is {
        DateIs::Before => day < given,
        DateIs::On => day == given,
        DateIs::Since => day >= given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_lie_before_on_or_since() {
        let day = |since_epoch| Day { since_epoch };
        let seconds = Timestamp::from_unix_seconds;
        assert!(lies(day_of(seconds(86_399)), DateIs::On, day(0)));
        assert!(lies(day_of(seconds(86_400)), DateIs::Since, day(1)));
        assert!(!lies(day_of(seconds(86_400)), DateIs::Before, day(1)));
        assert!(lies(day_of(seconds(-1)), DateIs::On, day(-1)));
    }

    #[test]
    fn dear_keys_come_last() {
        let keys = [SearchKey::Body(Needle("x".into())), SearchKey::Larger(1), SearchKey::All];
        let sorted: Vec<_> = cheapest_first(&keys).into_iter().map(cost).collect();
        assert_eq!(sorted, [Cost::View, Cost::Facts, Cost::Octets]);
    }
}
