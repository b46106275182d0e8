//! Which policy wins.

use mail_types::{AddressLiteral, DomainName};
use platform::clock::Timestamp;
use queue::{LmtpServer, Relay, RelayHost};
use sender_auth::mta_sts::PolicyId;
use tls::{DaneTrust, TlsaFields};

use super::*;

const MX: &str = "mx.example.com";

fn host(security: Security) -> Host {
    Host { name: MX.into(), addresses: Vec::new(), security, proof: None }
}

fn domain() -> Destination {
    Destination::Domain(DomainName::parse("example.com").unwrap())
}

fn relay(tls: RelayTls) -> Destination {
    let host = RelayHost::Name(DomainName::parse(MX).unwrap());
    Destination::Relay(Relay { host, port: 25, tls, credentials: None })
}

fn records(usage: u8) -> TlsaRecords {
    let fields = TlsaFields { usage, selector: 1, matching: 1, data: &[0; 32] };
    let trust = DaneTrust::new([fields].into_iter(), &[MX]);
    TlsaRecords { base: MX.into(), trust, texts: vec!["3 1 1 00".to_owned()] }
}

fn sts(mode: &str, exchanger: &str) -> StsPolicy {
    let text = format!("version: STSv1\nmode: {mode}\nmx: {exchanger}\nmax_age: 86400\n");
    StsPolicy::read(&PolicyId::new("1").unwrap(), Timestamp::from_unix_seconds(0), text.as_bytes()).unwrap()
}

/// What is decided in a word, and who says so.
fn decided(facts: Facts<'_>) -> String {
    match facts.decide() {
        Ok(decision) => {
            let policy = match &decision.policy {
                TlsPolicy::Never => "clear",
                TlsPolicy::Opportunistic => "opportunistic",
                TlsPolicy::Observed { .. } => "observed",
                TlsPolicy::Encrypted => "encrypted",
                TlsPolicy::Dane(_) => "dane",
                TlsPolicy::Verified { name, begins: TlsBegins::OnCommand } if &**name == MX => "verified",
                TlsPolicy::Verified { begins: TlsBegins::OnCommand, .. } => "verified otherwise",
                TlsPolicy::Verified { begins: TlsBegins::AtOnce, .. } => "implicit",
            };
            let fault = if decision.known_fault.is_some() { " though" } else { "" };
            format!("{policy} {}{fault}", decision.source.as_str())
        }
        Err(NoPolicy::Never(_)) => "never".to_owned(),
        Err(NoPolicy::Later(_, _, failure)) => format!("later {}", failure.as_str()),
    }
}

struct Case {
    destination: Destination,
    security: Security,
    wish: TlsWish,
    demand: Demand,
    tlsa: Option<TlsaRecords>,
    sts: Option<StsPolicy>,
}

impl Case {
    fn new() -> Self {
        Self {
            destination: domain(),
            security: Security::Secure,
            wish: TlsWish::Automatic,
            demand: Demand::None,
            tlsa: None,
            sts: None,
        }
    }

    fn decided(&self) -> String {
        let host = host(self.security);
        decided(Facts {
            destination: &self.destination,
            host: &host,
            wish: &self.wish,
            demand: self.demand,
            tlsa: self.tlsa.as_ref(),
            sts: self.sts.as_ref(),
        })
    }
}

#[test]
fn strangers_get_what_they_offer() {
    assert_eq!(Case::new().decided(), "opportunistic none");
    let literal = Destination::Literal(AddressLiteral([192, 0, 2, 1].into()));
    assert_eq!(Case { destination: literal, ..Case::new() }.decided(), "opportunistic none");
}

