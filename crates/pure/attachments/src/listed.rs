//! Archives that hardly anybody sends, as far as they list their entries in front: ARJ, LZH, ACE and cpio. Names are
//! read; what is stored is looked at, what is packed is not. That such an archive was sent is told by its kind.

use crate::content::{Content, Nesting, Role};
use crate::examination::Examination;
use crate::listed_record::{Entry, Format, Record};
use crate::name;
use crate::policy::Class;

/// Octets of one record that are read. Names and a few numbers fill far less.
const RECORD_OCTETS_MAX: usize = 8 * 1024;

#[derive(Debug)]
pub(crate) struct ListedReader {
    place: Vec<String>,
    nesting: Nesting,
    /// Known by the first record's octets.
    format: Option<Format>,
    record: Vec<u8>,
    octets_wanted: usize,
    data_octets: u64,
    padding_octets: u64,
    content: Option<Box<Content>>,
    has_ended: bool,
}

/// Octets by which the formats are told apart.
const FIRST_OCTETS: usize = 14;

impl ListedReader {
    pub(crate) fn new(archive: &Content) -> ListedReader {
        ListedReader {
            place: archive.place.clone(),
            nesting: archive.nesting.in_archive(),
            format: None,
            record: Vec::new(),
            octets_wanted: FIRST_OCTETS,
            data_octets: 0,
            padding_octets: 0,
            content: None,
            has_ended: false,
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        let mut rest = octets;
        while !rest.is_empty() && !self.has_ended {
            if self.data_octets > 0 {
                let taken = usize::try_from(self.data_octets).unwrap_or(usize::MAX).min(rest.len());
                let (piece, behind) = rest.split_at(taken);
                self.data_octets -= taken as u64;
                if let Some(content) = &mut self.content {
                    content.feed(piece, examination);
                }
                rest = behind;
                continue;
            }
            self.end_entry(examination);
            self.data_octets = std::mem::take(&mut self.padding_octets);
            if self.data_octets > 0 {
                continue;
            }
            let wanted = self.octets_wanted - self.record.len();
            let (piece, behind) = rest.split_at(wanted.min(rest.len()));
            self.record.extend_from_slice(piece);
            rest = behind;
            while self.record.len() == self.octets_wanted && !self.has_ended {
                self.look(examination);
            }
        }
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        self.end_entry(examination);
    }

    fn end_entry(&mut self, examination: &mut Examination) {
        if let Some(content) = self.content.take() {
            content.finish(examination);
        }
    }

    /// As much of a record is there as was asked for.
    fn look(&mut self, examination: &mut Examination) {
        if self.format.is_none() {
            self.format = Format::of(&self.record);
        }
        let record = match &mut self.format {
            Some(format) => format.record(&self.record),
            None => Record::End,
        };
        match record {
            Record::Needs(octets) if (self.record.len() + 1..=RECORD_OCTETS_MAX).contains(&octets) => {
                self.octets_wanted = octets;
                return;
            }
            Record::Needs(_) | Record::End => self.has_ended = true,
            Record::Other { data_octets } => self.data_octets = data_octets,
            Record::Entry(Entry { name, is_encrypted, is_stored, data_octets, padding_octets }) => {
                if !examination.count_entry() {
                    examination.find(Class::Incomplete, &self.place, "has more entries than are looked at");
                    self.has_ended = true;
                    return;
                }
                let names = vec![name::text_of(&name)];
                let content =
                    Content::new(&self.place, self.nesting, names, String::new(), Role::Entry, examination);
                if is_encrypted {
                    examination.find(Class::Encrypted, &content.place, "is encrypted");
                }
                self.content = (is_stored && !is_encrypted).then(|| Box::new(content));
                (self.data_octets, self.padding_octets) = (data_octets, padding_octets);
            }
        }
        self.record.clear();
        self.octets_wanted = 1;
    }
}
