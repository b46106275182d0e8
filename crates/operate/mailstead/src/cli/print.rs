//! Answers as people read them, in columns, and as machines do.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context;

use crate::admin::{
    AccountLine, Answer, BanLine, DkimLine, FaultLine, MailboxLine, QueueLine, QueueMessage, QueueStatus,
    script_of,
};
use crate::settings::show_octets;

/// Prints an answer; a failure goes to standard error and makes the exit status 1.
pub(super) fn answer(answer: &Answer, json: bool) -> anyhow::Result<ExitCode> {
    match answer {
        Answer::Failed { why } if json => println!("{}", serde_json::json!({ "ok": false, "error": why })),
        Answer::Failed { why } => eprintln!("mailstead: {why}"),
        _ if json => println!("{:#}", data(answer)?),
        Answer::Done { what } => println!("{what}"),
        Answer::Accounts { accounts } => account_list(accounts),
        Answer::Aliases { aliases } => {
            columns(["ALIAS", "TARGETS"], aliases.iter().map(|a| [a.alias.clone(), a.targets.join(" ")]));
        }
        Answer::Bans { bans } => ban_list(bans),
        Answer::Domains { domains } => columns(
            ["DOMAIN", "ACCOUNTS", "ALIASES"],
            domains.iter().map(|d| [d.domain.clone(), d.accounts.to_string(), d.aliases.to_string()]),
        ),
        Answer::DkimKeys { keys } => dkim_keys(keys),
        Answer::Mailboxes { mailboxes } => mailbox_list(mailboxes),
        Answer::PublishedKeys { domains, .. } => columns(
            ["DOMAIN", "SELECTOR", "STATE"],
            domains
                .iter()
                .flat_map(|d| d.keys.iter().map(|k| [d.domain.clone(), k.selector.clone(), k.state.clone()])),
        ),
        Answer::Verified { messages, octets, accounts, faults } => {
            lines(faults);
            println!(
                "{accounts} accounts, {messages} messages, {} read: {} faults",
                amount(*octets),
                faults.len()
            );
        }
        Answer::Store { status } => println!(
            "{} packs of {} in all; {} free on the disk",
            status.packs,
            amount(status.pack_octets),
            amount(status.free_octets)
        ),
        Answer::Queue { messages, next } => queue_page(messages, next.as_deref()),
        Answer::QueueMessage { message } => queued_message(message),
        Answer::Screen { status } => super::screen::print_status(status),
        Answer::Traps { traps } => super::screen::print_traps(traps),
        Answer::QueueStatus { status } => queue_status(status),
        Answer::Reports { told } => super::dns_report::print(told),
        Answer::Trace { steps } => lines(steps),
        Answer::SieveScripts { scripts } => columns(
            ["SCRIPT", "ACTIVE", "SIZE"],
            scripts
                .iter()
                .map(|s| [s.name.clone(), if s.active { "yes" } else { "no" }.into(), amount(s.octets)]),
        ),
        Answer::SieveLists { lists } => {
            columns(["LIST", "SIZE"], lists.iter().map(|list| [list.name.clone(), amount(list.octets)]));
        }
        Answer::SieveEntries { entries } => lines(entries),
        Answer::SpamChecked { checked } => checked.iter().for_each(super::spam_check::print),
        Answer::SpamLearned { learned } => super::spam::print_learned(learned),
        Answer::SpamKept { kept } => kept.iter().for_each(super::spam_check::print_kept),
        Answer::SpamReplayed { replayed } => super::spam::print_replay(replayed),
        Answer::SpamStatus { status } => super::spam::print_status(status),
        Answer::Quarantined { messages } => super::quarantine::print(messages),
        Answer::QuarantinedMessage { message } => std::io::stdout().write_all(&script_of(message)?)?,
        Answer::SieveTested { tested } => super::sieve_trial::print_test(tested),
        Answer::SieveReplayed { replayed } => super::sieve_trial::print_replay(replayed),
        Answer::SieveScript { script } => std::io::stdout().write_all(&script_of(script)?)?,
        Answer::SieveJudged { what, faults, warnings } => judged(what, faults, warnings),
    }
    Ok(if is_failure(answer) { ExitCode::from(super::FAILED) } else { ExitCode::SUCCESS })
}

