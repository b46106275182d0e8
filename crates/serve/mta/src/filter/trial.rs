//! A look at what scripts would do with a message, without doing it.

use std::sync::Arc;

use directory::{Directory, LocalTarget};
use mail_types::{AccountId, DomainName, ReversePath};
use mailstore::{MessageReader, Store, StoreError};
use platform::clock::Clock;
use platform::workers::WorkError;
use sieve::{Action, Decided, Detail, Envelope, FileInto, Origin, RedirectTo, Stage, Step};
use tokio::runtime::Handle;

use crate::content::Content;

use super::plan::{own_stage, postmaster};
use super::programs::ProgramTime;
use super::refusal::kind_word;
use super::run::{Answer, ForAction, Octets, Question};
use super::scripts::compiled;
use super::world::{Acts, Facts};
use super::{Filters, notice};

/// What a look works with.
#[derive(Clone, Debug)]
pub struct TrialRooms {
    /// Mailboxes and messages.
    pub store: Store,
    /// Who is who.
    pub directory: Directory,
    /// What accounts want of junk.
    pub content: Content,
    /// What time it is.
    pub clock: Clock,
    /// Our name.
    pub hostname: DomainName,
}

/// The message that is looked at.
#[derive(Clone, Debug)]
pub struct TrialMessage {
    /// Its octets.
    pub octets: MessageReader,
    /// Its sender.
    pub reverse_path: ReversePath,
    /// The detail of the address it came to (RFC 5233).
    pub detail: Option<Box<str>>,
    /// Whether it was taken for junk.
    pub is_junk: bool,
}

/// What would be done.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Trial {
    /// Each action.
    pub actions: Vec<TrialAction>,
    /// What went wrong.
    pub faults: Vec<String>,
    /// What scripts wrote for who looks for faults.
    pub debug: Vec<String>,
    /// Which line decided what.
    pub steps: Vec<Step>,
}

/// One action that would be taken.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TrialAction {
    /// In words.
    pub words: String,
    /// The mailbox that it files into.
    pub mailbox: Option<String>,
    /// The script and the line that asked for it; nothing for what is done where nobody says otherwise.
    pub asked_by: Option<(String, u32)>,
}

impl Filters {
    /// Looks what would become of a message for an account; with a script in place of the account's own, if one is given.
    ///
    /// # Errors
    /// The store's.
    pub async fn try_out(
        &self,
        rooms: &TrialRooms,
        account: AccountId,
        message: TrialMessage,
        script: Option<(&str, &[u8])>,
    ) -> Result<Trial, StoreError> {
        let settings = self.settings();
        let owner = rooms.directory.account(account).ok_or(StoreError::NoSuchAccount)?;
        let account = rooms.store.account(account).await?;
        let (own, broken) = match script {
            None => own_stage(self, &settings, &account).await?,
            Some((name, text)) => match compiled(text, &settings.dialect) {
                Ok(script) => (Some(Stage { name: name.to_owned(), script }), Vec::new()),
                Err(faults) => {
                    let fault = sieve::RunFault {
                        script: name.to_owned(),
                        line: 0,
                        words: faults.to_string(),
                        ends_script: true,
                    };
                    (None, vec![fault])
                }
            },
        };
        let junk = rooms.content.junk(&account, Some(&owner.address), message.is_junk).await;
        let after = settings.after_own(junk).iter().cloned();
        let stages = settings.before.iter().cloned().chain(own).chain(after);
        let target = LocalTarget {
            account: account.id(),
            address: owner.address.clone(),
            detail: message.detail.clone(),
        };
        let program_time = Arc::new(ProgramTime::new(settings.program_bounds));
        let question = Question {
            facts: facts(rooms, &target, &message, &settings.dialect.detail_delimiters),
            directory: rooms.directory.clone(),
            filters: self.clone(),
            mailboxes: account.mailboxes().await?,
            account,
            stages: stages.collect(),
            broken,
            source: Octets(message.octets),
            postmaster: postmaster(&rooms.hostname)?,
            host: rooms.hostname.clone(),
            settings,
            detail: Detail::Steps,
            acts: Acts::No,
            program_time,
        };
        let mailboxes = Arc::clone(&question.mailboxes);
        let runtime = Handle::current();
        let answer = match self.0.workers.run(move || question.answer(&runtime)).await {
            Ok(answer) => answer?,
            Err(WorkError::Busy | WorkError::Stopped | WorkError::Panicked) => return Err(StoreError::Busy),
        };
        Ok(told(answer, &mailboxes))
    }
}

