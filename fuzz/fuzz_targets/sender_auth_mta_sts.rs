//! MTA-STS: any policy is read within bounds or refused, and reads the same when written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_types::DomainName;
use sender_auth::mta_sts::{MAX_AGE_SECONDS_MAX, MX_PATTERNS_MAX, MxPattern, Policy, PolicyId};

fuzz_target!(|octets: &[u8]| {
    if let Some(id) = PolicyId::parse_record(octets) {
        assert_eq!(PolicyId::parse_record(id.write_record().as_bytes()), Some(id));
    }
    let Ok(policy) = Policy::parse(octets) else { return };
    assert!(policy.mx.len() <= MX_PATTERNS_MAX && policy.max_age_seconds <= MAX_AGE_SECONDS_MAX);
    for pattern in &policy.mx {
        let MxPattern::Host(host) = pattern else { continue };
        assert!(policy.allows(host));
    }
    let parent = DomainName::parse("example").expect("a name");
    assert!(!MxPattern::Below(parent.clone()).matches(&parent));
    assert_eq!(Policy::parse(policy.write().as_bytes()), Ok(policy));
});
