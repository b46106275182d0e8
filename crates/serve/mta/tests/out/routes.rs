//! Where mail goes, and whose.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use mail_types::Secret;
use mta::{RelayCredentials, Routing, SendingLimits};
use platform::network::Network;
use platform::stream::Endpoint;
use queue::{CredentialsName, Destination, LmtpServer, Relay, RelayHost, RelayTls};

use super::host::{Act, Manner};
use super::world::{Wishes, World, name, port_of_its_own, send, soon};
use crate::foundation::domain;

const LUNCH: &str = "From: ann@example.org\r\nSubject: Lunch?\r\n\r\nAt noon.";

#[tokio::test]
async fn domains_that_take_no_mail_are_told_apart() {
    let mut world = World::new().await;
    let null = dns::MailExchanger { preference: 0, exchange: dns::Name::root() };
    world.names.add(&name("null.example"), dns::RecordData::Mx(null));
    world.names.add(&name("empty.example"), dns::RecordData::Text(b"x".to_vec()));
    for (recipient, status) in [
        ("bob@null.example", "5.1.10 This domain does not receive mail."),
        ("bob@missing.example", "5.1.2 There is no such domain."),
        ("bob@empty.example", "5.4.4 This domain has no mail server."),
    ] {
        world.submit(&[recipient], LUNCH).await;
        assert_eq!(world.outcome().await, format!("{recipient}: failed {status}"));
    }
    let report = world.inbox("ann@example.org", 3).await;
    assert!(report.contains("Diagnostic-Code") || report.contains("Status: 5."), "{report}");
}

#[tokio::test]
async fn without_exchangers_the_domain_itself_takes_mail() {
    let world = World::new().await;
    world.names.add(&name("small.example"), dns::RecordData::Address([127, 0, 0, 2].into()));
    let small = world.host("127.0.0.2", Manner::polite()).await;
    world.submit(&["bob@small.example"], LUNCH).await;
    soon(small.mail(1)).await;
    world.submit(&["bob@[127.0.0.2]"], LUNCH).await;
    soon(small.mail(2)).await;
}

#[tokio::test]
async fn mail_that_would_come_back_to_us_is_a_loop() {
    let mut world = World::with(Wishes::outbound(|out| {
        out.own_addresses = vec![[127, 0, 0, 9].into()];
        out.own_names = vec![domain("alias.example.org")];
    }))
    .await;
    world.exchanger("byname.example", 10, "mail.example.org", "127.0.0.3");
    world.exchanger("byalias.example", 10, "alias.example.org", "127.0.0.3");
    world.exchanger("byaddress.example", 10, "mx.byaddress.example", "127.0.0.9");
    // Worse ones lead back to us as well: they hand on to the best, which is us.
    world.exchanger("byaddress.example", 20, "backup.byaddress.example", "127.0.0.2");
    let backup = world.host("127.0.0.2", Manner::polite()).await;
    for domain in ["byname.example", "byalias.example", "byaddress.example"] {
        world.submit(&[&format!("bob@{domain}")], LUNCH).await;
        let outcome = world.outcome().await;
        assert!(outcome.ends_with("failed 5.4.6 The message goes round in circles."), "{outcome}");
    }
    assert_eq!(backup.connections(), 0);
}

