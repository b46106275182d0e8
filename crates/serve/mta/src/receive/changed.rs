//! A message that has come whole, shown to milters and scanners, and carried on as milters have changed it.

use std::sync::Arc;

use engines::milter::Modification;
use mail_types::ForwardPath;
use mailstore::Holding;
use smtp::Reply;
use smtp::command::{self, Command};
use smtp::extension::Offers;
use smtp::server::Recipient;
use tokio::time::Instant;

use super::header;
use super::milters::{Member, known};
use super::replies;
use super::session::Conversation;
use crate::deliver::queued::Place;
use crate::deliver::route::{self, Asking, Discarded, Route};
use crate::engines::counts::Verdict;
use crate::engines::engine::Failure;
use crate::engines::filter::{Changes, Rooms};
use crate::engines::rewrite::{Header, Held, write_anew};
use crate::engines::scan::{Edits, Scanned, Subject};
use crate::engines::verdicts::{Said, said, verdict_of};
use crate::inspect::watch::{Watch, Watched};

/// What others' engines have made of a message.
#[derive(Debug)]
pub(crate) struct Engined {
    /// Where they want it.
    pub(crate) place: Place,
    /// What goes in front of it.
    pub(crate) front: Vec<u8>,
    /// What becomes of its header.
    pub(super) edits: Edits,
}

impl Conversation {
    /// Shows the message to milters; the message as it is afterwards, and why it is to be kept apart, if it is.
    pub(super) async fn pass_milters(
        &mut self,
        holding: Holding,
        watched: &mut Watched,
    ) -> Result<(Holding, Option<String>), Reply> {
        if self.milters.is_none() {
            return Ok((holding, None));
        }
        self.ask_data_of_milters().await?;
        let mut members = match &mut self.milters {
            Some(milters) if !milters.discards => milters.take_members(),
            _ => return Ok((holding, None)),
        };
        let passed = Box::pin(self.pass_each(&mut members, holding, watched)).await;
        if let Some(milters) = &mut self.milters {
            milters.put_members(members);
        }
        passed
    }

    async fn pass_each(
        &mut self,
        members: &mut [Member],
        mut holding: Holding,
        watched: &mut Watched,
    ) -> Result<(Holding, Option<String>), Reply> {
        let (mut quarantine, mut is_changed) = (None, false);
        for member in members {
            if member.talk.is_none() {
                continue;
            }
            let begun = Instant::now();
            let passed = self.pass_one(member, &holding).await;
            member.filter.engine.counts.asked(begun, &passed);
            if let Ok(passed) = &passed {
                member.filter.engine.counts.said(passed.verdict());
            }
            match passed {
                Ok(Passed { said: Said::GoOn, rewritten, changes }) => {
                    if let Some(rewritten) = rewritten {
                        holding = rewritten;
                        is_changed = true;
                    }
                    self.change_envelope(changes.envelope).await;
                    quarantine = quarantine.or(changes.quarantine);
                }
                Ok(Passed { said: Said::Discard, .. }) => {
                    if let Some(milters) = &mut self.milters {
                        milters.discards = true;
                    }
                    break;
                }
                Ok(Passed { said: Said::Refuse(reply), .. }) => return Err(reply),
                Ok(Passed { said: Said::HangUp(reply), .. }) => {
                    if let Some(milters) = &mut self.milters {
                        milters.hang_up();
                    }
                    return Err(reply);
                }
                Err(failure @ Failure::Store(_)) => {
                    tracing::error!(%failure, "a message cannot be shown to a milter");
                    return Err(replies::STORE_BUSY);
                }
                Err(failure) => member.fail(&failure)?,
            }
        }
        if is_changed {
            self.vouch_anew(&holding, watched).await.map_err(|failure| {
                tracing::error!(%failure, "a changed message cannot be signed");
                replies::STORE_BUSY
            })?;
        }
        Ok((holding, quarantine))
    }

    async fn pass_one(&self, member: &mut Member, holding: &Holding) -> Result<Passed, Failure> {
        let Some(talk) = &mut member.talk else { return Err(Failure::Resting) };
        let (held, header) = Held::open(holding.reader()).await?;
        let facts = self.facts();
        let known = known(&facts);
        let store = &self.door.rooms.store;
        let rooms = Rooms { store, octets_max: self.live.settings.message_octets_max, known: &known };
        let patience = (member.filter.command_timeout, member.filter.message_timeout);
        let (verdict, mut changes) = talk.message((&held, &header), patience, &rooms).await?;
        let said = said(verdict);
        let rewritten = match said {
            Said::GoOn => changes.rewritten(store, (&held, &header)).await?,
            _ => None,
        };
        Ok(Passed { said, rewritten, changes })
    }

