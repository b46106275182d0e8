//! Servers asked by themselves: what stands there, whatever a cache or a proof says (RFC 1034 §4.3.2).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result};
use dns::{Authority, Families, LookupError, Name, RecordData, RecordType, Settings, Told};
use testkit::{Humour, NameWorld, Record, Signing, Transport};

fn name(text: &str) -> Result<Name> {
    Name::parse(text).with_context(|| text.to_owned())
}

fn authority(world: &NameWorld) -> Authority {
    let mut settings =
        Settings { server_port: world.port(), families: Families::Ipv4, ..Settings::default() };
    settings.bounds.query_time_max = Duration::from_millis(300);
    Authority::new(&settings)
}

#[tokio::test]
async fn a_server_tells_what_it_has() -> Result<()> {
    let mut world = NameWorld::start(Signing::Signed)?;
    world.zone("test", Signing::Signed)?;
    let server = world.zone("example.test", Signing::Signed)?;
    world.add_for("example.test", &Record::Text("v=spf1 -all".into()), 600);
    world.add("www.example.test", &Record::Alias("host.other.test".into()));
    // Even what nobody believes: the operator wants to see it.
    world.forge("example.test");
    let authority = authority(&world);
    let ask =
        async |of: &str, kind| authority.ask(server, &name(of)?, kind).await.map_err(anyhow::Error::from);
    let text = RecordData::Text(b"v=spf1 -all".to_vec());
    assert_eq!(
        ask("Example.test", RecordType::Txt).await?,
        Told::Records { records: vec![text], ttl: Duration::from_secs(600) }
    );
    assert_eq!(ask("www.example.test", RecordType::Txt).await?, Told::Alias(name("host.other.test")?));
    assert_eq!(ask("example.test", RecordType::Mx).await?, Told::NoData);
    assert_eq!(ask("nowhere.example.test", RecordType::Mx).await?, Told::NoSuchName);
    // The server of the zone above knows only whom to ask.
    let above = authority.ask(world.server(&["test"])?, &name("example.test")?, RecordType::Txt).await;
    assert!(matches!(above, Err(LookupError::Unreachable(_))), "{above:?}");
    Ok(())
}

#[tokio::test]
async fn what_does_not_fit_comes_by_a_stream() -> Result<()> {
    let mut world = NameWorld::start(Signing::Unsigned)?;
    let server = world.zone("test", Signing::Unsigned)?;
    world.add("test", &Record::Text("x".repeat(2_000)));
    world.set_humour(server, Humour::Truncating);
    let told = authority(&world).ask(server, &name("test")?, RecordType::Txt).await?;
    assert!(
        matches!(told, Told::Records { records, .. } if records == [RecordData::Text(vec![b'x'; 2_000])])
    );
    let transports: Vec<Transport> =
        world.asked(server).into_iter().map(|question| question.transport).collect();
    assert_eq!(transports, [Transport::Udp, Transport::Tcp]);
    Ok(())
}

#[tokio::test]
async fn servers_out_of_sorts_are_failures_and_no_absences() -> Result<()> {
    let mut world = NameWorld::start(Signing::Unsigned)?;
    let server = world.zone("test", Signing::Unsigned)?;
    let authority = authority(&world);
    for humour in [Humour::Failing, Humour::Refusing, Humour::Referring] {
        world.set_humour(server, humour);
        let told = authority.ask(server, &name("test")?, RecordType::Mx).await;
        assert!(matches!(told, Err(LookupError::Unreachable(_))), "{humour:?}: {told:?}");
    }
    world.set_humour(server, Humour::Silent);
    assert_eq!(authority.ask(server, &name("test")?, RecordType::Mx).await, Err(LookupError::Timeout));
    let nobody = IpAddr::V4(Ipv4Addr::new(127, 53, 1, 1));
    let told = authority.ask(nobody, &name("test")?, RecordType::Mx).await;
    assert!(told.is_err_and(|error| !error.is_absence()));
    Ok(())
}
