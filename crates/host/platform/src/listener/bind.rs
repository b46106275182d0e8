//! Binding sockets, and saying what to do when that fails.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, TcpKeepalive, Type};

use super::{ListenAddress, Socket};
use crate::stream::Endpoint;

/// Connections that may wait in the kernel for us to accept them; the system caps it (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// After so long a silence the kernel asks whether the peer is still there: a router between us may have forgotten
/// an idle IMAP session, and neither side would ever know. RFC 9051 §5.4 lets sessions idle 30 minutes.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(600);

/// Then it asks again at this interval, nine times by default.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// Why a listener could not be opened; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{name}: cannot listen on {address}: {hint}")]
pub struct BindError {
    name: &'static str,
    address: String,
    hint: String,
    #[source]
    source: io::Error,
}

impl BindError {
    /// Whether this machine does not speak the address's family at all (a kernel without IPv6, say).
    #[must_use]
    pub fn is_missing_family(&self) -> bool {
        let errno = self.source.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
        matches!(errno, Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL))
    }
}

#[derive(Debug)]
pub(super) enum Bound {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

/// The socket's name in the file system; removed when the listener closes.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Left behind it would only be found stale at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

impl Bound {
    pub(super) fn local(&self) -> Endpoint {
        match self {
            Self::Tcp(_, address) => Endpoint::Inet(*address),
            Self::Unix(..) => Endpoint::Unix,
        }
    }

    pub(super) fn into_socket(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(socket, _) => Socket::Tcp(tokio::net::TcpListener::from_std(socket)?),
            Self::Unix(socket, file) => {
                Socket::Unix { socket: tokio::net::UnixListener::from_std(socket)?, _file: file }
            }
        })
    }
}

pub(super) fn bind(name: &'static str, address: &ListenAddress) -> Result<Bound, BindError> {
    match address {
        ListenAddress::Tcp(address) => bind_tcp(*address).map_err(|source| BindError {
            name,
            address: address.to_string(),
            hint: tcp_hint(*address, &source),
            source,
        }),
        ListenAddress::Unix { path, mode } => bind_unix(path, *mode).map_err(|source| BindError {
            name,
            address: path.display().to_string(),
            hint: unix_hint(&source),
            source,
        }),
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Bound> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for old connections to fade (TIME_WAIT).
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // IPv4 has a listener of its own; otherwise its peers would come in IPv6 clothes.
        socket.set_only_v6(true)?;
    }
    // On Linux accepted sockets inherit both.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from(socket);
    let local = socket.local_addr()?;
    Ok(Bound::Tcp(socket, local))
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<Bound> {
    remove_stale(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile(path.to_owned());
    // Before listening nobody can connect, so the mode holds from the first connection on.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(Bound::Unix(UnixListener::from(std::os::fd::OwnedFd::from(socket)), file))
}

/// Removes a socket that a crashed process left behind; one that answers, or any other file, stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

fn tcp_hint(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} is in use by another program; `ss -ltnp 'sport = :{port}'` shows which. \
             Stop it, or give this listener another port"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "port {port} needs privilege; start as root (rights are dropped after binding), give the service \
             CAP_NET_BIND_SERVICE, or use ports from 1024 on"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; `ip address` shows those it has".to_owned()
        }
        _ if rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::AFNOSUPPORT) => {
            "this machine has IPv6 switched off; remove the listener's IPv6 address".to_owned()
        }
        _ => error.to_string(),
    }
}

fn unix_hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; stop it or choose another path".to_owned()
        }
        io::ErrorKind::AlreadyExists => {
            "a file that is no socket lies there; remove it or choose another path".to_owned()
        }
        io::ErrorKind::NotFound => "its directory does not exist; create it".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "its directory may not be written; change its owner or mode".to_owned()
        }
        _ => error.to_string(),
    }
}
