//! The compact form of a summary in the account's index. Numbers are LEB128, texts carry their length, frequent words are one
//! octet, offsets count from the enclosing part. Reading trusts nothing: damage gives an error, never a panic.

use crate::date::Date;
use crate::envelope::{Addressee, Envelope};
use crate::field_cache::CachedFields;
use crate::limits::DEPTH_MAX;
use crate::structure::{Content, Disposition, EmbeddedMessage, Parameter, Part, Span};
use crate::summary::{Summary, SummaryError, Traits};

/// First octet; grows with every change of the form. Summaries of other versions are made anew.
const VERSION: u8 = 2;

/// Frequent words; their place is their code, so the order is part of the form.
const WORDS: [&str; 48] = [
    "text",
    "plain",
    "html",
    "multipart",
    "mixed",
    "alternative",
    "related",
    "signed",
    "report",
    "digest",
    "application",
    "octet-stream",
    "pdf",
    "zip",
    "image",
    "png",
    "jpeg",
    "gif",
    "message",
    "rfc822",
    "delivery-status",
    "pgp-signature",
    "pkcs7-signature",
    "calendar",
    "7bit",
    "8bit",
    "binary",
    "base64",
    "quoted-printable",
    "charset",
    "us-ascii",
    "utf-8",
    "UTF-8",
    "iso-8859-1",
    "ISO-8859-1",
    "format",
    "flowed",
    "delsp",
    "yes",
    "no",
    "boundary",
    "name",
    "filename",
    "filename*",
    "inline",
    "attachment",
    "micalg",
    "type",
];

impl Summary {
    /// The compact form for the account's index.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer { octets: Vec::with_capacity(512 + self.fields.octets.len()) };
        writer.octet(VERSION);
        writer.number(self.octets);
        writer.number(self.header_octets);
        writer.octet(self.traits.bits() | u8::from(self.date.is_some()) << 4);
        if let Some(date) = self.date {
            writer.signed(date.unix_seconds);
            writer.signed(i64::from(date.zone_minutes));
        }
        // In front of what is longer to read: lists of mail are shown from these alone.
        writer.cached_fields(&self.fields);
        writer.envelope(&self.envelope);
        writer.part(&self.structure, 0);
        writer.texts(&self.references);
        writer.octets
    }

    /// Reads what `encode` wrote; never panics, whatever the octets are.
    pub fn decode(octets: &[u8]) -> Result<Summary, SummaryError> {
        let mut reader = Reader { rest: octets };
        let Front { octets, header_octets, traits, date, fields } = reader.front()?;
        let summary = Summary {
            octets,
            header_octets,
            traits,
            envelope: reader.envelope()?,
            structure: reader.part(0, 0)?,
            fields,
            date,
            references: reader.texts()?,
        };
        if reader.rest.is_empty() { Ok(summary) } else { Err(SummaryError::Damaged) }
    }

    /// Reads the header fields alone of what `encode` wrote: a fraction of the work of [`Self::decode`].
    pub fn decode_fields(octets: &[u8]) -> Result<CachedFields, SummaryError> {
        Reader { rest: octets }.front().map(|front| front.fields)
    }
}

/// What stands before the envelope.
struct Front {
    octets: u64,
    header_octets: u64,
    traits: Traits,
    date: Option<Date>,
    fields: CachedFields,
}

impl Traits {
    fn bits(self) -> u8 {
        u8::from(self.has_eight_bit)
            | u8::from(self.has_nul) << 1
            | u8::from(self.has_bare_cr) << 2
            | u8::from(self.has_bare_lf) << 3
    }

    fn from_bits(bits: u8) -> Traits {
        Traits {
            has_eight_bit: bits & 1 != 0,
            has_nul: bits & 2 != 0,
            has_bare_cr: bits & 4 != 0,
            has_bare_lf: bits & 8 != 0,
        }
    }
}

/// Codes of an addressee; of a mailbox the low bits say which texts follow.
const GROUP_START: u8 = 1;
const GROUP_END: u8 = 2;
const MAILBOX: u8 = 4;
const MAILBOX_HAS_NAME: u8 = 1;
const MAILBOX_HAS_ROUTE: u8 = 2;

