//! Hashes of what signatures sign: the chosen fields from the bottom of the header up, and the signature's own field
//! without the signature (RFC 6376 §3.7, §5.4.2).

use std::collections::HashMap;
use std::ops::Range;

use aws_lc_rs::digest;
use message::Field;

use crate::dkim::canonical::{Canonicalization, canonical_field, canonical_field_unended};
use crate::dkim::public_key::HeaderHash;

/// The fields of a header that some signature names.
#[derive(Debug, Default)]
pub(crate) struct FieldIndex<'a> {
    by_name: HashMap<Box<str>, Vec<&'a [u8]>>,
}

impl<'a> FieldIndex<'a> {
    /// Finds the fields with one of these names, which are in lower case.
    pub(crate) fn new<'n>(header: &'a [u8], names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut by_name: HashMap<Box<str>, Vec<&'a [u8]>> =
            names.into_iter().map(|name| (name.into(), Vec::new())).collect();
        for field in message::fields(header) {
            let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
            if let Some(fields) = by_name.get_mut(name.as_str()) {
                fields.push(field.raw);
            }
        }
        Self { by_name }
    }

    /// How many fields have this name.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.by_name.get(name).map_or(0, Vec::len)
    }

    /// Begins a hash with the fields of these names: each time a name comes, the next one from the bottom; nothing where
    /// there are no more. `own` is the signature's own field, which cannot sign itself this way.
    pub(crate) fn hash<'n>(
        &self,
        form: Canonicalization,
        names: impl IntoIterator<Item = &'n str>,
        own: Option<&[u8]>,
    ) -> digest::Context {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut canonical = Vec::new();
        let mut taken: HashMap<&str, usize> = HashMap::new();
        for name in names {
            let Some(fields) = self.by_name.get(name) else { continue };
            let next = taken.entry(name).or_insert(fields.len());
            while *next > 0 {
                *next -= 1;
                let Some(field) = fields.get(*next).filter(|field| !is_same(field, own)) else { continue };
                canonical.clear();
                canonical_field(form, field, &mut canonical);
                context.update(&canonical);
                break;
            }
        }
        context
    }
}

/// Whether two slices are the same place in the header, not merely equal.
fn is_same(field: &[u8], own: Option<&[u8]>) -> bool {
    own.is_some_and(|own| std::ptr::eq(field, own))
}

/// Ends a hash with a signature's own field, what its `b=` tag has left out. `span` says where that stands in the value.
pub(crate) fn finish_with_own(
    mut context: digest::Context,
    form: Canonicalization,
    own: &Field<'_>,
    span: &Range<usize>,
) -> HeaderHash {
    let mut canonical = Vec::new();
    canonical_field_unended(form, &without_signature(own, span), &mut canonical);
    context.update(&canonical);
    HeaderHash(context.finish())
}

/// The octets of a field, line end excluded, without those of the given span of its value.
pub(crate) fn without_signature(own: &Field<'_>, span: &Range<usize>) -> Vec<u8> {
    let colon = memchr::memchr(b':', own.raw).unwrap_or(own.raw.len());
    let name = own.raw.get(..=colon).unwrap_or(own.raw);
    let before = own.value.get(..span.start).unwrap_or_default();
    let after = own.value.get(span.end..).unwrap_or_default();
    [name, before, after].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> Vec<u8> {
        digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
    }

    #[test]
    fn fields_are_taken_from_the_bottom() {
        let header = b"A: 1\r\nB: 2\r\na: 3\r\nC: 4\r\n\r\n";
        let index = FieldIndex::new(header, ["a", "b", "none"]);
        assert_eq!((index.count("a"), index.count("c")), (2, 0));
        let check = |names: &[&str], expected: &str| {
            let context = index.hash(Canonicalization::Relaxed, names.iter().copied(), None);
            assert_eq!(context.finish().as_ref(), hash(expected), "{names:?}");
        };
        check(&["a"], "a:3\r\n");
        check(&["a", "b", "a"], "a:3\r\nb:2\r\na:1\r\n");
        check(&["a", "none", "a", "a", "b", "b"], "a:3\r\na:1\r\nb:2\r\n");
        check(&[], "");
    }

    #[test]
    fn a_signature_does_not_sign_itself() {
        let header = b"S: v=1; b=ab c ; x=1\r\nS: other\r\n";
        let own = message::fields(header).next().unwrap();
        let index = FieldIndex::new(header, ["s"]);
        let context = index.hash(Canonicalization::Simple, ["s", "s"], Some(own.raw));
        let hashed = finish_with_own(context, Canonicalization::Simple, &own, &(8..13));
        assert_eq!(hashed.0.as_ref(), hash("S: other\r\nS: v=1; b=; x=1"));
    }
}
