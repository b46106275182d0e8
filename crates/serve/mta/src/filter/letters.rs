//! Mail that scripts cause, made ready for the one write: letters of ours, signed; the message as a script left it; the
//! message sent on, marked and sealed as what aliases pass on is.

use directory::{Recipients, Resolution};
use mail_types::{Address, ForwardPath, MailboxName, ReversePath};
use mailstore::{Arriving, Filing, FilingTarget, FlagNames, Holding, QuotaLimit, StoreError};
use message::{Collected, HeaderCollector, Span, Traits, fields, write_address_field, write_return_path};
use queue::{BodyNeeds, MessageKind, NewMessage, Notify, Recipient};
use sender_auth::arc::ChainResult;
use sieve::Letter;
use sieve::message::{Edition, Piece};

use super::plan::{Entry, Known};
use super::run::{Octets, REDIRECTED, runs};
use crate::Rooms;
use crate::deliver::queued::Brought;
use crate::inspect::watch::{self, Watch, keys_for};
use crate::receive::header;

/// Longest header of a message that is changed or sent on: what we take, and what scripts may put on top of it.
const HEADER_OCTETS_MAX: usize = 2 * header::HEADER_OCTETS_MAX;
/// Accounts that one letter may reach: a script's letters go to people, not to lists of ours.
const READERS_MAX: usize = 20;

/// Who makes mail ready.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) rooms: &'a Rooms,
    pub(crate) known: Known<'a>,
    pub(crate) brought: Brought,
}

/// What is done to the header of a message before it is stored.
#[derive(Clone, Copy)]
enum Treatment<'a> {
    /// Nothing: it is the message of somebody else, as a script left it.
    None,
    /// It is ours: signed, and with a null sender.
    Letter,
    /// It is sent on by this account.
    SentOn(&'a Address),
}

impl Desk<'_> {
    /// The message as a script left it.
    pub(crate) async fn edited(&self, source: &Octets, edition: &Edition) -> Result<Arriving, StoreError> {
        Box::pin(self.compose(source, Some(edition), Treatment::None)).await
    }

    /// A message of a mailbox once more, as it is.
    pub(crate) async fn again(&self, source: &Octets) -> Result<Arriving, StoreError> {
        Box::pin(self.compose(source, None, Treatment::None)).await
    }

    /// The message as it is sent on by an account.
    pub(crate) async fn sent_on(
        &self,
        source: &Octets,
        edition: Option<&Edition>,
        by: &Address,
    ) -> Result<Arriving, StoreError> {
        Box::pin(self.compose(source, edition, Treatment::SentOn(by))).await
    }

    /// A letter of ours, for whom it reaches; nobody, where no recipient is there. What is to be filed beside it goes into
    /// the same entry.
    pub(crate) async fn letter(
        &self,
        source: &Octets,
        letter: &Letter,
        copy: Option<Filing>,
    ) -> Result<Option<Entry>, StoreError> {
        let mut filings: Vec<Filing> = copy.into_iter().collect();
        let mut remote = Vec::new();
        for recipient in &letter.recipients {
            match self.rooms.directory.resolve(&ForwardPath::Address(recipient.clone())) {
                Resolution::Deliver(Recipients { local, remote: elsewhere }) => {
                    let readers = local.into_iter().take(READERS_MAX);
                    filings.extend(readers.map(|reader| self.inbox_of(reader.account)));
                    remote.extend(elsewhere);
                }
                Resolution::NotLocal => remote.push(recipient.clone()),
                Resolution::Discard | Resolution::Unknown | Resolution::Disabled | Resolution::Loop => {}
            }
        }
        remote.truncate(READERS_MAX);
        if self.rooms.queue.is_none() {
            remote.clear();
        }
        if remote.is_empty() && filings.is_empty() {
            return Ok(None);
        }
        let message = Box::pin(self.compose(source, Some(&letter.content), Treatment::Letter)).await?;
        let queued = (!remote.is_empty()).then(|| self.queued_letter(&message, remote));
        let filings = filings.into_iter().map(|filing| (None, filing)).collect();
        Ok(Some(Entry { message, queued, caused_by: None, filings }))
    }

    /// A letter of ours to an account here.
    pub(crate) async fn note(
        &self,
        octets: &[u8],
        account: mail_types::AccountId,
    ) -> Result<Entry, StoreError> {
        let mut composing = Box::new(self.begin(Treatment::Letter)?);
        Box::pin(composing.take(octets)).await?;
        let message = Box::pin(composing.finish()).await?;
        let filings = vec![(None, self.inbox_of(account))];
        Ok(Entry { message, queued: None, caused_by: None, filings })
    }

    fn inbox_of(&self, account: mail_types::AccountId) -> Filing {
        Filing {
            account,
            mailbox: FilingTarget::Name(MailboxName::inbox()),
            flags: FlagNames::default(),
            internal_date: self.brought.now,
            quota: QuotaLimit::NONE,
            way: self.brought.way,
        }
    }

    fn queued_letter(&self, message: &Arriving, remote: Vec<Address>) -> NewMessage {
        let routing = &self.known.settings.routing;
        let recipients: Vec<Recipient> = remote
            .into_iter()
            .map(|to| {
                let destination = routing.destination(&ReversePath::Null, &to);
                Recipient::plain(to, destination, Notify::Never)
            })
            .collect();
        // A name of its own: what becomes of it is not the way of the message that caused it.
        let way = (self.rooms.next_transaction)();
        NewMessage {
            // RFC 3834 §3.3: whatever cannot be delivered of it comes back to nobody.
            reverse_path: ReversePath::Null,
            kind: MessageKind::Report,
            needs: needs(message.summary().traits, &recipients),
            ..NewMessage::plain(way, self.brought.now, recipients)
        }
    }

    fn begin<'s>(&'s self, treatment: Treatment<'s>) -> Result<Composing<'s>, StoreError> {
        Ok(Composing {
            desk: *self,
            treatment,
            holding: self.rooms.store.holding()?,
            collector: Some(HeaderCollector::new(HEADER_OCTETS_MAX)),
            watch: Watch::default(),
        })
    }

    async fn compose(
        &self,
        source: &Octets,
        edition: Option<&Edition>,
        treatment: Treatment<'_>,
    ) -> Result<Arriving, StoreError> {
        let mut composing = self.begin(treatment)?;
        let whole = [Piece::Original(Span::new(0, source.0.octets()))];
        for piece in edition.map_or(&whole[..], Edition::pieces) {
            match piece {
                Piece::Literal(octets) => composing.take(octets).await?,
                Piece::Original(span) => {
                    for run in runs(*span) {
                        composing.take(&source.0.read(run).await?).await?;
                    }
                }
            }
        }
        composing.finish().await
    }

    /// The key that seals what an account sends on, as one of its domain's alias would be sealed.
    fn seal(&self, header: &[u8], by: &Address, watch: &mut Watch) {
        let keys = by.domain_name().map(|domain| keys_for(&self.rooms.directory, domain));
        // Only who has checked can tell others what was found.
        if self.known.judged.is_some()
            && let Some(key) = keys.as_deref().and_then(watch::sealing_key)
        {
            watch.seal(header, key, header::seconds(self.brought.now));
        }
    }
}