/// Whether the exit status tells of something that is wrong.
fn is_failure(answer: &Answer) -> bool {
    match answer {
        Answer::Failed { .. } => true,
        Answer::Verified { faults, .. } => !faults.is_empty(),
        Answer::SieveJudged { faults, .. } => !faults.is_empty(),
        _ => false,
    }
}

fn ban_list(bans: &[BanLine]) {
    columns(
        ["NETWORK", "SINCE", "UNTIL", "BY", "TIMES", "REASON"],
        bans.iter().map(|ban| {
            [
                ban.network.clone(),
                ban.since.clone(),
                ban.until.clone().unwrap_or_else(|| "removed".into()),
                ban.set_by.clone(),
                ban.times.to_string(),
                ban.reason.clone(),
            ]
        }),
    );
}

fn lines<T: Display>(lines: &[T]) {
    for line in lines {
        println!("{line}");
    }
}

fn account_list(accounts: &[AccountLine]) {
    columns(
        ["ADDRESS", "STATE", "USED", "QUOTA", "MESSAGES", "ALIASES"],
        accounts.iter().map(|a| {
            [
                a.address.clone(),
                state(a).into(),
                amount(a.used_octets),
                a.quota.map_or_else(|| "none".into(), amount),
                a.messages.to_string(),
                a.aliases.join(" "),
            ]
        }),
    );
    for account in accounts {
        if let Some(stopped) = &account.stopped {
            println!("{} may not send since {}: {}", account.address, stopped.since, stopped.reason);
        }
    }
}

fn state(account: &AccountLine) -> &'static str {
    match (account.enabled, &account.stopped) {
        (false, _) => "disabled",
        (true, Some(_)) => "may not send",
        (true, None) => "enabled",
    }
}

fn mailbox_list(mailboxes: &[MailboxLine]) {
    columns(
        ["MAILBOX", "USE", "MESSAGES", "UNSEEN", "SIZE", "UIDVALIDITY", "UIDNEXT"],
        mailboxes.iter().map(|m| {
            [
                m.name.clone(),
                m.special_use.clone().unwrap_or_else(|| "-".into()),
                m.messages.to_string(),
                m.unseen.to_string(),
                amount(m.octets),
                m.uid_validity.to_string(),
                m.uid_next.to_string(),
            ]
        }),
    );
}

fn dkim_keys(keys: &[DkimLine]) {
    columns(
        ["DOMAIN", "SELECTOR", "ALGORITHM", "STATE", "SINCE", "IN DNS"],
        keys.iter().map(|key| {
            [
                key.domain.clone(),
                key.selector.clone(),
                format!("{} ({} bits)", key.algorithm, key.bits),
                key.state.clone(),
                short_time(&key.since),
                key.is_published.map_or("-", |published| if published { "yes" } else { "no" }).to_owned(),
            ]
        }),
    );
    if !keys.is_empty() {
        println!("\nTXT records:");
    }
    for key in keys {
        println!("  {}.\n    {}", key.name, key.record);
    }
}

fn queue_page(messages: &[QueueLine], next: Option<&str>) {
    columns(
        ["ID", "ARRIVED", "SENDER", "SIZE", "STATE", "WAITING", "NEXT TRY", "LAST"],
        messages.iter().map(|m| {
            [
                m.id.clone(),
                short_time(&m.arrived),
                m.sender.clone(),
                amount(m.octets),
                m.state.clone(),
                m.recipients_waiting.to_string(),
                m.next_try.as_deref().map_or_else(|| "-".into(), short_time),
                m.last.clone().unwrap_or_else(|| "-".into()),
            ]
        }),
    );
    if let Some(next) = next {
        println!("there are more: --after {next}");
    }
}

