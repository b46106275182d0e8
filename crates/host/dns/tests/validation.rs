//! What is signed is proven, what is forged is no answer, what nobody signed is said to be so (RFC 4035 §5).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use dns::{
    Bounds, Families, Forwarder, ForwarderTransport, LookupError, Mode, Name, Resolver, RootHint, Security,
    Settings, TrustAnchor,
};
use platform::clock::Clock;
use platform::metrics::Metrics;
use testkit::{Humour, NameWorld, Record, Signing};

fn name(text: &str) -> Result<Name> {
    Name::parse(text).with_context(|| text.to_owned())
}

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// A signed root and `test`; below it a signed zone, an unsigned one, and one whose signatures were taken away.
fn world() -> Result<NameWorld> {
    let mut world = NameWorld::start(Signing::Signed)?;
    world.zone("test", Signing::Signed)?;
    for (zone, signing) in [
        ("signed.test", Signing::Signed),
        ("unsigned.test", Signing::Unsigned),
        ("stripped.test", Signing::Stripped),
    ] {
        world.zone(zone, signing)?;
        world.add(zone, &Record::MailExchanger(10, format!("mx.{zone}")));
        world.add(&format!("mx.{zone}"), &Record::Address(HOST));
        world.add(&format!("_25._tcp.mx.{zone}"), &Record::Tlsa(3, 1, 1, vec![7; 32]));
    }
    Ok(world)
}

fn settings(world: &NameWorld) -> Result<Settings> {
    Ok(Settings {
        mode: Mode::Recursive { root_hints: vec![RootHint(world.root())] },
        trust_anchors: vec![TrustAnchor::RootKey(world.trust_anchor().context("the root is signed")?)],
        allowed_servers: vec!["127.0.0.0/8".parse()?],
        server_port: world.port(),
        families: Families::Ipv4,
        ..Settings::default()
    })
}

fn resolver(settings: &Settings) -> Result<Resolver> {
    Ok(Resolver::new(settings, Clock::system(), &Metrics::default())?)
}

/// What this thread, which does all the work of its test, has computed so far.
fn busy() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(text.split(' ').next().context("no time")?.parse()?))
}

