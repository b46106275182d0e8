//! The record of one transaction, and the end of its message: delivery, reply, and one event that tells the way.

use directory::Authenticated;
use mail_types::{Address, ForwardPath, ReversePath, Severity, TransactionId};
use smtp::Reply;
use smtp::server::{Envelope, Recipient, Step};

use super::intake::Arrived;
use super::judgement::Judged;
use super::replies;
use super::screening::Screened;
use super::session::Conversation;
use crate::Listener;
use crate::breaker::RecipientKey;
use crate::content::Considered;
use crate::deliver::local::{self, Delivery};
use crate::deliver::queued::{Brought, Place, Reports};
use crate::deliver::route::{Asking, Route};
use crate::engines::scan::EngineHit;
use crate::filter::Known;
use crate::report::filed;
use crate::screen::{Evidence, NAMES_MAX};
use crate::way::{MessageWay, Outcome, RecipientWay};

/// A transaction under way.
pub(crate) struct Transaction {
    pub(crate) id: TransactionId,
    reverse_path: ReversePath,
    /// Accounts behind the accepted recipients, bounded by `Settings::targets_max`.
    pub(crate) targets: usize,
    /// Of these, addresses elsewhere, bounded by [`queue::RECIPIENTS_MAX`].
    pub(crate) remote_targets: usize,
    /// Of these, how many were never written to before.
    pub(crate) new_recipients: u32,
    /// What stands for them, where somebody of ours writes; bounded as they are.
    pub(crate) written_to: Vec<RecipientKey>,
    /// The Message-ID of its message, from when that has come whole.
    pub(crate) message_id: Option<String>,
    /// What was found about its sender.
    pub(crate) checks: Vec<String>,
    /// What was found before its content came.
    pub(crate) screened: Screened,
    /// What others' engines have to say of its message.
    pub(crate) by_engines: Vec<EngineHit>,
    /// Bounded by `Settings::refused_recipients_max`, after which the session ends.
    refused: Vec<RecipientWay>,
}

impl Transaction {
    /// Notes what speaks for or against it.
    pub(crate) fn note(&mut self, evidence: Evidence) {
        self.checks.push(format!("screen: {evidence}"));
        self.screened.evidence.push(evidence);
    }
}

impl Conversation {
    pub(crate) fn open_transaction(&mut self, reverse_path: &ReversePath) {
        self.transaction = Some(Transaction {
            id: (self.door.rooms.next_transaction)(),
            reverse_path: reverse_path.clone(),
            targets: 0,
            remote_targets: 0,
            new_recipients: 0,
            written_to: Vec::new(),
            message_id: None,
            checks: Vec::new(),
            screened: Screened::default(),
            by_engines: Vec::new(),
            refused: Vec::new(),
        });
    }

    pub(crate) fn note_refused_recipient(&mut self, forward_path: &ForwardPath, reply: &Reply) {
        if let Some(transaction) = self.transaction.as_mut() {
            let outcome = Outcome::Refused(reply.clone());
            transaction.refused.push(RecipientWay {
                forward_path: forward_path.clone(),
                outcome,
                filter: Vec::new(),
            });
        }
    }

    /// The message has come and is refused; its transaction is over.
    pub(crate) fn note_refused_message(&mut self, reply: &Reply) {
        // A chunk behind the one that was refused is no further message.
        let Some(transaction) = self.transaction.take() else { return };
        self.door.counts.messages_refused.increment();
        let recipients = self.session.envelope().map_or(&[][..], |envelope| &envelope.recipients);
        let ways = recipients.iter().map(|recipient| way_of(recipient, Outcome::Refused(reply.clone())));
        let ways = ways.collect();
        tracing::info!(
            transaction = transaction.id.to_text(),
            sender = %transaction.reverse_path,
            code = %reply.code,
            text = %reply.text,
            "message refused"
        );
        self.record(transaction, None, ways);
    }

