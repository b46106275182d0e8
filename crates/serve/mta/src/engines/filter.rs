//! One milter, and one client's talk with it.

use std::time::Duration;

use engines::Nonsense;
use engines::milter::{CHUNK_OCTETS_MAX, Heard, Known, Modification, Next, Session, Verdict};
use mailstore::Store;
use platform::lines::WireError;
use platform::metrics::Metrics;
use tokio::time::Instant;

use super::engine::{Engine, Failure, Link};
use super::rewrite::{Header, Held, NewBody, write_anew};
use super::settings::{EnginePlace, MilterSettings};

/// How often a milter may say of one command that it is still at work.
const PROGRESS_MAX: u32 = 100;
/// Most changes of one message, pieces of a body left out.
pub(crate) const MODIFICATIONS_MAX: usize = 1_000;

/// One milter.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) engine: Engine,
    connect_timeout: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) message_timeout: Duration,
}

/// One client's talk with it.
#[derive(Debug)]
pub(crate) struct Talk {
    link: Link,
    session: Session,
}

/// What it wants changed in a message.
#[derive(Default, Debug)]
pub(crate) struct Changes {
    header: Option<Header>,
    body: Option<NewBody>,
    /// Those of the envelope, in their order.
    pub(crate) envelope: Vec<Modification>,
    /// Why it is to be kept apart.
    pub(crate) quarantine: Option<String>,
    count: usize,
}

/// What a message is judged and changed with.
pub(crate) struct Rooms<'a> {
    pub(crate) store: &'a Store,
    pub(crate) octets_max: u64,
    pub(crate) known: &'a [Known<'a>],
}

impl Filter {
    pub(crate) fn new(place: &EnginePlace, settings: &MilterSettings, metrics: &Metrics) -> Self {
        let MilterSettings { connections_max, on_failure, .. } = *settings;
        Self {
            engine: Engine::new(place.to_string(), place.clone(), connections_max, on_failure, metrics),
            connect_timeout: settings.connect_timeout,
            command_timeout: settings.command_timeout,
            message_timeout: settings.message_timeout,
        }
    }

    /// Begins the talk of a client. Each has a connection of its own: libmilter takes QUIT_NC in some of its states and passes
    /// it over in others, so that nobody can know whether the next client would be heard.
    pub(crate) async fn meet(&self) -> Result<Talk, Failure> {
        let deadline = Instant::now() + self.connect_timeout;
        let begin = async {
            let link = self.engine.connect_for(deadline, self.command_timeout).await?;
            Talk::begin(link, self.connect_timeout).await
        };
        self.engine.ask(deadline, begin).await
    }
}

impl Talk {
    async fn begin(mut link: Link, patience: Duration) -> Result<Self, Failure> {
        let session = Session::begin(link.wire.output());
        let mut talk = Self { link, session };
        talk.link.wire.flush().await?;
        match talk.hear(patience).await? {
            Heard::Agreed => Ok(talk),
            _ => Err(Nonsense::OutOfPlace.into()),
        }
    }

    /// Says something and waits for the verdict, if there is to be one.
    pub(crate) async fn ask(
        &mut self,
        patience: Duration,
        say: impl FnOnce(&mut Session, &mut Vec<u8>) -> Next,
    ) -> Result<Option<Verdict>, Failure> {
        if say(&mut self.session, self.link.wire.output()) == Next::GoOn {
            self.link.wire.relieve().await?;
            return Ok(None);
        }
        self.link.wire.flush().await?;
        let mut progresses = 0;
        loop {
            match self.hear(patience).await? {
                Heard::Verdict(verdict) => return Ok(Some(verdict)),
                Heard::Progress if progresses < PROGRESS_MAX => progresses += 1,
                Heard::Progress => return Err(Failure::TooSlow),
                Heard::Agreed | Heard::Modification(_) => return Err(Nonsense::OutOfPlace.into()),
            }
        }
    }

    /// The client is gone; whether the milter hears of it is its own affair.
    pub(crate) async fn end(mut self) {
        self.session.quit(self.link.wire.output());
        let _ = self.link.wire.flush().await;
    }

    /// The message under way will not come.
    pub(crate) fn abort(&mut self) {
        self.session.abort(self.link.wire.output());
    }

