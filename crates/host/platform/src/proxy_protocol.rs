//! The PROXY protocol, versions 1 and 2: a load balancer's word on who the peer is.
//!
//! Stands before the first octet of SMTP or IMAP, and only for networks the operator named.
//! Specification: haproxy.org/download/2.9/doc/proxy-protocol.txt.

use std::net::SocketAddr;

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// The proxy speaks for itself (health check) or cannot say: keep the connection's own addresses.
    Local,
    /// The client behind the proxy, and the address it connected to.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
}
