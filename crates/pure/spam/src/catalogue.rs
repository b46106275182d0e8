//! The rules that this program knows by name: what each weighs unless the operator says otherwise, and what it means.

use std::collections::HashMap;

use crate::hit::{Hit, bounded, rule_name};
use crate::judgement::{Judgement, Signal};
use crate::rule_file::RuleFiles;

/// Points of rules that an operator may have set.
pub const POINTS_SET_MAX: usize = 10_000;

/// The hit that stands for the statistical models.
pub const MODEL_RULE: &str = "CONTENT_MODEL";

/// What one log-odds of the models weighs: where they find a message wanted, where they find it unwanted, and behind the knee, from
/// where on a message is called unwanted anyway. Thresholds of 2, 6.31 and 10 then stand for probabilities of 82 %, 99.2 % and
/// 99.99 %; and what is certainly wanted by its content can still be turned by what others know of it.
const MODEL_WANTED: f32 = 0.5;
const MODEL_UNWANTED: f32 = 1.3;
const MODEL_CERTAIN: f32 = 0.8;
const MODEL_KNEE: f32 = 4.85;

/// Reasons of the models that are told in words.
const REASONS_MAX: usize = 3;

/// Where a rule looks, or who raises it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Fields of the header.
    Header,
    /// Who says to have written.
    Author,
    /// Letters of several scripts and invisible ones.
    Letters,
    /// Structure and encodings.
    Parts,
    /// Links.
    Links,
    /// What HTML does besides showing text.
    Markup,
    /// The text itself.
    Text,
    /// Raised: who really sent it.
    Authentication,
    /// Raised: the connection that brought it.
    Connection,
    /// Raised: what attachments are.
    Attachments,
    /// Raised: what earlier mail tells.
    History,
    /// Raised: other engines.
    Engines,
    /// The statistical models.
    Model,
}

impl Family {
    /// All of them, in the order in which people are shown them.
    pub const ALL: [Family; 13] = [
        Family::Header,
        Family::Author,
        Family::Letters,
        Family::Parts,
        Family::Links,
        Family::Markup,
        Family::Text,
        Family::Authentication,
        Family::Connection,
        Family::Attachments,
        Family::History,
        Family::Engines,
        Family::Model,
    ];

    /// Its name as a heading.
    pub fn title(self) -> &'static str {
        match self {
            Family::Header => "Header fields",
            Family::Author => "Author",
            Family::Letters => "Letters",
            Family::Parts => "Parts and encodings",
            Family::Links => "Links",
            Family::Markup => "HTML",
            Family::Text => "Text",
            Family::Authentication => "Who really sent it",
            Family::Connection => "Connection",
            Family::Attachments => "Attachments",
            Family::History => "Earlier mail",
            Family::Engines => "Other engines",
            Family::Model => "Statistics",
        }
    }
}

/// A rule that is built in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// What it weighs unless the operator says otherwise.
    pub points: f32,
    /// Where it looks.
    pub family: Family,
    /// What it means, as the end of a sentence about a message.
    pub meaning: &'static str,
}

/// What rules weigh here: the built-in points, and what the operator has set.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    set: HashMap<String, f32>,
    files: RuleFiles,
}

impl Catalogue {
    /// Sets what a rule weighs, built in or not; zero silences it. `false` when too many are set already.
    pub fn set_points(&mut self, name: &str, points: f32) -> bool {
        let name = rule_name(name);
        if self.set.len() >= POINTS_SET_MAX && !self.set.contains_key(&name) {
            return false;
        }
        self.set.insert(name, bounded(points));
        true
    }

    /// Takes rules of files. Points that the files give to built-in rules are set; what is set later goes before.
    pub fn take_files(&mut self, files: RuleFiles) {
        for (name, score) in files.foreign_scores().filter(|(name, _)| rule(name).is_some()) {
            // There are fewer built-in rules than points that can be set.
            let _is_set = self.set_points(name, score);
        }
        self.files = files;
    }

    /// The rules of files.
    pub fn files(&self) -> &RuleFiles {
        &self.files
    }

    /// What the operator has set.
    pub(crate) fn points_set(&self, name: &str) -> Option<f32> {
        self.set.get(name).copied()
    }

    /// What a rule weighs; `None` if nobody has said.
    pub fn points(&self, name: &str) -> Option<f32> {
        self.set.get(name).copied().or_else(|| rule(name).map(|rule| rule.points))
    }

