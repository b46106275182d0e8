//! From what is thought of a message to what becomes of it for each recipient. Its octets are stored once, so what its header
//! tells is what holds for all; where it goes, each account decides by its own model and its own thresholds.

use std::collections::HashMap;

use mail_types::{AccountId, Address, ReversePath};
use smtp::Reply;
use smtp::server::Recipient;
use spam::{Catalogue, HITS_TOLD_MAX, Hit, Language, Thresholds, Verdict, reaches};

use super::judge::{Sender, Thought};
use super::taste::{Action, Taste};
use crate::deliver::queued::Place;
use crate::deliver::route::Route;
use crate::filter::Answers;

/// Accounts that want something else which are told in a message's record.
const OTHERS_TOLD_MAX: usize = 20;
/// Hits that count for one account alone: one of each kind, and what takes everybody's away.
const OWN_TOLD_MAX: usize = 6;

/// A message whose content nobody wants (RFC 3463 §3.8).
pub(crate) const UNWANTED: Reply = Reply::fixed(
    550,
    (5, 7, 1),
    "Your message looks like spam and is not taken; please tell us if it is not",
);

/// A message with an attachment that nobody shall get.
pub(crate) const BAD_ATTACHMENT: Reply =
    Reply::fixed(550, (5, 7, 1), "A file of a kind that is not taken here is attached to your message");

/// What becomes of a message because of its content.
#[derive(Debug)]
pub(crate) struct Opinion {
    /// What its header tells.
    verdict: Verdict,
    /// Nothing where its header tells nothing: nobody of its recipients wants it judged.
    thresholds: Option<Thresholds>,
    wishes: HashMap<AccountId, Wish>,
    /// What becomes of it for those elsewhere.
    elsewhere: Place,
    /// Recipients, by their number, for whom it is refused, and what is said then.
    refused: Vec<usize>,
    refusal: Reply,
    /// What scripts are told of viruses (RFC 5235).
    virus: Option<u8>,
    /// What stands in front of its subject.
    pub(crate) subject_prefix: Option<String>,
    /// For its record.
    pub(crate) lines: Vec<String>,
}

/// What becomes of a message for most of its recipients, in the order of the metric's counters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fate {
    Passed,
    Tagged,
    Junk,
    Kept,
    Refused,
}

/// What becomes of it for one account.
#[derive(Clone, PartialEq, Debug)]
struct Wish {
    score: f32,
    /// What counts for it alone.
    own: Vec<Hit>,
    /// How far it is on the way to spam, from 0 to 1; nothing where it is not judged (RFC 5235).
    part: Option<f64>,
    action: Option<Action>,
    place: Place,
}

/// Who gets a message, and what each wants.
pub(crate) struct Deciding<'a> {
    pub(crate) everybody: &'a Taste,
    /// Of those who want something else.
    pub(crate) tastes: &'a HashMap<AccountId, Taste>,
    pub(crate) recipients: &'a [Recipient<Route>],
    pub(crate) answers: Answers,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) sender: &'a Sender,
}

/// What an account wants that everybody does not: the score counts what everybody wants already.
pub(super) struct Own<'a> {
    pub(super) taste: &'a Taste,
    pub(super) everybody: &'a Taste,
    pub(super) catalogue: &'a Catalogue,
}

impl Own<'_> {
    /// What its own lists of senders raise, or take away: whom it denies is not welcome to it, whatever others think.
    pub(super) fn by_lists(&self, sender: &Sender, author: Option<&Address>) -> Vec<Hit> {
        const WELCOME: &str = "WELCOME_LIST";
        let (taste, everybody) = (self.taste, self.everybody);
        let is_welcome = sender.is_allowed(&everybody.allow, author);
        if sender.is_denied(&taste.deny, author) && !sender.is_denied(&everybody.deny, author) {
            let denied = self.catalogue.raise("BLOCK_LIST", "");
            return [denied].into_iter().chain(is_welcome.then(|| Hit::new(WELCOME, 0.0, ""))).collect();
        }
        let is_allowed = sender.is_allowed(&taste.allow, author) && !is_welcome;
        is_allowed.then(|| self.catalogue.raise(WELCOME, "")).into_iter().collect()
    }

    /// What the languages that it reads raise, or take away.
    pub(super) fn by_language(&self, language: Option<Language>) -> Option<Hit> {
        const RULE: &str = "UNWANTED_LANGUAGE";
        match (self.taste.is_foreign(language), self.everybody.is_foreign(language)) {
            (true, false) => Some(self.catalogue.raise(RULE, "")),
            (false, true) => Some(Hit::new(RULE, 0.0, "")),
            _ => None,
        }
    }
}