    /// Carries out what milters want of the envelope. What makes no sense is left, as Sendmail does.
    async fn change_envelope(&mut self, changes: Vec<Modification>) {
        for change in changes {
            let done = match &change {
                Modification::ChangeSender(address, parameters) => self.change_sender(address, parameters),
                Modification::AddRecipient(address, parameters) => {
                    self.add_recipient(address, parameters).await
                }
                Modification::DeleteRecipient(address) => self.delete_recipient(address),
                _ => Some(()),
            };
            if done.is_none() {
                let (change, address, parameters) = in_words(&change);
                tracing::warn!(
                    change,
                    ?address,
                    ?parameters,
                    "a milter's change of the envelope is not possible"
                );
            }
        }
    }

    fn change_sender(&mut self, address: &[u8], parameters: &[u8]) -> Option<()> {
        let line = line(b"MAIL FROM:", address, parameters);
        let Ok(Command::Mail(path, parsed)) = command::parse(&line, &OFFERS) else { return None };
        let envelope = self.session.envelope_mut()?;
        envelope.reverse_path = path.path;
        // What it says of octets and of who submits them is the client's to say.
        let own = &mut envelope.parameters;
        own.returned = parsed.returned.or(own.returned);
        own.envelope_id = parsed.envelope_id.or(own.envelope_id.take());
        Some(())
    }

    /// By the rules that hold for who sends the message.
    async fn add_recipient(&mut self, address: &[u8], parameters: &[u8]) -> Option<()> {
        let line = line(b"RCPT TO:", address, parameters);
        let Ok(Command::Rcpt(path, parameters)) = command::parse(&line, &OFFERS) else { return None };
        let envelope = self.session.envelope()?;
        if envelope.recipients.iter().any(|recipient| recipient.forward_path == path.path) {
            return Some(());
        }
        let reverse_path = envelope.reverse_path.clone();
        let asked = route::Question {
            reverse_path: &reverse_path,
            forward_path: &path.path,
            asking: self.asking(),
            announced_octets: 0,
        };
        let route = route::find(&self.door.rooms, &self.live.settings, asked).await.ok()?;
        let route = self.fits(route).ok()?;
        let recipient = Recipient { forward_path: path.path, parameters, route };
        self.session.envelope_mut()?.recipients.push(recipient);
        Some(())
    }

    /// Its copy is thrown away: who sent the message was told that the recipient is served.
    fn delete_recipient(&mut self, address: &[u8]) -> Option<()> {
        let line = line(b"RCPT TO:", address, b"");
        let Ok(Command::Rcpt(path, _)) = command::parse(&line, &OFFERS) else { return None };
        let wanted = path.path.to_string();
        let is_it = |path: &ForwardPath| path.to_string().eq_ignore_ascii_case(&wanted);
        let recipients = &mut self.session.envelope_mut()?.recipients;
        let mut found = None;
        for recipient in recipients.iter_mut().filter(|recipient| is_it(&recipient.forward_path)) {
            recipient.route = Route::Discard(Discarded::by_engine());
            found = Some(());
        }
        found
    }

    /// Signs and seals the message as it is now.
    async fn vouch_anew(&self, holding: &Holding, watched: &mut Watched) -> Result<(), Failure> {
        if watched.signer.is_none() && watched.sealer.is_none() {
            return Ok(());
        }
        let (held, header) = Held::open(holding.reader()).await?;
        let watch = self.watch_anew(&header, watched);
        let fresh = feed(watch, &held).await?;
        (watched.signer, watched.sealer) = (fresh.signer, fresh.sealer);
        Ok(())
    }

    fn watch_anew(&self, header: &Header, watched: &Watched) -> Watch {
        let (directory, now) = (&self.door.rooms.directory, self.door.rooms.clock.now());
        let octets = header.to_octets();
        let mut watch = Watch::default();
        if watched.signer.is_some() && (self.client.who.is_some() || self.asking() == Asking::Ours) {
            header::sign(&mut watch, &octets, directory, now);
        }
        if let Some(sealer) = &watched.sealer {
            watch.seal(&octets, sealer.1.clone(), header::seconds(now));
        }
        watch
    }

    /// Has scanners look at the message as it will be kept, unless a milter wants it thrown away.
    pub(super) async fn ask_scanners(
        &mut self,
        holding: &Holding,
        host: Option<&str>,
        quarantine: Option<String>,
    ) -> Result<Engined, Reply> {
        let engines = Arc::clone(&self.live.engines);
        let is_discarded = self.milters.as_ref().is_some_and(|milters| milters.discards);
        let mut scanned = Scanned::default();
        if !is_discarded && engines.scans(self.client.listener) {
            scanned = Box::pin(self.scan(&engines, holding, host)).await;
        }
        if let Some(reason) = &quarantine {
            scanned.lines.push(format!("milter: to be kept apart: {reason}"));
        }
        if is_discarded || scanned.is_discarded {
            scanned.lines.push("thrown away, as a filter wants it".to_owned());
            let recipients = self.session.envelope_mut().map(|envelope| &mut envelope.recipients);
            for recipient in recipients.into_iter().flatten() {
                recipient.route = Route::Discard(Discarded::by_engine());
            }
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.checks.append(&mut scanned.lines);
            transaction.by_engines = scanned.evidence;
        }
        if let Some(reply) = scanned.refusal {
            return Err(reply);
        }
        let by_milters = if quarantine.is_some() { Place::Quarantine } else { Place::Inbox };
        let place = scanned.place.max(by_milters);
        // What aliases alone would lead on has nowhere to go: our junk is not to be theirs.
        let recipients = self.session.envelope().map_or(&[][..], |envelope| &envelope.recipients);
        if place != Place::Inbox && !recipients.iter().all(|recipient| recipient.route.takes_junk()) {
            return Err(replies::REFUSED_BY_ENGINE);
        }
        Ok(Engined { place, front: scanned.front, edits: scanned.edits })
    }

