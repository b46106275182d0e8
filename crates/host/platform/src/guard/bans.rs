//! Who is banned, why and until when. Bans are told by the calendar, since they outlive the process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::network::Network;

use super::GuardSettings;

/// Bans kept at most, those counted here and those that have ended with them: some 10 MiB. Beyond, those that end first
/// make room.
pub(super) const BANS_MAX: usize = 65_536;
/// Networks of which is remembered that they are still to be kept, while that cannot be done.
const UNKEPT_MAX: usize = 2 * BANS_MAX;
/// Bans of an operator that may be in force.
pub(super) const OPERATOR_BANS_MAX: usize = 10_000;
/// By how much each further ban of the same peer is longer.
const GROWTH: u32 = 4;
/// How long after its end a ban still makes the next one longer.
const REPEATS_KEPT: Duration = Duration::from_secs(28 * 24 * 3_600);
/// Longest reason that is kept.
pub const REASON_OCTETS_MAX: usize = 200;

/// A ban.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ban {
    /// Whom it keeps out.
    pub network: Network,
    /// When it was set.
    pub since: Timestamp,
    /// When it ends; never, where an operator set no end.
    pub until: Option<Timestamp>,
    /// Who set it.
    pub set_by: SetBy,
    /// Why.
    pub reason: Box<str>,
    /// How often this peer was banned by counting, this time included; 0: never.
    pub times: u32,
}

/// Who set a ban.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetBy {
    /// The guard, after too many offences.
    Counting,
    /// An operator.
    Operator,
}

/// Why a ban cannot be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BanError {
    /// A slip would keep half of the world out.
    #[error("a network must have at least 8 bits of IPv4 or 16 of IPv6 in common")]
    TooWide,
    /// There are as many as may be.
    #[error("there are as many bans of operators as there may be; remove some first")]
    TooMany,
    /// The reason is too long.
    #[error("the reason must be one line of at most {REASON_OCTETS_MAX} octets")]
    Reason,
}

impl Ban {
    /// Whether it keeps anybody out at this moment.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it still counts for the next one.
    fn is_remembered(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until.saturating_add(REPEATS_KEPT))
    }
}

#[derive(Default, Debug)]
pub(super) struct Bans {
    table: HashMap<Network, Ban>,
    /// How many bans there are of each family and prefix length: where to look for those around an address.
    lengths: BTreeMap<(bool, u8), usize>,
    /// What has changed since somebody last kept it.
    changed: BTreeSet<String>,
}

impl Bans {
    /// The bans in force around an address.
    pub(super) fn around(&self, address: IpAddr, now: Timestamp) -> impl Iterator<Item = &Ban> {
        let address = address.to_canonical();
        let lengths = self.lengths.range((address.is_ipv4(), 0)..=(address.is_ipv4(), 128));
        let networks = lengths.filter_map(move |((_, prefix), _)| Network::around(address, *prefix));
        networks.filter_map(|network| self.table.get(&network)).filter(move |ban| ban.is_in_force(now))
    }

    /// Bans a peer that has offended too often, for longer each time; `None` where it is banned already.
    pub(super) fn count(
        &mut self,
        network: Network,
        reason: &str,
        settings: &GuardSettings,
        now: Timestamp,
    ) -> Option<&Ban> {
        let earlier = self.table.get(&network);
        if earlier.is_some_and(|ban| ban.is_in_force(now)) {
            return None;
        }
        let times = earlier.filter(|ban| ban.is_remembered(now)).map_or(0, |ban| ban.times).saturating_add(1);
        let length = settings.ban_first.saturating_mul(GROWTH.saturating_pow(times - 1));
        let until = Some(now.saturating_add(length.min(settings.ban_longest)));
        let ban = Ban { network, since: now, until, set_by: SetBy::Counting, reason: reason.into(), times };
        self.make_room(now);
        self.put(ban);
        self.table.get(&network)
    }