impl Deciding<'_> {
    /// Decides.
    pub(crate) fn decide(&self, thought: Thought) -> Opinion {
        let Thought { verdict, otherwise, author, language, attached, virus } = thought;
        let mut otherwise: HashMap<AccountId, Vec<Hit>> = otherwise.into_iter().collect();
        let accounts = self.recipients.iter().flat_map(|recipient| recipient.route.local());
        let mut wishes: HashMap<AccountId, Wish> = accounts
            .map(|target| {
                let own = otherwise.remove(&target.account).unwrap_or_default();
                let wish = self.wish(target.account, &verdict, own, (author.as_ref(), language));
                (target.account, Wish { action: wish.action.max(attached), ..wish })
            })
            .collect();
        let elsewhere = self.everybody.is_on.then(|| self.everybody.action(verdict.score())).flatten();
        let elsewhere = elsewhere.max(attached);
        let refusal = if attached == Some(Action::Reject) { BAD_ATTACHMENT } else { UNWANTED };
        let refused = self.refused(&wishes, elsewhere);
        for wish in wishes.values_mut() {
            wish.place = place_of(wish.action);
        }
        let subject_prefix = self.subject_prefix(&wishes, elsewhere);
        let is_judged = attached.is_some()
            || wishes.values().any(|wish| wish.part.is_some())
            || (self.everybody.is_on && self.is_elsewhere());
        let thresholds = is_judged.then(|| self.thresholds());
        let lines = self.lines(&verdict, &wishes);
        let elsewhere = place_of(elsewhere);
        // Of one recipient the header tells what holds for them, of several what holds for all.
        let mut of_each = wishes.values().map(|wish| &wish.own);
        let verdict = match (of_each.next(), of_each.next(), self.is_elsewhere()) {
            (Some(own), None, false) => verdict.with(own),
            _ => verdict,
        };
        Opinion { verdict, thresholds, wishes, elsewhere, refused, refusal, virus, subject_prefix, lines }
    }

    fn taste(&self, account: AccountId) -> &Taste {
        self.tastes.get(&account).unwrap_or(self.everybody)
    }

    fn wish(
        &self,
        account: AccountId,
        verdict: &Verdict,
        mut own: Vec<Hit>,
        (author, language): (Option<&Address>, Option<Language>),
    ) -> Wish {
        let taste = self.taste(account);
        if !taste.is_on {
            let score = verdict.with(&own).score();
            return Wish { score, own, part: None, action: None, place: Place::Inbox };
        }
        let lists = Own { taste, everybody: self.everybody, catalogue: self.catalogue };
        own.extend(lists.by_lists(self.sender, author));
        own.extend(lists.by_language(language));
        // A message may go to a thousand, most of whom think of it as everybody does.
        let score = if own.is_empty() { verdict.score() } else { verdict.with(&own).score() };
        let part = match score {
            score if reaches(score, taste.tag2) => 1.0,
            // RFC 5235 has ten steps, of which the last is spam.
            score => f64::from((score / taste.tag2).clamp(0.0, 1.0)) * 0.999,
        };
        Wish { score, own, part: Some(part), action: taste.action(score), place: Place::Inbox }
    }

    /// The recipients for whom it is refused: all behind them want that, and the protocol can say it.
    fn refused(&self, wishes: &HashMap<AccountId, Wish>, elsewhere: Option<Action>) -> Vec<usize> {
        let wants = |recipient: &Recipient<Route>| {
            let is_refused = |action: Option<Action>| action == Some(Action::Reject);
            let local = recipient.route.local();
            let mut accounts = local.iter().map(|target| wishes.get(&target.account));
            let is_here = accounts.all(|wish| is_refused(wish.and_then(|wish| wish.action)));
            let is_somebody = !local.is_empty() || !recipient.route.remote().is_empty();
            is_somebody && is_here && (recipient.route.remote().is_empty() || is_refused(elsewhere))
        };
        let has_nowhere = |recipient: &Recipient<Route>| {
            place_of(elsewhere) != Place::Inbox && !recipient.route.takes_junk()
        };
        let refuses = |recipient: &Recipient<Route>| wants(recipient) || has_nowhere(recipient);
        let numbered = self.recipients.iter().enumerate();
        let refused: Vec<usize> =
            numbered.filter(|(_, recipient)| refuses(recipient)).map(|(number, _)| number).collect();
        match self.answers {
            Answers::Each => refused,
            // One word for all. Junk that could only be passed on would be lost without it.
            Answers::One
                if refused.len() == self.recipients.len() || self.recipients.iter().any(has_nowhere) =>
            {
                (0..self.recipients.len()).collect()
            }
            Answers::One => Vec::new(),
        }
    }

    fn is_elsewhere(&self) -> bool {
        self.recipients.iter().any(|recipient| !recipient.route.remote().is_empty())
    }

    /// What stands in front of the subject: what all recipients want there, if all of them think it is spam.
    fn subject_prefix(&self, wishes: &HashMap<AccountId, Wish>, elsewhere: Option<Action>) -> Option<String> {
        let wanted = |taste: &Taste, action: Option<Action>| {
            action.is_some().then(|| taste.subject_prefix.to_string()).filter(|prefix| !prefix.is_empty())
        };
        let here = wishes.iter().map(|(account, wish)| wanted(self.taste(*account), wish.action));
        let others = self.is_elsewhere().then(|| wanted(self.everybody, elsewhere));
        let mut all = here.chain(others);
        let first = all.next()??;
        all.all(|other| other.as_ref() == Some(&first)).then_some(first)
    }

    /// The thresholds that the header speaks of: those of the recipients if they agree, else everybody's.
    fn thresholds(&self) -> Thresholds {
        let of = |taste: &Taste| Thresholds { tag: taste.tag, tag2: taste.tag2, kill: taste.kill };
        let accounts = self.recipients.iter().flat_map(|recipient| recipient.route.local());
        let mut all = accounts.map(|target| of(self.taste(target.account)));
        let Some(first) = all.next() else { return of(self.everybody) };
        if all.all(|other| other == first) { first } else { of(self.everybody) }
    }

    /// An account by the recipient that leads there.
    fn whom(&self, account: AccountId) -> String {
        let leads = |recipient: &&Recipient<Route>| {
            recipient.route.local().iter().any(|target| target.account == account)
        };
        self.recipients.iter().find(leads).map_or_else(String::new, |found| found.forward_path.to_string())
    }

    fn lines(&self, verdict: &Verdict, wishes: &HashMap<AccountId, Wish>) -> Vec<String> {
        let spam = self.thresholds().tag2;
        let mut lines = vec![format!("content: score {:.2} (spam from {spam})", verdict.score())];
        let told = |hit: &Hit| format!("{:+.2} {} {}", hit.points(), hit.name(), hit.words());
        lines.extend(verdict.hits().iter().take(HITS_TOLD_MAX).map(|hit| format!("content: {}", told(hit))));
        let mut others: Vec<_> = wishes.iter().collect();
        others.sort_by_key(|(account, _)| account.0);
        for (account, wish) in others.into_iter().take(OTHERS_TOLD_MAX) {
            let action = match (wish.part, wish.action) {
                (None, _) => "not judged",
                (_, None) => "passed",
                (_, Some(action)) => action.word(),
            };
            let tag2 = self.taste(*account).tag2;
            let score = wish.score;
            let whom = self.whom(*account);
            lines.push(format!("content for {whom}: {action}, score {score:.2} of {tag2}"));
            let own = wish.own.iter().take(OWN_TOLD_MAX);
            lines.extend(own.map(|hit| format!("content for {whom}: {}", told(hit))));
        }
        lines
    }
}

