//! `dns records`, `dns zone`: the DNS records that our domains and this server need.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use dns::{Name, RecordData};
use mail_types::DomainName;
use provision::{Domain, Importance, Keeper, Site, Wanted, text_strings, zone_file};
use serde_json::{Value, json};

use crate::admin::{self, Answer, MissedListener, Request};
use crate::settings::Settings;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  mailstead dns records\n  mailstead dns records example.org --json | jq -r '.[] | select(.importance == \"needed\") | .name'"
)]
pub(super) struct Arguments {
    /// One domain of ours; all without it.
    domain: Option<DomainName>,
}

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: mailstead dns zone example.org > mail.example.org.zone\n\nRecords that belong into another zone, and those to ask your provider for, stand there as comments."
)]
pub(super) struct ZoneArguments {
    /// One domain of ours; all without it.
    domain: Option<DomainName>,
}

pub(super) fn run(arguments: &Arguments, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let site = site_of(config)?;
    let mut records = site.host_records()?;
    for domain in chosen(&site, arguments.domain.as_ref())? {
        records.extend(site.domain_records(domain)?);
    }
    if json {
        println!("{:#}", data(&records));
    } else {
        print!("{}", listed(&records));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn zone(arguments: &ZoneArguments, config: &Path) -> anyhow::Result<ExitCode> {
    let site = site_of(config)?;
    for domain in chosen(&site, arguments.domain.as_ref())? {
        let mut records = site.domain_records(domain)?;
        records.extend(site.host_records()?);
        print!("{}", zone_file(&Name::parse(domain.name.as_str())?, &records));
    }
    Ok(ExitCode::SUCCESS)
}

/// The server and its domains, as the settings and the directory have them.
pub(super) fn site_of(config: &Path) -> anyhow::Result<Site> {
    Ok(site_and_missed(config)?.0)
}

/// The same, and what the server goes without.
pub(super) fn site_and_missed(config: &Path) -> anyhow::Result<(Site, Vec<MissedListener>)> {
    let settings = Settings::load(config)?;
    match admin::ask(config, Request::PublishedKeys)? {
        Answer::PublishedKeys { domains, missed } => {
            Ok((crate::wire::site(&settings, &domains, &missed)?, missed))
        }
        Answer::Failed { why } => bail!(why),
        other => bail!("an answer to another question: {other:?}"),
    }
}

/// The domain that was named, or all.
pub(super) fn chosen<'a>(site: &'a Site, named: Option<&DomainName>) -> anyhow::Result<Vec<&'a Domain>> {
    let Some(named) = named else { return Ok(site.domains.iter().collect()) };
    let found = site.domains.iter().find(|domain| domain.name == *named);
    Ok(vec![found.with_context(|| {
        format!("{named} is no domain of this server; `mailstead domain list` shows them all")
    })?])
}

/// What stands in place of an address that is not known here.
const UNKNOWN_ADDRESS: &str = "the server's address";

/// Records for people, each with its why.
pub(super) fn listed(records: &[Wanted]) -> String {
    let mut text = String::new();
    for wanted in records {
        let (name, kind) = (format!("{}.", wanted.name), wanted.purpose.kind().as_str());
        for value in shown(wanted) {
            let _ = writeln!(text, "  {name:<34} {kind:<6} {value}");
        }
        let _ = writeln!(text, "  {:<34} # {}", "", wanted.why());
    }
    text
}

fn shown(wanted: &Wanted) -> Vec<String> {
    let show = |value: &RecordData| match value {
        RecordData::Text(octets) => text_strings(octets),
        other => other.to_string(),
    };
    match wanted.values.as_slice() {
        [] => vec![UNKNOWN_ADDRESS.to_owned()],
        values => values.iter().map(show).collect(),
    }
}

/// Records for machines, one for each value; a text is not split, an address that is not known is null.
pub(super) fn data(records: &[Wanted]) -> Value {
    let value = |value: &RecordData| match value {
        RecordData::Text(octets) => Value::from(String::from_utf8_lossy(octets)),
        other => Value::from(other.to_string()),
    };
    let all = records.iter().flat_map(|wanted| {
        let values: Vec<Value> = match wanted.values.as_slice() {
            [] => vec![Value::Null],
            values => values.iter().map(value).collect(),
        };
        values.into_iter().map(|value| {
            json!({
                "name": wanted.name.as_str(),
                "type": wanted.purpose.kind().as_str(),
                "value": value,
                "why": wanted.why(),
                "importance": match wanted.purpose.importance() {
                    Importance::Needed => "needed",
                    Importance::Useful => "useful",
                },
                "kept_by": match wanted.purpose.keeper() {
                    Keeper::Zone => "zone",
                    Keeper::AddressProvider => "address provider",
                },
            })
        })
    });
    all.collect()
}
