//! What is hostile or merely strange in the world of names: each costs little, and none makes a wrong verdict.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dns::{
    Answer, Bounds, Families, LookupError, Mode, Name, Resolver, RootHint, Security, Settings, TrustAnchor,
};
use platform::clock::Clock;
use platform::metrics::Metrics;
use testkit::{Humour, NameWorld, Record, Signing};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn name(text: &str) -> Result<Name> {
    Name::parse(text).with_context(|| text.to_owned())
}

/// A signed root and `test`; below it a signed zone and an unsigned one, each with a host.
fn world() -> Result<NameWorld> {
    let mut world = NameWorld::start(Signing::Signed)?;
    world.zone("test", Signing::Signed)?;
    for (zone, signing) in [("signed.test", Signing::Signed), ("unsigned.test", Signing::Unsigned)] {
        world.zone(zone, signing)?;
        world.add(&format!("mx.{zone}"), &Record::Address(HOST));
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
        bounds: Bounds { question_time_max: Duration::from_secs(3), ..Bounds::default() },
        ..Settings::default()
    })
}

fn resolver(world: &NameWorld) -> Result<Resolver> {
    Ok(Resolver::new(&settings(world)?, Clock::system(), &Metrics::default())?)
}

async fn addresses(resolver: &Resolver, host: &str) -> Result<Result<Answer<IpAddr>, LookupError>> {
    Ok(resolver.addresses(&name(host)?, Families::Ipv4).await)
}

/// What this thread, which does all the work of its test, has computed so far.
fn busy() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(text.split(' ').next().context("no time")?.parse()?))
}

#[tokio::test]
async fn absences_are_proven_by_hashes() -> Result<()> {
    let mut world = world()?;
    world.zone("bare.signed.test", Signing::Unsigned)?;
    world.add("mx.bare.signed.test", &Record::Address(HOST));
    for zone in ["", "test", "signed.test"] {
        world.hash_names(zone, 0);
    }
    let resolver = resolver(&world)?;
    let absent = addresses(&resolver, "nowhere.signed.test").await?.unwrap_err();
    assert!(matches!(absent, LookupError::NoSuchName { security: Security::Secure, .. }), "{absent:?}");
    let absent = addresses(&resolver, "a.b.c.nowhere.signed.test").await?.unwrap_err();
    assert!(matches!(absent, LookupError::NoSuchName { security: Security::Secure, .. }), "{absent:?}");
    let absent = resolver.txt(&name("mx.signed.test")?).await.unwrap_err();
    assert!(matches!(absent, LookupError::NoData { security: Security::Secure, .. }), "{absent:?}");
    assert_eq!(addresses(&resolver, "mx.signed.test").await??.security, Security::Secure);
    for host in ["mx.unsigned.test", "mx.bare.signed.test"] {
        assert_eq!(addresses(&resolver, host).await??.security, Security::Insecure, "{host}");
    }
    Ok(())
}

#[tokio::test]
async fn hashing_without_end_is_not_done() -> Result<()> {
    // CVE-2023-50868. RFC 9276 §3.2: beyond a bound the zone counts as unsigned, beyond another as hostile.
    for (iterations, expected) in [
        (49, Some(Security::Secure)),
        (50, Some(Security::Secure)),
        (51, Some(Security::Insecure)),
        (150, Some(Security::Insecure)),
        (151, None),
        (65_535, None),
    ] {
        let world = world()?;
        world.hash_names("signed.test", iterations);
        let resolver = resolver(&world)?;
        let began = busy()?;
        let absent = resolver.txt(&name("mx.signed.test")?).await.unwrap_err();
        match expected {
            Some(security) => assert_eq!(absent.security(), Some(security), "{iterations}: {absent:?}"),
            None => assert!(!absent.is_absence(), "{iterations}: {absent:?}"),
        }
        assert!(busy()? - began < Duration::from_millis(300), "{iterations}: {:?}", busy()? - began);
        // What is there is as proven as ever: no absence is needed for it.
        assert_eq!(addresses(&resolver, "mx.signed.test").await??.security, Security::Secure);
    }
    Ok(())
}

