//! BODY[…], RFC822, RFC822.HEADER, RFC822.TEXT: runs of a message's octets, announced by their exact number and
//! streamed (RFC 9051 §6.4.5, RFC 3501 §6.4.5).

use std::ops::Range;

use imap::fetch::{BodySection, FetchAttribute, FieldName, Partial, SectionText};
use imap::response::FetchResponse;
use message::{CachedFields, Choice, FieldFilter, Span, Summary};
use platform::lines::Wire;

use super::super::octets::Octets;
use super::super::replies::Stop;

/// What a section is, found in the message.
enum Target<'a> {
    /// A run of octets as they are stored.
    Run(Range<u64>),
    /// Fields of a header.
    Fields { header: Span, names: &'a [FieldName], choice: Choice },
    /// No such section.
    Missing,
}

/// Writes a section.
pub(crate) async fn write(
    wire: &mut Wire,
    fetched: &mut FetchResponse,
    attribute: &FetchAttribute,
    summary: Option<&Summary>,
    octets: &mut Octets,
) -> Result<(), Stop> {
    let rfc822 = |text| summary.and_then(|summary| summary.section(&[], text)).map(run).unwrap_or_default();
    let (name, range) = match attribute {
        FetchAttribute::Section(wanted) => {
            return write_section(wire, fetched, wanted, summary, octets).await;
        }
        FetchAttribute::Rfc822 => ("RFC822", 0..octets.len()),
        FetchAttribute::Rfc822Header => ("RFC822.HEADER", rfc822(message::SectionText::Header)),
        FetchAttribute::Rfc822Text => ("RFC822.TEXT", rfc822(message::SectionText::Text)),
        _ => return Ok(()),
    };
    fetched.rfc822(wire.output(), name, range.end - range.start);
    octets.copy(wire, range).await
}

/// Whether a summary cannot answer this, so that the message's octets must be at hand.
pub(crate) fn needs_octets(attribute: &FetchAttribute, summary: Option<&Summary>) -> bool {
    match (attribute, summary) {
        (FetchAttribute::Section(wanted), Some(summary)) => match &wanted.section.text {
            Some(SectionText::HeaderFields(names)) if wanted.section.part.0.is_empty() => {
                !covers(&summary.fields, names)
            }
            _ => true,
        },
        (FetchAttribute::Section(_), None) => true,
        _ => false,
    }
}

async fn write_section(
    wire: &mut Wire,
    fetched: &mut FetchResponse,
    wanted: &BodySection,
    summary: Option<&Summary>,
    octets: &mut Octets,
) -> Result<(), Stop> {
    let start = wanted.partial.map(|partial| partial.start);
    if wanted.section.part.0.is_empty()
        && let Some(summary) = summary
        && let Some(SectionText::HeaderFields(names)) = &wanted.section.text
        && covers(&summary.fields, names)
    {
        write_kept(wire.output(), fetched, wanted, names, &summary.fields);
        return Ok(());
    }
    match find(wanted, summary, octets.len()) {
        Target::Run(range) => {
            let range = cut(&range, wanted.partial);
            fetched.section(wire.output(), &wanted.section, start, range.end - range.start);
            octets.copy(wire, range).await
        }
        Target::Fields { header, names, choice } => {
            // Twice through the header: the number of octets comes before the octets.
            let mut counted = Cut { skip: 0, left: 0, seen: 0 };
            choose(wire, octets, header, FieldFilter::new(&as_octets(names), choice), &mut counted).await?;
            let range = cut(&(0..counted.seen), wanted.partial);
            fetched.section(wire.output(), &wanted.section, start, range.end - range.start);
            let mut told = Cut { skip: range.start, left: range.end - range.start, seen: 0 };
            choose(wire, octets, header, FieldFilter::new(&as_octets(names), choice), &mut told).await
        }
        Target::Missing => {
            fetched.section_nil(wire.output(), &wanted.section, start);
            Ok(())
        }
    }
}

fn find<'a>(wanted: &'a BodySection, summary: Option<&Summary>, len: u64) -> Target<'a> {
    let path = &wanted.section.part.0;
    let Some(summary) = summary else {
        return if path.is_empty() { Target::Run(0..len) } else { Target::Missing };
    };
    let text = match &wanted.section.text {
        None => message::SectionText::Whole,
        Some(SectionText::Text) => message::SectionText::Text,
        Some(SectionText::Mime) => message::SectionText::Mime,
        Some(SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_)) => {
            message::SectionText::Header
        }
    };
    match (&wanted.section.text, summary.section(path, text)) {
        (_, None) => Target::Missing,
        (Some(SectionText::HeaderFields(names)), Some(header)) => {
            Target::Fields { header, names, choice: Choice::Named }
        }
        (Some(SectionText::HeaderFieldsNot(names)), Some(header)) => {
            Target::Fields { header, names, choice: Choice::Others }
        }
        // The whole message ends where its octets end, whatever its summary says.
        (None, Some(_)) if path.is_empty() => Target::Run(0..len),
        (_, Some(span)) => Target::Run(run(span)),
    }
}