#[test]
fn a_relay_is_what_the_operator_says() {
    for (tls, expected) in [
        (RelayTls::Plain, "clear relay"),
        (RelayTls::Opportunistic, "opportunistic none"),
        (RelayTls::StartTls, "verified relay"),
        (RelayTls::Implicit, "implicit relay"),
    ] {
        // What is said of other people's servers says nothing of a relay.
        for wish in [TlsWish::Automatic, TlsWish::Never] {
            assert_eq!(Case { destination: relay(tls), wish, ..Case::new() }.decided(), expected);
        }
    }
    let destination = relay(RelayTls::Opportunistic);
    let case = Case { destination, tlsa: Some(records(3)), ..Case::new() };
    assert_eq!(case.decided(), "dane dane");
    let lmtp = Destination::Lmtp(LmtpServer::Unix("/run/lmtp".into()));
    assert_eq!(Case { destination: lmtp, ..Case::new() }.decided(), "clear relay");
}

#[test]
fn dns_comes_before_the_domains_own_word() {
    let case =
        |tlsa: Option<u8>, sts: Option<StsPolicy>| Case { tlsa: tlsa.map(records), sts, ..Case::new() };
    for (tlsa, policy, expected) in [
        (Some(3), None, "dane dane"),
        (Some(3), Some(sts("enforce", MX)), "dane dane"),
        (Some(3), Some(sts("enforce", "other.example")), "dane dane"),
        // Nothing that can be used: TLS with anyone, or with whom the other policy names.
        (Some(1), None, "encrypted dane though"),
        (Some(1), Some(sts("enforce", MX)), "verified mta-sts"),
        (Some(1), Some(sts("testing", MX)), "encrypted mta-sts-testing"),
        (Some(1), Some(sts("none", MX)), "encrypted dane though"),
        (None, Some(sts("enforce", "*.example.com")), "verified mta-sts"),
        (None, Some(sts("enforce", "other.example")), "later validation-failure"),
        (None, Some(sts("testing", MX)), "observed mta-sts-testing"),
        (None, Some(sts("testing", "other.example")), "observed mta-sts-testing though"),
        (None, Some(sts("none", MX)), "opportunistic none"),
    ] {
        assert_eq!(case(tlsa, policy).decided(), expected);
    }
}

#[test]
fn the_operator_knows_better() {
    let other = || TlsWish::Verified(Some("gate.example.com".into()));
    for (wish, tlsa, expected) in [
        (TlsWish::Never, Some(3), "clear operator"),
        (TlsWish::Opportunistic, Some(3), "opportunistic operator"),
        (TlsWish::Encrypted, Some(3), "encrypted operator"),
        (TlsWish::Verified(None), Some(3), "verified operator"),
        (other(), None, "verified otherwise operator"),
        (TlsWish::Dane, Some(3), "dane dane"),
        (TlsWish::Dane, Some(1), "encrypted dane though"),
        (TlsWish::Dane, None, "opportunistic none"),
        (TlsWish::DaneOnly, Some(3), "dane dane"),
        (TlsWish::DaneOnly, Some(1), "later dane-required"),
        (TlsWish::DaneOnly, None, "later dane-required"),
    ] {
        let sts = Some(sts("enforce", "other.example"));
        let case = Case { wish, tlsa: tlsa.map(records), sts, ..Case::new() };
        assert_eq!(case.decided(), expected);
    }
}

/// Whether TLSA records, and whether a policy of the domain's are asked for.
fn asked(case: &Case) -> (bool, bool) {
    let host = host(case.security);
    let facts = Facts {
        destination: &case.destination,
        host: &host,
        wish: &case.wish,
        demand: case.demand,
        tlsa: case.tlsa.as_ref(),
        sts: None,
    };
    (facts.need_tlsa(), facts.need_sts())
}

#[test]
fn a_report_on_tls_arrives_where_the_domain_lets_no_other_mail_in() {
    let case = |wish| Case { wish, demand: Demand::Arrival, ..Case::new() };
    assert_eq!(case(TlsWish::Automatic).decided(), "opportunistic none");
    assert_eq!(asked(&case(TlsWish::Automatic)), (false, false));
    for wish in [TlsWish::Encrypted, TlsWish::Never, TlsWish::Dane] {
        let usual = Case { wish: wish.clone(), ..Case::new() };
        assert_eq!(case(wish.clone()).decided(), usual.decided(), "what the operator says counts");
        assert_eq!(asked(&case(wish)), asked(&usual));
    }
}

