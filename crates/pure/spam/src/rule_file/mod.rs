//! Rule files in the form of SpamAssassin's: what people have written for their own mail goes on working. Patterns run in linear time;
//! what cannot be judged here is told with its place, and no rule that builds on it guesses.

mod compile;
mod condition;
mod draft;
mod expression;
mod octets;
mod pattern;
mod read;
mod run;
mod sources;
mod tags;

pub use compile::{COMPILED_OCTETS_MAX, RuleFiles};
pub use read::{FILE_RULES_MAX, INCLUDE_DEPTH_MAX, RULE_LINE_OCTETS_MAX, RuleReader, SKIPPED_MAX, Skipped};
