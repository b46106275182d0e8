//! A server's octets at our client: any are survived, and what is read does not depend on how they arrive.
#![no_main]

use imap::client::{ClientLimits, ReadError, Response, ResponseReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let [piece_octets, octets @ ..] = octets else { return };
    let whole = read([octets]);
    let pieces = read(octets.chunks(usize::from(*piece_octets) + 1));
    assert_eq!(whole, pieces);
});

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Response>, Option<ReadError>) {
    let mut reader = ResponseReader::new(ClientLimits { response_octets_max: 10_000 });
    let mut responses = Vec::new();
    for piece in pieces {
        let mut input = piece;
        loop {
            match reader.receive(&mut input) {
                Ok(Some(response)) => responses.push(response),
                Ok(None) => break,
                Err(error) => return (responses, Some(error)),
            }
        }
    }
    (responses, None)
}