    /// Steps 7 to 10 of a message's way.
    pub(crate) async fn deliver(&mut self, envelope: Envelope<Route>) -> Step<Route> {
        let (Some(arrived), Some(mut transaction)) = (self.arrived.take(), self.transaction.take()) else {
            return self.session.on_delivered(&[replies::STORE_BUSY], &mut self.out);
        };
        let (by_sender, place) = arrived.places();
        let is_held = arrived.by_engines == Place::Quarantine;
        let Arrived { message, judged, opinion, .. } = arrived;
        let written_to = std::mem::take(&mut transaction.written_to);
        if let Err(reply) = self.charge(&envelope, written_to).await {
            self.note_late_refusal(transaction, &envelope, &reply);
            return self.session.on_delivered(&[reply], &mut self.out);
        }
        let octets = message.octets();
        let message_id = message
            .summary()
            .envelope
            .message_id
            .as_deref()
            .map(|octets| String::from_utf8_lossy(octets).trim().to_owned());
        let begin = self.door.rooms.clock.monotonic();
        let brought = Brought {
            way: transaction.id,
            submitter: self.client.who.as_ref().map(Authenticated::account),
            now: self.door.rooms.clock.now(),
            undo_window: self.live.settings.routing.undo_window,
            place,
            is_held,
            reports: self.reports(&envelope, judged.as_deref()),
        };
        let is_told = brought.reports == Reports::AsAsked && filed::is_wanted(&envelope);
        let remembered = is_told.then(|| message.summary().fields.octets().to_vec());
        let known = Known {
            settings: &self.live.settings,
            judged: judged.as_deref(),
            content: Considered { by_sender, opinion: opinion.as_deref() },
            is_ours: self.asking() == Asking::Ours,
            peer: self.client.peer.address(),
            answers: self.answers(),
        };
        let deliveries = local::deliver(&self.door.rooms, known, message, &envelope, brought).await;
        if let Some(account) = brought.submitter {
            self.door.rooms.breaker.taken(account);
        }
        self.door.counts.filing.observe_duration(self.door.rooms.clock.monotonic().since(begin));

        if let Some(header) = remembered {
            let (rooms, settings) = (&self.door.rooms, &self.live.settings);
            Box::pin(filed::tell(rooms, settings, &envelope, &deliveries, &header, brought)).await;
        }
        let replies = self.replies(&deliveries);
        if replies.iter().any(|reply| reply.severity() == Severity::Done) {
            self.remember(&transaction, &envelope, message_id.as_deref(), place).await;
        }
        self.count(&replies, &deliveries, octets);
        self.log(&transaction, &replies, &envelope, octets, message_id.as_deref());
        let ways = envelope.recipients.iter().zip(deliveries);
        let ways = ways.map(|(recipient, delivery)| RecipientWay {
            filter: delivery.filter,
            ..way_of(recipient, delivery.outcome)
        });
        let ways = ways.collect();
        transaction.message_id = message_id;
        self.record(transaction, Some(octets), ways);
        self.session.on_delivered(&replies, &mut self.out)
    }

    /// Remembers whom our people write to, and strangers whose mail was taken.
    async fn remember(
        &self,
        transaction: &Transaction,
        envelope: &Envelope<Route>,
        message_id: Option<&str>,
        place: Place,
    ) {
        let Some(screen) = &self.door.rooms.screen else { return };
        if let Some(who) = &self.client.who {
            let recipients =
                envelope.recipients.iter().filter_map(|recipient| match &recipient.forward_path {
                    ForwardPath::Address(address) => Some(address.clone()),
                    ForwardPath::Postmaster => None,
                });
            let recipients: Vec<Address> = recipients.take(NAMES_MAX).collect();
            screen.senders().wrote(who.account(), &recipients, message_id).await;
        } else if place == Place::Inbox
            && self.screening.is_some()
            && let Some(address) = self.client.peer.address()
            && let Some((origin, domain)) = transaction.screened.origin(&envelope.reverse_path, address)
        {
            screen.senders().succeeded(origin, address, domain).await;
        }
    }

    /// A stranger's name on a message is told of nothing unless something proves that it is the sender's, where somebody
    /// looked: else we would send reports to those whom others pretend to be.
    fn reports(&self, envelope: &Envelope<Route>, judged: Option<&Judged>) -> Reports {
        let is_stranger = self.asking() == Asking::Stranger;
        match judged {
            Some(judged) if is_stranger && !judged.is_proven(&envelope.reverse_path) => Reports::ToNobody,
            _ => Reports::AsAsked,
        }
    }

