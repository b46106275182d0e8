//! From `[outbound]`, `[queue]` and `[submission]` to what mail going out takes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use dns::{Families, Resolver};
use mail_types::{Address, AddressDomain, DomainName, Secret};
use mta::{
    BreakerSettings, Identity, Loopback, OutboundRooms, OutboundSettings, PolicyFetchError, RelayCredentials,
    ReportAuthor, Routing, SendingLimits, StsRooms, Timeouts, TlsWish, TlsWishes,
};
use platform::egress::Egress;
use platform::metrics::Metrics;
use platform::workers::{Workers, WorkersSettings};
use queue::CredentialsName;
use smtp::client::ChunkingUse;
use tls::{Connector, ConnectorTrust};
use web::fetch::{FetchError, Get, Origin};

use crate::house::House;
use crate::keys::Srs;
use crate::reports::Poster;
use crate::settings::Settings;
use crate::settings::way::{self, Reach};
use crate::way as step;

/// What mail going out works with.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn rooms(
    settings: &Settings,
    house: &House,
    resolver: &Resolver,
    metrics: &Metrics,
) -> anyhow::Result<OutboundRooms> {
    let (book, tally) = (house.way.clone(), house.tls_tally.clone());
    // Each connection may have to log in at the same time.
    let queue_max = settings.count("queue.connections_max");
    Ok(OutboundRooms {
        queue: house.queue.clone(),
        store: house.store.clone(),
        directory: house.directory.clone(),
        resolver: resolver.clone(),
        clock: house.clock.clone(),
        next_transaction: house.transactions.giver(),
        workers: Workers::start("relay logins", WorkersSettings { threads: 1, queue_max }, metrics)
            .context("starting the threads that log in at relays")?,
        breaker: house.breaker.clone(),
        attempts: Arc::new(move |attempt| book.record(step::attempt_step(&attempt))),
        tls_results: Arc::new(move |result| tally.record(result)),
    })
}

/// The queue's settings.
pub(crate) fn queue_settings(settings: &Settings) -> queue::Settings {
    queue::Settings {
        lifetime: settings.time("queue.lifetime"),
        report_lifetime: settings.time("queue.report_lifetime"),
        warn_after: settings.time("queue.warn_after"),
        retry_first: settings.time("queue.retry_first"),
        retry_longest: settings.time("queue.retry_longest"),
        connections_max: settings.count("queue.connections_max"),
        destination_connections_max: settings.count("queue.destination_connections_max"),
        destination_connections_first: settings.count("queue.destination_connections_first"),
    }
}

/// Where mail for others goes, and who may send it.
pub(super) fn routing(settings: &Settings, srs: &Srs) -> Routing {
    let domains =
        |key: &str| settings.list(key).iter().filter_map(|text| DomainName::parse(text).ok()).collect();
    Routing {
        srs: settings.switch("srs.enabled").then(|| srs.keys.clone()),
        transports: settings.list("outbound.transports").iter().filter_map(|t| way::transport(t)).collect(),
        direct_domains: domains("outbound.direct_domains"),
        sender_relays: settings
            .list("outbound.sender_relays")
            .iter()
            .filter_map(|text| way::sender_relay(text))
            .collect(),
        relay: way::relay(&settings.text("outbound.relay")),
        backup_domains: domains("outbound.backup_domains"),
        relay_networks: settings.networks("outbound.relay_networks"),
        undo_window: settings.time("submission.undo_window"),
        limits: SendingLimits {
            messages_an_hour: limit(settings, "submission.messages_an_hour"),
            messages_a_day: limit(settings, "submission.messages_a_day"),
            recipients_an_hour: limit(settings, "submission.recipients_an_hour"),
            recipients_a_day: limit(settings, "submission.recipients_a_day"),
        },
    }
}

/// When an account is stopped, and how many new people it may write to.
pub(crate) fn breaker_settings(settings: &Settings) -> BreakerSettings {
    let number = |key: &str| u32::try_from(settings.number(key)).unwrap_or(u32::MAX);
    BreakerSettings {
        is_on: settings.switch("breaker.enabled"),
        new_recipients_an_hour: limit(settings, "submission.new_recipients_an_hour"),
        new_recipients_a_day: limit(settings, "submission.new_recipients_a_day"),
        new_recipients: number("breaker.new_recipients"),
        wrong_recipients: number("breaker.wrong_recipients"),
        new_networks: number("breaker.new_networks"),
        unwanted: number("breaker.unwanted"),
        complaints: number("breaker.complaints"),
        exempt: settings.list("breaker.exempt").iter().filter_map(|text| Address::parse(text).ok()).collect(),
    }
}

/// Whose complaints are believed about mail to any recipient.
pub(crate) fn feedback_loops(settings: &Settings) -> Vec<DomainName> {
    settings.list("breaker.feedback_loops").iter().filter_map(|text| DomainName::parse(text).ok()).collect()
}

fn limit(settings: &Settings, key: &str) -> Option<u32> {
    u32::try_from(settings.number(key)).ok().filter(|&limit| limit > 0)
}