/// A message that is being written.
struct Composing<'a> {
    desk: Desk<'a>,
    treatment: Treatment<'a>,
    holding: Holding,
    /// Until the header is whole.
    collector: Option<HeaderCollector>,
    watch: Watch,
}

impl Composing<'_> {
    async fn take(&mut self, octets: &[u8]) -> Result<(), StoreError> {
        let Some(collector) = &mut self.collector else { return self.body(octets).await };
        match collector.feed(octets) {
            Collected::More => Ok(()),
            Collected::Complete { taken } => {
                self.header().await?;
                self.body(octets.get(taken..).unwrap_or_default()).await
            }
            Collected::TooLong => Err(StoreError::Limit("octets of a header")),
        }
    }

    async fn header(&mut self) -> Result<(), StoreError> {
        let Some(collector) = self.collector.take() else { return Ok(()) };
        let mut header = collector.into_header();
        match self.treatment {
            Treatment::None => {}
            Treatment::Letter => {
                header::sign(&mut self.watch, &header, &self.desk.rooms.directory, self.desk.brought.now);
            }
            Treatment::SentOn(by) => {
                header = marked(&header, by);
                self.desk.seal(&header, by, &mut self.watch);
            }
        }
        self.holding.write(&header).await
    }

    async fn body(&mut self, octets: &[u8]) -> Result<(), StoreError> {
        self.watch.body(octets);
        self.holding.write(octets).await
    }

    async fn finish(mut self) -> Result<Arriving, StoreError> {
        // A message without a blank line is all header.
        self.header().await?;
        let watched = self.watch.finish();
        let mut front = Vec::new();
        if matches!(self.treatment, Treatment::Letter) {
            write_return_path(&ReversePath::Null, &mut front);
        }
        front.extend(watched.signer.map(|signer| watch::signed(*signer)).unwrap_or_default());
        if let Some((sealer, judged)) = watched.sealer.zip(self.desk.known.judged) {
            // A set that we put on it for an alias makes a chain that was none.
            let chain = match judged.findings.arc.result {
                ChainResult::None if sealer.0.instance() > 1 => ChainResult::Pass,
                chain => chain,
            };
            front.extend(judged.seal(sealer, &self.desk.known.settings.hostname, chain));
        }
        self.holding.finish(front).await
    }
}

/// The header of a message that is sent on: without the sender's path, which is the next host's to write, and with the
/// mark of who sent it on.
fn marked(header: &[u8], by: &Address) -> Vec<u8> {
    let mut marked = Vec::with_capacity(header.len() + 128);
    write_address_field(REDIRECTED, &[("", by)], &mut marked);
    let mut all = fields(header);
    for field in all.by_ref() {
        if !field.is_named("Return-Path") {
            marked.extend_from_slice(field.raw);
        }
    }
    marked.extend_from_slice(all.rest());
    marked
}

/// What a server must offer to take a message of these traits.
pub(crate) fn needs(traits: Traits, recipients: &[Recipient]) -> BodyNeeds {
    let is_international = recipients.iter().any(|recipient| recipient.forward_path.is_international());
    BodyNeeds { eight_bit: traits.has_eight_bit, binary: false, international: is_international }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_on_has_a_mark_and_no_return_path() {
        let by = Address::parse("ann@example.org").unwrap();
        let header = b"Return-Path: <a@b.example>\r\nReceived: x\r\nSubject: y\r\n\r\n";
        let marked = String::from_utf8(marked(header, &by)).unwrap();
        assert_eq!(marked, "X-Sieve-Redirected-From: ann@example.org\r\nReceived: x\r\nSubject: y\r\n\r\n");
    }
}
