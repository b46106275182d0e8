//! One kind of byte stream for all doors: TCP, Unix socket, or a layer (TLS) over one of these.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// What a layer must be: a byte stream that may move between threads.
pub trait Layer: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Layer for T {}

/// A connection's byte stream.
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// TLS over another stream, or a pipe in a test.
    Layered(Box<dyn Layer>),
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Endpoint {
    /// An address and port.
    Inet(SocketAddr),
    /// A Unix socket, on this machine.
    Unix,
}

impl Endpoint {
    /// The address; `None` for a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Inet(socket) => Some(socket.ip()),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(socket) => fmt::Display::fmt(socket, f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

impl Stream {
    /// A stream over any byte stream: the way TLS is laid over TCP.
    #[must_use]
    pub fn layered(layer: impl Layer + 'static) -> Self {
        Self::Layered(Box::new(layer))
    }

    /// Both ends of a pipe in memory holding at most `octets_max` each way, for tests.
    #[must_use]
    pub fn pair(octets_max: usize) -> (Self, Self) {
        let (one, other) = tokio::io::duplex(octets_max);
        (Self::layered(one), Self::layered(other))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Stream::Tcp",
            Self::Unix(_) => "Stream::Unix",
            Self::Layered(_) => "Stream::Layered",
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Layered(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Layered(stream) => Pin::new(stream).poll_write(context, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Layered(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Layered(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
