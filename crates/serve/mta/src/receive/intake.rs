//! Step 5 of a message's way: streams DATA and BDAT through `smtp::framing` into the mailstore. The header is gathered
//! first, since all that is judged and changed is there; no whole message is in memory. What we put in front is known
//! when the message has come whole.

use std::sync::Arc;
use std::time::Duration;

use mailstore::{Arriving, Holding};
use message::{Client, MailProtocol};
use platform::guard::Offence;
use platform::lines::Wire;
use sender_auth::QueryName;
use sender_auth::dkim::KeyFor;
use smtp::Reply;
use smtp::command::HelloVerb;
use smtp::framing::{ChunkDestiny, ChunkReader, DataReader, Piece};
use smtp::server::Step;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::header::{self, HeaderInWaiting, Origin, Stranger};
use super::judgement::Judged;
use super::replies;
use super::session::{Conversation, Stop};
use super::trace::Trace;
use crate::Listener;
use crate::content::{Opinion, with_subject};
use crate::deliver::local::describe;
use crate::deliver::queued::Place;
use crate::deliver::route::{Asking, Route};
use crate::inspect::watch::{self, Watch, Watched};
use crate::submit::Author;

/// Octets of a header from which on it needs one of the places of large ones.
const SMALL_HEADER_OCTETS: usize = 64 * 1024;
/// Large headers that may be coming at a time: 64 MiB in all, whatever is sent to us.
pub(crate) const LARGE_HEADERS_MAX: usize = 32;
/// How long one waits for its place; its sender meanwhile finds that we read no more.
const PLACE_WAIT: Duration = Duration::from_secs(30);

/// A message on its way in.
pub(crate) struct Receiving {
    /// Where the octets go; when it fails the rest is read and thrown away.
    holding: Result<Holding, Reply>,
    header: Header,
    /// Its Message-ID field, known when the header has come.
    message_id: Option<String>,
    watch: Watch,
    /// The places of large headers, and this one's.
    places: Arc<Semaphore>,
    place: Option<OwnedSemaphorePermit>,
}

/// What still has to be done with the header.
enum Header {
    /// Gather it, judge it and make of it what is stored.
    Gather(Box<HeaderInWaiting>),
    /// Nothing: it has passed.
    Passed,
}

/// A message that has come whole, filed nowhere yet.
pub(crate) struct Arrived {
    pub(crate) message: Arriving,
    /// What was found about its sender, where somebody looked.
    pub(crate) judged: Option<Box<Judged>>,
    /// What is thought of its content, where somebody asked.
    pub(crate) opinion: Option<Box<Opinion>>,
    /// Where others' engines want it.
    pub(crate) by_engines: Place,
}

impl Arrived {
    /// Where it is filed, by what was found about its sender and by others' engines, and for those elsewhere by its content,
    /// too.
    pub(crate) fn places(&self) -> (Place, Place) {
        let by_sender = self.judged.as_ref().map_or(Place::Inbox, |judged| judged.place);
        let by_sender = by_sender.max(self.by_engines);
        let by_content = self.opinion.as_ref().map_or(Place::Inbox, |opinion| opinion.elsewhere());
        (by_sender, by_sender.max(by_content))
    }
}

impl Conversation {
    /// Reads a message sent with DATA, to its true end whatever happens to it.
    pub(crate) async fn read_data(
        &mut self,
        mut reader: DataReader,
        wire: &mut Wire,
    ) -> Result<Step<Route>, Stop> {
        let mut receiving = self.begin_message();
        let end = loop {
            let (taken, piece) = reader.next(wire.input());
            match piece {
                Piece::Octets(octets) => receiving.take(octets).await,
                Piece::NeedMore => {
                    wire.consume(taken);
                    self.await_piece(wire).await?;
                    continue;
                }
                Piece::End(end) => {
                    wire.consume(taken);
                    break end;
                }
            }
            wire.consume(taken);
        };
        if end.has_bare_newline() {
            self.offended(Offence::Abuse);
        }
        let received = match end.refusal() {
            Some(reply) => Err(reply),
            None => Box::pin(self.finish_message(*receiving)).await,
        };
        if let Err(reply) = &received {
            self.note_refused_message(reply);
        }
        Ok(self.session.on_end_of_data(end, received, &mut self.out))
    }

