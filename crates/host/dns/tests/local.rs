//! Programs of the same machine ask over loopback, and hear what is proven, what is not, and what nobody should believe.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dns::{Bounds, Families, LocalService, Mode, Resolver, RootHint, Settings, TrustAnchor};
use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use platform::clock::{Clock, Timestamp};
use platform::metrics::Metrics;
use platform::tasks::Tasks;
use testkit::{Humour, NameWorld, Record, Signing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const WAIT: Duration = Duration::from_secs(20);

struct Local {
    world: NameWorld,
    service: SocketAddr,
    clock: Clock,
    _tasks: Tasks,
}

fn local() -> Result<Local> {
    let mut world = NameWorld::start(Signing::Signed)?;
    world.zone("test", Signing::Signed)?;
    for (zone, signing) in [("signed.test", Signing::Signed), ("unsigned.test", Signing::Unsigned)] {
        world.zone(zone, signing)?;
        world.add(zone, &Record::MailExchanger(10, format!("mx.{zone}")));
        world.add(&format!("mx.{zone}"), &Record::Address(Ipv4Addr::new(192, 0, 2, 7).into()));
    }
    let settings = Settings {
        mode: Mode::Recursive { root_hints: vec![RootHint(world.root())] },
        trust_anchors: vec![TrustAnchor::RootKey(world.trust_anchor().context("the root is signed")?)],
        allowed_servers: vec!["127.0.0.0/8".parse()?],
        server_port: world.port(),
        families: Families::Ipv4,
        bounds: Bounds { question_time_max: Duration::from_millis(700), ..Bounds::default() },
        ..Settings::default()
    };
    let clock = Clock::settable(Timestamp::default());
    let resolver = Resolver::new(&settings, clock.clone(), &Metrics::default())?;
    let tasks = Tasks::new(&Metrics::default());
    let service = LocalService::bind(&["127.0.0.1:0".parse()?])?;
    let address = *service.addresses().first().context("no address")?;
    tasks.spawn("dns service", service.serve(resolver, tasks.shutdown()));
    Ok(Local { world, service: address, clock, _tasks: tasks })
}

fn question(name: &str, kind: RecordType) -> Result<Message> {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name)?, kind));
    Ok(message)
}

fn with_signatures(mut message: Message) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(1232).set_dnssec_ok(true);
    message.set_edns(edns);
    message
}

impl Local {
    async fn udp(&self, message: &Message) -> Result<Message> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.send_to(&message.to_vec()?, self.service).await?;
        let mut buffer = vec![0; 8192];
        let (length, from) = tokio::time::timeout(WAIT, socket.recv_from(&mut buffer)).await??;
        assert_eq!(from, self.service);
        Ok(Message::from_vec(&buffer[..length])?)
    }

    async fn tcp(&self, messages: &[Message]) -> Result<Vec<Message>> {
        let mut stream = TcpStream::connect(self.service).await?;
        for message in messages {
            let wire = message.to_vec()?;
            stream.write_u16(u16::try_from(wire.len())?).await?;
            stream.write_all(&wire).await?;
        }
        let mut answers = Vec::new();
        for _ in messages {
            let mut wire = vec![0; tokio::time::timeout(WAIT, stream.read_u16()).await??.into()];
            stream.read_exact(&mut wire).await?;
            answers.push(Message::from_vec(&wire)?);
        }
        Ok(answers)
    }
}

