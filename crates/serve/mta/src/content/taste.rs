//! What is done with unwanted mail: the operator says it for everybody and for domains, people say it for themselves. Changes
//! are written as words such as `tag2=5.0 at_kill=reject allow=example.com,ann@example.net`.

use std::fmt;
use std::sync::Arc;

use mail_types::{Address, DomainName, ReversePath};
use spam::{Language, reaches};

/// Octets of the words of one change.
pub const CHANGES_OCTETS_MAX: usize = 16 * 1024;
/// Listed of one list of an account or domain.
pub const SENDERS_MAX: usize = 500;
/// No score and no threshold is further from nothing.
pub const POINTS_MAX: f32 = 10_000.0;
/// Octets of what stands in front of the subject.
const PREFIX_OCTETS_MAX: usize = 64;

/// What becomes of a message from the second threshold on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Action {
    /// Its header says so, nothing else.
    Tag,
    /// It is filed as junk.
    Junk,
    /// It is kept apart.
    Quarantine,
    /// It is refused; kept apart where that cannot be.
    Reject,
}

impl Action {
    const ALL: [Self; 4] = [Self::Tag, Self::Junk, Self::Quarantine, Self::Reject];

    /// Its word in settings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Junk => "junk",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// The action that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }
}

/// Whether this may stand in front of a subject as it is.
#[must_use]
pub fn is_subject_prefix(text: &str) -> bool {
    text.len() <= PREFIX_OCTETS_MAX && text.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic())
}

/// Listed, one or all of a domain and of those below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listed {
    /// This one.
    Address(Address),
    /// All of them.
    Domain(DomainName),
}

impl Listed {
    /// `ann@example.org`, `example.org` or `@example.org`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('@').unwrap_or(text) {
            domain if !domain.contains('@') => DomainName::parse(domain).ok().map(Self::Domain),
            address => Address::parse(address).ok().map(Self::Address),
        }
    }

    fn has(&self, sender: &Address) -> bool {
        match self {
            Self::Address(address) => address.to_string().eq_ignore_ascii_case(&sender.to_string()),
            Self::Domain(domain) => sender.domain_name().is_some_and(|of| is_within(of, domain)),
        }
    }
}

/// Whether a domain is another one or below it.
pub(crate) fn is_within(domain: &DomainName, above: &DomainName) -> bool {
    let rest = domain.as_str().strip_suffix(above.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Domain(domain) => domain.fmt(f),
        }
    }
}

/// What somebody wants done.
#[derive(Clone, PartialEq, Debug)]
pub struct Taste {
    /// Whether mail is judged by its content.
    pub is_on: bool,
    /// From this score on the header tells the score.
    pub tag: f32,
    /// From this score on it is called spam.
    pub tag2: f32,
    /// What is done then.
    pub at_tag2: Action,
    /// From this score on, nobody could want it.
    pub kill: f32,
    /// What is done then.
    pub at_kill: Action,
    /// What is put in front of the subject of spam, where all its recipients have the same; nothing, if empty.
    pub subject_prefix: Arc<str>,
    /// Whether junk is filed as if it had been read, where no script says otherwise.
    pub marks_read: bool,
    /// Whose mail is wanted, if it is proven to be theirs.
    pub allow: Arc<[Listed]>,
    /// Whose mail is not.
    pub deny: Arc<[Listed]>,
    /// Languages that are read; all, if none is named.
    pub languages: Arc<[Language]>,
}

impl Default for Taste {
    fn default() -> Self {
        // The thresholds of docker-mailserver's Amavis.
        Self {
            is_on: true,
            tag: 2.0,
            tag2: 6.31,
            at_tag2: Action::Junk,
            kill: 10.0,
            at_kill: Action::Junk,
            subject_prefix: "".into(),
            marks_read: false,
            allow: Arc::default(),
            deny: Arc::default(),
            languages: Arc::default(),
        }
    }
}

impl Taste {
    /// What is done with mail of this score.
    #[must_use]
    pub fn action(&self, score: f32) -> Option<Action> {
        if reaches(score, self.kill) {
            // No milder than what less is worth.
            return Some(if reaches(score, self.tag2) {
                self.at_kill.max(self.at_tag2)
            } else {
                self.at_kill
            });
        }
        reaches(score, self.tag2).then_some(self.at_tag2)
    }

    /// Whether nobody of this taste reads a language.
    pub(crate) fn is_foreign(&self, language: Option<Language>) -> bool {
        !self.languages.is_empty() && language.is_some_and(|language| !language.is_among(&self.languages))
    }

    /// Whether a list has the sender of a message.
    pub(crate) fn has(list: &[Listed], author: Option<&Address>, reverse_path: &ReversePath) -> bool {
        let sender = match reverse_path {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address),
        };
        author.into_iter().chain(sender).any(|address| list.iter().any(|senders| senders.has(address)))
    }
}

