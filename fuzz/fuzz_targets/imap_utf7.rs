//! Modified UTF-7: what is read strictly is written the same, and what is written is read.
#![no_main]

use imap::utf7::{decode, decode_lenient, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let wire = encode(text);
    assert!(wire.bytes().all(|octet| matches!(octet, b' '..=b'~')));
    assert_eq!(decode(&wire).as_deref(), Ok(text));
    assert_eq!(decode_lenient(&wire), text);
    if let Ok(decoded) = decode(text) {
        assert_eq!(encode(&decoded), text);
        assert_eq!(decode_lenient(text), decoded);
    }
    let lenient = decode_lenient(text);
    assert_eq!(decode_lenient(&encode(&lenient)), lenient);
});