fn kinds(records: &[hickory_resolver::proto::rr::Record]) -> Vec<RecordType> {
    let mut kinds: Vec<RecordType> =
        records.iter().map(hickory_resolver::proto::rr::Record::record_type).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn more(message: &Message) -> Option<u16> {
    match message.edns.as_ref()?.option(EdnsCode::from(15))? {
        EdnsOption::Unknown(_, octets) => Some(u16::from_be_bytes(octets.get(..2)?.try_into().ok()?)),
        _ => None,
    }
}

#[tokio::test]
async fn programs_hear_what_is_proven() -> Result<()> {
    let local = local()?;
    // Who knows nothing of DNSSEC hears records and nothing else, in the letters it asked in.
    let plain = local.udp(&question("MX.signed.Test.", RecordType::A)?).await?;
    assert_eq!(kinds(&plain.answers), [RecordType::A]);
    assert!(plain.edns.is_none() && !plain.metadata.authentic_data && plain.metadata.recursion_available);
    assert!(!plain.metadata.authoritative);
    assert_eq!((plain.metadata.id, plain.queries[0].name().to_ascii().as_str()), (4711, "MX.signed.Test."));
    // Who asks for the verdict alone hears it.
    let mut asking = question("mx.signed.test.", RecordType::A)?;
    asking.metadata.authentic_data = true;
    let told = local.udp(&asking).await?;
    assert!(told.metadata.authentic_data);
    assert_eq!(kinds(&told.answers), [RecordType::A]);
    // Who asks for signatures gets them, from the cache as from the network.
    for name in ["signed.test.", "mx.signed.test."] {
        let kind = if name == "signed.test." { RecordType::MX } else { RecordType::A };
        let signed = local.udp(&with_signatures(question(name, kind)?)).await?;
        assert!(
            signed.metadata.authentic_data && signed.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok)
        );
        assert!(kinds(&signed.answers).contains(&RecordType::RRSIG), "{name}");
    }
    let insecure = local.udp(&with_signatures(question("unsigned.test.", RecordType::MX)?)).await?;
    assert_eq!((insecure.answers.len(), insecure.metadata.authentic_data), (1, false));
    Ok(())
}

#[tokio::test]
async fn absences_come_with_their_proofs() -> Result<()> {
    let local = local()?;
    for (name, code) in
        [("nowhere.signed.test.", ResponseCode::NXDomain), ("mx.signed.test.", ResponseCode::NoError)]
    {
        let absent = local.udp(&with_signatures(question(name, RecordType::TXT)?)).await?;
        assert_eq!((absent.metadata.response_code, absent.metadata.authentic_data), (code, true), "{name}");
        assert!(absent.answers.is_empty());
        let proofs = kinds(&absent.authorities);
        assert_eq!(proofs, [RecordType::SOA, RecordType::RRSIG, RecordType::NSEC], "{name}");
        let mut unchecked = with_signatures(question(name, RecordType::TXT)?);
        unchecked.metadata.checking_disabled = true;
        let passed_on = local.udp(&unchecked).await?;
        assert_eq!(passed_on.metadata.response_code, code, "{name}: {passed_on:?}");
        assert_eq!(kinds(&passed_on.authorities), proofs, "{name}");
        let plain = local.udp(&question(name, RecordType::TXT)?).await?;
        assert_eq!((plain.metadata.response_code, kinds(&plain.authorities)), (code, vec![RecordType::SOA]));
    }
    Ok(())
}

#[tokio::test]
async fn what_is_forged_is_no_answer_but_for_who_checks_itself() -> Result<()> {
    let local = local()?;
    local.world.forge("mx.signed.test");
    let question = with_signatures(question("mx.signed.test.", RecordType::A)?);
    let refused = local.udp(&question).await?;
    assert_eq!((refused.metadata.response_code, refused.answers.len()), (ResponseCode::ServFail, 0));
    assert_eq!(more(&refused), Some(6), "DNSSEC bogus");
    let mut unchecked = question.clone();
    unchecked.metadata.checking_disabled = true;
    let passed_on = local.udp(&unchecked).await?;
    assert_eq!(passed_on.metadata.response_code, ResponseCode::NoError);
    assert!(passed_on.metadata.checking_disabled && !passed_on.metadata.authentic_data);
    assert_eq!(kinds(&passed_on.answers), [RecordType::A, RecordType::RRSIG]);
    // One's answer is never the other's.
    assert_eq!(local.udp(&question).await?.metadata.response_code, ResponseCode::ServFail);
    Ok(())
}