#[test]
fn required_tls_needs_a_name_that_can_be_trusted() {
    let case = |security| Case { security, demand: Demand::RequireTls, ..Case::new() };
    let (secure, insecure) = (Security::Secure, Security::Insecure);
    assert_eq!(case(secure).decided(), "verified requiretls");
    assert_eq!(case(insecure).decided(), "never");
    for mode in ["enforce", "testing"] {
        let named = Case { sts: Some(sts(mode, MX)), ..case(insecure) }.decided();
        assert!(named == "verified mta-sts" || named == "verified requiretls", "{named}");
        let unnamed = Case { sts: Some(sts(mode, "other.example")), ..case(insecure) }.decided();
        assert!(unnamed == "never" || unnamed.starts_with("later"), "{unnamed}");
    }
    assert_eq!(Case { sts: Some(sts("none", MX)), ..case(insecure) }.decided(), "never");
    assert_eq!(Case { tlsa: Some(records(3)), ..case(secure) }.decided(), "dane dane");
    assert_eq!(Case { tlsa: Some(records(1)), ..case(secure) }.decided(), "verified requiretls");
    for wish in [TlsWish::Opportunistic, TlsWish::Encrypted, TlsWish::Verified(None)] {
        assert_eq!(Case { wish: wish.clone(), ..case(secure) }.decided(), "verified requiretls");
        assert_eq!(Case { wish, ..case(insecure) }.decided(), "never");
    }
    assert_eq!(Case { wish: TlsWish::Never, ..case(secure) }.decided(), "never");
    let wish = TlsWish::Verified(Some("gate.example.com".into()));
    assert_eq!(Case { wish, ..case(insecure) }.decided(), "verified otherwise operator");
    for (destination, expected) in [
        (relay(RelayTls::StartTls), "verified relay"),
        (relay(RelayTls::Plain), "never"),
        (relay(RelayTls::Opportunistic), "never"),
        (Destination::Lmtp(LmtpServer::Unix("/run/lmtp".into())), "never"),
        (Destination::Literal(AddressLiteral([192, 0, 2, 1].into())), "never"),
    ] {
        assert_eq!(Case { destination, ..case(secure) }.decided(), expected);
    }
    let destination = relay(RelayTls::Opportunistic);
    assert_eq!(Case { destination, tlsa: Some(records(3)), ..case(secure) }.decided(), "dane dane");
}

#[test]
fn nobody_is_asked_in_vain() {
    assert_eq!(asked(&Case::new()), (true, true));
    assert_eq!(asked(&Case { tlsa: Some(records(3)), ..Case::new() }), (true, false));
    assert_eq!(asked(&Case { wish: TlsWish::Dane, ..Case::new() }), (true, false));
    assert_eq!(asked(&Case { wish: TlsWish::Encrypted, ..Case::new() }), (false, false));
    let demand = Demand::RequireTls;
    assert_eq!(asked(&Case { wish: TlsWish::Encrypted, demand, ..Case::new() }), (true, false));
    let security = Security::Insecure;
    assert_eq!(asked(&Case { wish: TlsWish::Encrypted, demand, security, ..Case::new() }), (true, true));
    assert_eq!(asked(&Case { wish: TlsWish::Never, demand, ..Case::new() }), (false, false));
    assert_eq!(asked(&Case { destination: relay(RelayTls::StartTls), ..Case::new() }), (false, false));
    assert_eq!(asked(&Case { destination: relay(RelayTls::Opportunistic), ..Case::new() }), (true, false));
}

#[test]
fn a_server_is_asked_for_the_name_that_counts() {
    let named = |policy: TlsPolicy| policy.server_name("mx.example.com").to_owned();
    assert_eq!(named(TlsPolicy::Encrypted), "mx.example.com");
    let records = TlsaRecords { base: "base.example.net".into(), ..records(3) };
    assert_eq!(named(TlsPolicy::Dane(records)), "base.example.net");
}
