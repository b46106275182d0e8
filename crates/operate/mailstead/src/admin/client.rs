//! Puts a request to the running server over `DATA/run/admin.sock`, or does it here where none runs.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use platform::clock::Clock;
use platform::metrics::Metrics;
use storage::StorageError;

use super::{Answer, Request};
use crate::house::House;
use crate::settings::Settings;

/// How long somebody may hold the data directory who does not answer: a server that has just begun to start or to stop.
const HELD_WAIT: Duration = Duration::from_secs(5);
/// How often it is looked then whether somebody answers.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Asks whoever holds the data directory.
pub(crate) fn ask(config: &Path, request: Request) -> anyhow::Result<Answer> {
    with_holder(config, |holder| holder.ask(&request))
}

/// Asks whoever holds the data directory several things.
pub(crate) fn with_holder<T>(
    config: &Path,
    work: impl FnOnce(&mut Holder) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut holder = Holder { settings: Settings::load(config)?, alone: None };
    let done = work(&mut holder);
    match holder.alone.take().map_or(Ok(()), Alone::close) {
        Ok(()) => done,
        // What went wrong first says more.
        Err(error) => done.and(Err(error)),
    }
}

/// Who holds the data directory: the server, or, where none runs, this process from the first question on.
pub(crate) struct Holder {
    settings: Settings,
    alone: Option<Alone>,
}

impl Holder {
    /// Asks for one thing.
    pub(crate) fn ask(&mut self, request: &Request) -> anyhow::Result<Answer> {
        let clock = Clock::system();
        let begun = clock.monotonic();
        loop {
            match self.ask_now(request) {
                Err(error) if is_held(&error) && clock.monotonic().since(begun) < HELD_WAIT => {
                    std::thread::sleep(LOOK_AGAIN);
                }
                done => return done,
            }
        }
    }

    fn ask_now(&mut self, request: &Request) -> anyhow::Result<Answer> {
        if let Some(alone) = &self.alone {
            return Ok(alone.act(request));
        }
        let socket = super::socket::path(&self.settings);
        match UnixStream::connect(&socket) {
            Ok(stream) => ask_server(stream, request)
                .with_context(|| format!("asking the server at {}", socket.display())),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                Ok(self.alone.insert(Alone::open(&self.settings)?).act(request))
            }
            Err(error) => Err(error).with_context(|| {
                format!(
                    "cannot reach the server at {}; run this as the user it runs as, or as root",
                    socket.display()
                )
            }),
        }
    }
}

/// Whether somebody else holds the data directory.
fn is_held(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| matches!(cause.downcast_ref::<StorageError>(), Some(StorageError::Locked { .. })))
}

fn ask_server(mut stream: UnixStream, request: &Request) -> anyhow::Result<Answer> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    anyhow::ensure!(!answer.is_empty(), "the server hung up without an answer; its log says why");
    Ok(serde_json::from_str(&answer)?)
}

/// The data directory, opened here.
struct Alone {
    runtime: tokio::runtime::Runtime,
    house: House,
}

impl Alone {
    fn open(settings: &Settings) -> anyhow::Result<Self> {
        crate::rights::become_owner_of(&settings.path("data"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let house = runtime.block_on(async { House::open(settings, &Clock::system(), &Metrics::new()) })?;
        Ok(Self { runtime, house })
    }

    fn act(&self, request: &Request) -> Answer {
        self.runtime.block_on(super::execute(&self.house, request.clone()))
    }

    fn close(self) -> anyhow::Result<()> {
        self.runtime.block_on(self.house.close())
    }
}
