//! `spam hashes …`: lists of known content, by whose digests attachments are refused.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use attachments::{HashList, HashListBuilder, Lookup};
use platform::durable::{self, Readable};
use serde_json::json;

use super::print::columns;
use crate::known::{self, Lines};
use crate::settings::Settings;

/// Octets of a file that are read at once.
const PIECE_OCTETS: usize = 64 * 1024;

#[derive(clap::Subcommand, Debug)]
pub(super) enum Verb {
    /// Make one list of many, in the form that a server asks without holding it in memory: of lines as sha256sum prints
    /// them, and of ClamAV's .hdb and .hsb.
    #[command(
        after_help = "Examples:\n  mailstead spam hashes build /etc/mailstead/known.list bad.sha256 main.hdb main.hsb\n  kill -HUP $(pidof mailstead)\n\nThe new list is whole when it takes the place of the old one; a server takes it up by a reload."
    )]
    Build {
        /// Where the list is written.
        out: PathBuf,
        /// Text lists.
        #[arg(required = true)]
        lists: Vec<PathBuf>,
    },
    /// Say whether files are on a list. What is inside an archive is not looked at.
    #[command(
        after_help = "Examples:\n  mailstead spam hashes check invoice.exe\n  mailstead spam hashes check --list known.list *.bin\n\nExit status 1 where one of them is."
    )]
    Check {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Ask this list, in place of those of the configuration.
        #[arg(long = "list", value_name = "LIST")]
        lists: Vec<PathBuf>,
    },
    /// Say how many digests lists have; without any, those of the configuration.
    #[command(after_help = "Example: mailstead spam hashes show known.list")]
    Show { lists: Vec<PathBuf> },
}

pub(super) fn run(verb: Verb, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Build { out, lists } => build(&out, &lists, json),
        Verb::Check { files, lists } => check(&files, lists, config, json),
        Verb::Show { lists } => show(lists, config, json),
    }
}

fn build(out: &Path, texts: &[PathBuf], json: bool) -> anyhow::Result<ExitCode> {
    let mut builder = HashListBuilder::new();
    let mut all = Vec::new();
    for text in texts {
        all.push((text, known::take_text(&mut builder, text)?));
    }
    let octets = builder.build();
    let [md5, sha1, sha256] = HashList::open(octets.as_slice().to_vec())?.rows_by_digest();
    ensure!(md5 + sha1 + sha256 > 0, "no line is a digest");
    durable::write(out, &octets, Readable::All).with_context(|| format!("writing {}", out.display()))?;
    if json {
        let texts: Vec<_> = all
            .iter()
            .map(|(text, lines)| {
                json!({"file": text, "lines": lines.all, "skipped": lines.skipped, "skipped_count": lines.skipped_count})
            })
            .collect();
        let built = json!({"file": out, "octets": octets.len(), "md5": md5, "sha1": sha1, "sha256": sha256, "lists": texts});
        println!("{built:#}");
        return Ok(ExitCode::SUCCESS);
    }
    for (text, lines) in &all {
        tell_skipped(text, lines);
    }
    println!(
        "{}: {} digests ({md5} MD5, {sha1} SHA-1, {sha256} SHA-256) in {}",
        out.display(),
        md5 + sha1 + sha256,
        super::print::amount(octets.len() as u64)
    );
    Ok(ExitCode::SUCCESS)
}

fn tell_skipped(text: &Path, lines: &Lines) {
    for line in &lines.skipped {
        eprintln!("{}:{line}: no digest, with or without a length and a name", text.display());
    }
    let more = lines.skipped_count - lines.skipped.len() as u64;
    if more > 0 {
        eprintln!("{}: {more} lines more are none", text.display());
    }
}

/// Those that were named, or those of the configuration.
fn lists_of(named: Vec<PathBuf>, config: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !named.is_empty() {
        return Ok(named);
    }
    let configured = Settings::load(config)?.list("attachments.hash_lists");
    ensure!(!configured.is_empty(), "attachments.hash_lists names no list");
    Ok(configured.into_iter().map(PathBuf::from).collect())
}

fn check(files: &[PathBuf], lists: Vec<PathBuf>, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let lists = lists_of(lists, config)?;
    let lists = lists.iter().map(|list| Ok(known::open(list)?.0)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut checked = Vec::new();
    for file in files {
        checked.push((file, look_up(file, &lists).with_context(|| file.display().to_string())?));
    }
    if json {
        let told: Vec<_> = checked
            .iter()
            .map(|(file, name)| json!({"file": file, "listed": name.is_some(), "name": name}))
            .collect();
        println!("{:#}", serde_json::Value::from(told));
    } else {
        for (file, name) in &checked {
            let told = match name.as_deref() {
                None => "not listed".to_owned(),
                Some("") => "listed".to_owned(),
                Some(name) => format!("listed as {name}"),
            };
            println!("{}: {told}", file.display());
        }
    }
    let is_any_listed = checked.iter().any(|(_, name)| name.is_some());
    Ok(if is_any_listed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn look_up(file: &Path, lists: &[HashList]) -> anyhow::Result<Option<String>> {
    let mut file = File::open(file)?;
    let mut lookup = Lookup::new(lists);
    let mut piece = vec![0; PIECE_OCTETS];
    loop {
        let octets = file.read(&mut piece)?;
        if octets == 0 {
            return Ok(lookup.finish());
        }
        lookup.feed(piece.get(..octets).unwrap_or_default());
    }
}

fn show(lists: Vec<PathBuf>, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let mut shown = Vec::new();
    for list in lists_of(lists, config)? {
        let (opened, lines) = known::open(&list)?;
        shown.push((list, opened.rows_by_digest(), lines));
    }
    if json {
        let told: Vec<_> = shown
            .iter()
            .map(|(list, [md5, sha1, sha256], lines)| {
                let skipped = lines.skipped_count;
                json!({"file": list, "is_built": lines.all == 0, "md5": md5, "sha1": sha1, "sha256": sha256, "skipped_count": skipped})
            })
            .collect();
        println!("{:#}", serde_json::Value::from(told));
        return Ok(ExitCode::SUCCESS);
    }
    for (list, _, lines) in &shown {
        tell_skipped(list, lines);
    }
    columns(
        ["LIST", "MD5", "SHA-1", "SHA-256"],
        shown.iter().map(|(list, [md5, sha1, sha256], _)| {
            [list.display().to_string(), md5.to_string(), sha1.to_string(), sha256.to_string()]
        }),
    );
    Ok(ExitCode::SUCCESS)
}
