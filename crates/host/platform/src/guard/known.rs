//! From where an account's owner has logged in: what strangers do to the account or to the network around must not keep
//! the owner out.

use std::net::IpAddr;

use crate::network::Network;

use super::keyed::HashKey;
use super::recent::Recent;
use super::records::Hash;

/// Entries of a generation: twice as many are held at most, some 6 MiB; each login makes three.
pub(super) const ENTRIES_MAX: usize = 65_536;
/// How many days after its last login a place is known.
pub const KNOWN_DAYS: u32 = 60;

/// A place that is known, as a keyed hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct KnownPlace {
    /// What stands for it.
    pub hash: u64,
    /// The day of its last login, counted from the beginning of 1970.
    pub day: u32,
}

/// What of a place is known.
#[derive(Clone, Copy)]
enum Kind {
    /// An account's owner has logged in from this address.
    AddressOf = 1,
    /// From this network.
    NetworkOf = 2,
    /// Somebody has logged in from this address.
    Address = 3,
}

#[derive(Debug)]
pub(super) struct Known {
    places: Recent<u64, u32>,
    changed: Vec<KnownPlace>,
}

impl Default for Known {
    fn default() -> Self {
        Self { places: Recent::new(ENTRIES_MAX), changed: Vec::new() }
    }
}

impl Known {
    /// Whether an account's owner has logged in from this address or the network around it.
    pub(super) fn is_owners(
        &mut self,
        key: &HashKey,
        (address, network): (Network, Network),
        account: Hash,
        today: u32,
    ) -> bool {
        self.has(hash(key, Kind::AddressOf, address, account), today)
            || self.has(hash(key, Kind::NetworkOf, network, account), today)
    }

    /// Whether an account's owner has logged in from this very address.
    pub(super) fn is_owners_address(
        &mut self,
        key: &HashKey,
        address: Network,
        account: Hash,
        today: u32,
    ) -> bool {
        self.has(hash(key, Kind::AddressOf, address, account), today)
    }

    /// Whether anybody has logged in from this address.
    pub(super) fn is_somebodys(&mut self, key: &HashKey, address: Network, today: u32) -> bool {
        self.has(hash(key, Kind::Address, address, Hash(0)), today)
    }

    /// An account's owner has logged in; whether from an address from where not before.
    pub(super) fn learn(
        &mut self,
        key: &HashKey,
        (address, network): (Network, Network),
        account: Hash,
        today: u32,
    ) -> bool {
        let is_new = !self.has(hash(key, Kind::AddressOf, address, account), today);
        for (kind, place, account) in [
            (Kind::AddressOf, address, account),
            (Kind::NetworkOf, network, account),
            (Kind::Address, address, Hash(0)),
        ] {
            let hash = hash(key, kind, place, account);
            if self.places.touch(hash).copied() != Some(today) {
                self.places.insert(hash, today);
                if self.changed.len() < ENTRIES_MAX {
                    self.changed.push(KnownPlace { hash, day: today });
                }
            }
        }
        is_new
    }

    pub(super) fn restore(&mut self, kept: Vec<KnownPlace>) {
        for KnownPlace { hash, day } in kept {
            self.places.insert(hash, day);
        }
    }

    pub(super) fn take_changed(&mut self) -> Vec<KnownPlace> {
        std::mem::take(&mut self.changed)
    }

    /// Takes back what could not be kept, in front of what was seen since.
    pub(super) fn give_back(&mut self, mut unkept: Vec<KnownPlace>) {
        unkept.append(&mut self.changed);
        unkept.truncate(ENTRIES_MAX);
        self.changed = unkept;
    }

    fn has(&mut self, hash: u64, today: u32) -> bool {
        self.places.touch(hash).is_some_and(|day| today.saturating_sub(*day) < KNOWN_DAYS)
    }
}

fn hash(key: &HashKey, kind: Kind, place: Network, account: Hash) -> u64 {
    let kind = [kind as u8, place.prefix()];
    let account = account.0.to_le_bytes();
    match place.address() {
        IpAddr::V4(v4) => key.hash(&[&kind, &v4.octets(), &account]),
        IpAddr::V6(v6) => key.hash(&[&kind, &v6.octets(), &account]),
    }
}