    /// The message with the header that scanners want.
    pub(super) async fn edited(
        &self,
        holding: Holding,
        edits: &Edits,
        watched: &mut Watched,
    ) -> Result<Holding, Reply> {
        if *edits == Edits::default() {
            return Ok(holding);
        }
        let edited = async {
            let (held, mut header) = Held::open(holding.reader()).await?;
            let before = header.clone();
            header.edit(edits)?;
            if header == before {
                return Ok(None);
            }
            let changed = write_anew(&self.door.rooms.store, &header, &held.reader, held.body_at).await?;
            self.vouch_anew(&changed, watched).await?;
            Ok(Some(changed))
        };
        match Box::pin(edited).await {
            Ok(changed) => Ok(changed.unwrap_or(holding)),
            Err(failure) => {
                let failure: Failure = failure;
                tracing::error!(%failure, "the header of a message cannot be changed");
                Err(replies::STORE_BUSY)
            }
        }
    }

    async fn scan(
        &self,
        engines: &crate::engines::Engines,
        holding: &Holding,
        host: Option<&str>,
    ) -> Scanned {
        let trace = self.trace_fields(host).unwrap_or_default();
        let transaction =
            self.transaction.as_ref().map(|transaction| transaction.id.to_text()).unwrap_or_default();
        let envelope = self.session.envelope();
        let sender = envelope.map(|envelope| envelope.reverse_path.to_string()).unwrap_or_default();
        let recipients = envelope.map_or(&[][..], |envelope| &envelope.recipients);
        let user = self.client.who.as_ref().map(|who| who.address().to_string());
        let subject = Subject {
            reader: &holding.reader(),
            trace: &trace,
            listener: self.client.listener,
            address: self.client.peer.address(),
            hello: self.session.hello().map_or("", |hello| &hello.name),
            host,
            user: user.as_deref(),
            sender: &sender,
            recipients: recipients.iter().map(|recipient| recipient.forward_path.to_string()).collect(),
            transaction: &transaction,
            us: &self.live.settings.hostname,
        };
        engines.scan(&subject).await
    }
}

/// What one milter made of a message.
struct Passed {
    said: Said,
    rewritten: Option<Holding>,
    changes: Changes,
}

impl Passed {
    /// What it said, for those who count.
    fn verdict(&self) -> Verdict {
        let is_changed = self.rewritten.is_some() || !self.changes.envelope.is_empty();
        match verdict_of(&self.said) {
            Some(verdict) => verdict,
            None if self.changes.quarantine.is_some() => Verdict::Quarantine,
            None if is_changed => Verdict::Changed,
            None => Verdict::Passed,
        }
    }
}

/// What milters may name as parameters.
const OFFERS: Offers = Offers { dsn: true, ..Offers::NONE };

/// A command as a client would have said it.
fn line(verb: &[u8], address: &[u8], parameters: &[u8]) -> Vec<u8> {
    let address = address.trim_ascii();
    let bare = address.strip_prefix(b"<").and_then(|address| address.strip_suffix(b">")).unwrap_or(address);
    [verb, b"<", bare, b"> ", parameters].concat().trim_ascii_end().to_vec()
}

async fn feed(mut watch: Watch, held: &Held) -> Result<Watched, Failure> {
    let mut at = held.body_at;
    loop {
        let piece = held.reader.read(at..u64::MAX).await?;
        if piece.is_empty() {
            return Ok(watch.finish());
        }
        at += piece.len() as u64;
        watch.body(&piece);
    }
}

/// A change of the envelope for the log: what is changed, to which address, with what beside.
fn in_words(change: &Modification) -> (&'static str, String, String) {
    let (what, address, parameters) = match change {
        Modification::ChangeSender(address, parameters) => {
            ("sender", address.as_slice(), parameters.as_slice())
        }
        Modification::AddRecipient(address, parameters) => {
            ("one recipient more", address.as_slice(), parameters.as_slice())
        }
        Modification::DeleteRecipient(address) => ("one recipient less", address.as_slice(), &[][..]),
        _ => ("nothing", &[][..], &[][..]),
    };
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (what, text(address), text(parameters))
}
