//! How servers and keys are written in a configuration: `192.0.2.1`, `[2001:db8::1]:5300`, `192.0.2.1#dns.example.org`.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::name::Name;
use crate::serve::is_ours;
use crate::settings::{Forwarder, ForwarderTransport, RootHint, Settings, TrustAnchor};

/// The port of plain DNS (RFC 1035 §4.2).
const PLAIN_PORT: u16 = 53;
/// The port of DNS over TLS (RFC 7858 §3.1).
const TLS_PORT: u16 = 853;

/// A text that is no server or no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WrittenError {
    /// Not an address, with or without a port.
    #[error("write an IP address, or one with a port: 192.0.2.1, 192.0.2.1:5300, [2001:db8::1]:5300")]
    Address,
    /// An address that strangers could reach.
    #[error("write an address of loopback: 127.0.0.1, 127.0.0.53:5300, [::1]:53")]
    NotLoopback,
    /// What stands behind `#` is no name.
    #[error("behind # stands the name in the server's certificate: 192.0.2.1#dns.example.org")]
    Name,
    /// Neither `internet` nor the data of a DNSKEY record.
    #[error("write internet, or the data of a DNSKEY record: 257 3 13 mdsswUyr3D…")]
    TrustAnchor,
}

impl FromStr for RootHint {
    type Err = WrittenError;
    fn from_str(text: &str) -> Result<Self, WrittenError> {
        address(text, PLAIN_PORT).map(Self)
    }
}

/// Where programs of this machine may ask: an address of loopback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalAddress(pub SocketAddr);

impl FromStr for LocalAddress {
    type Err = WrittenError;
    fn from_str(text: &str) -> Result<Self, WrittenError> {
        let address = address(text, PLAIN_PORT)?;
        if is_ours(address.ip()) { Ok(Self(address)) } else { Err(WrittenError::NotLoopback) }
    }
}

impl FromStr for Forwarder {
    type Err = WrittenError;
    fn from_str(text: &str) -> Result<Self, WrittenError> {
        let Some((server, name)) = text.split_once('#') else {
            return Ok(Self { address: address(text, PLAIN_PORT)?, transport: ForwarderTransport::Plain });
        };
        let name = Name::parse(name).ok().filter(|name| !name.is_root()).ok_or(WrittenError::Name)?;
        Ok(Self { address: address(server, TLS_PORT)?, transport: ForwarderTransport::Tls(name) })
    }
}

impl FromStr for TrustAnchor {
    type Err = WrittenError;
    fn from_str(text: &str) -> Result<Self, WrittenError> {
        if text == "internet" {
            return Ok(Self::Internet);
        }
        let anchor = Self::RootKey(text.to_owned());
        let settings = Settings { trust_anchors: vec![anchor.clone()], ..Settings::default() };
        settings.anchors().map(|_| anchor).map_err(|_| WrittenError::TrustAnchor)
    }
}

fn address(text: &str, port: u16) -> Result<SocketAddr, WrittenError> {
    let alone = text.parse().map(|ip: IpAddr| SocketAddr::new(ip, port));
    alone.or_else(|_| text.parse()).map_err(|_| WrittenError::Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_with_and_without_ports() {
        for (text, expected) in [
            ("192.0.2.1", Some("192.0.2.1:53")),
            ("192.0.2.1:5300", Some("192.0.2.1:5300")),
            ("2001:db8::1", Some("[2001:db8::1]:53")),
            ("[2001:db8::1]:5300", Some("[2001:db8::1]:5300")),
            ("ns.example.org", None),
            ("192.0.2.1:70000", None),
            ("", None),
        ] {
            let read = text.parse::<RootHint>().ok().map(|hint| hint.0.to_string());
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_name_makes_a_forwarder_speak_tls() {
        let forwarder: Forwarder = "192.0.2.1#dns.example.org".parse().unwrap();
        assert_eq!(forwarder.address.port(), TLS_PORT);
        assert_eq!(forwarder.transport, ForwarderTransport::Tls(Name::parse("dns.example.org").unwrap()));
        let forwarder: Forwarder = "192.0.2.1".parse().unwrap();
        assert_eq!(forwarder.transport, ForwarderTransport::Plain);
        for text in ["192.0.2.1#", "192.0.2.1#.", "#dns.example.org"] {
            assert!(text.parse::<Forwarder>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn programs_ask_on_loopback_alone() {
        for (text, expected) in [
            ("127.0.0.1", Some("127.0.0.1:53")),
            ("127.0.0.53:5300", Some("127.0.0.53:5300")),
            ("::1", Some("[::1]:53")),
            ("0.0.0.0:53", None),
            ("192.0.2.1", None),
            ("::", None),
        ] {
            let read = text.parse::<LocalAddress>().ok().map(|address| address.0.to_string());
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn keys_are_read() {
        assert_eq!("internet".parse(), Ok(TrustAnchor::Internet));
        assert_eq!("257 3 13 x".parse::<TrustAnchor>(), Err(WrittenError::TrustAnchor));
    }
}
