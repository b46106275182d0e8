//! Refusals: in the protocol where all recipients of a transaction agree, by mail where its sender is proven, else not at
//! all (RFC 5429).

use mail_types::{EnhancedCode, ForwardPath};
use mailstore::StoreError;
use message::Action;
use queue::{Diagnostic, NewReport, ReportTo};
use sieve::{Reject, RejectKind};
use smtp::Reply;

use super::letters::Desk;
use super::plan::{Answers, Entry, Planner, RecipientPlan, postmaster};
use super::run::{ForAction, Octets};
use super::world::Facts;
use crate::deliver::local::describe;
use crate::receive::replies;
use crate::report::author::ReportAuthor;
use crate::report::dsn::{About, Reporter, Source, Told};

/// One refusal.
pub(super) struct Refusal {
    pub(super) recipient: usize,
    pub(super) facts: Facts,
    pub(super) reject: Reject,
    /// The notification, for when the protocol cannot say it.
    pub(super) notice: ForAction,
    pub(super) source: Octets,
}

impl Planner<'_> {
    /// What was refused is refused in the protocol, where that can be said; else the sender is told otherwise, or nobody.
    pub(super) async fn refuse(&mut self) -> Result<(), StoreError> {
        let refusals = std::mem::take(&mut self.refusals);
        // Who wants the message, or had something done because of it, has taken it.
        let is_refused = |number: usize, plan: &RecipientPlan| {
            let refusal = refusals.iter().any(|refusal| refusal.recipient == number);
            refusal && !plan.is_wanted && !plan.is_acted_on
        };
        let refused: Vec<bool> = {
            let recipients = self.plan.recipients.iter().enumerate();
            recipients.map(|(number, plan)| is_refused(number, plan)).collect()
        };
        let is_sayable = |refusal: &Refusal| refused_with(&refusal.reject).is_some();
        let is_all = refused.iter().all(|is_refused| *is_refused) && refusals.iter().all(is_sayable);
        let may_refuse = self.desk.known.answers == Answers::Each || is_all;
        for refusal in refusals {
            let is_refused = refused.get(refusal.recipient).is_some_and(|is_refused| *is_refused);
            let reply = refused_with(&refusal.reject);
            match reply.filter(|_| may_refuse && is_refused) {
                Some(reply) => {
                    if let Some(plan) = self.plan.recipients.get_mut(refusal.recipient) {
                        plan.refusal = Some(reply);
                    }
                }
                None => self.tell_of_refusal(refusal).await?,
            }
        }
        Ok(())
    }

    async fn tell_of_refusal(&mut self, refusal: Refusal) -> Result<(), StoreError> {
        let Refusal { recipient, facts, reject, notice, source } = refusal;
        let letter = match notice {
            ForAction::Letter { letter, .. } => letter,
            ForAction::Silent(why) => {
                self.note(recipient, format!("{}: nobody told, {why}", kind_word(reject.kind)));
                return Ok(());
            }
            _ => return Ok(()),
        };
        match reject.kind {
            RejectKind::Reject => {
                let entry = self.desk.letter(&source, &letter, None).await?;
                self.plan.entries.extend(entry);
            }
            RejectKind::Ereject => {
                let reports = self.report(recipient, &facts, &reject, &source).await?;
                self.plan.entries.extend(reports);
            }
        }
        self.note(recipient, format!("{}: its sender is told by mail", kind_word(reject.kind)));
        Ok(())
    }

    /// RFC 5429 §2.1.2: a report on delivery.
    async fn report(
        &self,
        recipient: usize,
        facts: &Facts,
        reject: &Reject,
        source: &Octets,
    ) -> Result<Vec<Entry>, StoreError> {
        let Desk { rooms, known, brought } = self.desk;
        let from = ReportAuthor::Postmaster(postmaster(&known.settings.hostname)?);
        let reporter = Reporter {
            store: &rooms.store,
            directory: &rooms.directory,
            clock: &rooms.clock,
            next_transaction: &*rooms.next_transaction,
            hostname: &known.settings.hostname,
            from: &from,
            routing: &known.settings.routing,
            returned_octets_max: 0,
        };
        let about = About::of(self.envelope, brought);
        let diagnostic = Diagnostic {
            remote: None,
            code: Some(replies::REFUSED_BY_FILTER.code),
            status: Some(EnhancedCode::new(5, 7, 1)),
            text: reject.reason.as_str().into(),
        };
        // Whom the sender named, wherever that led.
        let named = self.envelope.recipients.get(recipient);
        let address = match named.map(|named| &named.forward_path) {
            Some(ForwardPath::Address(address)) => address,
            _ => &facts.reached_by,
        };
        let told = Told {
            address,
            original: named.and_then(|named| named.parameters.original.clone()),
            expanded_from: None,
            action: Action::Failed,
            status: EnhancedCode::new(5, 7, 1),
            taken_by: None,
            diagnostic: Some(&diagnostic),
            retry_until: None,
            given_up: None,
        };
        let header = source.0.read(0..message::ORIGINAL_HEADER_OCTETS_MAX as u64).await?;
        let reports = Box::pin(reporter.write(about, Source::Header(&header), &[told])).await;
        let reports = reports.map_err(|error| {
            tracing::error!(error = describe(&error), "a refusal cannot be told");
            StoreError::Busy
        })?;
        Ok(reports
            .into_iter()
            .map(|NewReport { message, to }| match to {
                ReportTo::Account(filing) => {
                    Entry { message, queued: None, caused_by: None, filings: vec![(None, filing)] }
                }
                ReportTo::Queue(new) => {
                    Entry { message, queued: Some(*new), caused_by: None, filings: Vec::new() }
                }
            })
            .collect())
    }
}

