//! Every setting there is: name, kind and bounds, default, meaning, and whether a reload takes it up.
//!
//! Parser, environment, `config show`, the example file and the manual all come from these rows.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::kind::{Fit, Kind};
use super::way;

/// One setting.
pub(crate) struct Row {
    /// Table and name as in the file: `smtp.message_octets_max`; no dot for the few at the top.
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    /// The default as TOML, or `None` where the operator must say (only `hostname`).
    pub(crate) default: Option<&'static str>,
    pub(crate) reload: Reload,
    /// One sentence that says what it does.
    pub(crate) meaning: &'static str,
}

/// When a changed setting takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reload {
    /// With SIGHUP, for sessions that begin afterwards.
    Live,
    /// With the next start.
    Restart,
}

const fn row(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    reload: Reload,
    meaning: &'static str,
) -> Row {
    Row { key, kind, default: Some(default), reload, meaning }
}

use Kind::{
    Addresses, Certificates, Choice, Fitting, Host, List, Networks, Number, Octets, Path, Points, Seconds,
    Switch, Text,
};
use Reload::{Live, Restart};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const HOUR: u64 = 3_600;
const PORT: Kind = Number { min: 1, max: 65_535 };

/// The listeners, by their name under `[listen]`: the table has a switch, a port and addresses for each.
#[cfg(test)]
const LISTENERS: [&str; 9] =
    ["smtp", "submission", "submissions", "imap", "imaps", "managesieve", "lmtp", "https", "metrics"];

const ADDRESS_V4: Fit =
    Fit { what: "an IPv4 address, or empty", fits: |text| text.parse::<Ipv4Addr>().is_ok() };
const ADDRESS_V6: Fit =
    Fit { what: "an IPv6 address, or empty", fits: |text| text.parse::<Ipv6Addr>().is_ok() };
const ROOT_HINT: Fit = Fit {
    what: "servers such as \"192.0.2.1\" or \"192.0.2.1:5300\"",
    fits: |text| text.parse::<dns::RootHint>().is_ok(),
};
const FORWARDER: Fit = Fit {
    what: "servers such as \"192.0.2.1\", \"192.0.2.1:5300\" or \"192.0.2.1#dns.example.org\"",
    fits: |text| text.parse::<dns::Forwarder>().is_ok(),
};
const LOCAL_ADDRESS: Fit = Fit {
    what: "addresses of loopback such as \"127.0.0.1\" or \"127.0.0.53:5300\"",
    fits: |text| text.parse::<dns::LocalAddress>().is_ok(),
};
const TRUST_ANCHOR: Fit = Fit {
    what: "\"internet\" or DNSKEY data such as \"257 3 13 mdsswUyr3D…\"",
    fits: |text| text.parse::<dns::TrustAnchor>().is_ok(),
};

const DNS_NAME: Fit = Fit { what: "a host name, or empty", fits: |text| text.parse::<dns::Name>().is_ok() };
const DNS_ZONES: Fit =
    Fit { what: "DNS zones such as \"bl.example.org\"", fits: |text| text.parse::<dns::Name>().is_ok() };

/// What may follow from something that speaks against a client.
const CONSEQUENCE: &[&str] = &["off", "points", "refuse"];

