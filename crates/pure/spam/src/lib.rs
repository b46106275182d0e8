//! Tells unwanted mail from wanted by its content: features of a message, a shared model that learns as it goes, a small model
//! of each account's own taste, and reasons in plain words. No files and no clock: models are octets, days are numbers.

mod body;
mod catalogue;
mod collector;
mod domains;
mod extract;
mod facts;
mod header;
mod hit;
mod judgement;
mod learn;
mod letter;
mod link;
mod markup;
mod model;
mod octets;
mod packed;
mod page;
mod personal;
mod repeat;
mod rule_file;
mod rules;
mod signs;
mod train;
mod verdict;
mod verdict_fields;
mod weigh;
mod words;

pub use catalogue::{Catalogue, Family, MODEL_RULE, POINTS_SET_MAX, RULES, Rule, rule, rule_table};
pub use collector::{FEATURES_MAX, Features};
pub use domains::registrable;
pub use extract::{MESSAGE_OCTETS_MAX, features};
pub use facts::{Facts, OWN_DOMAINS_MAX, OWN_NAMES_MAX, Ours};
pub use hit::{HIT_NAME_OCTETS_MAX, HIT_WORDS_OCTETS_MAX, Hit, POINTS_MAX};
pub use judgement::{Judgement, REASONS_MAX, Signal};
pub use link::{LINKS_MAX, URIS_MAX, uris};
pub use model::{Class, MODEL_OCTETS, Model, ModelError};
pub use octets::{Octets, OctetsMut};
pub use packed::{PACKED_OCTETS_MAX, pack, starter, unpack};
pub use personal::{ACCOUNT_DAY_MAX, LESSON_MIN, PERSONAL_OCTETS_MAX, Personal, SHARED_DAY_MAX, Taught};
pub use rule_file::{
    COMPILED_OCTETS_MAX, FILE_RULES_MAX, INCLUDE_DEPTH_MAX, RULE_LINE_OCTETS_MAX, RuleFiles, RuleReader,
    SKIPPED_MAX, Skipped,
};
pub use rules::{Language, language};
pub use train::{portable, train};
pub use verdict::{Grade, HITS_MAX, Thresholds, Verdict, reaches};
pub use verdict_fields::{HITS_TOLD_MAX, REASONS_TOLD_MAX, ToldVerdict, is_verdict_field};
pub use weigh::weigh;