    /// Shows a whole message; what becomes of it, and what is to be changed.
    pub(crate) async fn message(
        &mut self,
        (held, header): (&Held, &Header),
        (command, message): (Duration, Duration),
        rooms: &Rooms<'_>,
    ) -> Result<(Verdict, Changes), Failure> {
        for (name, value) in header.each() {
            if let Some(end) =
                ending(self.ask(command, |session, out| session.field(name, value, out)).await?)
            {
                return Ok((end, Changes::default()));
            }
        }
        let end = self.ask(command, |session, out| session.end_of_header(rooms.known, out)).await?;
        if let Some(end) = ending(end) {
            return Ok((end, Changes::default()));
        }
        let mut at = held.body_at;
        while self.session.wants_body() {
            let piece = held.reader.read(at..at + CHUNK_OCTETS_MAX as u64).await?;
            if piece.is_empty() {
                break;
            }
            at += piece.len() as u64;
            if let Some(end) = ending(self.ask(command, |session, out| session.body(&piece, out)).await?) {
                return Ok((end, Changes::default()));
            }
        }
        self.end_of_message(header, message, rooms).await
    }

    async fn end_of_message(
        &mut self,
        header: &Header,
        patience: Duration,
        rooms: &Rooms<'_>,
    ) -> Result<(Verdict, Changes), Failure> {
        let mut changes = Changes::default();
        if self.session.end_of_message(rooms.known, self.link.wire.output()) == Next::GoOn {
            return Ok((Verdict::Continue, changes));
        }
        self.link.wire.flush().await?;
        let mut progresses = 0;
        loop {
            match self.hear(patience).await? {
                Heard::Verdict(verdict) => return Ok((verdict, changes)),
                Heard::Modification(change) => changes.take(change, header, rooms).await?,
                Heard::Progress if progresses < PROGRESS_MAX => progresses += 1,
                Heard::Progress => return Err(Failure::TooSlow),
                Heard::Agreed => return Err(Nonsense::OutOfPlace.into()),
            }
        }
    }

    async fn hear(&mut self, patience: Duration) -> Result<Heard, Failure> {
        let deadline = Instant::now() + patience;
        loop {
            let wire = &mut self.link.wire;
            if wire.input().is_empty() {
                wire.fill_until(deadline).await.map_err(|error| match error {
                    WireError::ReadTimeout => Failure::TooSlow,
                    error => error.into(),
                })?;
            }
            let (taken, heard) = self.session.hear(wire.input())?;
            wire.consume(taken);
            if let Some(heard) = heard {
                return Ok(heard);
            }
        }
    }
}

/// A verdict that ends the message here: the milter wants to see no more of it.
fn ending(verdict: Option<Verdict>) -> Option<Verdict> {
    verdict.filter(|verdict| !matches!(verdict, Verdict::Continue | Verdict::Skip))
}

impl Changes {
    async fn take(
        &mut self,
        change: Modification,
        header: &Header,
        rooms: &Rooms<'_>,
    ) -> Result<(), Failure> {
        if !matches!(change, Modification::ReplaceBody(_)) {
            self.count += 1;
            if self.count > MODIFICATIONS_MAX {
                return Err(Failure::TooMuch);
            }
        }
        match change {
            Modification::AddField { name, value } => self.edit(header).add(&name, &spaced(value)),
            Modification::InsertField { index, name, value } => {
                self.edit(header).insert(index, &name, &spaced(value))
            }
            Modification::ChangeField { index, name, value } => {
                let value = if value.is_empty() { value } else { spaced(value) };
                self.edit(header).change(index, &name, &value)
            }
            Modification::ReplaceBody(octets) => {
                let body = match self.body.take() {
                    Some(body) => self.body.insert(body),
                    None => self.body.insert(NewBody::new(rooms.store, rooms.octets_max)?),
                };
                body.take(&octets).await
            }
            Modification::Quarantine(reason) => {
                self.quarantine = Some(reason);
                Ok(())
            }
            change @ (Modification::ChangeSender(..)
            | Modification::AddRecipient(..)
            | Modification::DeleteRecipient(_)) => {
                self.envelope.push(change);
                Ok(())
            }
        }
    }

    /// The header that is changed: a copy, from the first change on.
    fn edit(&mut self, header: &Header) -> &mut Header {
        self.header.get_or_insert_with(|| header.clone())
    }

    /// The message as it is now, if its octets have changed.
    pub(crate) async fn rewritten(
        &mut self,
        store: &Store,
        (held, header): (&Held, &Header),
    ) -> Result<Option<mailstore::Holding>, Failure> {
        let header = match (&self.header, &self.body) {
            (None, None) => return Ok(None),
            (changed, _) => changed.as_ref().unwrap_or(header),
        };
        let (body, at) = match &mut self.body {
            Some(body) => (body.finish().await?, 0),
            None => (held.reader.clone(), held.body_at),
        };
        write_anew(store, header, &body, at).await.map(Some)
    }
}

/// A value as it stands behind the colon: one blank first, unless the milter has written its own.
fn spaced(value: Vec<u8>) -> Vec<u8> {
    if value.starts_with(b" ") || value.starts_with(b"\t") { value } else { [b" ", &value[..]].concat() }
}
