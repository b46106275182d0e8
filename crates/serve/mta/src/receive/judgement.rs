//! Step 6 of a message's way, from the session's side: has its sender checked, and does what follows.

use mail_types::{DomainName, ReversePath};
use sender_auth::arc::{ChainResult, Sealer};
use sender_auth::dkim::KeyFor;
use sender_auth::results::{MethodResult, results_value, write_results};
use smtp::Reply;

use super::session::Conversation;
use crate::deliver::queued::Place;
use crate::inspect::findings::Bringer;
use crate::inspect::policy::{self, Verdict};
use crate::inspect::watch::{self, Claims};
use crate::inspect::{CheckedMessage, Findings, fields};

/// A message that is taken, and what was found about its sender.
pub(crate) struct Judged {
    pub(crate) findings: Findings,
    pub(crate) place: Place,
    results: Vec<MethodResult>,
    received_spf: Vec<u8>,
}

impl Conversation {
    /// Checks who really sent a message; a reply where it is not taken for that.
    pub(crate) async fn judge_message(&mut self, claims: &Claims) -> Result<Option<Judged>, Reply> {
        let rooms = &self.door.rooms;
        let (Some(resolver), Some(address)) = (&rooms.resolver, self.client.peer.address()) else {
            return Ok(None);
        };
        let now = rooms.clock.now();
        let reverse_path =
            self.session.envelope().map_or(&ReversePath::Null, |envelope| &envelope.reverse_path);
        let hello = self.session.hello().map_or("", |hello| &hello.name);
        let (checks, hostname) = (&self.live.settings.checks, &self.live.settings.hostname);
        let bringer = Bringer {
            address,
            hello,
            reverse_path,
            receiver: hostname.as_str(),
            now_seconds: now.unix_seconds(),
        };
        // On the heap: what the checks hold is large, and most connections hold nothing.
        let findings = Box::pin(Findings::of(resolver, checks, bringer, claims)).await;
        let mut decision = policy::decide(checks, &findings, reverse_path);
        let recipients = self.session.envelope().map_or(&[][..], |envelope| &envelope.recipients);
        if !recipients.iter().all(|recipient| recipient.route.takes_junk()) {
            decision = decision.without_place_here();
        }
        let is_only_kept = recipients
            .iter()
            .any(|recipient| recipient.route.remote().len() > recipient.route.remote_of(Place::Junk).count());
        if is_only_kept && decision.verdict == Verdict::Junk {
            decision.why.push_str("; it is not passed on");
        }
        (rooms.checked)(&CheckedMessage {
            time: now,
            client: address,
            reverse_path,
            is_report: claims.is_report,
            findings: &findings,
            applied: decision.applied(),
            overridden: decision.overridden.as_ref(),
        });
        let results = findings.results(address);
        let mut received_spf = Vec::new();
        fields::write_received_spf(&findings, &bringer.query(), &mut received_spf);
        self.door.counts.checked(decision.applied());
        if let Some(transaction) = &mut self.transaction {
            transaction.checks = findings.lines();
            transaction.checks.push(format!("{}: {}", decision.verdict.word(), decision.why));
        }
        let place = match decision.verdict {
            Verdict::Accept => Place::Inbox,
            Verdict::Junk => Place::Junk,
            Verdict::Refuse(reply) => return Err(reply),
        };
        Ok(Some(Judged { findings, place, results, received_spf }))
    }
}

impl Judged {
    /// The fields that tell what was found.
    pub(crate) fn results(&self, us: &DomainName) -> Vec<u8> {
        let mut fields = Vec::new();
        write_results(us, &self.results, &mut fields);
        fields.extend_from_slice(&self.received_spf);
        fields
    }

    /// The seal that stands above them, where the message is passed on.
    pub(crate) fn seal_if_passed_on(
        &self,
        sealer: Option<Box<(Sealer, KeyFor)>>,
        us: &DomainName,
    ) -> Vec<u8> {
        // Junk stays here.
        let sealer = sealer.filter(|_| self.place == Place::Inbox);
        sealer.map(|sealer| self.seal(sealer, us, self.findings.arc.result)).unwrap_or_default()
    }

    /// The fields of a seal, where the chain is `chain`.
    pub(crate) fn seal(&self, sealer: Box<(Sealer, KeyFor)>, us: &DomainName, chain: ChainResult) -> Vec<u8> {
        // A chain that only DNS keeps us from reading is not to be called broken for ever (RFC 8617 §5.2.1).
        if self.findings.arc.is_temporary() {
            return Vec::new();
        }
        watch::sealed(sealer, &results_value(us, &self.results), chain)
    }
}
