//! A client that has not logged in: little memory, little time, no password in clear text (RFC 9051 §6.1, §6.2).

use std::net::IpAddr;
use std::sync::Arc;

use directory::sasl::Channel;
use imap::TaggedCommand;
use imap::command::{Command, Tag};
use imap::response::{self, Code, Condition};
use platform::lines::WireError;
use platform::tasks::Shutdown;
use tokio::time::Instant;

use super::capability::StartTls;
use super::connection::{Connection, Event};
use super::person::Person;
use super::replies::{Done, DoneCode, Ending, Farewell, Refusal, Stop};
use super::{Door, capability, id, login};
use crate::security::bound;
use crate::settings::Settings;

/// A client that has not logged in.
pub(crate) struct Stranger {
    pub(crate) door: Arc<Door>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) channel: Channel,
    pub(crate) connection: Connection,
    pub(crate) shutdown: Shutdown,
}

/// Why nobody logged in, with the connection where there still is one to say it on.
type NobodyCame = (Option<Connection>, Ending);

/// What a stranger's command came to.
enum Progress {
    /// Still a stranger.
    Waiting,
    /// TLS must be started now; the OK was written.
    StartTls,
    /// Somebody logged in.
    Welcome(Box<Person>),
}

/// Greets, and serves the stranger until somebody logs in.
pub(crate) async fn greet(mut stranger: Stranger) -> Result<(Connection, Person), NobodyCame> {
    let deadline = Instant::now() + stranger.settings.login_timeout;
    let names = stranger.capabilities();
    let code = Code::Capability(&names);
    let out = stranger.connection.wire.output();
    response::write_untagged(out, Condition::Ok, Some(&code), "mailstead is ready");

    let mut mistakes = 0_u32;
    loop {
        let progress = match stranger.next(deadline).await {
            Ok(Event::Command(command)) => stranger.obey(*command, deadline).await,
            Ok(event) => stranger.misunderstand(event),
            Err(ending) => Err(Stop::Ended(ending)),
        };
        match progress {
            Ok(Progress::Waiting) => {}
            Ok(Progress::StartTls) => stranger = start_tls(stranger).await?,
            Ok(Progress::Welcome(person)) => {
                stranger.connection.trust();
                return Ok((stranger.connection, *person));
            }
            Err(Stop::Refused(refusal)) if refusal.is_clients_mistake() => {
                mistakes += 1;
                if mistakes >= stranger.settings.errors_max {
                    return Err((Some(stranger.connection), Ending::Bye(Farewell::TooManyErrors)));
                }
            }
            Err(Stop::Refused(_)) => {}
            Err(Stop::Ended(ending)) => return Err((Some(stranger.connection), ending)),
        }
    }
}

/// Takes the wire apart and lays TLS between. What the client sent in clear behind its STARTTLS is never read
/// (RFC 9051 §6.2.1; CVE-2011-0411), and what was learned of it is forgotten.
async fn start_tls(stranger: Stranger) -> Result<Stranger, NobodyCame> {
    let Stranger { door, settings, peer, connection, shutdown, .. } = stranger;
    let Some(acceptor) = &door.rooms.acceptor else { return Err((None, Ending::Logout)) };
    let dialect = connection.dialect();
    let (wire_settings, first) = (Connection::wire_settings(settings.write_timeout), connection.first);
    match acceptor.start_tls(connection.wire, wire_settings).await {
        Ok((wire, session)) => {
            let mut connection = Connection::new(wire, dialect);
            connection.first = first;
            Ok(Stranger { door, settings, peer, channel: bound(session), connection, shutdown })
        }
        Err(error) => {
            tracing::info!(%error, "TLS handshake failed");
            Err((None, Ending::Logout))
        }
    }
}

impl Stranger {
    fn capabilities(&self) -> String {
        let mechanisms = self.door.rooms.directory.mechanisms(&self.channel);
        capability::before_login(&self.channel, self.start_tls_offer(), &mechanisms)
    }

    fn start_tls_offer(&self) -> StartTls {
        let is_possible = !matches!(self.channel, Channel::Tls(_)) && self.door.rooms.acceptor.is_some();
        if is_possible { StartTls::Offered } else { StartTls::Absent }
    }

    /// Waits for the next event, at most until the time to log in is over.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Result<Event, Ending> {
        tokio::select! {
            // Cancelling loses nothing: the session ends.
            received = self.connection.receive(deadline) => received.map_err(|error| match error {
                WireError::ReadTimeout => Ending::Bye(Farewell::LoginTooSlow),
                error => Ending::Wire(error),
            }),
            // Nothing to lose.
            () = self.shutdown.triggered() => Err(Ending::Bye(Farewell::Shutdown)),
        }
    }

    async fn obey(&mut self, tagged: TaggedCommand, deadline: Instant) -> Result<Progress, Stop> {
        let TaggedCommand { tag, command } = tagged;
        let outcome = match command {
            Command::Capability => {
                let names = self.capabilities();
                response::write_capability(self.connection.wire.output(), &names);
                Ok((Progress::Waiting, Done::plain("CAPABILITY completed")))
            }
            Command::Noop => Ok((Progress::Waiting, Done::plain("NOOP completed"))),
            Command::Id(parameters) => {
                let done = id::id(self.connection.wire.output(), &parameters);
                Ok((Progress::Waiting, done))
            }
            Command::Logout => {
                logout(self.connection.wire.output(), &tag);
                return Err(Stop::Ended(Ending::Logout));
            }
            Command::StartTls if self.start_tls_offer() == StartTls::Offered => {
                Ok((Progress::StartTls, Done::plain("Begin TLS negotiation now")))
            }
            Command::StartTls => Err(Refusal::WrongState("TLS cannot be started here").into()),
            Command::Login(credentials) => login::login(self, credentials).await.map(welcome),
            Command::Authenticate(exchange) => {
                login::authenticate(self, exchange, deadline).await.map(welcome)
            }
            _ => Err(Refusal::WrongState("Log in first").into()),
        };
        let out = self.connection.wire.output();
        match outcome {
            Ok((progress, done)) => {
                done.write(out, &tag);
                Ok(progress)
            }
            Err(Stop::Refused(refusal)) => {
                refusal.write(out, &tag);
                Err(refusal.into())
            }
            Err(ended) => Err(ended),
        }
    }

    fn misunderstand(&mut self, event: Event) -> Result<Progress, Stop> {
        match event {
            Event::Bad(bad) => {
                if bad.must_close() {
                    return Err(Farewell::OutOfStep.into());
                }
                response::write_bad(self.connection.wire.output(), &bad);
                Err(Refusal::Unreadable(bad).into())
            }
            Event::Append(append) => {
                self.connection.refuse_append();
                let refusal = Refusal::WrongState("Log in first");
                refusal.write(self.connection.wire.output(), &append.tag);
                Err(refusal.into())
            }
            _ => Err(Farewell::OutOfStep.into()),
        }
    }
}

fn welcome(person: Box<Person>) -> (Progress, Done) {
    let names = capability::after_login(&person.settings);
    (Progress::Welcome(person), Done::with(DoneCode::Capability(names), "Logged in"))
}

/// LOGOUT: goodbye comes before the tagged answer (RFC 9051 §6.1.3).
pub(crate) fn logout(out: &mut Vec<u8>, tag: &Tag) {
    response::write_bye(out, None, "Goodbye");
    response::write_tagged(out, tag, Condition::Ok, None, "LOGOUT completed");
}