/// Codes of a part's content.
const LEAF: u8 = 0;
const MULTIPART: u8 = 1;
const MESSAGE: u8 = 2;

struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    fn octet(&mut self, octet: u8) {
        self.octets.push(octet);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.octets.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.octets.push(number as u8);
    }

    /// Small numbers of both signs stay short.
    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.octets.extend_from_slice(text);
    }

    fn texts(&mut self, texts: &[Vec<u8>]) {
        self.number(texts.len() as u64);
        texts.iter().for_each(|text| self.text(text));
    }

    /// A text that is often one of `WORDS`.
    fn word(&mut self, word: &[u8]) {
        match WORDS.iter().position(|known| known.as_bytes() == word) {
            Some(index) => self.number(index as u64 + 1),
            None => {
                self.number(0);
                self.text(word);
            }
        }
    }

    fn cached_fields(&mut self, fields: &CachedFields) {
        self.text(&fields.octets);
        self.octet(u8::from(fields.is_whole_header_known));
        self.number(fields.elsewhere.len() as u64);
        for fingerprint in &fields.elsewhere {
            self.octets.extend_from_slice(&fingerprint.to_le_bytes());
        }
    }

    fn envelope(&mut self, envelope: &Envelope) {
        let texts = [&envelope.date, &envelope.subject, &envelope.in_reply_to, &envelope.message_id];
        let present = texts.iter().enumerate().map(|(bit, text)| u8::from(text.is_some()) << bit).sum::<u8>();
        let has_sender = envelope.sender != envelope.from;
        let has_reply_to = envelope.reply_to != envelope.from;
        self.octet(present | u8::from(has_sender) << 4 | u8::from(has_reply_to) << 5);
        texts.into_iter().flatten().for_each(|text| self.text(text));
        self.addressees(&envelope.from);
        if has_sender {
            self.addressees(&envelope.sender);
        }
        if has_reply_to {
            self.addressees(&envelope.reply_to);
        }
        self.addressees(&envelope.to);
        self.addressees(&envelope.cc);
        self.addressees(&envelope.bcc);
    }

    fn addressees(&mut self, addressees: &[Addressee]) {
        self.number(addressees.len() as u64);
        for addressee in addressees {
            match addressee {
                Addressee::Mailbox { name, route, local_part, domain } => {
                    let has_name = if name.is_some() { MAILBOX_HAS_NAME } else { 0 };
                    let has_route = if route.is_some() { MAILBOX_HAS_ROUTE } else { 0 };
                    self.octet(MAILBOX | has_name | has_route);
                    [name, route].into_iter().flatten().for_each(|text| self.text(text));
                    self.text(local_part);
                    self.text(domain);
                }
                Addressee::GroupStart { name } => {
                    self.octet(GROUP_START);
                    self.text(name);
                }
                Addressee::GroupEnd => self.octet(GROUP_END),
            }
        }
    }

    /// `base` is where the enclosing part's body begins.
    fn part(&mut self, part: &Part, base: u64) {
        self.number(part.header.start.saturating_sub(base));
        self.number(part.header.octets());
        self.number(part.body.octets());
        self.number(part.lines);
        self.word(&part.media_type);
        self.word(&part.subtype);
        self.word(&part.encoding);
        self.parameters(&part.parameters);
        let texts = [&part.id, &part.description, &part.md5, &part.location];
        let present = texts.iter().enumerate().map(|(bit, text)| u8::from(text.is_some()) << bit).sum::<u8>();
        let has_disposition = u8::from(part.disposition.is_some()) << 4;
        let has_languages = u8::from(!part.languages.is_empty()) << 5;
        self.octet(present | has_disposition | has_languages);
        texts.into_iter().flatten().for_each(|text| self.text(text));
        if let Some(disposition) = &part.disposition {
            self.word(&disposition.kind);
            self.parameters(&disposition.parameters);
        }
        if !part.languages.is_empty() {
            self.texts(&part.languages);
        }
        self.content(part);
    }

    fn content(&mut self, part: &Part) {
        match &part.content {
            Content::Leaf => self.octet(LEAF),
            Content::Multipart(parts) => {
                self.octet(MULTIPART);
                self.number(parts.len() as u64);
                parts.iter().for_each(|child| self.part(child, part.body.start));
            }
            Content::Message(embedded) => {
                self.octet(MESSAGE);
                self.envelope(&embedded.envelope);
                self.part(&embedded.structure, part.body.start);
            }
        }
    }

    fn parameters(&mut self, parameters: &[Parameter]) {
        self.number(parameters.len() as u64);
        for parameter in parameters {
            self.word(&parameter.attribute);
            self.word(&parameter.value);
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

type Read<T> = Result<T, SummaryError>;

impl Reader<'_> {
    fn front(&mut self) -> Read<Front> {
        let version = self.octet()?;
        if version != VERSION {
            return Err(SummaryError::Version(version));
        }
        let octets = self.number()?;
        let header_octets = self.number()?;
        let bits = self.octet()?;
        let date = if bits & 1 << 4 == 0 { None } else { Some(self.date()?) };
        let fields = self.cached_fields()?;
        Ok(Front { octets, header_octets, traits: Traits::from_bits(bits), date, fields })
    }

    fn take(&mut self, octets: usize) -> Read<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(octets).ok_or(SummaryError::Damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    fn octet(&mut self) -> Read<u8> {
        let (octet, rest) = self.rest.split_first().ok_or(SummaryError::Damaged)?;
        self.rest = rest;
        Ok(*octet)
    }

    fn number(&mut self) -> Read<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7f);
            if bits << shift >> shift != bits {
                return Err(SummaryError::Damaged);
            }
            number |= bits << shift;
            if octet < 0x80 {
                return Ok(number);
            }
        }
        Err(SummaryError::Damaged)
    }

    fn signed(&mut self) -> Read<i64> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// How many elements follow: each takes an octet at least, so damage cannot make us reserve memory.
    fn count(&mut self) -> Read<usize> {
        let count = usize::try_from(self.number()?).map_err(|_| SummaryError::Damaged)?;
        if count > self.rest.len() { Err(SummaryError::Damaged) } else { Ok(count) }
    }

    fn text(&mut self) -> Read<Vec<u8>> {
        let octets = self.count()?;
        Ok(self.take(octets)?.to_vec())
    }

    fn text_if(&mut self, is_present: bool) -> Read<Option<Vec<u8>>> {
        if is_present { self.text().map(Some) } else { Ok(None) }
    }

    fn texts(&mut self) -> Read<Vec<Vec<u8>>> {
        let count = self.count()?;
        (0..count).map(|_| self.text()).collect()
    }

    fn word(&mut self) -> Read<Vec<u8>> {
        match self.number()?.checked_sub(1) {
            None => self.text(),
            Some(index) => {
                let index = usize::try_from(index).map_err(|_| SummaryError::Damaged)?;
                WORDS.get(index).map(|word| word.as_bytes().to_vec()).ok_or(SummaryError::Damaged)
            }
        }
    }

    fn date(&mut self) -> Read<Date> {
        let unix_seconds = self.signed()?;
        let zone_minutes = i16::try_from(self.signed()?).map_err(|_| SummaryError::Damaged)?;
        Ok(Date { unix_seconds, zone_minutes })
    }

    fn cached_fields(&mut self) -> Read<CachedFields> {
        let octets = self.text()?;
        let is_whole_header_known = self.octet()? != 0;
        let count = self.count()?;
        let fingerprints = self.take(count.saturating_mul(2))?;
        let elsewhere =
            fingerprints.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        Ok(CachedFields { octets, elsewhere, is_whole_header_known })
    }

    fn envelope(&mut self) -> Read<Envelope> {
        let bits = self.octet()?;
        let mut envelope = Envelope {
            date: self.text_if(bits & 1 != 0)?,
            subject: self.text_if(bits & 2 != 0)?,
            in_reply_to: self.text_if(bits & 4 != 0)?,
            message_id: self.text_if(bits & 8 != 0)?,
            from: self.addressees()?,
            ..Envelope::default()
        };
        envelope.sender = if bits & 16 != 0 { self.addressees()? } else { envelope.from.clone() };
        envelope.reply_to = if bits & 32 != 0 { self.addressees()? } else { envelope.from.clone() };
        envelope.to = self.addressees()?;
        envelope.cc = self.addressees()?;
        envelope.bcc = self.addressees()?;
        Ok(envelope)
    }

    fn addressees(&mut self) -> Read<Vec<Addressee>> {
        let count = self.count()?;
        (0..count).map(|_| self.addressee()).collect()
    }

    fn addressee(&mut self) -> Read<Addressee> {
        match self.octet()? {
            GROUP_START => Ok(Addressee::GroupStart { name: self.text()? }),
            GROUP_END => Ok(Addressee::GroupEnd),
            bits if bits & !(MAILBOX_HAS_NAME | MAILBOX_HAS_ROUTE) == MAILBOX => Ok(Addressee::Mailbox {
                name: self.text_if(bits & MAILBOX_HAS_NAME != 0)?,
                route: self.text_if(bits & MAILBOX_HAS_ROUTE != 0)?,
                local_part: self.text()?,
                domain: self.text()?,
            }),
            _ => Err(SummaryError::Damaged),
        }
    }

    fn part(&mut self, base: u64, depth: usize) -> Read<Part> {
        // A multipart without parts has one made up for it, one level below the deepest.
        if depth > DEPTH_MAX + 1 {
            return Err(SummaryError::Damaged);
        }
        let header = self.span(base)?;
        let body = self.span_behind(header)?;
        let lines = self.number()?;
        let media_type = self.word()?;
        let subtype = self.word()?;
        let encoding = self.word()?;
        let parameters = self.parameters()?;
        let bits = self.octet()?;
        Ok(Part {
            header,
            body,
            lines,
            media_type,
            subtype,
            encoding,
            parameters,
            id: self.text_if(bits & 1 != 0)?,
            description: self.text_if(bits & 2 != 0)?,
            md5: self.text_if(bits & 4 != 0)?,
            location: self.text_if(bits & 8 != 0)?,
            disposition: if bits & 16 != 0 { Some(self.disposition()?) } else { None },
            languages: if bits & 32 != 0 { self.texts()? } else { Vec::new() },
            content: self.content(body.start, depth)?,
        })
    }

    fn span(&mut self, base: u64) -> Read<Span> {
        let start = base.checked_add(self.number()?).ok_or(SummaryError::Damaged)?;
        self.span_behind(Span::new(start, start))
    }

    fn span_behind(&mut self, before: Span) -> Read<Span> {
        let end = before.end.checked_add(self.number()?).ok_or(SummaryError::Damaged)?;
        Ok(Span::new(before.end, end))
    }

    fn disposition(&mut self) -> Read<Disposition> {
        Ok(Disposition { kind: self.word()?, parameters: self.parameters()? })
    }

    fn content(&mut self, base: u64, depth: usize) -> Read<Content> {
        match self.octet()? {
            LEAF => Ok(Content::Leaf),
            MULTIPART => {
                let count = self.count()?;
                if count == 0 {
                    return Err(SummaryError::Damaged);
                }
                let parts: Read<Vec<Part>> = (0..count).map(|_| self.part(base, depth + 1)).collect();
                Ok(Content::Multipart(parts?))
            }
            MESSAGE => {
                let envelope = self.envelope()?;
                let structure = self.part(base, depth + 1)?;
                Ok(Content::Message(Box::new(EmbeddedMessage { envelope, structure })))
            }
            _ => Err(SummaryError::Damaged),
        }
    }

    fn parameters(&mut self) -> Read<Vec<Parameter>> {
        let count = self.count()?;
        (0..count).map(|_| Ok(Parameter { attribute: self.word()?, value: self.word()? })).collect()
    }
}
