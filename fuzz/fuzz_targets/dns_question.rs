//! Questions of programs of this machine: any octets are survived, and whatever is said to them is an answer to them that
//! fits its datagram and is not answered itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    for (answer, octets_max) in dns::answers_to(octets) {
        assert!(answer.len() <= octets_max, "{} of {octets_max} octets", answer.len());
        let ([id @ .., _], [said_id @ .., flags]) = (&octets[..3], &answer[..3]) else { panic!("no header") };
        assert_eq!(id, said_id);
        assert_ne!(flags & 0x80, 0, "no answer");
        assert_eq!(flags & 0x79, octets[2] & 0x79, "another operation, or not as it was wanted");
        assert!(dns::answers_to(&answer).is_empty(), "two servers would talk for ever");
    }
});
