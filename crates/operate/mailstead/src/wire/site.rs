//! From the settings and the directory to what the world has to know of this server: its host and its domains.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use dns::{Authority, Name, Resolver};
use mail_types::{Address, AddressDomain, DomainName};
use platform::clock::Clock;
use platform::egress::Egress;
use platform::metrics::Metrics;
use provision::{
    Certificate, Domain, Host, Identity, Key, Probes, Purpose, Services, Site, Validation, World,
};
use tls::Leaf;

use super::{certificate_files, dns_settings, own_policy, policy_id};
use crate::admin::{PublishedDomain, PublishedKey};
use crate::settings::{Settings, way};

/// How long somebody else's mail host may take to be connected to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much later its next address is tried beside one that has not answered yet (RFC 8305 §5).
const FALL_OVER: Duration = Duration::from_millis(250);
/// Who reads the reports of others, at each domain: an address that is always taken (RFC 5321 §4.5.1).
const REPORT_READER: &str = "postmaster";

/// The server as the world should see it.
///
/// # Errors
/// When a certificate cannot be read, or a domain is none.
pub(crate) fn site(settings: &Settings, domains: &[PublishedDomain]) -> anyhow::Result<Site> {
    let hostname = settings.hostname();
    let greeting = DomainName::parse(&settings.text("outbound.hello")).unwrap_or_else(|_| hostname.clone());
    let certificates = own_certificates(settings)?;
    let issuers = certificates.iter().filter_map(|leaf| provision::issuer_domain(leaf.issuer.as_deref()?));
    let mut issuers: Vec<String> = issuers.map(str::to_owned).collect();
    issuers.dedup();
    let host = Host {
        name: hostname,
        greeting,
        addresses: public_addresses(settings),
        senders: addresses(&settings.text("outbound.bind_v4"), &settings.text("outbound.bind_v6")),
        services: services(settings),
        certificate_keys: certificates.iter().map(|leaf| leaf.public_key_sha256).collect(),
        certificate_issuers: issuers,
    };
    let domains = domains.iter().map(|published| domain(settings, published)).collect::<Result<_, _>>()?;
    Ok(Site { host, domains })
}

fn domain(settings: &Settings, published: &PublishedDomain) -> anyhow::Result<Domain> {
    let name = DomainName::parse(&published.domain).context("a domain of the directory")?;
    let identity = settings
        .list("outbound.identities")
        .iter()
        .filter_map(|text| way::identity(text))
        .find(|(domain, _)| *domain == name)
        .map(|(_, identity)| Identity {
            greeting: identity.hello,
            addresses: identity
                .ipv4
                .map(IpAddr::V4)
                .into_iter()
                .chain(identity.ipv6.map(IpAddr::V6))
                .collect(),
        });
    let key = |key: &PublishedKey| Key {
        selector: key.selector.clone(),
        record: key.record.clone(),
        purpose: match key.state.as_str() {
            "retired" => Purpose::RetiredKey,
            _ => Purpose::SigningKey,
        },
    };
    Ok(Domain {
        identity,
        keys: published.keys.iter().map(key).collect(),
        encryption_policy: settings.switch("listen.https.enabled").then(|| policy_id(&own_policy(settings))),
        reports_to: Address::new(REPORT_READER, AddressDomain::Name(name.clone()))?,
        name,
    })
}

/// What `dns check` looks at besides records.
///
/// # Errors
/// When a certificate cannot be read.
pub(crate) fn probes(settings: &Settings) -> anyhow::Result<Probes> {
    let certificates = own_certificates(settings)?;
    let certificate = certificates
        .into_iter()
        .next()
        .map(|leaf| Certificate { names: leaf.names, is_self_signed: leaf.is_self_signed });
    let lists = settings.list("dns.check_block_lists");
    // What goes by a smart host needs no way out of its own.
    let is_direct = settings.text("outbound.relay").is_empty();
    let mail_host = Name::parse(&settings.text("dns.check_port25_host")).ok().filter(|_| is_direct);
    let port = u16::try_from(settings.number("outbound.port")).unwrap_or(25);
    Ok(Probes {
        certificate,
        block_lists: lists.iter().filter_map(|list| Name::parse(list).ok()).collect(),
        mail_host: mail_host.map(|host| (host, port)),
        egress: Egress {
            ipv4: settings.text("outbound.bind_v4").parse().ok(),
            ipv6: settings.text("outbound.bind_v6").parse().ok(),
            connect_timeout: CONNECT_TIMEOUT,
            fall_over: FALL_OVER,
        },
        validation: match settings.list("dns.trust_anchors").is_empty() {
            true => Validation::Off,
            false => Validation::On,
        },
    })
}

/// The world of names, asked as the server asks it. To be called inside a Tokio runtime.
///
/// # Errors
/// When the resolver cannot be made from these settings.
pub(crate) fn world(settings: &Settings) -> anyhow::Result<World> {
    let settings = dns_settings(settings);
    let resolver = Resolver::new(&settings, Clock::system(), &Metrics::new())?;
    let families = settings.families;
    Ok(World::new(resolver, Authority::new(&settings), families))
}

