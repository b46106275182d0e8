//! A forwarder over TLS (RFC 7858) with a certificate of a private authority: believed by it, and by nobody else's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use dns::{
    Bounds, Families, Forwarder, ForwarderTransport, LookupError, Mode, Name, Resolver, Security, Settings,
    SettingsError, TrustAnchor,
};
use platform::clock::Clock;
use platform::metrics::Metrics;
use platform::stream::Stream;
use testkit::{NameWorld, Record, Signing, Transport};
use tls::self_signed::TestAuthority;
use tls::{Acceptor, AcceptorSettings, Certificates};
use tokio::net::{TcpListener, TcpStream};

const NAME: &str = "dns.example.test";
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// Speaks TLS under this authority's certificate, and hands what it hears to a server of the world.
async fn forwarder(authority: &TestAuthority, server: SocketAddr) -> Result<SocketAddr> {
    let pair = authority.issue(&[NAME], Clock::system().now())?;
    let certificates = Certificates::from_pem(&pair.chain, &pair.key, Clock::system(), &Metrics::default())?;
    let settings = AcceptorSettings { handshake_timeout: Duration::from_secs(5) };
    let acceptor = Acceptor::new(&certificates, settings);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let (mut within, _) = acceptor.accept(Stream::Tcp(stream)).await?;
                let mut without = TcpStream::connect(server).await?;
                tokio::io::copy_bidirectional(&mut within, &mut without).await?;
                anyhow::Ok(())
            });
        }
    });
    Ok(address)
}

fn resolver(
    world: &NameWorld,
    address: SocketAddr,
    name: &str,
    authorities: &Path,
) -> Result<Result<Resolver, SettingsError>> {
    let transport = ForwarderTransport::Tls(Name::parse(name)?);
    let settings = Settings {
        mode: Mode::Forward(vec![Forwarder { address, transport }]),
        trust_anchors: vec![TrustAnchor::RootKey(world.trust_anchor().context("signed")?)],
        forwarder_ca: Some(authorities.to_owned()),
        families: Families::Ipv4,
        bounds: Bounds { question_time_max: Duration::from_secs(2), ..Bounds::default() },
        ..Settings::default()
    };
    Ok(Resolver::new(&settings, Clock::system(), &Metrics::default()))
}

#[tokio::test]
async fn a_private_authority_is_believed_where_it_is_named() -> Result<()> {
    let mut world = NameWorld::start(Signing::Signed)?;
    world.zone("test", Signing::Signed)?;
    world.zone("signed.test", Signing::Signed)?;
    world.add("mx.signed.test", &Record::Address(HOST));
    let server = world.server(&["", "test", "signed.test"])?;
    let now = Clock::system().now();
    let (ours, theirs) = (TestAuthority::new("ours", now)?, TestAuthority::new("theirs", now)?);
    let address = forwarder(&ours, SocketAddr::new(server, world.port())).await?;
    let directory = tempfile::tempdir()?;
    let file = |name: &str| directory.path().join(name);
    std::fs::write(file("ours"), ours.root())?;
    std::fs::write(file("theirs"), theirs.root())?;
    std::fs::write(file("empty"), "")?;

    let host = Name::parse("mx.signed.test")?;
    let believing = resolver(&world, address, NAME, &file("ours"))??;
    let answer = believing.addresses(&host, Families::Ipv4).await?;
    assert_eq!((answer.records, answer.security), (vec![HOST], Security::Secure));
    let asked = world.asked(server);
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.transport == Transport::Tcp));

    // Another authority's word, or another name, and it hears no question.
    for (name, authorities) in [(NAME, "theirs"), ("other.example.test", "ours")] {
        let doubting = resolver(&world, address, name, &file(authorities))??;
        let failed = doubting.addresses(&host, Families::Ipv4).await.unwrap_err();
        assert!(matches!(failed, LookupError::Unreachable(_) | LookupError::Timeout), "{failed:?}");
    }
    assert_eq!(world.asked(server).len(), asked.len());
    for broken in ["empty", "nowhere"] {
        let refused = resolver(&world, address, NAME, &file(broken))?;
        assert!(matches!(refused, Err(SettingsError::ForwarderCa(..))), "{broken}");
    }
    Ok(())
}
