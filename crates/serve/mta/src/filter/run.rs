//! One run: the scripts of one account against one message, on a thread that may wait, and the letters that follow, written
//! while the message is at hand.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use directory::Directory;
use mail_types::{Address, DomainName};
use mailstore::{Account, MailboxList, MessageReader, StoreError};
use message::{Date, Span, new_message_id};
use sieve::message::{Edition, Message, MessageLimits, Piece, READ_OCTETS_MAX, Source, Unreadable};
use sieve::{
    Action, Decided, Detail, Letter, Office, Outcome, Silence, Stage, VacationRules, notification_letter,
    rejection_letter, report_letter, run, vacation_letter,
};
use storage::StorageError;
use tokio::runtime::Handle;

use super::Filters;
use super::lists::ListsRead;
use super::memory::{Claim, Kind, key};
use super::operator::FilterSettings;
use super::programs::{self, Input, ProgramTime};
use super::world::{Acts, DeliveryWorld, Facts, circumstances, own_addresses};

/// The mark that what is sent on by scripts has, one for each account that sent it (RFC 5228 §10).
pub(crate) const REDIRECTED: &str = "X-Sieve-Redirected-From";

/// The octets of a message that has come.
#[derive(Clone)]
pub(crate) struct Octets(pub(crate) MessageReader);

impl Source for Octets {
    fn octets(&self) -> u64 {
        self.0.octets()
    }

    fn read(&self, span: Span) -> Result<Vec<u8>, Unreadable> {
        let mut octets = Vec::new();
        let mut at = span.start;
        while at < span.end {
            let piece = self.0.read_here(at..span.end).map_err(|error| {
                tracing::error!(%error, "a script's message cannot be read");
                Unreadable
            })?;
            if piece.is_empty() {
                return Err(Unreadable);
            }
            at += piece.len() as u64;
            octets.extend(piece);
        }
        Ok(octets)
    }
}