pub(super) fn kind_word(kind: RejectKind) -> &'static str {
    match kind {
        RejectKind::Reject => "reject",
        RejectKind::Ereject => "ereject",
    }
}

/// The reply that says a refusal in the protocol; none where it cannot carry the words (RFC 5429 §2.2.1).
fn refused_with(reject: &Reject) -> Option<Reply> {
    let is_plain = |char: char| matches!(char, ' '..='~' | '\t' | '\r' | '\n');
    let is_sayable = reject.reason.chars().all(is_plain);
    match (reject.kind, is_sayable) {
        (_, true) => Some(replies::REFUSED_BY_FILTER.with_text(said(&reject.reason))),
        // The words matter less than that it is refused at once.
        (RejectKind::Ereject, false) => Some(replies::REFUSED_BY_FILTER),
        (RejectKind::Reject, false) => None,
    }
}

/// A reason as the lines of a reply.
fn said(reason: &str) -> String {
    /// Lines of a refusal; clients show few.
    const LINES_MAX: usize = 10;
    let lines: Vec<&str> = reason.lines().map(str::trim_end).take(LINES_MAX).collect();
    match lines.join("\n").trim() {
        "" => replies::REFUSED_BY_FILTER.text.into_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(kind: RejectKind, reason: &str) -> Option<String> {
        let reply = refused_with(&Reject { kind, reason: reason.to_owned() })?;
        Some(format!("{} {}", reply.code.value(), reply.text))
    }

    #[test]
    fn refusals_are_said_where_they_can_be() {
        use RejectKind::{Ereject, Reject};
        assert_eq!(reject(Ereject, "No.\r\nReally.").unwrap(), "550 No.\nReally.");
        assert_eq!(reject(Reject, "No.").unwrap(), "550 No.");
        assert_eq!(reject(Reject, "Nein, M\u{fc}ller."), None, "it goes by mail, as it was written");
        assert_eq!(
            reject(Ereject, "Nein, M\u{fc}ller.").unwrap(),
            "550 Refused by a filter of its recipient"
        );
        assert_eq!(reject(Ereject, "").unwrap(), "550 Refused by a filter of its recipient");
        let long = reject(Ereject, &"x\n".repeat(11)).unwrap();
        assert_eq!(long.matches('x').count(), 10);
    }
}
