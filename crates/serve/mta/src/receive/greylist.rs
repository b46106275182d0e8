//! Who is asked to come again: strangers about whom something is suspicious, and of whom nothing is known (RFC 6647). The last that
//! is asked of a recipient at RCPT.

use std::net::IpAddr;

use mail_types::{AccountId, DomainName, ForwardPath, ReversePath};
use sender_auth::spf::SpfResult;
use smtp::Reply;

use super::replies;
use super::screening::{Screening, sender_domain};
use super::session::Conversation;
use crate::deliver::route::Route;
use crate::screen::senders::{Attempt, GreyBounds, Greylisted, Origin, constant_sender};
use crate::screen::{Greylist, ScreenSettings};

impl Conversation {
    /// Asks a suspicious stranger to come again, unless he is known.
    pub(super) async fn greylist(
        &mut self,
        screening: &Screening,
        settings: &ScreenSettings,
        forward_path: &ForwardPath,
        route: &Route,
    ) -> Result<(), Reply> {
        let Some(envelope) = self.session.envelope() else { return Ok(()) };
        let (senders, reverse_path) = (screening.screen.senders(), envelope.reverse_path.clone());
        let Some(suspicion) = self.suspicion(screening, settings.greylist, &reverse_path) else {
            return Ok(());
        };
        let accounts: Vec<AccountId> = route.local().iter().map(|target| target.account).collect();
        let is_known = match &reverse_path {
            // A report on what these accounts have sent.
            ReversePath::Null => senders.have_written(&accounts).await,
            ReversePath::Address(sender) => {
                !self.door.rooms.breaker.correspondents(&accounts, sender).await.is_empty()
            }
        };
        if is_known {
            return Ok(());
        }
        let Some(origin) = self.origin_of_mail() else { return Ok(()) };
        let domain = sender_domain(&reverse_path).map_or("", DomainName::as_str);
        // A report for mail that we passed on comes back to an address that only we could make.
        let is_returned = reverse_path == ReversePath::Null && route.local().is_empty();
        if is_returned || senders.is_allowed(&origin, domain).await {
            return Ok(());
        }
        let recipient = match forward_path {
            ForwardPath::Postmaster => return Ok(()),
            ForwardPath::Address(address) => address.to_canonical().to_string(),
        };
        let attempt = Attempt { origin, sender: constant_sender(&reverse_path), recipient };
        let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let bounds = GreyBounds {
            delay_seconds: seconds(settings.greylist_delay),
            window_seconds: seconds(settings.greylist_window),
        };
        let counts = &screening.screen.counts;
        let (line, verdict) = match senders.greylist(attempt, bounds).await {
            Greylisted::CameAgain => {
                counts.came_again.increment();
                ("greylist: it came again".to_owned(), Ok(()))
            }
            Greylisted::Wait(wait) => {
                counts.greylisted.increment();
                (format!("greylist: asked to come again, for {suspicion}"), Err(replies::greylisted(wait)))
            }
        };
        if let Some(transaction) = self.transaction.as_mut()
            && !transaction.checks.contains(&line)
        {
            transaction.checks.push(line);
        }
        verdict
    }

    /// Why a stranger has to show that it comes again; nothing where it need not.
    fn suspicion(
        &self,
        screening: &Screening,
        greylist: Greylist,
        reverse_path: &ReversePath,
    ) -> Option<String> {
        let screened = &self.transaction.as_ref()?.screened;
        let is_vouched = screening.client.is_vouched;
        if greylist == Greylist::Off || screening.is_neighbour || is_vouched {
            return None;
        }
        if let Some(evidence) = screened.evidence.iter().find(|one| one.points > 0.0) {
            return Some(evidence.name.clone());
        }
        let has_sender = *reverse_path != ReversePath::Null;
        match (screened.spf, greylist) {
            (Some(SpfResult::Pass | SpfResult::TempError) | None, Greylist::Suspicious) => None,
            (Some(result), Greylist::Suspicious) if has_sender => Some(format!("SPF says {result}")),
            (_, Greylist::All) => Some("it is not known yet".to_owned()),
            _ => None,
        }
    }

    /// Where the mail comes from, as far as that stays the same when it comes again.
    fn origin_of_mail(&self) -> Option<Origin> {
        let screened = &self.transaction.as_ref()?.screened;
        let envelope = self.session.envelope()?;
        Origin::of(screened.spf, &envelope.reverse_path, self.client.peer.address()?)
    }
}

impl Origin {
    pub(super) fn of(spf: Option<SpfResult>, reverse_path: &ReversePath, address: IpAddr) -> Option<Self> {
        match (spf, sender_domain(reverse_path)) {
            (Some(SpfResult::Pass), Some(domain)) => Some(Self::Domain(domain.to_string())),
            _ => Self::network(address),
        }
    }
}
