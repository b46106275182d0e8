//! Which reader looks into which kind of content.

use crate::cab::CabReader;
use crate::content::{Content, Role};
use crate::examination::Examination;
use crate::gzip::GzipReader;
use crate::kind::Kind;
use crate::listed::ListedReader;
use crate::markup::{Language, MarkupReader};
use crate::office::OfficeXmlReader;
use crate::ole::OleReader;
use crate::packed::PackedReader;
use crate::pdf::PdfReader;
use crate::rar::RarReader;
use crate::sevenzip::SevenZipReader;
use crate::tar::TarReader;
use crate::text::TextReader;
use crate::tnef::TnefReader;
use crate::walk::Walker;
use crate::zip::ZipReader;

/// What looks into a content.
#[derive(Debug)]
pub(crate) enum Reader {
    /// Nothing does.
    Nothing,
    Text(TextReader),
    Gzip(GzipReader),
    Packed(PackedReader),
    Tar(TarReader),
    Zip(ZipReader),
    Rar(RarReader),
    SevenZip(SevenZipReader),
    Cab(CabReader),
    Listed(ListedReader),
    Tnef(TnefReader),
    Message(Walker),
    Ole(OleReader),
    Pdf(PdfReader),
    Markup(MarkupReader),
    OfficeXml(OfficeXmlReader),
}

impl Reader {
    /// The reader for a content of this kind.
    pub(crate) fn of(content: &Content, kind: Kind, examination: &mut Examination) -> Reader {
        let is_nested = matches!(
            kind,
            Kind::Gzip
                | Kind::Tar
                | Kind::Zip
                | Kind::Rar4
                | Kind::Rar5
                | Kind::SevenZip
                | Kind::Cabinet
                | Kind::RareArchive
                | Kind::Tnef
                | Kind::Message
        ) || kind.is_packed();
        if is_nested && content.role != Role::Text && !content.may_descend(examination) {
            return Reader::Nothing;
        }
        let is_page = content.has_extension(&["html", "htm", "shtml", "xhtml", "xht", "svg", "mht", "mhtml"])
            || matches!(content.media_type.as_str(), "text/html" | "image/svg+xml" | "application/xhtml+xml");
        let is_called_zip = content.is_called_zip();
        let may_descend = content.nesting.depth < examination.limits.depth_max;
        match kind {
            _ if content.role == Role::Text => Reader::Text(TextReader::new(content)),
            // Readers of zip begin at its end: something else may stand before it.
            Kind::Text | Kind::Html | Kind::Xml | Kind::Svg | Kind::Pdf | Kind::Rtf
                if is_called_zip && may_descend =>
            {
                Reader::Zip(ZipReader::new(content))
            }
            Kind::Gzip => Reader::Gzip(GzipReader::new(content)),
            Kind::Bzip2 | Kind::Xz | Kind::Lzma | Kind::Lzip | Kind::Zstd => {
                Reader::Packed(PackedReader::new(content, kind, examination))
            }
            Kind::Tar => Reader::Tar(TarReader::new(content)),
            Kind::Zip => Reader::Zip(ZipReader::new(content)),
            Kind::Rar4 | Kind::Rar5 => Reader::Rar(RarReader::new(content, kind)),
            Kind::SevenZip => Reader::SevenZip(SevenZipReader::new(content, examination)),
            Kind::Cabinet => Reader::Cab(CabReader::new(content, examination)),
            Kind::RareArchive => Reader::Listed(ListedReader::new(content)),
            Kind::Tnef => Reader::Tnef(TnefReader::new(content)),
            Kind::Ole => Reader::Ole(OleReader::new(content)),
            Kind::Pdf => Reader::Pdf(PdfReader::new(content)),
            Kind::Rtf => Reader::Markup(MarkupReader::new(content, Language::Rtf)),
            Kind::Xml if content.role == Role::DocumentPart => {
                Reader::OfficeXml(OfficeXmlReader::new(content))
            }
            Kind::Html | Kind::Svg if content.role == Role::DocumentPart => {
                Reader::OfficeXml(OfficeXmlReader::new(content))
            }
            Kind::Html | Kind::Svg | Kind::WindowsScript => {
                Reader::Markup(MarkupReader::new(content, Language::Markup))
            }
            Kind::Xml if !is_page => Reader::OfficeXml(OfficeXmlReader::new(content)),
            Kind::Text if content.has_extension(&["csv", "tsv", "slk"]) => {
                Reader::OfficeXml(OfficeXmlReader::new(content))
            }
            Kind::Xml | Kind::Text | Kind::Unknown if is_page => {
                Reader::Markup(MarkupReader::new(content, Language::Markup))
            }
            Kind::Message => Reader::Message(Walker::new(content.place.clone(), content.nesting.inside())),
            Kind::Text => Reader::Text(TextReader::new(content)),
            // Readers of zip begin at its end: something else may stand before it.
            Kind::Unknown | Kind::Image | Kind::Media
                if content.nesting.depth < examination.limits.depth_max =>
            {
                Reader::Zip(ZipReader::new(content))
            }
            _ => Reader::Nothing,
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        match self {
            Reader::Nothing => {}
            Reader::Text(reader) => reader.feed(octets, examination),
            Reader::Gzip(reader) => reader.feed(octets, examination),
            Reader::Packed(reader) => reader.feed(octets, examination),
            Reader::Tar(reader) => reader.feed(octets, examination),
            Reader::Zip(reader) => reader.feed(octets, examination),
            Reader::Rar(reader) => reader.feed(octets, examination),
            Reader::SevenZip(reader) => reader.feed(octets, examination),
            Reader::Cab(reader) => reader.feed(octets, examination),
            Reader::Listed(reader) => reader.feed(octets, examination),
            Reader::Tnef(reader) => reader.feed(octets, examination),
            Reader::Message(walker) => walker.feed(octets, examination),
            Reader::Ole(reader) => reader.feed(octets, examination),
            Reader::Pdf(reader) => reader.feed(octets, examination),
            Reader::Markup(reader) => reader.feed(octets),
            Reader::OfficeXml(reader) => reader.feed(octets, examination),
        }
    }

    pub(crate) fn finish(self, examination: &mut Examination) {
        match self {
            Reader::Nothing => {}
            Reader::Text(reader) => reader.finish(examination),
            Reader::Gzip(reader) => reader.finish(examination),
            Reader::Packed(reader) => reader.finish(examination),
            Reader::Tar(reader) => reader.finish(examination),
            Reader::Zip(reader) => reader.finish(examination),
            Reader::Rar(reader) => reader.finish(examination),
            Reader::SevenZip(reader) => reader.finish(examination),
            Reader::Cab(reader) => reader.finish(examination),
            Reader::Listed(reader) => reader.finish(examination),
            Reader::Tnef(reader) => reader.finish(examination),
            Reader::Message(mut walker) => walker.finish(examination),
            Reader::Ole(reader) => reader.finish(examination),
            Reader::Pdf(reader) => reader.finish(examination),
            Reader::Markup(reader) => reader.finish(examination),
            Reader::OfficeXml(reader) => reader.finish(examination),
        }
    }
}
