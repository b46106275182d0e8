//! Records of the packs: any octets are survived; what the grammar accepts is written back as it was, under its
//! checksums; and nobody makes a sound record without the store's key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storage::PackId;
use storage::record::{
    HEAD_OCTETS, NOTES_OCTETS_MAX, Place, RecordHead, StoreKey, decode_notes, encode_notes, notes_octets,
};

const KEY: StoreKey = StoreKey([0x5A; 32]);

fuzz_target!(|octets: &[u8]| {
    let place = Place { key: &KEY, pack: PackId(7), offset: 96 };
    assert!(RecordHead::decode(octets, place).is_err(), "a checksum was forged");
    if let Ok(head) = RecordHead::parse(octets) {
        assert!(head.record_octets() >= HEAD_OCTETS as u64 && head.notes_octets <= NOTES_OCTETS_MAX);
        let written = head.encode(place);
        assert_eq!(RecordHead::decode(&written, place).as_ref(), Ok(&head));
        let elsewhere = Place { offset: 97, ..place };
        assert!(RecordHead::decode(&written, elsewhere).is_err());
    }
    if let Ok(notes) = decode_notes(octets) {
        let mut written = Vec::new();
        encode_notes(&notes, &mut written);
        assert_eq!(written, octets);
        assert_eq!(notes_octets(&notes), u32::try_from(octets.len()).ok().filter(|n| *n <= NOTES_OCTETS_MAX));
    }
});