    /// Counts a submitted message against what its account may send. Asked here once more, since other connections of the
    /// same account were asked at the same time.
    async fn charge(&self, envelope: &Envelope<Route>, written_to: Vec<RecipientKey>) -> Result<(), Reply> {
        let Some(who) = &self.client.who else { return Ok(()) };
        self.is_not_stopped()?;
        self.door.rooms.breaker.charge(who.account(), written_to).await.map_err(replies::new_enough)?;
        let recipients = u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX);
        let limits = self.live.settings.routing.limits;
        let now = self.door.rooms.clock.now();
        self.door.sent.charge(who.account(), recipients, limits, now).map_err(replies::sent_enough)
    }

    fn note_late_refusal(&mut self, transaction: Transaction, envelope: &Envelope<Route>, reply: &Reply) {
        self.door.counts.messages_refused.increment();
        let ways =
            envelope.recipients.iter().map(|recipient| way_of(recipient, Outcome::Refused(reply.clone())));
        self.record(transaction, None, ways.collect());
    }

    /// The transaction is over without a message, if it was open.
    pub(crate) fn close_transaction(&mut self) {
        let Some(transaction) = self.transaction.take() else { return };
        let recipients = self.session.envelope().map_or(&[][..], |envelope| &envelope.recipients);
        let ways: Vec<_> = recipients.iter().map(|recipient| way_of(recipient, Outcome::Abandoned)).collect();
        if !ways.is_empty() || !transaction.refused.is_empty() {
            self.record(transaction, None, ways);
        }
    }

    fn replies(&self, deliveries: &[Delivery]) -> Vec<Reply> {
        let each = || deliveries.iter().map(|delivery| &delivery.reply);
        match self.client.listener {
            Listener::Lmtp => each().cloned().collect(),
            // One word for all: who must try again, else who was served, else why nobody was.
            Listener::Relay | Listener::Submission | Listener::ImplicitSubmission => {
                let first = |severity| each().find(|reply| reply.severity() == severity);
                let word = first(Severity::Transient).or(first(Severity::Done)).or(each().next());
                word.cloned().into_iter().collect()
            }
        }
    }

    fn count(&self, replies: &[Reply], deliveries: &[Delivery], octets: u64) {
        let counts = &self.door.counts;
        let is_filed = |delivery: &&Delivery| matches!(delivery.outcome, Outcome::Filed(_));
        let is_queued = |delivery: &&Delivery| matches!(delivery.outcome, Outcome::Queued { .. });
        counts.recipients_filed.add(deliveries.iter().filter(is_filed).count() as u64);
        counts.recipients_queued.add(deliveries.iter().filter(is_queued).count() as u64);
        if replies.iter().any(|reply| reply.severity() == Severity::Done) {
            counts.accepted(self.client.listener).increment();
            // A histogram of floats; no message is so large that this would matter.
            counts.octets.observe(octets as f64);
        } else {
            counts.messages_refused.increment();
        }
    }

    /// One event for each message.
    fn log(
        &self,
        transaction: &Transaction,
        replies: &[Reply],
        envelope: &Envelope<Route>,
        octets: u64,
        message_id: Option<&str>,
    ) {
        let code = replies.first().map_or(0, |reply| reply.code.value());
        tracing::info!(
            transaction = transaction.id.to_text(),
            listener = self.client.listener.name(),
            sender = %transaction.reverse_path,
            recipients = envelope.recipients.len(),
            first_recipient = envelope.recipients.first().map(|first| tracing::field::display(&first.forward_path)),
            user = self.client.who.as_ref().map(|who| tracing::field::display(who.address())),
            tls = self.client.tls.map(|tls| tls.version),
            octets,
            message_id,
            code,
            "message received"
        );
    }

    fn record(&self, transaction: Transaction, octets: Option<u64>, mut recipients: Vec<RecipientWay>) {
        recipients.extend(transaction.refused);
        (self.door.rooms.ways)(MessageWay {
            transaction: transaction.id,
            connection: self.client.connection,
            time: self.door.rooms.clock.now(),
            listener: self.client.listener,
            peer: self.client.peer,
            hello: self.session.hello().map(|hello| hello.name.clone()),
            tls: self.client.tls,
            user: self.client.who.as_ref().map(|who| who.address().clone()),
            reverse_path: transaction.reverse_path,
            octets,
            message_id: transaction.message_id,
            is_strangers: self.is_checked_stranger(),
            checks: transaction.checks,
            recipients,
        });
    }
}

fn way_of(recipient: &Recipient<Route>, outcome: Outcome) -> RecipientWay {
    RecipientWay { forward_path: recipient.forward_path.clone(), outcome, filter: Vec::new() }
}
