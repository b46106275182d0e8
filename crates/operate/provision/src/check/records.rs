//! Records that need no more than a comparison: addresses, services, aliases, and what goes for all of them.

use std::time::Duration;

use dns::{Name, RecordData, RecordType, ServiceHost, Told};

use super::{Checker, shown, to_add, to_replace};
use crate::finding::Finding;
use crate::record::{Purpose, Wanted};
use crate::world::Served;

/// Beyond this a change takes longer to reach the world than anybody wants to wait.
const TTL_MAX: Duration = Duration::from_secs(24 * 3600);

/// Whether the world finds the server at its addresses.
pub(super) fn host_address(wanted: &Wanted, served: &Served) -> Vec<Finding> {
    let title = wanted.title();
    let family = if wanted.purpose == Purpose::HostIpv6 { "IPv6" } else { "IPv4" };
    if let Some(alias) = &served.alias {
        return vec![Finding::wrong(
            &title,
            format!("it is an alias of {alias}"),
            "an MX record must not name an alias (RFC 2181 §10.3): some servers do not deliver to it",
            format!("remove the CNAME record and give {} addresses of its own", wanted.name),
        )];
    }
    let found = served.records();
    if wanted.values.is_empty() {
        // Which addresses are the server's is not known here; that one is wrong cannot be seen.
        return match found {
            [] if family == "IPv6" => Vec::new(),
            [] => vec![Finding::advice(
                &title,
                "there is none",
                "whoever has IPv4 alone does not reach the server",
                format!(
                    "add to the zone: {}. IN {} and the server's address",
                    wanted.name,
                    title_kind(wanted)
                ),
            )],
            _ => vec![Finding::right(&title, shown(served))],
        };
    }
    let missing: Vec<String> =
        wanted.values.iter().filter(|value| !found.contains(value)).map(ToString::to_string).collect();
    let strangers: Vec<String> =
        found.iter().filter(|record| !wanted.values.contains(record)).map(ToString::to_string).collect();
    match (missing.is_empty(), strangers.is_empty()) {
        (true, true) => vec![Finding::right(&title, shown(served))],
        (_, false) => vec![Finding::wrong(
            &title,
            format!("it leads to {}, which is not this server's address", strangers.join(", ")),
            "part of the mail, and of the people who read it, goes to another host",
            to_replace(wanted)
                + "; if the address is this server's (behind an address translation), name it in dns.public_addresses",
        )],
        (false, true) => vec![Finding::wrong(
            &title,
            format!("{} is missing", missing.join(", ")),
            format!("nobody reaches the server there by {family}, and mail that leaves from it is refused"),
            to_add(wanted),
        )],
    }
}

fn title_kind(wanted: &Wanted) -> RecordType {
    wanted.purpose.kind()
}

/// Whether mail programs are led to a service that is there, and to no other.
pub(super) fn service(wanted: &Wanted, served: &Served) -> Vec<Finding> {
    let title = wanted.title();
    let is_denial = wanted.is_denial();
    let matches = |record: &RecordData| match record {
        // Priority and weight are the owner's taste.
        RecordData::Service(place) => wanted.values.iter().any(|value| match value {
            RecordData::Service(ServiceHost { port, host, .. }) => (port, host) == (&place.port, &place.host),
            _ => false,
        }),
        _ => false,
    };
    match served.records() {
        // That a service is not there is a courtesy to programs; they find out by themselves.
        [] if is_denial => Vec::new(),
        [] => vec![Finding::advice(
            &title,
            "there is none",
            "mail programs have to be told by hand where the server is",
            to_add(wanted),
        )],
        found if found.iter().all(matches) => vec![Finding::right(&title, shown(served))],
        _ if is_denial => vec![Finding::advice(
            &title,
            format!("it leads to {}, but this server offers no such service", shown(served)),
            "mail programs that trust it do not get through, unless another server of yours is there",
            to_replace(wanted),
        )],
        _ => vec![Finding::wrong(
            &title,
            format!("it leads to {}", shown(served)),
            "mail programs set themselves up for another server or port",
            to_replace(wanted),
        )],
    }
}

/// Servers of one zone that say different things.
pub(super) fn quarrel(title: &str, served: &Served) -> Option<Finding> {
    let servers: Vec<&str> = served.differing.iter().map(|server| server.name.as_str()).collect();
    (!servers.is_empty()).then(|| {
        Finding::wrong(
            title,
            format!("{} says something else than the zone's first server", servers.join(", ")),
            "the world sees now the one, now the other",
            "wait until all servers have the new zone; if it stays so, raise the zone's serial number and look why they do not fetch it",
        )
    })
}

/// Records that others keep for too long.
pub(super) fn slow(title: &str, served: &Served) -> Option<Finding> {
    let ttl = served.ttl().filter(|ttl| *ttl > TTL_MAX)?;
    let hours = ttl.as_secs() / 3600;
    Some(Finding::advice(
        title,
        format!("others may keep it for {hours} hours"),
        "a change takes that long to reach everybody",
        "lower its TTL to 3600 well before you change anything",
    ))
}

