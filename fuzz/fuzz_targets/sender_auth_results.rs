//! Authentication-Results: whatever strangers choose, our field has the results that we wrote and no other; whatever a
//! field looks like, one that reads as ours is found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_types::DomainName;
use sender_auth::results::{
    AuthenticationResults, DkimSignature, MethodResult, Verdict, is_forged, write_results,
};

fuzz_target!(|octets: &[u8]| {
    let ours = [DomainName::parse("mx.example.org").expect("a name")];
    let forged = is_forged(octets, &ours);
    if let Ok(read) = AuthenticationResults::parse(octets) {
        assert!(forged || !read.authserv_id.eq_ignore_ascii_case("mx.example.org"));
    } else {
        assert!(forged);
    }
    let text = String::from_utf8_lossy(octets);
    let (one, other) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let signature = DkimSignature {
        domain: one,
        selector: other,
        identity: Some(&text),
        algorithm: Some(other),
        signature: Some(one),
    };
    let results = [
        MethodResult::spf_helo(Verdict::Fail, one),
        MethodResult::spf_mail_from(Verdict::Fail, other).because(&text),
        MethodResult::dkim(Verdict::Fail, &signature),
        MethodResult::auth(Verdict::Fail, &text),
    ];
    let mut field = Vec::new();
    write_results(&ours[0], &results, &mut field);
    let field = String::from_utf8(field).expect("text");
    assert!(field.is_ascii() && field.lines().all(|line| line.len() <= 998 && !line.trim().is_empty()));
    assert_eq!(field.matches(';').count(), results.len());
    let fields: Vec<_> = message::fields(field.as_bytes()).collect();
    assert_eq!(fields.len(), 1);
    let read = AuthenticationResults::parse(fields[0].value).expect("our own field");
    assert_eq!(read.results.len(), results.len());
    assert!(read.results.iter().all(|result| result.result == "fail"));
    assert!(is_forged(fields[0].value, &ours));
});
