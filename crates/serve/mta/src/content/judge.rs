//! From a message that has come and what is known of it to a verdict, and to what each account's own model makes of it. Runs on
//! a thread that may wait; what it reads and remembers is bounded by the crates that it asks.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use directory::Directory;
use mail_types::{AccountId, Address, ReversePath};
use mailstore::{HeldReader, StoreError};
use message::{Addressee, fields, parse_addresses};
use parking_lot::Mutex;
use platform::clock::{Monotonic, Timestamp};
use spam::{
    Catalogue, Class, Facts, Features, Hit, Language, MESSAGE_OCTETS_MAX, Ours, Verdict, features, language,
    weigh,
};

use super::lessons::{MessageKey, author_key};
use super::settings::ContentSettings;
use super::taste::Action;
use super::{Content, Inner, Lesson, attached, day_of};

/// How long our own domains and people's names are taken as they were.
const OURS_FRESH: Duration = Duration::from_secs(60);

/// What is known of a message besides its octets.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) arrived_unix_seconds: i64,
    pub(crate) client: Option<IpAddr>,
    pub(crate) helo: Option<String>,
    pub(crate) reverse_name: Option<String>,
    pub(crate) sender: Sender,
    /// What others have found.
    pub(crate) raised: Vec<Hit>,
    /// Accounts that have written to its author.
    pub(crate) correspondents: Vec<AccountId>,
    /// What it surely is, whatever is thought of it: sent to a trap, or the answer of one who is proven.
    pub(crate) surely: Option<Class>,
    /// Whether somebody wants to know in which language it is.
    pub(crate) asks_language: bool,
}

/// Who a message says has sent it, and how much of that is proven.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) reverse_path: ReversePath,
    pub(crate) is_path_proven: bool,
    /// Whether the author's domain vouches for it.
    pub(crate) is_author_proven: bool,
}

/// A message that is to be judged; goes to another thread.
pub(crate) struct Question {
    pub(crate) content: Content,
    pub(crate) settings: Arc<ContentSettings>,
    /// Who are our own, asked at this moment.
    pub(crate) directory: Directory,
    pub(crate) now: Monotonic,
    pub(crate) reader: HeldReader,
    /// What we put in front of it.
    pub(crate) front: Vec<u8>,
    pub(crate) about: About,
    /// Who receives it.
    pub(crate) accounts: Vec<AccountId>,
}

/// What is thought of a message.
#[derive(Debug)]
pub(crate) struct Thought {
    pub(crate) verdict: Verdict,
    /// What counts for single accounts besides that, or in the place of a hit of its name.
    pub(crate) otherwise: Vec<(AccountId, Vec<Hit>)>,
    /// Who says to have written it.
    pub(crate) author: Option<Address>,
    /// The language that it is in, where somebody asked and that is clear.
    pub(crate) language: Option<Language>,
    /// What has to be done for what is attached to it.
    pub(crate) attached: Option<Action>,
    /// What scripts are told of that (RFC 5235 §2.4); nothing where nobody has looked.
    pub(crate) virus: Option<u8>,
}

impl Question {
    /// Judges it. Blocking.
    pub(crate) fn answer(mut self) -> Result<Thought, StoreError> {
        let catalogue = &self.settings.catalogue;
        let rules = self.settings.attachments.as_ref();
        let report = rules.map(|rules| attached::inspect(rules, &self.reader)).transpose()?;
        self.about.raised.extend(report.iter().flat_map(|report| attached::hits(report, catalogue)));
        let mut octets = self.front;
        self.reader.visit_here(|piece| {
            octets.extend_from_slice(piece);
            octets.len() < MESSAGE_OCTETS_MAX
        })?;
        octets.truncate(MESSAGE_OCTETS_MAX);
        let inner = &self.content.0;
        let ours = inner.ours.now(&self.directory, self.now);
        let thought = judge(inner, &self.settings, &ours, &octets, &self.about, &self.accounts);
        if let Some(class) = self.about.surely.filter(|_| self.settings.learns) {
            let day = day_of(Timestamp::from_unix_seconds(self.about.arrived_unix_seconds));
            if let Err(error) = self.content.learn_here(Lesson::Nobody, octets, class, day) {
                tracing::warn!(%error, "what a message surely is was not learned");
            }
        }
        Ok(Thought {
            attached: report.as_ref().and_then(attached::action),
            virus: report.as_ref().map(attached::virus),
            ..thought
        })
    }
}

