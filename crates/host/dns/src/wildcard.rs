//! Whether records were rightly made from a wildcard (RFC 4035 §5.3.4): by an NSEC record that leaves no room for the name.
//!
//! The library wants the wildcard itself to be proven absent, which is right for an absence and wrong for an answer: it
//! takes the records of `*.example` for forged when `a.example` is asked for and NSEC proves that there is no such name.

use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC, RRSIG};
use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// Whether a response that the library refuses for its proofs answers the question, everything in the answer is proven by
/// itself, and every name in it that a wildcard was expanded to is proven not to exist.
pub(crate) fn is_proven(query: &Query, response: &Message) -> bool {
    let answers = &response.answers;
    let has_answer = answers.iter().any(|record| {
        record.name == *query.name()
            && (record.record_type() == query.query_type() || record.record_type() == RecordType::CNAME)
    });
    // With NSEC3 the library knows its way.
    let is_hashed = response.authorities.iter().any(|record| record.record_type() == RecordType::NSEC3);
    let is_signed = answers
        .iter()
        .filter(|record| record.record_type() != RecordType::RRSIG)
        .all(|record| record.proof == Proof::Secure);
    let mut expanded = signatures(answers)
        .filter(|(record, signature)| signature.input().num_labels < record.name.num_labels())
        .peekable();
    response.response_code == ResponseCode::NoError
        && has_answer
        && is_signed
        && !is_hashed
        && expanded.peek().is_some()
        && expanded.all(|(record, signature)| {
            let signer = &signature.input().signer_name;
            let labels = signature.input().num_labels;
            // A zone has no wildcards above itself.
            labels >= signer.num_labels()
                && is_absent(&record.name.trim_to(usize::from(labels) + 1), signer, &response.authorities)
        })
}

/// Signatures by which something was proven.
fn signatures(records: &[Record]) -> impl Iterator<Item = (&Record, &RRSIG)> {
    records.iter().filter(|record| record.proof == Proof::Secure).filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some((record, signature)),
        _ => None,
    })
}

/// Whether an NSEC record of the same zone proves that there is neither this name nor any below it.
fn is_absent(name: &Name, zone: &Name, authorities: &[Record]) -> bool {
    authorities.iter().filter(|record| record.proof == Proof::Secure).any(|record| {
        let RData::DNSSEC(DNSSECRData::NSEC(nsec)) = &record.data else { return false };
        let is_of_zone = signatures(authorities).any(|(signed, signature)| {
            signed.name == record.name
                && signature.input().type_covered == RecordType::NSEC
                && signature.input().signer_name == *zone
        });
        is_of_zone && covers(&record.name, nsec, name)
    })
}

fn covers(owner: &Name, nsec: &NSEC, name: &Name) -> bool {
    let next = nsec.next_domain_name();
    let types = nsec.type_set();
    // RFC 6840 §4.1: above a delegation or a renaming, a record says nothing of what is below.
    let is_edge = (types.contains(RecordType::NS) && !types.contains(RecordType::SOA))
        || types.contains(RecordType::DNAME);
    let is_between = owner < name && (name < next || next <= owner);
    is_between && !name.zone_of(next) && !(is_edge && owner.zone_of(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    #[test]
    fn a_record_covers_what_lies_between_and_nothing_else() {
        let covers = |owner: &str, next: &str, types: &[RecordType], asked: &str| {
            let nsec = NSEC::new(name(next), types.iter().copied());
            super::covers(&name(owner), &nsec, &name(asked))
        };
        let plain = [RecordType::A];
        assert!(covers("*.w.test.", "there.w.test.", &plain, "a.w.test."));
        assert!(!covers("*.w.test.", "there.w.test.", &plain, "there.w.test."));
        assert!(!covers("*.w.test.", "there.w.test.", &plain, "z.w.test."));
        assert!(covers("y.test.", "test.", &plain, "z.test."), "the last one leads to the first");
        assert!(!covers("a.test.", "x.b.test.", &plain, "b.test."), "it exists, without records");
        assert!(!covers("a.test.", "c.test.", &[RecordType::NS], "b.a.test."), "another zone's");
        assert!(covers("a.test.", "c.test.", &[RecordType::NS], "b.test."));
        assert!(!covers("a.test.", "c.test.", &[RecordType::DNAME], "b.a.test."), "renamed");
    }
}
