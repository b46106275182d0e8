//! One connection from greeting to farewell. The page of the IMAP door: read it first.

use std::net::IpAddr;
use std::sync::Arc;

use imap::Dialect;
use imap::command::BadKind;
use imap::response;
use mail_types::UidSet;
use platform::guard::{Guard, Offence};
use platform::lines::{Wire, WireError};
use platform::listener::Accepted;
use platform::tasks::Shutdown;
use tokio::time::Instant;

use super::connection::{Connection, Event};
use super::filings::Filings;
use super::person::Person;
use super::replies::{Ending, Farewell, Stop};
use super::stranger::{self, Stranger};
use super::{Door, append, dispatch};
use crate::security::{Security, secure};
use crate::settings::Settings;

/// Serves a connection to its end.
pub(crate) async fn run(door: Arc<Door>, accepted: Accepted, security: Security) {
    let settings = door.settings.load_full();
    let shutdown = accepted.shutdown.clone();
    // Both ends of a session are boxed, so that what they need is given back as soon as they are over: most
    // sessions spend their lives between commands.
    let Some((mut connection, mut person, _visit)) =
        Box::pin(welcome(door, settings, accepted, security)).await
    else {
        return;
    };
    let ending = serve(&mut connection, &mut person, &shutdown).await;
    drop(person);
    Box::pin(part(connection, ending)).await;
}

type Welcomed = (Box<Connection>, Box<Person>, platform::guard::Visit);

/// From the first octet to a login. `None` when there was none.
async fn welcome(
    door: Arc<Door>,
    settings: Arc<Settings>,
    accepted: Accepted,
    security: Security,
) -> Option<Welcomed> {
    let Accepted { stream, peer, visit, shutdown, .. } = accepted;
    let (stream, channel) =
        secure(door.rooms.acceptor.as_ref(), stream, security, (&door.rooms.guard, peer.address())).await?;
    let wire = Wire::new(stream, Connection::wire_settings(settings.write_timeout));
    let dialect = Dialect { separator: settings.separator, ..Dialect::default() };
    let connection = Connection::new(wire, dialect);
    let (guard, peer) = (door.rooms.guard.clone(), peer.address());
    let stranger = Stranger { door, settings, peer, channel, connection, shutdown };
    match stranger::greet(stranger).await {
        Ok((connection, person)) => Some((Box::new(connection), Box::new(person), visit)),
        Err((connection, ending)) => {
            if let Some(connection) = connection {
                tell_guard(&guard, peer, &connection, &ending);
                part(Box::new(connection), ending).await;
            }
            None
        }
    }
}

/// What the guard should know of how a stranger's session ended.
fn tell_guard(guard: &Guard, peer: Option<IpAddr>, connection: &Connection, ending: &Ending) {
    let offence = match ending {
        _ if connection.first.is_foreign() => Offence::Probe,
        Ending::Bye(Farewell::TooManyErrors | Farewell::OutOfStep) => Offence::Abuse,
        Ending::Wire(_) | Ending::Bye(Farewell::LoginTooSlow) if !connection.first.has_spoken() => {
            Offence::Silence
        }
        Ending::Wire(_) | Ending::Bye(_) | Ending::Logout => return,
    };
    guard.offended(peer, offence);
}

/// Commands, one after the other, until the session ends.
async fn serve(connection: &mut Connection, person: &mut Person, shutdown: &Shutdown) -> Ending {
    let mut mistakes = 0_u32;
    let mut filings = Filings::default();
    loop {
        let event = match next(connection, person, &mut filings, shutdown).await {
            Ok(event) => event,
            Err(ending) => return ending,
        };
        let answered = match event {
            Event::Command(command) => Box::pin(dispatch::obey(connection, person, shutdown, *command)).await,
            Event::Append(command) => {
                Box::pin(append::append(connection, person, &mut filings, command)).await
            }
            Event::Bad(bad) => {
                if bad.must_close() {
                    return Ending::Bye(Farewell::OutOfStep);
                }
                if let (BadKind::Charset { saves: true }, Some(selected)) = (&bad.kind, &mut person.selected)
                {
                    selected.saved = UidSet::new();
                }
                response::write_bad(connection.wire.output(), &bad);
                Ok(dispatch::Answered::Mistake)
            }
            // Neither was asked for: the receiver gives them only to those who did.
            Event::AppendMessage(_)
            | Event::AppendOctets(_)
            | Event::AppendMessageEnd
            | Event::AppendEnd
            | Event::Line(_) => return Ending::Bye(Farewell::OutOfStep),
        };
        match answered {
            Ok(dispatch::Answered::Fine) => mistakes = 0,
            Ok(dispatch::Answered::Mistake) => {
                mistakes += 1;
                if mistakes >= person.settings.errors_max {
                    return Ending::Bye(Farewell::TooManyErrors);
                }
            }
            Err(ending) => return ending,
        }
    }
}

/// Waits for the next command; meanwhile answers appends that have reached the disk, and hears of what ends the session.
/// All appends are answered before anything but the next APPEND is handed out.
async fn next(
    connection: &mut Connection,
    person: &mut Person,
    filings: &mut Filings,
    shutdown: &Shutdown,
) -> Result<Event, Ending> {
    let mut people = person.door.rooms.directory.changes();
    check_account(person)?;
    let deadline = Instant::now() + person.settings.idle_timeout;
    loop {
        tokio::select! {
            // In this order: with pipelined input at hand, the next APPEND joins those that wait.
            biased;
            // Cancelling loses nothing: octets read and not taken stay in the wire.
            received = connection.receive(deadline) => {
                let event = received.map_err(Ending::Wire)?;
                if !filings.is_empty() && !matches!(event, Event::Append(_)) {
                    Box::pin(append::settle(connection, person, filings)).await?;
                }
                return Ok(event);
            }
            // Cancelling loses nothing: a filing that is not waited for goes on.
            (tag, outcome) = filings.next() => {
                Box::pin(append::answer(connection, person, &tag, outcome)).await?;
            }
            // Nothing to lose.
            () = shutdown.triggered() => return Err(Ending::Bye(Farewell::Shutdown)),
            // Nothing to lose: the generation is read anew.
            Ok(()) = people.changed() => check_account(person)?,
        }
    }
}

/// Whether the person may go on.
fn check_account(person: &Person) -> Result<(), Ending> {
    if person.door.rooms.directory.is_current(&person.who) {
        return Ok(());
    }
    Err(Ending::Bye(Farewell::AccountClosed))
}

/// Says goodbye, as far as there is somebody to say it to.
pub(crate) async fn part(mut connection: Box<Connection>, ending: Ending) {
    let farewell = match ending {
        Ending::Bye(farewell) => Some(farewell),
        Ending::Wire(WireError::ReadTimeout) => Some(Farewell::Silent),
        Ending::Logout => None,
        Ending::Wire(error) => {
            tracing::debug!(%error, "connection lost");
            return;
        }
    };
    if let Some(farewell) = farewell {
        tracing::info!(why = ?farewell, "session ended by the server");
        farewell.write(connection.wire.output());
    }
    connection.wire.close().await;
}

impl From<Ending> for Stop {
    fn from(ending: Ending) -> Self {
        Self::Ended(ending)
    }
}