/// The table, in the order in which the manual shows it.
pub(crate) static TABLE: &[Row] = &[
    Row {
        key: "hostname",
        kind: Host,
        default: None,
        reload: Restart,
        meaning: "The name this server goes by in greetings, trace headers and certificates; its address record and \
                  the reverse name of its address should agree with it.",
    },
    row(
        "data",
        Path,
        "\"/var/lib/mailstead\"",
        Restart,
        "The directory that holds everything: copy it and you have moved the server.",
    ),
    row(
        "user",
        Text,
        "\"\"",
        Restart,
        "The system user to become after the ports are bound, when started as root; empty: stay as started.",
    ),
    row(
        "log.format",
        Choice(&["text", "json"]),
        "\"text\"",
        Restart,
        "How log lines are written to standard error.",
    ),
    row(
        "log.level",
        Choice(&["error", "warn", "info", "debug", "trace"]),
        "\"info\"",
        Live,
        "The least important log lines to write.",
    ),
    row(
        "listen.addresses",
        Addresses,
        "[\"0.0.0.0\", \"::\"]",
        Restart,
        "The addresses to listen on, for listeners that name none of their own.",
    ),
    row(
        "listen.port_offset",
        Number { min: 0, max: 60_000 },
        "0",
        Restart,
        "Added to every port, so that a second server or a test can stand beside the first.",
    ),
    row(
        "listen.proxy_networks",
        Networks,
        "[]",
        Restart,
        "Networks of load balancers whose connections to mail ports begin with a PROXY protocol header (v1 or v2).",
    ),
    row(
        "listen.connections_max",
        Number { min: 1, max: 1_000_000 },
        "10000",
        Restart,
        "How many connections may be open at once, over all listeners.",
    ),
    row(
        "listen.connections_per_address_max",
        Number { min: 1, max: 1_000_000 },
        "50",
        Live,
        "How many connections one IPv4 address or IPv6 /64 may have open at once; networks in `listen.trusted_networks` are not counted.",
    ),
    row(
        "listen.trusted_networks",
        Networks,
        "[\"127.0.0.0/8\", \"::1/128\"]",
        Live,
        "Networks whose connections are not counted against limits by address.",
    ),
    row("listen.smtp.enabled", Switch, "true", Restart, "Receive mail from other servers."),
    row("listen.smtp.port", PORT, "25", Restart, "The port for mail from other servers."),
    row(
        "listen.smtp.addresses",
        Addresses,
        "[]",
        Restart,
        "Addresses for this listener; empty: `listen.addresses`.",
    ),
    row(
        "listen.submission.enabled",
        Switch,
        "true",
        Restart,
        "Take mail from this server's people, with STARTTLS.",
    ),
    row(
        "listen.submission.port",
        PORT,
        "587",
        Restart,
        "The port for mail from this server's people, with STARTTLS.",
    ),
    row(
        "listen.submission.addresses",
        Addresses,
        "[]",
        Restart,
        "Addresses for this listener; empty: `listen.addresses`.",
    ),
    row(
        "listen.submissions.enabled",
        Switch,
        "true",
        Restart,
        "Take mail from this server's people, with TLS from the start.",
    ),
    row(
        "listen.submissions.port",
        PORT,
        "465",
        Restart,
        "The port for mail from this server's people, with TLS from the start.",
    ),
    row(
        "listen.submissions.addresses",
        Addresses,
        "[]",
        Restart,
        "Addresses for this listener; empty: `listen.addresses`.",
    ),
    row("listen.imap.enabled", Switch, "true", Restart, "Let people read mail by IMAP with STARTTLS."),
    row("listen.imap.port", PORT, "143", Restart, "The port for IMAP with STARTTLS."),
    row(
        "listen.imap.addresses",
        Addresses,
        "[]",
        Restart,
        "Addresses for this listener; empty: `listen.addresses`.",
    ),
    row(
        "listen.imaps.enabled",
        Switch,
        "true",
        Restart,
        "Let people read mail by IMAP with TLS from the start.",
    ),
    row("listen.imaps.port", PORT, "993", Restart, "The port for IMAP with TLS from the start."),
    row(
        "listen.imaps.addresses",
        Addresses,
        "[]",
        Restart,
        "Addresses for this listener; empty: `listen.addresses`.",
    ),
    row(
        "listen.managesieve.enabled",
        Switch,
        "true",
        Restart,
        "Let people's programs write the scripts that sort their mail, by ManageSieve with STARTTLS.",
    ),
    row("listen.managesieve.port", PORT, "4190", Restart, "The port for ManageSieve."),
    row(
        "listen.managesieve.addresses",
        Addresses,
        "[]",
        Restart,
        "Addresses for this listener; empty: `listen.addresses`.",
    ),
    row(
        "listen.lmtp.enabled",
        Switch,
        "false",
        Restart,
        "Take mail by LMTP from another mail server of yours, without authentication: bind it to loopback only.",
    ),
    row("listen.lmtp.port", PORT, "24", Restart, "The port for LMTP."),
    row(
        "listen.lmtp.addresses",
        Addresses,
        "[\"127.0.0.1\"]",
        Restart,
        "Addresses for this listener; empty: `listen.addresses`.",
    ),
    row("listen.lmtp.socket", Text, "\"\"", Restart, "A Unix socket for LMTP; empty: none."),
    row(
        "listen.https.enabled",
        Switch,
        "true",
        Restart,
        "Show other servers the policy of `[mta_sts]` by HTTPS; needs a certificate. As long as nothing is set in this table, a port that another program has is no fault: the server starts without.",
    ),
    row("listen.https.port", PORT, "443", Restart, "The port for HTTPS."),
    row(
        "listen.https.addresses",
        Addresses,
        "[]",
        Restart,
        "Addresses for this listener; empty: `listen.addresses`.",
    ),
    row(
        "listen.metrics.enabled",
        Switch,
        "true",
        Restart,
        "Serve `/metrics` for Prometheus and `/healthz` by HTTP. As long as nothing is set in this table, a port that another program has is no fault: the server starts without.",
    ),
    row("listen.metrics.port", PORT, "9825", Restart, "The port for metrics."),
    row(
        "listen.metrics.addresses",
        Addresses,
        "[\"127.0.0.1\"]",
        Restart,
        "Addresses for this listener; keep it on loopback.",
    ),
    row(
        "tls.certificates",
        Certificates,
        "[]",
        Live,
        "Certificate chains and their keys in PEM files; clients get the one whose names fit, else the first. Changed files are taken up by themselves.",
    ),
    row(
        "tls.handshake_timeout",
        Seconds { min: 1, max: 600 },
        "\"30s\"",
        Live,
        "How long a TLS handshake may take.",
    ),
    row(
        "smtp.message_octets_max",
        Octets { min: 64 * KIB, max: 2 * GIB },
        "\"50M\"",
        Live,
        "The largest message taken by SMTP, in octets, told to senders as SIZE.",
    ),
    row(
        "smtp.recipients_max",
        Number { min: 100, max: 100_000 },
        "1000",
        Live,
        "How many recipients one message may have in one transaction, told to senders as RCPTMAX (RFC 5321 asks for 100 at least).",
    ),
    row(
        "smtp.messages_max",
        Number { min: 1, max: 1_000_000 },
        "1000",
        Live,
        "How many messages one connection may bring, told to senders as MAILMAX.",
    ),
    row(
        "smtp.errors_max",
        Number { min: 1, max: 10_000 },
        "20",
        Live,
        "How many errors a connection may make before it is closed.",
    ),
    row(
        "smtp.refused_recipients_max",
        Number { min: 1, max: 100_000 },
        "100",
        Live,
        "How many recipients of a connection may be refused before it is closed: a list of guessed names.",
    ),
    row(
        "smtp.login_failures_max",
        Number { min: 1, max: 1_000 },
        "3",
        Live,
        "How many failed logins a connection may make before it is closed.",
    ),
    row(
        "smtp.targets_max",
        Number { min: 100, max: 1_000_000 },
        "10000",
        Live,
        "How many mailboxes one message may reach, aliases followed.",
    ),
    row(
        "smtp.idle_commands_max",
        Number { min: 5, max: 100_000 },
        "200",
        Live,
        "How many commands that bring no mail (NOOP, RSET, VRFY, EHLO) a connection may give before it is closed.",
    ),
    row(
        "smtp.received_max",
        Number { min: 10, max: 1_000 },
        "100",
        Live,
        "How many Received fields a message may carry before it is taken for a loop.",
    ),
    row(
        "smtp.bare_newlines",
        Choice(&["refuse", "repair"]),
        "\"refuse\"",
        Live,
        "What becomes of a message from strangers with a lone CR or LF: refused, or repaired to CRLF; never passed on.",
    ),
    row(
        "smtp.command_timeout",
        Seconds { min: 5, max: HOUR },
        "\"5m\"",
        Live,
        "How long to wait for a client's next command (RFC 5321 §4.5.3.2.7: 5 minutes).",
    ),
    row(
        "smtp.data_timeout",
        Seconds { min: 5, max: HOUR },
        "\"3m\"",
        Live,
        "How long to wait for the next piece of a message.",
    ),
    row(
        "smtp.session_timeout",
        Seconds { min: 60, max: 24 * HOUR },
        "\"1h\"",
        Live,
        "How long a connection may last in all before it is asked to come again.",
    ),
    row(
        "smtp.write_timeout",
        Seconds { min: 5, max: HOUR },
        "\"2m\"",
        Live,
        "How long a client may take to read our replies.",
    ),
    row(
        "submission.recipients_max",
        Number { min: 1, max: 100_000 },
        "1000",
        Live,
        "How many recipients one message of this server's people may have.",
    ),
    row(
        "submission.bare_newlines",
        Choice(&["refuse", "repair"]),
        "\"repair\"",
        Live,
        "What becomes of a submitted message with a lone CR or LF.",
    ),
    row(
        "submission.undo_window",
        Seconds { min: 0, max: HOUR },
        "0",
        Live,
        "How long submitted mail for other servers waits before it leaves, so that its sender may take it back with `queue drop`; 0: not at all.",
    ),
    row(
        "submission.future_release_max",
        Seconds { min: 0, max: 365 * 24 * HOUR },
        "\"30d\"",
        Live,
        "How far ahead a sender may ask for a message to leave (FUTURERELEASE, RFC 4865); 0: not offered.",
    ),
    row(
        "submission.messages_an_hour",
        Number { min: 0, max: 1_000_000 },
        "500",
        Live,
        "How many messages an account may send in an hour, so that a stolen password does not cost the host its reputation; 0: as many as it likes.",
    ),
    row(
        "submission.messages_a_day",
        Number { min: 0, max: 10_000_000 },
        "2000",
        Live,
        "How many messages an account may send in a day; 0: as many as it likes.",
    ),
    row(
        "submission.recipients_an_hour",
        Number { min: 0, max: 10_000_000 },
        "2000",
        Live,
        "How many recipients elsewhere an account may write to in an hour, over all its messages; 0: as many as it likes.",
    ),
    row(
        "submission.recipients_a_day",
        Number { min: 0, max: 100_000_000 },
        "5000",
        Live,
        "How many recipients elsewhere an account may write to in a day, over all its messages; 0: as many as it likes.",
    ),
    row(
        "dkim.grace",
        Seconds { min: 24 * HOUR, max: 365 * 24 * HOUR },
        "\"14d\"",
        Restart,
        "How long a key that signs no more is kept and its record has to stay: mail that it signed is still under way.",
    ),
    row(
        "dkim.rotate_every",
        Seconds { min: 0, max: 10 * 365 * 24 * HOUR },
        "0",
        Restart,
        "How old a signing key gets before a new one is made, which then waits for its record in DNS; 0: as old as it likes.",
    ),
    row(
        "srs.enabled",
        Switch,
        "true",
        Live,
        "Whether mail that an alias passes on leaves with a sender of ours, which brings reports back (SRS).",
    ),
    row(
        "srs.rotate_every",
        Seconds { min: 24 * HOUR, max: 10 * 365 * 24 * HOUR },
        "\"90d\"",
        Restart,
        "How old the key of such senders gets; what an older one made is read for 21 days more.",
    ),
    row(
        "srs.secret_file",
        Text,
        "\"\"",
        Restart,
        "The secrets of a postsrsd that was here before, a line each: what it made is read until 21 days after the file's time.",
    ),
    row(
        "senders.check",
        Switch,
        "true",
        Live,
        "Whether the senders of strangers' mail are checked: SPF, DKIM, DMARC, ARC and the client's name.",
    ),
    row(
        "senders.dmarc",
        Choice(&["as-published", "junk", "off"]),
        "\"as-published\"",
        Live,
        "What becomes of mail that its author's domain disowns: what the domain asks for, filed as junk, or nothing.",
    ),
    row(
        "senders.without_author",
        Choice(&["refuse", "junk", "accept"]),
        "\"refuse\"",
        Live,
        "What becomes of strangers' mail that has no From field with an address in it; reports on delivery are filed as junk rather than refused.",
    ),
    row(
        "senders.on_dns_failure",
        Choice(&["defer", "accept"]),
        "\"defer\"",
        Live,
        "What becomes of mail about whose author DNS does not tell now: its host is asked to try again, or it is taken.",
    ),
    row(
        "senders.trusted_sealers",
        List(way::DOMAIN),
        "[]",
        Live,
        "Forwarders and mailing lists whose ARC seals are believed, by the seal's domain, those below it included.",
    ),
    row(
        "senders.trusted_forwarders",
        List(way::DOMAIN),
        "[]",
        Live,
        "Domains that may bring anybody's mail, once SPF or DKIM proves them; those below them included.",
    ),
    row(
        "senders.unchecked_networks",
        Networks,
        "[\"127.0.0.0/8\", \"::1/128\"]",
        Live,
        "Networks whose mail is not checked: this machine, and hosts in front of it that check themselves.",
    ),
    row(
        "senders.time_max",
        Seconds { min: 20, max: 300 },
        "\"30s\"",
        Live,
        "How long all questions to DNS about one message may take; SPF is to have 20 seconds.",
    ),
    row(
        "screen.enabled",
        Switch,
        "true",
        Live,
        "Whether strangers on port 25 are judged before their mail is seen; never our own people, hosts that may relay, or senders.unchecked_networks.",
    ),
    row(
        "screen.lists",
        List(way::SCREEN_LIST),
        "[\"zen.spamhaus.org=127.0.0.[2..11]*3.5\", \"list.dnswl.org=127.0.[2..20].[1..3]*-2\"]",
        Live,
        "Lists in DNS that are asked for a client's address, with the answers that count, the points for one (fewer than zero vouch), and `refuse` where it refuses mail by itself.",
    ),
    row(
        "screen.domain_lists",
        List(way::SCREEN_LIST),
        "[\"dbl.spamhaus.org=127.0.1.[2..99]*3\"]",
        Live,
        "Lists in DNS that are asked for the domains behind HELO, of the sender, and of links.",
    ),
    row(
        "screen.lists_time_max",
        Seconds { min: 1, max: 60 },
        "\"5s\"",
        Live,
        "How long all questions to lists about one client or message may take.",
    ),
    row(
        "screen.refuse_points",
        Number { min: 0, max: 1_000 },
        "0",
        Live,
        "Points from which on a stranger's recipients are refused before content; 0: points alone refuse nothing.",
    ),
    row(
        "screen.greet_pause",
        Seconds { min: 0, max: 60 },
        "\"2s\"",
        Live,
        "How long strangers who have brought no mail yet wait for the greeting, so that those who cannot wait are seen; 0: not at all.",
    ),
    row(
        "screen.early_talkers",
        Choice(CONSEQUENCE),
        "\"points\"",
        Live,
        "What becomes of clients who speak before the greeting or before the reply they have to wait for.",
    ),
    row(
        "screen.hello",
        Choice(CONSEQUENCE),
        "\"points\"",
        Live,
        "What becomes of clients whose name behind HELO cannot be theirs: ours, an address without brackets, another address, no whole name.",
    ),
    row(
        "screen.own_domain",
        Choice(CONSEQUENCE),
        "\"points\"",
        Live,
        "What becomes of strangers' mail with a sender of our own domains for which SPF does not vouch.",
    ),
    row(
        "screen.greylist",
        Choice(&["off", "suspicious", "all"]),
        "\"suspicious\"",
        Live,
        "Which strangers are asked to come again (451) the first time: nobody, those about whom something is suspicious, or everybody who is not known.",
    ),
    row(
        "screen.greylist_delay",
        Seconds { min: 1, max: 86_400 },
        "\"5m\"",
        Live,
        "How long they have to wait.",
    ),
    row(
        "screen.greylist_window",
        Seconds { min: HOUR, max: 7 * 24 * HOUR },
        "\"2d\"",
        Live,
        "How late they may come again; later they begin anew.",
    ),
    row(
        "screen.traps",
        List(way::TRAP),
        "[]",
        Live,
        "Addresses of ours that never were anybody's: who writes to them is held suspicious for weeks; `mailstead screen trap` sets others.",
    ),
    row(
        "screen.on_trap",
        Choice(&["discard", "refuse"]),
        "\"discard\"",
        Live,
        "What becomes of mail to a trap: taken and thrown away, so that its sender learns nothing, or refused like mail to any unknown address.",
    ),
    row(
        "screen.connections_per_network_max",
        Number { min: 0, max: 100_000 },
        "50",
        Live,
        "Connections to port 25 at a time from one network of strangers (/24, /48); 0: any number.",
    ),
    row(
        "screen.messages_a_minute_max",
        Number { min: 0, max: 1_000_000 },
        "1000",
        Live,
        "Messages in a minute from one stranger's address (/64 for IPv6), beyond which it is told to come again; 0: any number.",
    ),
    row(
        "screen.recipients_a_minute_max",
        Number { min: 0, max: 1_000_000 },
        "5000",
        Live,
        "Recipients in a minute from one stranger's address; 0: any number.",
    ),
    row(
        "reports.dmarc",
        Switch,
        "true",
        Restart,
        "Whether domains that ask for it get a daily report on mail in their names (DMARC, RFC 9990).",
    ),
    row(
        "reports.tls",
        Switch,
        "true",
        Restart,
        "Whether domains that ask for it get a daily report on how connections to them were protected (RFC 8460).",
    ),
    row(
        "reports.from",
        Fitting(way::ADDRESS),
        "\"\"",
        Restart,
        "Whom such reports come from, at a domain with a DKIM key; empty: the postmaster of `hostname`, or of the first domain that has one.",
    ),
    row("reports.org_name", Text, "\"\"", Restart, "The name of whoever reports; empty: `hostname`."),
    row(
        "reports.without",
        List(way::DOMAIN),
        "[]",
        Restart,
        "Domains that get no reports, those below them included.",
    ),
    row(
        "reports.addresses",
        List(way::ADDRESS),
        "[]",
        Restart,
        "Addresses whose mail is looked through for reports of others; postmaster of each domain always is.",
    ),
    row(
        "dns.forwarders",
        List(FORWARDER),
        "[]",
        Restart,
        "Resolvers to ask instead of the name servers of the world; with #NAME over TLS, by the name in the certificate.",
    ),
    row(
        "dns.forwarder_ca",
        Text,
        "\"\"",
        Restart,
        "A file of certificate authorities (PEM) that forwarders over TLS must be certified by; empty: the public ones.",
    ),
    row(
        "dns.root_hints",
        List(ROOT_HINT),
        "[]",
        Restart,
        "Where root servers answer; empty: those of the Internet.",
    ),
    row(
        "dns.trust_anchors",
        List(TRUST_ANCHOR),
        "[\"internet\"]",
        Restart,
        "The root's keys, from which signatures are proven; an empty list: nothing is validated, and DANE is off.",
    ),
    row(
        "dns.families",
        Choice(&["both", "ipv4", "ipv6"]),
        "\"both\"",
        Restart,
        "The address families over which this host reaches name servers.",
    ),
    row(
        "dns.bind_v4",
        Fitting(ADDRESS_V4),
        "\"\"",
        Restart,
        "The address from which queries leave over IPv4; empty: the system chooses.",
    ),
    row(
        "dns.bind_v6",
        Fitting(ADDRESS_V6),
        "\"\"",
        Restart,
        "The address from which queries leave over IPv6; empty: the system chooses.",
    ),
    row(
        "dns.allowed_networks",
        Networks,
        "[]",
        Restart,
        "Private or loopback networks whose name servers are asked all the same, where a delegation names them.",
    ),
    row(
        "dns.server_port",
        PORT,
        "53",
        Restart,
        "The port of name servers that delegations name; another one is for tests.",
    ),
    row(
        "dns.cache_octets_max",
        Octets { min: 64 * KIB, max: 16 * MIB },
        "\"8M\"",
        Restart,
        "How much memory known answers may take.",
    ),
    row(
        "dns.question_timeout",
        Seconds { min: 1, max: 120 },
        "\"20s\"",
        Restart,
        "How long one question may take, with all the queries it needs.",
    ),
    row(
        "dns.listen",
        List(LOCAL_ADDRESS),
        "[]",
        Restart,
        "Where other programs of this machine may ask the resolver, over UDP and TCP; loopback only; empty: nowhere.",
    ),
    row(
        "dns.public_addresses",
        Addresses,
        "[]",
        Live,
        "The addresses under which the world reaches this server, for its DNS records; empty: the public ones among those it listens on. Name them where they are behind an address translation.",
    ),
    row(
        "dns.check_block_lists",
        List(DNS_ZONES),
        "[\"zen.spamhaus.org\", \"bl.spamcop.net\", \"psbl.surriel.com\"]",
        Live,
        "The lists of senders of spam that `dns check` asks for this server's own addresses; an empty list: none.",
    ),
    row(
        "dns.check_port25_host",
        Fitting(DNS_NAME),
        "\"gmail-smtp-in.l.google.com\"",
        Live,
        "The mail host that `dns check` connects to, to see whether mail gets out of this network; empty: it does not try.",
    ),
    row(
        "queue.lifetime",
        Seconds { min: 1, max: 60 * 24 * HOUR },
        "\"5d\"",
        Restart,
        "How long mail for other servers is tried before its sender gets it back (RFC 5321 §4.5.4.1: 4 to 5 days at least).",
    ),
    row(
        "queue.report_lifetime",
        Seconds { min: 1, max: 60 * 24 * HOUR },
        "\"1d\"",
        Restart,
        "How long a report of failure is tried before it is given up.",
    ),
    row(
        "queue.warn_after",
        Seconds { min: 1, max: 60 * 24 * HOUR },
        "\"4h\"",
        Restart,
        "After which time a sender is told that a message is late.",
    ),
    row(
        "queue.retry_first",
        Seconds { min: 1, max: HOUR },
        "\"1m\"",
        Restart,
        "The first wait between two tries; later ones double, with some chance in them.",
    ),
    row(
        "queue.retry_longest",
        Seconds { min: 1, max: 24 * HOUR },
        "\"1h\"",
        Restart,
        "The longest wait between two tries.",
    ),
    row(
        "queue.connections_max",
        Number { min: 1, max: 10_000 },
        "200",
        Restart,
        "How many connections to other servers may be open at once.",
    ),
    row(
        "queue.destination_connections_max",
        Number { min: 1, max: 1_000 },
        "20",
        Restart,
        "How many connections one destination may have at once, when all goes well there.",
    ),
    row(
        "queue.destination_connections_first",
        Number { min: 1, max: 1_000 },
        "2",
        Restart,
        "How many connections a destination may have at once of which nothing is known yet.",
    ),
    row(
        "outbound.port",
        PORT,
        "25",
        Live,
        "The port of other domains' mail servers; another one is for tests.",
    ),
    row(
        "outbound.bind_v4",
        Fitting(ADDRESS_V4),
        "\"\"",
        Live,
        "The address from which mail leaves over IPv4: the one whose reverse name is `outbound.hello`; empty: the system chooses.",
    ),
    row(
        "outbound.bind_v6",
        Fitting(ADDRESS_V6),
        "\"\"",
        Live,
        "The address from which mail leaves over IPv6; empty: the system chooses.",
    ),
    row(
        "outbound.hello",
        Fitting(way::DOMAIN),
        "\"\"",
        Live,
        "The name we give ourselves to other servers; empty: `hostname`.",
    ),
    row(
        "outbound.identities",
        List(way::IDENTITY),
        "[]",
        Live,
        "Sending domains whose mail leaves under another name and from other addresses.",
    ),
    row(
        "outbound.families",
        Choice(&["both", "ipv4", "ipv6"]),
        "\"both\"",
        Live,
        "The address families over which mail leaves.",
    ),
    row(
        "outbound.tls",
        Fitting(way::TLS_WISH),
        "\"automatic\"",
        Live,
        "How connections to other domains' servers are protected: automatic is as DNS says (DANE), else as the domain says (MTA-STS), else TLS where it is offered.",
    ),
    row(
        "outbound.tls_domains",
        List(way::TLS_DOMAIN),
        "[]",
        Live,
        "The same for single recipient domains, or with a dot before it for all domains below one.",
    ),
    row(
        "outbound.mta_sts_port",
        PORT,
        "443",
        Live,
        "The port of other domains' MTA-STS policies; another one is for tests.",
    ),
    row(
        "outbound.trusted_roots",
        Path,
        "\"/etc/ssl/certs/ca-certificates.crt\"",
        Live,
        "The certificate authorities (PEM) that are believed where a server's certificate must be right: a relay's, or as MTA-STS says.",
    ),
    row(
        "outbound.to_loopback",
        Switch,
        "false",
        Live,
        "Send to servers at loopback addresses; for tests: on the Internet such an address is this server itself.",
    ),
    row(
        "outbound.relay",
        Fitting(way::RELAY),
        "\"\"",
        Live,
        "A server (smart host) that all mail for others leaves by, such as \"smtp.example.com:587 starttls work\"; empty: none.",
    ),
    row(
        "outbound.sender_relays",
        List(way::SENDER_RELAY),
        "[]",
        Live,
        "Servers that the mail of single sending domains leaves by.",
    ),
    row(
        "outbound.transports",
        List(way::TRANSPORT),
        "[]",
        Live,
        "Ways of single recipient domains, before all else.",
    ),
    row(
        "outbound.direct_domains",
        List(way::DOMAIN),
        "[]",
        Live,
        "Recipient domains whose mail goes straight to their own servers, whatever relay there is.",
    ),
    row(
        "outbound.credentials_file",
        Text,
        "\"\"",
        Live,
        "A file with a line NAME USER PASSWORD for each relay that wants a login, readable by the server alone; empty: none.",
    ),
    row(
        "outbound.backup_domains",
        List(way::DOMAIN),
        "[]",
        Live,
        "Domains of others for which mail is taken from anyone and passed on, as one of their lesser mail exchangers.",
    ),
    row(
        "outbound.relay_networks",
        Networks,
        "[]",
        Live,
        "Networks whose hosts may send to anyone on port 25 without logging in.",
    ),
    row(
        "outbound.chunking",
        Switch,
        "true",
        Live,
        "Send messages in chunks (BDAT, RFC 3030) where another server offers it; else with DATA.",
    ),
    row(
        "outbound.connect_timeout",
        Seconds { min: 1, max: 600 },
        "\"30s\"",
        Live,
        "How long one connection to another server may take to be made.",
    ),
    row(
        "outbound.command_timeout",
        Seconds { min: 1, max: HOUR },
        "\"5m\"",
        Live,
        "How long to wait for another server's greeting and for each reply (RFC 5321 §4.5.3.2: 5 minutes).",
    ),
    row(
        "outbound.data_timeout",
        Seconds { min: 1, max: HOUR },
        "\"3m\"",
        Live,
        "How long another server may take for each piece of a message (RFC 5321 §4.5.3.2.5: 3 minutes).",
    ),
    row(
        "outbound.final_timeout",
        Seconds { min: 1, max: 2 * HOUR },
        "\"10m\"",
        Live,
        "How long to wait for the reply to a message (RFC 5321 §4.5.3.2.6: 10 minutes).",
    ),
    row(
        "outbound.idle_wait",
        Seconds { min: 0, max: 300 },
        "\"2s\"",
        Live,
        "How long a connection is kept for more mail to the same destination.",
    ),
    row(
        "outbound.messages_max",
        Number { min: 1, max: 1_000_000 },
        "1000",
        Live,
        "How many messages go over one connection.",
    ),
    row(
        "outbound.recipients_max",
        Number { min: 1, max: 10_000 },
        "100",
        Live,
        "How many recipients go in one transaction (RFC 5321 §4.5.3.1.8: every server takes 100).",
    ),
    row(
        "outbound.report_from",
        Fitting(way::ADDRESS),
        "\"\"",
        Live,
        "Whom reports about undelivered mail come from; empty: postmaster at `hostname`, and for strangers at a domain with a DKIM key where `hostname` has none.",
    ),
    row(
        "outbound.returned_octets_max",
        Octets { min: 0, max: 50 * MIB },
        "\"100K\"",
        Live,
        "Up to which size a report of failure returns the whole message; of larger ones it returns the header.",
    ),
    row(
        "mta_sts.mode",
        Choice(&["testing", "enforce", "none"]),
        "\"testing\"",
        Live,
        "What other servers are asked to do that cannot reach this one by TLS with the right certificate (RFC 8461): report it, send nothing, or go on; heard by those who find the DNS record.",
    ),
    row(
        "mta_sts.max_age",
        Seconds { min: 86_400, max: 365 * 24 * HOUR },
        "\"7d\"",
        Live,
        "How long they keep that policy; weeks for one that is enforced.",
    ),
    row(
        "mta_sts.exchangers",
        List(way::MX_PATTERN),
        "[]",
        Live,
        "The names in the MX records of the domains here, perhaps with an asterisk for the first part; empty: `hostname`.",
    ),
    row(
        "imap.separator",
        Choice(&["/", "."]),
        "\"/\"",
        Live,
        "The character between the levels of mailbox names that clients see; `.` for people who come from Dovecot's Maildir.",
    ),
    row(
        "imap.message_octets_max",
        Octets { min: 64 * KIB, max: 2 * GIB },
        "\"50M\"",
        Live,
        "The largest message that a client may store by APPEND, in octets.",
    ),
    row(
        "imap.idle_timeout",
        Seconds { min: 1_800, max: 24 * HOUR },
        "\"30m\"",
        Live,
        "How long a client may be silent after login (RFC 9051 §5.4: 30 minutes at least).",
    ),
    row(
        "imap.login_timeout",
        Seconds { min: 10, max: HOUR },
        "\"60s\"",
        Live,
        "How long a client may take to log in.",
    ),
    row(
        "imap.write_timeout",
        Seconds { min: 5, max: HOUR },
        "\"2m\"",
        Live,
        "How long a client may go on without taking what we send.",
    ),
    row(
        "imap.search_timeout",
        Seconds { min: 1, max: HOUR },
        "\"1m\"",
        Live,
        "How long one SEARCH, or one LIST, may take before it is given up.",
    ),
    row(
        "imap.sessions_per_account_max",
        Number { min: 1, max: 100_000 },
        "100",
        Live,
        "How many IMAP sessions one account may have open at once.",
    ),
    row(
        "imap.errors_max",
        Number { min: 1, max: 10_000 },
        "50",
        Live,
        "How many bad commands in a row a connection may give before it is closed.",
    ),
    row(
        "spam.check",
        Switch,
        "true",
        Live,
        "Whether strangers' mail is judged by its content; domains and accounts may choose otherwise.",
    ),
    row(
        "spam.check_fronts",
        Switch,
        "false",
        Live,
        "Whether mail is judged by its content, too, that comes by LMTP and from `senders.unchecked_networks`.",
    ),
    row(
        "spam.check_own",
        Switch,
        "true",
        Live,
        "Whether it is looked what our own people's mail says; what looks like spam is told in the log and the record, and goes its way.",
    ),
    row(
        "spam.tag",
        Points,
        "\"2.0\"",
        Live,
        "From this score on the header tells the score (docker-mailserver: SA_TAG).",
    ),
    row(
        "spam.tag2",
        Points,
        "\"6.31\"",
        Live,
        "From this score on a message is called spam (docker-mailserver: SA_TAG2).",
    ),
    row(
        "spam.kill",
        Points,
        "\"10.0\"",
        Live,
        "From this score on a message is what nobody could want (docker-mailserver: SA_KILL).",
    ),
    row(
        "spam.at_tag2",
        Choice(&["tag", "junk", "quarantine"]),
        "\"junk\"",
        Live,
        "What becomes of spam: its header says so (tag; docker-mailserver: MOVE_SPAM_TO_JUNK=0), it is filed as junk, or kept apart (quarantine).",
    ),
    row(
        "spam.at_kill",
        Choice(&["junk", "quarantine", "reject"]),
        "\"junk\"",
        Live,
        "What becomes of what nobody could want: filed as junk, kept apart, or refused; kept apart where it cannot be refused for all.",
    ),
    row(
        "spam.subject_prefix",
        Fitting(way::SUBJECT_PREFIX),
        "\"\"",
        Live,
        "What stands in front of the subject of spam, such as ***SPAM*** (docker-mailserver: SPAM_SUBJECT); empty: nothing.",
    ),
    row(
        "spam.mark_as_read",
        Switch,
        "false",
        Live,
        "Whether junk is filed as if it had been read (docker-mailserver: MARK_SPAM_AS_READ).",
    ),
    row(
        "spam.allow",
        List(way::SENDERS),
        "[]",
        Live,
        "Whose mail is always wanted, if it is proven to be theirs: addresses, and domains with those below them.",
    ),
    row(
        "spam.deny",
        List(way::SENDERS),
        "[]",
        Live,
        "Whose mail never is: addresses, and domains with those below them.",
    ),
    row(
        "spam.points",
        List(way::RULE_POINTS),
        "[]",
        Live,
        "What single rules weigh instead of what they weigh by themselves; 0: nothing.",
    ),
    row(
        "spam.domains",
        List(way::SPAM_CHANGES),
        "[]",
        Live,
        "What domains of ours want otherwise; accounts say it by `mailstead spam settings`.",
    ),
    row(
        "spam.on_busy",
        Choice(&["pass", "defer"]),
        "\"pass\"",
        Live,
        "What becomes of mail when the filter has too much to do or fails: taken without a judgement, or put off.",
    ),
    row(
        "spam.time_max",
        Seconds { min: 1, max: 300 },
        "\"10s\"",
        Live,
        "How long a message may wait for its judgement.",
    ),
    row(
        "spam.learn",
        Switch,
        "true",
        Live,
        "Whether the filter learns from what people move into junk and out of it, and from their clients' buttons for that.",
    ),
    row(
        "spam.rules",
        Text,
        "\"\"",
        Live,
        "A file of rules in SpamAssassin's form, or a directory whose `*.cf` are read in the order of their names; empty: none.",
    ),
    row(
        "spam.quarantine_kept",
        Seconds { min: HOUR, max: 3_650 * 24 * HOUR },
        "\"30d\"",
        Restart,
        "How long mail is kept apart before it goes.",
    ),
    row(
        "attachments.check",
        Switch,
        "true",
        Live,
        "Whether it is looked at what is attached to strangers' mail, into archives too.",
    ),
    row(
        "attachments.actions",
        List(way::ATTACHMENT_ACTION),
        "[]",
        Live,
        "What becomes of mail with attachments of a kind, instead of what becomes of it by itself: accept, score, junk, quarantine or reject.",
    ),
    row(
        "attachments.allow",
        List(way::ATTACHMENT_WORD),
        "[]",
        Live,
        "Endings of names and media types that are let through where their kind is not.",
    ),
    row(
        "attachments.refuse",
        List(way::ATTACHMENT_WORD),
        "[]",
        Live,
        "Endings of names and media types that are refused.",
    ),
    row(
        "attachments.hash_lists",
        List(way::FILE),
        "[]",
        Live,
        "Files of digests of harmful files, a line each, as `sha256sum` prints them or in ClamAV's `.hdb` and `.hsb`.",
    ),
    row(
        "sieve.before",
        Text,
        "\"\"",
        Live,
        "A Sieve script, or a directory of `*.sieve`, that runs before everybody's own.",
    ),
    row(
        "sieve.after",
        Text,
        "\"\"",
        Live,
        "The same for after; empty: the rule that files what is taken for junk into `Junk`, else into `Spam` if that exists.",
    ),
    row(
        "sieve.imap_events",
        Text,
        "\"\"",
        Live,
        "The same for what clients of IMAP do to messages: append, copy, move, change flags; before the script that a mailbox's `/shared/imapsieve/script` names.",
    ),
    row(
        "sieve.include_directory",
        Text,
        "\"\"",
        Live,
        "The directory of the scripts that everybody may include as `:global`.",
    ),
    row(
        "sieve.seeds",
        Text,
        "\"\"",
        Live,
        "A directory of scripts named `ADDRESS.sieve` or `ADDRESS.dovecot.sieve`: each is given to its account at the start, if that has none.",
    ),
    row(
        "sieve.extensions_off",
        List(way::SIEVE_EXTENSION),
        "[]",
        Live,
        "Extensions of Sieve that scripts may not require.",
    ),
    row(
        "sieve.lists",
        List(way::NAMED_FILE),
        "[]",
        Live,
        "Lists that scripts may look into (extlists): a file each, with an entry a line.",
    ),
    row(
        "sieve.programs",
        List(way::NAMED_FILE),
        "[]",
        Live,
        "Programs that scripts may run by these names (pipe, filter, execute); without any, scripts run none.",
    ),
    row(
        "sieve.program_timeout",
        Seconds { min: 1, max: 300 },
        "\"10s\"",
        Live,
        "How long one run of a program may take; the message's sender waits so long.",
    ),
    row(
        "sieve.program_memory_octets_max",
        Octets { min: 16 * MIB, max: 64 * GIB },
        "\"256M\"",
        Live,
        "How much memory each process of a program may have.",
    ),
    row(
        "sieve.program_output_octets_max",
        Octets { min: KIB, max: 256 * MIB },
        "\"1M\"",
        Live,
        "How much a program may write.",
    ),
    row(
        "sieve.actions_max",
        Number { min: 1, max: 1_000 },
        "32",
        Live,
        "How many actions all scripts may take on one message.",
    ),
    row("sieve.redirects_max", Number { min: 0, max: 100 }, "4", Live, "How many of them may be redirects."),
    row(
        "sieve.notifications_max",
        Number { min: 0, max: 100 },
        "8",
        Live,
        "How many of them may be notifications.",
    ),
    row(
        "sieve.run_max",
        Number { min: 1_000_000, max: 100_000_000_000 },
        "500000000",
        Live,
        "What all scripts together may cost on one message, about a nanosecond of a processor each.",
    ),
    row(
        "sieve.vacation_min",
        Seconds { min: 0, max: 365 * 24 * HOUR },
        "\"1d\"",
        Live,
        "The shortest time between two answers of `vacation` to one sender, whatever the script says.",
    ),
    row(
        "sieve.vacation_default",
        Seconds { min: 0, max: 365 * 24 * HOUR },
        "\"7d\"",
        Live,
        "The time between two answers where the script says nothing.",
    ),
    row(
        "sieve.vacation_max",
        Seconds { min: HOUR, max: 365 * 24 * HOUR },
        "\"60d\"",
        Live,
        "The longest time between two answers.",
    ),
    row(
        "sieve.duplicate_max",
        Seconds { min: HOUR, max: 365 * 24 * HOUR },
        "\"60d\"",
        Live,
        "How long `duplicate` may remember a message.",
    ),
    row(
        "sieve.script_octets_max",
        Octets { min: 4 * KIB, max: 2 * MIB },
        "\"1M\"",
        Live,
        "The largest Sieve script that is kept, in octets.",
    ),
    row(
        "sieve.scripts_max",
        Number { min: 1, max: 1_000 },
        "64",
        Live,
        "How many Sieve scripts one account may keep; one of them is active.",
    ),
    row(
        "sieve.total_octets_max",
        Octets { min: 4 * KIB, max: 256 * MIB },
        "\"8M\"",
        Live,
        "How many octets all Sieve scripts of one account may have together.",
    ),
    row(
        "auth.default_domain",
        Text,
        "\"\"",
        Live,
        "The domain of people who log in by the part before the @ alone; empty: the whole address is needed.",
    ),
    row(
        "auth.failures_max",
        Number { min: 1, max: 1_000 },
        "10",
        Live,
        "How many failed logins an address may make before it has to wait.",
    ),
    row(
        "auth.block",
        Seconds { min: 1, max: 24 * HOUR },
        "\"10m\"",
        Live,
        "How long an address with too many failed logins has to wait.",
    ),
    row(
        "auth.cache",
        Seconds { min: 0, max: 24 * HOUR },
        "\"10m\"",
        Restart,
        "How long a proven password is remembered (as a keyed hash, in memory) so that the next login is cheap; 0: never.",
    ),
    row(
        "auth.plaintext_on_loopback",
        Switch,
        "false",
        Live,
        "Allow passwords without TLS from loopback addresses, for tests and programs on this machine.",
    ),
    row(
        "directory.subaddress_delimiters",
        Text,
        "\"+\"",
        Live,
        "The characters that part a name from its sub-address (`ann+shop@…`); \"+-\" takes either, an empty text none.",
    ),
    row(
        "directory.postmaster",
        Text,
        "\"\"",
        Live,
        "Who gets mail to postmaster where no alias says it; empty: the first account of the domain.",
    ),
    row(
        "store.free_octets_min",
        Octets { min: 0, max: 1 << 40 },
        "\"64M\"",
        Restart,
        "New mail is put off (452) while the disk has less room than this, so that people can still delete.",
    ),
    row(
        "store.accounts_open_max",
        Number { min: 4, max: 100_000 },
        "256",
        Restart,
        "How many accounts' indexes are kept open at once.",
    ),
    row(
        "store.recoverable",
        Seconds { min: 0, max: 3_650 * 24 * HOUR },
        "\"7d\"",
        Restart,
        "How long a deleted message can still be brought back before its octets are purged.",
    ),
    row(
        "store.purge_dead_percent",
        Number { min: 1, max: 100 },
        "40",
        Restart,
        "A pack is rewritten when this share of it, in percent, belongs to purged messages.",
    ),
    row(
        "store.pack_octets",
        Octets { min: MIB, max: GIB },
        "\"64M\"",
        Restart,
        "The size at which a pack is sealed and the next one begun.",
    ),
    row(
        "store.quota_default",
        Octets { min: 0, max: 1 << 50 },
        "0",
        Live,
        "The quota of accounts that have none of their own; 0: none.",
    ),
];

