//! What a message's header tells: which fields in which order, the words of each, addresses, and oddities.

use message::{Date, decode_field_text, fields, parse_addresses};

use crate::collector::Collector;
use crate::signs;
use crate::words::{shape, words};

/// Octets of a header that are looked at.
pub(crate) const HEADER_OCTETS_MAX: usize = 32 * 1024;

/// Fields that are looked at.
const FIELDS_MAX: usize = 100;

/// Octets of one field that are looked at.
const FIELD_OCTETS_MAX: usize = 1_024;

/// Words of one field that are looked at.
const FIELD_WORDS_MAX: usize = 48;

/// Trace fields that are looked at, newest first; older ones are the sender's word.
const RECEIVED_MAX: usize = 6;

/// Addresses of one field that are looked at.
const ADDRESSES_MAX: usize = 8;

/// Octets of the header whose runs of octets are looked at.
const GRAM_OCTETS_MAX: usize = 8_000;

/// Octets of one trace field, and of all, whose runs of octets are looked at.
const TRACE_FIELD_OCTETS_MAX: usize = 600;
const TRACE_OCTETS_MAX: usize = 8_000;

/// What other filters and mail programs have written on top: a sender could write it too.
const FOREIGN: [&str; 21] = [
    "x-spam",
    "x-bogosity",
    "x-rspamd",
    "x-spamd",
    "x-virus",
    "x-amavis",
    "status",
    "x-status",
    "x-keywords",
    "x-uid",
    "x-mozilla",
    "content-length",
    "lines",
    "x-dspam",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "x-envelope",
    "x-delivered",
    "delivery-date",
    "x-fetchmail",
];

/// Takes the header's features; `header` ends before the body.
pub(crate) fn take(header: &[u8], collector: &mut Collector) {
    let header = header.get(..HEADER_OCTETS_MAX).unwrap_or(header);
    let mut seen = signs::Seen::default();
    let mut octets = Vec::with_capacity(GRAM_OCTETS_MAX);
    let mut names = Vec::new();
    let mut trace = Vec::new();
    let mut received = 0;
    for field in fields(header).take(FIELDS_MAX) {
        if field.name.is_empty() || field.name.len() > 64 {
            if !field.raw.starts_with(b"From ") && !field.raw.starts_with(b">From ") {
                collector.sign("a header line that is no field");
            }
            continue;
        }
        let name = String::from_utf8_lossy(field.name).into_owned();
        let lower = name.to_ascii_lowercase();
        if FOREIGN.iter().any(|foreign| lower.starts_with(foreign)) {
            continue;
        }
        let value = field.unfolded();
        let value = value.trim_ascii();
        let value = value.get(..FIELD_OCTETS_MAX).unwrap_or(value);
        if lower == "received" {
            received += 1;
            if received <= RECEIVED_MAX {
                take_received(value, collector);
            }
            if trace.len() < TRACE_OCTETS_MAX {
                take_trace(value, &mut trace);
            }
        } else {
            if lower != "return-path" {
                names.push(name);
            }
            take_field(&lower, value, collector, &mut seen);
        }
        if octets.len() < GRAM_OCTETS_MAX && has_grams(&lower) {
            octets.extend_from_slice(field.name);
            octets.extend_from_slice(b": ");
            octets.extend_from_slice(value.get(..400).unwrap_or(value));
            octets.push(b'\n');
        }
    }
    collector.begin("field");
    for name in &names {
        collector.word(name);
    }
    collector.begin("hops");
    collector.lone(["0", "1", "2", "3", "4", "5", "6", "7"].get(received).unwrap_or(&"many"));
    octets.truncate(GRAM_OCTETS_MAX);
    collector.grams(&octets);
    trace.truncate(TRACE_OCTETS_MAX);
    collector.trace_grams(&trace);
    seen.conclude(collector);
}

/// Dates say when, not what.
fn has_grams(name: &str) -> bool {
    !matches!(name, "date" | "received" | "delivery-date" | "resent-date")
}

fn take_field(name: &str, value: &[u8], collector: &mut Collector, seen: &mut signs::Seen) {
    match name {
        "subject" => {
            let text = decode_field_text(value);
            collector.begin("subject");
            words(&text, FIELD_WORDS_MAX, collector);
            signs::subject(value, &text, collector);
            seen.has_subject = true;
        }
        "from" => {
            addresses("from", value, collector);
            signs::author(value, collector, seen);
        }
        "reply-to" => {
            addresses("reply-to", value, collector);
            seen.reply_to = parse_addresses(value, 1).into_iter().next();
        }
        "sender" => addresses("sender", value, collector),
        "return-path" => addresses("return-path", value, collector),
        "to" => {
            addresses("to", value, collector);
            signs::recipients(value, collector);
            seen.has_to = true;
        }
        "cc" => addresses("cc", value, collector),
        "date" => {
            seen.has_date = true;
            date(value, collector);
        }
        "message-id" | "resent-message-id" => {
            seen.has_message_id = true;
            message_id(value, collector);
        }
        "in-reply-to" | "references" => {
            seen.is_answer = true;
            collector.begin("answers");
            let host = value.rsplit(|&octet| octet == b'@').next().unwrap_or_default();
            words(&String::from_utf8_lossy(host), 4, collector);
        }
        "content-type" => {
            collector.begin("content-type");
            let text = String::from_utf8_lossy(value).into_owned();
            let (kind, boundary) = match text.to_ascii_lowercase().find("boundary") {
                Some(at) => (text.get(..at).unwrap_or_default(), text.get(at..).unwrap_or_default()),
                None => (text.as_str(), ""),
            };
            words(kind, FIELD_WORDS_MAX, collector);
            if !boundary.is_empty() {
                collector.begin("boundary");
                collector.lone(&shape(boundary.as_bytes()));
            }
        }
        _ => other(name, value, collector),
    }
}

