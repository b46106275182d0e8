//! Handshakes between our two sides, over pipes.

use platform::clock::{Clock, Timestamp};
use platform::lines::WireError;
use platform::metrics::Metrics;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::self_signed::TestAuthority;
use crate::{CertificateFault, Connector, ConnectorTrust, DaneTrust, TlsaFields, Version};

const LONG: Duration = Duration::from_secs(60);
const WIRE: WireSettings = WireSettings { input_octets_max: 4096, write_timeout: LONG };

struct Pair {
    acceptor: Acceptor,
    authority: TestAuthority,
}

impl Pair {
    fn new() -> Self {
        let clock = Clock::system();
        let authority = TestAuthority::new("Test authority", clock.now()).unwrap();
        let pair = authority.issue(&["mail.example.org", "127.0.0.1"], clock.now()).unwrap();
        let certificates = Certificates::from_pem(&pair.chain, &pair.key, clock, &Metrics::new()).unwrap();
        let settings = AcceptorSettings { handshake_timeout: LONG };
        Self { acceptor: Acceptor::new(&certificates, settings), authority }
    }

    fn connector(&self) -> Connector {
        Connector::new(&ConnectorTrust::Roots(vec![self.authority.root()]), LONG).unwrap()
    }

    async fn handshake(
        &self,
        connector: &Connector,
        name: &str,
    ) -> (Result<(Stream, Session), TlsError>, Result<(Stream, Session), TlsError>) {
        let (ours, theirs) = Stream::pair(4096);
        tokio::join!(self.acceptor.accept(ours), connector.connect(theirs, name))
    }
}

async fn ping(server: Stream, client: Stream) {
    let (mut server, mut client) = (Wire::new(server, WIRE), Wire::new(client, WIRE));
    client.put(b"NOOP\r\n");
    client.flush().await.unwrap();
    server.fill(LONG).await.unwrap();
    assert_eq!(server.input(), b"NOOP\r\n");
    server.put(b"250 OK\r\n");
    server.flush().await.unwrap();
    client.fill(LONG).await.unwrap();
    assert_eq!(client.input(), b"250 OK\r\n");
}

#[tokio::test]
async fn both_sides_see_the_same_session() {
    let pair = Pair::new();
    let (ours, theirs) = pair.handshake(&pair.connector(), "mail.example.org").await;
    let ((ours, our_session), (theirs, their_session)) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(our_session.version, Version::Tls13);
    assert_eq!(our_session.cipher, their_session.cipher);
    assert_eq!(our_session.server_name.as_deref(), Some("mail.example.org"));
    assert_eq!(our_session.bindings, their_session.bindings);
    assert!(our_session.bindings.exporter.is_some_and(|key| key != [0; 32]));
    assert_eq!(our_session.bindings.server_end_point.as_ref().map(Vec::len), Some(32));
    ping(ours, theirs).await;
}

#[tokio::test]
async fn a_resumed_session_has_another_exporter_and_the_same_end_point() {
    let pair = Pair::new();
    let connector = pair.connector();
    let mut sessions = Vec::new();
    for is_resumed in [false, true] {
        let (ours, theirs) = pair.handshake(&connector, "mail.example.org").await;
        let ((ours, our_session), (theirs, their_session)) = (ours.unwrap(), theirs.unwrap());
        assert_eq!((our_session.is_resumed, their_session.is_resumed), (is_resumed, is_resumed));
        assert_eq!(our_session.bindings, their_session.bindings);
        ping(ours, theirs).await;
        sessions.push(our_session.bindings);
    }
    assert_ne!(sessions[0].exporter, sessions[1].exporter);
    assert_eq!(sessions[0].server_end_point, sessions[1].server_end_point);
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_those_who_know_the_old() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let authority = TestAuthority::new("Test authority", clock.now()).unwrap();
    let store = |pair: crate::self_signed::PemPair| {
        let files = crate::CertificateFiles {
            chain: directory.path().join("mail.crt"),
            key: directory.path().join("mail.key"),
        };
        std::fs::write(&files.chain, pair.chain).unwrap();
        std::fs::write(&files.key, pair.key).unwrap();
        files
    };
    let issue = || authority.issue(&["mail.example.org"], clock.now()).unwrap();
    let files = [store(issue())];
    let certificates = Certificates::open(&files, clock.clone(), &Metrics::new()).unwrap();
    let acceptor = Acceptor::new(&certificates, AcceptorSettings { handshake_timeout: LONG });
    let pair = Pair { acceptor, authority };
    let connector = pair.connector();
    let mut end_points = Vec::new();
    for _ in 0..2 {
        let (ours, theirs) = pair.handshake(&connector, "mail.example.org").await;
        let ((ours, our_session), (theirs, their_session)) = (ours.unwrap(), theirs.unwrap());
        assert!(!our_session.is_resumed);
        assert_eq!(our_session.bindings, their_session.bindings);
        ping(ours, theirs).await;
        end_points.push(our_session.bindings.server_end_point);
        store(pair.authority.issue(&["mail.example.org"], clock.now()).unwrap());
        certificates.replace(&files).unwrap();
    }
    assert_ne!(end_points[0], end_points[1]);
}

