//! Actions as scripts decide them: which go together, which are one, how many there may be (RFC 5228 §2.10).

use crate::dialect::Occasion;
use crate::node::Node;
use crate::outcome::{Action, Decided};
use crate::run::{Run, Stop};

/// What comparing one piece of an edited message with one of another costs.
const PIECE_COST: u64 = 2;

impl Run<'_> {
    /// Takes an action into the outcome.
    pub(crate) fn decide(&mut self, node: &Node, action: Action) -> Result<(), Stop> {
        let stage_start = self.stage_start.min(self.outcome.actions.len());
        let (before, stage) = self.outcome.actions.split_at(stage_start);
        if self.occasion == Occasion::Imap && matches!(action, Action::Reject(_) | Action::Vacation(_)) {
            // RFC 6785 §3: whoever sent the message has nothing to do with what is done to it now.
            return Err(Stop::fault(format!("the {} command is for messages that arrive", node.spec.name)));
        }
        if let Some(words) = stage.iter().find_map(|known| conflict(&known.action, &action)) {
            return Err(Stop::fault(words));
        }
        if matches!(action, Action::Reject(_)) && before.iter().any(|d| matches!(d.action, Action::Reject(_)))
        {
            // A script before this one has refused it already.
            return Ok(());
        }
        let pieces = self.message.edition().pieces().len() as u64;
        self.charge(pieces.saturating_mul(self.outcome.actions.len() as u64) * PIECE_COST)?;
        let origin = self.origin(node);
        for index in 0..self.outcome.actions.len() {
            let edition = self.edition();
            let Some(known) = self.outcome.actions.get_mut(index) else { break };
            if known.edition == edition && merge(&mut known.action, &action) {
                if matches!(action, Action::Keep { .. }) {
                    known.origin = origin;
                }
                return Ok(());
            }
        }
        let count = |wanted: fn(&Action) -> bool| {
            self.outcome.actions.iter().filter(|known| wanted(&known.action)).count()
        };
        if self.outcome.actions.len() >= self.bounds.actions_max {
            return Err(Stop::fault(format!(
                "total number of actions exceeds policy limit ({})",
                self.bounds.actions_max
            )));
        }
        let (kind, known, max) = match action {
            Action::Redirect(_) => {
                let known = count(|known| matches!(known, Action::Redirect(_)));
                ("redirect", known, self.bounds.redirects_max)
            }
            Action::Notify(_) => {
                let known = count(|known| matches!(known, Action::Notify(_)));
                ("notify", known, self.bounds.notifications_max)
            }
            _ => ("", 0, usize::MAX),
        };
        if max == 0 {
            return Err(Stop::fault(prohibition(kind)));
        }
        if known >= max {
            return Err(Stop::fault(format!("number of {kind} actions exceeds policy limit ({max})")));
        }
        let edition = self.edition();
        self.outcome.actions.push(Decided { action, origin, edition });
        Ok(())
    }

    /// Cancels the implicit keep (RFC 5228 §2.10.2).
    pub(crate) fn cancel_implicit_keep(&mut self) {
        self.implicit_keep = false;
    }
}

/// What is told of an action of which there may be none at all.
pub(crate) fn prohibition(kind: &str) -> String {
    format!("local policy prohibits the use of a {kind} action")
}

/// Why the two cannot both be done (RFC 5429 §2.4, RFC 5230 §4.7).
fn conflict(known: &Action, new: &Action) -> Option<&'static str> {
    let delivers = |action: &Action| {
        matches!(action, Action::Keep { .. } | Action::FileInto(_) | Action::Redirect(_) | Action::Pipe(_))
    };
    match (known, new) {
        (Action::Reject(_), Action::Reject(_)) => Some("the message is refused twice"),
        (Action::Vacation(_), Action::Vacation(_)) => Some("a vacation answer is given twice"),
        (Action::Reject(_), Action::Vacation(_)) | (Action::Vacation(_), Action::Reject(_)) => {
            Some("the message is refused, and a vacation answer is given too")
        }
        (Action::Reject(_), other) | (other, Action::Reject(_)) if delivers(other) => {
            Some("the message is refused, and kept or sent on too")
        }
        _ => None,
    }
}

/// Makes two actions one where that is what they come to; the flags of the later one hold (RFC 5232 §5).
fn merge(known: &mut Action, new: &Action) -> bool {
    match (&mut *known, new) {
        (Action::Keep { flags }, Action::Keep { flags: new }) => flags.clone_from(new),
        (Action::Keep { flags }, Action::FileInto(new)) if is_plain_inbox(new) => {
            flags.clone_from(&new.flags)
        }
        (Action::FileInto(store), Action::Keep { .. }) if is_plain_inbox(store) => known.clone_from(new),
        (Action::FileInto(store), Action::FileInto(new))
            if store.mailbox == new.mailbox
                && store.special_use == new.special_use
                && store.mailbox_id == new.mailbox_id =>
        {
            store.flags.clone_from(&new.flags);
            store.create |= new.create;
        }
        (Action::Redirect(known), Action::Redirect(new)) => return known.to == new.to,
        (Action::Discard, Action::Discard) => {}
        _ => return false,
    }
    true
}

fn is_plain_inbox(store: &crate::outcome::FileInto) -> bool {
    store.mailbox.is_inbox() && store.special_use.is_none() && store.mailbox_id.is_none()
}
