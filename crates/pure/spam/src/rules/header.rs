//! Header fields that are missing, malformed, or of the kind that mass mail has.

use std::borrow::Cow;

use message::Date;

use super::Found;
use super::services::{is_free_mailer, spamware};
use crate::domains::registrable;
use crate::facts::Facts;
use crate::letter::{Letter, Person};
use crate::signs::is_spaced_out;

/// Seconds that a message may be on its way, and be dated ahead, before anybody wonders.
const PAST_SECONDS: i64 = 7 * 86_400;
const FUTURE_SECONDS: i64 = 12 * 3_600;

/// Addressees that are a crowd.
const CROWD: usize = 40;

/// Letters of a subject below which capitals say nothing.
const CAPITALS_MIN: usize = 10;

/// Fields that may stand once (RFC 5322 §3.6).
const ONCE: [&str; 9] =
    ["from", "sender", "reply-to", "to", "cc", "message-id", "in-reply-to", "subject", "date"];

pub(super) fn judge(letter: &Letter<'_>, facts: &Facts<'_>, found: &mut Found<'_>) {
    found.when(letter.foreign_lines > 0, "FOREIGN_LINES");
    found.when(ONCE.iter().any(|name| letter.all(name).count() > 1), "DUPLICATED_FIELD");
    date(letter, facts, found);
    let author = letter.people("from").into_iter().next();
    match (letter.field("from"), &author) {
        (None, _) => found.hit("MISSING_FROM", ""),
        (Some(_), Some(author)) if !author.domain.is_empty() => {}
        (Some(_), _) => found.hit("INVALID_FROM", ""),
    }
    message_id(letter, facts, author.as_ref(), found);
    subject(letter, found);
    recipients(letter, found);
    answers(letter, author.as_ref(), found);
    for name in ["x-mailer", "user-agent", "x-mailer-version"] {
        if let Some(program) = letter.text(name).as_deref().and_then(spamware) {
            found.hit("SPAMWARE", program);
        }
    }
    let is_script =
        letter.field("x-php-script").is_some() || letter.field("x-php-originating-script").is_some();
    found.when(is_script, "SCRIPT_MAILER");
}

fn date(letter: &Letter<'_>, facts: &Facts<'_>, found: &mut Found<'_>) {
    let Some(value) = letter.field("date") else {
        found.hit("MISSING_DATE", "");
        return;
    };
    let Some(date) = Date::parse(value) else {
        found.hit("INVALID_DATE", "");
        return;
    };
    let Some(arrived) = facts.arrived_unix_seconds else { return };
    let ahead = date.unix_seconds.saturating_sub(arrived);
    found.when(ahead > FUTURE_SECONDS, "DATE_IN_FUTURE");
    found.when(ahead < -PAST_SECONDS, "DATE_IN_PAST");
}

fn message_id(letter: &Letter<'_>, facts: &Facts<'_>, author: Option<&Person>, found: &mut Found<'_>) {
    let Some(value) = letter.field("message-id") else {
        found.hit("MISSING_MID", "");
        return;
    };
    let inner = value.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
    let inner = inner.and_then(|inner| std::str::from_utf8(inner).ok()).unwrap_or_default();
    let Some((local, host)) = inner.rsplit_once('@') else {
        found.hit("INVALID_MSGID", "");
        return;
    };
    let is_whole = !local.is_empty() && !host.is_empty() && !inner.contains([' ', '<', '>']);
    found.when(!is_whole, "INVALID_MSGID");
    let host = host.to_lowercase();
    let is_local = !host.contains('.') || host.starts_with("localhost") || host.ends_with(".localdomain");
    found.when(is_whole && is_local && !host.starts_with('['), "MSGID_LOCAL");
    let Some(ours) = facts.ours else { return };
    let is_ours = author.is_some_and(|author| ours.has_domain(&author.domain));
    found.when(!is_ours && !letter.is_of_list() && ours.has_domain(&host), "MSGID_OURS");
}

fn subject(letter: &Letter<'_>, found: &mut Found<'_>) {
    let Some(raw) = letter.field("subject") else {
        found.hit("MISSING_SUBJECT", "");
        return;
    };
    found.when(std::str::from_utf8(raw).is_err(), "SUBJECT_RAW_OCTETS");
    let text = letter.text("subject").unwrap_or_default();
    let bare = bare_subject(&text);
    found.when(bare.trim().is_empty(), "EMPTY_SUBJECT");
    let letters = bare.chars().filter(|c| c.is_lowercase() || c.is_uppercase()).count();
    let has_words = bare.trim().contains(' ') && letters >= CAPITALS_MIN;
    found.when(has_words && !bare.chars().any(char::is_lowercase), "SUBJ_ALL_CAPS");
    found.when(has_money(&text), "SUBJECT_MONEY");
    found.when(text.contains("!!") || text.matches('!').count() >= 3, "SUBJECT_SHOUTS");
    found.when(is_spaced_out(&text), "SUBJECT_SPACED");
    let is_reply = text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    let answers = ["in-reply-to", "references"].iter().any(|name| letter.field(name).is_some());
    found.when(is_reply && !answers, "SUBJECT_FALSE_REPLY");
}

/// A subject without `Re:`, `Fwd:` and a list's name in brackets.
fn bare_subject(subject: &str) -> Cow<'_, str> {
    let mut rest = subject.trim();
    for _ in 0..6 {
        let after_mark = rest.split_once(':').filter(|(mark, _)| mark.len() <= 3 && mark.is_ascii());
        let after_list = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let Some((_, behind)) = after_mark.or(after_list) else { break };
        rest = behind.trim();
    }
    Cow::Borrowed(rest)
}

/// Whether an amount is named: a sign of money beside a number of three digits or more.
fn has_money(text: &str) -> bool {
    let amount = |text: &str| {
        let number = text
            .chars()
            .skip_while(|c| *c == ' ')
            .take_while(|c| c.is_ascii_digit() || matches!(c, ',' | '.' | '\''));
        number.filter(char::is_ascii_digit).count() >= 3
    };
    let before = |text: &str| {
        let number = text
            .chars()
            .rev()
            .skip_while(|c| *c == ' ')
            .take_while(|c| c.is_ascii_digit() || matches!(c, ',' | '.' | '\''));
        number.filter(char::is_ascii_digit).count() >= 3
    };
    ["$", "€", "£", "USD", "EUR", "GBP"].iter().any(|sign| {
        text.match_indices(sign).take(8).any(|(at, _)| {
            amount(text.get(at + sign.len()..).unwrap_or_default())
                || before(text.get(..at).unwrap_or_default())
        })
    })
}

fn recipients(letter: &Letter<'_>, found: &mut Found<'_>) {
    let to = letter.field("to").is_some() || letter.field("cc").is_some();
    let people = letter.people("to").len() + letter.people("cc").len();
    let is_hidden = letter.text("to").is_some_and(|to| to.to_lowercase().contains("undisclosed"));
    found.when(!to, "MISSING_TO");
    found.when(to && people == 0 && is_hidden, "UNDISCLOSED_RECIPIENTS");
    found.when(people >= CROWD, "MANY_RECIPIENTS");
}

fn answers(letter: &Letter<'_>, author: Option<&Person>, found: &mut Found<'_>) {
    let reply = letter.people("reply-to").into_iter().next();
    let (Some(author), Some(reply)) = (author, reply) else { return };
    let is_elsewhere = registrable(&author.domain) != registrable(&reply.domain);
    if is_elsewhere && !letter.is_of_list() && is_free_mailer(&reply.domain) {
        found.hit("FREEMAIL_FORGED_REPLYTO", &reply.domain);
    }
}
