//! What listeners promise, on loopback and in a temporary directory.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

use super::*;
use crate::clock::Clock;
use crate::guard::GuardSettings;
use crate::metrics::Metrics;
use crate::tasks::ShutdownTrigger;

fn settings(address: ListenAddress) -> ListenerSettings {
    ListenerSettings {
        name: "test",
        address,
        connections_max: 3,
        proxies: Vec::new(),
        proxy_timeout: Duration::from_secs(5),
        refusal: |refusal| match refusal {
            Refusal::ServerFull => b"full\r\n",
            Refusal::AddressFull => b"too many\r\n",
            Refusal::Banned => b"blocked\r\n",
        },
    }
}

fn loopback() -> ListenAddress {
    ListenAddress::Tcp("127.0.0.1:0".parse().unwrap())
}

fn guard(per_address: usize) -> Guard {
    let settings = GuardSettings {
        connections_max: 100,
        connections_per_address_max: per_address,
        failures_free: 0,
        delay_first: Duration::ZERO,
        delay_max: Duration::ZERO,
        points_before_ban: 10,
        window: Duration::from_secs(60),
        ban_first: Duration::from_secs(60),
        ban_longest: Duration::from_secs(60),
        trusted: Vec::new(),
        bans_private: true,
    };
    Guard::new(settings, Clock::system(), &Metrics::new())
}

struct Served {
    local: Endpoint,
    accepted: mpsc::UnboundedReceiver<Accepted>,
    tasks: Tasks,
    stop: ShutdownTrigger,
}

/// A listener whose door greets and hands the connection to the test; its slot is held until shutdown.
fn serve(settings: ListenerSettings, guard: &Guard) -> Served {
    let listener = Listener::bind(settings).unwrap();
    let local = listener.local();
    let tasks = Tasks::new(&Metrics::new());
    let (sender, accepted) = mpsc::unbounded_channel();
    let (stop, stopped) = Shutdown::channel();
    let serving = listener.serve(
        tasks.clone(),
        guard.clone(),
        ConnectionNumbers::new(),
        stopped,
        move |mut accepted: Accepted| {
            let sender = sender.clone();
            async move {
                let shutdown = accepted.shutdown.clone();
                accepted.stream.write_all(b"hello\r\n").await.unwrap();
                sender.send(accepted).unwrap();
                shutdown.triggered().await;
            }
        },
    );
    tasks.spawn("listener", serving);
    Served { local, accepted, tasks, stop }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        let Endpoint::Inet(address) = self.local else { panic!("not TCP") };
        TcpStream::connect(address).await.unwrap()
    }

    async fn end(self) {
        assert_eq!(self.tasks.drain(Duration::from_secs(10)).await.aborted, 0);
    }
}

async fn line(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    while !text.ends_with('\n') {
        match stream.read_u8().await {
            Ok(octet) => text.push(octet.into()),
            Err(_) => break,
        }
    }
    text
}

#[tokio::test]
async fn hands_connections_over_with_who_and_where() {
    let mut served = serve(settings(loopback()), &guard(10));
    let mut numbers = HashSet::new();
    for _ in 0..2 {
        let mut client = served.connect().await;
        assert_eq!(line(&mut client).await, "hello\r\n");
        let accepted = served.accepted.recv().await.unwrap();
        assert_eq!(accepted.peer, Endpoint::Inet(client.local_addr().unwrap()));
        assert_eq!(accepted.local, served.local);
        let Stream::Tcp(stream) = &accepted.stream else { panic!("not TCP") };
        assert!(stream.nodelay().unwrap(), "inherited from the listener");
        assert!(socket2::SockRef::from(stream).keepalive().unwrap(), "inherited from the listener");
        numbers.insert(accepted.number);
    }
    assert_eq!(numbers.len(), 2);
    served.end().await;
}

#[tokio::test]
async fn a_full_listener_says_so_and_recovers() {
    let served = serve(settings(loopback()), &guard(10));
    let mut clients = Vec::new();
    for expected in ["hello\r\n", "hello\r\n", "hello\r\n", "full\r\n"] {
        let mut client = served.connect().await;
        assert_eq!(line(&mut client).await, expected);
        clients.push(client);
    }
    served.end().await;
}

