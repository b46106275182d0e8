//! `dns …`: the records of our domains, and what the resolver of this server finds.

mod egress;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use dns::{Answer, LookupError, Name, RecordData, RecordType, Resolver, Security, Step};
use platform::clock::Clock;
use platform::metrics::Metrics;
use serde_json::{Value, json};

use super::{dns_apply, dns_check, dns_records};
use crate::settings::Settings;
use crate::wire::dns_settings;

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Show the DNS records that our domains and this server need, each with one line of why.
    Records(dns_records::Arguments),
    /// Write the same as lines of a zone file, ready to be pasted into a zone or included by it.
    Zone(dns_records::ZoneArguments),
    /// Compare with what the world serves, and say what is wrong, what follows from it and what to type.
    Check(dns_check::Arguments),
    /// Write what is missing or wrong into the zones, by dynamic update; the difference is always shown first.
    Apply(dns_apply::Arguments),
    /// What other servers report to us: who sends in our domains' names, and who could not reach us safely.
    Report(super::dns_report::Arguments),
    /// Ask the way this server does: from the same addresses, with the same trust anchors.
    #[command(
        after_help = "Example: mailstead dns resolve example.org MX\n\nShows the records, how far they are proven, and every server that was asked on the way, from the root down.\nExit status 1 when there are no such records, or none can be had now; with --egress, when nobody tells the address,\nor tells another one than the settings."
    )]
    Resolve {
        /// The name; its final dot may be left out. An IP address with the type PTR asks for its name.
        #[arg(required_unless_present = "egress")]
        name: Option<String>,
        /// The type of records.
        #[arg(value_name = "TYPE", default_value = "A", value_parser = |text: &str| text.parse::<RecordType>())]
        kind: RecordType,
        /// Ask from which address the world sees our questions.
        #[arg(long, conflicts_with = "name")]
        egress: bool,
    },
}

type Outcome = Result<Answer<RecordData>, LookupError>;

pub(super) fn run(verb: &Verb, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let (name, kind) = match verb {
        Verb::Report(arguments) => return arguments.run(config, json),
        Verb::Records(arguments) => return dns_records::run(arguments, config, json),
        Verb::Zone(arguments) => return dns_records::zone(arguments, config),
        Verb::Check(arguments) => return dns_check::run(arguments, config, json),
        Verb::Apply(arguments) => return dns_apply::run(arguments, config, json),
        Verb::Resolve { name, kind, .. } => (name, kind),
    };
    let settings = Settings::load(config)?;
    let Some(name) = name else { return egress::run(&settings, json) };
    let asked = match name.parse() {
        Ok(address) if *kind == RecordType::Ptr => Name::reverse(address),
        _ => Name::parse(name).with_context(|| name.clone())?,
    };
    let (outcome, way) = ask(&dns_settings(&settings), &asked, *kind)?;
    if json {
        let mut data = data(&asked, *kind, &outcome);
        data["way"] = way.iter().map(step_data).collect();
        println!("{data:#}");
    } else {
        print!("{}{}", text(&asked, *kind, &outcome), way_text(&way));
    }
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) })
}

/// Asks one question with a resolver of its own, which knows nothing yet.
fn ask(settings: &dns::Settings, name: &Name, kind: RecordType) -> anyhow::Result<(Outcome, Vec<Step>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let resolver = Resolver::new(settings, Clock::system(), &Metrics::new())?;
        anyhow::Ok(resolver.trace(name, kind).await)
    })
}

/// The way of a question, a line for each query, in the order in which the answers came.
fn way_text(way: &[Step]) -> String {
    let line = |step: &Step| {
        let Step { server, transport, name, kind, outcome, took } = step;
        format!("  {server} {transport} {name} {kind}: {outcome} ({} ms)\n", took.as_millis())
    };
    let lines: String = way.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("asked:\n{lines}") }
}

fn step_data(step: &Step) -> Value {
    json!({
        "server": step.server.to_string(),
        "transport": step.transport.to_string(),
        "name": step.name,
        "type": step.kind,
        "outcome": step.outcome,
        "milliseconds": u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
    })
}

fn word(security: Security) -> &'static str {
    match security {
        Security::Secure => "secure",
        Security::Insecure => "insecure",
    }
}

fn text(name: &Name, kind: RecordType, outcome: &Outcome) -> String {
    match outcome {
        Ok(answer) => {
            let mut text =
                format!("{name} {kind}: {}, for {} s", word(answer.security), answer.valid_for.as_secs());
            if answer.canonical != *name {
                text += &format!(", an alias of {}", answer.canonical);
            }
            answer.records.iter().fold(text + "\n", |text, record| text + &format!("{record}\n"))
        }
        Err(error) => {
            let proof = error.security().map_or(String::new(), |security| format!(" ({})", word(security)));
            format!("{name} {kind}: {error}{proof}\n")
        }
    }
}

fn data(name: &Name, kind: RecordType, outcome: &Outcome) -> Value {
    let (name, kind) = (name.as_str(), kind.as_str());
    match outcome {
        Ok(answer) => json!({
            "name": name,
            "type": kind,
            "status": "found",
            "security": word(answer.security),
            "canonical": answer.canonical.as_str(),
            "valid_for_seconds": answer.valid_for.as_secs(),
            "records": answer.records.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Err(error) => json!({
            "name": name,
            "type": kind,
            "status": match error {
                LookupError::NoSuchName { .. } => "no such name",
                LookupError::NoData { .. } => "no data",
                LookupError::Bogus(_) => "bogus",
                _ => "failed",
            },
            "security": error.security().map(word),
            "error": error.to_string(),
            "records": [],
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn found() -> Outcome {
        Ok(Answer {
            records: vec![RecordData::Text(b"v=spf1 -all".to_vec())],
            canonical: Name::parse("b.example").unwrap(),
            security: Security::Secure,
            valid_for: Duration::from_secs(60),
        })
    }

    #[test]
    fn answers_read_well() {
        let name = Name::parse("a.example").unwrap();
        assert_eq!(
            text(&name, RecordType::Txt, &found()),
            "a.example TXT: secure, for 60 s, an alias of b.example\n\"v=spf1 -all\"\n"
        );
        let absent = Err(LookupError::NoSuchName { security: Security::Insecure, valid_for: Duration::ZERO });
        assert_eq!(text(&name, RecordType::Mx, &absent), "a.example MX: no such name (insecure)\n");
    }

    #[test]
    fn machines_read_the_same() {
        let name = Name::parse("a.example").unwrap();
        let value = data(&name, RecordType::Txt, &found());
        assert_eq!((&value["status"], &value["security"]), (&json!("found"), &json!("secure")));
        let value = data(&name, RecordType::Mx, &Err(LookupError::Timeout));
        assert_eq!((&value["status"], &value["security"]), (&json!("failed"), &Value::Null));
    }
}