/// How mail leaves.
///
/// # Errors
/// When the file of credentials cannot be read, or a relay names some that are not in it.
pub(super) fn outbound_settings(settings: &Settings, srs: &Srs) -> anyhow::Result<OutboundSettings> {
    let hostname = settings.hostname();
    let report_from = match Address::parse(&settings.text("outbound.report_from")) {
        Ok(address) => ReportAuthor::Named(address),
        Err(_) => {
            let domain = AddressDomain::Name(hostname.clone());
            ReportAuthor::Postmaster(Address::new("postmaster", domain)?)
        }
    };
    let identity = Identity {
        hello: DomainName::parse(&settings.text("outbound.hello")).unwrap_or_else(|_| hostname.clone()),
        ipv4: settings.text("outbound.bind_v4").parse().ok(),
        ipv6: settings.text("outbound.bind_v6").parse().ok(),
    };
    let routing = routing(settings, srs);
    let credentials = credentials(&settings.text("outbound.credentials_file"))?;
    check_credentials(&routing, &credentials)?;
    Ok(OutboundSettings {
        identity,
        identities: settings.list("outbound.identities").iter().filter_map(|t| way::identity(t)).collect(),
        own_addresses: own_addresses(settings),
        own_names: vec![hostname],
        loopback: if settings.switch("outbound.to_loopback") {
            Loopback::Others
        } else {
            Loopback::Ourselves
        },
        port: u16::try_from(settings.number("outbound.port")).unwrap_or(25),
        families: families(settings),
        tls: way::tls_wish(&settings.text("outbound.tls")).unwrap_or(TlsWish::Automatic),
        tls_wishes: tls_wishes(settings),
        sts_port: u16::try_from(settings.number("outbound.mta_sts_port")).unwrap_or(443),
        trusted_roots: trusted_roots(&settings.path("outbound.trusted_roots")),
        credentials,
        chunking: match settings.switch("outbound.chunking") {
            true => ChunkingUse::WhenOffered,
            false => ChunkingUse::WhenNeeded,
        },
        timeouts: timeouts(settings),
        idle_wait: settings.time("outbound.idle_wait"),
        messages_max: u32::try_from(settings.number("outbound.messages_max")).unwrap_or(u32::MAX),
        recipients_max: settings.count("outbound.recipients_max"),
        returned_octets_max: settings.number("outbound.returned_octets_max"),
        routing,
        report_from,
    })
}

fn families(settings: &Settings) -> Families {
    match settings.text("outbound.families").as_str() {
        "ipv4" => Families::Ipv4,
        "ipv6" => Families::Ipv6,
        _ => Families::Both,
    }
}

/// Who posts reports: from the addresses that mail leaves from, to servers that the usual authorities vouch for.
///
/// # Errors
/// When the authorities' certificates cannot be read.
pub(super) fn poster(settings: &Settings) -> anyhow::Result<Poster> {
    let timeouts = timeouts(settings);
    let roots = trusted_roots(&settings.path("outbound.trusted_roots"));
    Ok(Poster {
        families: families(settings),
        egress: Egress {
            ipv4: settings.text("outbound.bind_v4").parse().ok(),
            ipv6: settings.text("outbound.bind_v6").parse().ok(),
            connect_timeout: timeouts.connect,
            fall_over: timeouts.fall_over,
        },
        connector: Connector::new(&ConnectorTrust::Roots(roots), timeouts.handshake)?,
        is_loopback_others: settings.switch("outbound.to_loopback"),
    })
}

/// Where other servers reach us: the addresses we listen on, and, where we listen on all, those of the interfaces. One
/// behind an address translation is not among them; there the name in the MX must be ours.
fn own_addresses(settings: &Settings) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = settings.listener("smtp").iter().map(std::net::SocketAddr::ip).collect();
    if addresses.iter().any(IpAddr::is_unspecified) {
        match platform::network::interface_addresses() {
            Ok(of_interfaces) => addresses.extend(of_interfaces),
            Err(error) => {
                tracing::warn!(%error, "the addresses of this host are not known; mail loops are found later")
            }
        }
    }
    addresses
}

fn tls_wishes(settings: &Settings) -> TlsWishes {
    let mut wishes = TlsWishes::default();
    for (domain, reach, wish) in
        settings.list("outbound.tls_domains").iter().filter_map(|t| way::tls_domain(t))
    {
        match reach {
            Reach::Domain => wishes.domains.insert(domain, wish),
            Reach::Below => wishes.below.insert(domain, wish),
        };
    }
    wishes
}

/// What other domains' policies need: a place, and somebody who fetches them.
pub(super) fn sts_rooms(settings: &Settings) -> StsRooms {
    StsRooms {
        directory: settings.path("data").join("mta-sts"),
        fetch: Arc::new(|order| {
            let get = Get {
                origin: Origin {
                    host: order.host.as_str().to_owned(),
                    addresses: order.addresses,
                    egress: order.egress,
                    connector: order.connector,
                },
                path: order.path,
                media_type: order.media_type,
                octets_max: order.octets_max,
            };
            Box::pin(async move {
                web::fetch::fetch(get).await.map_err(|error| match &error {
                    FetchError::Tls(fault) if fault.certificate_fault().is_some() => {
                        PolicyFetchError::Certificate(error.to_string())
                    }
                    _ => PolicyFetchError::Failed(error.to_string()),
                })
            })
        }),
    }
}

