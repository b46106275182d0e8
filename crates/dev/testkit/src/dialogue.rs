//! One connection, a line at a time, with the whole talk kept for the day a test fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use socket2::{Domain, Socket, Type};
use tls::Acceptor;

use crate::encrypted::{Bindings, Encrypted};

/// Longest wait for a peer: a stuck test fails instead of hanging. Nothing ever waits for this to pass.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// A connection with its talk.
#[derive(Debug)]
pub struct Dialogue {
    reader: BufReader<Transport>,
    /// The same socket, below TLS if there is any.
    socket: TcpStream,
    talk: Vec<String>,
}

/// What the lines go over.
#[derive(Debug)]
enum Transport {
    Clear(TcpStream),
    Encrypted(Box<Encrypted>),
}

/// Lines of the talk that an error shows.
const TALK_SHOWN: usize = 40;

impl Dialogue {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, WAIT_MAX)
            .with_context(|| format!("connecting to {address}"))?;
        Self::over(stream)
    }

    /// Connects from another address of loopback: a crowd of clients, each with its own.
    ///
    /// # Errors
    /// When nobody listens there, or the source is no address of this machine.
    pub fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        socket
            .connect_timeout(&address.into(), WAIT_MAX)
            .with_context(|| format!("connecting from {source} to {address}"))?;
        Self::over(socket.into())
    }

    /// Speaks over a connection that stands already.
    ///
    /// # Errors
    /// When the socket cannot be set up.
    pub fn over(stream: TcpStream) -> Result<Self> {
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        stream.set_nodelay(true)?;
        let talk = vec![format!("connected to {}", stream.peer_addr()?)];
        let socket = stream.try_clone()?;
        Ok(Self { reader: BufReader::new(Transport::Clear(stream)), socket, talk })
    }

    /// Lays TLS over the connection, whoever the server says it is. What the server said in clear and was not yet
    /// read is thrown away. Also gives what binds a log-in to this very channel.
    ///
    /// # Errors
    /// When the handshake fails, or TLS stands already.
    pub fn start_tls(self) -> Result<(Self, Bindings)> {
        let Self { reader, socket, mut talk } = self;
        let Transport::Clear(stream) = reader.into_inner() else { bail!("TLS stands already") };
        let (encrypted, bindings) = Encrypted::start(stream)?;
        talk.push("TLS".to_owned());
        let reader = BufReader::new(Transport::Encrypted(Box::new(encrypted)));
        Ok((Self { reader, socket, talk }, bindings))
    }

    /// The other side of TLS: shows what the acceptor has. What came in clear and was not yet read is thrown away.
    ///
    /// # Errors
    /// When the handshake fails, or TLS stands already.
    pub(crate) fn accept_tls(self, acceptor: &Acceptor) -> Result<Self> {
        let Self { reader, socket, mut talk } = self;
        let Transport::Clear(stream) = reader.into_inner() else { bail!("TLS stands already") };
        let encrypted = Encrypted::accept(stream, acceptor)?;
        talk.push("TLS".to_owned());
        let reader = BufReader::new(Transport::Encrypted(Box::new(encrypted)));
        Ok(Self { reader, socket, talk })
    }

    /// Sends a line; CRLF is added.
    ///
    /// # Errors
    /// When the peer is gone.
    pub fn send(&mut self, line: &str) -> Result<()> {
        self.talk.push(format!("C: {line}"));
        self.send_octets(format!("{line}\r\n").as_bytes())
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// When the peer is gone.
    pub fn send_octets(&mut self, octets: &[u8]) -> Result<()> {
        let transport = self.reader.get_mut();
        transport.write_all(octets).and_then(|()| transport.flush()).with_context(|| self.told("sending"))
    }

    /// Sends a line an octet at a time, and takes so long for all of it.
    pub(crate) fn dribble(&mut self, line: &str, time: Duration) -> Result<()> {
        let line = format!("{line}\r\n");
        let pause = time / u32::try_from(line.len())?;
        line.as_bytes().iter().try_for_each(|octet| {
            std::thread::sleep(pause);
            self.send_octets(&[*octet])
        })
    }

    /// Reads a line without its line end.
    ///
    /// # Errors
    /// When the peer hangs up or stays silent.
    pub fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line).with_context(|| self.told("reading a line"))?;
        if read == 0 {
            bail!("{}", self.told("the peer hung up"));
        }
        while line.last().is_some_and(|octet| matches!(octet, b'\r' | b'\n')) {
            line.pop();
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        self.talk.push(format!("S: {line}"));
        Ok(line)
    }

    /// Reads a line with its line end, as it came.
    ///
    /// # Errors
    /// When the peer hangs up or stays silent.
    pub(crate) fn raw_line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line).with_context(|| self.told("reading a line"))?;
        if read == 0 {
            bail!("{}", self.told("the peer hung up"));
        }
        Ok(line)
    }

    /// Reads exactly so many octets.
    ///
    /// # Errors
    /// When the peer hangs up before.
    pub fn octets(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut octets = vec![0; count];
        self.reader.read_exact(&mut octets).with_context(|| self.told("reading octets"))?;
        self.talk.push(format!("S: ({count} octets)"));
        Ok(octets)
    }

    /// Reads a line and demands how it begins.
    ///
    /// # Errors
    /// When it begins otherwise.
    pub fn expect(&mut self, beginning: &str) -> Result<String> {
        let line = self.line()?;
        if !line.starts_with(beginning) {
            bail!("{}", self.told(&format!("expected {beginning:?}")));
        }
        Ok(line)
    }

    /// Whether the peer has hung up: waits until it does or says something.
    ///
    /// # Errors
    /// When it stays silent.
    pub fn is_closed(&mut self) -> Result<bool> {
        match self.reader.fill_buf() {
            Ok(octets) => Ok(octets.is_empty()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(true),
            Err(error) => Err(error).with_context(|| self.told("waiting for the peer to hang up")),
        }
    }

    /// The socket itself, for those who mean to be rude.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// What went wrong, with the end of the talk.
    #[must_use]
    pub fn told(&self, what: &str) -> String {
        let shown = self.talk.len().saturating_sub(TALK_SHOWN);
        format!("{what}; the talk was:\n{}", self.talk[shown..].join("\n"))
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer),
            Self::Encrypted(stream) => stream.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.write(octets),
            Self::Encrypted(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Clear(stream) => stream.flush(),
            Self::Encrypted(stream) => stream.flush(),
        }
    }
}