/// The row of a setting.
pub(crate) fn find(key: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.key == key)
}

/// The environment variable that overrides a setting: `MAILSTEAD_SMTP_RECIPIENTS_MAX`.
pub(crate) fn environment_name(key: &str) -> String {
    format!("MAILSTEAD_{}", key.replace('.', "_").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_also_in_the_environment() {
        let names: HashSet<_> = TABLE.iter().map(|row| environment_name(row.key)).collect();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn every_listener_has_its_rows() {
        for listener in LISTENERS {
            for part in ["enabled", "port", "addresses"] {
                assert!(find(&format!("listen.{listener}.{part}")).is_some(), "{listener}.{part}");
            }
        }
    }

    #[test]
    fn every_setting_has_an_effect() {
        let readers = [
            include_str!("mod.rs"),
            include_str!("../content.rs"),
            include_str!("../filters.rs"),
            include_str!("../house.rs"),
            include_str!("../keys.rs"),
            include_str!("../scripts.rs"),
            include_str!("../wire.rs"),
            include_str!("../wire/doors.rs"),
            include_str!("../wire/listeners.rs"),
            include_str!("../wire/names.rs"),
            include_str!("../wire/own_policy.rs"),
            include_str!("../wire/reports.rs"),
            include_str!("../wire/screen.rs"),
            include_str!("../wire/sending.rs"),
            include_str!("../wire/site.rs"),
        ]
        .concat();
        // `listen.NAME.enabled`, `.port` and `.addresses` are read by a listener's name.
        let is_listener =
            |key: &str| LISTENERS.iter().any(|name| key.starts_with(&format!("listen.{name}.")));
        for row in TABLE.iter().filter(|row| !is_listener(row.key) || row.key.ends_with("socket")) {
            assert!(readers.contains(&format!("\"{}\"", row.key)), "nobody reads {}", row.key);
        }
    }

    #[test]
    fn meanings_are_sentences() {
        for row in TABLE {
            assert!(row.meaning.ends_with('.'), "{}", row.key);
        }
    }
}
