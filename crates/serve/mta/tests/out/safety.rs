//! TLS on the way out, and what somebody in between could do.

use dns::Security;

use super::host::{Act, Manner};
use super::world::{World, name, send, soon};

const LUNCH: &str = "From: ann@example.org\r\nSubject: Lunch?\r\n\r\nAt noon.";

#[tokio::test]
async fn tls_is_used_where_it_is_offered_whoever_answers() {
    let mut world = World::new().await;
    let manner = Manner { acceptor: Some(world.strange_acceptor(&["somebody.example"])), ..Manner::polite() };
    let far = world.far(manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(soon(far.mail(1)).await[0].is_encrypted);
    assert_eq!(world.attempt().await.tls.unwrap().version, "TLS1.3");
    assert_eq!(far.connections(), 1);
}

#[tokio::test]
async fn where_tls_is_broken_mail_goes_in_clear() {
    let mut world = World::new().await;
    let manner = Manner {
        acceptor: Some(world.acceptor(&["mx.far.example"])),
        // Agrees, and then hangs up instead of shaking hands.
        ..Manner::answering("STARTTLS", Act::SayAndHangUp("220 go"))
    };
    let far = world.far(manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(!soon(far.mail(1)).await[0].is_encrypted);
    assert_eq!(world.attempt().await.tls, None);
    assert_eq!(far.connections(), 2);
}

#[tokio::test]
async fn where_tls_is_refused_mail_goes_in_clear() {
    let world = World::new().await;
    let manner = Manner {
        acceptor: Some(world.acceptor(&["mx.far.example"])),
        ..Manner::answering("STARTTLS", Act::Say("454 4.7.0 not now"))
    };
    let far = world.far(manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(!soon(far.mail(1)).await[0].is_encrypted);
    assert_eq!(far.connections(), 1);
}

#[tokio::test]
async fn replies_behind_starttls_are_an_attack() {
    let mut world = World::new().await;
    let manner = Manner {
        acceptor: Some(world.acceptor(&["mx.far.example"])),
        ..Manner::answering("STARTTLS", Act::Inject)
    };
    let far = world.far(manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred mx.far.example: 4.5.0"), "{outcome}");
    assert!(!far.heard().iter().any(|line| line.starts_with("MAIL") || line.starts_with("AUTH")));
}

/// ann sends a message that must stay encrypted; what it came to.
async fn required(certificate: &str, offers: &[&'static str], security: Security) -> (String, World) {
    let mut world = World::new().await;
    let manner = Manner { acceptor: Some(world.acceptor(&[certificate])), ..Manner::offering(offers) };
    world.far(manner).await;
    world.names.set_security(&name("far.example"), security);
    let mut peer = world.log_in_encrypted("ann@example.org").await;
    let said = send(&mut peer, "<ann@example.org> REQUIRETLS", &["bob@far.example"], LUNCH).await;
    assert!(said.starts_with("250"), "{said}");
    let outcome = world.outcome().await;
    (outcome, world)
}

#[tokio::test]
async fn mail_that_must_stay_encrypted_does() {
    let (outcome, world) = required("mx.far.example", &["REQUIRETLS"], Security::Secure).await;
    assert_eq!(outcome, "bob@far.example: relayed");
    world.empty_queue().await;
    let (outcome, _) = required("mx.far.example", &[], Security::Secure).await;
    assert!(outcome.contains("failed mx.far.example: 5.7.30"), "the host does not promise it: {outcome}");
    let (outcome, _) = required("mallory.example", &["REQUIRETLS"], Security::Secure).await;
    assert!(outcome.contains("failed mx.far.example: ") && outcome.contains("7.10"), "{outcome}");
    let (outcome, world) = required("mx.far.example", &["REQUIRETLS"], Security::Insecure).await;
    assert!(outcome.contains("7.10"), "anybody can have named that host: {outcome}");
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Status: 5.7.10"), "{report}");
    assert!(!report.contains("At noon."), "{report}");
}

#[tokio::test]
async fn mail_that_must_stay_encrypted_does_not_hold_up_mail_that_need_not() {
    let mut world = World::new().await;
    let manner = Manner {
        acceptor: Some(world.acceptor(&["mx.far.example"])),
        ..Manner::answering("STARTTLS", Act::Say("454 4.7.0 not now"))
    };
    let far = world.far(manner).await;
    world.names.set_security(&name("far.example"), Security::Secure);
    let mut peer = world.log_in_encrypted("ann@example.org").await;
    send(&mut peer, "<ann@example.org> REQUIRETLS", &["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred mx.far.example: 454 4.7.0 not now"), "{outcome}");
    send(&mut peer, "<ann@example.org>", &["carl@far.example"], LUNCH).await;
    assert_eq!(world.outcome().await, "carl@far.example: relayed");
    assert_eq!(soon(far.mail(1)).await[0].to, ["RCPT TO:<carl@far.example>"]);
}

#[tokio::test]
async fn required_tls_is_offered_within_tls_alone() {
    let world = World::new().await;
    let mut peer = world.log_in("ann@example.org").await;
    assert!(!peer.say("EHLO x.example").await.contains("REQUIRETLS"));
    assert!(peer.say("MAIL FROM:<ann@example.org> REQUIRETLS").await.starts_with('5'));
}

#[tokio::test]
async fn nothing_is_smuggled_out() {
    for smuggled in [
        "a\r.\r\nMAIL FROM:<evil@example.org>",
        "a\n.\r\nMAIL FROM:<evil@example.org>",
        "a\r\n..\rMAIL FROM:<evil@example.org>",
    ] {
        let world = World::new().await;
        let far = world.far(Manner::polite()).await;
        let said = world.submit(&["bob@far.example"], &format!("{LUNCH}\r\n{smuggled}")).await;
        assert!(said.starts_with("250"), "{said}");
        let mail = soon(far.mail(1)).await;
        world.empty_queue().await;
        assert!(mail[0].text.contains("MAIL FROM:<evil@example.org>\r\n"), "{}", mail[0].text);
        assert_eq!(far.heard().iter().filter(|line| line.starts_with("MAIL")).count(), 1);
    }
}
