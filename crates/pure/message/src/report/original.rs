//! The third part of a report: the original, whole or its header (RFC 6522 §4, RFC 6533 §4).

use super::words::line;
use super::{DeliveryReport, REPEATED_SUBJECT_OCTETS_MAX, ReportForm, quoted};
use crate::encoded_word::decode_field_text;
use crate::header::{fields, unfold};

/// Most octets of an original's header that come back; whole fields.
pub const ORIGINAL_HEADER_OCTETS_MAX: usize = 64 * 1_024;

/// The message that is reported on.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// Its header, as much of it as was read; what stands behind [`ORIGINAL_HEADER_OCTETS_MAX`] is not looked at.
    pub header: &'a [u8],
    /// How much comes back.
    pub returned: Returned,
}

/// How much of the original comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Returned {
    /// Its header: for what was delivered or is delayed (RFC 3461 §4.3), for RET=HDRS, for what is large, and for
    /// BINARYMIME, which no part of a report can hold.
    Header,
    /// All of it; the caller writes the octets between the report's beginning and its end.
    Whole(OriginalOctets),
}

/// What the octets of an original are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OriginalOctets {
    /// ASCII.
    SevenBit,
    /// 8BITMIME.
    EightBit,
    /// UTF-8 in its header too (RFC 6532).
    International,
}

impl<'a> Original<'a> {
    /// What is looked at: whole fields within the bound, without what follows the header.
    pub(super) fn bounded_header(&self) -> &'a [u8] {
        let mut octets = 0;
        for field in fields(self.header) {
            if octets + field.raw.len() > ORIGINAL_HEADER_OCTETS_MAX {
                break;
            }
            octets += field.raw.len();
        }
        self.header.get(..octets).unwrap_or_default()
    }

    /// The subject as people read it, on one line; none if it is empty.
    pub(super) fn subject(&self) -> Option<String> {
        let field = fields(self.bounded_header()).find(|field| field.is_named("Subject"))?;
        let subject = line(&decode_field_text(field.value), REPEATED_SUBJECT_OCTETS_MAX);
        (!subject.is_empty()).then_some(subject)
    }

    /// The Date field as it was written, on one line.
    pub(super) fn date(&self) -> Option<String> {
        let field = fields(self.bounded_header()).find(|field| field.is_named("Date"))?;
        let date = line(&String::from_utf8_lossy(&unfold(field.value)), REPEATED_SUBJECT_OCTETS_MAX);
        (!date.is_empty()).then_some(date)
    }

    /// Whether the part with it has octets beyond ASCII. (A header alone is quoted where it has.)
    pub(super) fn is_eight_bit(&self) -> bool {
        matches!(self.returned, Returned::Whole(OriginalOctets::EightBit | OriginalOctets::International))
    }
}

pub(super) fn write(report: &DeliveryReport<'_>, out: &mut Vec<u8>) {
    report.begin_part(out);
    let (media_type, encoding) = match report.original.returned {
        Returned::Header => return write_header(report, out),
        Returned::Whole(OriginalOctets::SevenBit) => ("message/rfc822", "7bit"),
        Returned::Whole(OriginalOctets::EightBit) => ("message/rfc822", "8bit"),
        Returned::Whole(OriginalOctets::International) => ("message/global", "8bit"),
    };
    begin(media_type, "Your message", encoding, out);
}

fn write_header(report: &DeliveryReport<'_>, out: &mut Vec<u8>) {
    let header = report.original.bounded_header();
    // RFC 6522 §4 and RFC 6533 §4 have broken headers quoted.
    let media_type = match report.form() {
        ReportForm::Classic => "text/rfc822-headers",
        ReportForm::International => "message/global-headers",
    };
    if quoted::is_seven_bit(header) {
        begin(media_type, "The header of your message", "7bit", out);
        quoted::write_lines(header, out);
    } else {
        begin(media_type, "The header of your message", "quoted-printable", out);
        quoted::write_quoted(header, out);
    }
}

fn begin(media_type: &str, description: &str, encoding: &str, out: &mut Vec<u8>) {
    let fields = format!(
        "Content-Type: {media_type}\r\nContent-Description: {description}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    out.extend_from_slice(fields.as_bytes());
}
