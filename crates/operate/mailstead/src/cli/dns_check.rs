//! `dns check`: what the world serves for our domains and this server, and what is wrong with it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use mail_types::DomainName;
use provision::{Checker, Finding, Status};
use serde_json::{Value, json};

use super::dns_records::{chosen, site_and_missed};
use crate::admin::MissedListener;
use crate::settings::Settings;
use crate::wire;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  mailstead dns check\n  mailstead dns check example.org --json | jq '.domains[].findings[] | select(.status == \"wrong\")'\n\nAsks the name servers that are responsible, past every cache. Exit status 0: nothing is wrong; 1: something is, or cannot be found out."
)]
pub(super) struct Arguments {
    /// One domain of ours; all without it. The server itself is always looked at.
    domain: Option<DomainName>,
}

/// What was found about one domain, or about the host.
struct Section {
    name: String,
    findings: Vec<Finding>,
}

pub(super) fn run(arguments: &Arguments, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(config)?;
    let (site, missed) = site_and_missed(config)?;
    let probes = wire::probes(&settings)?;
    let chosen = chosen(&site, arguments.domain.as_ref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (host, domains) = runtime.block_on(async {
        let world = wire::world(&settings)?;
        let checker = Checker::new(&world, &site, &probes);
        let mut host = Section { name: site.host.name.to_string(), findings: checker.host().await };
        host.findings.extend(missed.iter().map(of_missed));
        let mut domains = Vec::new();
        for domain in chosen {
            let mut findings = checker.domain(domain).await;
            // A zone that both lie in is told of once.
            let is_told = |other: &Finding| {
                host.findings.iter().any(|told| (&told.about, &told.what) == (&other.about, &other.what))
            };
            findings.retain(|finding| !is_told(finding));
            domains.push(Section { name: domain.name.to_string(), findings });
        }
        anyhow::Ok((host, domains))
    })?;
    let is_ok = is_well(&host) && domains.iter().all(is_well);
    if json {
        let domains: Vec<Value> = domains.iter().map(data).collect();
        println!("{:#}", json!({ "ok": is_ok, "host": data(&host), "domains": domains }));
    } else {
        print!("{}", text("server", &host));
        domains.iter().for_each(|section| print!("\n{}", text("domain", section)));
        println!("\n{}", summary(domains.iter().chain([&host])));
    }
    Ok(if is_ok { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) })
}

/// What the server goes without.
fn of_missed(missed: &MissedListener) -> Finding {
    Finding {
        about: format!("listener {}", missed.listener),
        status: Status::Advice,
        what: missed.why.clone(),
        causes: missed.missed.clone(),
        remedy: missed.remedy(),
    }
}

/// Whether nothing is wrong, and nothing left unknown that may be.
fn is_well(section: &Section) -> bool {
    section.findings.iter().all(|finding| finding.status < Status::Unknown)
}

fn text(what: &str, section: &Section) -> String {
    let mut text = format!("{what} {}\n", section.name);
    for finding in &section.findings {
        let Finding { about, status, what, causes, remedy } = finding;
        let _ = writeln!(text, "  {:<8} {about}: {what}", status.as_str());
        if *status != Status::Right {
            let _ = writeln!(text, "  {:<8} so: {causes}\n  {:<8} do: {remedy}", "", "");
        }
    }
    text
}

fn summary<'a>(sections: impl Iterator<Item = &'a Section>) -> String {
    let all: Vec<Status> =
        sections.flat_map(|section| section.findings.iter().map(|finding| finding.status)).collect();
    let count = |status| all.iter().filter(|one| **one == status).count();
    format!(
        "{} right, {} to improve, {} unknown, {} wrong",
        count(Status::Right),
        count(Status::Advice),
        count(Status::Unknown),
        count(Status::Wrong)
    )
}

fn data(section: &Section) -> Value {
    let findings: Vec<Value> = section
        .findings
        .iter()
        .map(|finding| {
            json!({
                "about": finding.about,
                "status": finding.status.as_str(),
                "what": finding.what,
                "causes": finding.causes,
                "remedy": finding.remedy,
            })
        })
        .collect();
    json!({ "name": section.name, "ok": is_well(section), "findings": findings })
}
