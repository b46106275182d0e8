//! IDLE: telling changes as they happen until the client says DONE (RFC 2177, RFC 9051 §6.3.13).
//!
//! Where most sessions spend their lives: nothing is held here but the session itself.

use imap::response;
use platform::tasks::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

use super::connection::{Connection, Event};
use super::person::Person;
use super::replies::{Done, Farewell, Refusal, Stop};
use super::updates::{self, AlreadyTold, Telling};

/// IDLE.
pub(crate) async fn idle(
    connection: &mut Connection,
    person: &mut Person,
    shutdown: &Shutdown,
) -> Result<Done, Stop> {
    response::write_continuation(connection.wire.output(), "Idling");
    connection.expect_line();
    let dialect = connection.dialect();
    let deadline = Instant::now() + person.settings.idle_timeout;
    let selected = person.selected.as_ref().map(|selected| selected.changes.clone());
    // Annotations change where no mailbox is selected, too.
    let mut changes = selected.or_else(|| person.annotations_told.is_some().then(|| person.account.watch()));
    let mut people = person.door.rooms.directory.changes();
    loop {
        let already = AlreadyTold::default();
        updates::tell(&mut connection.wire, dialect, person, Telling::Everything, &already).await?;
        tokio::select! {
            // Cancelling loses nothing: octets read stay in the wire, and so does what was not yet written.
            received = connection.receive(deadline) => return finish(received?),
            // Nothing to lose: the next look compares views.
            () = changed(changes.as_mut()) => {}
            // Nothing to lose: the generation is read anew.
            Ok(()) = people.changed() => {
                if !person.door.rooms.directory.is_current(&person.who) {
                    return Err(Farewell::AccountClosed.into());
                }
            }
            // Nothing to lose.
            () = shutdown.triggered() => return Err(Farewell::Shutdown.into()),
        }
    }
}

fn finish(event: Event) -> Result<Done, Stop> {
    match event {
        Event::Line(line) if line.eq_ignore_ascii_case(b"DONE") => Ok(Done::plain("IDLE completed")),
        Event::Bad(bad) if bad.must_close() => Err(Farewell::OutOfStep.into()),
        _ => Err(Refusal::Senseless("DONE was expected").into()),
    }
}

/// Waits for a change; for ever where nothing is watched.
async fn changed(changes: Option<&mut watch::Receiver<u64>>) {
    let is_open = match changes {
        Some(changes) => changes.changed().await.is_ok(),
        None => false,
    };
    // Nothing more will change: without this the session would spin.
    if !is_open {
        std::future::pending().await
    }
}
