//! Connections to other hosts: from a named address of ours, to the first of a host's addresses that answers
//! (Happy Eyeballs, RFC 8305).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::stream::Stream;

/// Addresses of one host that are tried at most.
pub const ADDRESSES_MAX: usize = 8;

/// How to connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Egress {
    /// The address that IPv4 connections leave from; the system's choice where not set.
    pub ipv4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub ipv6: Option<Ipv6Addr>,
    /// How long one address may take.
    pub connect_timeout: Duration,
    /// How much later the next address is tried beside one that has not answered yet.
    pub fall_over: Duration,
}

/// Connects to the first of these addresses that answers, in their order, families taking turns; at most
/// [`ADDRESSES_MAX`] of them.
///
/// # Errors
/// What the last one came to; [`io::ErrorKind::AddrNotAvailable`] where there is none.
pub async fn connect(addresses: &[SocketAddr], egress: Egress) -> io::Result<(Stream, SocketAddr)> {
    let mut waiting = take_turns(addresses).into_iter();
    let mut attempts = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(attempt(address, egress));
        }
        // Those under way end with the set.
        let ended = match waiting.len() {
            0 => attempts.join_next().await,
            // A result that the wait is over before is not lost: the set keeps it.
            _ => match tokio::time::timeout(egress.fall_over, attempts.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            Some(Ok(Ok((stream, address)))) => return Ok((Stream::Tcp(stream), address)),
            Some(Ok(Err(error))) => last = error,
            Some(Err(error)) => last = io::Error::other(error),
            None => return Err(last),
        }
    }
}

/// Connects to a socket in the file system.
///
/// # Errors
/// What the system says; [`io::ErrorKind::TimedOut`].
pub async fn connect_unix(path: &str, timeout: Duration) -> io::Result<Stream> {
    match tokio::time::timeout(timeout, UnixStream::connect(path)).await {
        Ok(connected) => Ok(Stream::Unix(connected?)),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// The addresses of a host by what this machine itself knows of names (its hosts file, its container's network): for
/// programs that work beside ours, never for hosts of the world.
///
/// # Errors
/// What the system says; [`io::ErrorKind::TimedOut`].
pub async fn addresses_by_this_machine(
    host: &str,
    port: u16,
    timeout: Duration,
) -> io::Result<Vec<SocketAddr>> {
    match tokio::time::timeout(timeout, tokio::net::lookup_host((host, port))).await {
        Ok(found) => Ok(found?.take(ADDRESSES_MAX).collect()),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// The families by turns, beginning with the first address's (RFC 8305 §4).
fn take_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let begins_with_six = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == begins_with_six);
    one.reverse();
    other.reverse();
    let mut turns = Vec::with_capacity(addresses.len().min(ADDRESSES_MAX));
    while turns.len() < ADDRESSES_MAX && (!one.is_empty() || !other.is_empty()) {
        turns.extend(one.pop().into_iter().chain(other.pop()));
    }
    turns.truncate(ADDRESSES_MAX);
    turns
}

async fn attempt(address: SocketAddr, egress: Egress) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, from) = match address {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, egress.ipv4.map(IpAddr::V4)),
        SocketAddr::V6(_) => (TcpSocket::new_v6()?, egress.ipv6.map(IpAddr::V6)),
    };
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = match tokio::time::timeout(egress.connect_timeout, socket.connect(address)).await {
        Ok(connected) => connected?,
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    };
    // Each command waits for its answer: nothing is gained by gathering.
    stream.set_nodelay(true)?;
    Ok((stream, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const EGRESS: Egress = Egress {
        ipv4: None,
        ipv6: None,
        connect_timeout: Duration::from_secs(5),
        fall_over: Duration::from_millis(50),
    };

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let six_first = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
        assert_eq!(take_turns(&six_first), expected);
        let four_only = addresses(&["1.1.1.1:1", "1.1.1.2:1"]);
        assert_eq!(take_turns(&four_only), four_only);
        for count in [ADDRESSES_MAX - 1, ADDRESSES_MAX, ADDRESSES_MAX + 1] {
            let many = vec![four_only[0]; count];
            assert_eq!(take_turns(&many).len(), count.min(ADDRESSES_MAX));
        }
    }

    #[tokio::test]
    async fn the_next_address_takes_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive = listener.local_addr().unwrap();
        let dead = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let (_, reached) = connect(&[dead, alive], EGRESS).await.unwrap();
        assert_eq!(reached, alive);
        assert_eq!(connect(&[dead], EGRESS).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let none = connect(&[], EGRESS).await.unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[tokio::test]
    async fn connections_leave_from_the_address_that_was_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let from = Egress { ipv4: Some(Ipv4Addr::new(127, 0, 0, 7)), ..EGRESS };
        let connected = connect(&[listener.local_addr().unwrap()], from).await.unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip(), Ipv4Addr::new(127, 0, 0, 7));
        drop(connected);
    }
}
