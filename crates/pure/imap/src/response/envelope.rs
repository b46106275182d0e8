//! ENVELOPE, BODY and BODYSTRUCTURE from a message's summary (RFC 9051 §7.5.2): written once for each message of a list, so they must be quick.

use message::{Addressee, Content, Disposition, EmbeddedMessage, Envelope, Parameter, Part};

use super::string::{write_number, write_string};
use crate::dialect::NameEncoding;

/// Whether a part's description goes on to its extension data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Detail {
    /// `BODY`: none.
    Plain,
    /// `BODYSTRUCTURE`: with MD5, disposition, language, location.
    Extended,
}

/// Writes an envelope in its parentheses.
pub(super) fn write_envelope(out: &mut Vec<u8>, envelope: &Envelope, encoding: NameEncoding) {
    out.push(b'(');
    write_nstring(out, envelope.date.as_deref(), encoding);
    out.push(b' ');
    write_nstring(out, envelope.subject.as_deref(), encoding);
    let lists =
        [&envelope.from, &envelope.sender, &envelope.reply_to, &envelope.to, &envelope.cc, &envelope.bcc];
    for addressees in lists {
        out.push(b' ');
        write_addressees(out, addressees, encoding);
    }
    out.push(b' ');
    write_nstring(out, envelope.in_reply_to.as_deref(), encoding);
    out.push(b' ');
    write_nstring(out, envelope.message_id.as_deref(), encoding);
    out.push(b')');
}

/// `"(" 1*address ")" / nil`, no spaces between addresses.
fn write_addressees(out: &mut Vec<u8>, addressees: &[Addressee], encoding: NameEncoding) {
    if addressees.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for addressee in addressees {
        match addressee {
            Addressee::Mailbox { name, route, local_part, domain } => {
                out.push(b'(');
                write_nstring(out, name.as_deref(), encoding);
                out.push(b' ');
                write_nstring(out, route.as_deref(), encoding);
                out.push(b' ');
                write_string(out, local_part, encoding);
                out.push(b' ');
                // NIL here would make a group of it: an address without domain has an empty one.
                write_string(out, domain, encoding);
                out.push(b')');
            }
            Addressee::GroupStart { name } => {
                out.extend_from_slice(b"(NIL NIL ");
                write_string(out, name, encoding);
                out.extend_from_slice(b" NIL)");
            }
            Addressee::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
        }
    }
    out.push(b')');
}

/// Writes a part and what is in it. As deep as the part tree, which the scanner bounds.
pub(super) fn write_part(out: &mut Vec<u8>, part: &Part, detail: Detail, encoding: NameEncoding) {
    out.push(b'(');
    match &part.content {
        Content::Multipart(parts) => {
            for inner in parts {
                write_part(out, inner, detail, encoding);
            }
            out.push(b' ');
            write_string(out, &part.subtype, encoding);
            if detail == Detail::Extended {
                out.push(b' ');
                write_parameters(out, &part.parameters, encoding);
                write_extension(out, part, encoding);
            }
        }
        Content::Leaf => {
            write_fields(out, part, encoding);
            if part.media_type == b"text" {
                out.push(b' ');
                write_number(out, part.lines);
            }
            write_single_extension(out, part, detail, encoding);
        }
        Content::Message(embedded) => {
            write_fields(out, part, encoding);
            // To a client of RFC 3501 alone, message/global is a part like any other (RFC 3501 §9, `body-type-msg`).
            if part.subtype == b"rfc822" || encoding == NameEncoding::Utf8 {
                write_embedded(out, part, embedded, detail, encoding);
            }
            write_single_extension(out, part, detail, encoding);
        }
    }
    out.push(b')');
}

/// `media-type SP body-fields`
fn write_fields(out: &mut Vec<u8>, part: &Part, encoding: NameEncoding) {
    write_string(out, &part.media_type, encoding);
    out.push(b' ');
    write_string(out, &part.subtype, encoding);
    out.push(b' ');
    write_parameters(out, &part.parameters, encoding);
    out.push(b' ');
    write_nstring(out, part.id.as_deref(), encoding);
    out.push(b' ');
    write_nstring(out, part.description.as_deref(), encoding);
    out.push(b' ');
    write_string(out, &part.encoding, encoding);
    out.push(b' ');
    write_number(out, part.body.octets());
}

/// ` envelope body lines` of a message/rfc822 part.
fn write_embedded(
    out: &mut Vec<u8>,
    part: &Part,
    embedded: &EmbeddedMessage,
    detail: Detail,
    encoding: NameEncoding,
) {
    out.push(b' ');
    write_envelope(out, &embedded.envelope, encoding);
    out.push(b' ');
    write_part(out, &embedded.structure, detail, encoding);
    out.push(b' ');
    write_number(out, part.lines);
}

/// ` md5 disposition language location` of a part that is no multipart.
fn write_single_extension(out: &mut Vec<u8>, part: &Part, detail: Detail, encoding: NameEncoding) {
    if detail == Detail::Extended {
        out.push(b' ');
        write_nstring(out, part.md5.as_deref(), encoding);
        write_extension(out, part, encoding);
    }
}

/// ` disposition language location` of any part.
fn write_extension(out: &mut Vec<u8>, part: &Part, encoding: NameEncoding) {
    out.push(b' ');
    write_disposition(out, part.disposition.as_ref(), encoding);
    out.push(b' ');
    write_languages(out, &part.languages, encoding);
    out.push(b' ');
    write_nstring(out, part.location.as_deref(), encoding);
}

fn write_disposition(out: &mut Vec<u8>, disposition: Option<&Disposition>, encoding: NameEncoding) {
    let Some(disposition) = disposition else {
        out.extend_from_slice(b"NIL");
        return;
    };
    out.push(b'(');
    write_string(out, &disposition.kind, encoding);
    out.push(b' ');
    write_parameters(out, &disposition.parameters, encoding);
    out.push(b')');
}

fn write_languages(out: &mut Vec<u8>, languages: &[Vec<u8>], encoding: NameEncoding) {
    match languages {
        [] => out.extend_from_slice(b"NIL"),
        [language] => write_string(out, language, encoding),
        languages => {
            out.push(b'(');
            for (index, language) in languages.iter().enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                write_string(out, language, encoding);
            }
            out.push(b')');
        }
    }
}

fn write_parameters(out: &mut Vec<u8>, parameters: &[Parameter], encoding: NameEncoding) {
    if parameters.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for (index, parameter) in parameters.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        write_string(out, &parameter.attribute, encoding);
        out.push(b' ');
        write_string(out, &parameter.value, encoding);
    }
    out.push(b')');
}

fn write_nstring(out: &mut Vec<u8>, octets: Option<&[u8]>, encoding: NameEncoding) {
    match octets {
        Some(octets) => write_string(out, octets, encoding),
        None => out.extend_from_slice(b"NIL"),
    }
}