fn facts(rooms: &TrialRooms, target: &LocalTarget, message: &TrialMessage, delimiters: &str) -> Facts {
    Facts {
        account: target.account,
        owner: target.address.clone(),
        reached_by: target.address.clone(),
        envelope: Envelope {
            from: Some(match &message.reverse_path {
                ReversePath::Null => String::new(),
                ReversePath::Address(address) => address.to_string(),
            }),
            to: Some(super::envelope::with_detail(target, delimiters)),
            ..Envelope::default()
        },
        is_junk: message.is_junk,
        spam: message.is_junk.then_some(1.0),
        virus: None,
        is_sender_proven: true,
        now: rooms.clock.now(),
        hostname: rooms.hostname.to_string(),
        remote_host: None,
        remote_address: None,
        event: None,
    }
}

fn told(answer: Answer, mailboxes: &mailstore::MailboxList) -> Trial {
    let Answer { outcome, written } = answer;
    let actions = outcome.actions.iter().zip(&written);
    let mut actions: Vec<TrialAction> =
        actions.map(|(decided, written)| action(decided, written, mailboxes)).collect();
    if actions.is_empty() {
        actions.push(TrialAction { words: "discard".to_owned(), ..TrialAction::default() });
    }
    Trial {
        actions,
        faults: outcome.faults.iter().map(notice::words).collect(),
        debug: outcome.debug,
        steps: outcome.steps,
    }
}

fn action(decided: &Decided, written: &ForAction, mailboxes: &mailstore::MailboxList) -> TrialAction {
    let edited = if decided.edition.is_some() { ", edited" } else { "" };
    let silent = match written {
        ForAction::Silent(why) => format!(": nothing sent, {why}"),
        ForAction::NotPiped(why) => format!(": {why}, kept"),
        ForAction::Loop => ": it was sent on before, kept".to_owned(),
        ForAction::Nothing | ForAction::Letter { .. } | ForAction::Piped => String::new(),
    };
    let mut mailbox = None;
    let words = match &decided.action {
        Action::Keep { flags } => {
            mailbox = Some("INBOX".to_owned());
            format!("keep{}{edited}", flags_text(flags))
        }
        Action::FileInto(into) => {
            let (name, remark) = place(into, mailboxes);
            let words = format!("fileinto {}{remark}{}{edited}", into.mailbox, flags_text(&into.flags));
            mailbox = Some(name);
            words
        }
        Action::Redirect(redirect) => {
            let to = match &redirect.to {
                RedirectTo::Address(address) => address.to_string(),
                RedirectTo::List(list) => format!(":list {list}"),
            };
            format!("redirect {to}{edited}{silent}")
        }
        Action::Discard => "discard".to_owned(),
        Action::Reject(reject) => format!("{} {:?}", kind_word(reject.kind), reject.reason),
        Action::Vacation(_) => format!("vacation{silent}"),
        Action::Notify(notify) => format!("notify {}{silent}", notify.method),
        Action::Pipe(pipe) => format!("pipe {}{silent}", pipe.program),
        Action::Report(report) => format!("report to {}{silent}", report.to),
    };
    let asked_by = match &decided.origin {
        Origin::Implicit => None,
        Origin::Line { script, line } => Some((script.clone(), *line)),
    };
    TrialAction { words, mailbox, asked_by }
}

/// The mailbox that is meant, and what is to be said about it.
fn place(into: &FileInto, mailboxes: &mailstore::MailboxList) -> (String, String) {
    let id = into.mailbox_id.as_deref().and_then(super::world::mailbox_id);
    let special_use = into.special_use.as_deref().and_then(mail_types::SpecialUse::parse);
    let found = id
        .and_then(|id| mailboxes.by_id(id))
        .or_else(|| special_use.and_then(|special| mailboxes.by_special_use(special)))
        .or_else(|| mailboxes.by_name(&into.mailbox));
    match found {
        Some(found) if found.name == into.mailbox => (found.name.to_string(), String::new()),
        Some(found) => (found.name.to_string(), format!(" ({})", found.name)),
        None if into.create => (into.mailbox.to_string(), " (made)".to_owned()),
        None if into.mailbox.is_inbox() => (into.mailbox.to_string(), String::new()),
        None => ("INBOX".to_owned(), " (no such mailbox: kept)".to_owned()),
    }
}

fn flags_text(flags: &[String]) -> String {
    if flags.is_empty() { String::new() } else { format!(" with {}", flags.join(" ")) }
}
