//! Step 4 of a message's way: may this sender send, may this recipient receive.

use smtp::server::{RecipientQuestion, SenderQuestion, Step};

use mail_types::ReversePath;
use smtp::Reply;

use super::replies;
use super::session::Conversation;
use crate::deliver::route::{self, Asking, Route};

impl Conversation {
    pub(crate) fn judge_sender(&mut self, question: SenderQuestion) -> Step<Route> {
        self.open_transaction(&question.reverse_path);
        let verdict = self.may_send(&question.reverse_path);
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
        match reverse_path {
            // Reports of mail programs about mail (RFC 8098) have no sender to be told.
            ReversePath::Null => Ok(()),
            ReversePath::Address(address) if directory.may_send_as(who.account(), address) => Ok(()),
            ReversePath::Address(_) => Err(replies::SENDER_NOT_YOURS),
        }
    }

    pub(crate) async fn judge_recipient(&mut self, question: RecipientQuestion) -> Step<Route> {
        let asking = if self.client.who.is_some() { Asking::Ours } else { Asking::Stranger };
        let announced = self.session.envelope().and_then(|envelope| envelope.parameters.size);
        let verdict = route::find(
            &self.door.rooms,
            &self.live.settings,
            &question.forward_path,
            asking,
            announced.unwrap_or_default(),
        )
        .await;
        let verdict = verdict.and_then(|route| self.fits(route));
        if let Err(reply) = &verdict {
            self.door.counts.recipients_refused.increment();
            tracing::info!(recipient = %question.forward_path, code = %reply.code, "recipient refused");
            self.note_refused_recipient(&question.forward_path, reply);
        }
        self.session.on_recipient(question, verdict, &mut self.out)
    }

    /// Whether a further recipient's accounts may be added to those of the message.
    fn fits(&mut self, route: Route) -> Result<Route, Reply> {
        let Some(transaction) = self.transaction.as_mut() else { return Err(replies::STORE_BUSY) };
        let targets = transaction.targets.saturating_add(route.targets());
        if targets > self.live.settings.targets_max {
            return Err(replies::TOO_MANY_TARGETS);
        }
        transaction.targets = targets;
        Ok(route)
    }
}