/// What somebody wants otherwise than those above.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Changes {
    is_on: Option<bool>,
    tag: Option<f32>,
    tag2: Option<f32>,
    at_tag2: Option<Action>,
    kill: Option<f32>,
    at_kill: Option<Action>,
    subject_prefix: Option<Arc<str>>,
    marks_read: Option<bool>,
    allow: Vec<Listed>,
    deny: Vec<Listed>,
    languages: Option<Arc<[Language]>>,
}

impl Changes {
    /// Reads the words.
    ///
    /// # Errors
    /// What is wrong with which word.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > CHANGES_OCTETS_MAX {
            return Err(format!("more than {CHANGES_OCTETS_MAX} octets"));
        }
        let mut changes = Self::default();
        for word in text.split_whitespace() {
            changes.take(word).map_err(|why| format!("{word}: {why}"))?;
        }
        Ok(changes)
    }

    fn take(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once('=').ok_or("not of the form NAME=VALUE")?;
        match name {
            "check" => self.is_on = Some(switch(value)?),
            "mark_as_read" => self.marks_read = Some(switch(value)?),
            "tag" => self.tag = Some(points(value).ok_or("no number of points")?),
            "tag2" => self.tag2 = Some(points(value).ok_or("no number of points")?),
            "kill" => self.kill = Some(points(value).ok_or("no number of points")?),
            "at_tag2" => {
                let action = Action::parse(value).filter(|action| *action != Action::Reject);
                self.at_tag2 = Some(action.ok_or("none of tag, junk and quarantine")?);
            }
            "at_kill" => {
                self.at_kill = Some(Action::parse(value).ok_or("none of tag, junk, quarantine and reject")?);
            }
            "subject_prefix" if is_subject_prefix(value) => {
                self.subject_prefix = Some(value.into());
            }
            "subject_prefix" => {
                return Err(format!(
                    "more than {PREFIX_OCTETS_MAX} octets, or not of letters and signs of ASCII"
                ));
            }
            "allow" => extend(&mut self.allow, value)?,
            "deny" => extend(&mut self.deny, value)?,
            "languages" => self.languages = Some(languages(value)?),
            _ => return Err("there is no such setting".to_owned()),
        }
        Ok(())
    }

    /// The taste of whoever has these changes.
    #[must_use]
    pub fn apply(&self, taste: &Taste) -> Taste {
        let longer = |list: &Arc<[Listed]>, more: &[Listed]| match more {
            [] => Arc::clone(list),
            more => list.iter().chain(more).cloned().collect(),
        };
        Taste {
            is_on: self.is_on.unwrap_or(taste.is_on),
            tag: self.tag.unwrap_or(taste.tag),
            tag2: self.tag2.unwrap_or(taste.tag2),
            at_tag2: self.at_tag2.unwrap_or(taste.at_tag2),
            kill: self.kill.unwrap_or(taste.kill),
            at_kill: self.at_kill.unwrap_or(taste.at_kill),
            subject_prefix: self.subject_prefix.clone().unwrap_or_else(|| taste.subject_prefix.clone()),
            marks_read: self.marks_read.unwrap_or(taste.marks_read),
            allow: longer(&taste.allow, &self.allow),
            deny: longer(&taste.deny, &self.deny),
            languages: self.languages.clone().unwrap_or_else(|| Arc::clone(&taste.languages)),
        }
    }
}

fn switch(value: &str) -> Result<bool, String> {
    match value {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("neither on nor off".to_owned()),
    }
}

fn extend(list: &mut Vec<Listed>, value: &str) -> Result<(), String> {
    for text in value.split(',').filter(|text| !text.is_empty()) {
        list.push(Listed::parse(text).ok_or_else(|| format!("{text} is neither an address nor a domain"))?);
        if list.len() > SENDERS_MAX {
            return Err(format!("more than {SENDERS_MAX} senders"));
        }
    }
    Ok(())
}

/// Languages by their codes, `de,en`; `any` stands for all.
fn languages(value: &str) -> Result<Arc<[Language]>, String> {
    if value == "any" {
        return Ok(Arc::default());
    }
    let known =
        |code: &str| Language::parse(code).ok_or(format!("{code} is no code of a language that can be told"));
    value.split(',').map(known).collect()
}

