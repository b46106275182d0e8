//! The HTTP door over loopback, octet by octet.

use platform::clock::Clock;
use platform::guard::GuardSettings;
use platform::listener::{ListenAddress, ListenerSettings};
use platform::stream::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const SETTINGS: Settings =
    Settings { header_timeout: Duration::from_secs(10), connection_timeout: Duration::from_secs(60) };

struct Served {
    address: std::net::SocketAddr,
    metrics: Metrics,
    tasks: Tasks,
}

fn served(connections_max: usize) -> Served {
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
        failures_before_block: 1,
        failures_window: Duration::ZERO,
        block: Duration::ZERO,
        trusted: Vec::new(),
    };
    let guard = Guard::new(guard, Clock::system(), &metrics);
    let (numbers, stop) = (ConnectionNumbers::new(), tasks.shutdown());
    tasks.spawn("http", serve(listener, SETTINGS, metrics.clone(), tasks.clone(), guard, numbers, stop));
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
