//! Domains that say by HTTPS which hosts take their mail, and that these have certificates (MTA-STS, RFC 8461).

use std::time::Duration;

use queue::Filter;

use super::host::{Host, Manner};
use super::world::{World, name, send, soon};

const LUNCH: &str = "From: ann@example.org\r\nSubject: Lunch?\r\n\r\nAt noon.";
const MX: &str = "mx.far.example";
const MINUTES: Duration = Duration::from_secs(300);
const DAY: Duration = Duration::from_secs(86_400);

async fn trusted(world: &World) -> Host {
    world.far(Manner { acceptor: Some(world.acceptor(&[MX])), ..Manner::polite() }).await
}

async fn untrusted(world: &World) -> Host {
    world.far(Manner { acceptor: Some(world.strange_acceptor(&[MX])), ..Manner::polite() }).await
}

#[tokio::test]
async fn a_policy_is_fetched_once_and_kept_to() {
    let mut world = World::new().await;
    let host = trusted(&world).await;
    world.publish("far.example", "1", "enforce", MX);
    for count in 1..=3 {
        world.submit(&["bob@far.example"], LUNCH).await;
        assert!(soon(host.mail(count)).await[count - 1].is_encrypted);
        assert_eq!(world.protection().await, "mta-sts authority");
        assert_eq!(world.tls_result().await, "sts mx.far.example success");
    }
    assert_eq!((host.connections(), world.policies.fetches()), (3, 1));
}

#[tokio::test]
async fn a_host_that_the_policy_does_not_name_gets_nothing() {
    let mut world = World::new().await;
    let host = trusted(&world).await;
    world.publish("far.example", "1", "enforce", "*.other.example");
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred mx.far.example: 4.7.10"), "{outcome}");
    assert!(outcome.contains("does not name this server"), "{outcome}");
    assert_eq!(world.tls_result().await, "sts mx.far.example validation-failure");
    assert_eq!(host.connections(), 0);
    // The domain mends its policy.
    world.publish("far.example", "2", "enforce", "*.far.example");
    world.pass(MINUTES).await;
    soon(host.mail(1)).await;
    assert_eq!(world.protection().await, "mta-sts authority");
}

#[tokio::test]
async fn another_exchanger_that_the_policy_names_takes_it() {
    let mut world = World::new().await;
    let manner = |world: &World, name: &str| {
        let acceptor = Some(world.acceptor(&[name]));
        Manner { acceptor, ..Manner::polite() }
    };
    world.exchanger("far.example", 10, "mallory.example", "127.0.0.2");
    world.exchanger("far.example", 20, MX, "127.0.0.3");
    let mallory = world.host("127.0.0.2", manner(&world, "mallory.example")).await;
    let host = world.host("127.0.0.3", manner(&world, MX)).await;
    world.publish("far.example", "1", "enforce", MX);
    world.submit(&["bob@far.example"], LUNCH).await;
    soon(host.mail(1)).await;
    assert_eq!(world.protection().await, "mta-sts authority");
    assert_eq!(mallory.connections(), 0);
}

#[tokio::test]
async fn without_the_right_certificate_nothing_leaves() {
    let mut world = World::new().await;
    let strange = untrusted(&world).await;
    world.publish("far.example", "1", "enforce", MX);
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(world.outcome().await.contains("deferred mx.far.example: 4.7.10"));
    assert_eq!(world.tls_result().await, "sts mx.far.example certificate-not-trusted");
    assert_eq!(strange.mail_so_far().len(), 0);

    let mut world = World::new().await;
    let clear = world.far(Manner::polite()).await;
    world.publish("far.example", "1", "enforce", MX);
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(world.outcome().await.contains("deferred mx.far.example: 4.7.10"));
    assert_eq!(world.tls_result().await, "sts mx.far.example starttls-not-supported");
    assert_eq!(clear.mail_so_far().len(), 0);

    let mut world = World::new().await;
    let other = Manner { acceptor: Some(world.acceptor(&["mallory.example"])), ..Manner::polite() };
    world.far(other).await;
    world.publish("far.example", "1", "enforce", MX);
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(world.outcome().await.contains("deferred mx.far.example: 4.7.10"));
    assert_eq!(world.tls_result().await, "sts mx.far.example certificate-host-mismatch");
}

#[tokio::test]
async fn a_policy_that_is_tested_only_tells_what_would_fail() {
    for (exchanger, is_trusted, expected, verified) in [
        (MX, true, "success", "authority"),
        (MX, false, "certificate-not-trusted", "nobody"),
        ("*.other.example", true, "validation-failure", "authority"),
    ] {
        let mut world = World::new().await;
        let host = if is_trusted { trusted(&world).await } else { untrusted(&world).await };
        world.publish("far.example", "1", "testing", exchanger);
        world.submit(&["bob@far.example"], LUNCH).await;
        assert!(soon(host.mail(1)).await[0].is_encrypted);
        assert_eq!(world.protection().await, format!("mta-sts-testing {verified}"));
        assert_eq!(world.tls_result().await, format!("sts mx.far.example {expected}"));
    }
    let mut world = World::new().await;
    let host = world.far(Manner::polite()).await;
    world.publish("far.example", "1", "testing", MX);
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(!soon(host.mail(1)).await[0].is_encrypted);
    assert_eq!(world.tls_result().await, "sts mx.far.example starttls-not-supported");
}

