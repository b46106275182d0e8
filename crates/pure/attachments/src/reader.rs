//! Which reader looks into which kind of content.

use crate::content::{Content, Role};
use crate::examination::Examination;
use crate::gzip::GzipReader;
use crate::kind::Kind;
use crate::tar::TarReader;
use crate::walk::Walker;

/// What looks into a content.
#[derive(Debug)]
pub(crate) enum Reader {
    /// Nothing does.
    Nothing,
    Gzip(GzipReader),
    Tar(TarReader),
    Message(Walker),
}

impl Reader {
    /// The reader for a content of this kind.
    pub(crate) fn of(content: &Content, kind: Kind, examination: &mut Examination) -> Reader {
        let is_nested = matches!(kind, Kind::Gzip | Kind::Tar | Kind::Message);
        if is_nested && !content.may_descend(examination) {
            return Reader::Nothing;
        }
        match kind {
            Kind::Gzip => Reader::Gzip(GzipReader::new(content)),
            Kind::Tar => Reader::Tar(TarReader::new(content)),
            Kind::Message if content.role != Role::Text => {
                Reader::Message(Walker::new(content.place.clone(), content.nesting.inside()))
            }
            _ => Reader::Nothing,
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        match self {
            Reader::Nothing => {}
            Reader::Gzip(reader) => reader.feed(octets, examination),
            Reader::Tar(reader) => reader.feed(octets, examination),
            Reader::Message(walker) => walker.feed(octets, examination),
        }
    }

    pub(crate) fn finish(self, examination: &mut Examination) {
        match self {
            Reader::Nothing => {}
            Reader::Gzip(reader) => reader.finish(examination),
            Reader::Tar(reader) => reader.finish(examination),
            Reader::Message(mut walker) => walker.finish(examination),
        }
    }
}