#[tokio::test]
async fn a_backup_hands_on_to_better_exchangers_only() {
    let routing = Routing { backup_domains: HashSet::from([domain("friend.example")]), ..Routing::default() };
    let world = World::with(Wishes::routing(routing)).await;
    world.exchanger("friend.example", 10, "main.friend.example", "127.0.0.2");
    world.exchanger("friend.example", 20, "mail.example.org", "127.0.0.9");
    world.exchanger("friend.example", 20, "other.friend.example", "127.0.0.3");
    let other = world.host("127.0.0.3", Manner::polite()).await;
    let mut stranger = world.stranger().await;
    let said = send(&mut stranger, "<x@strange.example>", &["bob@friend.example"], LUNCH).await;
    assert!(said.starts_with("250 2.0.0 Queued"), "{said}");
    let said = send(&mut stranger, "<x@strange.example>", &["bob@elsewhere.example"], LUNCH).await;
    assert_eq!(said, "550 5.7.1 We do not relay for strangers");
    let main = world.host("127.0.0.2", Manner::polite()).await;
    world.pass(Duration::from_secs(300)).await;
    let mail = soon(main.mail(1)).await;
    assert!(mail[0].text.contains("from client.example ([192.0.2.1])"), "{}", mail[0].text);
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn aliases_lead_on_and_keep_whom_the_sender_meant() {
    let mut world = World::new().await;
    let far = world.far(Manner::offering(&["DSN"])).await;
    let mut stranger = world.stranger().await;
    let said = send(&mut stranger, "<x@strange.example>", &["away@example.org"], LUNCH).await;
    assert!(said.starts_with("250"), "{said}");
    world.inbox("bob@example.org", 1).await;
    let mail = soon(far.mail(1)).await;
    assert_eq!(mail[0].to, ["RCPT TO:<bob@far.example> ORCPT=rfc822;away@example.org"]);
    assert!(mail[0].from.starts_with("MAIL FROM:<x@strange.example>"));
    assert_eq!(world.attempt().await.recipients.len(), 1);
}

#[tokio::test]
async fn a_named_network_may_send_anywhere() {
    let routing = Routing {
        relay_networks: vec![Network::new([10, 0, 0, 0].into(), 8).unwrap()],
        ..Routing::default()
    };
    let world = World::with(Wishes::routing(routing)).await;
    let far = world.far(Manner::polite()).await;
    let printer = Endpoint::Inet("10.1.2.3:4711".parse().unwrap());
    let mut peer = world.connect(mta::Listener::Relay, printer);
    peer.reply().await;
    peer.say("EHLO printer.example").await;
    let said = send(&mut peer, "<printer@example.org>", &["bob@far.example"], LUNCH).await;
    assert!(said.starts_with("250"), "{said}");
    soon(far.mail(1)).await;
}

fn smart_host(port: u16, tls: RelayTls, credentials: Option<&str>) -> Relay {
    Relay {
        host: RelayHost::Name(domain("smart.example")),
        port,
        tls,
        credentials: credentials.and_then(CredentialsName::parse),
    }
}

#[tokio::test]
async fn a_smart_host_gets_everything_but_what_goes_directly() {
    let keeper = port_of_its_own().await;
    let routing = Routing {
        relay: Some(smart_host(keeper.local_addr().unwrap().port(), RelayTls::Plain, None)),
        direct_domains: HashSet::from([domain("far.example")]),
        ..Routing::default()
    };
    let mut world = World::at_port(keeper, Wishes::routing(routing)).await;
    let far = world.far(Manner::polite()).await;
    world.names.add(&name("smart.example"), dns::RecordData::Address([127, 0, 0, 3].into()));
    let smart = world.host("127.0.0.3", Manner::polite()).await;
    world.submit(&["bob@far.example", "carl@other.example", "dora@third.example"], LUNCH).await;
    soon(far.mail(1)).await;
    let mail = soon(smart.mail(1)).await;
    assert_eq!(mail[0].to, ["RCPT TO:<carl@other.example>", "RCPT TO:<dora@third.example>"]);
    world.attempt().await;
    world.attempt().await;
    world.empty_queue().await;
}

/// What a message for a relay that wants a password came to, and whether the password was said.
async fn with_a_password(tls: RelayTls, certificate: &str, offers: &[&'static str]) -> (String, bool) {
    let begins_with_tls = tls == RelayTls::Implicit;
    let keeper = port_of_its_own().await;
    let secret = RelayCredentials { user: "ann".into(), password: Secret::new(b"pw".to_vec()) };
    let name_of_it = CredentialsName::parse("smart").unwrap();
    let mut wishes = Wishes::outbound(move |out| {
        out.credentials = HashMap::from([(name_of_it, secret)]);
    });
    wishes.routing.relay = Some(smart_host(keeper.local_addr().unwrap().port(), tls, Some("smart")));
    let mut world = World::at_port(keeper, wishes).await;
    world.names.add(&name("smart.example"), dns::RecordData::Address([127, 0, 0, 4].into()));
    let manner = Manner {
        acceptor: (!certificate.is_empty()).then(|| world.acceptor(&[certificate])),
        begins_with_tls,
        ..Manner::offering(offers)
    };
    let smart = world.host("127.0.0.4", manner).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let outcome = world.outcome().await;
    (outcome, smart.heard().iter().any(|line| line.starts_with("AUTH")))
}

#[tokio::test]
async fn a_password_goes_to_the_relay_it_is_for_and_to_nobody_else() {
    let offers = ["AUTH PLAIN", "PIPELINING"];
    let start = RelayTls::StartTls;
    for tls in [start, RelayTls::Implicit] {
        assert_eq!(
            with_a_password(tls, "smart.example", &offers).await,
            ("bob@far.example: relayed".to_owned(), true)
        );
    }
    for (tls, certificate, words) in [
        (start, "mallory.example", "deferred smart.example: 4.7.10"),
        (start, "", "deferred smart.example: 4.7.10"),
        (RelayTls::Implicit, "mallory.example", "deferred smart.example: 4.7.10"),
        (RelayTls::Opportunistic, "smart.example", "deferred 4.7.8"),
        (RelayTls::Plain, "", "deferred 4.7.8"),
    ] {
        let (outcome, has_password) = with_a_password(tls, certificate, &offers).await;
        assert!(outcome.contains(words) && !has_password, "{outcome}");
    }
    let (outcome, _) = with_a_password(start, "smart.example", &["PIPELINING"]).await;
    assert!(outcome.contains("deferred smart.example: 4.7.8"), "nobody asks for it: {outcome}");
}

#[tokio::test]
async fn mailboxes_behind_lmtp_answer_one_by_one() {
    let keeper = port_of_its_own().await;
    let host = RelayHost::Address(mail_types::AddressLiteral([127, 0, 0, 5].into()));
    let port = keeper.local_addr().unwrap().port();
    let server = Destination::Lmtp(LmtpServer::Tcp { host, port });
    let routing =
        Routing { transports: HashMap::from([(domain("inside.example"), server)]), ..Routing::default() };
    let mut world = World::at_port(keeper, Wishes::routing(routing)).await;
    let full = Act::Say("452 4.2.2 mailbox full");
    let manner = Manner {
        is_lmtp: true,
        ..Manner::with_ears(move |heard, _| heard.starts_with(". RCPT TO:<full@").then_some(full))
    };
    let inside = world.host("127.0.0.5", manner).await;
    world.submit(&["bob@inside.example NOTIFY=SUCCESS", "full@inside.example"], LUNCH).await;
    soon(inside.mail(1)).await;
    assert!(inside.heard().iter().any(|line| line.starts_with("LHLO mail.example.org")));
    assert_eq!(
        world.outcomes().await,
        [
            "bob@inside.example: delivered",
            "full@inside.example: deferred [127.0.0.5]: 452 4.2.2 mailbox full"
        ]
    );
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Action: delivered\r\nStatus: 2.0.0"), "{report}");
}

#[tokio::test]
async fn an_lmtp_server_may_be_a_socket_in_the_file_system() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("lmtp");
    let server = Destination::Lmtp(LmtpServer::Unix(path.to_str().unwrap().into()));
    let routing =
        Routing { transports: HashMap::from([(domain("inside.example"), server)]), ..Routing::default() };
    let mut world = World::with(Wishes::routing(routing)).await;
    let inside = super::host::Host::listen(&path, Manner { is_lmtp: true, ..Manner::polite() });
    world.submit(&["bob@inside.example"], LUNCH).await;
    soon(inside.mail(1)).await;
    assert_eq!(world.outcome().await, "bob@inside.example: delivered");
}

#[tokio::test]
async fn where_that_socket_is_concerns_nobody_who_writes_there() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("lmtp");
    let server = Destination::Lmtp(LmtpServer::Unix(path.to_str().unwrap().into()));
    let routing =
        Routing { transports: HashMap::from([(domain("inside.example"), server)]), ..Routing::default() };
    let world = World::with(Wishes::routing(routing)).await;
    let refuses = Manner::answering("RCPT", Act::Say("550 5.1.1 unknown"));
    let _inside = super::host::Host::listen(&path, Manner { is_lmtp: true, ..refuses });
    world.submit(&["bob@inside.example"], LUNCH).await;
    let report = world.inbox("ann@example.org", 1).await;
    assert!(report.contains("Diagnostic-Code: smtp; 550 5.1.1 unknown\r\n"), "{report}");
    assert!(!report.contains("Remote-MTA") && !report.contains(path.to_str().unwrap()), "{report}");
}