/// The certificates that are shown under the host's name: those for it, or the first where none is.
fn own_certificates(settings: &Settings) -> anyhow::Result<Vec<Leaf>> {
    let files = certificate_files(settings);
    let leaves: Vec<Leaf> = files.iter().map(|files| Leaf::read(&files.chain)).collect::<Result<_, _>>()?;
    let hostname = settings.hostname();
    let above = hostname.as_str().split_once('.').map(|(_, above)| format!("*.{above}"));
    let is_own = |leaf: &&Leaf| {
        leaf.names.iter().any(|name| name == hostname.as_str() || Some(name) == above.as_ref())
    };
    let own: Vec<Leaf> = leaves.iter().filter(is_own).cloned().collect();
    Ok(if own.is_empty() { leaves.into_iter().take(1).collect() } else { own })
}

/// Where the world reaches this server: as told, else the public addresses among those it listens on for mail.
fn public_addresses(settings: &Settings) -> Vec<IpAddr> {
    let told = settings.list("dns.public_addresses");
    if !told.is_empty() {
        return told.iter().filter_map(|text| text.parse().ok()).collect();
    }
    let listening: Vec<IpAddr> = settings.listener("smtp").iter().map(std::net::SocketAddr::ip).collect();
    let of_interfaces = match listening.iter().any(IpAddr::is_unspecified) {
        true => platform::network::interface_addresses().unwrap_or_default(),
        false => Vec::new(),
    };
    let everywhere = |address: &IpAddr| {
        listening.iter().any(|other| other.is_unspecified() && other.is_ipv4() == address.is_ipv4())
    };
    let mut addresses: Vec<IpAddr> = of_interfaces.into_iter().filter(everywhere).collect();
    addresses.extend(&listening);
    addresses.retain(is_public);
    addresses.sort();
    addresses.dedup();
    addresses
}

/// Whether the world can reach an address: it is nobody's private one (RFC 6890).
fn is_public(address: &IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => {
            let [a, b, ..] = four.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_local = four.is_private() || four.is_loopback() || four.is_link_local();
            !(is_local || is_shared || four.is_unspecified() || four.is_documentation())
        }
        // Global unicast is 2000::/3 (RFC 4291 §2.4), documentation has 2001:db8::/32 of it.
        IpAddr::V6(six) => six.segments()[0] & 0xe000 == 0x2000 && six.segments()[..2] != [0x2001, 0x0db8],
    }
}

/// What mail programs are offered. A listener that only this machine reaches offers nothing, unless something stands in
/// front of it.
fn services(settings: &Settings) -> Services {
    let is_fronted = !settings.list("dns.public_addresses").is_empty()
        || !settings.list("listen.proxy_networks").is_empty();
    let port = |listener: &str| {
        let places = settings.listener(listener);
        let is_reached = is_fronted || places.iter().any(|place| !place.ip().is_loopback());
        places.first().filter(|_| is_reached).map(std::net::SocketAddr::port)
    };
    Services {
        submissions: port("submissions"),
        submission: port("submission"),
        imaps: port("imaps"),
        imap: port("imap"),
        sieve: port("managesieve"),
        // No listener of ours serves these.
        jmap: None,
        configuration: None,
    }
}

fn addresses(four: &str, six: &str) -> Vec<IpAddr> {
    [four, six].iter().filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(text: &str) -> Settings {
        let text = format!("hostname = \"mail.example.org\"\n{text}");
        Settings::read(&text, Path::new("/etc/m.toml"), std::iter::empty()).unwrap()
    }

    #[test]
    fn private_addresses_are_not_told() {
        for (text, public) in [
            ("198.41.0.4", true),
            ("10.0.0.1", false),
            ("100.63.255.255", true),
            ("100.64.0.0", false),
            ("100.127.255.255", false),
            ("100.128.0.0", true),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("2001:4860::1", true),
            ("2001:db8::1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("::1", false),
        ] {
            assert_eq!(is_public(&text.parse().unwrap()), public, "{text}");
        }
    }

    #[test]
    fn what_only_this_machine_reaches_is_not_offered() {
        let local = settings("[listen]\naddresses = [\"127.0.0.1\"]");
        assert_eq!(services(&local), Services::default());
        let fronted =
            settings("[listen]\naddresses = [\"127.0.0.1\"]\n[dns]\npublic_addresses = [\"192.0.2.7\"]");
        assert_eq!(services(&fronted).imaps, Some(993));
        assert_eq!(public_addresses(&fronted), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        let off = settings("[listen.imap]\nenabled = false");
        assert_eq!((services(&off).imap, services(&off).submissions), (None, Some(465)));
    }

    #[test]
    fn a_domain_is_sent_from_its_identity() {
        let settings = settings("[outbound]\nidentities = [\"example.org=out.example.org 192.0.2.8\"]");
        let published = |domain: &str| PublishedDomain { domain: domain.into(), keys: Vec::new() };
        let site = site(&settings, &[published("example.org"), published("other.example")]).unwrap();
        let identity = site.domains[0].identity.as_ref().unwrap();
        assert_eq!(identity.addresses, ["192.0.2.8".parse::<IpAddr>().unwrap()]);
        assert_eq!(site.domains[1].identity, None);
        assert_eq!(site.domains[1].reports_to.to_string(), "postmaster@other.example");
    }
}
