//! Mail of our own people on its way in (RFC 6409): the header is completed before it is stored. From must be the
//! author's to use, Date and Message-ID are added where they are missing, and Bcc never leaves the house.

use directory::{Authenticated, Directory};
use mail_types::{Address, AddressDomain, DomainName};
use message::{
    Addressee, Date, Field, fields, new_message_id, parse_addresses, write_date_field, write_message_id_field,
};
use platform::clock::Timestamp;
use smtp::Reply;

use crate::receive::replies;

/// Most addresses of one From or Sender field.
const AUTHORS_MAX: usize = 100;

/// Who submits, and when.
pub(crate) struct Author {
    pub(crate) directory: Directory,
    pub(crate) who: Authenticated,
    pub(crate) now: Timestamp,
}

/// The header as it is stored.
pub(crate) fn complete(octets: &[u8], author: &Author) -> Result<Vec<u8>, Reply> {
    let found = Found::read(octets);
    found.check(author)?;
    let mut whole = Vec::with_capacity(octets.len() + 256);
    if found.from.is_empty() {
        whole.extend_from_slice(format!("From: <{}>\r\n", author.who.address()).as_bytes());
    }
    if !found.has_date {
        write_date_field(Date { unix_seconds: author.now.unix_seconds(), zone_minutes: 0 }, &mut whole);
    }
    if !found.has_message_id {
        write_message_id_field(&make_message_id(author)?, &mut whole);
    }
    let mut header = fields(octets);
    for field in header.by_ref() {
        // RFC 5322 §3.6.3: those in Bcc are not to be seen by the others.
        if !field.is_named("Bcc") && !field.is_named("Resent-Bcc") {
            whole.extend_from_slice(field.raw);
        }
    }
    whole.extend_from_slice(header.rest());
    Ok(whole)
}

fn make_message_id(author: &Author) -> Result<String, Reply> {
    let mut random = [0; 16];
    directory::fill_random(&mut random).map_err(|error| {
        tracing::error!(%error, "no Message-ID could be made");
        replies::STORE_BUSY
    })?;
    let milliseconds = u64::try_from(author.now.unix_millis()).unwrap_or_default();
    let domain = author.who.address().domain_name().map_or("localhost", DomainName::as_str);
    Ok(new_message_id(milliseconds, random, domain))
}

/// What a header says of its origin.
#[derive(Default)]
struct Found<'a> {
    from: Vec<Field<'a>>,
    sender: Vec<Field<'a>>,
    resent_from: Vec<Field<'a>>,
    has_date: bool,
    has_message_id: bool,
}

impl<'a> Found<'a> {
    fn read(octets: &'a [u8]) -> Self {
        let mut found = Self::default();
        for field in fields(octets) {
            match field.name.to_ascii_lowercase().as_slice() {
                b"from" => found.from.push(field),
                b"sender" => found.sender.push(field),
                b"resent-from" => found.resent_from.push(field),
                b"date" => found.has_date = true,
                b"message-id" => found.has_message_id = true,
                _ => {}
            }
        }
        found
    }

    /// Whether the author may say so (RFC 6409 §6.1). A message sent on keeps its From; then Resent-From counts
    /// (RFC 5322 §3.6.6). Two From fields are refused, since readers disagree on which one they show.
    fn check(&self, author: &Author) -> Result<(), Reply> {
        if self.from.len() > 1 || self.sender.len() > 1 {
            return Err(replies::FROM_MALFORMED);
        }
        if !self.resent_from.is_empty() {
            return self.resent_from.iter().try_for_each(|field| check_authors(field, author));
        }
        self.from.iter().chain(&self.sender).try_for_each(|field| check_authors(field, author))
    }
}

fn check_authors(field: &Field<'_>, author: &Author) -> Result<(), Reply> {
    let entries = parse_addresses(field.value, AUTHORS_MAX + 1);
    if entries.len() > AUTHORS_MAX {
        // Somebody else could hide behind those that are looked at.
        return Err(replies::FROM_MALFORMED);
    }
    let mut addresses = 0;
    for entry in &entries {
        let Addressee::Mailbox { local_part, domain, .. } = entry else { continue };
        addresses += 1;
        let address = read_address(local_part, domain).ok_or(replies::FROM_MALFORMED)?;
        if !author.directory.may_send_as(author.who.account(), &address) {
            return Err(replies::FROM_NOT_YOURS);
        }
    }
    if addresses == 0 { Err(replies::FROM_MALFORMED) } else { Ok(()) }
}

fn read_address(local_part: &[u8], domain: &[u8]) -> Option<Address> {
    let local_part = std::str::from_utf8(local_part).ok()?;
    let domain = DomainName::parse(std::str::from_utf8(domain).ok()?).ok()?;
    Address::new(local_part, AddressDomain::Name(domain)).ok()
}