impl Checker<'_> {
    /// Whether a name leads to where the host is, as an alias of it or with the same addresses.
    pub(super) async fn same_place(&self, wanted: &Wanted, served: &Served) -> Vec<Finding> {
        let title = wanted.title();
        let Some(RecordData::Name(_, host)) = wanted.values.first() else { return Vec::new() };
        if served.records() == wanted.values {
            return vec![Finding::right(&title, shown(served))];
        }
        let addresses = async |name: &Name| {
            let answer = self.world.resolver().addresses(name, dns::Families::Both).await;
            let mut addresses = answer.map_or_else(|_| Vec::new(), |answer| answer.records);
            addresses.sort();
            addresses
        };
        let (found, own) = (addresses(&wanted.name).await, addresses(host).await);
        let all: Vec<String> = found.iter().map(ToString::to_string).collect();
        match (found.is_empty(), found == own) {
            (false, true) => vec![Finding::right(&title, all.join(", "))],
            (true, _) => vec![Finding::wrong(
                &title,
                "there is none",
                "what others should fetch there cannot be found",
                to_add(wanted),
            )],
            (false, false) => vec![Finding::wrong(
                &title,
                format!("it leads to {}", all.join(", ")),
                "what others should fetch there is not there",
                to_replace(wanted),
            )],
        }
    }
}

/// The test that a name has nothing.
pub(super) fn is_absent(served: &Served) -> bool {
    matches!(served.told, Told::NoData | Told::NoSuchName)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;
    use crate::world::ZoneServer;

    pub(crate) fn served(records: Vec<RecordData>) -> Served {
        let told = match records.is_empty() {
            true => Told::NoData,
            false => Told::Records { records, ttl: Duration::from_secs(3600) },
        };
        Served { told, alias: None, differing: Vec::new() }
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn address(text: &str) -> RecordData {
        RecordData::Address(text.parse().unwrap())
    }

    fn place(priority: u16, port: u16, host: &str) -> RecordData {
        RecordData::Service(ServiceHost { priority, weight: 1, port, host: name(host) })
    }

    fn status(findings: &[Finding]) -> Option<Status> {
        findings.iter().map(|finding| finding.status).max()
    }

    #[test]
    fn addresses_are_all_there_and_no_other() {
        let wanted = Wanted::new(
            name("mail.example.org"),
            Purpose::HostIpv4,
            vec![address("192.0.2.1"), address("192.0.2.2")],
        );
        let judge = |found: &[&str]| {
            status(&host_address(&wanted, &served(found.iter().map(|t| address(t)).collect())))
        };
        assert_eq!(judge(&["192.0.2.2", "192.0.2.1"]), Some(Status::Right));
        assert_eq!(judge(&["192.0.2.2"]), Some(Status::Wrong));
        assert_eq!(judge(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]), Some(Status::Wrong));
        assert_eq!(judge(&[]), Some(Status::Wrong));
        let alias = Served { alias: Some(name("other.example.org")), ..served(wanted.values.clone()) };
        assert!(host_address(&wanted, &alias)[0].what.contains("alias of other.example.org"));
    }

    #[test]
    fn services_lead_to_the_server_whatever_their_weight() {
        let imaps = name("_imaps._tcp.example.org");
        let wanted = Wanted::new(imaps.clone(), Purpose::Service, vec![place(0, 993, "mail.example.org")]);
        let judge = |found: Vec<RecordData>| status(&service(&wanted, &served(found)));
        assert_eq!(judge(vec![place(5, 993, "mail.example.org")]), Some(Status::Right));
        assert_eq!(judge(vec![place(0, 143, "mail.example.org")]), Some(Status::Wrong));
        assert_eq!(judge(vec![place(0, 993, "old.example.org")]), Some(Status::Wrong));
        assert_eq!(judge(Vec::new()), Some(Status::Advice));

        let denied = Wanted::new(imaps, Purpose::Service, vec![place(0, 0, ".")]);
        let judge = |found: Vec<RecordData>| status(&service(&denied, &served(found)));
        assert_eq!(judge(Vec::new()), None);
        assert_eq!(judge(vec![place(0, 0, ".")]), Some(Status::Right));
        assert_eq!(judge(vec![place(0, 993, "mail.example.org")]), Some(Status::Advice));
    }

    #[test]
    fn long_times_and_quarrels_are_told() {
        let mut found = served(vec![address("192.0.2.1")]);
        for (seconds, is_slow) in [(86_399, false), (86_400, false), (86_401, true)] {
            found.told = Told::Records { records: Vec::new(), ttl: Duration::from_secs(seconds) };
            assert_eq!(slow("a", &found).is_some(), is_slow, "{seconds}");
        }
        assert_eq!(quarrel("a", &found), None);
        found.differing.push(ZoneServer { name: name("ns2.example.org"), address: [192, 0, 2, 1].into() });
        assert!(quarrel("a", &found).is_some_and(|finding| finding.what.contains("ns2.example.org")));
    }
}
