//! The memory of senders over time, over restarts, and at its bounds.

use std::path::PathBuf;

use super::greylist::constant_sender;
use super::*;
use mail_types::ReversePath;
use storage::rusqlite::params;
use storage::{CacheBudget, Database, Durability};

const ANN: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);
const DAY: Duration = Duration::from_secs(24 * 3_600);

struct Desk {
    clock: Clock,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("senders.db");
        Self { clock: Clock::settable(Timestamp::from_unix_seconds(1_000_000)), path, _directory: directory }
    }

    fn open(&self) -> Senders {
        Senders::open(&self.path, self.clock.clone(), &Metrics::new()).unwrap()
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn sender(domain: &str, ip: &str) -> Sender {
    Sender { domain: DomainName::parse(domain).ok(), address: ip.parse().ok() }
}

fn attempt(ip: &str, from: &str) -> Attempt {
    Attempt {
        origin: Origin::Network(block(ip.parse().unwrap(), (24, 64)).unwrap()),
        sender: constant_sender(&ReversePath::Address(address(from))),
        recipient: "ann@example.org".to_owned(),
    }
}

const BOUNDS: GreyBounds = GreyBounds { delay_seconds: 300, window_seconds: 86_400 };

#[tokio::test]
async fn what_mail_was_worth_fades_by_half() {
    let desk = Desk::new();
    let senders = desk.open();
    let spammer = sender("spam.example", "192.0.2.7");
    for _ in 0..4 {
        senders.note(&spammer, Worth::Unwanted, 1.0).await;
    }
    senders.note(&spammer, Worth::Wanted, 1.0).await;
    let known = senders.reputation(&spammer).await;
    assert_eq!(known.domain, Standing { wanted: 1.0, unwanted: 4.0 });
    assert_eq!((known.address, known.network), (known.domain, known.domain));
    assert!((known.domain.unwanted_share() - 5.0 / 7.0).abs() < 1e-6);
    // A neighbour has only the network's; somebody else has nothing.
    let neighbour = senders.reputation(&sender("", "192.0.2.8")).await;
    assert_eq!((neighbour.address.messages(), neighbour.network.messages()), (0.0, 5.0));
    assert_eq!(senders.reputation(&sender("spam.example", "198.51.100.1")).await.domain.messages(), 5.0);
    assert_eq!(Standing::default().unwanted_share(), 0.5);
    desk.clock.advance(HALF_LIFE);
    let known = senders.reputation(&spammer).await;
    assert!((known.domain.unwanted - 2.0).abs() < 1e-3, "{known:?}");
    desk.clock.advance(DAY * 121);
    assert_eq!(senders.reputation(&spammer).await, Reputation::default());
}

#[tokio::test]
async fn messages_of_ours_are_known_after_a_restart() {
    let desk = Desk::new();
    let senders = desk.open();
    senders.wrote(ANN, &[address("Eve@elsewhere.example")], Some("<1@example.org>")).await;
    drop(senders);
    let senders = desk.open();
    let (theirs, other) =
        (DomainName::parse("elsewhere.example").ok(), DomainName::parse("other.example").ok());
    for (ids, proven, expected) in [
        (["<other@x>", "1@example.org"], &theirs, AnswerTo::OursByRecipient),
        (["<other@x>", "1@example.org"], &other, AnswerTo::Ours),
        (["<other@x>", "1@example.org"], &None, AnswerTo::Ours),
        (["<other@x>", "<2@example.org>"], &theirs, AnswerTo::Nothing),
    ] {
        assert_eq!(senders.answers(ids, proven.as_ref()).await, expected, "{ids:?} {proven:?}");
    }
    assert_eq!(senders.answers([], theirs.as_ref()).await, AnswerTo::Nothing);
    assert!(senders.have_written(&[BOB, ANN]).await && !senders.have_written(&[BOB]).await);
    desk.clock.advance(DAY * 7);
    assert!(!senders.have_written(&[BOB, ANN]).await, "reports do not come that late");
}

#[tokio::test]
async fn merit_is_what_was_taken_and_stayed_wanted() {
    let desk = Desk::new();
    let senders = desk.open();
    let (client, neighbour): (IpAddr, IpAddr) = ("11.0.0.7".parse().unwrap(), "11.0.0.200".parse().unwrap());
    let domain = DomainName::parse("list.example").unwrap();
    for _ in 0..10 {
        senders.succeeded(Origin::Domain(domain.to_string()), client, domain.to_string()).await;
    }
    assert_eq!(
        (senders.merit_of_network(neighbour).await, senders.merit_of_domain(&domain).await),
        (10.0, 10.0)
    );
    assert_eq!(senders.merit_of_network("11.0.1.7".parse().unwrap()).await, 0.0);
    assert_eq!(senders.merit_of_domain(&DomainName::parse("other.example").unwrap()).await, 0.0);
    desk.clock.advance(HALF_LIFE);
    assert!((senders.merit_of_network(client).await - 5.0).abs() < 1e-3);
    for _ in 0..2 {
        senders.note(&Sender { domain: None, address: Some(client) }, Worth::Unwanted, 1.0).await;
    }
    assert_eq!(senders.merit_of_network(neighbour).await, 0.0);
    assert!(senders.merit_of_domain(&domain).await > 4.0, "nothing was said of it");
}

#[tokio::test]
async fn answers_of_so_many_domains_are_recognised() {
    let desk = Desk::new();
    let senders = desk.open();
    let recipients: Vec<Address> =
        (0..=ANSWERERS_MAX).map(|number| address(&format!("eve@d{number}.example"))).collect();
    // The same domain twice is one.
    let twice = [&[address("adam@d0.example")][..], &recipients].concat();
    senders.wrote(ANN, &twice, Some("<1@example.org>")).await;
    for (number, expected) in [
        (0, AnswerTo::OursByRecipient),
        (ANSWERERS_MAX - 1, AnswerTo::OursByRecipient),
        (ANSWERERS_MAX, AnswerTo::Ours),
    ] {
        let domain = DomainName::parse(&format!("d{number}.example")).unwrap();
        assert_eq!(senders.answers(["1@example.org"], Some(&domain)).await, expected, "{number}");
    }
}

#[tokio::test]
async fn whoever_comes_again_is_taken_also_after_a_restart() {
    let desk = Desk::new();
    let senders = desk.open();
    let first = attempt("192.0.2.7", "eve@elsewhere.example");
    assert_eq!(senders.greylist(first.clone(), BOUNDS).await, Greylisted::Wait(300));
    desk.clock.advance(Duration::from_secs(299));
    assert_eq!(senders.greylist(first.clone(), BOUNDS).await, Greylisted::Wait(1));
    drop(senders);
    let senders = desk.open();
    desk.clock.advance(Duration::from_secs(1));
    // From another address of the network.
    let again = attempt("192.0.2.200", "eve@elsewhere.example");
    assert_eq!(senders.greylist(again, BOUNDS).await, Greylisted::CameAgain);
    // Not within the window: it begins anew.
    let late = attempt("198.51.100.1", "late@elsewhere.example");
    assert_eq!(senders.greylist(late.clone(), BOUNDS).await, Greylisted::Wait(300));
    desk.clock.advance(Duration::from_secs(86_401));
    assert_eq!(senders.greylist(late, BOUNDS).await, Greylisted::Wait(300));
}

#[tokio::test]
async fn who_tries_from_ever_other_networks_is_taken_in_the_end() {
    let desk = Desk::new();
    let senders = desk.open();
    for network in 1..=6 {
        let pool = attempt(&format!("10.0.{network}.1"), "news@pool.example");
        assert!(matches!(senders.greylist(pool, BOUNDS).await, Greylisted::Wait(_)), "{network}");
        desk.clock.advance(Duration::from_secs(300));
    }
    let pool = attempt("10.0.7.1", "news@pool.example");
    assert_eq!(senders.greylist(pool, BOUNDS).await, Greylisted::CameAgain);
}

#[tokio::test]
async fn a_clock_set_back_keeps_nobody_out() {
    let desk = Desk::new();
    let senders = desk.open();
    let one = attempt("192.0.2.7", "eve@elsewhere.example");
    assert_eq!(senders.greylist(one.clone(), BOUNDS).await, Greylisted::Wait(300));
    desk.clock.set(Timestamp::from_unix_seconds(1_000));
    assert_eq!(senders.greylist(one.clone(), BOUNDS).await, Greylisted::Wait(300));
    desk.clock.advance(Duration::from_secs(300));
    assert_eq!(senders.greylist(one, BOUNDS).await, Greylisted::CameAgain);
}

#[tokio::test]
async fn who_has_brought_mail_is_known_by_domain_or_by_network() {
    let desk = Desk::new();
    let senders = desk.open();
    let big = Origin::Domain("big.example".to_owned());
    assert!(!senders.is_allowed(&big, "big.example").await);
    senders.succeeded(big.clone(), "192.0.2.7".parse().unwrap(), "big.example".to_owned()).await;
    assert!(senders.is_allowed(&big, "big.example").await);
    // One success of a network says nothing of its other senders; five do.
    assert!(senders.has_brought_mail("192.0.2.9".parse().unwrap()).await);
    let client = "198.51.100.7".parse().unwrap();
    assert!(!senders.has_brought_mail(client).await);
    let network = Origin::network(client).unwrap();
    for success in 1..=5 {
        assert!(!senders.is_allowed(&network, "other.example").await, "{success}");
        senders.succeeded(network.clone(), client, "elsewhere.example".to_owned()).await;
    }
    assert!(senders.is_allowed(&network, "other.example").await);
    desk.clock.advance(DAY * 65);
    assert!(!senders.is_allowed(&big, "big.example").await);
}

#[tokio::test]
async fn traps_are_set_listed_and_taken_away() {
    let desk = Desk::new();
    let senders = desk.open();
    assert!(senders.add_trap(&address("Old@example.org")).await.unwrap());
    assert!(senders.add_trap(&address("old@example.org")).await.unwrap());
    assert!(senders.is_trap(&address("OLD@example.org")).await);
    drop(senders);
    let senders = desk.open();
    assert_eq!(senders.traps().await.unwrap(), [address("old@example.org")]);
    assert!(senders.remove_trap(&address("old@example.org")).await.unwrap());
    assert!(!senders.remove_trap(&address("old@example.org")).await.unwrap());
    senders.trapped("192.0.2.7".parse().unwrap()).await;
    let known = senders.reputation(&sender("", "192.0.2.8")).await;
    assert_eq!((known.trapped, known.network_trapped), (0.0, 1.0));
}

#[test]
fn there_are_so_many_traps_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let mut book = Book::open(&directory.path().join("senders.db")).unwrap();
    for (trap, expected) in [("a@x.example", true), ("b@x.example", true), ("c@x.example", false)] {
        assert_eq!(book.add_trap(trap, 2).unwrap(), expected, "{trap}");
    }
    assert!(book.add_trap("b@x.example", 2).unwrap(), "it is one already");
}