#[tokio::test]
async fn an_address_can_be_the_name() {
    let pair = Pair::new();
    let (ours, theirs) = pair.handshake(&pair.connector(), "127.0.0.1").await;
    // SNI carries no addresses (RFC 6066 §3).
    assert_eq!(ours.unwrap().1.server_name, None);
    theirs.unwrap();
}

#[tokio::test]
async fn trust_is_what_was_asked_for() {
    let pair = Pair::new();
    let (_, theirs) = pair.handshake(&pair.connector(), "other.example.org").await;
    assert!(matches!(theirs, Err(TlsError::Handshake(_))));
    let anyone = Connector::new(&ConnectorTrust::Anyone, LONG).unwrap();
    let (ours, theirs) = pair.handshake(&anyone, "other.example.org").await;
    ping(ours.unwrap().0, theirs.unwrap().0).await;
    let stranger = Connector::new(&ConnectorTrust::Roots(Vec::new()), LONG).unwrap();
    let (_, theirs) = pair.handshake(&stranger, "mail.example.org").await;
    assert!(matches!(theirs, Err(TlsError::Handshake(_))));
    let nothing = ConnectorTrust::Roots(vec!["no certificate".to_owned()]);
    assert!(matches!(Connector::new(&nothing, LONG), Err(TlsError::Certificate { .. })));
}

