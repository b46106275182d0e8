//! SCRAM-SHA-256-PLUS from end to end: both ends must see the same TLS session (RFC 5802, 7677, 9266).

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mta::Listener;

use super::house::House;
use crate::foundation::Peer;

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn attribute<'a>(message: &'a str, name: &str) -> &'a str {
    message.split(',').find_map(|part| part.strip_prefix(name)).unwrap()
}

/// Logs in as ann with this password over this channel; the last reply.
async fn scram(peer: &mut Peer, password: &str, gs2_header: &str, binding: &[u8], mechanism: &str) -> String {
    let client_first = "n=ann@example.org,r=fyko+d2lbbFgONRv9qkxdawL";
    let initial = STANDARD.encode(format!("{gs2_header}{client_first}"));
    let challenge = peer.say(&format!("AUTH {mechanism} {initial}")).await;
    let Some(challenge) = challenge.strip_prefix("334 ") else { return challenge };
    let server_first = String::from_utf8(STANDARD.decode(challenge).unwrap()).unwrap();
    let salt = STANDARD.decode(attribute(&server_first, "s=")).unwrap();
    let iterations: u32 = attribute(&server_first, "i=").parse().unwrap();

    let mut salted = [0; 32];
    let iterations = NonZeroU32::new(iterations).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.as_bytes(), &mut salted);
    let client_key = sign(&salted, "Client Key");
    let stored_key = digest::digest(&digest::SHA256, &client_key);
    let channel = STANDARD.encode([gs2_header.as_bytes(), binding].concat());
    let without_proof = format!("c={channel},r={}", attribute(&server_first, "r="));
    let signature = sign(stored_key.as_ref(), &format!("{client_first},{server_first},{without_proof}"));
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, signed)| key ^ signed).collect();
    let last = STANDARD.encode(format!("{without_proof},p={}", STANDARD.encode(proof)));
    let reply = peer.say(&last).await;
    if !reply.starts_with("334 ") {
        return reply;
    }
    // The server has proven that it knows the password too; nothing is left to say.
    peer.say("").await
}

async fn connected(house: &House) -> (Peer, Vec<u8>) {
    let (mut peer, session) = house.connect_tls_session(Listener::ImplicitSubmission).await;
    peer.reply().await;
    peer.say("EHLO laptop.home.example").await;
    (peer, session.bindings.exporter.unwrap().to_vec())
}

#[tokio::test]
async fn a_password_is_bound_to_its_tls_session() {
    let house = House::new();
    let (mut peer, exporter) = connected(&house).await;
    let reply = scram(&mut peer, "secret", "p=tls-exporter,,", &exporter, "SCRAM-SHA-256-PLUS").await;
    assert_eq!(reply, "235 2.7.0 Authentication succeeded");
    assert_eq!(peer.say("MAIL FROM:<ann@example.org>").await, "250 2.1.0 Sender ok");
}

#[tokio::test]
async fn somebody_in_between_is_noticed() {
    let house = House::new();
    let (_, exporter_of_another) = connected(&house).await;
    let (mut peer, _) = connected(&house).await;
    let reply =
        scram(&mut peer, "secret", "p=tls-exporter,,", &exporter_of_another, "SCRAM-SHA-256-PLUS").await;
    assert_eq!(reply, "535 5.7.8 Authentication failed");
    // A client that could have bound itself, and was told that we cannot: somebody struck PLUS from the offer.
    let reply = scram(&mut peer, "secret", "y,,", b"", "SCRAM-SHA-256").await;
    assert!(reply.starts_with("535") || reply.starts_with("501"), "{reply}");
}

#[tokio::test]
async fn without_binding_scram_works_too() {
    let house = House::new();
    let (mut peer, _) = connected(&house).await;
    assert_eq!(
        scram(&mut peer, "wrong", "n,,", b"", "SCRAM-SHA-256").await,
        "535 5.7.8 Authentication failed"
    );
    let reply = scram(&mut peer, "secret", "n,,", b"", "SCRAM-SHA-256").await;
    assert_eq!(reply, "235 2.7.0 Authentication succeeded");
}