fn queue_status(status: &QueueStatus) {
    println!(
        "{} messages of {} to {} destinations ({} of them out of reach); {} deferred, {} held; {} connections; oldest {}",
        status.messages,
        amount(status.octets),
        status.destinations,
        status.destinations_unreachable,
        status.deferred,
        status.held,
        status.connections,
        status.oldest.as_deref().map_or_else(|| "-".into(), short_time),
    );
}

/// What became of a script; its faults go where errors do.
fn judged(what: &str, faults: &[FaultLine], warnings: &[FaultLine]) {
    if !faults.is_empty() {
        eprintln!("mailstead: the script has faults; it is {what}");
    }
    for FaultLine { line, column, words } in faults {
        eprintln!("line {line}, column {column}: {words}");
    }
    for FaultLine { line, column, words } in warnings {
        eprintln!("warning: line {line}, column {column}: {words}");
    }
    if faults.is_empty() {
        println!("{what}");
    }
}

fn queued_message(message: &QueueMessage) {
    let line = &message.line;
    println!("{} from {}, {}, {}", line.id, line.sender, amount(line.octets), line.state);
    println!("arrived {}, given up {}", short_time(&line.arrived), short_time(&message.expires));
    println!("its way here: mailstead trace {}", message.transaction);
    columns(
        ["RECIPIENT", "DESTINATION", "STATE", "DEFERRED", "NEXT TRY", "LAST"],
        message.recipients.iter().map(|recipient| {
            [
                recipient.address.clone(),
                recipient.destination.clone(),
                recipient.state.clone(),
                recipient.attempts.to_string(),
                recipient.next_try.as_deref().map_or_else(|| "-".into(), short_time),
                recipient.last.clone().unwrap_or_else(|| "-".into()),
            ]
        }),
    );
}

/// A time without its fractions of a second.
pub(super) fn short_time(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

/// The answer's own content, without the envelope of the admin socket.
fn data(answer: &Answer) -> anyhow::Result<serde_json::Value> {
    let mut value = serde_json::to_value(answer)?;
    let Some(object) = value.as_object_mut() else { return Ok(value) };
    object.remove("answer");
    match answer {
        Answer::Done { .. } => {
            object.insert("ok".into(), true.into());
        }
        Answer::Verified { faults, .. } => {
            object.insert("ok".into(), faults.is_empty().into());
        }
        // A page and where the next one begins.
        Answer::Queue { .. } => {}
        Answer::SieveJudged { faults, .. } => {
            object.insert("ok".into(), faults.is_empty().into());
        }
        Answer::SieveScript { script } => {
            let text = String::from_utf8(script_of(script)?);
            let text = text.context("the script is not UTF-8; without --json it is printed as it is")?;
            object.insert("script".into(), text.into());
        }
        Answer::QuarantinedMessage { message } => {
            object.insert("message".into(), String::from_utf8_lossy(&script_of(message)?).into());
        }
        // A list alone is what `jq '.[]'` wants.
        _ => return Ok(object.values_mut().next().map(serde_json::Value::take).unwrap_or_default()),
    }
    Ok(value)
}

/// An amount for people: three digits and a unit.
pub(super) fn amount(octets: u64) -> String {
    let mut unit = 1_u64;
    for name in ["", "K", "M", "G"] {
        if octets < unit * 1_024 {
            let tenths = octets * 10 / unit;
            return if octets.is_multiple_of(unit) || tenths >= 1_000 {
                format!("{}{name}", octets / unit)
            } else {
                format!("{}.{}{name}", tenths / 10, tenths % 10)
            };
        }
        unit *= 1_024;
    }
    show_octets(octets >> 40 << 40)
}

pub(super) fn columns<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (text, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{text:width$}  "));
        }
        println!("{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts_are_short() {
        for (octets, shown) in [
            (0, "0"),
            (1_023, "1023"),
            (1_024, "1K"),
            (1_536, "1.5K"),
            (150 << 20, "150M"),
            (5 << 30, "5G"),
            (3 << 40, "3T"),
        ] {
            assert_eq!(amount(octets), shown);
        }
    }
}
