//! The HTTP door over loopback, octet by octet.

use platform::clock::Clock;
use platform::egress::Egress;
use platform::guard::GuardSettings;
use platform::listener::{ListenAddress, ListenerSettings};
use platform::stream::Endpoint;
use tls::self_signed::TestAuthority;
use tls::{AcceptorSettings, Certificates, Connector, ConnectorTrust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fetch::{FetchError, Get, Origin, Post, fetch, post};
use super::*;

const SETTINGS: Settings =
    Settings { header_timeout: Duration::from_secs(10), connection_timeout: Duration::from_secs(60) };

struct Served {
    address: std::net::SocketAddr,
    metrics: Metrics,
    tasks: Tasks,
}

fn served(connections_max: usize) -> Served {
    serve_site(connections_max, |metrics| Site::Monitor(metrics.clone()))
}

fn serve_site(connections_max: usize, site: impl FnOnce(&Metrics) -> Site) -> Served {
    let metrics = Metrics::new();
    let listener = Listener::bind(ListenerSettings {
        name: "http",
        address: ListenAddress::Tcp("127.0.0.1:0".parse().unwrap()),
        connections_max,
        proxies: Vec::new(),
        proxy_timeout: Duration::ZERO,
        refusal,
    })
    .unwrap();
    let Endpoint::Inet(address) = listener.local() else { panic!("not TCP") };
    let tasks = Tasks::new(&metrics);
    let guard = GuardSettings {
        connections_max: 100,
        connections_per_address_max: 100,
        failures_free: 0,
        delay_first: Duration::ZERO,
        delay_max: Duration::ZERO,
        points_before_ban: 10,
        window: Duration::ZERO,
        ban_first: Duration::ZERO,
        ban_longest: Duration::ZERO,
        trusted: Vec::new(),
        bans_private: true,
    };
    let guard = Guard::new(guard, Clock::system(), &metrics);
    let (numbers, stop) = (ConnectionNumbers::new(), tasks.shutdown());
    let site = site(&metrics);
    tasks.spawn("http", serve(listener, SETTINGS, site, tasks.clone(), guard, numbers, stop));
    Served { address, metrics, tasks }
}

/// Sends a request and reads until the server hangs up.
async fn ask(served: &Served, request: &str) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer ends it as well.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn get(served: &Served, path: &str) -> String {
    ask(served, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn metrics_are_shown() {
    let served = served(10);
    served.metrics.counter("messages_total", "Messages.", &[]).add(3);
    let answer = get(&served, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    assert!(answer.contains("\nmessages_total 3\n"), "{answer}");
}

#[tokio::test]
async fn health_and_nothing_else() {
    let served = served(10);
    for (request, status, end) in [
        ("GET /healthz HTTP/1.1", "200 OK", "ok\n"),
        ("GET /healthz?deep HTTP/1.1", "200 OK", "ok\n"),
        ("HEAD /healthz HTTP/1.1", "200 OK", "\r\n\r\n"),
        ("POST /metrics HTTP/1.1", "405 Method Not Allowed", "answered here\n"),
        ("GET / HTTP/1.1", "404 Not Found", "/healthz\n"),
        ("GET /metrics/../etc/passwd HTTP/1.1", "404 Not Found", "/healthz\n"),
        ("EHLO client.example.org", "400 Bad Request", "\r\n\r\n"),
    ] {
        let answer =
            ask(&served, &format!("{request}\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
        assert!(answer.ends_with(end), "{request}: {answer}");
    }
}

#[tokio::test]
async fn headers_are_bounded() {
    let served = served(10);
    let field = |octets: usize| format!("X-Long: {}\r\n", "x".repeat(octets));
    let answer = ask(&served, &format!("GET /healthz HTTP/1.0\r\n{}\r\n", field(8 * 1024))).await;
    assert!(answer.starts_with("HTTP/1.0 200 OK") || answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let answer = ask(&served, &format!("GET /healthz HTTP/1.0\r\n{}\r\n", field(HEADER_OCTETS_MAX))).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    for (fields, status) in [(HEADER_FIELDS_MAX, "200"), (HEADER_FIELDS_MAX + 1, "431")] {
        let answer = ask(&served, &format!("GET /healthz HTTP/1.0\r\n{}\r\n", field(1).repeat(fields))).await;
        assert!(answer.split(' ').nth(1) == Some(status), "{fields}: {answer}");
    }
}

#[tokio::test]
async fn a_silent_client_is_hung_up_on() {
    let served = served(10);
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
    tokio::task::yield_now().await;
    tokio::time::pause();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(!answer.contains("200"), "{answer}");
}

#[tokio::test]
async fn too_many_are_told_to_come_back() {
    let served = served(1);
    let mut first = TcpStream::connect(served.address).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut octets = [0; 15];
    first.read_exact(&mut octets).await.unwrap();
    assert_eq!(&octets, b"HTTP/1.1 200 OK");
    let mut second = TcpStream::connect(served.address).await.unwrap();
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[tokio::test]
async fn shutdown_ends_idle_connections() {
    let served = served(10);
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut octets = [0; 15];
    stream.read_exact(&mut octets).await.unwrap();
    assert_eq!(served.tasks.drain(Duration::from_secs(10)).await.aborted, 0);
}

struct House {
    served: Served,
    connector: Connector,
}

/// A site with a certificate for these names and a policy for example.org.
fn house(names: &[&str]) -> House {
    let now = Clock::system().now();
    let authority = TestAuthority::new("test", now).unwrap();
    let pair = authority.issue(names, now).unwrap();
    let served = serve_site(10, |metrics| {
        let certificates = Certificates::from_pem(&pair.chain, &pair.key, Clock::system(), metrics).unwrap();
        let settings = AcceptorSettings { handshake_timeout: Duration::from_secs(30) };
        Site::Public(Public {
            acceptor: Acceptor::new(&certificates, settings),
            policy: Arc::new(|domain| (domain == "example.org").then(|| "version: STSv1\r\n".to_owned())),
        })
    });
    let connector =
        Connector::new(&ConnectorTrust::Roots(vec![authority.root()]), Duration::from_secs(30)).unwrap();
    House { served, connector }
}

impl House {
    fn order(&self, host: &str, path: &'static str) -> Get {
        Get { origin: self.origin(host), path, media_type: "text/plain", octets_max: 1_000 }
    }

    fn origin(&self, host: &str) -> Origin {
        Origin {
            host: host.to_owned(),
            addresses: vec![self.served.address],
            egress: Egress {
                ipv4: None,
                ipv6: None,
                connect_timeout: Duration::from_secs(30),
                fall_over: Duration::from_secs(1),
            },
            connector: self.connector.clone(),
        }
    }
}

const STS: &str = "/.well-known/mta-sts.txt";

#[tokio::test]
async fn what_one_side_publishes_the_other_fetches() {
    let house = house(&["mta-sts.example.org", "mta-sts.example.net"]);
    let policy = fetch(house.order("mta-sts.example.org", STS)).await.unwrap();
    assert_eq!(policy, b"version: STSv1\r\n");
    let absent = fetch(house.order("mta-sts.example.net", STS)).await;
    assert!(matches!(absent, Err(FetchError::Status(404))), "{absent:?}");
    let absent = fetch(house.order("mta-sts.example.org", "/metrics")).await;
    assert!(matches!(absent, Err(FetchError::Status(404))), "{absent:?}");
    let stranger = fetch(house.order("mta-sts.example.com", STS)).await;
    assert!(matches!(&stranger, Err(FetchError::Tls(error)) if error.certificate_fault().is_some()));
}

#[tokio::test]
async fn what_is_fetched_is_bounded() {
    let house = house(&["mta-sts.example.org"]);
    for (octets_max, fits) in [(15, false), (16, true), (17, true)] {
        let fetched = fetch(Get { octets_max, ..house.order("mta-sts.example.org", STS) }).await;
        assert_eq!(fetched.is_ok(), fits, "{octets_max}: {fetched:?}");
    }
    let other = Get { media_type: "text/html", ..house.order("mta-sts.example.org", STS) };
    assert!(matches!(fetch(other).await, Err(FetchError::MediaType(_))));
    let mut nowhere = house.order("mta-sts.example.org", STS);
    nowhere.origin.addresses = Vec::new();
    assert!(matches!(fetch(nowhere).await, Err(FetchError::Connect(_))));
}

/// A server that answers each request with these octets, and then says no more.
async fn answering(answer: &'static [u8]) -> (Get, House) {
    let house = house(&["mta-sts.example.org"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let now = Clock::system().now();
    let authority = TestAuthority::new("test", now).unwrap();
    let pair = authority.issue(&["mta-sts.example.org"], now).unwrap();
    let certificates =
        Certificates::from_pem(&pair.chain, &pair.key, Clock::system(), &Metrics::new()).unwrap();
    let settings = AcceptorSettings { handshake_timeout: Duration::from_secs(30) };
    let acceptor = Acceptor::new(&certificates, settings);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (mut stream, _) = acceptor.accept(platform::stream::Stream::Tcp(stream)).await.unwrap();
            let mut request = [0; 1_000];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.flush().await.unwrap();
            std::future::pending::<()>().await;
        }
    });
    let connector =
        Connector::new(&ConnectorTrust::Roots(vec![authority.root()]), Duration::from_secs(30)).unwrap();
    let origin = Origin { addresses: vec![address], connector, ..house.origin("mta-sts.example.org") };
    (Get { origin, ..house.order("mta-sts.example.org", STS) }, house)
}

#[tokio::test]
async fn other_peoples_servers_are_not_believed_everything() {
    let (get, _house) =
        answering(b"HTTP/1.1 301 Moved\r\nLocation: https://x.example/\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(fetch(get).await, Err(FetchError::Status(301))));
    let (get, _house) = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").await;
    assert!(matches!(fetch(get).await, Err(FetchError::MediaType(_))));
    let (get, _house) =
        answering(b"HTTP/1.1 200 OK\r\nContent-Type: Text/Plain ; charset=x\r\nContent-Length: 3\r\n\r\nabc")
            .await;
    assert_eq!(fetch(get).await.unwrap(), b"abc");
    let (get, _house) =
        answering(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1001\r\n\r\n").await;
    assert!(matches!(fetch(get).await, Err(FetchError::TooLarge)));
    let (get, _house) = answering(b"220 mail.example.org ESMTP\r\n").await;
    assert!(matches!(fetch(get).await, Err(FetchError::Http(_))));
}

#[tokio::test]
async fn a_server_that_never_ends_is_left() {
    let (get, _house) =
        answering(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nabc").await;
    let fetched = tokio::spawn(fetch(get));
    tokio::time::pause();
    assert!(matches!(fetched.await.unwrap(), Err(FetchError::Timeout)));
}

#[tokio::test]
async fn what_is_posted_is_taken_or_not() {
    let told = |origin: Origin, target: &str| Post {
        origin,
        target: target.to_owned(),
        media_type: "application/tlsrpt+gzip",
        octets: b"packed".to_vec(),
    };
    for (answer, expected) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], Ok(())),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 9999\r\n\r\n", Ok(())),
        (b"HTTP/1.1 307 Elsewhere\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", Err(307)),
        (b"HTTP/1.1 500 Not today\r\nContent-Length: 0\r\n\r\n", Err(500)),
    ] {
        let (get, _house) = answering(answer).await;
        let said = post(told(get.origin, "/v1/tls?a=b")).await.map_err(|error| match error {
            FetchError::Status(status) => status,
            other => panic!("{other}"),
        });
        assert_eq!(said, expected);
    }
    // Our own site takes nothing.
    let house = house(&["mta-sts.example.org"]);
    let said = post(told(house.origin("mta-sts.example.org"), "/")).await;
    assert!(matches!(said, Err(FetchError::Status(404))), "{said:?}");
    let said = post(told(house.origin("other.example.org"), "/")).await;
    assert!(matches!(said, Err(FetchError::Tls(_))), "{said:?}");
    let said = post(told(house.origin("mta-sts.example.org"), "/a b")).await;
    assert!(matches!(said, Err(FetchError::Request(_))), "{said:?}");
}
