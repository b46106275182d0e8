//! Step 6b of a message's way, from the session's side: has its content judged, and keeps what follows. Whatever fails in the
//! filter lets the message pass: mail is never lost for it.

use std::collections::HashMap;
use std::sync::Arc;

use mail_types::{AccountId, ReversePath};
use mailstore::HeldReader;
use smtp::Reply;
use spam::Hit;

use super::judgement::Judged;
use super::replies;
use super::session::Conversation;
use crate::Listener;
use crate::content::{
    About, ContentSettings, Deciding, OnBusy, Opinion, Question, Sender, Taste, Thought, evidence,
};
use crate::deliver::local::describe;
use crate::deliver::route::Asking;
use crate::filter::Answers;
use crate::inspect::Findings;

impl Conversation {
    /// Judges the content of a message that has come whole, if that is wanted of whoever brought it; a reply where it is not
    /// taken for that, by anybody.
    pub(crate) async fn judge_content(
        &mut self,
        held: &HeldReader,
        front: &[u8],
        judged: Option<&Judged>,
    ) -> Result<Option<Opinion>, Reply> {
        let settings = self.door.rooms.content.settings();
        if !self.is_content_judged(&settings) {
            return Ok(None);
        }
        let tastes = self.tastes(&settings).await;
        let accounts = self.accounts();
        let is_wanted =
            |account: &AccountId| tastes.get(account).map_or(settings.everybody.is_on, |one| one.is_on);
        if !settings.everybody.is_on && !accounts.iter().any(is_wanted) {
            return Ok(None);
        }
        let begin = self.door.rooms.clock.monotonic();
        let about = self.about(&settings, judged);
        let sender = about.sender.clone();
        let thought = self.think(&settings, held, front, about, accounts).await?;
        let counts = &self.door.rooms.content.0.counts;
        counts.seconds.observe_duration(self.door.rooms.clock.monotonic().since(begin));
        let Some(thought) = thought else { return Ok(None) };
        let recipients = self.session.envelope().map_or(&[][..], |envelope| &envelope.recipients);
        let deciding = Deciding {
            everybody: &settings.everybody,
            tastes: &tastes,
            recipients,
            answers: self.answers(),
            catalogue: &settings.catalogue,
            sender: &sender,
        };
        let opinion = deciding.decide(thought);
        if let Some(count) = counts.judged.get(opinion.outcome(recipients.len())) {
            count.increment();
        }
        let refused = opinion.is_refused_by_all(recipients.len()).then(|| opinion.refusal(0)).flatten();
        if let Some(transaction) = &mut self.transaction {
            transaction.checks.extend(opinion.lines.iter().cloned());
        }
        match refused {
            Some(reply) => Err(reply),
            None => Ok(Some(opinion)),
        }
    }

    /// Mail of our people is theirs; what a server in front of us brings is judged where the operator says so.
    fn is_content_judged(&self, settings: &ContentSettings) -> bool {
        if self.client.who.is_some() || self.asking() == Asking::Ours {
            return false;
        }
        let is_front = self.client.listener == Listener::Lmtp
            || self.live.settings.checks.is_unchecked(self.client.peer.address());
        !is_front || settings.checks_fronts
    }

    pub(crate) fn answers(&self) -> Answers {
        match self.client.listener {
            Listener::Lmtp => Answers::Each,
            Listener::Relay | Listener::Submission | Listener::ImplicitSubmission => Answers::One,
        }
    }

    /// Whose mailboxes it goes to, each once.
    fn accounts(&self) -> Vec<AccountId> {
        let recipients = self.session.envelope().map_or(&[][..], |envelope| &envelope.recipients);
        let targets = recipients.iter().flat_map(|recipient| recipient.route.local());
        let mut accounts: Vec<AccountId> = targets.map(|target| target.account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }

    /// What those want who want something else than everybody. Who cannot be asked now gets what everybody gets.
    async fn tastes(&self, settings: &ContentSettings) -> HashMap<AccountId, Taste> {
        let rooms = &self.door.rooms;
        let mut tastes = HashMap::new();
        for account in self.accounts() {
            let known = rooms.directory.account(account);
            let address = known.as_ref().map(|known| &known.address);
            let taste = match rooms.store.account(account).await {
                Ok(opened) => settings.of_account(&opened, address).await,
                Err(error) => Err(error),
            };
            let taste = taste.unwrap_or_else(|error| {
                tracing::warn!(error = describe(&error), "an account's settings of the filter are not known");
                settings.of_domain(address)
            });
            tastes.extend(taste.map(|taste| (account, taste)));
        }
        tastes
    }

    fn about(&self, settings: &ContentSettings, judged: Option<&Judged>) -> About {
        let findings = judged.map(|judged| &judged.findings);
        let reverse_path =
            self.session.envelope().map_or(ReversePath::Null, |envelope| envelope.reverse_path.clone());
        About {
            arrived_unix_seconds: self.door.rooms.clock.now().unix_seconds(),
            client: self.client.peer.address(),
            helo: self.session.hello().map(|hello| hello.name.to_string()),
            reverse_name: findings.and_then(|findings| findings.iprev.name()).map(ToString::to_string),
            sender: Sender {
                reverse_path,
                is_path_proven: findings.is_some_and(|findings| findings.spf_passes()),
                is_author_proven: findings.is_some_and(|findings| findings.author_is_proven()),
            },
            raised: self.raised(settings, findings),
        }
    }

    /// What others have found: the checks of its sender, and others' engines.
    fn raised(&self, settings: &ContentSettings, findings: Option<&Findings>) -> Vec<Hit> {
        let mut raised = findings.map(|findings| evidence(findings, &settings.catalogue)).unwrap_or_default();
        let by_engines = self.transaction.iter().flat_map(|transaction| &transaction.evidence);
        raised.extend(
            by_engines.map(|found| settings.catalogue.raise_scored(found.name, found.points, &found.words)),
        );
        raised
    }

    /// What is thought of it; nothing where the filter cannot say, and that is to let it pass.
    async fn think(
        &self,
        settings: &Arc<ContentSettings>,
        held: &HeldReader,
        front: &[u8],
        about: About,
        accounts: Vec<AccountId>,
    ) -> Result<Option<Thought>, Reply> {
        let rooms = &self.door.rooms;
        let content = rooms.content.clone();
        let question = Question {
            ours: content.0.ours.now(&rooms.directory, rooms.clock.monotonic()),
            content: content.clone(),
            settings: Arc::clone(settings),
            reader: held.clone(),
            front: front.to_vec(),
            about,
            accounts,
        };
        let answer = content.0.judges.run(move || question.answer());
        let why = match tokio::time::timeout(settings.time_max, answer).await {
            Ok(Ok(Ok(thought))) => return Ok(Some(thought)),
            Ok(Ok(Err(error))) => describe(&error),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it takes too long".to_owned(),
        };
        content.0.counts.not_judged.increment();
        tracing::warn!(why, "a message is not judged by its content");
        match settings.on_busy {
            OnBusy::Pass => Ok(None),
            OnBusy::Defer => Err(replies::STORE_BUSY),
        }
    }
}
