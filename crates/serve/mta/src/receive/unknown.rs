//! A stranger names somebody who is not here. Whoever guesses names is banned for it in the end (platform's guard); whoever brings
//! wanted mail beside them, a list with old addresses or a large provider, is only slowed: a ban would keep that mail waiting. So is a private
//! address, by way of which all the world may come.

use std::time::Duration;

use mail_types::ReversePath;
use platform::guard::Offence;
use sender_auth::spf::SpfResult;

use super::screening::{Screening, is_neighbour, sender_domain, stranger};
use super::session::Conversation;
use crate::screen::unknown::{ASKED_FROM, VOUCHED_MESSAGES, delay, is_credited};

impl Conversation {
    /// Tells the guard, or lets the answer wait, or both.
    pub(super) async fn named_unknown(&mut self) {
        self.unknown_named = self.unknown_named.saturating_add(1);
        let delay = if let Some(named) = self.named_by_neighbour() {
            // What comes by way of it may be anybody's: the guard does not ban it, unless that is wanted.
            self.offended(Offence::UnknownTarget);
            delay(named)
        } else if self.has_credit().await {
            delay(self.unknown_named)
        } else {
            self.offended(Offence::UnknownTarget);
            Duration::ZERO
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    /// How many were named by way of a neighbour in this day, in however many connections, whether or not strangers are screened.
    fn named_by_neighbour(&self) -> Option<u32> {
        let address = stranger(&self.live.settings, self.client.listener, self.client.peer)?;
        let rooms = &self.door.rooms;
        let screen = rooms.screen.as_ref().filter(|_| is_neighbour(address, self.client.local))?;
        let of_day = screen.unknown.count(address, &rooms.clock);
        Some(of_day.unwrap_or_default().max(self.unknown_named))
    }

    /// Whether what is known of a screened stranger outweighs whom it names.
    async fn has_credit(&mut self) -> bool {
        let Some(mut screening) = self.screening.take() else { return false };
        let has_credit = Box::pin(self.is_outweighed(&mut screening)).await;
        if has_credit {
            screening.screen.counts.unknown_slowed.increment();
        }
        self.screening = Some(screening);
        has_credit
    }

    /// Whether what is known of a stranger's mail outweighs the unknown people that its network has named in this day. A spammer
    /// whose message was taken once gets nothing by it.
    async fn is_outweighed(&mut self, screening: &mut Screening) -> bool {
        let (address, screen) = (screening.address, screening.screen.clone());
        let Some(named) = screen.unknown.count(address, &self.door.rooms.clock) else { return false };
        if is_credited(named, screen.senders().merit_of_network(address).await) {
            return true;
        }
        if named < ASKED_FROM {
            return false;
        }
        let live = std::sync::Arc::clone(&self.live);
        let settings = &live.settings.screen;
        screening.judge_client(&self.door.rooms, settings).await;
        if screening.client.is_vouched && is_credited(named, VOUCHED_MESSAGES) {
            return true;
        }
        let reverse_path = self.session.envelope().map(|envelope| envelope.reverse_path.clone());
        let reverse_path = reverse_path.unwrap_or(ReversePath::Null);
        let hello = self.session.hello().map(|hello| hello.name.clone()).unwrap_or_default();
        let Some(domain) = sender_domain(&reverse_path) else { return false };
        // Kept in the resolver's cache, as for a recipient who is here.
        if self.spf(settings, &hello, &reverse_path).await != Some(SpfResult::Pass) {
            return false;
        }
        // Whoever may send for a domain shares what it has earned; what a network has spent it cannot spend again.
        let of_domain = screen.unknown.count_of_domain(domain, &self.door.rooms.clock);
        let merit = screen.senders().merit_of_domain(domain).await;
        of_domain.is_some_and(|of_domain| is_credited(of_domain.max(named), merit))
    }
}
