//! A look at what is thought of a message, without doing anything about it: for people who ask why, or what if.

use directory::Directory;
use mail_types::{AccountId, ReversePath};
use mailstore::{Account, StoreError};
use platform::clock::Clock;
use spam::{Hit, Verdict};

use super::judge::{About, Sender, judge};
use super::mark::without_marks;
use super::taste::Taste;
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
}

impl Content {
    /// Judges the beginning of a message with these settings.
    ///
    /// # Errors
    /// The store's.
    pub async fn try_out(
        &self,
        settings: &std::sync::Arc<ContentSettings>,
        trial: ContentTrial,
        octets: Vec<u8>,
    ) -> Result<TrialVerdict, StoreError> {
        let ContentTrial { directory, clock, account, raised, reverse_path } = trial;
        let known = account.as_ref().and_then(|account| directory.account(account.id()));
        let taste = match &account {
            Some(account) => settings.of_account(account, known.as_ref().map(|known| &known.address)).await?,
            None => None,
        };
        let about = About {
            arrived_unix_seconds: clock.now().unix_seconds(),
            client: None,
            helo: None,
            reverse_name: None,
            sender: Sender { reverse_path, is_path_proven: true, is_author_proven: true },
            raised,
            correspondents: Vec::new(),
            surely: None,
        };
        let (this, settings) = (self.clone(), std::sync::Arc::clone(settings));
        let taste = taste.unwrap_or_else(|| settings.everybody.clone());
        let accounts: Vec<AccountId> = account.iter().map(Account::id).collect();
        let now = clock.monotonic();
        let judging = move || {
            let ours = this.0.ours.now(&directory, now);
            judge(&this.0, &settings, &ours, &without_marks(octets), &about, &accounts)
        };
        let thought = self.0.judges.run(judging).await?;
        let more = thought.otherwise.first().map_or(0.0, |(_, more)| *more);
        Ok(TrialVerdict { score: thought.verdict.score() + more, verdict: thought.verdict, taste })
    }
}
