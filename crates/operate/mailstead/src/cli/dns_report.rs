//! `dns report`: what other servers report about mail in our domains' names, and about reaching us.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::print::{self, columns, short_time};
use crate::admin::{self, Request};
use crate::reports::Told;
use crate::settings::read_seconds;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  mailstead dns report\n  mailstead dns report example.org --since 7d --json\n  mailstead dns report --send"
)]
pub(super) struct Arguments {
    /// Reports on this domain and those below it; else on all.
    domain: Option<String>,
    /// Reports that came within this time, such as 24h, 7d or 400d.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = time)]
    since: u64,
    /// Send our reports to others now, today's too, instead of waiting for the day's end.
    #[arg(long, conflicts_with_all = ["domain", "since"])]
    send: bool,
}

fn time(text: &str) -> anyhow::Result<u64> {
    read_seconds(text).with_context(|| format!("{text:?} is no time such as 24h, 7d or 400d"))
}

impl Arguments {
    pub(super) fn run(&self, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
        print::answer(&admin::ask(config, self.to_request())?, json)
    }

    fn to_request(&self) -> Request {
        match self.send {
            true => Request::ReportsSend,
            false => Request::ReportsList { domain: self.domain.clone(), since_seconds: self.since },
        }
    }
}

/// Sources, failures and complaints shown to people; machines get all.
const SHOWN_MAX: usize = 50;

/// For people: first in words, then in columns.
pub(super) fn print(told: &Told) {
    for line in words(told) {
        println!("{line}");
    }
    if !told.sources.is_empty() {
        println!();
        columns(
            ["SOURCE", "AUTHOR", "MESSAGES", "SPF", "DKIM", "DMARC", "TAKEN AS", "SAYS"],
            told.sources.iter().take(SHOWN_MAX).map(|line| {
                [
                    line.source_ip.clone(),
                    plain(&line.domain),
                    line.count.to_string(),
                    verdict(line.spf),
                    verdict(line.dkim),
                    verdict(line.dmarc),
                    taken_as(&line.disposition).to_owned(),
                    plain(&line.reporters.join(", ")),
                ]
            }),
        );
        tell_rest(told.sources.len());
    }
    if !told.tls.is_empty() {
        println!();
        columns(
            ["MAIL HOST", "DOMAIN", "POLICY", "WHAT FAILED", "CONNECTIONS", "SAYS"],
            told.tls.iter().take(SHOWN_MAX).map(|line| {
                [
                    plain(&line.host),
                    plain(&line.domain),
                    line.policy.clone(),
                    line.failure.clone(),
                    line.count.to_string(),
                    plain(&line.reporters.join(", ")),
                ]
            }),
        );
        tell_rest(told.tls.len());
    }
    if !told.complaints.is_empty() {
        println!();
        columns(
            ["TIME", "COMPLAINT", "SOURCE", "AUTHOR", "SUBJECT", "SAYS"],
            told.complaints.iter().take(SHOWN_MAX).map(|line| {
                [
                    short_time(&line.time),
                    line.kind.clone(),
                    plain(&line.source_ip),
                    plain(&line.from),
                    plain(&line.subject),
                    plain(&line.reporter),
                ]
            }),
        );
        tell_rest(told.complaints.len());
    }
}

/// What it all comes to.
fn words(told: &Told) -> Vec<String> {
    if told.reports.is_empty() {
        return vec![
            "No reports came. Other servers send them once a day to where DNS says: see the rua tags of the records _dmarc and _smtp._tls of your domains.".to_owned(),
        ];
    }
    let mut words = vec![format!("{} reports came.", told.reports.len())];
    let failed = told.messages.saturating_sub(told.passed);
    if told.messages > 0 {
        let verdict = match failed {
            0 => "all of them yours by SPF or DKIM".to_owned(),
            _ => format!(
                "{failed} of them neither by SPF nor by DKIM yours: forged, forwarded, or sent by a host that you have not named"
            ),
        };
        words.push(format!("Others saw {} messages in your names, {verdict}.", told.messages));
    }
    if told.tls_successes + told.tls_failures > 0 {
        words.push(format!(
            "Others opened {} protected connections to you; {} could not be protected as they should be.",
            told.tls_successes, told.tls_failures
        ));
    }
    if !told.complaints.is_empty() {
        words.push(format!("{} complaints about single messages came.", told.complaints.len()));
    }
    words
}

fn verdict(passes: bool) -> String {
    if passes { "pass" } else { "fail" }.to_owned()
}

fn taken_as(disposition: &str) -> &str {
    match disposition {
        "quarantine" => "junk",
        "reject" => "refused",
        _ => "mail",
    }
}

/// A stranger's text, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn tell_rest(lines: usize) {
    if lines > SHOWN_MAX {
        println!("… and {} more; --json has them", lines - SHOWN_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_is_wrong() {
        let none = words(&Told::default());
        assert!(none[0].starts_with("No reports came."), "{none:?}");
        let line = crate::reports::ReceivedLine {
            time: "2026-01-01T00:00:00Z".into(),
            kind: "aggregate".into(),
            reporter: "far.example".into(),
            domain: "example.org".into(),
            report_id: "1".into(),
            records_left_out: 0,
        };
        let mut told = Told { messages: 5, passed: 5, reports: vec![line], ..Told::default() };
        assert_eq!(words(&told)[1], "Others saw 5 messages in your names, all of them yours by SPF or DKIM.");
        told.passed = 3;
        assert!(words(&told)[1].contains("2 of them neither"), "{:?}", words(&told));
    }

    #[test]
    fn a_terminal_obeys_nobody() {
        assert_eq!(plain("a\u{1b}[2Jb\r\n"), "a [2Jb  ");
    }
}