/// Judges the beginning of a message.
pub(crate) fn judge(
    inner: &Inner,
    settings: &ContentSettings,
    ours: &Ours,
    octets: &[u8],
    about: &About,
    accounts: &[AccountId],
) -> Thought {
    let features = features(octets);
    let judgement = inner.models.ask(|model| model.judge(&features, None));
    // Reasons cost more than the judgement, and nobody asks why mail is good.
    let signals = match judgement.log_odds > 0.0 {
        true => inner.models.ask(|model| model.reasons(octets, &features, None)),
        false => Vec::new(),
    };
    let author = author(octets);
    let catalogue = &settings.catalogue;
    let mut raised = about.raised.clone();
    let listed = about.sender.by_lists(&settings.everybody, author.as_ref());
    raised.extend(listed.map(|name| catalogue.raise(name, "")));
    let reverse_path = match &about.sender.reverse_path {
        ReversePath::Null => String::new(),
        ReversePath::Address(address) => address.to_string(),
    };
    let facts = Facts {
        arrived_unix_seconds: Some(about.arrived_unix_seconds),
        client: about.client,
        helo: about.helo.as_deref(),
        reverse_name: about.reverse_name.as_deref(),
        reverse_path: Some(&reverse_path),
        ours: Some(ours),
        wanted_languages: &settings.everybody.languages,
        raised: &raised,
    };
    let verdict = weigh(octets, Some((judgement, &signals)), &facts, catalogue);
    let asked = Asked { inner, catalogue, octets, features: &features, about, author: author.as_ref() };
    let otherwise = asked.otherwise(accounts);
    let language = about.asks_language.then(|| language(octets)).flatten();
    Thought { verdict, otherwise, author, language, attached: None, virus: None }
}

/// A message about which accounts are asked.
struct Asked<'a> {
    inner: &'a Inner,
    catalogue: &'a Catalogue,
    octets: &'a [u8],
    features: &'a Features,
    about: &'a About,
    author: Option<&'a Address>,
}

impl Asked<'_> {
    /// What counts for single accounts: whom they have written to, what they have taught.
    fn otherwise(&self, accounts: &[AccountId]) -> Vec<(AccountId, Vec<Hit>)> {
        let key = self.author.map(author_key);
        let mut otherwise = Vec::new();
        for &account in accounts {
            let mut hits = Vec::new();
            if self.about.correspondents.contains(&account) {
                hits.push(self.catalogue.raise("KNOWN_CORRESPONDENT", ""));
            }
            // Whoever has taught something has a model.
            if let Some(personal) = self.inner.models.personal(account) {
                let own = self.inner.models.ask(|model| model.judge(self.features, Some(&personal)));
                // The header has room for the reasons of one.
                let signals = match own.log_odds > 0.0 && accounts.len() == 1 {
                    true => {
                        let models = &self.inner.models;
                        models.ask(|model| model.reasons(self.octets, self.features, Some(&personal)))
                    }
                    false => Vec::new(),
                };
                hits.push(self.catalogue.model(own, &signals));
                hits.extend(key.and_then(|key| self.by_author(account, &key)));
            }
            otherwise.extend((!hits.is_empty()).then_some((account, hits)));
        }
        otherwise
    }

    /// What an account has said of the author's earlier mail.
    fn by_author(&self, account: AccountId, author: &MessageKey) -> Option<Hit> {
        let leaning = self.inner.lessons.leaning(account, author).unwrap_or_else(|error| {
            tracing::error!(%error, "what an account thinks of an author is not known");
            0
        });
        let points = points_of(leaning, self.about.sender.is_author_proven);
        let words = match leaning > 0 {
            true => "its recipient has put its author's mail into junk",
            false => "its recipient has taken its author's mail out of junk",
        };
        (points != 0.0).then(|| self.catalogue.raise_scored("AUTHOR_TAUGHT", points, words))
    }
}

/// What it weighs for an account what it has said of an author's earlier mail: so much that the next one lies where the last
/// was moved. Anybody can write a wanted author's name, and send as somebody else who is proven: it counts where the author is.
fn points_of(leaning: i32, is_proven: bool) -> f32 {
    const FIRST: f32 = 2.5;
    const EACH: f32 = 2.5;
    match leaning {
        0 => 0.0,
        leaning if leaning < 0 && !is_proven => 0.0,
        leaning => (FIRST + EACH * leaning.unsigned_abs() as f32).copysign(leaning as f32),
    }
}

/// The first address of the From field.
pub(crate) fn author(octets: &[u8]) -> Option<Address> {
    let from = fields(octets).find(|field| field.is_named("From"))?;
    match parse_addresses(&from.unfolded(), 1).into_iter().next()? {
        Addressee::Mailbox { local_part, domain, .. } => {
            let text = [local_part.as_slice(), b"@", domain.as_slice()].concat();
            Address::parse(std::str::from_utf8(&text).ok()?).ok()
        }
        _ => None,
    }
}

/// Our own domains and people's names, as they were a moment ago.
#[derive(Default)]
pub(crate) struct OursKept(Mutex<Option<(Monotonic, Arc<Ours>)>>);

impl OursKept {
    /// Now and then asks for all accounts, while others wait: for threads that may.
    pub(crate) fn now(&self, directory: &Directory, now: Monotonic) -> Arc<Ours> {
        let mut kept = self.0.lock();
        if let Some((since, ours)) = &*kept
            && now.since(*since) < OURS_FRESH
        {
            return Arc::clone(ours);
        }
        let (domains, accounts) = (directory.domains(), directory.accounts());
        let names = accounts.iter().filter_map(|account| account.display_name.as_deref());
        let ours = Arc::new(Ours::new(domains.iter().map(|domain| &domain.name), names));
        *kept = Some((now, Arc::clone(&ours)));
        ours
    }
}
