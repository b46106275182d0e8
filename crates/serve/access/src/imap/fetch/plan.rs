//! What a FETCH asks for, held against what has to be read for it.

use imap::Numbering;
use imap::command::Fetch;
use imap::fetch::{BodySection, FetchAttribute, SectionText};

/// How deep a FETCH must dig.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Needs {
    /// The view is enough.
    View,
    /// Dates, octets, ids.
    Facts,
    /// Header fields that are kept with the summary.
    Fields,
    /// The summary, made when the message arrived.
    Summaries,
}

/// A FETCH, ready to be carried out.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) attributes: Vec<FetchAttribute>,
    pub(crate) needs: Needs,
    /// Whether octets of messages are read. Sections that a summary may answer open them when it does not.
    pub(crate) reads: bool,
    pub(crate) marks_seen: bool,
}

impl Plan {
    /// Makes the plan: UID FETCH tells the UID, CHANGEDSINCE the mod-sequence, asked for or not
    /// (RFC 9051 §6.4.9, RFC 7162 §3.1.4.1).
    pub(crate) fn new(arguments: &Fetch) -> Self {
        let mut attributes = arguments.attributes.clone();
        if arguments.numbering == Numbering::Uid && !attributes.contains(&FetchAttribute::Uid) {
            attributes.insert(0, FetchAttribute::Uid);
        }
        if arguments.changed_since.is_some() && !attributes.contains(&FetchAttribute::ModSeq) {
            attributes.push(FetchAttribute::ModSeq);
        }
        Self {
            needs: attributes.iter().map(needs).max().unwrap_or(Needs::View),
            reads: attributes.iter().any(reads),
            marks_seen: attributes.iter().any(FetchAttribute::is_reading),
            attributes,
        }
    }
}

fn needs(attribute: &FetchAttribute) -> Needs {
    match attribute {
        FetchAttribute::Uid | FetchAttribute::Flags | FetchAttribute::ModSeq => Needs::View,
        FetchAttribute::InternalDate
        | FetchAttribute::Rfc822Size
        | FetchAttribute::EmailId
        | FetchAttribute::ThreadId
        | FetchAttribute::SaveDate
        | FetchAttribute::Rfc822 => Needs::Facts,
        // The whole message needs nobody to know where its parts are.
        FetchAttribute::Section(wanted)
            if wanted.section.part.0.is_empty() && wanted.section.text.is_none() =>
        {
            Needs::Facts
        }
        FetchAttribute::Section(wanted) if is_kept_with_summary(wanted) => Needs::Fields,
        _ => Needs::Summaries,
    }
}

/// Fields of the message's own header: mostly those that are kept.
fn is_kept_with_summary(wanted: &BodySection) -> bool {
    wanted.section.part.0.is_empty() && matches!(wanted.section.text, Some(SectionText::HeaderFields(_)))
}

fn reads(attribute: &FetchAttribute) -> bool {
    match attribute {
        FetchAttribute::Section(wanted) => !is_kept_with_summary(wanted),
        FetchAttribute::Binary(_)
        | FetchAttribute::BinarySize(_)
        | FetchAttribute::Preview(_)
        | FetchAttribute::Rfc822
        | FetchAttribute::Rfc822Header
        | FetchAttribute::Rfc822Text => true,
        _ => false,
    }
}
