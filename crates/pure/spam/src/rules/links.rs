//! Links that hide where they lead, or lead where nobody would want to go.

use std::collections::HashSet;

use super::author::alike;
use super::likeness::imitated;
use super::services::is_shortener;
use super::{Found, domain_text};
use crate::domains::{is_on_free_host, registrable};
use crate::facts::Facts;
use crate::letter::Letter;
use crate::link::{Link, domains, is_numeric};
use crate::signs::mixes_scripts;

/// Domains of one message that are very many.
const MANY_DOMAINS: usize = 20;

/// Escapes of letters that need none, in one link.
const ESCAPES_MANY: usize = 5;

pub(super) fn judge(letter: &Letter<'_>, facts: &Facts<'_>, found: &mut Found<'_>) {
    let mut hosts = HashSet::new();
    for link in &letter.links {
        form(link, found);
        let Some(host) = link.host() else { continue };
        // Most links of a message go to the same few hosts.
        if hosts.insert(host) {
            whither(host, facts, found);
        }
        if let Some(shown) = shown_domain(&link.shown)
            && shown != registrable(host)
            && !is_numeric(host)
        {
            found.hit("LINK_MISMATCH", &format!("{shown} for {}", registrable(host)));
        }
    }
    found.when(domains(&letter.links).len() >= MANY_DOMAINS, "LINK_MANY_DOMAINS");
}

fn form(link: &Link, found: &mut Found<'_>) {
    let start = link.target.get(..11).unwrap_or(&link.target).to_ascii_lowercase();
    let holds_page =
        start == "javascript:" || start.starts_with("data:text/h") || start.starts_with("vbscript:");
    found.when(holds_page, "LINK_PROGRAM");
    let Some(authority) = link.authority() else { return };
    if let Some((user, host)) = authority.rsplit_once('@') {
        found.hit("LINK_USERINFO", &format!("{user} before {host}"));
    }
    if let Some(port) = link.port().filter(|port| !matches!(*port, "" | "80" | "443")) {
        found.hit("LINK_PORT", port);
    }
    found.when(authority.contains('%') || needless_escapes(&link.target) >= ESCAPES_MANY, "LINK_ESCAPED");
}

/// Escapes of letters and digits, which no program makes by itself.
fn needless_escapes(target: &str) -> usize {
    let path = target.split('?').next().unwrap_or_default();
    let escapes = path.split('%').skip(1).filter_map(|rest| rest.get(..2));
    escapes.filter(|two| u8::from_str_radix(two, 16).is_ok_and(|octet| octet.is_ascii_alphanumeric())).count()
}

fn whither(host: &str, facts: &Facts<'_>, found: &mut Found<'_>) {
    if is_numeric(host) {
        found.hit("LINK_NUMERIC", host);
        return;
    }
    if is_shortener(host) {
        found.hit("LINK_SHORTENER", host);
    }
    if is_on_free_host(host) {
        found.hit("LINK_FREE_HOST", host);
    }
    let text = domain_text(host);
    if mixes_scripts(&text) {
        found.hit("LINK_HOMOGRAPH", &text);
    }
    let is_ours = facts.ours.is_some_and(|ours| ours.has_domain(host));
    if is_ours {
        return;
    }
    if let Some(own) = facts.ours.and_then(|ours| alike(host, ours)) {
        found.hit("LINK_LOOKALIKE_OURS", &format!("{host} like {own}"));
    } else if let Some(brand) = imitated(host) {
        found.hit("LINK_LOOKALIKE", &format!("{host} like {brand}"));
    }
}

/// The registrable domain that a link's text shows, if all of the text is an address.
fn shown_domain(shown: &str) -> Option<String> {
    let shown = shown.trim();
    let is_address =
        shown.contains("://") || shown.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."));
    if !is_address || shown.contains(char::is_whitespace) {
        return None;
    }
    let link = Link::new(shown);
    let host = link.host()?;
    host.contains('.').then(|| registrable(host).to_owned())
}