#[test]
fn what_is_not_seen_again_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let mut book = Book::open(&directory.path().join("senders.db")).unwrap();
    for kind in Kind::ALL {
        let at = |seconds: i64| Timestamp::from_unix_seconds(seconds);
        book.see(kind, NOBODY, &key(&[]), at(0)).unwrap();
        let age = kind.seconds_kept();
        assert!(book.has(kind, NOBODY, &key(&[]), at(age - 1)).unwrap(), "{kind:?}");
        assert!(!book.has(kind, NOBODY, &key(&[]), at(age)).unwrap(), "{kind:?}");
        book.tidy(at(age)).unwrap();
    }
    assert!(book.counts().unwrap().iter().all(|(_, rows)| *rows == 0));
}

#[tokio::test]
async fn what_an_older_build_has_written_is_read() {
    let desk = Desk::new();
    let (trapper, message) = (key(&[b"11.0.0.7/32"]), message_key("<1@example.org>").unwrap());
    {
        let older =
            Database::open(&desk.path, Durability::Derived, CacheBudget::Small, &book::MIGRATIONS[..1]);
        let older = older.unwrap();
        let write = |kind: u8, account: AccountId, key: &Key| {
            let row = "INSERT INTO seen VALUES (?1, ?2, ?3, ?4, ?4, 1, 9)";
            let seconds = desk.clock.now().unix_seconds();
            older.connection().execute(row, params![kind, account.0, key, seconds]).unwrap();
        };
        write(7, ANN, &key(&[b"eve@elsewhere.example"]));
        write(8, ANN, &key(&[]));
        write(9, NOBODY, &message);
        write(10, NOBODY, &trapper);
        write(11, NOBODY, &block_key("11.0.0.7".parse().unwrap(), NETWORK));
    }
    let senders = desk.open();
    assert!(senders.have_written(&[ANN]).await);
    assert_eq!(senders.answers(["1@example.org"], None).await, AnswerTo::Ours);
    let known = senders.reputation(&sender("spam.example", "11.0.0.7")).await;
    assert!(known.trapped > 0.0 && known.network_trapped > 0.0, "{known:?}");
    drop(senders);
    let book = Book::open(&desk.path).unwrap();
    let rows: i64 = book.counts().unwrap().iter().map(|(_, rows)| i64::try_from(*rows).unwrap()).sum();
    assert_eq!(rows, 4, "whom accounts wrote to is the breaker's to remember");
}
