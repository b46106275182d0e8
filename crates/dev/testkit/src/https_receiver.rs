//! Other people's web servers where they are told things: each keeps what was posted to it and answers as a story wants.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use tls::Acceptor;

use crate::dialogue::WAIT_MAX;
use crate::encrypted::Encrypted;

/// Octets of a request's head, and of its body, that are read.
const HEAD_OCTETS_MAX: usize = 64 * 1024;
const BODY_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Its first line.
    pub request: String,
    /// Its header fields, names in small letters.
    pub fields: Vec<(String, String)>,
    /// Its body.
    pub octets: Vec<u8>,
}

impl Posted {
    /// A field's value; empty where it is missing.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// A web server; it ends when it is dropped.
#[derive(Debug)]
pub struct HttpsReceiver {
    address: SocketAddr,
    house: Arc<House>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct House {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    status: String,
    posted: Vec<Posted>,
    is_open: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { status: "200 OK".to_owned(), posted: Vec::new(), is_open: true }
    }
}

impl HttpsReceiver {
    /// A server at an address that shows what this acceptor shows.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn start(address: SocketAddr, acceptor: Acceptor) -> Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("at {address}"))?;
        let house = Arc::new(House::default());
        let inside = Arc::clone(&house);
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if !inside.lock().is_open {
                    return;
                }
                // What went wrong is the other side's story to tell.
                drop(converse(&inside, stream, &acceptor));
            }
        });
        Ok(Self { address, house, thread: Some(thread) })
    }

    /// From now on it answers with this status.
    pub fn answer(&self, status: &str) {
        status.clone_into(&mut self.house.lock().status);
    }

    /// What came so far.
    #[must_use]
    pub fn posted(&self) -> Vec<Posted> {
        self.house.lock().posted.clone()
    }

    /// Waits until so much has come in all, and gives it.
    ///
    /// # Errors
    /// When it does not come.
    pub fn wait_for(&self, count: usize) -> Result<Vec<Posted>> {
        let waiting = |state: &mut State| state.posted.len() < count;
        let waited = self.house.changed.wait_timeout_while(self.house.lock(), WAIT_MAX, waiting);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            bail!("{} posts came, and no more come", state.posted.len());
        }
        Ok(state.posted.clone())
    }
}

impl House {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request and its answer.
fn converse(house: &House, stream: TcpStream, acceptor: &Acceptor) -> Result<()> {
    let mut stream = Encrypted::accept(stream, acceptor)?;
    let posted = read(&mut stream)?;
    let status = {
        let mut state = house.lock();
        state.posted.push(posted);
        state.status.clone()
    };
    house.changed.notify_all();
    stream.write_all(
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    stream.flush()?;
    Ok(())
}

fn read(stream: &mut Encrypted) -> Result<Posted> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet)?;
        head.push(octet[0]);
        if head.len() > HEAD_OCTETS_MAX {
            bail!("a request without end");
        }
    }
    let head = String::from_utf8(head)?;
    let mut lines = head.lines();
    let request = lines.next().unwrap_or_default().to_owned();
    let fields = lines.filter_map(|line| line.split_once(':'));
    let fields: Vec<_> =
        fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let mut posted = Posted { request, fields, octets: Vec::new() };
    let length: usize = posted.field("content-length").parse().unwrap_or_default();
    if length > BODY_OCTETS_MAX {
        return Err(std::io::Error::from(ErrorKind::FileTooLarge).into());
    }
    posted.octets = vec![0; length];
    stream.read_exact(&mut posted.octets)?;
    Ok(posted)
}

impl Drop for HttpsReceiver {
    fn drop(&mut self) {
        self.house.lock().is_open = false;
        // Wakes the thread, which then sees that it has nothing to do any more.
        drop(TcpStream::connect(self.address));
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("a web server did not end");
        }
    }
}
