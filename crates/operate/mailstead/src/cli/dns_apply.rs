//! `dns apply`: writes what is missing into the zones, after it has shown what that is.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use dns::{RecordChange, RecordData, UpdateKey, Updater};
use mail_types::DomainName;
use platform::clock::Clock;
use provision::{Checker, Plan, ZoneChanges, text_strings};
use serde_json::{Value, json};

use super::dns_records::{chosen, site_of};
use crate::settings::Settings;
use crate::wire;

/// Octets of the largest file of a key or of credentials that is read.
const KEY_FILE_OCTETS_MAX: u64 = 16 * 1024;
/// The port of DNS (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  mailstead dns apply\n  mailstead dns apply example.org --server 192.0.2.53 --key-file /etc/mailstead/dns.key --yes\n\nChanges only records that `dns check` calls wrong or missing; other records at the same names stay.\nThe key file is what `tsig-keygen NAME` writes, key \"NAME\" { algorithm hmac-sha256; secret \"…\"; }; or one line hmac-sha256:NAME:SECRET."
)]
pub(super) struct Arguments {
    /// One domain of ours; all without it.
    domain: Option<DomainName>,
    /// The zones' primary server, which takes updates (RFC 2136): an IP address, or one with a port.
    #[arg(long, value_name = "ADDR", value_parser = server_address, requires = "key_file")]
    server: Option<SocketAddr>,
    /// The file with the key that the server knows (TSIG).
    #[arg(long, value_name = "FILE", requires = "server")]
    key_file: Option<PathBuf>,
    /// Who keeps the zones, where it is no server that takes updates: cloudflare, desec, hetzner, ovh, powerdns, route53 …
    #[cfg(feature = "dns-providers")]
    #[arg(long, value_name = "NAME", requires = "credentials", conflicts_with = "server")]
    provider: Option<String>,
    /// The file with what the provider knows us by: lines such as token = "…".
    #[cfg(feature = "dns-providers")]
    #[arg(long, value_name = "FILE", requires = "provider")]
    credentials: Option<PathBuf>,
    /// Only show what would change (the default).
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Change it.
    #[arg(long)]
    yes: bool,
}

/// Who changes zones for us.
enum Writer {
    Server(Updater),
    #[cfg(feature = "dns-providers")]
    Provider(provision::Provider),
}

pub(super) fn run(arguments: &Arguments, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(config)?;
    let writer = arguments.writer(&settings)?;
    anyhow::ensure!(writer.is_some() || !arguments.yes, "say who is to change the zones: {}", WRITERS);
    let site = site_of(config)?;
    let probes = wire::probes(&settings)?;
    let chosen = chosen(&site, arguments.domain.as_ref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let plan = runtime.block_on(async {
        let world = wire::world(&settings)?;
        anyhow::Ok(Checker::new(&world, &site, &probes).plan(&chosen).await)
    })?;
    if !json {
        print!("{}", text(&plan));
    }
    let mut refused = Vec::new();
    if let Some(writer) = writer.filter(|_| arguments.yes) {
        for zone in &plan.zones {
            refused.extend(runtime.block_on(writer.write(zone))?);
        }
    }
    if json {
        println!("{:#}", data(&plan, arguments.yes, &refused));
    } else {
        refused.iter().for_each(|why| eprintln!("mailstead: {why}"));
        println!("{}", outcome(&plan, arguments.yes, refused.is_empty()));
    }
    Ok(if refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) })
}

#[cfg(feature = "dns-providers")]
const WRITERS: &str = "--server and --key-file, or --provider and --credentials";
#[cfg(not(feature = "dns-providers"))]
const WRITERS: &str = "--server and --key-file";

