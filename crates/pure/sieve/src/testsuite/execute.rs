//! Carrying a result out in the world of a file of tests.

use mail_types::{Address, ReversePath};
use message::{Date, Span};

use super::mailboxes::{Sent, Stored};
use super::suite::{Suite, without_brackets};
use crate::letter::{
    Letter, Office, Silence, notification_letter, redirect_letter, rejection_letter, report_letter,
    vacation_letter,
};
use crate::message::Message;
use crate::outcome::{Action, Decided, Redirect, RedirectTo};
use crate::run::Run;
use crate::world::{Envelope, Finished};

/// The postmaster of this world.
const POSTMASTER: &str = "postmaster@example.com";

/// Carries out what has not been yet; whether all of it could be. If not, the message is kept as it came.
pub(super) fn all(run: &mut Run<'_>, suite: &Suite<'_>) -> bool {
    let mut errors = suite.unfilable.take();
    let start = suite.executed.get().min(run.outcome.actions.len());
    let actions: Vec<Decided> = run.outcome.actions.get(start..).unwrap_or_default().to_vec();
    for decided in &actions {
        if let Err(words) = carry_out(run, suite, decided) {
            errors.extend(words);
            break;
        }
    }
    suite.executed.set(run.outcome.actions.len());
    let is_success = errors.is_empty();
    if !is_success {
        let octets = suite.original.borrow().clone();
        file(suite, "INBOX", Stored { octets, flags: Vec::new() });
    } else if run.implicit_keep
        && !run.outcome.actions.iter().any(|d| matches!(d.action, Action::Keep { .. }))
    {
        let octets = Suite::octets(run, run.message.edition());
        file(suite, "INBOX", Stored { octets, flags: run.flags.clone() });
    }
    *suite.errors.borrow_mut() = errors;
    is_success
}

/// Files a message, once for a result.
fn file(suite: &Suite<'_>, mailbox: &str, stored: Stored) -> bool {
    if suite.stored.borrow().iter().any(|known| known == mailbox) {
        return true;
    }
    suite.stored.borrow_mut().push(mailbox.to_owned());
    suite.mailboxes.borrow_mut().store(mailbox, stored)
}

fn carry_out(run: &mut Run<'_>, suite: &Suite<'_>, decided: &Decided) -> Result<(), Vec<String>> {
    let octets = match &decided.edition {
        Some(edition) => Suite::octets(run, edition),
        None => suite.original.borrow().clone(),
    };
    match &decided.action {
        Action::Discard => {}
        Action::Keep { flags } => {
            file(suite, "INBOX", Stored { octets, flags: flags.clone() });
        }
        Action::FileInto(store) => {
            let mailbox = store.mailbox.as_str();
            if store.create {
                suite.mailboxes.borrow_mut().create(mailbox);
            }
            let stored = Stored { octets, flags: store.flags.clone() };
            if !file(suite, mailbox, stored) {
                return Err(vec![format!("failed to store into mailbox '{mailbox}': it does not exist")]);
            }
        }
        Action::Pipe(pipe) => {
            let ran = suite.run_named("pipe", &pipe.program, &pipe.arguments, &octets);
            let words = match ran {
                Ok(Finished { is_success: true, .. }) => return Ok(()),
                Ok(_) => vec!["the program failed".to_owned()],
                Err(words) => words.split('\n').map(str::to_owned).collect(),
            };
            if !pipe.is_try {
                let last = format!("failed to pipe message to program '{}'", pipe.program);
                let all = words.into_iter().filter(|words| words.contains("time")).chain([last]);
                return Err(all.collect());
            }
        }
        other => send(run, suite, other, &octets),
    }
    Ok(())
}

/// Writes what an action sends, and puts it where tests find it.
fn send(run: &mut Run<'_>, suite: &Suite<'_>, action: &Action, octets: &[u8]) {
    let dialect = suite.dialect();
    let Ok(message) = Message::from_octets(octets, dialect.message_limits()) else { return };
    let Ok(postmaster) = Address::parse(POSTMASTER) else { return };
    let envelope = suite.envelope.borrow().clone();
    let own_addresses = run.world.own_addresses();
    let now = suite.host.now();
    let number = suite.made.replace(suite.made.get() + 1);
    let office = Office {
        now: Date { unix_seconds: now.unix_seconds, zone_minutes: now.zone_minutes },
        message_id: &format!("<sieve-{number}@example.com>"),
        postmaster: &postmaster,
        host: "host.example.com",
        envelope: &envelope,
        own_addresses: &own_addresses,
        address_form: dialect.address_form,
    };
    let Ok(letter) = letter(suite, action, &message, &office) else { return };
    let content = &letter.content;
    let octets = content.read(message.source(), Span::new(0, content.octets())).unwrap_or_default();
    let from = match &letter.from {
        ReversePath::Null => String::new(),
        ReversePath::Address(address) => address.to_string(),
    };
    for recipient in &letter.recipients {
        if matches!(action, Action::Notify(_)) {
            suite.told.borrow_mut().push(recipient.clone());
        }
        let sent =
            Sent { reverse_path: from.clone(), recipient: recipient.to_string(), octets: octets.clone() };
        suite.mailboxes.borrow_mut().sent.push(sent);
    }
}

fn letter(
    suite: &Suite<'_>,
    action: &Action,
    message: &Message,
    office: &Office<'_>,
) -> Result<Letter, Silence> {
    let settings = suite.settings.borrow();
    match action {
        Action::Redirect(Redirect { to: RedirectTo::Address(to), .. }) => {
            let from = chosen(suite, office.envelope, settings.text("sieve_redirect_envelope_from"));
            let own = || path(office.envelope.from.as_deref());
            redirect_letter(message, office, from.unwrap_or_else(own), to)
        }
        Action::Reject(reject) => rejection_letter(reject, message, office),
        Action::Vacation(vacation) => vacation_letter(vacation, message, office, &settings.vacation()),
        Action::Notify(notify) => {
            let mut letter = notification_letter(notify, message, office, &suite.told.borrow())?;
            let from = chosen(suite, office.envelope, settings.text("sieve_notify_mailto_envelope_from"));
            letter.from = from.unwrap_or(letter.from);
            Ok(letter)
        }
        Action::Report(report) => {
            let from = chosen(suite, office.envelope, settings.text("sieve_report_from"));
            let from = from.and_then(|from| match from {
                ReversePath::Address(address) => Some(address),
                ReversePath::Null => None,
            });
            report_letter(report, message, office, from.as_ref())
        }
        _ => Err(Silence::NobodyLeft),
    }
}

/// The address that a setting chooses for what is sent; none of its own for a message without sender.
fn chosen(suite: &Suite<'_>, envelope: &Envelope, setting: Option<&str>) -> Option<ReversePath> {
    if path(envelope.from.as_deref()) == ReversePath::Null {
        return Some(ReversePath::Null);
    }
    Some(match setting? {
        "sender" => path(envelope.from.as_deref()),
        "recipient" => path(envelope.to.as_deref()),
        "orig_recipient" => path(envelope.original_to.as_deref().or(envelope.to.as_deref())),
        "user_email" => path(suite.user_email().as_deref().or(envelope.to.as_deref())),
        explicit if explicit.starts_with('<') => path(Some(explicit)),
        _ => return None,
    })
}

fn path(path: Option<&str>) -> ReversePath {
    let address = path.and_then(|path| Address::parse(without_brackets(path)).ok());
    address.map_or(ReversePath::Null, ReversePath::Address)
}