fn place_of(action: Option<Action>) -> Place {
    match action {
        None | Some(Action::Tag) => Place::Inbox,
        Some(Action::Junk) => Place::Junk,
        // What is not refused in the protocol is kept apart: nobody would be told.
        Some(Action::Quarantine | Action::Reject) => Place::Quarantine,
    }
}

/// What follows for a message from who sent it and what it says.
#[derive(Clone, Copy)]
pub(crate) struct Considered<'a> {
    /// Where it goes by what was found about its sender.
    pub(crate) by_sender: Place,
    pub(crate) opinion: Option<&'a Opinion>,
}

impl Considered<'_> {
    /// Nothing.
    pub(crate) const NOTHING: Considered<'static> = Considered { by_sender: Place::Inbox, opinion: None };

    /// Where it goes for an account.
    pub(crate) fn place_for(self, account: AccountId) -> Place {
        self.by_sender.max(self.opinion.map_or(Place::Inbox, |opinion| opinion.place_for(account)))
    }

    /// How far it is on the way to spam for an account; nothing where nobody has looked.
    pub(crate) fn part_for(self, account: AccountId) -> Option<f64> {
        match self.by_sender {
            Place::Inbox => self.opinion.and_then(|opinion| opinion.part_for(account)),
            Place::Junk | Place::Quarantine => Some(1.0),
        }
    }

    /// What is known of viruses in it (RFC 5235 §2.4).
    pub(crate) fn virus(self) -> Option<u8> {
        self.opinion.and_then(|opinion| opinion.virus)
    }

    /// Why the recipient with this number does not get it, if so.
    pub(crate) fn refusal(self, recipient: usize) -> Option<Reply> {
        self.opinion.and_then(|opinion| opinion.refusal(recipient))
    }

    /// Whether somebody's copy does not go to the inbox as it came.
    pub(crate) fn has_a_say(self) -> bool {
        self.by_sender != Place::Inbox || self.opinion.is_some_and(Opinion::has_a_say)
    }
}

