//! TLS on the way out, and what somebody in between could do.

use std::time::Duration;

use dns::Security;
use mta::Routing;
use queue::{RecipientOutcome, Relay, RelayHost, RelayTls};

use super::host::{Act, Host, Manner};
use super::world::{Wishes, World, name, port_of_its_own, send, soon};
use crate::foundation::domain;

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

/// A host that offers STARTTLS and does this when it is said, or when TLS stands.
fn breaking(world: &World, phase: &'static str, act: Act) -> Manner {
    Manner { acceptor: Some(world.acceptor(&["mx.far.example"])), ..Manner::answering(phase, act) }
}

/// Mail to a host that always breaks TLS so goes in clear, over another connection; what the record says of it.
async fn goes_in_clear(phase: &'static str, act: Act) -> String {
    let mut world = World::with(Wishes::outbound(|out| {
        out.timeouts.greeting = Duration::from_secs(1);
        out.timeouts.handshake = Duration::from_secs(5);
    }))
    .await;
    let manner = breaking(&world, phase, act);
    let far = world.far(manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let first = world.attempt().await;
    assert!(matches!(first.recipients[0].outcome, RecipientOutcome::Relayed), "{act:?}: {first:?}");
    assert_eq!(first.tls, None);
    assert_eq!(far.connections(), 2, "{act:?}");
    assert!(!soon(far.mail(1)).await[0].is_encrypted);
    let said_starttls = |far: &Host| far.heard().iter().filter(|line| *line == "STARTTLS").count();
    assert_eq!(said_starttls(&far), 1);
    // For a while it is not asked again, and then it is.
    world.submit(&["bob@far.example"], LUNCH).await;
    let second = world.attempt().await;
    assert_eq!((second.tls, &second.tls_failure), (None, &first.tls_failure));
    assert_eq!((said_starttls(&far), far.connections()), (1, 3), "{act:?}");
    world.pass(Duration::from_secs(15 * 60)).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    assert_eq!(world.attempt().await.tls_failure, first.tls_failure);
    assert_eq!((said_starttls(&far), far.connections()), (2, 5), "{act:?}");
    let heard = far.heard().join("\n");
    assert!(!heard.contains("AUTH"), "{heard}");
    first.tls_failure.unwrap().into()
}

#[tokio::test]
async fn where_tls_is_broken_mail_goes_in_clear() {
    let breaks = [
        // Agrees, and then hangs up instead of shaking hands.
        ("STARTTLS", Act::SayAndHangUp("220 go"), "the TLS handshake failed"),
        ("STARTTLS", Act::HangUp, "the connection"),
        ("STARTTLS", Act::SayAndHangUp("421 4.3.2 not that again"), "421 4.3.2 not that again"),
        ("STARTTLS", Act::Say("what is that?"), "reply"),
        ("STARTTLS", Act::Silence, "the peer"),
        ("STARTTLS", Act::Alert, "the TLS handshake failed"),
        // Shakes hands, and breaks off before it says anything within TLS.
        ("secured", Act::HangUp, "the connection"),
    ];
    for (phase, act, expected) in breaks {
        let failure = goes_in_clear(phase, act).await;
        assert!(failure.contains(expected), "{act:?}: {failure}");
    }
}

#[tokio::test]
async fn replies_behind_starttls_are_an_attack() {
    // What was injected is nobody's answer; the connection is given up, and the next one never goes near TLS.
    let failure = goes_in_clear("STARTTLS", Act::Inject).await;
    assert_eq!(failure, "the server's replies go on in clear after STARTTLS");
}

#[tokio::test]
async fn where_tls_is_refused_mail_goes_in_clear() {
    let mut world = World::new().await;
    let manner = breaking(&world, "STARTTLS", Act::Say("454 4.7.0 not now"));
    let far = world.far(manner).await;
    for count in 1..=2 {
        world.submit(&["bob@far.example"], LUNCH).await;
        assert!(!soon(far.mail(count)).await[count - 1].is_encrypted);
        assert_eq!(world.attempt().await.tls_failure.as_deref(), Some("454 4.7.0 not now"));
        assert_eq!(
            far.connections(),
            count,
            "no other connection is needed, and none is saved by not asking"
        );
    }
}

#[tokio::test]
async fn a_host_that_is_out_of_reach_is_asked_for_tls_when_it_is_back() {
    let mut world = World::new().await;
    // Goes down in the middle of the first handshake.
    let manner = Manner {
        acceptor: Some(world.acceptor(&["mx.far.example"])),
        ..Manner::with_ears(|heard, connection| {
            let is_down = (connection == 1 && heard == "STARTTLS") || (connection == 2 && heard == "connect");
            is_down.then_some(Act::HangUp)
        })
    };
    let far = world.far(manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred"), "{outcome}");
    world.pass(Duration::from_secs(300)).await;
    assert!(world.attempt().await.tls.is_some());
    assert!(soon(far.mail(1)).await[0].is_encrypted);
}

#[tokio::test]
async fn where_tls_is_demanded_nothing_goes_in_clear_whatever_breaks() {
    for (phase, act) in [
        ("STARTTLS", Act::SayAndHangUp("220 go")),
        ("STARTTLS", Act::HangUp),
        ("STARTTLS", Act::Say("454 4.7.0 not now")),
        ("STARTTLS", Act::SayAndHangUp("421 4.3.2 not that again")),
        ("STARTTLS", Act::Inject),
        ("STARTTLS", Act::Alert),
        ("secured", Act::HangUp),
    ] {
        // By a message.
        let mut world = World::new().await;
        let far = world.far(breaking(&world, phase, act)).await;
        world.names.set_security(&name("far.example"), Security::Secure);
        let mut peer = world.log_in_encrypted("ann@example.org").await;
        // That the host is known to break TLS changes nothing.
        send(&mut peer, "<ann@example.org>", &["bob@far.example"], LUNCH).await;
        assert_eq!(world.outcome().await, "bob@far.example: relayed");
        send(&mut peer, "<ann@example.org> REQUIRETLS", &["bob@far.example"], LUNCH).await;
        let outcome = world.outcome().await;
        let expected = if matches!(act, Act::Alert) { "failed" } else { "deferred" };
        assert!(outcome.contains(expected), "{act:?}: {outcome}");
        assert_eq!(far.mail_so_far().len(), 1, "{act:?}");
        // By the operator.
        let keeper = port_of_its_own().await;
        let port = keeper.local_addr().unwrap().port();
        let host = RelayHost::Name(domain("mx.far.example"));
        let relay = Relay { host, port, tls: RelayTls::StartTls, credentials: None };
        let routing = Routing { relay: Some(relay), ..Routing::default() };
        let mut world = World::at_port(keeper, Wishes::routing(routing)).await;
        let far = world.far(breaking(&world, phase, act)).await;
        world.submit(&["bob@elsewhere.example"], LUNCH).await;
        let outcome = world.outcome().await;
        assert!(outcome.contains("deferred"), "{act:?}: {outcome}");
        assert_eq!((far.mail_so_far().len(), far.connections()), (0, 1), "{act:?}");
        assert!(!far.heard().iter().any(|line| line.starts_with("MAIL")), "{act:?}");
    }
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
