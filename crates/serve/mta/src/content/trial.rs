//! A look at what is thought of a message, without doing anything about it: for people who ask why, or what if.

use directory::Directory;
use mail_types::{AccountId, ReversePath};
use mailstore::{Account, StoreError};
use message::{Date, fields};
use platform::clock::Clock;
use spam::{Hit, MESSAGE_OCTETS_MAX, Verdict};

use super::attached::attached;
use super::judge::{About, Sender, judge};
use super::mark::without_marks;
use super::opinion::Own;
use super::taste::{Action, Taste};
use super::{Content, ContentSettings};

/// Who asks, and for whom.
#[derive(Clone, Debug)]
pub struct ContentTrial {
    /// Who is who.
    pub directory: Directory,
    /// What time it is.
    pub clock: Clock,
    /// The account whose model and settings count.
    pub account: Option<Account>,
    /// What is known besides: what its checks have found when it came.
    pub raised: Vec<Hit>,
    /// The sender on its envelope.
    pub reverse_path: ReversePath,
    /// Whether the octets are all of the message, so that what is attached can be looked at.
    pub is_whole: bool,
}

/// What is thought of a message.
#[derive(Clone, PartialEq, Debug)]
pub struct TrialVerdict {
    /// For everybody.
    pub verdict: Verdict,
    /// For the account: the same score where its model says nothing else.
    pub score: f32,
    /// What the account wants.
    pub taste: Taste,
    /// What has to be done for what is attached, whatever the score.
    pub attached: Option<Action>,
}

impl TrialVerdict {
    /// What would be done; nothing where it would pass.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        self.taste.action(self.score).filter(|_| self.taste.is_on).max(self.attached)
    }
}

impl Content {
    /// Judges a message with these settings, or its beginning.
    ///
    /// # Errors
    /// The store's.
    pub async fn try_out(
        &self,
        settings: &std::sync::Arc<ContentSettings>,
        trial: ContentTrial,
        octets: Vec<u8>,
    ) -> Result<TrialVerdict, StoreError> {
        let ContentTrial { directory, clock, account, raised, reverse_path, is_whole } = trial;
        let known = account.as_ref().and_then(|account| directory.account(account.id()));
        let taste = match &account {
            Some(account) => settings.of_account(account, known.as_ref().map(|known| &known.address)).await?,
            None => None,
        };
        // What was checked when it came cannot be checked again.
        let sender = Sender { reverse_path, is_path_proven: true, is_author_proven: true };
        let now = clock.now().unix_seconds();
        let mut about = About {
            arrived_unix_seconds: arrived(&octets).filter(|arrived| *arrived < now).unwrap_or(now),
            client: None,
            helo: None,
            reverse_name: None,
            sender: sender.clone(),
            raised,
            correspondents: Vec::new(),
            surely: None,
            asks_language: true,
        };
        let taste = taste.unwrap_or_else(|| settings.everybody.clone());
        let accounts: Vec<AccountId> = account.iter().map(Account::id).collect();
        let (this, theirs) = (self.clone(), std::sync::Arc::clone(settings));
        let moment = clock.monotonic();
        let judging = move || {
            let ours = this.0.ours.now(&directory, moment);
            let settings = theirs;
            let rules = settings.attachments.as_ref().filter(|_| is_whole);
            let found = rules.map(|rules| attached(rules, &octets, &settings.catalogue));
            let (hits, attached) = found.unwrap_or_default();
            about.raised.extend(hits);
            let mut octets = without_marks(octets);
            octets.truncate(MESSAGE_OCTETS_MAX);
            let thought = judge(&this.0, &settings, &ours, &octets, &about, &accounts);
            (thought, attached)
        };
        let (thought, attached) = self.0.judges.run(judging).await?;
        let mut hits = thought.otherwise.into_iter().next().map(|(_, hits)| hits).unwrap_or_default();
        let own = Own { taste: &taste, everybody: &settings.everybody, catalogue: &settings.catalogue };
        hits.extend(own.by_lists(&sender, thought.author.as_ref()));
        hits.extend(own.by_language(thought.language));
        let verdict = thought.verdict.with(&hits);
        Ok(TrialVerdict { score: verdict.score(), verdict, taste, attached })
    }
}

/// When a message came, as the newest of its trace fields says, in seconds since 1970.
fn arrived(octets: &[u8]) -> Option<i64> {
    let trace = fields(octets).find(|field| field.is_named("Received"))?.unfolded().into_owned();
    let date = trace.rsplit(|octet| *octet == b';').next()?;
    Some(Date::parse(date)?.local().unix_seconds())
}
