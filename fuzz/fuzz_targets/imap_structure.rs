//! Any message's ENVELOPE, BODY and BODYSTRUCTURE: one response that our client reads, whatever the message holds.
#![no_main]

use imap::client::{ClientLimits, ResponseReader};
use imap::response::FetchResponse;
use imap::{Dialect, NameEncoding, Separator};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let mut scanner = message::Scanner::new(message::Limits::default());
    scanner.feed(octets);
    let summary = scanner.finish();
    for encoding in [NameEncoding::ModifiedUtf7, NameEncoding::Utf8] {
        let mut out = Vec::new();
        let mut response =
            FetchResponse::start(&mut out, 1, Dialect { encoding, separator: Separator::Slash });
        response.envelope(&mut out, &summary.envelope);
        response.body(&mut out, &summary.structure);
        response.body_structure(&mut out, &summary.structure);
        response.finish(&mut out);
        let mut reader = ResponseReader::new(ClientLimits::default());
        let mut input = &out[..];
        let read = reader.receive(&mut input).unwrap().unwrap();
        assert!(input.is_empty());
        assert_eq!(read.item("ENVELOPE").unwrap().as_list().unwrap().len(), 10);
        assert!(read.item("BODY").unwrap().as_list().is_some_and(|items| items.len() >= 2));
        assert!(read.item("BODYSTRUCTURE").unwrap().as_list().is_some_and(|items| items.len() >= 2));
    }
});
