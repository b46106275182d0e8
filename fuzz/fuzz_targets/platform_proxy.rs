//! PROXY headers: any octets are survived, and what is read does not depend on what the client sends behind it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use platform::proxy_protocol::{Parsed, parse};

fuzz_target!(|octets: &[u8]| {
    match parse(octets) {
        Ok(Parsed::Complete(header, length)) => {
            assert!(length <= octets.len());
            assert!(matches!(parse(&octets[..length]), Ok(Parsed::Complete(again, _)) if again == header));
            assert!(matches!(parse(&octets[..length - 1]), Ok(Parsed::Incomplete(1..))));
        }
        Ok(Parsed::Incomplete(missing)) => {
            assert!(missing > 0);
            // What is asked for must not be refused for what is there already.
            for end in 0..octets.len() {
                assert!(matches!(parse(&octets[..end]), Ok(Parsed::Incomplete(1..))));
            }
        }
        Err(_) => {}
    }
});