#[tokio::test]
async fn mail_of_each_domain_leaves_with_its_own_face() {
    let world = World::with(Wishes::outbound(|out| {
        let identity = mta::Identity {
            hello: domain("out.example.org"),
            ipv4: Some([127, 0, 0, 77].into()),
            ipv6: None,
        };
        out.identities = HashMap::from([(domain("example.org"), identity)]);
    }))
    .await;
    let far = world.far(Manner::polite()).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let mail = soon(far.mail(1)).await;
    assert_eq!(mail[0].peer.to_string(), "127.0.0.77");
    assert!(far.heard().contains(&"EHLO out.example.org".to_owned()));
    let mut stranger = world.stranger().await;
    send(&mut stranger, "<x@strange.example>", &["moved@example.org"], LUNCH).await;
    let mail = soon(far.mail(2)).await;
    assert_ne!(mail[1].peer.to_string(), "127.0.0.77", "a stranger's mail wears the host's own");
    assert!(far.heard().contains(&"EHLO mail.example.org".to_owned()));
}

#[tokio::test]
async fn minds_may_be_changed_for_a_moment() {
    let routing = Routing { undo_window: Duration::from_secs(30), ..Routing::default() };
    let world = World::with(Wishes::routing(routing)).await;
    let far = world.far(Manner::polite()).await;
    world.submit(&["bob@far.example"], LUNCH).await;
    let listed = world.queue.list(queue::Filter::default(), None, 10).await.unwrap().messages;
    assert_eq!(listed.len(), 1);
    let regretted = queue::Filter { id: Some(listed[0].id), ..queue::Filter::default() };
    assert_eq!(world.queue.drop_recipients(regretted).await.unwrap(), 1);
    world.submit(&["carl@far.example"], LUNCH).await;
    world.pass(Duration::from_secs(31)).await;
    assert_eq!(soon(far.mail(1)).await[0].to, ["RCPT TO:<carl@far.example>"]);
}

