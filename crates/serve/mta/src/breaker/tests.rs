//! What the breaker promises of one account, with a clock that tests move.

use super::*;

const NOW: i64 = 1_795_640_400;

struct House {
    place: tempfile::TempDir,
    directory: Directory,
    clock: Clock,
    ann: AccountId,
}

impl House {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let clock = Clock::settable(Timestamp::from_unix_seconds(NOW));
        let settings = directory::Settings::default();
        let path = place.path().join("directory.db");
        let directory = Directory::open(&path, settings, clock.clone(), &Metrics::new()).unwrap();
        directory.add_domain(&mail_types::DomainName::parse("example.org").unwrap()).unwrap();
        let new = directory::NewAccount {
            address: Address::parse("ann@example.org").unwrap(),
            password: directory::NewPassword::Hash("{PLAIN}secret".into()),
            display_name: None,
            quota: directory::Quota::default(),
        };
        let ann = directory.add_account(new).unwrap().id;
        Self { place, directory, clock, ann }
    }

    fn breaker(&self, settings: BreakerSettings) -> Breaker {
        let path = self.place.path().join("breaker.db");
        Breaker::open(&path, settings, self.directory.clone(), self.clock.clone(), &Metrics::new()).unwrap()
    }
}

fn to(number: u32) -> Address {
    Address::parse(&format!("person{number}@elsewhere.example")).unwrap()
}

#[tokio::test]
async fn a_newsletter_to_people_who_are_known_stops_nothing() {
    let house = House::new();
    let breaker = house.breaker(BreakerSettings::default());
    for _ in 0..20 {
        for number in 0..200 {
            let (key, _) = breaker.may_write(house.ann, &to(number), 0).await.unwrap();
            breaker.charge(house.ann, vec![key]).await.unwrap();
            breaker.note(house.ann, Signal::RecipientTaken);
        }
        house.clock.advance(std::time::Duration::from_secs(600));
    }
    assert_eq!(breaker.stopped(house.ann), None);
}

#[tokio::test]
async fn strangers_are_limited_by_the_hour_and_then_stop_the_account() {
    let house = House::new();
    let breaker = house.breaker(BreakerSettings::default());
    let mut taken = 0;
    for number in 0..500 {
        assert_eq!(breaker.stopped(house.ann), None, "{number}");
        match breaker.may_write(house.ann, &to(number), 0).await {
            Ok((key, is_new)) => {
                assert!(is_new);
                breaker.charge(house.ann, vec![key]).await.unwrap();
                taken += 1;
            }
            Err(too_new) => assert_eq!(too_new, TooNew::Hour),
        }
    }
    assert_eq!(taken, 200);
    let stopped = breaker.stopped(house.ann).unwrap();
    assert_eq!(&*stopped.reason, "500 addresses never written to before, in an hour");
    assert!(breaker.unlock(house.ann).await.unwrap());
    assert!(!breaker.unlock(house.ann).await.unwrap());
    assert_eq!(breaker.stopped(house.ann), None);
    assert!(breaker.may_write(house.ann, &to(199), 0).await.is_ok_and(|(_, is_new)| !is_new));
}

#[tokio::test]
async fn who_is_exempt_or_a_breaker_that_is_off_stops_nothing() {
    let house = House::new();
    let exempt = vec![Address::parse("ann@example.org").unwrap()];
    let settings = [
        BreakerSettings { exempt, ..BreakerSettings::default() },
        BreakerSettings {
            is_on: false,
            new_recipients_an_hour: None,
            new_recipients_a_day: None,
            ..BreakerSettings::default()
        },
    ];
    for settings in settings {
        let breaker = house.breaker(settings);
        for number in 0..600 {
            let (key, _) = breaker.may_write(house.ann, &to(number), 0).await.unwrap();
            breaker.charge(house.ann, vec![key]).await.unwrap();
            breaker.note(house.ann, Signal::Unwanted);
        }
        assert_eq!(breaker.stopped(house.ann), None);
    }
}

#[tokio::test]
async fn a_message_with_too_many_new_ones_leaves_no_trace() {
    let house = House::new();
    let limits = BreakerSettings { new_recipients_an_hour: Some(3), ..BreakerSettings::default() };
    let breaker = house.breaker(limits);
    let keys: Vec<_> = (0..4).map(|number| breaker.key(house.ann, &to(number))).collect();
    assert_eq!(breaker.charge(house.ann, keys.clone()).await, Err(TooNew::Hour));
    assert_eq!(breaker.charge(house.ann, keys[..3].to_vec()).await, Ok(()));
    assert_eq!(breaker.may_write(house.ann, &to(3), 0).await, Err(TooNew::Hour));
    assert!(breaker.may_write(house.ann, &to(2), 0).await.is_ok());
    house.clock.advance(std::time::Duration::from_secs(3_600));
    assert!(breaker.may_write(house.ann, &to(3), 2).await.is_ok());
    assert_eq!(breaker.may_write(house.ann, &to(3), 3).await, Err(TooNew::Hour), "named in the same message");
}