impl Octets {
    /// Reads it, or what scripts have made of it, piece by piece, until `visit` has enough.
    pub(crate) fn visit(
        &self,
        edition: Option<&Edition>,
        mut visit: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Unreadable> {
        let whole = [Piece::Original(Span::new(0, self.octets()))];
        for piece in edition.map_or(&whole[..], Edition::pieces) {
            match piece {
                Piece::Literal(octets) => {
                    if !visit(octets) {
                        return Ok(());
                    }
                }
                Piece::Original(span) => {
                    for Range { start, end } in runs(*span) {
                        if !visit(&self.read(Span::new(start, end))?) {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// A range in runs that may be read at once.
pub(crate) fn runs(span: Span) -> impl Iterator<Item = Range<u64>> {
    let starts = (span.start..span.end).step_by(usize::try_from(READ_OCTETS_MAX).unwrap_or(usize::MAX));
    starts.map(move |start| start..span.end.min(start + READ_OCTETS_MAX))
}

/// What a run is asked; goes to another thread.
pub(crate) struct Question {
    pub(crate) facts: Facts,
    pub(crate) directory: Directory,
    pub(crate) filters: Filters,
    pub(crate) settings: Arc<FilterSettings>,
    pub(crate) account: Account,
    pub(crate) mailboxes: Arc<MailboxList>,
    pub(crate) stages: Vec<Stage>,
    /// Faults of scripts that could not be compiled.
    pub(crate) broken: Vec<sieve::RunFault>,
    pub(crate) source: Octets,
    pub(crate) postmaster: Address,
    pub(crate) host: DomainName,
    pub(crate) detail: Detail,
    pub(crate) acts: Acts,
    pub(crate) program_time: Arc<ProgramTime>,
}

/// What a run comes to.
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// What has to be written for each action of the outcome, in their order.
    pub(crate) written: Vec<ForAction>,
}

/// What was written for an action while the message was at hand.
pub(crate) enum ForAction {
    /// Nothing is needed.
    Nothing,
    /// This goes out; the claim is kept once it is on its way.
    Letter { letter: Letter, claim: Option<Claim> },
    /// Nothing goes out, for this reason.
    Silent(String),
    /// The program took it.
    Piped,
    /// The program did not take it: the message is kept.
    NotPiped(String),
    /// It went this way before.
    Loop,
}

impl Question {
    /// Runs the scripts. Blocking.
    pub(crate) fn answer(mut self, runtime: &Handle) -> Result<Answer, StoreError> {
        let limits =
            MessageLimits { address_form: self.settings.dialect.address_form, ..MessageLimits::default() };
        let mut message = Message::open(Box::new(self.source.clone()), limits)
            .map_err(|_| StoreError::Corrupt("a message that has come cannot be read".to_owned()))?;
        // As it came: a script that takes the mark off would send it round and round.
        let was_redirected = self.was_redirected(&message);
        let stages = std::mem::take(&mut self.stages);
        let mut outcome = {
            let world = DeliveryWorld {
                facts: &self.facts,
                directory: &self.directory,
                filters: &self.filters,
                settings: &self.settings,
                account: &self.account,
                mailboxes: &self.mailboxes,
                source: &self.source,
                runtime,
                acts: self.acts,
                program_time: &self.program_time,
                lists: ListsRead::default(),
            };
            run(&stages, &mut message, &world, &self.settings.dialect, self.detail)
        };
        outcome.faults.splice(0..0, std::mem::take(&mut self.broken));
        let mut told = Vec::new();
        let written = outcome.actions.iter().map(|decided| match &decided.action {
            Action::Redirect(_) if was_redirected => ForAction::Loop,
            _ => self.write(decided, &message, &mut told),
        });
        let written = written.collect();
        Ok(Answer { outcome, written })
    }

    fn write(&self, decided: &Decided, message: &Message, told: &mut Vec<Address>) -> ForAction {
        match &decided.action {
            Action::Keep { .. } | Action::FileInto(_) | Action::Redirect(_) | Action::Discard => {
                ForAction::Nothing
            }
            Action::Vacation(vacation) => self.vacation(vacation, message),
            Action::Reject(reject) => {
                let letter = self.with_office(|office| rejection_letter(reject, message, office));
                self.unless_forged(letter)
            }
            Action::Notify(notify) => {
                let mut notify = notify.clone();
                notify.from = notify.from.filter(|from| self.is_own(from));
                // RFC 5436 §2.3: one who is told knows by the From field whose script it is.
                notify.from.get_or_insert_with(|| self.facts.owner.to_string());
                let letter = self.with_office(|office| notification_letter(&notify, message, office, told));
                if let Ok(letter) = &letter {
                    told.extend(letter.recipients.iter().cloned());
                }
                sent(letter, None)
            }
            Action::Report(report) => sent(
                self.with_office(|office| report_letter(report, message, office, Some(&self.facts.owner))),
                None,
            ),
            Action::Pipe(pipe) => match self.pipe(pipe, decided.edition.as_ref()) {
                Ok(()) => ForAction::Piped,
                Err(words) if pipe.is_try => ForAction::Silent(words),
                Err(words) => ForAction::NotPiped(words),
            },
        }
    }

    /// RFC 5429 §2.2.1: whoever did not send it is not told.
    fn unless_forged(&self, letter: Result<Letter, Silence>) -> ForAction {
        match letter {
            Ok(_) if !self.facts.is_sender_proven => {
                ForAction::Silent("nobody knows whether its sender sent it".to_owned())
            }
            letter => sent(letter, None),
        }
    }

    fn vacation(&self, vacation: &sieve::Vacation, message: &Message) -> ForAction {
        if self.facts.is_junk {
            return ForAction::Silent("it is junk".to_owned());
        }
        let mut vacation = vacation.clone();
        vacation.from = vacation.from.filter(|from| self.is_own(from));
        let letter =
            self.with_office(|office| vacation_letter(&vacation, message, office, &VacationRules::default()));
        let letter = match letter {
            Ok(letter) => letter,
            Err(silence) => return ForAction::Silent(silence.to_string()),
        };
        let sender = self.facts.envelope.from.clone().unwrap_or_default().to_lowercase();
        let key = key(Kind::Answered, &[vacation.handle.as_bytes(), sender.as_bytes()]);
        if self.acts == Acts::No {
            return match self.filters.0.memory.has(self.facts.account, &key, self.facts.now) {
                Ok(true) => ForAction::Silent("its sender was answered a short while ago".to_owned()),
                _ => ForAction::Letter { letter, claim: None },
            };
        }
        match self.claim(key, vacation.seconds) {
            Ok(Some(claim)) => ForAction::Letter { letter, claim: Some(claim) },
            Ok(None) => ForAction::Silent("its sender was answered a short while ago".to_owned()),
            Err(error) => {
                tracing::error!(%error, "nobody is answered, since nobody knows who was");
                ForAction::Silent("the memory of answers cannot be read".to_owned())
            }
        }
    }

    /// The right to do what is done once in so many seconds.
    fn claim(&self, key: super::memory::Key, seconds: u64) -> Result<Option<Claim>, StorageError> {
        self.filters.0.memory.claim(self.facts.account, key, seconds, self.facts.now)
    }

    /// Whether an address of a script's is one that its owner may send as: nobody is to speak for others.
    fn is_own(&self, from: &str) -> bool {
        let parsed = message::parse_addresses(from.as_bytes(), 2);
        let [message::Addressee::Mailbox { local_part, domain, .. }] = parsed.as_slice() else {
            return false;
        };
        let text = [local_part.as_slice(), b"@", domain.as_slice()].concat();
        let address = std::str::from_utf8(&text).ok().and_then(|text| Address::parse(text).ok());
        address.is_some_and(|address| self.directory.may_send_as(self.facts.account, &address))
    }

    fn with_office<T>(&self, write: impl FnOnce(&Office<'_>) -> Result<T, Silence>) -> Result<T, Silence> {
        let mut random = [0; 16];
        directory::fill_random(&mut random).map_err(|_| Silence::Unreadable)?;
        let now = self.facts.now;
        let milliseconds = u64::try_from(now.unix_millis()).unwrap_or_default();
        let domain = self.facts.owner.domain_name().map_or(self.host.as_str(), DomainName::as_str);
        let own_addresses = own_addresses(&self.directory, &self.facts);
        write(&Office {
            now: Date { unix_seconds: now.unix_seconds(), zone_minutes: 0 },
            message_id: &new_message_id(milliseconds, random, domain),
            postmaster: &self.postmaster,
            host: self.host.as_str(),
            envelope: &self.facts.envelope,
            own_addresses: &own_addresses,
            address_form: self.settings.dialect.address_form,
        })
    }

    /// Whether the same account has sent the message on before.
    fn was_redirected(&self, message: &Message) -> bool {
        let own = self.facts.owner.to_string();
        let mut marks = message.named(REDIRECTED);
        marks.any(|mark| mark.text().trim().trim_matches(['<', '>']).eq_ignore_ascii_case(&own))
    }

    fn pipe(&self, pipe: &sieve::Pipe, edition: Option<&Edition>) -> Result<(), String> {
        let programs = &self.settings.programs;
        let path: &PathBuf =
            programs.get(&pipe.program).ok_or_else(|| format!("there is no program {}", pipe.program))?;
        if self.acts == Acts::No {
            return Ok(());
        }
        let input = Input::Message { source: &self.source, edition };
        let bounds = self.settings.program_bounds;
        let (is_success, _) = programs::run(
            path,
            &pipe.arguments,
            &circumstances(&self.facts),
            &input,
            bounds,
            &self.program_time,
        )?;
        if is_success { Ok(()) } else { Err(format!("the program {} failed", pipe.program)) }
    }
}

fn sent(letter: Result<Letter, Silence>, claim: Option<Claim>) -> ForAction {
    match letter {
        Ok(letter) => ForAction::Letter { letter, claim },
        Err(silence) => ForAction::Silent(silence.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ranges_are_read_in_runs() {
        let of = |octets| runs(Span::new(5, 5 + octets)).map(|run| run.end - run.start).collect::<Vec<_>>();
        let most = READ_OCTETS_MAX;
        assert_eq!(of(0), [0_u64; 0]);
        assert_eq!(of(most - 1), [most - 1]);
        assert_eq!(of(most), [most]);
        assert_eq!(of(most + 1), [most, 1]);
    }
}
