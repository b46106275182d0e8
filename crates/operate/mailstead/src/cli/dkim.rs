//! `dkim …`: the keys with which our domains sign their mail.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use dns::{Name, Resolver};
use platform::clock::Clock;
use platform::metrics::Metrics;

use crate::admin::{self, Answer, DkimChange, DkimLine, Hidden, Request};
use crate::keys::KeyKind;
use crate::settings::Settings;
use crate::wire::dns_settings;

/// Longest file that is looked at for a key.
const KEY_FILE_OCTETS_MAX: u64 = 64 * 1024;

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Make keys for a domain, and show the TXT records to publish. They sign at once unless told to wait.
    #[command(
        after_help = "Examples:\n  mailstead dkim generate example.org\n  mailstead dkim generate example.org --selector mail --algorithm rsa --wait"
    )]
    Generate {
        domain: String,
        /// The selector; with both algorithms a letter is added. By itself: the day and the algorithm's letter.
        #[arg(long)]
        selector: Option<String>,
        /// What kind of key.
        #[arg(long, value_enum, default_value_t = Algorithms::Both)]
        algorithm: Algorithms,
        /// Sign only when the record is seen in DNS; the running server looks for it.
        #[arg(long)]
        wait: bool,
    },
    /// List keys with their states and TXT records.
    #[command(after_help = "Example: mailstead dkim list --check")]
    List {
        domain: Option<String>,
        /// Ask DNS whether the world has each record; exit status 1 when one that signs is missing.
        #[arg(long)]
        check: bool,
    },
    /// Make new keys that wait until their records are seen, then sign instead of the old ones.
    #[command(after_help = "Example: mailstead dkim rotate example.org")]
    Rotate {
        /// All domains that have keys, without it.
        domain: Option<String>,
    },
    /// Take up a key made by OpenDKIM, rspamd or OpenSSL, under its selector.
    #[command(
        after_help = "Example: mailstead dkim import example.org mail /etc/opendkim/keys/example.org/mail.private"
    )]
    Import {
        domain: String,
        selector: String,
        /// A private key: PEM, or an Ed25519 seed in base64; - for standard input.
        file: PathBuf,
        /// Sign only when the record is seen in DNS.
        #[arg(long)]
        wait: bool,
    },
    /// Let a key sign from now on; others of its algorithm retire.
    #[command(after_help = "Example: mailstead dkim activate example.org 20261126r")]
    Activate { domain: String, selector: String },
    /// Let a key sign no more.
    #[command(after_help = "Example: mailstead dkim retire example.org 20261126r")]
    Retire { domain: String, selector: String },
    /// Forget a key.
    #[command(after_help = "Example: mailstead dkim remove example.org 20261126r")]
    Remove { domain: String, selector: String },
}

/// Which keys are made.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(super) enum Algorithms {
    /// RSA of 2048 bits.
    Rsa,
    /// Ed25519.
    Ed25519,
    /// One of each, side by side.
    Both,
}

impl Algorithms {
    fn kinds(self) -> Vec<KeyKind> {
        match self {
            Self::Rsa => vec![KeyKind::Rsa],
            Self::Ed25519 => vec![KeyKind::Ed25519],
            Self::Both => KeyKind::BOTH.to_vec(),
        }
    }
}

pub(super) fn run(verb: Verb, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let does_check = matches!(verb, Verb::List { check: true, .. });
    let answer = admin::ask(config, verb.into_request()?)?;
    match answer {
        Answer::DkimKeys { mut keys } if does_check => {
            ask_the_world(config, &mut keys)?;
            let is_missing = keys.iter().any(|key| key.state == "signing" && key.is_published == Some(false));
            super::print::answer(&Answer::DkimKeys { keys }, json)?;
            Ok(if is_missing { ExitCode::from(super::FAILED) } else { ExitCode::SUCCESS })
        }
        answer => super::print::answer(&answer, json),
    }
}

impl Verb {
    fn into_request(self) -> anyhow::Result<Request> {
        let change = |domain, selector, change| Request::DkimChange { domain, selector, change };
        Ok(match self {
            Self::Generate { domain, selector, algorithm, wait } => Request::DkimGenerate {
                domain: Some(domain),
                selector,
                kinds: algorithm.kinds(),
                waits: wait,
            },
            Self::List { domain, .. } => Request::DkimList { domain },
            Self::Rotate { domain } => Request::DkimRotate { domain },
            Self::Import { domain, selector, file, wait } => {
                Request::DkimImport { domain, selector, key: read_key(&file)?, waits: wait }
            }
            Self::Activate { domain, selector } => change(domain, selector, DkimChange::Activate),
            Self::Retire { domain, selector } => change(domain, selector, DkimChange::Retire),
            Self::Remove { domain, selector } => change(domain, selector, DkimChange::Remove),
        })
    }
}

fn read_key(file: &Path) -> anyhow::Result<Hidden> {
    let place = || format!("reading the key {}", file.display());
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().take(KEY_FILE_OCTETS_MAX).read_to_string(&mut text),
        false => {
            let file = std::fs::File::open(file).with_context(place)?;
            file.take(KEY_FILE_OCTETS_MAX).read_to_string(&mut text)
        }
    };
    read.with_context(place)?;
    Ok(Hidden(text))
}

/// Asks DNS for each key's record, as this server sees the world.
fn ask_the_world(config: &Path, keys: &mut [DkimLine]) -> anyhow::Result<()> {
    let settings = dns_settings(&Settings::load(config)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let resolver = Resolver::new(&settings, Clock::system(), &Metrics::new())?;
        for key in keys {
            let texts = resolver.txt(&Name::parse(&key.name)?).await;
            let wanted = without_blanks(key.record.as_bytes());
            key.is_published = Some(
                texts.is_ok_and(|texts| texts.records.iter().any(|text| without_blanks(text) == wanted)),
            );
        }
        Ok(())
    })
}

fn without_blanks(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect()
}
