//! The resolver walks a small world of names from its root: answers, absences, failures, and what is hostile.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dns::{
    Answer, Bounds, Families, LookupError, Mode, Name, RecordType, Resolver, RootHint, Security, Settings,
    SettingsError,
};
use platform::clock::{Clock, Timestamp};
use platform::metrics::Metrics;
use testkit::{Humour, NameWorld, Record, Signing, Transport};

/// The number of the type MX.
const MX: u16 = 15;

fn name(text: &str) -> Result<Name> {
    Name::parse(text).with_context(|| text.to_owned())
}

fn host(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

/// Root, `test`, and `example.test`, none of them signed.
fn world() -> Result<(NameWorld, IpAddr)> {
    let mut world = NameWorld::start(Signing::Unsigned)?;
    world.zone("test", Signing::Unsigned)?;
    let server = world.zone("example.test", Signing::Unsigned)?;
    world.add("example.test", &Record::MailExchanger(10, "mx.example.test".into()));
    world.add("mx.example.test", &Record::Address(host(7)));
    Ok((world, server))
}

fn settings(world: &NameWorld) -> Result<Settings> {
    Ok(Settings {
        mode: Mode::Recursive { root_hints: vec![RootHint(world.root())] },
        trust_anchors: Vec::new(),
        allowed_servers: vec!["127.0.0.0/8".parse()?],
        server_port: world.port(),
        families: Families::Ipv4,
        ..Settings::default()
    })
}

fn resolver(settings: &Settings) -> Result<Resolver> {
    Ok(Resolver::new(settings, Clock::system(), &Metrics::default())?)
}

#[tokio::test]
async fn mail_hosts_are_found_from_the_root() -> Result<()> {
    let (world, server) = world()?;
    let resolver = resolver(&settings(&world)?)?;
    let answer = resolver.mx(&name("example.test")?).await?;
    assert_eq!(answer.records[0].exchange, name("mx.example.test")?);
    assert_eq!(answer.security, Security::Insecure);
    assert_eq!(resolver.addresses(&name("mx.example.test")?, Families::Both).await?.records, [host(7)]);
    // Servers above learn no more than they need (RFC 9156).
    let told: Vec<String> = world.asked(world.root().ip()).into_iter().map(|asked| asked.name).collect();
    ensure!(told.iter().all(|name| !name.contains("example")), "the root heard {told:?}");
    let asked_mx = world.asked(server).iter().filter(|asked| asked.kind == MX).count();
    // Asked again, it is known.
    resolver.mx(&name("EXAMPLE.test.")?).await?;
    assert_eq!(world.asked(server).iter().filter(|asked| asked.kind == MX).count(), asked_mx);
    Ok(())
}

#[tokio::test]
async fn who_is_responsible_for_a_name_is_found_out_by_the_question_itself() -> Result<()> {
    let (mut world, server) = world()?;
    let below = world.zone("sub.example.test", Signing::Unsigned)?;
    world.add("sub.example.test", &Record::MailExchanger(10, "mx.example.test".into()));
    let resolver = resolver(&settings(&world)?)?;
    resolver.mx(&name("example.test")?).await?;
    let since = |server, before: usize| -> Vec<(String, u16)> {
        world.asked(server).into_iter().skip(before).map(|asked| (asked.name, asked.kind)).collect()
    };
    // A server that answers has told all there is to know: a record, no such record, no such name.
    for (host, kind, number) in [
        ("mx.example.test", RecordType::A, 1),
        ("mx.example.test", RecordType::Txt, 16),
        ("nowhere.example.test", RecordType::A, 1),
    ] {
        let before = world.asked(server).len();
        let outcome = resolver.resolve(&name(host)?, kind).await;
        assert_eq!(outcome.is_ok(), number == 1 && host.starts_with("mx"), "{outcome:?}");
        assert_eq!(since(server, before), [(host.to_owned(), number)]);
    }
    // One that is not responsible says who is.
    let before = world.asked(server).len();
    assert_eq!(resolver.mx(&name("sub.example.test")?).await?.records.len(), 1);
    let both = [since(server, before), since(below, 0)].concat();
    assert_eq!(both, vec![("sub.example.test".to_owned(), MX); 2]);
    Ok(())
}

#[tokio::test]
async fn queries_leave_from_the_address_they_are_told() -> Result<()> {
    let (world, server) = world()?;
    world.set_humour(server, Humour::Truncating);
    let own = Ipv4Addr::new(127, 0, 0, 77);
    let resolver = resolver(&Settings { bind_v4: Some(own), ..settings(&world)? })?;
    resolver.mx(&name("example.test")?).await?;
    let asked = world.asked_anywhere();
    assert!(asked.iter().all(|asked| asked.from.ip() == IpAddr::V4(own)), "{asked:?}");
    // What does not fit a datagram came over a stream, from the same address.
    assert!(asked.iter().any(|asked| asked.transport == Transport::Tcp));
    let ports: std::collections::BTreeSet<u16> = asked.iter().map(|asked| asked.from.port()).collect();
    assert!(ports.len() > 2, "source ports must not be foretold: {ports:?}");
    Ok(())
}

#[tokio::test]
async fn absences_and_failures_are_told_apart() -> Result<()> {
    let (mut world, server) = world()?;
    let resolver = resolver(&settings(&world)?)?;
    let absent = resolver.mx(&name("nowhere.example.test")?).await;
    assert!(
        matches!(absent, Err(LookupError::NoSuchName { valid_for, .. }) if !valid_for.is_zero()),
        "{absent:?}"
    );
    let absent = resolver.mx(&name("nowhere")?).await;
    assert!(matches!(absent, Err(LookupError::NoSuchName { .. })), "{absent:?}");
    let absent = resolver.mx(&name("mx.example.test")?).await;
    assert!(
        matches!(absent, Err(LookupError::NoData { valid_for, .. }) if !valid_for.is_zero()),
        "{absent:?}"
    );
    let asked = world.asked(server).len();
    resolver.mx(&name("mx.example.test")?).await.unwrap_err();
    assert_eq!(world.asked(server).len(), asked, "absences are remembered");

    for (zone, humour) in [
        ("failing.test", Humour::Failing),
        ("lame.test", Humour::Refusing),
        ("upwards.test", Humour::Referring),
        ("silent.test", Humour::Silent),
    ] {
        let server = world.zone(zone, Signing::Unsigned)?;
        world.add(zone, &Record::MailExchanger(10, "mx.example.test".into()));
        world.set_humour(server, humour);
        let failed = resolver.mx(&name(zone)?).await.unwrap_err();
        assert!(!failed.is_absence(), "{zone}: {failed:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_dead_server_beside_a_living_one_costs_little() -> Result<()> {
    let (mut world, _) = world()?;
    let dead = world.server(&[])?;
    world.set_humour(dead, Humour::Silent);
    let lame = world.server(&[])?;
    world.delegate("example.test", "ns2.example.test", dead)?;
    world.delegate("example.test", "ns3.example.test", lame)?;
    let bounds = Bounds { query_time_max: Duration::from_millis(500), ..Bounds::default() };
    let resolver = resolver(&Settings { bounds, ..settings(&world)? })?;
    let began = Instant::now();
    for number in 0..20 {
        let host = format!("host{number}.example.test");
        world.add(&host, &Record::Address(host_of(number)));
        assert_eq!(
            resolver.addresses(&name(&host)?, Families::Ipv4).await?.records,
            [host_of(number)],
            "{host}"
        );
    }
    // It is tried now and then, lest it be alive again, but it does not slow down every question.
    assert!(began.elapsed() < 10 * bounds.query_time_max, "{:?}", began.elapsed());
    Ok(())
}

fn host_of(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, number))
}

#[tokio::test]
async fn a_silent_world_ends_within_the_bound() -> Result<()> {
    let (world, _) = world()?;
    world.set_humour(world.root().ip(), Humour::Silent);
    let bounds = Bounds { question_time_max: Duration::from_millis(700), ..Bounds::default() };
    let resolver = resolver(&Settings { bounds, ..settings(&world)? })?;
    let began = Instant::now();
    assert_eq!(resolver.mx(&name("example.test")?).await, Err(LookupError::Timeout));
    assert!(began.elapsed() < Duration::from_secs(2));
    // The failure is remembered for a moment: many messages to a dead domain are one question.
    let asked = world.asked_anywhere().len();
    assert_eq!(resolver.mx(&name("example.test")?).await, Err(LookupError::Timeout));
    assert_eq!(world.asked_anywhere().len(), asked);
    Ok(())
}

#[tokio::test]
async fn the_same_question_is_asked_once_for_all_who_wait() -> Result<()> {
    let (world, server) = world()?;
    let resolver = resolver(&settings(&world)?)?;
    let domain = name("example.test")?;
    let answers = futures_util::future::join_all((0..50).map(|_| resolver.mx(&domain))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(world.asked(server).iter().filter(|asked| asked.kind == MX).count(), 1);
    Ok(())
}

#[tokio::test]
async fn more_questions_than_may_be_open_wait_and_more_than_may_wait_are_refused() -> Result<()> {
    let (world, server) = world()?;
    world.set_humour(server, Humour::Silent);
    let bounds = Bounds {
        questions_open_max: 2,
        questions_waiting_max: 3,
        question_time_max: Duration::from_millis(500),
        ..Bounds::default()
    };
    let resolver = resolver(&Settings { bounds, ..settings(&world)? })?;
    let names =
        (0..7).map(|number| name(&format!("host{number}.example.test"))).collect::<Result<Vec<_>>>()?;
    let answers = futures_util::future::join_all(names.iter().map(|name| resolver.txt(name))).await;
    let busy = answers.iter().filter(|answer| matches!(answer, Err(LookupError::Busy))).count();
    assert_eq!(busy, 2, "{answers:?}");
    Ok(())
}

#[tokio::test]
async fn aliases_lead_to_other_zones_but_not_in_circles() -> Result<()> {
    let (mut world, _) = world()?;
    world.zone("other.test", Signing::Unsigned)?;
    world.add("www.example.test", &Record::Alias("www.other.test".into()));
    world.add("www.other.test", &Record::Alias("mx.example.test".into()));
    let resolver = resolver(&settings(&world)?)?;
    let answer = resolver.addresses(&name("www.example.test")?, Families::Ipv4).await?;
    assert_eq!((answer.records, answer.canonical), (vec![host(7)], name("mx.example.test")?));

    world.add("one.example.test", &Record::Alias("two.other.test".into()));
    world.add("two.other.test", &Record::Alias("one.example.test".into()));
    world.add("self.example.test", &Record::Alias("self.example.test".into()));
    for circle in ["one.example.test", "self.example.test"] {
        let failed = resolver.addresses(&name(circle)?, Families::Ipv4).await.unwrap_err();
        assert!(!failed.is_absence(), "{circle}: {failed:?}");
    }
    for number in 0..60 {
        world.add(
            &format!("chain{number}.example.test"),
            &Record::Alias(format!("chain{}.example.test", number + 1)),
        );
    }
    let before = world.asked_anywhere().len();
    let failed = resolver.addresses(&name("chain0.example.test")?, Families::Ipv4).await.unwrap_err();
    assert!(!failed.is_absence(), "{failed:?}");
    let asked = world.asked_anywhere().len() - before;
    assert!(asked < 150, "{asked} queries for one question");
    Ok(())
}

#[tokio::test]
async fn large_answers_come_over_tcp_and_huge_ones_not_at_all() -> Result<()> {
    let (world, server) = world()?;
    for number in 0..200_u8 {
        world.add("large.example.test", &Record::Address(IpAddr::V4(Ipv4Addr::new(198, 51, 100, number))));
    }
    for number in 0..1500_u16 {
        let [high, low] = number.to_be_bytes();
        world.add("huge.example.test", &Record::Address(IpAddr::V4(Ipv4Addr::new(10, 1, high, low))));
    }
    let resolver = resolver(&settings(&world)?)?;
    let answer = resolver.addresses(&name("large.example.test")?, Families::Ipv4).await?;
    assert_eq!(answer.records.len(), 200);
    assert!(world.asked(server).iter().any(|asked| asked.transport == Transport::Tcp));
    let failed = resolver.addresses(&name("huge.example.test")?, Families::Ipv4).await.unwrap_err();
    assert!(!failed.is_absence(), "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn the_way_of_a_question_can_be_seen_and_has_a_bound() -> Result<()> {
    let (world, server) = world()?;
    let resolver = resolver(&settings(&world)?)?;
    let (outcome, way) = resolver.trace(&name("example.test")?, RecordType::Mx).await;
    assert!(outcome.is_ok());
    let way: Vec<String> = way
        .iter()
        .map(|step| format!("{} {} {}: {}", step.server.ip(), step.name, step.kind, step.outcome))
        .collect();
    assert_eq!(way.len(), world.asked_anywhere().len());
    assert_eq!(way[0], format!("{} test. NS: servers of test.", world.root().ip()));
    assert_eq!(way.last(), Some(&format!("{server} example.test. MX: 1 record")));
    for (queries, fits) in [(way.len() - 1, false), (way.len(), true), (way.len() + 1, true)] {
        let bounds = Bounds { question_queries_max: queries, ..Bounds::default() };
        let resolver = self::resolver(&Settings { bounds, ..settings(&world)? })?;
        match resolver.mx(&name("example.test")?).await {
            Ok(_) => assert!(fits, "{queries}"),
            Err(LookupError::Excessive(_)) => assert!(!fits, "{queries}"),
            Err(error) => panic!("{queries}: {error:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn delegations_to_many_servers_without_addresses_are_bounded_work() -> Result<()> {
    // NXNSAttack (CVE-2020-12667): one question, many names of servers that nobody can find.
    let (world, _) = world()?;
    for number in 0..100 {
        let mut server = Vec::new();
        for label in [format!("ns{number}"), "victim".to_owned(), "test".to_owned()] {
            server.push(label.len().to_le_bytes()[0]);
            server.extend(label.as_bytes());
        }
        server.push(0);
        world.add_raw("attack.example.test", 2, server);
    }
    let resolver = resolver(&settings(&world)?)?;
    let before = world.asked_anywhere().len();
    let failed = resolver.txt(&name("a.attack.example.test")?).await.unwrap_err();
    assert!(!failed.is_absence(), "{failed:?}");
    let asked = world.asked_anywhere().len() - before;
    assert!(asked < 60, "{asked} queries for one question");
    Ok(())
}

#[tokio::test]
async fn servers_inside_are_not_asked_because_a_stranger_says_so() -> Result<()> {
    let (world, server) = world()?;
    let before = settings(&world)?;
    let resolver = resolver(&Settings { allowed_servers: vec!["127.53.0.1/32".parse()?], ..before })?;
    let failed = resolver.mx(&name("example.test")?).await.unwrap_err();
    assert!(!failed.is_absence(), "{failed:?}");
    assert!(world.asked(server).is_empty());
    Ok(())
}

#[tokio::test]
async fn an_answer_is_asked_for_again_when_its_time_is_over() -> Result<()> {
    let (world, server) = world()?;
    world.add_for("short.example.test", &Record::Text("first".into()), 1);
    let clock = Clock::settable(Timestamp::default());
    let resolver = Resolver::new(&settings(&world)?, clock.clone(), &Metrics::default())?;
    let text = name("short.example.test")?;
    let answer: Answer<Vec<u8>> = resolver.txt(&text).await?;
    assert_eq!((answer.records, answer.valid_for), (vec![b"first".to_vec()], Duration::from_secs(1)));
    world.clear("short.example.test");
    world.add_for("short.example.test", &Record::Text("second".into()), 1);
    assert_eq!(resolver.txt(&text).await?.records, [b"first"]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(resolver.txt(&text).await?.records, [b"second"]);
    assert!(world.asked(server).len() >= 2);
    Ok(())
}

#[tokio::test]
async fn when_no_server_answers_the_last_answer_serves_for_a_day() -> Result<()> {
    let (world, server) = world()?;
    let clock = Clock::settable(Timestamp::default());
    let bounds = Bounds { question_time_max: Duration::from_millis(300), ..Bounds::default() };
    let settings = Settings { bounds, ..settings(&world)? };
    let resolver = Resolver::new(&settings, clock.clone(), &Metrics::default())?;
    let host = name("mx.example.test")?;
    resolver.addresses(&host, Families::Ipv4).await?;
    assert!(resolver.txt(&host).await.unwrap_err().is_absence());
    for humour in [Humour::Silent, Humour::Failing, Humour::Refusing] {
        world.set_humour(server, humour);
        clock.advance(Duration::from_secs(4000));
        let stale = resolver.addresses(&host, Families::Ipv4).await?;
        assert_eq!(
            (stale.records, stale.valid_for),
            (vec![host_of(7)], Duration::from_secs(30)),
            "{humour:?}"
        );
        // The servers are not asked for each message.
        let asked = world.asked(server).len();
        resolver.addresses(&host, Families::Ipv4).await?;
        assert_eq!(world.asked(server).len(), asked);
        // Absences are not told beyond their time: mail would bounce for them.
        let failed = resolver.txt(&host).await.unwrap_err();
        assert!(!failed.is_absence(), "{failed:?}");
    }
    // Who answers again is heard, even if it says that there is nothing any more.
    world.set_humour(server, Humour::Well);
    world.clear("mx.example.test");
    clock.advance(Duration::from_secs(60));
    assert!(resolver.addresses(&host, Families::Ipv4).await.unwrap_err().is_absence());
    world.set_humour(server, Humour::Silent);
    clock.advance(Duration::from_secs(4000));
    assert!(!resolver.addresses(&host, Families::Ipv4).await.unwrap_err().is_absence());
    Ok(())
}

#[tokio::test]
async fn a_stale_answer_has_its_bound() -> Result<()> {
    let (world, server) = world()?;
    let clock = Clock::settable(Timestamp::default());
    let bounds = Bounds {
        question_time_max: Duration::from_millis(300),
        stale_max: Duration::from_secs(100),
        ..Bounds::default()
    };
    let resolver =
        Resolver::new(&Settings { bounds, ..settings(&world)? }, clock.clone(), &Metrics::default())?;
    let host = name("mx.example.test")?;
    resolver.addresses(&host, Families::Ipv4).await?;
    world.set_humour(server, Humour::Silent);
    clock.advance(Duration::from_secs(3600 + 99));
    assert!(resolver.addresses(&host, Families::Ipv4).await.is_ok());
    clock.advance(Duration::from_secs(1));
    assert_eq!(resolver.addresses(&host, Families::Ipv4).await, Err(LookupError::Timeout));
    Ok(())
}

#[tokio::test]
async fn what_is_wanted_often_is_asked_again_before_it_ends() -> Result<()> {
    let (world, server) = world()?;
    let clock = Clock::settable(Timestamp::default());
    let resolver = Resolver::new(&settings(&world)?, clock.clone(), &Metrics::default())?;
    let tasks = platform::tasks::Tasks::new(&Metrics::default());
    tasks.spawn("dns", resolver.clone().tend(tasks.shutdown()));
    let domain = name("example.test")?;
    resolver.mx(&domain).await?;
    let asked = || world.asked(server).iter().filter(|asked| asked.kind == MX).count();
    clock.advance(Duration::from_secs(3200));
    resolver.mx(&domain).await?;
    assert_eq!(asked(), 1, "there is time");
    clock.advance(Duration::from_secs(100));
    // Whoever asks now hears the known answer at once; the next one's is new.
    assert_eq!(resolver.mx(&domain).await?.valid_for, Duration::from_secs(300));
    let began = Instant::now();
    while resolver.mx(&domain).await?.valid_for <= Duration::from_secs(300) {
        ensure!(began.elapsed() < Duration::from_secs(10), "it is never refreshed");
        tokio::task::yield_now().await;
    }
    assert_eq!(asked(), 2);
    assert_eq!(tasks.drain(Duration::from_secs(5)).await.aborted, 0);
    Ok(())
}

#[tokio::test]
async fn forwarding_asks_one_server_and_believes_its_absences() -> Result<()> {
    let (world, server) = world()?;
    let settings = Settings::forward_to(std::net::SocketAddr::new(server, world.port()));
    let resolver = resolver(&settings)?;
    assert_eq!(resolver.mx(&name("example.test")?).await?.records.len(), 1);
    let absent = resolver.mx(&name("nowhere.example.test")?).await.unwrap_err();
    assert!(matches!(absent, LookupError::NoSuchName { .. }), "{absent:?}");
    let absent = resolver.resolve(&name("mx.example.test")?, RecordType::Txt).await.unwrap_err();
    assert!(matches!(absent, LookupError::NoData { .. }), "{absent:?}");
    let refused = resolver.mx(&name("elsewhere.test")?).await.unwrap_err();
    assert!(!refused.is_absence(), "{refused:?}");
    assert!(world.asked(world.root().ip()).is_empty());
    Ok(())
}

#[tokio::test]
async fn the_small_name_server_is_enough_for_a_test() -> Result<()> {
    let names = testkit::NameServer::start()?;
    names.add("example.test", Record::MailExchanger(0, ".".into()));
    names.add("example.test", Record::Text("v=spf1 -all".into()));
    let resolver = resolver(&Settings::forward_to(names.address()))?;
    let domain = name("example.test")?;
    assert!(resolver.mx(&domain).await?.records[0].exchange.is_root());
    assert_eq!(resolver.txt(&domain).await?.records, [b"v=spf1 -all"]);
    assert!(resolver.tlsa(25, &domain).await.unwrap_err().is_absence());
    assert!(resolver.addresses(&domain, Families::Both).await.unwrap_err().is_absence());
    Ok(())
}

#[tokio::test]
async fn queries_over_ipv6_leave_from_their_own_address() -> Result<()> {
    let names = testkit::NameServer::start_at(Ipv6Addr::LOCALHOST.into())?;
    names.add("example.test", Record::Text("here".into()));
    let settings = Settings {
        bind_v4: Some(Ipv4Addr::new(127, 0, 0, 77)),
        bind_v6: Some(Ipv6Addr::LOCALHOST),
        ..Settings::forward_to(names.address())
    };
    assert_eq!(resolver(&settings)?.txt(&name("example.test")?).await?.records, [b"here"]);
    // An address that is not ours: the query does not leave from another one instead.
    let elsewhere = Settings { bind_v6: Some("2001:db8::77".parse()?), ..settings.clone() };
    assert!(!resolver(&elsewhere)?.txt(&name("example.test")?).await.unwrap_err().is_absence());
    let without = Settings { families: Families::Ipv4, ..settings };
    assert!(matches!(
        Resolver::new(&without, Clock::system(), &Metrics::default()),
        Err(SettingsError::NoFamily)
    ));
    Ok(())
}

#[tokio::test]
async fn a_zone_has_no_say_in_others() -> Result<()> {
    // CVE-2025-11411 and its ancestors: what an answer brings along for other zones is not remembered.
    let (mut world, _) = world()?;
    world.zone("victim.test", Signing::Unsigned)?;
    world.add("victim.test", &Record::Text("true".into()));
    let thief = world.server(&[])?;
    let mut server = vec![2];
    server.extend(b"ns\x05thief\x04test\x00");
    let IpAddr::V4(address) = thief else { anyhow::bail!("not IPv4") };
    world.whisper("example.test", "victim.test", 2, &server);
    world.whisper("example.test", "ns.thief.test", 1, &address.octets());
    world.whisper("example.test", "victim.test", 16, b"\x05false");
    let resolver = resolver(&settings(&world)?)?;
    assert_eq!(resolver.mx(&name("example.test")?).await?.records.len(), 1);
    assert!(resolver.txt(&name("mx.example.test")?).await.is_err());
    assert_eq!(resolver.txt(&name("victim.test")?).await?.records, [b"true"]);
    assert_eq!(world.asked(thief), []);
    Ok(())
}
