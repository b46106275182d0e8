//! What holds of rewritten addresses whoever sends: they lead back, and nothing but what was made here leads anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use mail_types::{ADDRESS_OCTETS_MAX, Address, AddressDomain, DomainName, ReversePath, Secret};
use proptest::prelude::*;
use sender_auth::srs::{Secrets, SrsError, VALID_DAYS, is_rewritten};

const HASH_AT: std::ops::Range<usize> = 5..9;

fn secrets() -> Secrets {
    Secrets::new(Secret::from("a key"))
}

fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn sender() -> impl Strategy<Value = Address> {
    ("[!-~]{1,20}|[a-z=]{1,250}|(SRS|srs)[01][=+-][!-~]{1,20}|\\PC{1,10}", "[a-z]{1,8}\\.(example|test)")
        .prop_filter_map("control characters", |(local_part, name)| {
            Address::new(&local_part, AddressDomain::Name(domain(&name))).ok()
        })
}

fn forwarded(sender: &Address, by: &str, day: u64) -> Result<Address, SrsError> {
    match secrets().rewrite(&ReversePath::Address(sender.clone()), &domain(by), day)? {
        ReversePath::Address(address) => Ok(address),
        ReversePath::Null => panic!("a sender became nobody"),
    }
}

proptest! {
    #[test]
    fn what_was_rewritten_leads_back(
        sender in sender(),
        day in 0_u64..100_000,
        later in 0..=u64::from(VALID_DAYS),
    ) {
        match forwarded(&sender, "one.net", day) {
            Ok(there) => {
                prop_assert!(is_rewritten(&there));
                prop_assert!(there.to_string().trim_matches('"').len() <= ADDRESS_OCTETS_MAX);
                prop_assert_eq!(&Address::parse(&there.to_string()).unwrap(), &there);
                let back = secrets().reverse(&there, day + later);
                if sender.local_part().get(..4).is_some_and(|tag| tag.eq_ignore_ascii_case("SRS1")) {
                    // The forwarder between is left out.
                    prop_assert!(is_rewritten(&back.unwrap()));
                } else if is_rewritten(&sender) {
                    let back = back.unwrap();
                    prop_assert!(back.local_part().eq_ignore_ascii_case(sender.local_part()));
                    prop_assert_eq!(back.domain(), sender.domain());
                } else {
                    prop_assert_eq!(back, Ok(sender));
                    let late = secrets().reverse(&there, day + u64::from(VALID_DAYS) + 1);
                    prop_assert_eq!(late, Err(SrsError::Expired));
                }
            }
            Err(error) => prop_assert!(matches!(error, SrsError::TooLong | SrsError::Malformed)),
        }
    }

    #[test]
    fn three_forwarders_need_no_more_room_than_two(sender in "[a-z]{1,8}@[a-z]{1,6}\\.example") {
        let one = forwarded(&Address::parse(&sender).unwrap(), "one.net", 20_000).unwrap();
        let two = forwarded(&one, "two.net", 20_000).unwrap();
        let three = forwarded(&two, "three.net", 20_000).unwrap();
        prop_assert_eq!(two.local_part(), three.local_part());
        let back = secrets().reverse(&three, 20_001).unwrap();
        prop_assert_eq!(&back, &one);
        prop_assert_eq!(secrets().reverse(&back, 20_001).unwrap().to_string(), sender);
    }

    #[test]
    fn a_changed_hash_leads_nowhere(sender in "[a-z]{1,8}@[a-z]{1,6}\\.example", at in HASH_AT, to in "[0-9A-Za-z+/]") {
        let there = forwarded(&Address::parse(&sender).unwrap(), "one.net", 20_000).unwrap();
        let mut changed = there.local_part().to_owned();
        prop_assume!(!changed[at..=at].eq_ignore_ascii_case(&to));
        changed.replace_range(at..=at, &to);
        let changed = Address::new(&changed, there.domain().clone()).unwrap();
        prop_assert_eq!(secrets().reverse(&changed, 20_000), Err(SrsError::Forged));
    }

    #[test]
    fn strangers_words_lead_nowhere(local_part in "(SRS|srs)[01][=+-](\\PC|=){0,50}|\\PC{1,60}", day in any::<u64>()) {
        let Ok(address) = Address::new(&local_part, AddressDomain::Name(domain("one.net"))) else { return Ok(()) };
        prop_assert!(secrets().reverse(&address, day).is_err());
        let _ = secrets().rewrite(&ReversePath::Address(address), &domain("two.net"), day);
    }
}
