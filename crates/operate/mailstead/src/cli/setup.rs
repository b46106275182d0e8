//! `setup …`: docker-mailserver's own words, for people and scripts that come from there.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use super::account::{PasswordSource, read_quota};
use crate::admin::{self, Request};
use crate::keys::KeyKind;

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Accounts, in docker-mailserver's words.
    #[command(subcommand)]
    Email(Email),
    /// Aliases, in docker-mailserver's words.
    #[command(subcommand)]
    Alias(Alias),
    /// Quotas, in docker-mailserver's words.
    #[command(subcommand)]
    Quota(Quota),
    /// Keys, in docker-mailserver's words.
    #[command(subcommand)]
    Config(Config),
}

#[derive(Subcommand, Debug)]
pub(super) enum Config {
    /// Make DKIM keys: for the domains named, or for all that have none.
    #[command(after_help = "Example: mailstead setup config dkim domain example.org selector mail")]
    Dkim {
        /// `keytype rsa|ed25519`, `keysize 2048`, `selector NAME`, `domain A,B`, each a word and its value.
        words: Vec<String>,
    },
}

#[derive(Subcommand, Debug)]
pub(super) enum Email {
    /// Make an account; the password is asked for when it is not given.
    #[command(after_help = "Example: mailstead setup email add ann@example.org")]
    Add { address: String, password: Option<String> },
    /// Set an account's password.
    #[command(after_help = "Example: mailstead setup email update ann@example.org")]
    Update { address: String, password: Option<String> },
    /// Remove accounts, with their mail (-y) or without (-n).
    #[command(after_help = "Example: mailstead setup email del -y ann@example.org")]
    Del {
        /// Remove the mail too.
        #[arg(short = 'y', conflicts_with = "keep")]
        remove: bool,
        /// Keep the mail.
        #[arg(short = 'n')]
        keep: bool,
        #[arg(required = true)]
        addresses: Vec<String>,
    },
    /// List accounts with quota, use and aliases.
    #[command(after_help = "Example: mailstead setup email list")]
    List,
}

#[derive(Subcommand, Debug)]
pub(super) enum Alias {
    /// Let an address lead to another.
    #[command(after_help = "Example: mailstead setup alias add info@example.org ann@example.org")]
    Add { alias: String, recipient: String },
    /// No longer let an address lead to another.
    #[command(after_help = "Example: mailstead setup alias del info@example.org ann@example.org")]
    Del { alias: String, recipient: String },
    /// List aliases.
    #[command(after_help = "Example: mailstead setup alias list")]
    List,
}

#[derive(Subcommand, Debug)]
pub(super) enum Quota {
    /// Set an account's quota (k, M, G, T; 0: unlimited).
    #[command(after_help = "Example: mailstead setup quota set ann@example.org 5G")]
    Set { address: String, quota: String },
    /// Lift an account's quota.
    #[command(after_help = "Example: mailstead setup quota del ann@example.org")]
    Del { address: String },
}

pub(super) fn run(verb: Verb, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    for request in requests(verb)? {
        let status = super::print::answer(&admin::ask(config, request)?, json)?;
        if status != ExitCode::SUCCESS {
            return Ok(status);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn requests(verb: Verb) -> anyhow::Result<Vec<Request>> {
    let password = |given| PasswordSource::given(given).read();
    Ok(match verb {
        Verb::Email(Email::Add { address, password: given }) => {
            vec![Request::AccountAdd { address, password: password(given)?, quota: None }]
        }
        Verb::Email(Email::Update { address, password: given }) => {
            vec![Request::AccountPassword { address, password: password(given)? }]
        }
        Verb::Email(Email::Del { remove, keep, addresses }) => {
            anyhow::ensure!(remove || keep, "say what becomes of the mail: -y removes it, -n keeps it");
            let remove = |address| Request::AccountRemove { address, keep_mail: keep };
            addresses.into_iter().map(remove).collect()
        }
        Verb::Email(Email::List) => vec![Request::AccountList],
        Verb::Alias(Alias::Add { alias, recipient }) => {
            // docker-mailserver takes several recipients parted by commas.
            vec![Request::AliasAdd { alias, targets: recipient.split(',').map(str::to_owned).collect() }]
        }
        Verb::Alias(Alias::Del { alias, recipient }) => {
            vec![Request::AliasRemove { alias, targets: recipient.split(',').map(str::to_owned).collect() }]
        }
        Verb::Alias(Alias::List) => vec![Request::AliasList { of: None }],
        Verb::Quota(Quota::Set { address, quota }) => {
            vec![Request::AccountQuota { address, quota: read_quota(&quota)? }]
        }
        Verb::Config(Config::Dkim { words }) => dkim(&words)?,
        Verb::Quota(Quota::Del { address }) => vec![Request::AccountQuota { address, quota: None }],
    })
}

/// `setup config dkim` takes words in pairs.
fn dkim(words: &[String]) -> anyhow::Result<Vec<Request>> {
    let (mut selector, mut domains, mut kinds) = (None, Vec::new(), KeyKind::BOTH.to_vec());
    for pair in words.chunks(2) {
        match pair {
            [word, value] if word == "selector" => selector = Some(value.clone()),
            [word, value] if word == "domain" => domains.extend(value.split(',').map(str::to_owned)),
            [word, value] if word == "keytype" && value == "rsa" => kinds = vec![KeyKind::Rsa],
            [word, value] if word == "keytype" && value == "ed25519" => kinds = vec![KeyKind::Ed25519],
            [word, value] if word == "keysize" => {
                anyhow::ensure!(value == "2048", "RSA keys have 2048 bits here; leave keysize out");
            }
            _ => anyhow::bail!(
                "{} is not understood: keytype, keysize, selector and domain are, each with a value",
                pair.join(" ")
            ),
        }
    }
    let generate = |domain| Request::DkimGenerate {
        domain,
        selector: selector.clone(),
        kinds: kinds.clone(),
        waits: false,
    };
    if domains.is_empty() {
        return Ok(vec![generate(None)]);
    }
    Ok(domains.into_iter().map(Some).map(generate).collect())
}