#[tokio::test]
async fn a_policy_that_is_on_its_way_out_says_nothing() {
    let mut world = World::new().await;
    let host = untrusted(&world).await;
    world.publish("far.example", "1", "none", MX);
    world.submit(&["bob@far.example"], LUNCH).await;
    soon(host.mail(1)).await;
    assert_eq!(world.protection().await, "none nobody");
}

#[tokio::test]
async fn a_policy_holds_until_it_ends_whoever_hides_it() {
    let mut world = World::new().await;
    let host = untrusted(&world).await;
    world.publish("far.example", "1", "enforce", MX);
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(world.outcome().await.contains("deferred"));
    assert_eq!(world.tls_result().await, "sts mx.far.example certificate-not-trusted");
    // Somebody in between lets it be fetched no more: DNS speaks of another version that cannot be had.
    world.publish("far.example", "2", "none", MX);
    world.policies.close();
    world.pass(MINUTES).await;
    assert!(world.outcome().await.contains("deferred"));
    assert_eq!(world.tls_result().await, "sts - sts-policy-fetch-error");
    assert_eq!(world.tls_result().await, "sts mx.far.example certificate-not-trusted");
    // Then DNS speaks of it no more.
    world.names.clear(&name("_mta-sts.far.example"));
    world.pass(3 * DAY).await;
    assert!(world.outcome().await.contains("deferred"));
    assert_eq!(host.mail_so_far().len(), 0);
    assert_eq!(world.policies.fetches(), 2);
}

#[tokio::test]
async fn a_policy_that_has_ended_is_forgotten() {
    let mut world = World::new().await;
    let host = untrusted(&world).await;
    world.publish("far.example", "1", "enforce", MX);
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(world.outcome().await.contains("deferred"));
    world.names.clear(&name("_mta-sts.far.example"));
    assert_eq!(world.queue.drop_recipients(Filter::default()).await.unwrap(), 1);
    world.pass(7 * DAY).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    soon(host.mail(1)).await;
    assert_eq!(world.protection().await, "none nobody");
}

#[tokio::test]
async fn what_cannot_be_fetched_is_asked_for_again_after_a_while() {
    let mut world = World::new().await;
    let host = trusted(&world).await;
    world.publish("far.example", "1", "enforce", MX);
    world.policies.close();
    for count in 1..=2 {
        world.submit(&["bob@far.example"], LUNCH).await;
        soon(host.mail(count)).await;
        assert_eq!(world.protection().await, "none nobody");
    }
    assert_eq!(world.policies.fetches(), 1);
    assert_eq!(world.tls_result().await, "sts - sts-policy-fetch-error");
    assert_eq!(world.tls_result().await, "no-policy-found mx.far.example success");
    world.publish("far.example", "1", "enforce", MX);
    world.pass(MINUTES).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    soon(host.mail(3)).await;
    assert_eq!(world.protection().await, "mta-sts authority");
    // Once a day it is fetched again, though it is said to be the same.
    world.pass(DAY).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    soon(host.mail(4)).await;
    assert_eq!(world.policies.fetches(), 3);
}

#[tokio::test]
async fn what_is_no_policy_is_none() {
    let mut world = World::new().await;
    let host = trusted(&world).await;
    world.publish("far.example", "1", "enforced", MX);
    world.submit(&["bob@far.example"], LUNCH).await;
    soon(host.mail(1)).await;
    assert_eq!(world.tls_result().await, "sts - sts-policy-invalid");
    assert_eq!(world.protection().await, "none nobody");
}

#[tokio::test]
async fn where_dns_vouches_for_the_host_nobody_else_is_asked() {
    let mut world = World::new().await;
    let (acceptor, key) = world.keyed_acceptor(&["somebody.example"]);
    let host = world.far(Manner { acceptor: Some(acceptor), ..Manner::polite() }).await;
    world.prove(&["far.example", MX]);
    world.add_tlsa(MX, 3, key);
    world.publish("far.example", "1", "enforce", "*.other.example");
    world.submit(&["bob@far.example"], LUNCH).await;
    soon(host.mail(1)).await;
    assert_eq!(world.protection().await, "dane dane");
    assert_eq!(world.policies.fetches(), 0);
}

#[tokio::test]
async fn mail_that_must_stay_encrypted_may_go_by_a_policy() {
    for (exchanger, expected) in [(MX, "relayed"), ("*.other.example", "failed mx.far.example: ")] {
        let mut world = World::new().await;
        let acceptor = Some(world.acceptor(&[MX]));
        world.far(Manner { acceptor, ..Manner::offering(&["REQUIRETLS"]) }).await;
        world.publish("far.example", "1", "testing", exchanger);
        let mut peer = world.log_in_encrypted("ann@example.org").await;
        send(&mut peer, "<ann@example.org> REQUIRETLS", &["bob@far.example"], LUNCH).await;
        let outcome = world.outcome().await;
        assert!(outcome.contains(expected), "{outcome}");
    }
}
