//! The door behind real listeners: TCP with a proxy in front, and a Unix socket for LMTP.

use std::time::Duration;

use mta::Listener as Purpose;
use platform::listener::{ConnectionNumbers, ListenAddress, Listener, ListenerSettings};
use platform::stream::{Endpoint, Stream};
use platform::tasks::Tasks;
use tokio::net::{TcpStream, UnixStream};

use super::house::House;
use crate::foundation::Peer;

fn listen(house: &House, tasks: &Tasks, purpose: Purpose, address: ListenAddress) -> Endpoint {
    let listener = Listener::bind(ListenerSettings {
        name: purpose.name(),
        address,
        connections_max: 10,
        proxies: vec!["127.0.0.1".parse().unwrap()],
        proxy_timeout: Duration::from_secs(5),
        refusal: purpose.refusal(),
    })
    .unwrap();
    let local = listener.local();
    let door = house.door.clone();
    let (guard, numbers, tasks_of_listener) = (house.guard.clone(), ConnectionNumbers::new(), tasks.clone());
    tasks.spawn("listener", async move {
        let serve = move |accepted| {
            let door = door.clone();
            async move { door.serve(accepted, purpose).await }
        };
        let stop = tasks_of_listener.shutdown();
        listener.serve(tasks_of_listener, guard, numbers, stop, serve).await;
    });
    local
}

#[tokio::test]
async fn the_proxy_says_who_the_client_is() {
    let house = House::new();
    let tasks = Tasks::new(&house.metrics);
    let local = listen(&house, &tasks, Purpose::Relay, ListenAddress::Tcp("127.0.0.1:0".parse().unwrap()));
    let Endpoint::Inet(address) = local else { panic!("{local}") };
    let mut peer = Peer::over(Stream::Tcp(TcpStream::connect(address).await.unwrap()));
    peer.send(b"PROXY TCP4 198.51.100.7 203.0.113.1 40000 25\r\n").await;
    peer.dialogue(
        "
        S: 220 *
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<>
        C: RCPT TO:<ann@example.org>
        C: DATA
        C: .
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 354 *
        S: 250 2.0.0 Kept as *
    ",
    )
    .await;
    assert!(house.only_message().await.contains("from client.example ([198.51.100.7])"));
    tasks.drain(Duration::from_secs(10)).await;
    peer.dialogue("S: 421 4.3.2 Shutting down; *").await;
}

#[tokio::test]
async fn lmtp_on_a_unix_socket() {
    let house = House::new();
    let tasks = Tasks::new(&house.metrics);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("lmtp.sock");
    listen(&house, &tasks, Purpose::Lmtp, ListenAddress::Unix { path: path.clone(), mode: 0o600 });
    let mut peer = Peer::over(Stream::Unix(UnixStream::connect(&path).await.unwrap()));
    assert_eq!(peer.reply().await, "220 mail.example.org LMTP mailstead");
    assert!(peer.say("LHLO front.example").await.contains("CHUNKING"));
    tasks.drain(Duration::from_secs(10)).await;
}
