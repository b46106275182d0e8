//! `spam …`: the content filter.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use spam::MESSAGE_OCTETS_MAX;

use super::print::columns;
use super::{letters, spam_check, spam_hashes, spam_train};
use crate::admin::{self, Answer, Request, SpamLearned, SpamReplay, SpamReplayed, SpamRequest, SpamStatus};
use crate::settings::read_seconds;

#[derive(clap::Subcommand, Debug)]
pub(super) enum Verb {
    /// Say what would be thought of messages: score, rules with their points, and what would be done.
    #[command(
        after_help = "Examples:\n  mailstead spam check message.eml\n  mailstead spam check --for ann@example.org message.eml\n  mailstead spam check --json *.eml | jq '.[] | select(.score > 5) | .file'"
    )]
    Check(spam_check::Check),
    /// Say why a message went where it went: by the record, or by its header and what is thought of it today.
    #[command(
        after_help = "Examples:\n  mailstead spam explain '<1234@example.com>'\n  mailstead spam explain 00000a1b2c3d4e5f\n  mailstead spam explain message.eml"
    )]
    Explain(spam_check::Explain),
    /// Say what the filter, or another threshold, would have done with mail that is there, against where people keep it.
    #[command(
        after_help = "Examples:\n  mailstead spam replay --last 90d\n  mailstead spam replay ann@example.org --last 30d --tag2 5.0"
    )]
    Replay {
        /// Whose mail; everybody's, if nobody is named.
        addresses: Vec<String>,
        /// How far back: `90d`, `12h`.
        #[arg(long, default_value = "30d")]
        last: String,
        /// The threshold of spam to try, in place of the one in the settings.
        #[arg(long)]
        tag2: Option<f32>,
        /// Rules in SpamAssassin's form to try in place of those in the settings: a file or a directory on the server.
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
        /// Look at so many messages at most.
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        most: u32,
    },
    /// Teach what messages are: files, directories of them, or `-`; or an account's whole mailbox.
    #[command(
        after_help = "Examples:\n  mailstead spam learn --spam ~/spam/ message.eml\n  mailstead spam learn --ham --for ann@example.org message.eml\n  mailstead spam learn --spam --mailbox ann@example.org Junk"
    )]
    Learn(Learn),
    /// Show what an account wants of the filter, or change it: `tag2=5`, `at_kill=reject`, `allow=a@b.example`, `check=off`;
    /// `tag2=` takes a change back.
    #[command(
        after_help = "Examples:\n  mailstead spam settings ann@example.org\n  mailstead spam settings ann@example.org tag2=5 at_kill=quarantine\n  mailstead spam settings ann@example.org --reset"
    )]
    Settings {
        address: String,
        changes: Vec<String>,
        /// Take all earlier changes back first.
        #[arg(long)]
        reset: bool,
    },
    /// Say what the filter has learned, and its thresholds.
    #[command(after_help = "Example: mailstead spam status --json")]
    Status,
    /// Forget what an account has taught; without one, start the shared model anew, or go back to that of yesterday.
    #[command(
        after_help = "Examples:\n  mailstead spam forget ann@example.org\n  mailstead spam forget --shared --yesterday"
    )]
    Forget {
        #[arg(required_unless_present = "shared")]
        address: Option<String>,
        /// What all have taught together.
        #[arg(long, conflicts_with = "address")]
        shared: bool,
        /// Back to what it was before today.
        #[arg(long, requires = "shared")]
        yesterday: bool,
    },
    /// Build and ask lists of files that are refused whatever they are called (`attachments.hash_lists`).
    Hashes {
        #[command(subcommand)]
        verb: spam_hashes::Verb,
    },
    /// Make the model for the first day from directories of sorted mail, named after ham or spam.
    #[command(after_help = "Example: mailstead spam train-starter corpus crates/pure/spam/starter.model")]
    TrainStarter {
        /// The directory that holds them.
        directory: PathBuf,
        /// Where the model is written.
        out: PathBuf,
    },
}

