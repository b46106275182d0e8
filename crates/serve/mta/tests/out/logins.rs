//! Logging in at relays: the strongest mechanism they offer, and nobody believed who does not know the password too.

use std::collections::HashMap;

use mail_types::Secret;
use mta::{Listener, RelayCredentials, Routing};
use platform::stream::{Endpoint, Stream};
use queue::{CredentialsName, Relay, RelayHost, RelayTls};
use tokio::net::TcpListener;

use super::host::{Act, Host, Manner};
use super::world::{Wishes, World, name, port_of_its_own, soon};
use crate::foundation::domain;

const LUNCH: &str = "From: ann@example.org\r\nSubject: Lunch?\r\n\r\nAt noon.";
const ALL: &str = "AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS";

/// A house that sends everything through smart.example, at 127.0.0.3, as ann with this password.
async fn sender(password: &'static str) -> World {
    let keeper = port_of_its_own().await;
    let relay = Relay {
        host: RelayHost::Name(domain("smart.example")),
        port: keeper.local_addr().unwrap().port(),
        tls: RelayTls::Implicit,
        credentials: CredentialsName::parse("smart"),
    };
    let mut wishes = Wishes::outbound(move |out| {
        let user = "ann@example.org".to_owned();
        let secret = RelayCredentials { user, password: Secret::from(password) };
        out.credentials = HashMap::from([(CredentialsName::parse("smart").unwrap(), secret)]);
    });
    wishes.routing = Routing { relay: Some(relay), ..Routing::default() };
    let world = World::at_port(keeper, wishes).await;
    world.names.add(&name("smart.example"), dns::RecordData::Address([127, 0, 0, 3].into()));
    world
}

/// What a message came to at a scripted relay, and what the relay heard.
async fn at(manner: impl FnOnce(&World) -> Manner) -> (String, Host) {
    let mut world = sender("secret").await;
    let manner = Manner {
        acceptor: Some(world.acceptor(&["smart.example"])),
        begins_with_tls: true,
        ..manner(&world)
    };
    let smart = world.host("127.0.0.3", manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    (world.outcome().await, smart)
}

fn mechanism(host: &Host) -> String {
    let heard = host.heard();
    let line = heard.iter().find(|line| line.starts_with("AUTH ")).unwrap();
    line.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn the_strongest_mechanism_is_chosen() {
    for (offer, expected) in [
        (ALL, "SCRAM-SHA-256-PLUS"),
        ("AUTH PLAIN SCRAM-SHA-256", "SCRAM-SHA-256"),
        ("AUTH LOGIN PLAIN", "PLAIN"),
        ("AUTH LOGIN", "LOGIN"),
    ] {
        let (outcome, smart) =
            at(|_| Manner { offers: vec![offer], ..Manner::answering("AUTH", Act::Say("535 5.7.8 no")) })
                .await;
        assert!(outcome.contains("deferred smart.example: 535 5.7.8 no"), "{outcome}");
        assert_eq!(mechanism(&smart), expected, "{offer}");
    }
}

#[tokio::test]
async fn without_the_offer_of_a_binding_that_is_said() {
    let (_, smart) = at(|_| Manner {
        offers: vec!["AUTH SCRAM-SHA-256"],
        ..Manner::answering("AUTH", Act::Say("535 5.7.8 no"))
    })
    .await;
    let heard = smart.heard().join("\n");
    // In base64, `y,,n=`: had the relay offered PLUS, it would know now that somebody struck it out (RFC 5802 §6).
    assert!(heard.contains("AUTH SCRAM-SHA-256 eSwsbj1"), "{heard}");
}

/// The door of another house of ours as the relay.
async fn relay_of_ours(world: &World, place: &str) -> World {
    let relay = World::new().await;
    let listener = TcpListener::bind(world.at(place)).await.unwrap();
    let street = relay.street_with(Some(world.acceptor(&["smart.example"])));
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            street.serve(Listener::ImplicitSubmission, Endpoint::Inet(peer), Stream::Tcp(stream));
        }
    });
    relay
}

#[tokio::test]
async fn our_own_door_and_our_own_client_agree() {
    let mut world = sender("secret").await;
    let relay = relay_of_ours(&world, "127.0.0.3").await;
    let far = relay.far(Manner::polite()).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    assert_eq!(world.outcome().await, "bob@far.example: delivered");
    assert_eq!(soon(far.mail(1)).await[0].to, ["RCPT TO:<bob@far.example>"]);
    let mut world = sender("wrong").await;
    let _relay = relay_of_ours(&world, "127.0.0.3").await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred smart.example: 535 5.7.8 Authentication failed"), "{outcome}");
}

#[tokio::test]
async fn who_does_not_know_the_password_gets_no_mail() {
    for (iterations, last, words) in [
        (4_095, "", "asks for 4095 iterations"),
        (1_000_001, "", "asks for 1000001 iterations"),
        // In base64, `v=` and 32 octets.
        (4_096, "334 dj1NREF3TURBd01EQXdNREF3TURBd01EQXdNREF3TURBd01EQXdNREF3TURBPQ==", "does not prove"),
        (4_096, "334 ZT1vdGhlci1lcnJvcg==", "other-error"),
        (4_096, "235 2.7.0 welcome", "skips the proof"),
    ] {
        let impostor = Act::Impostor(iterations, last);
        let (outcome, smart) =
            at(|_| Manner { offers: vec![ALL], ..Manner::answering("AUTH", impostor) }).await;
        assert!(outcome.contains("deferred smart.example: 4.7.8"), "{outcome}");
        assert!(outcome.contains(words), "{outcome}");
        let heard = smart.heard();
        assert!(!heard.iter().any(|line| line.starts_with("MAIL")), "{heard:?}");
        assert_eq!(
            heard.iter().filter(|line| line.starts_with("AUTH")).count(),
            1,
            "nothing weaker is tried"
        );
    }
}