impl Opinion {
    /// Writes what its header tells: nothing where it is far from spam.
    pub(crate) fn write(&self, front: &mut Vec<u8>) {
        if let Some(thresholds) = &self.thresholds {
            self.verdict.write_fields(thresholds, front);
        }
    }

    /// Where it goes for an account.
    pub(crate) fn place_for(&self, account: AccountId) -> Place {
        self.wishes.get(&account).map_or(Place::Inbox, |wish| wish.place)
    }

    /// How far it is on the way to spam for an account. What goes to junk for what is attached to it is spam to scripts, too,
    /// whatever its score: they file it.
    pub(crate) fn part_for(&self, account: AccountId) -> Option<f64> {
        let wish = self.wishes.get(&account)?;
        if wish.place == Place::Inbox { wish.part } else { Some(1.0) }
    }

    /// What becomes of it for those elsewhere.
    pub(crate) fn elsewhere(&self) -> Place {
        self.elsewhere
    }

    /// Why it is refused for the recipient with this number, if it is.
    pub(crate) fn refusal(&self, recipient: usize) -> Option<Reply> {
        self.refused.contains(&recipient).then(|| self.refusal.clone())
    }

    /// Whether nobody gets it.
    pub(crate) fn is_refused_by_all(&self, recipients: usize) -> bool {
        recipients > 0 && self.refused.len() == recipients
    }

    /// Whether somebody's copy does not go to the inbox as it came.
    pub(crate) fn has_a_say(&self) -> bool {
        !self.refused.is_empty() || self.wishes.values().any(|wish| wish.place != Place::Inbox)
    }

    /// The mildest that becomes of it.
    pub(crate) fn fate(&self, recipients: usize) -> Fate {
        if self.is_refused_by_all(recipients) {
            return Fate::Refused;
        }
        let here = self.wishes.values().map(|wish| match (wish.place, wish.action) {
            (Place::Quarantine, _) => Fate::Kept,
            (Place::Junk, _) => Fate::Junk,
            (Place::Inbox, Some(_)) => Fate::Tagged,
            (Place::Inbox, None) => Fate::Passed,
        });
        here.min().unwrap_or(if self.elsewhere == Place::Inbox { Fate::Passed } else { Fate::Junk })
    }
}

impl Sender {
    /// Whether a list has one who sent this message and is proven to have.
    fn is_allowed(&self, list: &[super::Listed], author: Option<&Address>) -> bool {
        let (author, path) = (author.filter(|_| self.is_author_proven), &ReversePath::Null);
        let path = if self.is_path_proven { &self.reverse_path } else { path };
        Taste::has(list, author, path)
    }

    fn is_denied(&self, list: &[super::Listed], author: Option<&Address>) -> bool {
        Taste::has(list, author, &self.reverse_path)
    }

    /// The rules that everybody's lists raise.
    pub(crate) fn by_lists(&self, everybody: &Taste, author: Option<&Address>) -> Option<&'static str> {
        if self.is_denied(&everybody.deny, author) {
            return Some("BLOCK_LIST");
        }
        self.is_allowed(&everybody.allow, author).then_some("WELCOME_LIST")
    }
}