#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("class").required(true))]
pub(super) struct Learn {
    /// They are unwanted.
    #[arg(long, group = "class")]
    spam: bool,
    /// They are wanted.
    #[arg(long, group = "class")]
    ham: bool,
    /// On the word of this account: its own model learns, and the shared one a little.
    #[arg(long = "for", value_name = "ADDR", conflicts_with = "mailbox")]
    address: Option<String>,
    /// All messages of a mailbox, on its owner's word.
    #[arg(long, num_args = 2, value_names = ["ADDR", "MAILBOX"], conflicts_with = "files")]
    mailbox: Vec<String>,
    /// Files with one message each, directories of such, or `-` for one on standard input.
    #[arg(required_unless_present = "mailbox")]
    files: Vec<PathBuf>,
}

pub(super) fn run(verb: Verb, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let asked = match verb {
        Verb::Check(asked) => return spam_check::check(&asked, config, json),
        Verb::Explain(asked) => return spam_check::explain(&asked, config, json),
        Verb::Hashes { verb } => return spam_hashes::run(verb, config, json),
        Verb::TrainStarter { directory, out } => return spam_train::train_starter(&directory, &out),
        Verb::Learn(asked) => return learn(asked, config, json),
        Verb::Replay { addresses, last, tag2, rules, most } => SpamRequest::Replay(SpamReplay {
            addresses,
            since_seconds: read_seconds(&last).with_context(|| format!("{last} is no time"))?,
            tag2,
            rules: rules.map(std::path::absolute).transpose()?,
            most: usize::try_from(most).unwrap_or(usize::MAX),
        }),
        Verb::Settings { address, changes, reset } => SpamRequest::Settings { address, changes, reset },
        Verb::Status => SpamRequest::Status,
        Verb::Forget { address, yesterday, .. } => SpamRequest::Forget { address, to_yesterday: yesterday },
    };
    super::print::answer(&admin::ask(config, Request::Spam { asked })?, json)
}

fn learn(asked: Learn, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let Learn { spam: is_unwanted, address, mailbox, files, .. } = asked;
    if let [address, mailbox] = mailbox.as_slice() {
        let (address, mailbox) = (address.clone(), mailbox.clone());
        let asked = SpamRequest::LearnMailbox { address, mailbox, is_unwanted };
        return super::print::answer(&admin::ask(config, Request::Spam { asked })?, json);
    }
    let files = letters::files(&files)?;
    let mut all = SpamLearned::default();
    admin::with_holder(config, |holder| {
        letters::in_batches(&files, MESSAGE_OCTETS_MAX, |batch| {
            let messages = batch.into_iter().map(|letter| admin::script_for(&letter.octets)).collect();
            let asked = SpamRequest::Learn { address: address.clone(), is_unwanted, messages };
            match holder.ask(&Request::Spam { asked })? {
                Answer::SpamLearned { learned } => all += learned,
                Answer::Failed { why } => bail!("{why}; {} messages before were learned", all.new),
                _ => bail!("the server answers something else than was asked"),
            }
            Ok(())
        })
    })?;
    super::print::answer(&Answer::SpamLearned { learned: all }, json)
}

pub(super) fn print_learned(learned: &SpamLearned) {
    print!("{} of {} messages are new and learned", learned.new, learned.given);
    match learned.own_alone {
        0 => println!(),
        some => println!("; {some} of them by the account's own model alone, for today"),
    }
}

pub(super) fn print_status(status: &SpamStatus) {
    println!(
        "{}; the shared model has learned {} wanted and {} unwanted messages",
        if status.is_on { "mail is judged by its content" } else { "mail is not judged by its content" },
        status.wanted,
        status.unwanted
    );
    println!("told from {:.2}, spam from {:.2}, hopeless from {:.2}", status.tag, status.tag2, status.kill);
}

pub(super) fn print_replay(replayed: &SpamReplayed) {
    println!("{} messages", replayed.messages);
    for (action, count) in &replayed.counts {
        println!("  {action}: {count}");
    }
    println!(
        "{} would be spam and are kept with the mail, {} lie in junk and would pass",
        replayed.false_positives, replayed.missed
    );
    if !replayed.changes.is_empty() {
        println!();
        columns(
            ["ACCOUNT", "MAILBOX", "UID", "SCORE", "WOULD", "FROM", "SUBJECT"],
            replayed.changes.iter().map(|change| {
                [
                    change.address.clone(),
                    change.mailbox.clone(),
                    change.uid.to_string(),
                    format!("{:.2}", change.score),
                    change.action.clone(),
                    spam_check::shown(&change.from),
                    spam_check::shown(&change.subject),
                ]
            }),
        );
    }
    if replayed.is_cut {
        println!("there is more");
    }
}
