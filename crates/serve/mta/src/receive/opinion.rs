//! Step 6b of a message's way, from the session's side: has its content judged, and keeps what follows. Whatever fails in the
//! filter lets the message pass: mail is never lost for it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use mail_types::{AccountId, Address, DomainName, ReversePath};
use mailstore::HeldReader;
use platform::network::is_public;
use smtp::Reply;
use spam::{Class, Hit};

use super::judgement::Judged;
use super::replies;
use super::session::Conversation;
use crate::Listener;
use crate::breaker::Signal;
use crate::content;
use crate::content::{
    About, Action, ContentSettings, Deciding, Fate, History, OnBusy, Opinion, Question, Sender, Taste,
    Thought, author, evidence, screened,
};
use crate::deliver::local::describe;
use crate::deliver::route::Asking;
use crate::filter::Answers;
use crate::screen::{Evidence, Worth};

/// Octets of a header that are looked at for who wrote it and what it answers.
const HEADER_OCTETS: u64 = 64 * 1024;
/// What the filter's own verdict says of who brings mail, against a person's word: it may err, and it has heard itself before.
const VERDICT_WEIGHT: f32 = 0.25;

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
        if self.client.who.is_some() {
            self.judge_own(&settings, held, front).await;
            return Ok(None);
        }
        if !self.is_content_judged(&settings) {
            return Ok(None);
        }
        let tastes = self.tastes(&settings).await;
        let accounts = self.accounts();
        let is_wanted =
            |account: &AccountId| tastes.get(account).map_or(settings.everybody.is_on, |one| one.is_on);
        let is_nobodys = !settings.everybody.is_on && !accounts.iter().any(is_wanted);
        if is_nobodys && settings.attachments.is_none() {
            return Ok(None);
        }
        let begin = self.door.rooms.clock.monotonic();
        let mut about = self.about(&settings, held, judged, &accounts).await;
        let mut everyones = tastes.values().chain([&settings.everybody]);
        about.asks_language = everyones.any(|taste| !taste.languages.is_empty());
        let sender = about.sender.clone();
        let thought = self.think(&settings, held, front, about, accounts).await?;
        let thought = match thought {
            Some(thought) => Some(self.with_links(&settings, thought).await),
            None => None,
        };
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
        let fate = opinion.fate(recipients.len());
        if let Some(count) = counts.judged.get(fate as usize) {
            count.increment();
        }
        if settings.everybody.is_on {
            self.note_client(fate).await;
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

    /// The same with what lists of domains say of where its links lead. Anybody can link to whom a list vouches for: that counts
    /// nothing.
    async fn with_links(&self, settings: &ContentSettings, thought: Thought) -> Thought {
        let rooms = &self.door.rooms;
        let Some(screen) = rooms.screen.as_ref().filter(|_| self.live.settings.screen.is_on) else {
            return thought;
        };
        let is_foreign = |domain: &&DomainName| !rooms.directory.is_local_domain(domain);
        let mut domains: Vec<DomainName> =
            thought.verdict.links().iter().filter(is_foreign).cloned().collect();
        // Where there are more than may be asked, the sender does not know which: harmless ones in front hide nothing.
        let lot = RandomState::new();
        domains.sort_by_cached_key(|domain| lot.hash_one(domain));
        let hits = screen.lists().ask_links(&domains).await;
        let mut against: Vec<Evidence> = hits
            .iter()
            .filter(|hit| hit.points > 0.0)
            .map(|hit| {
                let words = format!("a link leads to {}, which is listed by {}", hit.asked, hit.list);
                Evidence::new(format!("LIST_{}", hit.list), hit.points, words)
            })
            .collect();
        // A list counts once, for the worst that it says of links and of the sender.
        against.sort_by(|one, other| other.points.total_cmp(&one.points));
        let is_known = |hit: &Hit, other: &Hit| other.name() == hit.name() && other.points() >= hit.points();
        let mut hits = screened(&against, &settings.catalogue);
        hits.retain(|hit| !thought.verdict.hits().iter().any(|other| is_known(hit, other)));
        Thought { verdict: thought.verdict.with(&hits), ..thought }
    }

    /// Remembers of a stranger's address what its mail was taken for.
    async fn note_client(&self, fate: Fate) {
        let (Some(senders), Some(_)) = (&self.door.rooms.content.0.senders, &self.screening) else { return };
        let address = self.client.peer.address().filter(|address| is_public(*address));
        let worth = match fate {
            Fate::Passed => Worth::Wanted,
            Fate::Tagged => return,
            Fate::Junk | Fate::Kept | Fate::Refused => Worth::Unwanted,
        };
        if address.is_some() {
            let whom = crate::screen::Sender { domain: None, address };
            senders.note(&whom, worth, VERDICT_WEIGHT).await;
        }
    }

    /// Mail of our people is theirs: it is looked at, marked by nobody, and goes its way. One whose password was stolen sends
    /// what they never would.
    async fn judge_own(&mut self, settings: &Arc<ContentSettings>, held: &HeldReader, front: &[u8]) {
        let Some(who) = self.client.who.clone().filter(|_| settings.looks_at_own) else { return };
        let about = About {
            arrived_unix_seconds: self.door.rooms.clock.now().unix_seconds(),
            client: None,
            helo: None,
            reverse_name: None,
            sender: Sender { reverse_path: ReversePath::Null, is_path_proven: true, is_author_proven: true },
            raised: Vec::new(),
            correspondents: Vec::new(),
            surely: None,
            asks_language: false,
        };
        // Whatever the filter cannot say keeps nobody from sending.
        let Ok(Some(thought)) = self.think(settings, held, front, about, Vec::new()).await else { return };
        let (score, spam) = (thought.verdict.score(), settings.everybody.tag2);
        // People send each other documents that strangers may not send us: only what nobody may send counts against them.
        let is_dangerous = thought.attached == Some(Action::Reject);
        if score < spam && !is_dangerous {
            return;
        }
        let rooms = &self.door.rooms;
        rooms.content.0.counts.own_unwanted.increment();
        let what =
            if is_dangerous { "it carries what is refused from strangers" } else { "it looks like spam" };
        tracing::warn!(user = %who.address(), score, what, "mail of one of our people is unwanted");
        rooms.breaker.note(who.account(), Signal::Unwanted);
        if let Some(transaction) = &mut self.transaction {
            transaction.checks.push(format!("content: {what} (score {score:.2})"));
        }
    }

    /// What a server in front of us brings is judged where the operator says so.
    fn is_content_judged(&self, settings: &ContentSettings) -> bool {
        if self.asking() == Asking::Ours {
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

    async fn about(
        &self,
        settings: &ContentSettings,
        held: &HeldReader,
        judged: Option<&Judged>,
        accounts: &[AccountId],
    ) -> About {
        let (findings, catalogue) = (judged.map(|judged| &judged.findings), &settings.catalogue);
        let found = self.transaction.as_ref().map(|transaction| &transaction.screened);
        let mut raised = found.map(|found| screened(&found.evidence, catalogue)).unwrap_or_default();
        // What was found twice counts as it was found first. Whom we trust needs no proof: it may change what it passes on.
        raised.extend(match judged {
            Some(judged) if judged.is_trusted => vec![catalogue.raise("ARC_PASS", "")],
            Some(judged) => evidence(&judged.findings, catalogue),
            None => Vec::new(),
        });
        let reverse_path =
            self.session.envelope().map_or(ReversePath::Null, |envelope| envelope.reverse_path.clone());
        let header = held.read(0..HEADER_OCTETS).await.unwrap_or_default();
        let writer = author(&header);
        let named = writer.as_ref().and_then(Address::domain_name);
        let proven = findings.and_then(|findings| findings.proven_author(named, &reverse_path)).cloned();
        let is_proven = proven.is_some();
        let mut history = History::default();
        if let Some(senders) = &self.door.rooms.content.0.senders {
            let whom = crate::screen::Sender { domain: proven, address: self.client.peer.address() };
            history = content::history(
                (senders, &self.door.rooms.breaker),
                catalogue,
                &whom,
                writer.as_ref(),
                &header,
                accounts,
            )
            .await;
        }
        raised.append(&mut history.hits);
        raised.append(&mut self.found_by_engines(settings));
        let surely = match found.is_some_and(|found| found.is_trapped) {
            true => Some(Class::Unwanted),
            false => (history.is_answer && is_proven).then_some(Class::Wanted),
        };
        About {
            arrived_unix_seconds: self.door.rooms.clock.now().unix_seconds(),
            client: self.client.peer.address(),
            helo: self.session.hello().map(|hello| hello.name.to_string()),
            reverse_name: findings.and_then(|findings| findings.iprev.name()).map(ToString::to_string),
            sender: Sender {
                reverse_path,
                is_path_proven: findings.is_some_and(|findings| findings.spf_passes()),
                is_author_proven: is_proven,
            },
            raised,
            correspondents: history.correspondents,
            surely,
            asks_language: false,
        }
    }

    /// What others' engines have found.
    fn found_by_engines(&self, settings: &ContentSettings) -> Vec<Hit> {
        let found = self.transaction.iter().flat_map(|transaction| &transaction.by_engines);
        let hits = found.map(|found| settings.catalogue.raise_scored(found.name, found.points, &found.words));
        hits.collect()
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
            directory: rooms.directory.clone(),
            now: rooms.clock.monotonic(),
            content: content.clone(),
            settings: Arc::clone(settings),
            reader: held.clone(),
            front: front.to_vec(),
            about,
            accounts,
        };
        // Whose turn comes too late has passed meanwhile. Were it judged all the same, those behind it would be too late as well.
        let (clock, begin, time_max) = (rooms.clock.clone(), rooms.clock.monotonic(), settings.time_max);
        let judge = move || (clock.monotonic().since(begin) < time_max).then(|| question.answer());
        let why = match tokio::time::timeout(time_max, content.0.judges.run(judge)).await {
            Ok(Ok(Some(Ok(thought)))) => return Ok(Some(thought)),
            Ok(Ok(Some(Err(error)))) => describe(&error),
            Ok(Err(error)) => error.to_string(),
            Ok(Ok(None)) | Err(_) => "it takes too long".to_owned(),
        };
        content.0.counts.not_judged.increment();
        tracing::warn!(why, "a message is not judged by its content");
        match settings.on_busy {
            OnBusy::Pass => Ok(None),
            OnBusy::Defer => Err(replies::STORE_BUSY),
        }
    }
}