impl Arguments {
    fn writer(&self, settings: &Settings) -> anyhow::Result<Option<Writer>> {
        #[cfg(feature = "dns-providers")]
        if let (Some(provider), Some(file)) = (&self.provider, &self.credentials) {
            let credentials = toml::from_str(&read_file(file)?)
                .with_context(|| format!("{} has no lines such as token = \"…\"", file.display()))?;
            return Ok(Some(Writer::Provider(provision::Provider::new(provider, &credentials)?)));
        }
        let (Some(server), Some(file)) = (self.server, &self.key_file) else { return Ok(None) };
        let key: UpdateKey =
            read_file(file)?.parse().with_context(|| format!("cannot read a key from {}", file.display()))?;
        Ok(Some(Writer::Server(Updater::new(&wire::dns_settings(settings), server, key))))
    }
}

impl Writer {
    /// Makes the changes of one zone; the result is what was refused.
    async fn write(&self, zone: &ZoneChanges) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Server(updater) => {
                let now = Clock::system().now().unix_seconds();
                let now = u64::try_from(now).context("the clock stands before 1970")?;
                let updated = updater.update(&zone.zone, &zone.changes, now).await;
                Ok(updated.err().map(|error| format!("{}: {error}", zone.zone)).into_iter().collect())
            }
            #[cfg(feature = "dns-providers")]
            Self::Provider(provider) => {
                let mut refused = Vec::new();
                for change in &zone.changes {
                    if let Err(error) = provider.change(&zone.zone, change).await {
                        refused.push(format!("{}: {error}", zone.zone));
                    }
                }
                Ok(refused)
            }
        }
    }
}

fn server_address(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT));
    alone
        .or_else(|_| text.parse())
        .map_err(|_| "write an IP address, or one with a port: 192.0.2.53:53".to_owned())
}

fn read_file(file: &Path) -> anyhow::Result<String> {
    let read = || -> anyhow::Result<String> {
        anyhow::ensure!(std::fs::metadata(file)?.len() <= KEY_FILE_OCTETS_MAX, "it is too large");
        Ok(std::fs::read_to_string(file)?)
    };
    read().with_context(|| format!("cannot read {}", file.display()))
}

/// The difference, as `diff` would write it.
fn text(plan: &Plan) -> String {
    let mut text = String::new();
    for zone in &plan.zones {
        text += &format!("zone {}\n", zone.zone);
        for change in &zone.changes {
            let line = |mark: char, value: &RecordData| {
                format!("{mark} {}. {} {}\n", change.name, change.kind, shown(value))
            };
            change.remove.iter().for_each(|value| text += &line('-', value));
            change.add.iter().for_each(|value| text += &line('+', value));
        }
    }
    plan.left.iter().for_each(|left| text += &format!("left as it is: {left}\n"));
    text
}

fn shown(value: &RecordData) -> String {
    match value {
        RecordData::Text(octets) => text_strings(octets),
        other => other.to_string(),
    }
}

fn outcome(plan: &Plan, is_wanted: bool, is_done: bool) -> &'static str {
    match (plan.zones.is_empty(), is_wanted, is_done) {
        (true, ..) => "nothing to change",
        (false, false, _) => "nothing was changed; add --yes to change it",
        (false, true, true) => "changed; see `mailstead dns check`",
        (false, true, false) => "not all was changed",
    }
}

fn data(plan: &Plan, is_wanted: bool, refused: &[String]) -> Value {
    let values = |values: &[RecordData]| values.iter().map(shown).collect::<Vec<_>>();
    let change = |change: &RecordChange| {
        json!({
            "name": change.name.as_str(),
            "type": change.kind.as_str(),
            "remove": values(&change.remove),
            "add": values(&change.add),
        })
    };
    let zones = plan.zones.iter().map(|zone| {
        json!({
            "zone": zone.zone.as_str(),
            "changes": zone.changes.iter().map(change).collect::<Vec<_>>(),
        })
    });
    json!({
        "zones": zones.collect::<Vec<_>>(),
        "left": plan.left,
        "changed": is_wanted && refused.is_empty() && !plan.zones.is_empty(),
        "refused": refused,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_a_port() {
        assert_eq!(server_address("192.0.2.53").unwrap().port(), DNS_PORT);
        assert_eq!(server_address("[2001:db8::1]:5300").unwrap().port(), 5300);
        assert!(server_address("ns.example.org").is_err());
    }
}