    /// Sets an operator's ban.
    pub(super) fn set(&mut self, ban: Ban, now: Timestamp) -> Result<(), BanError> {
        let prefix_min = if ban.network.address().is_ipv4() { 8 } else { 16 };
        if ban.network.prefix() < prefix_min {
            return Err(BanError::TooWide);
        }
        if ban.reason.len() > REASON_OCTETS_MAX || ban.reason.contains(char::is_control) {
            return Err(BanError::Reason);
        }
        // Those that have ended are in nobody's way.
        let counts = |ban: &Ban| ban.set_by == SetBy::Operator && ban.is_in_force(now);
        let is_new = !self.table.get(&ban.network).is_some_and(counts);
        if is_new && self.table.values().filter(|ban| counts(ban)).count() >= OPERATOR_BANS_MAX {
            return Err(BanError::TooMany);
        }
        self.make_room(now);
        self.put(ban);
        Ok(())
    }

    /// Lifts a ban and forgets that it was; whether there was one in force.
    pub(super) fn lift(&mut self, network: Network, now: Timestamp) -> bool {
        self.remove(network).is_some_and(|ban| ban.is_in_force(now))
    }

    /// Takes up what was kept; what counts no more has changed: it is gone.
    pub(super) fn restore(&mut self, kept: Vec<Ban>, now: Timestamp) {
        for ban in kept {
            let network = ban.network;
            let is_taken = ban.is_remembered(now) && self.table.len() < BANS_MAX;
            if is_taken {
                self.put(ban);
                self.changed.remove(&network.to_string());
            } else {
                self.changed.insert(network.to_string());
            }
        }
    }

    /// Takes back which networks' bans could not be kept.
    pub(super) fn give_back(&mut self, networks: impl Iterator<Item = String>) {
        let room = UNKEPT_MAX.saturating_sub(self.changed.len());
        self.changed.extend(networks.take(room));
    }

    pub(super) fn in_force(&self, now: Timestamp) -> Vec<Ban> {
        let mut bans: Vec<Ban> = self.table.values().filter(|ban| ban.is_in_force(now)).cloned().collect();
        bans.sort_by_key(|ban| (ban.since, ban.network.address(), ban.network.prefix()));
        bans
    }

    /// What has changed since this was last asked, by the network's text; `None` is gone.
    pub(super) fn take_changed(&mut self) -> Vec<(String, Option<Ban>)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let now_of = |text: &str| text.parse().ok().and_then(|network: Network| self.table.get(&network));
        changed.map(|text| (now_of(&text).cloned(), text)).map(|(ban, text)| (text, ban)).collect()
    }

    fn put(&mut self, ban: Ban) {
        let network = ban.network;
        self.changed.insert(network.to_string());
        if self.table.insert(network, ban).is_none() {
            *self.lengths.entry((network.address().is_ipv4(), network.prefix())).or_default() += 1;
        }
    }

    fn remove(&mut self, network: Network) -> Option<Ban> {
        let ban = self.table.remove(&network)?;
        self.changed.insert(network.to_string());
        let length = (network.address().is_ipv4(), network.prefix());
        if let Some(count) = self.lengths.get_mut(&length) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length);
            }
        }
        Some(ban)
    }

    /// Lets go of an eighth of a full table: what counts no more, and then what ends first. Operators' bans stay.
    fn make_room(&mut self, now: Timestamp) {
        if self.table.len() < BANS_MAX {
            return;
        }
        let mut ending: Vec<(Timestamp, Network)> = self
            .table
            .values()
            .filter(|ban| ban.set_by == SetBy::Counting || !ban.is_in_force(now))
            .filter_map(|ban| Some((ban.until?, ban.network)))
            .collect();
        ending.sort_by_key(|(until, _)| *until);
        for (_, network) in ending.into_iter().take(BANS_MAX / 8) {
            self.remove(network);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}