    /// A hit of a rule by name. One that nobody has given points to is told and weighs nothing.
    pub fn raise(&self, name: &str, words: &str) -> Hit {
        match rule(name) {
            Some(rule) => {
                let words = if words.is_empty() { rule.meaning } else { words };
                Hit::of_catalogue(rule.name, self.set.get(name).copied().unwrap_or(rule.points), words)
            }
            None => Hit::new(name, self.points(&rule_name(name)).unwrap_or_default(), words),
        }
    }

    /// A hit whose points its raiser knows, as of a list with a weight of its own; what the operator has set goes before.
    pub fn raise_scored(&self, name: &str, points: f32, words: &str) -> Hit {
        Hit::new(name, self.set.get(&rule_name(name)).copied().unwrap_or(points), words)
    }

    /// What the statistical models weigh, with their strongest reasons in words. More log-odds never give fewer points.
    pub fn model(&self, judgement: Judgement, signals: &[Signal]) -> Hit {
        let percent = f64::from(judgement.probability()) * 100.0;
        let mut words = format!("its content looks unwanted with {percent:.1} %");
        let speaks = |signal: &&Signal| (signal.weight > 0.0) == (judgement.log_odds > 0.0);
        for (index, signal) in signals.iter().filter(speaks).take(REASONS_MAX).enumerate() {
            words.push_str(if index == 0 { ": " } else { ", " });
            words.push_str(&signal.text);
        }
        self.raise_scored(MODEL_RULE, model_points(judgement.log_odds), &words)
    }
}

fn model_points(log_odds: f32) -> f32 {
    if log_odds <= 0.0 {
        MODEL_WANTED * log_odds
    } else {
        MODEL_UNWANTED * log_odds.min(MODEL_KNEE) + MODEL_CERTAIN * (log_odds - MODEL_KNEE).max(0.0)
    }
}

/// All built-in rules as tables of Markdown, one for each family.
pub fn rule_table() -> String {
    let mut table = String::new();
    for family in Family::ALL {
        table.push_str(&format!(
            "\n### {}\n\n| rule | points | fires when |\n|---|---|---|\n",
            family.title()
        ));
        for rule in RULES.iter().filter(|rule| rule.family == family) {
            table.push_str(&format!("| `{}` | {} | {} |\n", rule.name, rule.points, rule.meaning));
        }
    }
    table
}

/// A built-in rule.
pub fn rule(name: &str) -> Option<&'static Rule> {
    let at = BY_NAME.binary_search_by(|&index| row(index).name.cmp(name)).ok()?;
    BY_NAME.get(at).map(|&index| row(index))
}

fn row(index: usize) -> &'static Rule {
    // `BY_NAME` holds places in the table only.
    RULES.get(index).unwrap_or(&NO_RULE)
}

const NO_RULE: Rule = Rule { name: "", points: 0.0, family: Family::Model, meaning: "" };

/// Places of the rules, sorted by their names.
static BY_NAME: std::sync::LazyLock<Vec<usize>> = std::sync::LazyLock::new(|| {
    let mut places: Vec<usize> = (0..RULES.len()).collect();
    places.sort_by_key(|&index| row(index).name);
    places
});

macro_rules! rules {
    ($($family:ident { $($name:ident $points:literal $meaning:literal)* })*) => {
        /// All built-in rules, by family.
        pub static RULES: &[Rule] = &[$($(
            Rule { name: stringify!($name), points: $points, family: Family::$family, meaning: $meaning },
        )*)*];
    };
}

