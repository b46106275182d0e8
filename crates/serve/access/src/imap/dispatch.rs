//! Which file answers which verb of somebody who has logged in, and what may be told meanwhile.

use std::pin::Pin;

use imap::command::{Command, Tag};
use imap::{Numbering, TaggedCommand, response};
use platform::tasks::Shutdown;

use super::connection::Connection;
use super::person::Person;
use super::replies::{Done, Ending, Refusal, Stop};
use super::updates::{self, AlreadyTold, Telling};
use super::{
    capability, close, copy_move, enable, expunge, fetch, id, idle, list, mailbox, metadata, namespace,
    quota, search, select, status, store, stranger,
};

/// How a command was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answered {
    /// OK, or NO for a reason of ours.
    Fine,
    /// BAD, or NO for a reason of the client's.
    Mistake,
}

/// Carries a command out and answers it.
pub(crate) async fn obey(
    connection: &mut Connection,
    person: &mut Person,
    shutdown: &Shutdown,
    tagged: TaggedCommand,
) -> Result<Answered, Ending> {
    let TaggedCommand { tag, command } = tagged;
    if command == Command::Logout {
        stranger::logout(connection.wire.output(), &tag);
        return Err(Ending::Logout);
    }
    let telling = telling(&command);
    let mut already = AlreadyTold::default();
    let outcome = carry_out(connection, person, shutdown, &tag, command, &mut already).await;
    answer(connection, person, &tag, outcome, telling, &already).await
}

/// Tells what has changed, then how the command ended.
pub(crate) async fn answer(
    connection: &mut Connection,
    person: &mut Person,
    tag: &Tag,
    outcome: Result<Done, Stop>,
    telling: Telling,
    already: &AlreadyTold,
) -> Result<Answered, Ending> {
    if let Err(Stop::Ended(ending)) = outcome {
        return Err(ending);
    }
    let dialect = connection.dialect();
    let told = updates::tell(&mut connection.wire, dialect, person, telling, already).await;
    let outcome = match told {
        Ok(()) => outcome,
        // What ends the session, such as that the mailbox is gone, outweighs what became of the command.
        Err(Stop::Ended(ending)) => return Err(ending),
        Err(refused) => outcome.and(Err(refused)),
    };
    let out = connection.wire.output();
    match outcome {
        Ok(done) => {
            done.write(out, tag);
            Ok(Answered::Fine)
        }
        Err(Stop::Refused(refusal)) => {
            report(&refusal);
            refusal.write(out, tag);
            Ok(if refusal.is_clients_mistake() { Answered::Mistake } else { Answered::Fine })
        }
        Err(Stop::Ended(ending)) => Err(ending),
    }
}

/// What may be told before the command's tagged answer (RFC 9051 §7.5.1). A UID SEARCH with sequence numbers in its
/// keys counts as SEARCH (RFC 7162 §3.2.10).
fn telling(command: &Command) -> Telling {
    let by_number = match command {
        Command::Fetch(fetch) => fetch.numbering == Numbering::Sequence,
        Command::Store(store) => store.numbering == Numbering::Sequence,
        Command::Search(search) => {
            search.numbering == Numbering::Sequence || search::names_numbers(&search.key)
        }
        Command::Close | Command::Unselect | Command::Select(_) => return Telling::Nothing,
        _ => false,
    };
    if by_number { Telling::KeepNumbers } else { Telling::Everything }
}

async fn carry_out(
    connection: &mut Connection,
    person: &mut Person,
    shutdown: &Shutdown,
    tag: &Tag,
    command: Command,
    already: &mut AlreadyTold,
) -> Result<Done, Stop> {
    let dialect = connection.dialect();
    let wire = &mut connection.wire;
    match command {
        Command::Capability => {
            let names = capability::after_login(&person.settings);
            response::write_capability(wire.output(), &names);
            Ok(Done::plain("CAPABILITY completed"))
        }
        Command::Noop => Ok(Done::plain("NOOP completed")),
        Command::Check => person.selected().map(|_| Done::plain("CHECK completed")).map_err(Stop::from),
        Command::Id(parameters) => Ok(id::id(wire.output(), &parameters)),
        Command::Enable(names) => Ok(enable::enable(connection, person, &names)),
        Command::Namespace => Ok(namespace::namespace(wire.output(), dialect)),
        Command::Select(arguments) => boxed(select::select(wire, dialect, person, arguments)).await,
        Command::Close => boxed(close::close(person)).await,
        Command::Unselect => close::unselect(person),
        Command::Create(arguments) => boxed(mailbox::create(person, arguments)).await,
        Command::Delete(name) => boxed(mailbox::delete(person, &name)).await,
        Command::Rename { from, to } => boxed(mailbox::rename(person, &from, &to)).await,
        Command::Subscribe(name) => boxed(mailbox::subscribe(person, &name)).await,
        Command::Unsubscribe(name) => boxed(mailbox::unsubscribe(person, &name)).await,
        Command::List(arguments) => boxed(list::list(wire, dialect, person, arguments)).await,
        Command::Lsub(arguments) => boxed(list::lsub(wire, dialect, person, arguments)).await,
        Command::Status { mailbox, items } => {
            boxed(status::status(wire, dialect, person, &mailbox, items)).await
        }
        Command::Idle => idle::idle(connection, person, shutdown).await,
        Command::Expunge(set) => boxed(expunge::expunge(wire, dialect, person, set)).await,
        Command::Search(arguments) => boxed(search::search(wire, person, tag, arguments)).await,
        Command::Fetch(arguments) => boxed(fetch::fetch(wire, dialect, person, arguments, already)).await,
        Command::Store(arguments) => boxed(store::store(wire, dialect, person, arguments, already)).await,
        Command::Copy(arguments) => boxed(copy_move::copy(person, arguments)).await,
        Command::Move(arguments) => boxed(copy_move::move_messages(wire, dialect, person, arguments)).await,
        Command::GetMetadata(arguments) => {
            boxed(metadata::get_metadata(wire, dialect, person, arguments)).await
        }
        Command::SetMetadata(arguments) => {
            boxed(metadata::set_metadata(wire, dialect, person, arguments)).await
        }
        Command::GetQuota { root } => quota::get_quota(wire.output(), person, &root),
        Command::GetQuotaRoot(name) => boxed(quota::get_quota_root(wire, dialect, person, &name)).await,
        Command::SetQuota { .. } => Err(Refusal::QuotaIsTheOperators.into()),
        Command::StartTls | Command::Login(_) | Command::Authenticate(_) => {
            Err(Refusal::WrongState("Somebody has logged in already").into())
        }
        // Answered before it came here, as nothing is told after it.
        Command::Logout => Err(Stop::Ended(Ending::Logout)),
    }
}

/// A verb's work, in memory of its own that is given back when the verb is done: where sessions spend hours, in IDLE,
/// the place for the largest of all verbs would be held too.
fn boxed<F: Future>(work: F) -> Pin<Box<F>> {
    Box::pin(work)
}

/// What the operator must know of a refusal.
pub(crate) fn report(refusal: &Refusal) {
    let Refusal::Store(error) = refusal else { return };
    match error {
        mailstore::StoreError::Io { .. } | mailstore::StoreError::Corrupt(_) => {
            tracing::error!(error = error as &dyn std::error::Error, "the store failed a command");
        }
        mailstore::StoreError::Full => tracing::warn!("a command was refused: the disk is short of room"),
        _ => {}
    }
}
