//! Every type of record that may be asked for, out of a signed zone, and a list of senders asked for addresses backwards.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};
use dns::{
    Authorization, Families, Mode, Name, RecordData, RecordType, Resolver, RootHint, Security, ServiceHost,
    Settings, TrustAnchor,
};
use platform::clock::Clock;
use platform::metrics::Metrics;
use testkit::{NameWorld, Record, Signing};

fn name(text: &str) -> Result<Name> {
    Name::parse(text).with_context(|| text.to_owned())
}

fn wire(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(label.len().to_le_bytes()[0]);
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    wire
}

fn resolver(world: &NameWorld) -> Result<Resolver> {
    let settings = Settings {
        mode: Mode::Recursive { root_hints: vec![RootHint(world.root())] },
        trust_anchors: vec![TrustAnchor::RootKey(world.trust_anchor().context("the root is signed")?)],
        allowed_servers: vec!["127.0.0.0/8".parse()?],
        server_port: world.port(),
        families: Families::Ipv4,
        ..Settings::default()
    };
    Ok(Resolver::new(&settings, Clock::system(), &Metrics::default())?)
}

#[tokio::test]
async fn every_type_is_read_and_proven() -> Result<()> {
    let mut world = NameWorld::start(Signing::Signed)?;
    world.zone("test", Signing::Signed)?;
    world.zone("all.test", Signing::Signed)?;
    world.add("host.all.test", &Record::Address(Ipv4Addr::new(192, 0, 2, 7).into()));
    world.add("host.all.test", &Record::Address("2001:db8::7".parse()?));
    world.add("all.test", &Record::MailExchanger(10, "host.all.test".into()));
    world.add("all.test", &Record::Text("v=spf1 -all".into()));
    world.add("_25._tcp.host.all.test", &Record::Tlsa(3, 1, 1, vec![0xab; 2]));
    world.add("www.all.test", &Record::Alias("host.all.test".into()));
    world.add_raw("7.all.test", 12, wire("host.all.test"));
    world.add_raw("_imaps._tcp.all.test", 33, [&[0, 5, 0, 1, 3, 225][..], &wire("host.all.test")].concat());
    world.add_raw("all.test", 257, b"\x80\x05issueca.example; policy=ev".to_vec());
    let resolver = resolver(&world)?;
    for (asked, kind, expected) in [
        ("host.all.test", RecordType::A, "192.0.2.7"),
        ("host.all.test", RecordType::Aaaa, "2001:db8::7"),
        ("all.test", RecordType::Caa, "128 issue \"ca.example; policy=ev\""),
        ("www.all.test", RecordType::Cname, "host.all.test."),
        ("all.test", RecordType::Mx, "10 host.all.test."),
        ("all.test", RecordType::Ns, "ns.all.test."),
        ("7.all.test", RecordType::Ptr, "host.all.test."),
        ("all.test", RecordType::Soa, "ns.all.test. ops.all.test. 1 3600 600 86400 60"),
        ("_imaps._tcp.all.test", RecordType::Srv, "5 1 993 host.all.test."),
        ("_25._tcp.host.all.test", RecordType::Tlsa, "3 1 1 abab"),
        ("all.test", RecordType::Txt, "\"v=spf1 -all\""),
    ] {
        let answer =
            resolver.resolve(&name(asked)?, kind).await.with_context(|| format!("{asked} {kind}"))?;
        let records: Vec<String> = answer.records.iter().map(ToString::to_string).collect();
        assert_eq!(
            (records, answer.security),
            (vec![expected.to_owned()], Security::Secure),
            "{asked} {kind}"
        );
    }
    for (kind, first) in [(RecordType::Dnskey, "257 3 13 "), (RecordType::Ds, "")] {
        let answer = resolver.resolve(&name("all.test")?, kind).await.with_context(|| kind.to_string())?;
        assert_eq!((answer.records.len(), answer.security), (1, Security::Secure), "{kind}");
        assert!(answer.records[0].to_string().starts_with(first), "{kind}: {}", answer.records[0]);
    }
    let service = resolver.resolve(&name("_imaps._tcp.all.test")?, RecordType::Srv).await?;
    let expected = ServiceHost { priority: 5, weight: 1, port: 993, host: name("host.all.test")? };
    assert_eq!(service.records, [RecordData::Service(expected)]);
    let may_issue = resolver.resolve(&name("all.test")?, RecordType::Caa).await?;
    let expected =
        Authorization { is_critical: true, tag: "issue".into(), value: b"ca.example; policy=ev".to_vec() };
    assert_eq!(may_issue.records, [RecordData::Authorization(expected)]);
    Ok(())
}

#[tokio::test]
async fn lists_of_senders_are_asked_backwards() -> Result<()> {
    let mut world = NameWorld::start(Signing::Signed)?;
    world.zone("test", Signing::Signed)?;
    world.zone("bl.test", Signing::Unsigned)?;
    // RFC 5782 §2.1, §2.4: an address, and one of IPv6.
    let listed: IpAddr = Ipv4Addr::new(127, 0, 0, 2).into();
    world.add("2.0.0.127.bl.test", &Record::Address(listed));
    world.add("2.0.0.127.bl.test", &Record::Text("listed for a test".into()));
    let six = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test";
    world.add(six, &Record::Address(listed));
    let resolver = resolver(&world)?;
    let found = resolver.addresses(&name("2.0.0.127.bl.test")?, Families::Ipv4).await?;
    assert_eq!((found.records, found.security), (vec![listed], Security::Insecure));
    assert_eq!(resolver.txt(&name("2.0.0.127.bl.test")?).await?.records, [b"listed for a test"]);
    assert_eq!(resolver.addresses(&name(six)?, Families::Ipv4).await?.records, [listed]);
    let absent = resolver.addresses(&name("1.0.0.127.bl.test")?, Families::Ipv4).await.unwrap_err();
    assert!(absent.is_absence(), "{absent:?}");
    // Neither is a list that fails one that has nothing.
    world.set_humour(world.responsible("bl.test").context("no server")?, testkit::Humour::Failing);
    let failed = resolver.addresses(&name("3.0.0.127.bl.test")?, Families::Ipv4).await.unwrap_err();
    assert!(!failed.is_absence(), "{failed:?}");
    Ok(())
}