    /// Reads one chunk.
    pub(crate) async fn read_chunk(
        &mut self,
        mut reader: ChunkReader,
        wire: &mut Wire,
    ) -> Result<Step<Route>, Stop> {
        let mut receiving = match (reader.destiny(), self.receiving.take()) {
            (ChunkDestiny::Keep, Some(receiving)) => Some(receiving),
            (ChunkDestiny::Keep, None) => Some(self.begin_message()),
            (ChunkDestiny::Discard, _) => None,
        };
        let end = loop {
            let (taken, piece) = reader.next(wire.input());
            match (piece, receiving.as_mut()) {
                (Piece::Octets(octets), Some(receiving)) => receiving.take(octets).await,
                (Piece::Octets(_), None) => {}
                (Piece::NeedMore, _) => {
                    wire.consume(taken);
                    self.await_piece(wire).await?;
                    continue;
                }
                (Piece::End(end), _) => {
                    wire.consume(taken);
                    break end;
                }
            }
            wire.consume(taken);
        };
        let received = match (end.refusal(), receiving) {
            (Some(reply), _) => Err(reply),
            (None, None) => self.session.chunk_refusal().map_or(Ok(()), |reply| Err(reply.clone())),
            (None, Some(receiving)) if reader.is_last() => Box::pin(self.finish_message(*receiving)).await,
            (None, Some(receiving)) => {
                let so_far = receiving.state();
                self.receiving = Some(receiving);
                so_far
            }
        };
        if let Err(reply) = &received {
            self.note_refused_message(reply);
        }
        Ok(self.session.on_end_of_chunk(end, received, &mut self.out))
    }

    /// Opens the place where the message waits until it has come whole.
    fn begin_message(&self) -> Box<Receiving> {
        let holding = self.door.rooms.store.holding().map_err(|error| refuse(&error));
        let header = Header::Gather(Box::new(HeaderInWaiting::new(self.origin())));
        // On the heap: the conversation's own future stays small while nothing comes in.
        let places = Arc::clone(&self.door.large_headers);
        let watch = Watch::default();
        Box::new(Receiving { holding, header, message_id: None, watch, places, place: None })
    }

    fn origin(&self) -> Origin {
        let rooms = &self.door.rooms;
        let (directory, now) = (rooms.directory.clone(), rooms.clock.now());
        let received_max = self.live.settings.received_max;
        match (&self.client.who, self.client.listener, self.asking()) {
            (Some(who), ..) => Origin::Author(Author { directory, who: who.clone(), now }),
            (None, Listener::Lmtp, _) => Origin::Front { received_max, is_judged: self.judges_fronts() },
            (None, _, Asking::Ours) => Origin::Host { received_max, directory, now },
            (None, _, Asking::Stranger) => {
                let checks = &self.live.settings.checks;
                match checks.is_unchecked(self.client.peer.address()) {
                    // Whether or not anything is checked, nobody else speaks in our name (RFC 8601 §5).
                    false => Origin::Stranger(Stranger {
                        received_max,
                        us: self.live.settings.hostname.clone(),
                        is_checked: checks.is_on && rooms.resolver.is_some(),
                        seal: self.sealing_key().filter(|_| checks.is_on),
                        now,
                    }),
                    true => Origin::Front { received_max, is_judged: self.judges_fronts() },
                }
            }
        }
    }

    fn judges_fronts(&self) -> bool {
        let settings = self.door.rooms.content.settings();
        settings.checks_fronts && settings.everybody.is_on
    }

    /// Whether whoever brings mail is a stranger whose mail is checked.
    pub(super) fn is_checked_stranger(&self) -> bool {
        let is_stranger = self.client.listener != Listener::Lmtp && self.asking() == Asking::Stranger;
        is_stranger && self.live.settings.checks.are_for(self.client.peer.address())
    }

    /// The key of whoever passes the message on, where it is passed on (RFC 8617 §7.1).
    fn sealing_key(&self) -> Option<KeyFor> {
        let recipients = &self.session.envelope()?.recipients;
        let mut targets = recipients.iter().flat_map(|recipient| recipient.route.remote());
        let alias = targets.find_map(|target| target.expanded_from.as_ref())?;
        watch::sealing_key(&watch::keys_for(&self.door.rooms.directory, alias.domain_name()?))
    }

    /// Return-Path and Received; `host` is the name that the client's address proves to have.
    pub(super) fn trace_fields(&self, host: Option<&str>) -> Option<Vec<u8>> {
        let envelope = self.session.envelope()?;
        let transaction = self.transaction.as_ref()?;
        let hello = self.session.hello()?;
        let client = match self.client.who {
            Some(_) => None,
            None => Some(Client { hello: &hello.name, host, address: self.client.peer.address() }),
        };
        let only_recipient = match envelope.recipients.as_slice() {
            [one] => Some(&one.forward_path),
            _ => None,
        };
        let trace = Trace {
            reverse_path: &envelope.reverse_path,
            client,
            hostname: self.live.settings.hostname.as_str(),
            protocol: match hello.verb {
                HelloVerb::Helo => MailProtocol::Smtp,
                HelloVerb::Ehlo => MailProtocol::Esmtp,
                HelloVerb::Lhlo => MailProtocol::Lmtp,
            },
            is_international: envelope.parameters.smtputf8,
            tls: self.client.tls,
            transaction: transaction.id,
            only_recipient,
            now: self.door.rooms.clock.now(),
        };
        Some(trace.to_fields())
    }