/// A field that has no meaning here of its own: its name with its words.
fn other(name: &str, value: &[u8], collector: &mut Collector) {
    collector.begin("other field");
    let text = decode_field_text(value);
    let mut line = String::with_capacity(name.len() + text.len());
    for word in text.split_whitespace().take(12) {
        line.clear();
        line.push_str(name);
        line.push('=');
        line.push_str(word.get(..word.floor_char_boundary(40)).unwrap_or_default());
        collector.word(&line);
    }
}

/// Who passed the message on: names and networks, no ids, no times.
fn take_received(value: &[u8], collector: &mut Collector) {
    let text = String::from_utf8_lossy(value).into_owned();
    let mut tokens = text
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '<' | '>' | '@'))
        .filter(|token| !token.is_empty());
    if !tokens.next().is_some_and(|first| first.eq_ignore_ascii_case("from")) {
        return;
    }
    let from: Vec<&str> = tokens.take_while(|token| !token.eq_ignore_ascii_case("by")).take(16).collect();
    if from.iter().any(|token| is_near(token)) {
        return;
    }
    collector.begin("received");
    for token in from {
        let token = token.trim_matches(|c: char| matches!(c, ';' | ',' | '.'));
        if token.is_empty() || token.len() > 80 {
            continue;
        }
        match token.parse::<std::net::Ipv4Addr>() {
            Ok(address) => {
                collector.word("<address>");
                let [a, b, c, _] = address.octets();
                collector.lone(&format!("{a}.{b}."));
                collector.lone(&format!("{a}.{b}.{c}."));
            }
            Err(_) if token.contains('.') => {
                let token = token.to_ascii_lowercase();
                collector.word(&token);
                domain(&token, collector);
            }
            Err(_) if token.bytes().any(|octet| octet.is_ascii_digit()) => {
                collector.word(&shape(token.as_bytes()));
            }
            Err(_) => collector.word(&token.to_ascii_lowercase()),
        }
    }
}

/// A trace field as it is written, but that all numbers look alike: ids and times say nothing of what will come.
fn take_trace(value: &[u8], trace: &mut Vec<u8>) {
    let value = value.get(..TRACE_FIELD_OCTETS_MAX).unwrap_or(value);
    trace.extend(value.iter().map(|octet| match octet {
        b'0'..=b'9' => b'0',
        other => other.to_ascii_lowercase(),
    }));
    trace.push(b'\n');
}

/// Whether a hop began on the same machine or network, which says nothing of the sender.
fn is_near(token: &str) -> bool {
    token.eq_ignore_ascii_case("localhost")
        || token
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback() || address.is_private())
}

/// A host's domains from the top down.
pub(crate) fn domain(host: &str, collector: &mut Collector) {
    let dots = host.bytes().enumerate().filter(|(_, octet)| *octet == b'.').map(|(at, _)| at);
    for at in dots.collect::<Vec<_>>().into_iter().rev().take(3) {
        collector.lone(host.get(at..).unwrap_or_default());
    }
    collector.lone(host);
}

fn addresses(place: &'static str, value: &[u8], collector: &mut Collector) {
    collector.begin(place);
    words(&decode_field_text(value), FIELD_WORDS_MAX, collector);
    for one in parse_addresses(value, ADDRESSES_MAX) {
        if let Some((local, host)) = address_of(&one) {
            collector.lone(&shape(local.as_bytes()));
            domain(&host, collector);
        }
    }
}

/// Local part and host of an addressee, the host in lower case.
pub(crate) fn address_of(one: &message::Addressee) -> Option<(String, String)> {
    let message::Addressee::Mailbox { local_part, domain, .. } = one else { return None };
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    Some((text(local_part), text(domain).to_ascii_lowercase()))
}

fn date(value: &[u8], collector: &mut Collector) {
    collector.begin("date");
    collector.lone(&shape(value));
    let text = String::from_utf8_lossy(value);
    if let Some(zone) = text.split_whitespace().find(|word| word.starts_with(['+', '-'])) {
        collector.lone(zone);
    }
    match Date::parse(value) {
        None => collector.sign("a date that cannot be read"),
        Some(date) => {
            let day = date.local().day_name();
            if text.contains(',') && !text.trim_start().starts_with(day) {
                collector.sign("a date with the wrong day of the week");
            }
        }
    }
}

fn message_id(value: &[u8], collector: &mut Collector) {
    collector.begin("message-id");
    collector.lone(&shape(value));
    let host = value.rsplit(|&octet| octet == b'@').next().unwrap_or_default();
    domain(String::from_utf8_lossy(host).trim_matches(['<', '>', ' ']), collector);
    if !value.starts_with(b"<") || !value.ends_with(b">") {
        collector.sign("a Message-ID without angle brackets");
    }
}