#[tokio::test]
async fn an_address_gets_its_share() {
    let guard = guard(1);
    let mut served = serve(settings(loopback()), &guard);
    let mut first = served.connect().await;
    assert_eq!(line(&mut first).await, "hello\r\n");
    let mut second = served.connect().await;
    assert_eq!(line(&mut second).await, "too many\r\n");
    drop(served.accepted.recv().await.unwrap());
    let mut third = served.connect().await;
    assert_eq!(line(&mut third).await, "hello\r\n");
    let _ = guard.failed("127.0.0.1".parse().ok(), "ann", crate::guard::Offence::WrongPassword, None);
    let mut fourth = served.connect().await;
    assert_eq!(line(&mut fourth).await, "blocked\r\n");
    served.end().await;
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_who_is_then_judged() {
    let guard = guard(1);
    let proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let mut served = serve(ListenerSettings { proxies, ..settings(loopback()) }, &guard);
    let mut first = served.connect().await;
    first.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.2 1000 25\r\n").await.unwrap();
    assert_eq!(line(&mut first).await, "hello\r\n");
    let accepted = served.accepted.recv().await.unwrap();
    assert_eq!(accepted.peer.to_string(), "192.0.2.1:1000");
    assert_eq!(accepted.local.to_string(), "198.51.100.2:25");
    let mut same = served.connect().await;
    same.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.2 1001 25\r\n").await.unwrap();
    assert_eq!(line(&mut same).await, "too many\r\n");
    let mut other = served.connect().await;
    other.write_all(b"PROXY TCP4 192.0.2.2 198.51.100.2 1002 25\r\n").await.unwrap();
    assert_eq!(line(&mut other).await, "hello\r\n");
    served.end().await;
}

#[tokio::test]
async fn a_proxy_without_header_is_hung_up_on() {
    let proxies = vec!["127.0.0.1".parse().unwrap()];
    let served = serve(ListenerSettings { proxies, ..settings(loopback()) }, &guard(10));
    let mut client = served.connect().await;
    client.write_all(b"EHLO client.example\r\n").await.unwrap();
    assert_eq!(line(&mut client).await, "");
    served.end().await;
}

#[tokio::test]
async fn a_stranger_cannot_say_who_it_is() {
    let proxies = vec!["192.0.2.0/24".parse().unwrap()];
    let mut served = serve(ListenerSettings { proxies, ..settings(loopback()) }, &guard(10));
    let mut client = served.connect().await;
    client.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.2 1000 25\r\n").await.unwrap();
    assert_eq!(line(&mut client).await, "hello\r\n");
    let mut accepted = served.accepted.recv().await.unwrap();
    assert_eq!(accepted.peer, Endpoint::Inet(client.local_addr().unwrap()));
    assert!(line(&mut accepted.stream).await.starts_with("PROXY"));
    served.end().await;
}

#[tokio::test]
async fn stopping_a_listener_leaves_its_connections() {
    let mut served = serve(settings(loopback()), &guard(10));
    let mut client = served.connect().await;
    assert_eq!(line(&mut client).await, "hello\r\n");
    served.stop.trigger();
    while served.tasks.running() > 1 {
        tokio::task::yield_now().await;
    }
    let mut accepted = served.accepted.recv().await.unwrap();
    client.write_all(b"still here\r\n").await.unwrap();
    assert_eq!(line(&mut accepted.stream).await, "still here\r\n");
    let Endpoint::Inet(address) = served.local else { panic!("not TCP") };
    assert!(TcpStream::connect(address).await.is_err());
    served.end().await;
}

#[tokio::test]
async fn unix_sockets_have_their_mode_and_vanish() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lmtp.sock");
    let address = ListenAddress::Unix { path: path.clone(), mode: 0o620 };
    let mut served = serve(settings(address.clone()), &guard(10));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o620);
    let mut client = UnixStream::connect(&path).await.unwrap();
    assert_eq!(line(&mut client).await, "hello\r\n");
    assert_eq!(served.accepted.recv().await.unwrap().peer, Endpoint::Unix);
    let error = Listener::bind(settings(address)).unwrap_err();
    assert!(error.to_string().contains("another program listens there"), "{error}");
    served.end().await;
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_another_file_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let address = ListenAddress::Unix { path: path.clone(), mode: 0o600 };
    drop(Listener::bind(settings(address.clone())).unwrap());
    std::fs::write(&path, b"precious").unwrap();
    let error = Listener::bind(settings(address)).unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn bind_errors_say_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Listener::bind(settings(ListenAddress::Tcp(taken.local_addr().unwrap()))).unwrap_err();
    let expected =
        format!("test: cannot listen on 127.0.0.1:{port}: port {port} is in use by another program");
    assert!(error.to_string().starts_with(&expected), "{error}");
    let error = Listener::bind(settings(ListenAddress::Tcp("192.0.2.1:0".parse().unwrap()))).unwrap_err();
    assert!(error.to_string().contains("no such address"), "{error}");
}
