//! Named networks (`192.0.2.0/24`, `2001:db8::/32`): who may speak PROXY to us, whom the guard spares.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses: an address and how many of its leading bits count (RFC 4632, RFC 4291 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NetworkError {
    /// The part before the slash is no IPv4 or IPv6 address.
    #[error("not an IP address; write 192.0.2.0/24, 2001:db8::/32 or a single address")]
    Address,
    /// The part after the slash is no number within the address's bits.
    #[error("the prefix length must be 0 to 32 for IPv4 and 0 to 128 for IPv6")]
    Prefix,
    /// Bits beyond the prefix are set: most likely a slip.
    #[error("the address has bits set beyond its prefix length")]
    HostBits,
}

/// The addresses of this host's interfaces, those of loopback left out. They may change while it runs.
///
/// # Errors
/// When the system does not tell.
pub fn interface_addresses() -> std::io::Result<Vec<IpAddr>> {
    let addresses = nix::ifaddrs::getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    Ok(addresses.filter(|address| !address.is_loopback()).collect())
}

/// Whether an address is somebody's on the Internet: none of this host, of a private network or of a special use
/// (RFC 6890). What strangers' records name is asked only there.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, third, _] = v4.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            let is_special = first == 0 || first >= 240 || (first, second, third) == (192, 0, 0);
            let is_benchmark = first == 198 && second & 0xfe == 18;
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_multicast())
                && !(v4.is_documentation() || is_shared || is_special || is_benchmark)
        }
        // Global unicast alone, without what only clothes IPv4 or documents.
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            let is_documentation = first == 0x2001 && second == 0x0db8;
            let is_tunnelled = first == 0x2002 || (first == 0x2001 && second == 0);
            first & 0xe000 == 0x2000 && !is_documentation && !is_tunnelled
        }
    }
}

/// Whether an address is of a house's or a provider's own network (RFC 1918, RFC 4193, RFC 6598), or of this machine.
#[must_use]
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

impl Network {
    /// A network from an address, whose bits beyond `prefix` must be zero.
    ///
    /// # Errors
    /// [`NetworkError::Prefix`] when `prefix` is longer than the address, [`NetworkError::HostBits`].
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, NetworkError> {
        let network = Self::around(address, prefix).ok_or(NetworkError::Prefix)?;
        if network.address == address { Ok(network) } else { Err(NetworkError::HostBits) }
    }

    /// The network of that prefix length in which an address lies; `None` when the prefix is too long.
    #[must_use]
    pub fn around(address: IpAddr, prefix: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(v4) if prefix <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) if prefix <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => return None,
        };
        Some(Self { address, prefix })
    }

    /// The network of one address alone.
    #[must_use]
    pub(crate) fn single(address: IpAddr) -> Self {
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// The /64 around an IPv6 address: the smallest block a household gets (RFC 6177).
    #[must_use]
    pub(crate) fn household(address: Ipv6Addr) -> Self {
        let bits = address.to_bits() >> 64 << 64;
        Self { address: Ipv6Addr::from_bits(bits).into(), prefix: 64 }
    }

    /// Its first address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits its addresses have in common.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether all of another network lies in this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }

    /// Whether `address` lies in this network. An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::around(address.to_canonical(), self.prefix).is_some_and(|around| around == *self)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let prefix: u8 = match prefix {
            None if address.is_ipv4() => 32,
            None => 128,
            Some(digits) if digits.bytes().all(|octet| octet.is_ascii_digit()) => {
                digits.parse().map_err(|_| NetworkError::Prefix)?
            }
            Some(_) => return Err(NetworkError::Prefix),
        };
        // IPv4 in the clothes of IPv6 is compared as IPv4.
        match (address.to_canonical(), prefix.checked_sub(96)) {
            (v4 @ IpAddr::V4(_), Some(prefix)) if address.is_ipv6() => Self::new(v4, prefix),
            _ => Self::new(address, prefix),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_internet_is_public() {
        for (text, expected) in [
            ("198.41.0.4", true),
            ("100.63.255.255", true),
            ("100.64.0.0", false),
            ("100.127.255.255", false),
            ("100.128.0.0", true),
            ("172.15.0.1", true),
            ("172.16.0.1", false),
            ("0.1.2.3", false),
            ("10.0.0.1", false),
            ("127.0.0.2", false),
            ("169.254.169.254", false),
            ("192.0.0.1", false),
            ("192.0.2.1", false),
            ("192.168.0.1", false),
            ("198.18.0.1", false),
            ("198.20.0.1", true),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("255.255.255.255", false),
            ("2606:4700::1", true),
            ("::1", false),
            ("::", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:198.41.0.4", true),
            ("64:ff9b::7f00:1", false),
            ("2001:db8::1", false),
            ("2001:0:1::1", false),
            ("2002:7f00:1::1", false),
            ("fc00::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn reads_and_writes_itself() {
        for text in ["0.0.0.0/0", "192.0.2.0/24", "192.0.2.7/32", "::/0", "2001:db8::/32", "::1/128"] {
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("192.0.2.7"), network("192.0.2.7/32"));
        assert_eq!(network("::1"), network("::1/128"));
    }

    #[test]
    fn refuses_what_is_no_network() {
        let cases = [
            ("", NetworkError::Address),
            ("localhost", NetworkError::Address),
            ("192.0.2/24", NetworkError::Address),
            ("192.0.2.0/33", NetworkError::Prefix),
            ("2001:db8::/129", NetworkError::Prefix),
            ("192.0.2.0/", NetworkError::Prefix),
            ("192.0.2.0/+8", NetworkError::Prefix),
            ("192.0.2.0/24/1", NetworkError::Prefix),
            ("192.0.2.1/24", NetworkError::HostBits),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }

    #[test]
    fn contains_its_first_and_last_address_and_not_their_neighbours() {
        let block = network("192.0.2.0/24");
        for (text, inside) in
            [("192.0.1.255", false), ("192.0.2.0", true), ("192.0.2.255", true), ("192.0.3.0", false)]
        {
            assert_eq!(block.contains(text.parse().unwrap()), inside, "{text}");
        }
        let block = network("2001:db8::/33");
        assert!(block.contains("2001:db8:7fff:ffff::1".parse().unwrap()));
        assert!(!block.contains("2001:db8:8000::".parse().unwrap()));
        assert!(!block.contains("192.0.2.1".parse().unwrap()));
        assert!(network("::/0").contains("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn covers_itself_and_what_is_narrower() {
        let block = network("192.0.2.0/24");
        for (text, covered) in [
            ("192.0.2.0/24", true),
            ("192.0.2.128/25", true),
            ("192.0.2.7", true),
            ("192.0.2.0/23", false),
            ("192.0.3.0/24", false),
            ("::/0", false),
        ] {
            assert_eq!(block.covers(&network(text)), covered, "{text}");
        }
    }

    #[test]
    fn ipv4_in_ipv6_clothes_counts_as_ipv4() {
        assert!(network("192.0.2.0/24").contains("::ffff:192.0.2.9".parse().unwrap()));
        assert!(!network("::/0").contains("::ffff:192.0.2.9".parse().unwrap()));
        assert_eq!(network("::ffff:192.0.2.9"), network("192.0.2.9"));
        assert_eq!(network("::ffff:192.0.2.0/120"), network("192.0.2.0/24"));
        assert_eq!("::ffff:192.0.2.9/120".parse::<Network>(), Err(NetworkError::HostBits));
    }
}