/// Streams a header through a filter; what is chosen, and the header's blank line (RFC 9051 §6.4.5.1), goes through
/// the cut.
async fn choose(
    wire: &mut Wire,
    octets: &mut Octets,
    header: Span,
    mut filter: FieldFilter,
    cut: &mut Cut,
) -> Result<(), Stop> {
    let mut range = run(header);
    let mut chosen = Vec::new();
    while range.start < range.end && !filter.has_ended() {
        let piece = octets.within(range.clone()).await?;
        if piece.is_empty() {
            break;
        }
        range.start += piece.len() as u64;
        filter.feed(piece, &mut chosen);
        cut.take(&chosen, wire.output());
        chosen.clear();
        wire.relieve().await?;
    }
    filter.finish(&mut chosen);
    cut.take(&chosen, wire.output());
    Ok(())
}

/// Whether what is kept answers this, if it asks for header fields of the message at all.
pub(crate) fn is_covered(attribute: &FetchAttribute, fields: &CachedFields) -> bool {
    match attribute {
        FetchAttribute::Section(BodySection { section, .. }) => match &section.text {
            Some(SectionText::HeaderFields(names)) => covers(fields, names),
            _ => false,
        },
        _ => true,
    }
}

/// Writes header fields from what is kept of them, which covers them all.
pub(crate) fn write_fields(
    out: &mut Vec<u8>,
    fetched: &mut FetchResponse,
    attribute: &FetchAttribute,
    fields: &CachedFields,
) {
    if let FetchAttribute::Section(wanted) = attribute
        && let Some(SectionText::HeaderFields(names)) = &wanted.section.text
    {
        write_kept(out, fetched, wanted, names, fields);
    }
}

fn write_kept(
    out: &mut Vec<u8>,
    fetched: &mut FetchResponse,
    wanted: &BodySection,
    names: &[FieldName],
    fields: &CachedFields,
) {
    let mut chosen = Vec::new();
    message::choose_fields(fields.octets(), &as_octets(names), Choice::Named, &mut chosen);
    let range = cut(&(0..chosen.len() as u64), wanted.partial);
    let start = wanted.partial.map(|partial| partial.start);
    fetched.section(out, &wanted.section, start, range.end - range.start);
    out.extend_from_slice(slice(&chosen, &range));
}

fn as_octets(names: &[FieldName]) -> Vec<&[u8]> {
    names.iter().map(|name| name.as_str().as_bytes()).collect()
}

/// A range of a stream of octets.
pub(crate) struct Cut {
    pub(crate) skip: u64,
    pub(crate) left: u64,
    /// How many octets have gone by.
    pub(crate) seen: u64,
}

impl Cut {
    /// Gives on those octets that are within the range.
    pub(crate) fn take(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let len = octets.len() as u64;
        self.seen += len;
        let skipped = self.skip.min(len);
        self.skip -= skipped;
        let taken = self.left.min(len - skipped);
        self.left -= taken;
        out.extend_from_slice(slice(octets, &(skipped..skipped + taken)));
    }
}

fn covers(fields: &CachedFields, names: &[FieldName]) -> bool {
    names.iter().all(|name| fields.covers(name.as_str().as_bytes()))
}

const fn run(span: Span) -> Range<u64> {
    span.start..span.end
}

/// The part of a run that was asked for.
pub(crate) fn cut(run: &Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(partial) = partial else { return run.clone() };
    let within = partial.within(run.end - run.start);
    run.start + within.start..run.start + within.end
}

fn slice<'a>(octets: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    let index = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
    octets.get(index(range.start)..index(range.end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_gives_the_same_octets_in_whatever_pieces_they_come() {
        for pieces in
            [vec!["abcdefgh"], vec!["ab", "cde", "", "fgh"], vec!["a", "b", "c", "d", "e", "f", "g", "h"]]
        {
            let mut cut = Cut { skip: 2, left: 4, seen: 0 };
            let mut out = Vec::new();
            for piece in pieces {
                cut.take(piece.as_bytes(), &mut out);
            }
            assert_eq!((out.as_slice(), cut.seen), (&b"cdef"[..], 8));
        }
    }

    #[test]
    fn partial_ranges_end_with_their_run() {
        let partial = |start, octets| Some(Partial { start, octets });
        assert_eq!(cut(&(10..20), None), 10..20);
        assert_eq!(cut(&(10..20), partial(0, 10)), 10..20);
        assert_eq!(cut(&(10..20), partial(9, 10)), 19..20);
        assert_eq!(cut(&(10..20), partial(10, 10)), 20..20);
        assert_eq!(cut(&(10..20), partial(u64::MAX, 1)), 20..20);
    }
}
