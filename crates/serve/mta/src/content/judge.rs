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
use platform::clock::Monotonic;
use spam::{Facts, Hit, MESSAGE_OCTETS_MAX, Ours, Verdict, features, weigh};

use super::settings::ContentSettings;
use super::{Content, Inner};

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
    pub(crate) ours: Arc<Ours>,
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
    /// By how many points accounts with models of their own think otherwise.
    pub(crate) otherwise: Vec<(AccountId, f32)>,
    /// Who says to have written it.
    pub(crate) author: Option<Address>,
}

impl Question {
    /// Judges it. Blocking.
    pub(crate) fn answer(self) -> Result<Thought, StoreError> {
        let mut octets = self.front;
        self.reader.visit_here(|piece| {
            octets.extend_from_slice(piece);
            octets.len() < MESSAGE_OCTETS_MAX
        })?;
        octets.truncate(MESSAGE_OCTETS_MAX);
        let inner = &self.content.0;
        Ok(judge(inner, &self.settings, &self.ours, &octets, &self.about, &self.accounts))
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
    let (judgement, signals) = inner.models.ask(|model| model.explain(octets, None));
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
        wanted_languages: &[],
        raised: &raised,
    };
    let verdict = weigh(octets, Some((judgement, &signals)), &facts, catalogue);
    let shared_points = catalogue.model(judgement, &[]).points();
    let mut otherwise = Vec::new();
    // Read once, and only where somebody has taught something.
    let mut known = None;
    for &account in accounts {
        let Some(personal) = inner.models.personal(account) else { continue };
        let features = known.get_or_insert_with(|| features(octets));
        let own = inner.models.ask(|model| model.judge(features, Some(&personal)));
        otherwise.push((account, catalogue.model(own, &[]).points() - shared_points));
    }
    Thought { verdict, otherwise, author }
}

/// The first address of the From field.
fn author(octets: &[u8]) -> Option<Address> {
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
