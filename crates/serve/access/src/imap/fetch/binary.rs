//! BINARY[…] and BINARY.SIZE[…]: body parts without their transfer encoding (RFC 3516, RFC 9051 §6.4.5). Decoded twice,
//! as the number of octets comes before them; nothing decoded is kept.

use std::ops::Range;

use imap::fetch::{BinarySection, FetchAttribute, PartPath};
use imap::response::FetchResponse;
use message::{Strictness, Summary, TransferDecoder, TransferEncoding};
use platform::lines::Wire;

use super::super::octets::Octets;
use super::super::replies::{Refusal, Stop};
use super::section::{Cut, cut};

/// A part's octets and how they are encoded.
#[derive(Clone, Debug)]
struct Encoded {
    run: Range<u64>,
    encoding: TransferEncoding,
}

/// How many octets a part that was asked for has when decoded; `None` where nothing was asked for or is there.
///
/// # Errors
/// The part cannot be decoded: found out here, before anything is written of the message.
pub(crate) async fn decoded_octets(
    attribute: &FetchAttribute,
    summary: Option<&Summary>,
    octets: &mut Octets,
) -> Result<Option<u64>, Stop> {
    let path = match attribute {
        FetchAttribute::Binary(wanted) => &wanted.part,
        FetchAttribute::BinarySize(part) => part,
        _ => return Ok(None),
    };
    let Some(encoded) = find(path, summary, octets)? else { return Ok(None) };
    if encoded.encoding == TransferEncoding::Identity {
        return Ok(Some(encoded.run.end - encoded.run.start));
    }
    let mut decoding = Decoding::new(&encoded);
    let mut count = 0;
    while let Some(piece) = decoding.next(octets).await? {
        count += piece.len() as u64;
    }
    Ok(Some(count))
}

/// Writes the part, whose decoded octets have been counted.
pub(crate) async fn write(
    wire: &mut Wire,
    fetched: &mut FetchResponse,
    wanted: &BinarySection,
    counted: Option<u64>,
    summary: Option<&Summary>,
    octets: &mut Octets,
) -> Result<(), Stop> {
    let start = wanted.partial.map(|partial| partial.start);
    let (Some(count), Some(encoded)) = (counted, find(&wanted.part, summary, octets)?) else {
        fetched.binary_nil(wire.output(), &wanted.part, start);
        return Ok(());
    };
    let range = cut(&(0..count), wanted.partial);
    fetched.binary(wire.output(), &wanted.part, start, range.end - range.start);
    let mut told = Cut { skip: range.start, left: range.end - range.start, seen: 0 };
    let mut decoding = Decoding::new(&encoded);
    while let Some(piece) = decoding.next(octets).await? {
        told.take(piece, wire.output());
        wire.relieve().await?;
    }
    Ok(())
}

fn find(path: &PartPath, summary: Option<&Summary>, octets: &Octets) -> Result<Option<Encoded>, Refusal> {
    if path.0.is_empty() {
        return Ok(Some(Encoded { run: 0..octets.len(), encoding: TransferEncoding::Identity }));
    }
    let Some(part) = summary.and_then(|summary| summary.structure.find(&path.0)) else { return Ok(None) };
    let encoding = TransferEncoding::parse(&part.encoding).ok_or(Refusal::UnknownEncoding)?;
    Ok(Some(Encoded { run: part.body.start..part.body.end, encoding }))
}

/// A part being decoded, a window at a time.
struct Decoding {
    rest: Range<u64>,
    decoder: Option<TransferDecoder>,
    piece: Vec<u8>,
}

impl Decoding {
    fn new(encoded: &Encoded) -> Self {
        let decoder = TransferDecoder::new(encoded.encoding, Strictness::Exact);
        Self { rest: encoded.run.clone(), decoder: Some(decoder), piece: Vec::new() }
    }

    /// The next decoded octets; `None` at the end.
    async fn next(&mut self, octets: &mut Octets) -> Result<Option<&[u8]>, Stop> {
        self.piece.clear();
        let encoded = octets.within(self.rest.clone()).await?;
        if encoded.is_empty() {
            let Some(decoder) = self.decoder.take() else { return Ok(None) };
            decoder.finish(&mut self.piece).map_err(|_| Refusal::UnknownEncoding)?;
            return Ok(Some(&self.piece));
        }
        self.rest.start += encoded.len() as u64;
        if let Some(decoder) = &mut self.decoder {
            decoder.feed(encoded, &mut self.piece).map_err(|_| Refusal::UnknownEncoding)?;
        }
        Ok(Some(&self.piece))
    }
}
