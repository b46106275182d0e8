//! How many connections one network of strangers may have at a time, and how much one of their addresses may bring in a
//! minute. Memory is constant.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use platform::clock::{Clock, Monotonic};
use platform::network::Network;

use super::senders::{CLIENT, NETWORK, block};

/// Addresses whose mail of the minute is counted; beyond, new ones are not.
const ADDRESSES_MAX: usize = 10_000;
/// The minute in which is counted.
const MINUTE_SECONDS: u64 = 60;

/// What strangers may do. `None`: as much as they like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimits {
    /// Connections at a time from one /24 or /48.
    pub connections_per_network: Option<u32>,
    /// Messages in a minute from one address or /64.
    pub messages_a_minute: Option<u32>,
    /// Recipients in a minute from one address or /64.
    pub recipients_a_minute: Option<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// As many entries as connections at most.
    connections: HashMap<Network, u32>,
    addresses: HashMap<Network, Minute>,
}

#[derive(Clone, Copy, Debug)]
struct Minute {
    begun: Monotonic,
    messages: u32,
    recipients: u32,
}

/// A connection's place among those of its network; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    rates: Arc<Rates>,
    network: Option<Network>,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Brought {
    Message,
    Recipient,
}

impl Rates {
    /// Counts a connection in; nothing where its network has as many as it may.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, limits: RateLimits) -> Option<Place> {
        let Some(most) = limits.connections_per_network else {
            return Some(Place { rates: Arc::clone(self), network: None });
        };
        let network = block(address, NETWORK);
        if let Some(network) = network {
            let mut state = self.0.lock();
            let open = state.connections.entry(network).or_insert(0);
            if *open >= most {
                return None;
            }
            *open += 1;
        }
        Some(Place { rates: Arc::clone(self), network })
    }

    /// Counts something that an address brings; false where that is too much for a minute.
    pub(crate) fn may_bring(
        &self,
        address: IpAddr,
        what: Brought,
        limits: RateLimits,
        clock: &Clock,
    ) -> bool {
        let most = match what {
            Brought::Message => limits.messages_a_minute,
            Brought::Recipient => limits.recipients_a_minute,
        };
        let (Some(most), Some(client)) = (most, block(address, CLIENT)) else { return true };
        let now = clock.monotonic();
        let is_over = |minute: &Minute| now.since(minute.begun).as_secs() >= MINUTE_SECONDS;
        let mut state = self.0.lock();
        let addresses = &mut state.addresses;
        if addresses.len() >= ADDRESSES_MAX && !addresses.contains_key(&client) {
            addresses.retain(|_, minute| !is_over(minute));
            if addresses.len() >= ADDRESSES_MAX {
                return true;
            }
        }
        let new = Minute { begun: now, messages: 0, recipients: 0 };
        let minute = addresses.entry(client).or_insert(new);
        if is_over(minute) {
            *minute = new;
        }
        let count = match what {
            Brought::Message => &mut minute.messages,
            Brought::Recipient => &mut minute.recipients,
        };
        *count = count.saturating_add(1);
        *count <= most
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        let mut state = self.rates.0.lock();
        if let Some(open) = state.connections.get_mut(&network) {
            *open -= 1;
            if *open == 0 {
                state.connections.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use platform::clock::Timestamp;

    use super::*;

    const LIMITS: RateLimits = RateLimits {
        connections_per_network: Some(2),
        messages_a_minute: Some(2),
        recipients_a_minute: Some(3),
    };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_so_many_connections() {
        let rates = Arc::new(Rates::default());
        let first = rates.admit(ip("192.0.2.1"), LIMITS).unwrap();
        let _second = rates.admit(ip("192.0.2.2"), LIMITS).unwrap();
        assert!(rates.admit(ip("192.0.2.3"), LIMITS).is_none());
        let _other = rates.admit(ip("192.0.3.1"), LIMITS).unwrap();
        drop(first);
        let third = rates.admit(ip("192.0.2.3"), LIMITS).unwrap();
        drop(third);
        let six =
            ["2a00:1:2:3::1", "2a00:1:2:4::1", "2a00:1:2:5::1"].map(|text| rates.admit(ip(text), LIMITS));
        assert_eq!(six.iter().flatten().count(), 2);
        let free = RateLimits { connections_per_network: None, ..LIMITS };
        assert!(rates.admit(ip("192.0.2.9"), free).is_some());
        drop(six);
        assert_eq!(rates.0.lock().connections.len(), 2);
    }

    #[test]
    fn an_address_brings_so_much_in_a_minute() {
        let (rates, clock) = (Rates::default(), Clock::settable(Timestamp::from_unix_seconds(0)));
        let bring = |text, what| rates.may_bring(ip(text), what, LIMITS, &clock);
        for (number, expected) in [(1, true), (2, true), (3, false)] {
            assert_eq!(bring("192.0.2.1", Brought::Message), expected, "{number}");
        }
        for (number, expected) in [(2, true), (3, true), (4, true), (5, false)] {
            assert_eq!(bring("192.0.2.1", Brought::Recipient), expected, "{number}");
        }
        assert!(bring("192.0.2.2", Brought::Message), "a neighbour has a count of its own");
        clock.advance(Duration::from_secs(59));
        assert!(!bring("192.0.2.1", Brought::Message));
        clock.advance(Duration::from_secs(1));
        assert!(bring("192.0.2.1", Brought::Message));
        let free = RateLimits { messages_a_minute: None, ..LIMITS };
        assert!((0..10).all(|_| rates.may_bring(ip("192.0.2.1"), Brought::Message, free, &clock)));
    }

    #[test]
    fn so_many_addresses_are_counted() {
        let (rates, clock) = (Rates::default(), Clock::settable(Timestamp::from_unix_seconds(0)));
        let one = |number: usize| {
            let number = u32::try_from(number).unwrap();
            rates.may_bring(IpAddr::from(number.to_be_bytes()), Brought::Message, LIMITS, &clock)
        };
        for number in 0..=ADDRESSES_MAX {
            assert!(one(number));
        }
        assert_eq!(rates.0.lock().addresses.len(), ADDRESSES_MAX);
        assert!((0..5).all(|_| one(ADDRESSES_MAX)), "not counted, so not refused");
        clock.advance(Duration::from_secs(60));
        assert!(one(ADDRESSES_MAX));
        assert_eq!(rates.0.lock().addresses.len(), 1, "those of the minute before are let go");
    }
}