#[tokio::test]
async fn mail_may_be_written_today_and_leave_tomorrow() {
    let world = World::new().await;
    let far = world.far(Manner::polite()).await;
    let mut peer = world.log_in("ann@example.org").await;
    assert!(peer.say("EHLO again.example").await.contains("FUTURERELEASE 2592000 "));
    let said = send(&mut peer, "<ann@example.org> HOLDFOR=86400", &["bob@far.example"], LUNCH).await;
    assert!(said.starts_with("250"), "{said}");
    let said = send(&mut peer, "<ann@example.org> HOLDFOR=2592001", &["bob@far.example"], LUNCH).await;
    assert!(said.starts_with('5'), "{said}");
    world.pass(Duration::from_secs(86_000)).await;
    assert_eq!(far.connections(), 0);
    world.pass(Duration::from_secs(500)).await;
    soon(far.mail(1)).await;
    // Strangers are not offered it.
    let mut stranger = world.stranger().await;
    assert!(!stranger.say("EHLO x.example").await.contains("FUTURERELEASE"));
    assert!(stranger.say("MAIL FROM:<x@strange.example> HOLDFOR=60").await.starts_with('5'));
}

#[tokio::test]
async fn an_account_does_not_send_without_end() {
    let limits = SendingLimits {
        messages_an_hour: Some(2),
        messages_a_day: None,
        recipients_an_hour: None,
        recipients_a_day: Some(4),
    };
    let world = World::with(Wishes::routing(Routing { limits, ..Routing::default() })).await;
    let to = |count: usize| ["a@far.example", "b@far.example", "c@far.example"][..count].to_vec();
    assert!(world.submit(&to(1), LUNCH).await.starts_with("250"));
    assert!(world.submit(&to(1), LUNCH).await.starts_with("250"));
    let said = world.submit(&to(1), LUNCH).await;
    assert_eq!(said, "450 4.7.1 Your account has sent as much as it may in an hour; try again later");
    world.clock.advance(Duration::from_secs(2 * 3_600));
    let said = world.submit(&to(3), LUNCH).await;
    assert_eq!(said, "550 5.7.1 Your account has sent as much as it may in a day");
    assert!(world.submit(&to(2), LUNCH).await.starts_with("250"));
}