/// A number of points.
#[must_use]
pub fn points(text: &str) -> Option<f32> {
    let points: f32 = text.trim().parse().ok()?;
    (points.abs() <= POINTS_MAX).then_some(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_laid_over_what_stands_above() {
        let changes =
            Changes::parse("tag2=5 at_kill=reject\nallow=@friends.example,bob@a.example check=on").unwrap();
        let taste = changes.apply(&Taste::default());
        assert_eq!((taste.tag, taste.tag2, taste.kill), (2.0, 5.0, 10.0));
        assert_eq!((taste.at_tag2, taste.at_kill), (Action::Junk, Action::Reject));
        let shown: Vec<_> = taste.allow.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["friends.example", "bob@a.example"]);
        for (score, action) in [
            (4.99, None),
            (5.0, Some(Action::Junk)),
            (9.99, Some(Action::Junk)),
            (10.0, Some(Action::Reject)),
        ] {
            assert_eq!(taste.action(score), action, "{score}");
        }
    }

    #[test]
    fn each_word_changes_one_thing() {
        let everybody = Taste::default();
        let changed = |words: &str| Changes::parse(words).unwrap().apply(&everybody);
        for (words, expected) in [
            ("check=off", Taste { is_on: false, ..everybody.clone() }),
            ("tag=1", Taste { tag: 1.0, ..everybody.clone() }),
            ("tag2=4", Taste { tag2: 4.0, ..everybody.clone() }),
            ("kill=8", Taste { kill: 8.0, ..everybody.clone() }),
            ("at_tag2=tag", Taste { at_tag2: Action::Tag, ..everybody.clone() }),
            ("at_tag2=quarantine", Taste { at_tag2: Action::Quarantine, ..everybody.clone() }),
            ("at_kill=reject", Taste { at_kill: Action::Reject, ..everybody.clone() }),
            ("subject_prefix=[spam]", Taste { subject_prefix: "[spam]".into(), ..everybody.clone() }),
            ("mark_as_read=on", Taste { marks_read: true, ..everybody.clone() }),
        ] {
            assert_eq!(changed(words), expected, "{words}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (text, why) in [
            ("tag2", "tag2: not of the form NAME=VALUE"),
            ("tag2=many", "tag2=many: no number of points"),
            ("kill=10000.5", "kill=10000.5: no number of points"),
            ("at_kill=lose", "at_kill=lose: none of tag, junk, quarantine and reject"),
            ("colour=red", "colour=red: there is no such setting"),
            ("languages=de,xx", "languages=de,xx: xx is no code of a language that can be told"),
            ("allow=a@b@c", "allow=a@b@c: a@b@c is neither an address nor a domain"),
        ] {
            assert_eq!(Changes::parse(text).unwrap_err(), why);
        }
    }

    #[test]
    fn an_account_may_read_more_languages_than_others() {
        let of = |text: &str| Changes::parse(text).unwrap();
        let [de, en, ru] = ["de", "en", "ru"].map(Language::parse);
        let everybody = of("languages=de,en").apply(&Taste::default());
        assert!(everybody.is_foreign(ru) && !everybody.is_foreign(de) && !everybody.is_foreign(None));
        let more = of("languages=EN,ru").apply(&everybody);
        assert!(more.is_foreign(de) && !more.is_foreign(ru) && !more.is_foreign(en));
        assert!(!of("languages=any").apply(&everybody).is_foreign(ru));
        assert!(of("tag2=5").apply(&everybody).is_foreign(ru));
    }

    #[test]
    fn lists_and_words_have_bounds() {
        for (count, fits) in [(SENDERS_MAX - 1, true), (SENDERS_MAX, true), (SENDERS_MAX + 1, false)] {
            assert_eq!(Changes::parse(&format!("deny={}", vec!["a.b"; count].join(","))).is_ok(), fits);
        }
        for (octets, fits) in
            [(CHANGES_OCTETS_MAX - 1, true), (CHANGES_OCTETS_MAX, true), (CHANGES_OCTETS_MAX + 1, false)]
        {
            assert_eq!(Changes::parse(&" ".repeat(octets)).is_ok(), fits);
        }
        for (octets, fits) in
            [(PREFIX_OCTETS_MAX - 1, true), (PREFIX_OCTETS_MAX, true), (PREFIX_OCTETS_MAX + 1, false)]
        {
            assert_eq!(Changes::parse(&format!("subject_prefix={}", "x".repeat(octets))).is_ok(), fits);
        }
        for (prefix, fits) in [("Spam: maybe", true), ("a\r\nBcc: x", false), ("\u{7f}", false), ("ä", false)]
        {
            assert_eq!(is_subject_prefix(prefix), fits, "{prefix:?}");
        }
    }

    #[test]
    fn what_the_header_calls_spam_is_treated_as_such() {
        let taste = Taste::default();
        // Three rules' points in binary: a little less than the threshold, and shown as the same.
        let score = [2.1_f32, 2.1, 2.11].iter().map(|points| f64::from(*points)).sum::<f64>() as f32;
        assert!(score < taste.tag2 && format!("{score:.2}") == "6.31");
        assert_eq!(taste.action(score), Some(Action::Junk));
        assert_eq!(taste.action(6.30), None);
    }

    #[test]
    fn a_domain_has_those_below_it_and_no_others() {
        let list = [Listed::parse("friends.example").unwrap(), Listed::parse("Bob@a.example").unwrap()];
        for (sender, is_in) in [
            ("eve@friends.example", true),
            ("eve@mail.friends.example", true),
            ("eve@notfriends.example", false),
            ("bob@A.example", true),
            ("ann@a.example", false),
        ] {
            let path = ReversePath::Address(Address::parse(sender).unwrap());
            assert_eq!(Taste::has(&list, None, &path), is_in, "{sender}");
        }
    }
}