#[tokio::test]
async fn tls_1_2_is_spoken_without_exporter() {
    let pair = Pair::new();
    let config = rustls::ClientConfig::builder_with_provider(crate::certificate::provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates({
            use rustls_pki_types::pem::PemObject;
            let mut roots = rustls::RootCertStore::empty();
            let root = pair.authority.root();
            roots.add(rustls_pki_types::CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
            roots
        })
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let (ours, theirs) = Stream::pair(4096);
    let name = rustls_pki_types::ServerName::try_from("mail.example.org").unwrap();
    let (ours, theirs) = tokio::join!(pair.acceptor.accept(ours), connector.connect(name, theirs));
    let (ours, session) = ours.unwrap();
    assert_eq!(session.version, Version::Tls12);
    assert_eq!(session.bindings.exporter, None);
    assert!(session.bindings.server_end_point.is_some());
    ping(ours, Stream::layered(theirs.unwrap())).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_does_not_hold_the_handshake() {
    let pair = Pair::new();
    let (ours, _theirs) = Stream::pair(4096);
    assert!(matches!(pair.acceptor.accept(ours).await, Err(TlsError::HandshakeTimeout)));
}

#[tokio::test]
async fn plaintext_is_no_handshake() {
    let pair = Pair::new();
    let (ours, mut theirs) = Stream::pair(4096);
    theirs.write_all(b"EHLO client.example.org\r\n").await.unwrap();
    assert!(matches!(pair.acceptor.accept(ours).await, Err(TlsError::Handshake(_))));
}

/// CVE-2011-0411: commands sent in clear behind STARTTLS must not be taken as said under TLS.
#[tokio::test]
async fn commands_pipelined_behind_starttls_are_thrown_away() {
    let pair = Pair::new();
    let (ours, theirs) = Stream::pair(4096);
    let (mut server, mut client) = (Wire::new(ours, WIRE), Wire::new(theirs, WIRE));
    client.put(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n");
    client.flush().await.unwrap();
    server.fill(LONG).await.unwrap();
    server.consume(b"STARTTLS\r\n".len());
    server.put(b"220 Go ahead\r\n");
    let connector = pair.connector();
    let (server, client) = tokio::join!(pair.acceptor.start_tls(server, WIRE), async {
        client.fill(LONG).await.unwrap();
        assert_eq!(client.input(), b"220 Go ahead\r\n");
        client.consume(14);
        connector.start_tls(client, "mail.example.org", WIRE).await
    });
    let ((mut server, _), (mut client, _)) = (server.unwrap(), client.unwrap());
    assert_eq!(server.input(), b"");
    client.put(b"EHLO client.example.org\r\n");
    client.flush().await.unwrap();
    server.fill(LONG).await.unwrap();
    assert_eq!(server.input(), b"EHLO client.example.org\r\n");
}

/// CVE-2021-38371: responses sent in clear before the handshake must not be taken as said under TLS.
#[tokio::test]
async fn responses_injected_before_the_handshake_are_thrown_away() {
    let pair = Pair::new();
    let (ours, theirs) = Stream::pair(4096);
    let (mut server, mut client) = (Wire::new(ours, WIRE), Wire::new(theirs, WIRE));
    server.put(b"220 Go ahead\r\n250 injected\r\n");
    server.flush().await.unwrap();
    client.fill(LONG).await.unwrap();
    client.consume(14);
    let connector = pair.connector();
    let (server, client) = tokio::join!(
        pair.acceptor.start_tls(server, WIRE),
        connector.start_tls(client, "mail.example.org", WIRE)
    );
    server.unwrap();
    assert_eq!(client.unwrap().0.input(), b"");
}

#[tokio::test]
async fn the_end_is_the_end_with_and_without_a_goodbye() {
    let pair = Pair::new();
    for polite in [true, false] {
        let (ours, theirs) = pair.handshake(&pair.connector(), "mail.example.org").await;
        let (mut server, client) = (Wire::new(ours.unwrap().0, WIRE), theirs.unwrap().0);
        if polite {
            tokio::join!(Wire::new(client, WIRE).close(), async {
                assert!(matches!(server.fill(LONG).await, Err(WireError::Closed)));
                drop(server);
            });
        } else {
            drop(client);
            assert!(matches!(server.fill(LONG).await, Err(WireError::Closed)));
        }
    }
}

#[tokio::test]
async fn an_ended_certificate_is_still_shown() {
    let clock = Clock::settable(Timestamp::from_unix_seconds(1_000_000_000));
    let pair = crate::self_signed::generate(&["mail.example.org"], clock.now()).unwrap();
    let certificates =
        Certificates::from_pem(&pair.chain, &pair.key, Clock::system(), &Metrics::new()).unwrap();
    let acceptor = Acceptor::new(&certificates, AcceptorSettings { handshake_timeout: LONG });
    let (ours, theirs) = Stream::pair(4096);
    let roots = Connector::new(&ConnectorTrust::Roots(vec![pair.chain]), LONG).unwrap();
    let (_, theirs) = tokio::join!(acceptor.accept(ours), roots.connect(theirs, "mail.example.org"));
    assert!(theirs.unwrap_err().to_string().contains("expired"), "the client refuses it");
}

#[tokio::test]
async fn a_certificate_that_is_observed_is_believed_and_told_of() {
    let pair = Pair::new();
    let observer = |roots| Connector::new(&ConnectorTrust::Observed(roots), LONG).unwrap();
    let trusting = observer(vec![pair.authority.root()]);
    for (name, fault) in
        [("mail.example.org", None), ("other.example.org", Some(CertificateFault::WrongName))]
    {
        // The second time too: no session is resumed.
        for _ in 0..2 {
            let (_, theirs) = pair.handshake(&trusting, name).await;
            let (_, session) = theirs.unwrap();
            assert_eq!((session.fault, session.is_resumed), (fault, false));
        }
    }
    let stranger = TestAuthority::new("Stranger", Clock::system().now()).unwrap();
    // A machine may have no authorities at all.
    for roots in [vec![stranger.root()], Vec::new()] {
        let (_, theirs) = pair.handshake(&observer(roots), "mail.example.org").await;
        assert_eq!(theirs.unwrap().1.fault, Some(CertificateFault::Untrusted));
    }
}

#[tokio::test]
async fn tlsa_records_decide_a_handshake() {
    let pair = Pair::new();
    let ours = pair.acceptor.certificates.states()[0].public_key_sha256;
    let connector = |data: [u8; 32]| {
        let record = TlsaFields { usage: 3, selector: 1, matching: 1, data: &data };
        let trust = DaneTrust::new([record].into_iter(), &["elsewhere.example"]).unwrap();
        Connector::new(&ConnectorTrust::Dane(trust), LONG).unwrap()
    };
    let (ours, theirs) = pair.handshake(&connector(ours), "elsewhere.example").await;
    ping(ours.unwrap().0, theirs.unwrap().0).await;
    let (_, theirs) = pair.handshake(&connector([0; 32]), "mail.example.org").await;
    let error = theirs.unwrap_err();
    assert_eq!(error.certificate_fault(), Some(CertificateFault::NoTlsaMatch));
    assert!(error.to_string().ends_with("matches none of the server's TLSA records"), "{error}");
}

#[tokio::test]
async fn what_speaks_against_a_certificate_is_told() {
    let pair = Pair::new();
    let (_, theirs) = pair.handshake(&pair.connector(), "other.example.org").await;
    assert_eq!(theirs.unwrap_err().certificate_fault(), Some(CertificateFault::WrongName));
    assert_eq!(TlsError::HandshakeTimeout.certificate_fault(), None);
}
