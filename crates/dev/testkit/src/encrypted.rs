//! TLS for a story's blocking dialogue: the project's own connector, driven by a small runtime of its own.

use std::io::{Error, ErrorKind, Read, Result as IoResult, Write};
use std::net::TcpStream;

use anyhow::{Context, Result};
use platform::stream::Stream;
use tls::{Acceptor, Connector, ConnectorTrust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::dialogue::WAIT_MAX;

/// What binds a log-in to one channel (RFC 5056).
#[derive(Clone, Debug)]
pub struct Bindings {
    /// `tls-exporter` (RFC 9266).
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4).
    pub server_end_point: Option<Vec<u8>>,
}

/// A connection under TLS.
#[derive(Debug)]
pub(crate) struct Encrypted {
    runtime: Runtime,
    stream: Stream,
}

impl Encrypted {
    /// Shakes hands, whoever the server says it is.
    pub(crate) fn start(stream: TcpStream) -> Result<(Self, Bindings)> {
        stream.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stream, session) = runtime.block_on(async {
            let stream = Stream::Tcp(tokio::net::TcpStream::from_std(stream)?);
            let connector = Connector::new(&ConnectorTrust::Anyone, WAIT_MAX)?;
            connector.connect(stream, "localhost").await.context("the TLS handshake")
        })?;
        let bindings = Bindings {
            exporter: session.bindings.exporter,
            server_end_point: session.bindings.server_end_point,
        };
        Ok((Self { runtime, stream }, bindings))
    }

    /// Shakes hands as the server does.
    pub(crate) fn accept(stream: TcpStream, acceptor: &Acceptor) -> Result<Self> {
        stream.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stream, _) = runtime.block_on(async {
            let stream = Stream::Tcp(tokio::net::TcpStream::from_std(stream)?);
            acceptor.accept(stream).await.context("the TLS handshake")
        })?;
        Ok(Self { runtime, stream })
    }

    fn in_time<T>(&mut self, work: impl AsyncFnOnce(&mut Stream) -> IoResult<T>) -> IoResult<T> {
        let Self { runtime, stream } = self;
        let timed = runtime.block_on(async { tokio::time::timeout(WAIT_MAX, work(stream)).await });
        timed.unwrap_or_else(|_| Err(Error::from(ErrorKind::TimedOut)))
    }
}

impl Read for Encrypted {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        self.in_time(async |stream| stream.read(buffer).await)
    }
}

impl Write for Encrypted {
    fn write(&mut self, octets: &[u8]) -> IoResult<usize> {
        self.in_time(async |stream| stream.write(octets).await)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.in_time(async |stream| stream.flush().await)
    }
}
