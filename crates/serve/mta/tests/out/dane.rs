//! Hosts that DNS vouches for (RFC 7672): what is proven holds, what is forged holds mail back, and nothing falls back to
//! clear text where TLSA records are.

use std::time::Duration;

use dns::{LookupError, RecordData, RecordType, Security};
use mail_types::DomainName;
use mta::{Routing, TlsWish};
use queue::{Destination, Relay, RelayHost, RelayTls};

use super::host::{Act, Host, Manner};
use super::world::{Wishes, World, name, port_of_its_own, send, soon};

const LUNCH: &str = "From: ann@example.org\r\nSubject: Lunch?\r\n\r\nAt noon.";
const MX: &str = "mx.far.example";
const OTHER_KEY: [u8; 32] = [7; 32];
const MINUTES: Duration = Duration::from_secs(300);

/// far.example, all of it signed, and a host with a certificate that nobody trusts.
async fn far(world: &World) -> (Host, [u8; 32]) {
    let (acceptor, key) = world.keyed_acceptor(&["somebody.example"]);
    let host = world.far(Manner { acceptor: Some(acceptor), ..Manner::polite() }).await;
    world.prove(&["far.example", MX]);
    (host, key)
}

async fn wishing(wish: TlsWish) -> World {
    World::with(Wishes::outbound(move |out| {
        out.tls_wishes.domains.insert(DomainName::parse("far.example").unwrap(), wish);
    }))
    .await
}

