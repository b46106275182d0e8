//! Step 4 of a message's way: may this sender send, may this recipient receive.

use smtp::server::{RecipientQuestion, SenderQuestion, Step};

use directory::Authenticated;
use mail_types::{Priority, ReversePath};
use platform::guard::Offence;
use smtp::Reply;

use super::replies;
use super::session::Conversation;
use crate::Listener;
use crate::breaker::Signal;
use crate::deliver::route::{self, Asking, Route};

impl Conversation {
    pub(crate) async fn judge_sender(&mut self, mut question: SenderQuestion) -> Step<Route> {
        self.open_transaction(&question.reverse_path);
        let verdict = self
            .may_send(&question.reverse_path)
            .and_then(|()| self.has_sent_little(1))
            .and_then(|()| self.screen_sender());
        // RFC 6710 §4.1: strangers' mail goes before nobody's.
        if self.asking() == Asking::Stranger {
            let asked = question.parameters.priority;
            question.parameters.priority = asked.map(|asked| asked.min(Priority::ORDINARY));
        }
        let verdict = match verdict {
            Ok(()) => self.ask_milters_of_sender(&question).await,
            refused => refused,
        };
        if let Err(reply) = &verdict {
            self.door.counts.senders_refused.increment();
            tracing::info!(sender = %question.reverse_path, code = %reply.code, "sender refused");
        }
        self.session.on_sender(question, verdict, &mut self.out)
    }

    /// Anyone may bring mail for us; our own people may send only as themselves (RFC 6409 §6.1).
    fn may_send(&self, reverse_path: &ReversePath) -> Result<(), Reply> {
        let Some(who) = &self.client.who else { return Ok(()) };
        let directory = &self.door.rooms.directory;
        if !directory.is_current(who) {
            return Err(replies::LOGIN_OUTDATED);
        }
        self.is_not_stopped()?;
        match reverse_path {
            // Reports of mail programs about mail (RFC 8098) have no sender to be told.
            ReversePath::Null => Ok(()),
            ReversePath::Address(address) if directory.may_send_as(who.account(), address) => Ok(()),
            ReversePath::Address(_) => Err(replies::SENDER_NOT_YOURS),
        }
    }

    /// Whether the account that has logged in may send at all.
    pub(crate) fn is_not_stopped(&self) -> Result<(), Reply> {
        let Some(who) = &self.client.who else { return Ok(()) };
        match self.door.rooms.breaker.stopped(who.account()) {
            Some(_) => Err(replies::SENDING_STOPPED),
            None => Ok(()),
        }
    }

    /// Whether an account that has logged in may send to so many more recipients.
    fn has_sent_little(&self, recipients: u32) -> Result<(), Reply> {
        let Some(who) = &self.client.who else { return Ok(()) };
        let limits = self.live.settings.routing.limits;
        let now = self.door.rooms.clock.now();
        self.door.sent.check(who.account(), recipients, limits, now).map_err(replies::sent_enough)
    }

    pub(crate) fn asking(&self) -> Asking {
        let is_host = self.client.listener == Listener::Relay
            && self.live.settings.routing.may_relay(self.client.peer.address());
        if self.client.who.is_some() || is_host { Asking::Ours } else { Asking::Stranger }
    }

    pub(crate) async fn judge_recipient(&mut self, question: RecipientQuestion) -> Step<Route> {
        let envelope = self.session.envelope();
        let (named, reverse_path) = match envelope {
            Some(envelope) => (envelope.recipients.len(), envelope.reverse_path.clone()),
            None => (0, ReversePath::Null),
        };
        let announced = envelope.and_then(|envelope| envelope.parameters.size);
        let may_name = self.is_not_stopped().and_then(|()| {
            let named = u32::try_from(named + 1).unwrap_or(u32::MAX);
            self.has_sent_little(named)
        });
        let verdict = match may_name {
            Err(reply) => Err(reply),
            Ok(()) => {
                let asked = route::Question {
                    reverse_path: &reverse_path,
                    forward_path: &question.forward_path,
                    asking: self.asking(),
                    announced_octets: announced.unwrap_or_default(),
                };
                route::find(&self.door.rooms, &self.live.settings, asked).await
            }
        };
        let verdict = self.screen_recipient(&question.forward_path, named, verdict).await;
        let verdict = match verdict.and_then(|route| self.fits(route)) {
            Ok(route) => self.may_write_to_new(route).await,
            refused => refused,
        };
        let verdict = match verdict {
            Ok(route) => self.ask_milters_of_recipient(&question, &route).await.map(|()| route),
            Err(reply) => {
                self.tell_milters_of_refusal(&question, &reply).await;
                Err(reply)
            }
        };
        if let Err(reply) = &verdict {
            self.door.counts.recipients_refused.increment();
            tracing::info!(recipient = %question.forward_path, code = %reply.code, "recipient refused");
            self.note_refused_recipient(&question.forward_path, reply);
            self.tell_of_refusal(reply).await;
        }
        self.session.on_recipient(question, verdict, &mut self.out)
    }

    /// Whether the account that has logged in may write to whom of this recipient's it has not written to before. Who is
    /// here is not counted.
    async fn may_write_to_new(&mut self, route: Route) -> Result<Route, Reply> {
        let Some(account) = self.client.who.as_ref().map(Authenticated::account) else { return Ok(route) };
        for target in route.remote() {
            let named = self.transaction.as_ref().map_or(0, |transaction| transaction.new_recipients);
            let written = self.door.rooms.breaker.may_write(account, &target.address, named).await;
            let (key, is_new) = written.map_err(replies::new_enough)?;
            if let Some(transaction) = self.transaction.as_mut() {
                transaction.new_recipients += u32::from(is_new);
                transaction.written_to.push(key);
            }
        }
        Ok(route)
    }

    /// Tells those who watch of a recipient that was refused.
    async fn tell_of_refusal(&mut self, reply: &Reply) {
        if *reply == replies::UNKNOWN_USER {
            match &self.client.who {
                Some(who) => self.door.rooms.breaker.note(who.account(), Signal::RecipientRefused),
                None => self.named_unknown().await,
            }
        } else if *reply == replies::RELAY_DENIED {
            self.offended(Offence::Trespass);
        }
    }

    /// Whether a further recipient's accounts may be added to those of the message.
    pub(super) fn fits(&mut self, route: Route) -> Result<Route, Reply> {
        let Some(transaction) = self.transaction.as_mut() else { return Err(replies::STORE_BUSY) };
        let targets = transaction.targets.saturating_add(route.targets());
        let remote_targets = transaction.remote_targets.saturating_add(route.remote().len());
        if targets > self.live.settings.targets_max || remote_targets > queue::RECIPIENTS_MAX {
            return Err(replies::TOO_MANY_TARGETS);
        }
        transaction.targets = targets;
        transaction.remote_targets = remote_targets;
        Ok(route)
    }
}