    /// The message has come whole: what we have to say of it goes in front, if it is taken at all.
    async fn finish_message(&mut self, mut receiving: Receiving) -> Result<(), Reply> {
        // A message without a blank line is all header.
        receiving.pass_header().await;
        if let Some(transaction) = &mut self.transaction {
            transaction.message_id = receiving.message_id.take();
        }
        let (holding, mut watched) = receiving.end()?;
        let judged = match &watched.claims {
            Some(claims) => self.judge_message(claims).await?,
            None => None,
        };
        let host = judged.as_ref().and_then(|judged| judged.findings.iprev.name()).map(QueryName::as_str);
        let (holding, quarantine) = self.pass_milters(holding, &mut watched).await?;
        let engined = self.ask_scanners(&holding, host, quarantine).await?;
        let holding = self.edited(holding, &engined.edits, &mut watched).await?;
        let Watched { sealer, signer, .. } = watched;
        let mut front = self.trace_fields(host).unwrap_or_default();
        let us = &self.live.settings.hostname;
        let results = judged.as_ref().map(|judged| judged.results(us)).unwrap_or_default();
        let opinion = {
            let told = [front.as_slice(), &results].concat();
            // On the heap: a connection between messages has no use for it.
            Box::pin(self.judge_content(&holding.reader(), &told, judged.as_ref())).await?
        };
        if let Some(signer) = signer {
            front.extend(watch::signed(*signer));
        }
        let elsewhere = opinion.as_ref().map_or(Place::Inbox, |opinion| opinion.elsewhere());
        // A seal over another subject would be broken.
        let keeps_subject = opinion.as_ref().is_none_or(|opinion| opinion.subject_prefix.is_none());
        let is_passed_on = elsewhere.max(engined.place) == Place::Inbox && keeps_subject;
        if let Some(judged) = &judged {
            let sealer = sealer.filter(|_| is_passed_on);
            front.extend(judged.seal_if_passed_on(sealer, &self.live.settings.hostname));
        }
        front.extend(results);
        let mut holding = holding;
        if let Some(opinion) = &opinion {
            opinion.write(&mut front);
            holding = self.with_prefix(holding, opinion).await;
        }
        front.extend(engined.front);
        let message = holding.finish(front).await.map_err(|error| refuse(&error))?;
        let (judged, opinion) = (judged.map(Box::new), opinion.map(Box::new));
        self.arrived = Some(Arrived { message, judged, opinion, by_engines: engined.place });
        Ok(())
    }

    /// The message with the prefix of spam in front of its subject, if all its recipients want one; as it came, if that cannot
    /// be made now.
    async fn with_prefix(&self, holding: Holding, opinion: &Opinion) -> Holding {
        let Some(prefix) = &opinion.subject_prefix else { return holding };
        match with_subject(&self.door.rooms.store, &holding.reader(), prefix).await {
            Ok(changed) => changed.unwrap_or(holding),
            Err(error) => {
                tracing::warn!(error = describe(&error), "the subject of spam stays as it came");
                holding
            }
        }
    }
}

impl Receiving {
    /// Whether the message can still be kept.
    fn state(&self) -> Result<(), Reply> {
        self.holding.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Takes the next octets of the message.
    async fn take(&mut self, octets: &[u8]) {
        if self.holding.is_err() || octets.is_empty() {
            return;
        }
        match &mut self.header {
            Header::Passed => self.pass_body(octets).await,
            Header::Gather(waiting) => match waiting.take(octets) {
                Ok(None) if waiting.octets() > SMALL_HEADER_OCTETS => self.claim_place().await,
                Ok(None) => {}
                Ok(Some(taken)) => {
                    self.pass_header().await;
                    self.pass_body(octets.get(taken..).unwrap_or_default()).await;
                }
                Err(reply) => self.holding = Err(reply),
            },
        }
    }

    /// The header has come whole: what is made of it is stored.
    async fn pass_header(&mut self) {
        let Header::Gather(waiting) = std::mem::replace(&mut self.header, Header::Passed) else { return };
        let finished = waiting.finish();
        self.place = None;
        match finished {
            Ok((header, watch)) => {
                self.watch = watch;
                self.message_id = header::message_id(&header);
                self.write(&header).await;
            }
            Err(reply) => self.holding = Err(reply),
        }
    }

    async fn pass_body(&mut self, octets: &[u8]) {
        self.watch.body(octets);
        self.write(octets).await;
    }

    async fn write(&mut self, octets: &[u8]) {
        if let Ok(holding) = &mut self.holding
            && let Err(error) = holding.write(octets).await
        {
            self.holding = Err(refuse(&error));
        }
    }

    /// Only so many large headers come at a time.
    async fn claim_place(&mut self) {
        if self.place.is_some() {
            return;
        }
        let place = tokio::time::timeout(PLACE_WAIT, Arc::clone(&self.places).acquire_owned()).await;
        self.place = place.ok().and_then(Result::ok);
        if self.place.is_none() {
            self.holding = Err(replies::STORE_BUSY);
            self.header = Header::Passed;
        }
    }

    /// All octets have come.
    fn end(self) -> Result<(Holding, Watched), Reply> {
        Ok((self.holding?, self.watch.finish()))
    }
}

fn refuse(error: &mailstore::StoreError) -> Reply {
    tracing::error!(error = describe(error), "the store does not take the message");
    replies::store_error(error)
}