// Where SpamAssassin has a rule of the same meaning it has the same name, so that rules of others can build on it.
rules! {
    Header {
        MISSING_DATE 1.4 "it has no Date field"
        INVALID_DATE 1.1 "its date cannot be read"
        DATE_IN_PAST 0.6 "it is dated more than a week before it came"
        DATE_IN_FUTURE 2.0 "it is dated more than half a day after it came"
        MISSING_MID 0.8 "it has no Message-ID field"
        INVALID_MSGID 1.2 "its Message-ID has not the form of one"
        MSGID_LOCAL 0.1 "its Message-ID names no host of the Internet"
        MSGID_OURS 1.0 "its Message-ID claims to be of ours, and its author is not"
        DUPLICATED_FIELD 0.8 "a field that may stand once stands twice"
        MISSING_FROM 2.0 "it has no From field"
        INVALID_FROM 1.5 "its From field holds no address"
        MISSING_SUBJECT 0.5 "it has no Subject field"
        EMPTY_SUBJECT 0.3 "its subject is empty"
        SUBJ_ALL_CAPS 1.0 "its subject is in capitals"
        SUBJECT_MONEY 0.5 "its subject names an amount of money"
        SUBJECT_SHOUTS 0.6 "its subject has several exclamation marks"
        SUBJECT_SPACED 1.5 "its subject has s p a c e d words"
        SUBJECT_FALSE_REPLY 0.3 "its subject says it is an answer, and it answers nothing"
        SUBJECT_RAW_OCTETS 0.7 "its subject has octets of no known charset"
        MISSING_TO 0.2 "it is addressed to nobody"
        UNDISCLOSED_RECIPIENTS 0.4 "it hides whom it is addressed to"
        MANY_RECIPIENTS 0.8 "it is addressed to a crowd"
        SPAMWARE 3.0 "it was made by a program for mass mail"
        SCRIPT_MAILER 0.3 "a web page's script made it"
        FREEMAIL_FORGED_REPLYTO 1.5 "answers go to a free mailbox elsewhere"
        FOREIGN_LINES 1.0 "its header has lines that are no fields"
    }
    Author {
        NAME_SHOWS_ADDRESS 1.8 "its author's name shows an address of another domain"
        NAME_SHOWS_OURS 2.5 "its author's name shows one of our domains, and the address is a stranger's"
        NAME_OF_OURS 1.8 "its author bears the name of one of our people, and the address is a stranger's"
        NAME_OF_BRAND 1.2 "its author bears a name that is often imitated, and the address is of another domain"
        NAME_MIXED_SCRIPTS 2.2 "its author's name mixes alphabets inside a word"
        LOOKALIKE_OURS 4.0 "its author's domain looks like one of ours"
        LOOKALIKE_BRAND 2.5 "its author's domain looks like one that is often imitated"
    }
    Letters {
        SUBJECT_MIXED_SCRIPTS 1.5 "its subject mixes alphabets inside a word"
        SUBJECT_STYLED 1.0 "its subject is written in mathematical letters"
        TEXT_MIXED_SCRIPTS 1.0 "its text mixes alphabets inside words"
        TEXT_INVISIBLE 1.0 "invisible characters stand inside its words"
    }
    Parts {
        BOUNDARY_MISSING 1.5 "it says it has parts, and has none"
        MIME_BASE64_TEXT 0.2 "plain text is wrapped in base64"
        CHARSET_UNKNOWN 0.8 "its text is in a charset that nobody knows"
        CHARSET_FALSE 0.5 "its text is not in the charset that it says"
        MANY_PARTS 0.5 "it has very many parts"
        MPART_ONE_HTML 0.7 "it offers alternatives and has only one, in HTML"
        HTML_ONLY 0.2 "it has HTML only"
        MISSING_MIME_VERSION 0.3 "it has parts and no MIME-Version field"
    }
    Links {
        LINK_NUMERIC 1.3 "a link goes to a number instead of a name"
        LINK_USERINFO 2.0 "a link puts another name before its host"
        LINK_PORT 0.5 "a link goes to an unusual port"
        LINK_SHORTENER 0.3 "a link goes by a service that hides where it leads"
        LINK_FREE_HOST 0.4 "a link goes to a page that anybody can make"
        LINK_ESCAPED 0.8 "a link hides its letters in escapes"
        LINK_HOMOGRAPH 2.5 "a link's host mixes alphabets inside a word"
        LINK_LOOKALIKE 2.2 "a link's host looks like one that is often imitated"
        LINK_LOOKALIKE_OURS 3.0 "a link's host looks like one of ours"
        LINK_MANY_DOMAINS 0.2 "its links go to very many domains"
        LINK_MISMATCH 1.0 "a link shows another domain than it leads to"
        LINK_PROGRAM 1.0 "a link holds a page or a program itself"
    }
    Markup {
        HIDDEN_TEXT 0.8 "it has text that nobody can see"
        BROKEN_WORDS 2.0 "comments cut its words into pieces"
        HTML_FORM 0.5 "it has a form to fill in"
        HTML_SCRIPT 0.3 "it has a program inside its HTML"
        HTML_REFRESH 1.5 "it sends its reader elsewhere by itself"
        TINY_IMAGE 0.05 "it has an image that nobody can see"
        IMAGE_ONLY 1.0 "it has images and hardly a word"
    }
    Text {
        EMPTY_BODY 0.5 "it says nothing"
        BITCOIN_ADDRESS 1.0 "it names an address of Bitcoin"
        UNWANTED_LANGUAGE 2.8 "it is in a language that is not wanted here"
        GTUBE 1000.0 "it holds the line that all filters have to take for unwanted mail"
    }
    Authentication {
        SPF_PASS -0.1 "its sending host may send for the envelope's domain"
        SPF_NONE 0.3 "the envelope's domain does not say who may send for it"
        SPF_NEUTRAL 0.3 "the envelope's domain says nothing about its sending host"
        SPF_SOFTFAIL 0.8 "its sending host should not send for the envelope's domain"
        SPF_FAIL 1.5 "its sending host may not send for the envelope's domain"
        SPF_ERROR 0.3 "what the envelope's domain says about sending hosts is wrong"
        DKIM_VALID -0.1 "a domain has signed it"
        DKIM_VALID_AU -0.2 "its author's domain has signed it"
        DKIM_INVALID 0.4 "its signature is broken"
        DKIM_NONE 0.2 "nobody has signed it"
        DMARC_PASS -0.3 "its author's domain is proven"
        DMARC_NONE 0.2 "its author's domain has no policy"
        DMARC_MISSED 1.0 "its author's domain is not proven"
        DMARC_QUARANTINE 2.5 "its author's domain is not proven, and wants such mail put aside"
        DMARC_REJECT 4.0 "its author's domain is not proven, and wants such mail refused"
        ARC_PASS -0.3 "somebody trusted has passed it on"
        ARC_INVALID 0.5 "the seals of who passed it on are broken"
        UNPROVEN 0.8 "nothing proves who sent it"
    }
    Connection {
        HELO_OURS 3.0 "its sending host called itself one of ours"
        HELO_ADDRESS 1.5 "its sending host called itself a bare number"
        HELO_OTHER_ADDRESS 2.0 "its sending host called itself by another one's number"
        HELO_NO_NAME 1.0 "its sending host called itself no full name"
        RDNS_NONE 1.2 "its sending host has no name"
        RDNS_MISMATCH 0.6 "its sending host's name does not lead back to it"
        RDNS_DYNAMIC 1.0 "its sending host has the name of a subscriber's line"
        EARLY_TALKER 2.5 "its sending host spoke before it was greeted"
        PIPELINED 1.0 "its sending host did not wait for answers"
        FORGED_OURS 3.0 "its envelope claims one of our domains without proof"
        NULL_SENDER_MANY 2.0 "it has no sender and several recipients"
        TRAP_TOLD 10.0 "it was also sent to an address that no person ever had"
        TRAP_SENDER 4.0 "its sending host has written to an address that no person ever had"
        TRAP_NETWORK 1.5 "its sending host's neighbours have written to an address that no person ever had"
    }
    Attachments {
        ATTACHED_PROGRAM 6.0 "a program is attached"
        ATTACHED_SCRIPT 5.0 "a script is attached"
        ATTACHED_SHORTCUT 5.0 "a shortcut is attached"
        ATTACHED_DISK 3.0 "an image of a disk is attached"
        ATTACHED_MACRO 1.5 "a document with macros is attached"
        ATTACHED_MACRO_AUTOEXEC 5.0 "a document is attached that runs by itself"
        ATTACHED_REMOTE_TEMPLATE 3.0 "a document is attached that loads another from elsewhere"
        ATTACHED_ACTIVE_PDF 2.0 "a PDF with programs is attached"
        ATTACHED_ACTIVE_PAGE 2.5 "a web page with programs is attached"
        ATTACHED_DISGUISED 3.0 "an attachment is not what its name says"
        ATTACHED_DOUBLE_NAME 3.0 "an attachment's name hides what it is"
        ARCHIVE_ENCRYPTED 1.0 "an attached archive is locked"
        ARCHIVE_BOMB 6.0 "an attached archive is made to burst"
        ARCHIVE_DEEP 2.0 "an attached archive holds archives in archives"
        ATTACHED_EICAR 100.0 "the file is attached that all scanners have to find"
        ATTACHED_KNOWN_BAD 100.0 "an attachment is known to be harmful"
    }
    History {
        REPUTATION_BAD 3.0 "mail from there was mostly unwanted"
        REPUTATION_GOOD -2.0 "mail from there was mostly wanted"
        KNOWN_CORRESPONDENT -4.0 "its recipient has written to its author"
        AUTHOR_TAUGHT 0.0 "its recipient has said what its author's mail is; how often sets the points"
        REPUTATION_CLIENT_BAD 1.0 "what its host brought was mostly unwanted"
        REPUTATION_CLIENT_GOOD -0.5 "what its host brought was mostly wanted"
        REPLY_TO_OURS -3.0 "it answers a message of ours, from where that was sent to"
        REPLY_UNPROVEN -0.5 "it says that it answers a message of ours"
        WELCOME_LIST -100.0 "its author is always welcome"
        BLOCK_LIST 100.0 "its author is never welcome"
    }
    Engines {
        SPAMD 0.0 "what SpamAssassin finds"
        RSPAMD 0.0 "what rspamd finds"
        CLAMD 100.0 "ClamAV finds something harmful"
    }
    Model {
        CONTENT_MODEL 0.0 "what the statistical models find; their probability sets the points"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_found_by_its_name() {
        for one in RULES {
            assert_eq!(rule(one.name), Some(one), "{}", one.name);
            assert_eq!(rule_name(one.name), one.name);
        }
        assert_eq!(rule("NO_SUCH_RULE"), None);
    }

    #[test]
    fn the_manual_has_all_rules() {
        const HEADING: &str = "\n## Built-in rules\n";
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/manual/spam-rules.md");
        let manual = std::fs::read_to_string(&path).unwrap();
        let (text, _) = manual.split_once(HEADING).unwrap();
        let wanted = format!("{text}{HEADING}{}", rule_table());
        if std::env::var_os("MAILSTEAD_BLESS").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let manual = std::fs::read_to_string(&path).unwrap();
        assert_eq!(manual, wanted, "MAILSTEAD_BLESS=1 cargo test -p spam manual writes it anew");
    }

    #[test]
    fn operators_have_the_last_word() {
        let mut catalogue = Catalogue::default();
        assert_eq!(catalogue.raise("SPF_FAIL", "").points(), 1.5);
        assert!(catalogue.set_points("SPF_FAIL", 0.7) && catalogue.set_points("MINE", 3.0));
        let hit = catalogue.raise("SPF_FAIL", "");
        assert_eq!(
            (hit.points(), hit.words()),
            (0.7, "its sending host may not send for the envelope's domain")
        );
        assert_eq!(catalogue.raise("mine", "own").points(), 3.0);
        assert_eq!(catalogue.raise("NOBODY_SAID", "own").points(), 0.0);
        assert_eq!(catalogue.raise_scored("DNSBL_ZEN", 4.0, "listed").points(), 4.0);
        assert_eq!(catalogue.raise_scored("MINE", 4.0, "listed").points(), 3.0);
    }

    #[test]
    fn points_that_can_be_set_are_bounded() {
        let mut catalogue = Catalogue::default();
        for index in 0..POINTS_SET_MAX {
            assert!(catalogue.set_points(&format!("R{index}"), 1.0));
        }
        assert!(!catalogue.set_points("ONE_MORE", 1.0));
        assert!(catalogue.set_points("R0", 2.0));
    }

    #[test]
    fn the_models_tell_their_strongest_reasons() {
        let signal = |weight: f32, text: &str| Signal { weight, text: text.to_owned() };
        let signals = [
            signal(3.0, "one"),
            signal(-2.0, "against"),
            signal(2.0, "two"),
            signal(1.0, "three"),
            signal(0.5, "four"),
        ];
        for (given, words) in [
            (3, "its content looks unwanted with 88.1 %: one, two"),
            (4, "its content looks unwanted with 88.1 %: one, two, three"),
            (5, "its content looks unwanted with 88.1 %: one, two, three"),
        ] {
            assert_eq!(Catalogue::default().model(Judgement::new(2.0), &signals[..given]).words(), words);
        }
    }

    #[test]
    fn the_model_alone_can_decide_and_keeps_its_order() {
        let points = |log_odds| Catalogue::default().model(Judgement::new(log_odds), &[]).points();
        assert!(points(15.0) > 10.0 && points(4.9) > 6.31 && points(1.6) > 2.0 && points(1.5) < 2.0);
        let all: Vec<f32> = (-30..=30).map(|half| points(half as f32 / 2.0)).collect();
        assert!(all.windows(2).all(|two| two[0] < two[1]), "{all:?}");
    }
}