fn timeouts(settings: &Settings) -> Timeouts {
    let command: Duration = settings.time("outbound.command_timeout");
    Timeouts {
        connect: settings.time("outbound.connect_timeout"),
        greeting: command,
        command,
        data: settings.time("outbound.data_timeout"),
        final_reply: settings.time("outbound.final_timeout"),
        ..Timeouts::default()
    }
}

/// The system's certificate authorities. Without them relays cannot be believed, which is told when one is used.
fn trusted_roots(file: &Path) -> Vec<String> {
    match std::fs::read_to_string(file) {
        Ok(roots) => vec![roots],
        Err(error) => {
            tracing::info!(file = %file.display(), %error, "no certificate authorities; relays with verified TLS cannot be used");
            Vec::new()
        }
    }
}

type Credentials = HashMap<CredentialsName, RelayCredentials>;

fn credentials(file: &str) -> anyhow::Result<Credentials> {
    if file.is_empty() {
        return Ok(HashMap::new());
    }
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("outbound.credentials_file {file} cannot be read"))?;
    read_credentials(&text).with_context(|| format!("outbound.credentials_file {file}"))
}

/// A line `NAME USER PASSWORD` each; the password may have blanks in it; `#` begins a remark.
fn read_credentials(text: &str) -> anyhow::Result<Credentials> {
    let mut all = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.splitn(3, char::is_whitespace);
        let (Some(name), Some(user), Some(password)) = (words.next(), words.next(), words.next()) else {
            bail!("line {number}: NAME USER PASSWORD is wanted");
        };
        let name = CredentialsName::parse(name)
            .with_context(|| format!("line {number}: a name is made of a-z, 0-9, - and _"))?;
        let password = Secret::from(password.trim_start());
        all.insert(name, RelayCredentials { user: user.to_owned(), password });
    }
    Ok(all)
}

fn check_credentials(routing: &Routing, known: &Credentials) -> anyhow::Result<()> {
    let transports = routing.transports.values().filter_map(|destination| match destination {
        queue::Destination::Relay(relay) => Some(relay),
        _ => None,
    });
    for relay in transports.chain(routing.sender_relays.values()).chain(routing.relay.as_ref()) {
        if let Some(name) = relay.credentials.as_ref().filter(|name| !known.contains_key(name)) {
            bail!(
                "a relay wants the credentials {:?}, which outbound.credentials_file does not have",
                name.as_str()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        let text = format!("hostname = \"mail.example.org\"\n{text}");
        Settings::read(&text, Path::new("/etc/m.toml"), std::iter::empty()).unwrap()
    }

    fn srs() -> Srs {
        Srs {
            keys: Arc::new(arc_swap::ArcSwap::from_pointee(sender_auth::srs::Secrets::new("secret".into()))),
            renew_after_days: 90,
            brought_along: Vec::new(),
        }
    }

    #[test]
    fn defaults_are_those_of_the_rooms() {
        let settings = settings("");
        let outbound = outbound_settings(&settings, &srs()).unwrap();
        let report_from = Address::parse("postmaster@mail.example.org").unwrap();
        let plain = OutboundSettings::new(settings.hostname(), report_from);
        assert_eq!(outbound.timeouts, plain.timeouts);
        assert_eq!(outbound.report_from, plain.report_from);
        assert_eq!((outbound.port, outbound.messages_max), (plain.port, plain.messages_max));
        assert_eq!(outbound.routing.limits, SendingLimits::default());
        let (ours, theirs) = (queue_settings(&settings), queue::Settings::default());
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }

    #[test]
    fn who_listens_everywhere_is_at_home_on_every_interface() {
        let everywhere = own_addresses(&settings(""));
        let of_interfaces = platform::network::interface_addresses().unwrap();
        assert!(of_interfaces.iter().all(|address| everywhere.contains(address) && !address.is_loopback()));
        let one: IpAddr = [192, 0, 2, 1].into();
        assert_eq!(own_addresses(&settings("[listen]\naddresses = [\"192.0.2.1\"]")), [one]);
    }

    #[test]
    fn credentials_are_found_by_name() {
        let all = read_credentials("# work\nwork ann pass word 1\n\nhome  \n").unwrap_err();
        assert!(all.to_string().contains("line 4"), "{all}");
        let all = read_credentials("work ann@example.org pass word 1\n").unwrap();
        let work = &all[&CredentialsName::parse("work").unwrap()];
        assert_eq!((work.user.as_str(), work.password.reveal()), ("ann@example.org", &b"pass word 1"[..]));
    }

    #[test]
    fn a_relay_without_its_credentials_is_told() {
        let settings = settings("[outbound]\nrelay = \"smtp.example.com:587 starttls work\"");
        let error = outbound_settings(&settings, &srs()).unwrap_err();
        assert!(error.to_string().contains("\"work\""), "{error}");
    }
}