#[tokio::test]
async fn the_key_that_dns_names_is_enough() {
    let mut world = World::new().await;
    let (host, key) = far(&world).await;
    world.add_tlsa(MX, 3, key);
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(soon(host.mail(1)).await[0].is_encrypted);
    assert_eq!(world.protection().await, "dane dane");
    assert_eq!(world.tls_result().await, "tlsa mx.far.example success");
    let metrics = world.metrics.render();
    assert!(
        metrics.contains("mailstead_out_tls_policy_total{policy=\"dane\",result=\"kept\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn another_key_gets_no_mail_until_dns_names_it() {
    let mut world = World::new().await;
    let (host, key) = far(&world).await;
    world.add_tlsa(MX, 3, OTHER_KEY);
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred mx.far.example: 4.7.10"), "{outcome}");
    assert!(outcome.contains("matches none of the server's TLSA records"), "{outcome}");
    assert_eq!(world.tls_result().await, "tlsa mx.far.example tlsa-invalid");
    assert!(!host.heard().iter().any(|line| line.starts_with("MAIL")));
    // A roll-over that is too late for this try.
    world.add_tlsa(MX, 3, key);
    world.pass(MINUTES).await;
    assert!(soon(host.mail(1)).await[0].is_encrypted);
    assert_eq!(world.protection().await, "dane dane");
}

#[tokio::test]
async fn an_alias_is_looked_for_at_its_end_and_then_at_its_beginning() {
    for (owner, other) in [("real.other.example", None), (MX, None), ("real.other.example", Some(MX))] {
        let mut world = World::new().await;
        let (acceptor, key) = world.keyed_acceptor(&["somebody.example"]);
        world.exchanger("far.example", 10, MX, "127.0.0.2");
        let host = world.host("127.0.0.2", Manner { acceptor: Some(acceptor), ..Manner::polite() }).await;
        world.names.clear(&name(MX));
        world.names.add(&name(MX), RecordData::Name(RecordType::Cname, name("real.other.example")));
        world.names.add(&name("real.other.example"), RecordData::Address([127, 0, 0, 2].into()));
        world.prove(&["far.example", MX, "real.other.example"]);
        world.add_tlsa(owner, 3, key);
        if let Some(other) = other {
            world.add_tlsa(other, 3, OTHER_KEY);
        }
        world.submit(&["bob@far.example"], LUNCH).await;
        assert!(soon(host.mail(1)).await[0].is_encrypted);
        assert_eq!(world.protection().await, "dane dane", "{owner}");
    }
}

#[tokio::test]
async fn where_dns_is_forged_or_silent_mail_waits() {
    for error in [LookupError::Bogus("a forged signature".into()), LookupError::Timeout] {
        let mut world = World::new().await;
        let (host, key) = far(&world).await;
        let is_forged = error != LookupError::Timeout;
        world.names.fail(&world.tlsa_name(MX), RecordType::Tlsa, error);
        world.submit(&["bob@far.example"], LUNCH).await;
        let outcome = world.outcome().await;
        assert!(outcome.contains("deferred mx.far.example: 4.4.3"), "{outcome}");
        assert_eq!(host.connections(), 0);
        if is_forged {
            assert_eq!(world.tls_result().await, "tlsa mx.far.example dnssec-invalid");
        }
        world.names.clear(&world.tlsa_name(MX));
        world.add_tlsa(MX, 3, key);
        world.pass(MINUTES).await;
        soon(host.mail(1)).await;
        assert_eq!(world.protection().await, "dane dane");
    }
}

#[tokio::test]
async fn records_that_nobody_can_use_ask_for_tls_with_anyone() {
    let mut world = World::new().await;
    let (host, key) = far(&world).await;
    world.add_tlsa(MX, 1, key);
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(soon(host.mail(1)).await[0].is_encrypted);
    assert_eq!(world.protection().await, "dane nobody");
    assert_eq!(world.tls_result().await, "tlsa mx.far.example tlsa-invalid");
}

#[tokio::test]
async fn where_there_are_records_mail_never_goes_in_clear() {
    for usage in [1, 3] {
        for broken in [None, Some(Act::Say("454 4.7.0 not now")), Some(Act::SayAndHangUp("220 go"))] {
            let mut world = World::new().await;
            let (acceptor, key) = world.keyed_acceptor(&["somebody.example"]);
            let manner = match broken {
                None => Manner::polite(),
                Some(act) => Manner { acceptor: Some(acceptor), ..Manner::answering("STARTTLS", act) },
            };
            let host = world.far(manner).await;
            world.prove(&["far.example", MX]);
            world.add_tlsa(MX, usage, key);
            world.submit(&["bob@far.example"], LUNCH).await;
            let outcome = world.outcome().await;
            assert!(outcome.contains("deferred mx.far.example: "), "{usage} {broken:?}: {outcome}");
            assert!(!host.heard().iter().any(|line| line.starts_with("MAIL")), "{usage} {broken:?}");
            if broken.is_none() {
                assert_eq!(world.tls_result().await, "tlsa mx.far.example starttls-not-supported");
            }
        }
    }
}

#[tokio::test]
async fn what_nobody_proves_means_nothing() {
    for unproven in ["far.example", MX] {
        let mut world = World::new().await;
        let (host, _) = far(&world).await;
        world.add_tlsa(MX, 3, OTHER_KEY);
        // Not even a failure: nobody is asked.
        world.names.fail(&world.tlsa_name(MX), RecordType::Tlsa, LookupError::Timeout);
        world.names.set_security(&name(unproven), Security::Insecure);
        world.submit(&["bob@far.example"], LUNCH).await;
        assert!(soon(host.mail(1)).await[0].is_encrypted);
        assert_eq!(world.protection().await, "none nobody", "{unproven}");
        assert_eq!(world.tls_result().await, "no-policy-found mx.far.example success");
    }
}

#[tokio::test]
async fn another_exchanger_may_be_the_right_one() {
    let mut world = World::new().await;
    let (acceptor, key) = world.keyed_acceptor(&["somebody.example"]);
    let manner = |acceptor: &tls::Acceptor| Manner { acceptor: Some(acceptor.clone()), ..Manner::polite() };
    world.exchanger("far.example", 10, "a.far.example", "127.0.0.2");
    world.exchanger("far.example", 20, "b.far.example", "127.0.0.3");
    let first = world.host("127.0.0.2", manner(&acceptor)).await;
    let second = world.host("127.0.0.3", manner(&acceptor)).await;
    world.prove(&["far.example", "a.far.example", "b.far.example"]);
    world.add_tlsa("a.far.example", 3, OTHER_KEY);
    world.add_tlsa("b.far.example", 3, key);
    world.submit(&["bob@far.example"], LUNCH).await;
    soon(second.mail(1)).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");
    assert_eq!(first.mail_so_far().len(), 0);
    assert_eq!(world.tls_result().await, "tlsa a.far.example tlsa-invalid");
    assert_eq!(world.tls_result().await, "tlsa b.far.example success");
}

#[tokio::test]
async fn the_operator_may_insist_on_dane_or_do_without() {
    let mut world = wishing(TlsWish::DaneOnly).await;
    let (host, key) = far(&world).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred mx.far.example: 4.7.10"), "{outcome}");
    assert_eq!(world.tls_result().await, "no-policy-found mx.far.example dane-required");
    assert_eq!(host.connections(), 0);
    world.add_tlsa(MX, 3, key);
    world.pass(MINUTES).await;
    assert_eq!(world.outcome().await, "bob@far.example: relayed");

    for (wish, is_encrypted) in [(TlsWish::Opportunistic, true), (TlsWish::Never, false)] {
        let mut world = wishing(wish).await;
        let (host, _) = far(&world).await;
        world.add_tlsa(MX, 3, OTHER_KEY);
        world.submit(&["bob@far.example"], LUNCH).await;
        assert_eq!(soon(host.mail(1)).await[0].is_encrypted, is_encrypted);
        assert_eq!(world.protection().await, "operator nobody");
    }
}

#[tokio::test]
async fn the_operator_may_insist_on_tls_and_on_a_certificate() {
    let mut world = wishing(TlsWish::Encrypted).await;
    let host = world.far(Manner::polite()).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    assert!(outcome.contains("deferred mx.far.example: 4.7.10"), "{outcome}");
    assert_eq!(host.mail_so_far().len(), 0);
    for (wished, shown, is_right) in [
        (None, MX, true),
        (None, "gate.far.example", false),
        (Some("gate.far.example"), "gate.far.example", true),
        (Some("gate.far.example"), MX, false),
    ] {
        let mut world = wishing(TlsWish::Verified(wished.map(Into::into))).await;
        let manner = Manner { acceptor: Some(world.acceptor(&[shown])), ..Manner::polite() };
        let host = world.far(manner).await;
        world.submit(&["bob@far.example"], LUNCH).await;
        if is_right {
            soon(host.mail(1)).await;
            assert_eq!(world.protection().await, "operator authority");
        } else {
            assert!(world.outcome().await.contains("deferred"), "{wished:?} {shown}");
            assert_eq!(world.tls_result().await, "no-policy-found mx.far.example certificate-host-mismatch");
        }
    }
}

#[tokio::test]
async fn mail_that_must_stay_encrypted_may_go_by_dane() {
    for (right, expected) in [(true, "relayed"), (false, "failed mx.far.example: ")] {
        let mut world = World::new().await;
        let (acceptor, key) = world.keyed_acceptor(&["somebody.example"]);
        world.far(Manner { acceptor: Some(acceptor), ..Manner::offering(&["REQUIRETLS"]) }).await;
        world.prove(&["far.example", MX]);
        world.add_tlsa(MX, 3, if right { key } else { OTHER_KEY });
        let mut peer = world.log_in_encrypted("ann@example.org").await;
        send(&mut peer, "<ann@example.org> REQUIRETLS", &["bob@far.example"], LUNCH).await;
        let outcome = world.outcome().await;
        assert!(outcome.contains(expected), "{outcome}");
    }
}

#[tokio::test]
async fn a_relay_may_be_vouched_for_too() {
    let keeper = port_of_its_own().await;
    let host = RelayHost::Name(DomainName::parse("relay.example").unwrap());
    let port = keeper.local_addr().unwrap().port();
    let relay = Relay { host, port, tls: RelayTls::Opportunistic, credentials: None };
    let far = DomainName::parse("far.example").unwrap();
    let mut routing = Routing::default();
    routing.transports.insert(far, Destination::Relay(relay));
    let mut world = World::at_port(keeper, Wishes::routing(routing)).await;
    let (acceptor, key) = world.keyed_acceptor(&["somebody.example"]);
    let relay = world.host("127.0.0.2", Manner { acceptor: Some(acceptor), ..Manner::polite() }).await;
    world.names.add(&name("relay.example"), RecordData::Address([127, 0, 0, 2].into()));
    world.prove(&["relay.example"]);
    world.add_tlsa("relay.example", 3, OTHER_KEY);
    world.submit(&["bob@far.example"], LUNCH).await;
    assert!(world.outcome().await.contains("deferred relay.example: 4.7.10"));
    world.add_tlsa("relay.example", 3, key);
    world.pass(MINUTES).await;
    soon(relay.mail(1)).await;
    assert_eq!(world.protection().await, "dane dane");
}