#[tokio::test]
async fn aliases_come_with_their_targets() -> Result<()> {
    let local = local()?;
    local.world.add("out.signed.test", &Record::Alias("mx.unsigned.test".into()));
    local.world.add("nothing.signed.test", &Record::Alias("nowhere.signed.test".into()));
    let out = local.udp(&with_signatures(question("out.signed.test.", RecordType::A)?)).await?;
    assert_eq!(kinds(&out.answers), [RecordType::A, RecordType::CNAME, RecordType::RRSIG]);
    assert!(!out.metadata.authentic_data, "its target is not signed");
    let nothing = local.udp(&with_signatures(question("nothing.signed.test.", RecordType::A)?)).await?;
    assert_eq!(
        (nothing.metadata.response_code, nothing.metadata.authentic_data),
        (ResponseCode::NXDomain, true)
    );
    assert_eq!(kinds(&nothing.answers), [RecordType::CNAME, RecordType::RRSIG]);
    Ok(())
}

#[tokio::test]
async fn what_does_not_fit_a_datagram_comes_over_a_stream() -> Result<()> {
    let local = local()?;
    for number in 0..100 {
        local.world.add("large.unsigned.test", &Record::Address(Ipv4Addr::new(198, 51, 100, number).into()));
    }
    let plain = question("large.unsigned.test.", RecordType::A)?;
    let cut = local.udp(&plain).await?;
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let mut roomy = plain.clone();
    roomy.set_edns(Edns::new().set_max_payload(4096).clone());
    assert_eq!(local.udp(&roomy).await?.answers.len(), 100);
    // Several questions over one connection, each answered.
    let others = question("unsigned.test.", RecordType::MX)?;
    let answers = local.tcp(&[plain.clone(), others, plain]).await?;
    let counts: Vec<usize> = answers.iter().map(|answer| answer.answers.len()).collect();
    assert_eq!(counts, [100, 1, 100]);
    Ok(())
}

#[tokio::test]
async fn strange_messages_are_refused_or_hung_up_on() -> Result<()> {
    let local = local()?;
    let refused = local.udp(&question("signed.test.", RecordType::ANY)?).await?;
    assert_eq!(refused.metadata.response_code, ResponseCode::NotImp);
    let mut stream = TcpStream::connect(local.service).await?;
    // A question of 4097 octets is too much of one.
    stream.write_u16(4097).await?;
    assert!(tokio::time::timeout(WAIT, stream.read_u8()).await?.is_err());
    // Names that no mail host can have are nobody's business but the program's.
    let mut odd = question(".", RecordType::A)?;
    let labels = [&b"a b\\"[..], b"signed", b"test"];
    odd.queries[0] = Query::query(Name::from_labels(labels)?, RecordType::A);
    let odd = local.udp(&odd).await?;
    assert_eq!(odd.metadata.response_code, ResponseCode::NXDomain);
    Ok(())
}

#[tokio::test]
async fn silence_above_is_told_and_old_answers_are_marked() -> Result<()> {
    let local = local()?;
    let known = with_signatures(question("mx.unsigned.test.", RecordType::A)?);
    assert_eq!(local.udp(&known).await?.answers.len(), 1);
    local.world.set_humour(local.world.responsible("unsigned.test").context("no server")?, Humour::Silent);
    let silent = local.udp(&with_signatures(question("unsigned.test.", RecordType::TXT)?)).await?;
    assert_eq!((silent.metadata.response_code, more(&silent)), (ResponseCode::ServFail, Some(22)));
    local.clock.advance(Duration::from_secs(4000));
    let stale = local.udp(&known).await?;
    assert_eq!((stale.answers.len(), more(&stale)), (1, Some(3)));
    ensure!(stale.answers.iter().all(|record| record.ttl == 30), "{stale:?}");
    assert!(matches!(stale.answers[0].data, RData::A(_)));
    Ok(())
}