#[tokio::test]
async fn a_server_of_the_zone_above_and_the_one_below_proves_as_much() -> Result<()> {
    let mut world = world()?;
    let zones = ["test", "signed.test", "unsigned.test", "stripped.test"];
    let server = world.server(&zones)?;
    for zone in zones {
        if let Some(other) = world.responsible(zone) {
            world.set_humour(other, Humour::Refusing);
        }
        world.delegate(zone, "all.test", server)?;
    }
    let resolver = resolver(&settings(&world)?)?;
    for (zone, expected) in [("signed.test", Security::Secure), ("unsigned.test", Security::Insecure)] {
        let answer = resolver.mx(&name(zone)?).await?;
        assert_eq!((answer.security, answer.records.len()), (expected, 1), "{zone}");
        let absent = resolver.txt(&name(zone)?).await;
        assert!(
            matches!(absent, Err(LookupError::NoData { security, .. }) if security == expected),
            "{zone}: {absent:?}"
        );
        let absent = resolver.mx(&name(&format!("nowhere.{zone}"))?).await;
        assert!(
            matches!(absent, Err(LookupError::NoSuchName { security, .. }) if security == expected),
            "{zone}: {absent:?}"
        );
        let host = resolver.addresses(&name(&format!("mx.{zone}"))?, Families::Ipv4).await?;
        assert_eq!((host.security, host.records), (expected, vec![HOST]), "{zone}");
    }
    let forged = resolver.mx(&name("stripped.test")?).await;
    assert!(matches!(forged, Err(LookupError::Bogus(_))), "{forged:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_signed_from_the_root_down_is_secure() -> Result<()> {
    let world = world()?;
    let resolver = resolver(&settings(&world)?)?;
    let answer = resolver.mx(&name("signed.test")?).await?;
    assert_eq!((answer.security, answer.records.len()), (Security::Secure, 1));
    let host = name("mx.signed.test")?;
    let addresses = resolver.addresses(&host, Families::Both).await?;
    assert_eq!((addresses.security, addresses.records), (Security::Secure, vec![HOST]));
    let tlsa = resolver.tlsa(25, &host).await?;
    assert_eq!((tlsa.security, tlsa.records[0].data.len()), (Security::Secure, 32));
    // And from the cache it is no less.
    assert_eq!(resolver.tlsa(25, &host).await?.security, Security::Secure);
    Ok(())
}

#[tokio::test]
async fn a_zone_that_its_parent_proves_unsigned_is_insecure() -> Result<()> {
    let world = world()?;
    let resolver = resolver(&settings(&world)?)?;
    assert_eq!(resolver.mx(&name("unsigned.test")?).await?.security, Security::Insecure);
    let host = name("mx.unsigned.test")?;
    assert_eq!(resolver.addresses(&host, Families::Ipv4).await?.security, Security::Insecure);
    assert_eq!(resolver.tlsa(25, &host).await?.security, Security::Insecure);
    let absent = resolver.txt(&host).await.unwrap_err();
    assert!(matches!(absent, LookupError::NoData { security: Security::Insecure, .. }), "{absent:?}");
    let absent = resolver.txt(&name("nowhere.unsigned.test")?).await.unwrap_err();
    assert!(matches!(absent, LookupError::NoSuchName { security: Security::Insecure, .. }), "{absent:?}");
    Ok(())
}

#[tokio::test]
async fn forged_and_stripped_answers_are_refused() -> Result<()> {
    let world = world()?;
    world.forge("mx.signed.test");
    let resolver = resolver(&settings(&world)?)?;
    for host in ["mx.signed.test", "mx.stripped.test", "stripped.test"] {
        let failed = resolver.resolve(&name(host)?, dns::RecordType::A).await.unwrap_err();
        assert!(matches!(failed, LookupError::Bogus(_)), "{host}: {failed:?}");
    }
    let failed = resolver.tlsa(25, &name("mx.stripped.test")?).await.unwrap_err();
    assert!(!failed.is_absence(), "{failed:?}");
    // The zone's other names are not harmed.
    assert_eq!(resolver.mx(&name("signed.test")?).await?.security, Security::Secure);
    Ok(())
}

#[tokio::test]
async fn absences_are_proven_too() -> Result<()> {
    let world = world()?;
    let resolver = resolver(&settings(&world)?)?;
    let absent = resolver.txt(&name("nowhere.signed.test")?).await.unwrap_err();
    assert!(matches!(absent, LookupError::NoSuchName { security: Security::Secure, .. }), "{absent:?}");
    let absent = resolver.txt(&name("mx.signed.test")?).await.unwrap_err();
    assert!(matches!(absent, LookupError::NoData { security: Security::Secure, .. }), "{absent:?}");
    let absent = resolver.tlsa(465, &name("mx.signed.test")?).await.unwrap_err();
    assert!(absent.is_absence() && absent.security() == Some(Security::Secure), "{absent:?}");
    Ok(())
}

#[tokio::test]
async fn an_absence_with_a_wrong_signature_is_no_absence() -> Result<()> {
    let world = world()?;
    // The names whose NSEC records would prove it: the one asked for, or the last before it.
    world.forge("mx.signed.test");
    world.forge("_25._tcp.mx.signed.test");
    let resolver = resolver(&settings(&world)?)?;
    let failed = resolver.txt(&name("nowhere.signed.test")?).await.unwrap_err();
    assert!(!failed.is_absence(), "{failed:?}");
    let failed = resolver.txt(&name("mx.signed.test")?).await.unwrap_err();
    assert!(!failed.is_absence(), "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn an_alias_out_of_a_signed_zone_is_as_secure_as_its_target() -> Result<()> {
    let world = world()?;
    world.add("out.signed.test", &Record::Alias("mx.unsigned.test".into()));
    world.add("within.signed.test", &Record::Alias("mx.signed.test".into()));
    world.add("in.unsigned.test", &Record::Alias("mx.signed.test".into()));
    let resolver = resolver(&settings(&world)?)?;
    for (alias, security, canonical) in [
        ("out.signed.test", Security::Insecure, "mx.unsigned.test"),
        ("within.signed.test", Security::Secure, "mx.signed.test"),
        ("in.unsigned.test", Security::Insecure, "mx.signed.test"),
    ] {
        let answer = resolver.addresses(&name(alias)?, Families::Ipv4).await?;
        assert_eq!((answer.security, answer.canonical.as_str()), (security, canonical), "{alias}");
    }
    Ok(())
}

#[tokio::test]
async fn another_root_key_proves_nothing() -> Result<()> {
    let world = world()?;
    let stranger = NameWorld::start(Signing::Signed)?;
    let key = stranger.trust_anchor().context("signed")?;
    let resolver =
        resolver(&Settings { trust_anchors: vec![TrustAnchor::RootKey(key)], ..settings(&world)? })?;
    for zone in ["signed.test", "unsigned.test"] {
        let failed = resolver.mx(&name(zone)?).await.unwrap_err();
        assert!(!failed.is_absence(), "{zone}: {failed:?}");
    }
    Ok(())
}

#[tokio::test]
async fn without_trust_anchors_nothing_is_secure() -> Result<()> {
    let world = world()?;
    let resolver = resolver(&Settings { trust_anchors: Vec::new(), ..settings(&world)? })?;
    assert_eq!(resolver.mx(&name("signed.test")?).await?.security, Security::Insecure);
    Ok(())
}

#[tokio::test]
async fn forwarders_are_not_taken_at_their_word() -> Result<()> {
    let mut world = world()?;
    world.forge("forged.signed.test");
    world.add("forged.signed.test", &Record::Text("no".into()));
    let forwarder = world.server(&["", "test", "signed.test", "unsigned.test"])?;
    let forwarder =
        Forwarder { address: SocketAddr::new(forwarder, world.port()), transport: ForwarderTransport::Plain };
    let resolver = resolver(&Settings { mode: Mode::Forward(vec![forwarder]), ..settings(&world)? })?;
    assert_eq!(resolver.mx(&name("signed.test")?).await?.security, Security::Secure);
    assert_eq!(resolver.mx(&name("unsigned.test")?).await?.security, Security::Insecure);
    let absent = resolver.txt(&name("nowhere.signed.test")?).await.unwrap_err();
    assert!(matches!(absent, LookupError::NoSuchName { security: Security::Secure, .. }), "{absent:?}");
    let failed = resolver.txt(&name("forged.signed.test")?).await.unwrap_err();
    assert!(matches!(failed, LookupError::Bogus(_)), "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn keys_and_signatures_without_number_are_bounded_work() -> Result<()> {
    // KeyTrap (CVE-2023-50387): 31 keys of one tag and 100 signatures would be 3100 verifications for each set.
    let world = world()?;
    world.trap("signed.test", 100);
    let resolver = resolver(&settings(&world)?)?;
    let began = busy()?;
    let failed = resolver.mx(&name("signed.test")?).await.unwrap_err();
    assert!(!failed.is_absence(), "{failed:?}");
    // Unoptimised, one verification takes about a quarter of a millisecond.
    assert!(busy()? - began < Duration::from_millis(500), "{:?}", busy()? - began);
    Ok(())
}

#[tokio::test]
async fn a_forwarder_that_cannot_prove_its_name_is_told_nothing() -> Result<()> {
    let world = world()?;
    // It does not even speak TLS: whoever stands in for the forwarder is refused before it hears a question.
    let forwarder =
        Forwarder { address: world.root(), transport: ForwarderTransport::Tls(name("dns.example.test")?) };
    let bounds = Bounds { question_time_max: Duration::from_millis(500), ..Bounds::default() };
    let mode = Mode::Forward(vec![forwarder]);
    let resolver = resolver(&Settings { mode, bounds, ..settings(&world)? })?;
    let failed = resolver.mx(&name("signed.test")?).await.unwrap_err();
    assert!(!failed.is_absence(), "{failed:?}");
    assert!(world.asked(world.root().ip()).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_stale_answer_is_as_secure_as_it_was_and_a_forged_one_makes_none() -> Result<()> {
    let world = world()?;
    let clock = Clock::settable(platform::clock::Timestamp::default());
    let bounds = Bounds { question_time_max: Duration::from_millis(500), ..Bounds::default() };
    let settings = Settings { bounds, ..settings(&world)? };
    let resolver = Resolver::new(&settings, clock.clone(), &Metrics::default())?;
    let host = name("mx.signed.test")?;
    resolver.tlsa(25, &host).await?;
    world.set_humour(world.responsible("signed.test").context("no server")?, Humour::Silent);
    clock.advance(Duration::from_secs(4000));
    assert_eq!(resolver.tlsa(25, &host).await?.security, Security::Secure);
    // A server that answers, but wrongly: better no answer than an old one that somebody may want us to keep.
    world.set_humour(world.responsible("signed.test").context("no server")?, Humour::Well);
    world.forge("_25._tcp.mx.signed.test");
    clock.advance(Duration::from_secs(60));
    let failed = resolver.tlsa(25, &host).await.unwrap_err();
    assert!(matches!(failed, LookupError::Bogus(_)), "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn an_alias_to_nothing_is_a_proven_absence() -> Result<()> {
    let world = world()?;
    world.add("nothing.signed.test", &Record::Alias("nowhere.signed.test".into()));
    world.add("empty.signed.test", &Record::Alias("mx.signed.test".into()));
    world.add("nothing.unsigned.test", &Record::Alias("nowhere.unsigned.test".into()));
    world.add("far.unsigned.test", &Record::Alias("near.signed.test".into()));
    world.add("near.signed.test", &Record::Alias("nothing.signed.test".into()));
    let resolver = resolver(&settings(&world)?)?;
    for (alias, expected) in [
        ("nothing.unsigned.test", Security::Insecure),
        ("nothing.signed.test", Security::Secure),
        ("far.unsigned.test", Security::Insecure),
    ] {
        let absent = resolver.txt(&name(alias)?).await.unwrap_err();
        assert!(
            matches!(absent, LookupError::NoSuchName { security, .. } if security == expected),
            "{alias}: {absent:?}"
        );
    }
    let absent = resolver.txt(&name("empty.signed.test")?).await.unwrap_err();
    assert!(matches!(absent, LookupError::NoData { security: Security::Secure, .. }), "{absent:?}");
    // With a signature that is wrong, the same is no absence.
    world.forge("liar.signed.test");
    world.add("liar.signed.test", &Record::Alias("nowhere.signed.test".into()));
    let failed = resolver.txt(&name("liar.signed.test")?).await.unwrap_err();
    assert!(matches!(failed, LookupError::Bogus(_)), "{failed:?}");
    Ok(())
}
