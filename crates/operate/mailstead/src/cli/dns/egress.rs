//! `dns resolve --egress`: from which addresses the world sees our questions.
//!
//! Some name servers answer with the address that the question came from. Who walks down from the root asks them from its
//! own address; a forwarder asks them from its own, and that is what is seen then.

use std::fmt::Write;
use std::net::IpAddr;
use std::process::ExitCode;

use dns::{Families, Name, RecordData, RecordType};
use serde_json::json;

use super::ask;
use crate::settings::Settings;
use crate::wire::dns_settings;

/// Names whose servers tell in a text who asked, each of another operator; the first that answers is believed.
const MIRRORS: [&str; 2] = ["o-o.myaddr.l.google.com", "whoami.ds.akahelp.net"];

/// What is seen of one address family.
struct Seen {
    family: &'static str,
    /// The address, and who told it.
    address: Result<(IpAddr, &'static str), String>,
    /// The address that `[dns]` names.
    wanted: Option<IpAddr>,
}

impl Seen {
    fn is_right(&self) -> bool {
        let Ok((address, _)) = &self.address else { return false };
        self.wanted.is_none_or(|wanted| wanted == *address)
    }
}

pub(super) fn run(settings: &Settings, json: bool) -> anyhow::Result<ExitCode> {
    let settings = dns_settings(settings);
    let forwards = matches!(settings.mode, dns::Mode::Forward(_));
    let mut seen = Vec::new();
    for (families, family, wanted) in [
        (Families::Ipv4, "IPv4", settings.bind_v4.map(IpAddr::V4)),
        (Families::Ipv6, "IPv6", settings.bind_v6.map(IpAddr::V6)),
    ] {
        if settings.families == Families::Both || settings.families == families {
            let address = address(&dns::Settings { families, ..settings.clone() })?;
            seen.push(Seen { family, address, wanted: wanted.filter(|_| !forwards) });
        }
    }
    if json {
        let families = seen.iter().map(|seen| {
            json!({
                "family": seen.family,
                "address": seen.address.as_ref().ok().map(|(address, _)| address.to_string()),
                "told_by": seen.address.as_ref().ok().map(|(_, mirror)| mirror),
                "error": seen.address.as_ref().err(),
                "wanted": seen.wanted.map(|wanted| wanted.to_string()),
            })
        });
        println!("{:#}", json!({ "forwarded": forwards, "families": families.collect::<Vec<_>>() }));
    } else {
        print!("{}", text(&seen, forwards));
    }
    // A host of one family is right with one; but what is seen must be what was meant.
    let told = seen.iter().filter(|seen| seen.address.is_ok());
    let is_right = told.clone().count() > 0
        && told.clone().all(Seen::is_right)
        && seen.iter().all(|seen| seen.wanted.is_none() || seen.is_right());
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::from(crate::cli::FAILED) })
}

/// The address that a mirror tells, asked over one family.
fn address(settings: &dns::Settings) -> anyhow::Result<Result<(IpAddr, &'static str), String>> {
    let mut why = String::new();
    for mirror in MIRRORS {
        let outcome = match ask(settings, &Name::parse(mirror)?, RecordType::Txt) {
            Ok((outcome, _)) => outcome,
            // No server of this family is known.
            Err(error) => return Ok(Err(error.to_string())),
        };
        match outcome {
            Ok(answer) => match answer.records.iter().find_map(address_in) {
                Some(address) => return Ok(Ok((address, mirror))),
                None => why = format!("{mirror} tells no address"),
            },
            Err(error) => why = format!("{mirror}: {error}"),
        }
    }
    Ok(Err(why))
}

/// The address in a text such as `192.0.2.1` or `ns 192.0.2.1`.
fn address_in(record: &RecordData) -> Option<IpAddr> {
    let RecordData::Text(text) = record else { return None };
    let text = String::from_utf8_lossy(text);
    // What one of them tells of the network that a forwarder asks for (RFC 7871) is not who asked.
    let subject = text.strip_prefix("ns").unwrap_or(&text);
    subject.trim().parse().ok()
}

fn text(seen: &[Seen], forwards: bool) -> String {
    let mut text = String::new();
    for seen in seen {
        let family = seen.family;
        // Writing into a String cannot fail.
        let _ = match (&seen.address, seen.wanted) {
            (Ok((address, mirror)), None) => {
                writeln!(text, "{family}: the world sees {address} (told by {mirror})")
            }
            (Ok((address, mirror)), Some(wanted)) if wanted == *address => {
                writeln!(text, "{family}: the world sees {address}, as the settings say (told by {mirror})")
            }
            (Ok((address, mirror)), Some(wanted)) => writeln!(
                text,
                "{family}: the world sees {address}, but the settings say {wanted} (told by {mirror})"
            ),
            (Err(why), _) => writeln!(text, "{family}: not seen: {why}"),
        };
    }
    if forwards {
        text += "Forwarders are asked: what is seen is their address.\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_what_mirrors_tell() {
        let found = |text: &str| address_in(&RecordData::Text(text.as_bytes().to_vec()));
        assert_eq!(found("192.0.2.1"), "192.0.2.1".parse().ok());
        assert_eq!(found("ns2001:db8::1"), "2001:db8::1".parse().ok());
        assert_eq!(found("edns0-client-subnet 192.0.2.0/24"), None);
    }

    #[test]
    fn what_is_seen_is_compared_with_what_is_meant() {
        let (one, other): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let seen = |wanted| Seen { family: "IPv4", address: Ok((one, "mirror.test")), wanted };
        assert!(seen(None).is_right() && seen(Some(one)).is_right() && !seen(Some(other)).is_right());
        assert_eq!(
            text(&[seen(Some(other))], false),
            "IPv4: the world sees 192.0.2.1, but the settings say 192.0.2.2 (told by mirror.test)\n"
        );
    }
}