#[tokio::test]
async fn wildcards_are_proven_with_the_absence_of_the_name() -> Result<()> {
    for hashed in [None, Some(0), Some(51)] {
        let world = world()?;
        if let Some(iterations) = hashed {
            world.hash_names("signed.test", iterations);
        }
        world.add("*.wild.signed.test", &Record::Address(HOST));
        world.add("there.wild.signed.test", &Record::Text("here".into()));
        let resolver = resolver(&world)?;
        let expected = if hashed == Some(51) { Security::Insecure } else { Security::Secure };
        for host in ["a.wild.signed.test", "b.c.wild.signed.test"] {
            let answer = addresses(&resolver, host).await?;
            let answer = answer.with_context(|| format!("{host} {hashed:?}"))?;
            assert_eq!((answer.records, answer.security), (vec![HOST], expected), "{host} {hashed:?}");
        }
        let absent = addresses(&resolver, "there.wild.signed.test").await?.unwrap_err();
        assert!(matches!(absent, LookupError::NoData { .. }), "{absent:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_renamed_is_proven_too() -> Result<()> {
    let world = world()?;
    let target = b"\x06signed\x04test\x00".to_vec();
    world.add_raw("old.signed.test", 39, target.clone());
    world.add_raw("old.unsigned.test", 39, target);
    let resolver = resolver(&world)?;
    let answer = addresses(&resolver, "mx.old.signed.test").await??;
    assert_eq!((answer.canonical.as_str(), answer.security), ("mx.signed.test", Security::Secure));
    let answer = addresses(&resolver, "mx.old.unsigned.test").await??;
    assert_eq!((answer.canonical.as_str(), answer.security), ("mx.signed.test", Security::Insecure));
    let absent = addresses(&resolver, "nowhere.old.signed.test").await?.unwrap_err();
    assert!(matches!(absent, LookupError::NoSuchName { security: Security::Secure, .. }), "{absent:?}");
    // Not a word of it when the renaming is forged.
    world.add_raw("liar.signed.test", 39, b"\x08unsigned\x04test\x00".to_vec());
    world.forge("liar.signed.test");
    let failed = addresses(&resolver, "mx.liar.signed.test").await?.unwrap_err();
    assert!(matches!(failed, LookupError::Bogus(_)), "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn a_zone_signs_for_no_wildcard_above_it() -> Result<()> {
    // CVE-2026-44690: the label count of a signature makes a record one of `*.test`, or of `*`.
    for labels in [0, 1] {
        let world = world()?;
        world.force_labels("signed.test", labels);
        let resolver = resolver(&world)?;
        let failed = addresses(&resolver, "mx.signed.test").await?;
        assert!(failed.as_ref().is_err_and(|error| !error.is_absence()), "{labels}: {failed:?}");
        // Others are not harmed by what was asked.
        assert_eq!(addresses(&resolver, "mx.unsigned.test").await??.security, Security::Insecure);
        let absent = addresses(&resolver, "other.test").await?.unwrap_err();
        assert!(matches!(absent, LookupError::NoSuchName { security: Security::Secure, .. }), "{absent:?}");
    }
    Ok(())
}

#[tokio::test]
async fn strangers_answers_are_not_heard() -> Result<()> {
    let world = world()?;
    for zone in ["signed.test", "unsigned.test"] {
        world.set_humour(world.responsible(zone).context("no server")?, Humour::Spoofed);
    }
    let resolver = resolver(&world)?;
    for (host, security) in [("mx.unsigned.test", Security::Insecure), ("mx.signed.test", Security::Secure)] {
        let answer = addresses(&resolver, host).await??;
        assert_eq!((answer.records, answer.security), (vec![HOST], security), "{host}");
    }
    Ok(())
}

#[tokio::test]
async fn answers_that_break_off_are_none() -> Result<()> {
    let world = world()?;
    world.set_humour(world.responsible("unsigned.test").context("no server")?, Humour::Broken);
    let resolver = resolver(&world)?;
    let failed = addresses(&resolver, "mx.unsigned.test").await?.unwrap_err();
    assert!(!failed.is_absence(), "{failed:?}");
    assert_eq!(addresses(&resolver, "mx.signed.test").await??.security, Security::Secure);
    Ok(())
}

#[tokio::test]
async fn servers_without_an_address_are_not_looked_for_here() -> Result<()> {
    // CVE-2026-50251: to the system, the unspecified address is its own.
    let mut world = world()?;
    let server = world.zone("zero.test", Signing::Unsigned)?;
    world.undelegate("zero.test");
    world.add_raw("zero.test", 2, b"\x02ns\x04zero\x04test\x00".to_vec());
    world.delegate("zero.test", "ns.zero.test", Ipv4Addr::UNSPECIFIED.into())?;
    let allowed = vec!["127.0.0.0/8".parse()?, "0.0.0.0/0".parse()?];
    for allowed_servers in [vec!["127.0.0.0/8".parse()?], allowed] {
        let settings = Settings { allowed_servers, ..settings(&world)? };
        let resolver = Resolver::new(&settings, Clock::system(), &Metrics::default())?;
        let failed = addresses(&resolver, "zero.test").await?.unwrap_err();
        assert!(!failed.is_absence(), "{failed:?}");
    }
    assert_eq!(world.asked(server), []);
    Ok(())
}

#[tokio::test]
async fn a_zone_that_was_taken_away_does_not_live_on() -> Result<()> {
    // Ghost domains (CVE-2012-1033, CVE-2026-40622): the zone's own servers say for ever that it is theirs.
    let mut world = NameWorld::start(Signing::Unsigned)?;
    world.zone("test", Signing::Unsigned)?;
    let server = world.server(&["ghost.test"])?;
    world.found_alone("ghost.test")?;
    let ns = b"\x02ns\x05ghost\x04test\x00".to_vec();
    world.add_above("ghost.test", 2, ns.clone(), 1);
    let IpAddr::V4(address) = server else { anyhow::bail!("not IPv4") };
    world.add_above("ns.ghost.test", 1, address.octets().to_vec(), 1);
    world.add_raw("ghost.test", 2, ns);
    world.add_raw("ns.ghost.test", 1, address.octets().to_vec());
    world.add_for("mx.ghost.test", &Record::Address(HOST), 0);
    let settings = Settings {
        mode: Mode::Recursive { root_hints: vec![RootHint(world.root())] },
        trust_anchors: Vec::new(),
        allowed_servers: vec!["127.0.0.0/8".parse()?],
        server_port: world.port(),
        families: Families::Ipv4,
        ..Settings::default()
    };
    let resolver = Resolver::new(&settings, Clock::system(), &Metrics::default())?;
    assert_eq!(addresses(&resolver, "mx.ghost.test").await??.records, [HOST]);
    world.undelegate("ghost.test");
    let began = Instant::now();
    loop {
        // Whoever asks for the zone's servers hears its own word, which must not prolong what the zone above said.
        drop(resolver.resolve(&name("ghost.test")?, dns::RecordType::Ns).await);
        if addresses(&resolver, "mx.ghost.test").await?.is_err() {
            break;
        }
        ensure!(began.elapsed() < Duration::from_secs(15), "the zone lives on");
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn as_many_keys_and_signatures_as_fit_are_little_work() -> Result<()> {
    // KeyTrap (CVE-2023-50387), as wide as an answer may be: more than that is refused before it is read.
    for signatures in [10, 100, 200, 300] {
        let world = world()?;
        world.trap("signed.test", signatures);
        let resolver = resolver(&world)?;
        let began = busy()?;
        let failed = addresses(&resolver, "mx.signed.test").await?.unwrap_err();
        assert!(!failed.is_absence(), "{signatures}: {failed:?}");
        assert!(busy()? - began < Duration::from_millis(700), "{signatures}: {:?}", busy()? - began);
    }
    Ok(())
}

#[tokio::test]
async fn a_crowd_at_a_slow_server_is_bounded() -> Result<()> {
    // DNSBomb (CVE-2024-33655) gathers questions at a server that answers late: here few are open, and others are told so.
    let world = world()?;
    world.set_humour(world.responsible("unsigned.test").context("no server")?, Humour::Silent);
    let bounds = Bounds {
        questions_open_max: 8,
        questions_waiting_max: 8,
        question_time_max: Duration::from_millis(700),
        ..Bounds::default()
    };
    let settings = Settings { bounds, ..settings(&world)? };
    let resolver = Resolver::new(&settings, Clock::system(), &Metrics::default())?;
    let hosts: Vec<String> = (0..100).map(|number| format!("host{number}.unsigned.test")).collect();
    let began = Instant::now();
    let answers = futures_util::future::join_all(hosts.iter().map(|host| addresses(&resolver, host))).await;
    let busy = answers.iter().filter(|answer| matches!(answer, Ok(Err(LookupError::Busy)))).count();
    assert_eq!(busy, 100 - 16);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    Ok(())
}
