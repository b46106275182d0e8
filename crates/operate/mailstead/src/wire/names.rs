//! From `[dns]` to what the resolver takes.

use std::net::SocketAddr;

use dns::{Bounds, Families, LocalAddress, LocalService, Mode, ServiceError};

use crate::settings::Settings;

/// The resolver's settings.
pub(crate) fn dns_settings(settings: &Settings) -> dns::Settings {
    let forwarders: Vec<_> = parsed(settings, "dns.forwarders");
    let mode = if forwarders.is_empty() {
        Mode::Recursive { root_hints: parsed(settings, "dns.root_hints") }
    } else {
        Mode::Forward(forwarders)
    };
    dns::Settings {
        mode,
        trust_anchors: parsed(settings, "dns.trust_anchors"),
        trust_anchor_file: Some(settings.path("data").join("trust-anchors")),
        forwarder_ca: Some(settings.text("dns.forwarder_ca")).filter(|file| !file.is_empty()).map(Into::into),
        bind_v4: settings.text("dns.bind_v4").parse().ok(),
        bind_v6: settings.text("dns.bind_v6").parse().ok(),
        families: match settings.text("dns.families").as_str() {
            "ipv4" => Families::Ipv4,
            "ipv6" => Families::Ipv6,
            _ => Families::Both,
        },
        allowed_servers: settings.networks("dns.allowed_networks"),
        server_port: u16::try_from(settings.number("dns.server_port")).unwrap_or(u16::MAX),
        bounds: Bounds {
            cache_octets_max: settings.count("dns.cache_octets_max"),
            question_time_max: settings.time("dns.question_timeout"),
            ..Bounds::default()
        },
    }
}

/// Where programs of this machine may ask.
pub(super) fn local_service(settings: &Settings) -> Result<LocalService, ServiceError> {
    let offset = u16::try_from(settings.number("listen.port_offset")).unwrap_or(0);
    let addresses: Vec<SocketAddr> = parsed::<LocalAddress>(settings, "dns.listen")
        .into_iter()
        .map(|LocalAddress(address)| SocketAddr::new(address.ip(), address.port().saturating_add(offset)))
        .collect();
    LocalService::bind(&addresses)
}

/// A list of texts that were found to fit when they were read.
fn parsed<T: std::str::FromStr>(settings: &Settings, key: &str) -> Vec<T> {
    settings.list(key).iter().filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<dns::Settings, String> {
        let text = format!("hostname = \"a.example\"\n[dns]\n{text}");
        let settings = Settings::read(&text, Path::new("/etc/m.toml"), std::iter::empty());
        settings.map(|settings| dns_settings(&settings)).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_said_is_the_internet() {
        let settings = read("").unwrap();
        assert_eq!(settings.mode, Mode::Recursive { root_hints: Vec::new() });
        assert_eq!(settings.trust_anchors, [dns::TrustAnchor::Internet]);
        assert_eq!(settings.bounds, Bounds::default());
    }

    #[test]
    fn a_test_internet_can_be_told() {
        let settings = read(
            "root_hints = [\"127.53.0.1:5300\"]\ntrust_anchors = []\nserver_port = 5300\nfamilies = \"ipv4\"\n\
             bind_v4 = \"127.0.0.2\"\nallowed_networks = [\"127.0.0.0/8\"]",
        )
        .unwrap();
        let Mode::Recursive { root_hints } = settings.mode else { panic!("{:?}", settings.mode) };
        assert_eq!(root_hints[0].0, "127.53.0.1:5300".parse().unwrap());
        assert_eq!((settings.bind_v4, settings.server_port), ("127.0.0.2".parse().ok(), 5300));
        assert!(settings.trust_anchors.is_empty());
    }

    #[test]
    fn programs_may_ask_where_the_settings_say() {
        let read = |listen: &str| {
            let text = format!(
                "hostname = \"a.example\"\n[listen]\nport_offset = 20000\n[dns]\nlisten = [{listen}]"
            );
            Settings::read(&text, Path::new("/etc/m.toml"), std::iter::empty())
        };
        let bound = |listen: &str| local_service(&read(listen).unwrap()).unwrap().addresses();
        assert_eq!(bound(""), []);
        assert_eq!(bound("\"127.77.0.9:4711\""), ["127.77.0.9:24711".parse().unwrap()]);
        assert!(read("\"0.0.0.0\"").is_err());
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for text in ["bind_v4 = \"::1\"", "forwarders = [\"dns.example.org\"]", "trust_anchors = [\"257 3\"]"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(matches!(read("forwarders = [\"192.0.2.1\"]").unwrap().mode, Mode::Forward(_)));
    }
}
