//! A name server for the small internet: answers A, AAAA, MX and TXT questions from what it was told (RFC 1035).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::dialogue::WAIT_MAX;

/// What a name has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// An address, of either family.
    Address(IpAddr),
    /// A mail exchanger with its preference.
    MailExchanger(u16, String),
    /// A text.
    Text(String),
    /// Another name that has the records (CNAME).
    Alias(String),
    /// A TLSA record: usage, selector, matching type, data.
    Tlsa(u8, u8, u8, Vec<u8>),
}

impl Record {
    /// The number of its type.
    #[must_use]
    pub fn kind(&self) -> u16 {
        match self {
            Self::Address(IpAddr::V4(_)) => kind::A,
            Self::Address(IpAddr::V6(_)) => kind::AAAA,
            Self::MailExchanger(..) => kind::MX,
            Self::Text(_) => kind::TXT,
            Self::Alias(_) => kind::CNAME,
            Self::Tlsa(..) => kind::TLSA,
        }
    }

    /// Its data on the wire, names in full and in lower case.
    pub(crate) fn data(&self) -> Vec<u8> {
        let mut wire = Vec::new();
        match self {
            Self::Address(IpAddr::V4(four)) => wire.extend(four.octets()),
            Self::Address(IpAddr::V6(six)) => wire.extend(six.octets()),
            Self::MailExchanger(preference, host) => {
                wire.extend(preference.to_be_bytes());
                put_name(&mut wire, &host.to_ascii_lowercase());
            }
            Self::Text(text) => {
                for part in text.as_bytes().chunks(255) {
                    wire.push(part.len().to_le_bytes()[0]);
                    wire.extend_from_slice(part);
                }
            }
            Self::Alias(name) => put_name(&mut wire, &name.to_ascii_lowercase()),
            Self::Tlsa(usage, selector, matching, data) => {
                wire.extend([*usage, *selector, *matching]);
                wire.extend_from_slice(data);
            }
        }
        wire
    }
}

/// Numbers of record types, by their mnemonics.
#[allow(clippy::upper_case_acronyms)]
pub(crate) mod kind {
    pub(crate) const A: u16 = 1;
    pub(crate) const NS: u16 = 2;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const MX: u16 = 15;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const DNAME: u16 = 39;
    pub(crate) const OPT: u16 = 41;
    pub(crate) const DS: u16 = 43;
    pub(crate) const RRSIG: u16 = 46;
    pub(crate) const NSEC: u16 = 47;
    pub(crate) const DNSKEY: u16 = 48;
    pub(crate) const NSEC3: u16 = 50;
    pub(crate) const TLSA: u16 = 52;
}

/// The class of all records (RFC 1035 §3.2.4).
pub(crate) const INTERNET: u16 = 1;
/// No such name (RFC 1035 §4.1.1).
pub(crate) const NAME_ERROR: u8 = 3;
const TIME_TO_LIVE_SECONDS: u32 = 60;

type Zone = BTreeMap<String, Vec<Record>>;

/// A running name server; it ends with its last clone.
#[derive(Clone, Debug)]
pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

impl NameServer {
    /// Starts one on a free port of loopback.
    ///
    /// # Errors
    /// When the system gives no socket.
    pub fn start() -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST.into())
    }

    /// Starts one on a free port of an address of loopback, of either family.
    ///
    /// # Errors
    /// When the system gives no socket.
    pub fn start_at(address: IpAddr) -> Result<Self> {
        let socket = UdpSocket::bind((address, 0))?;
        let server = Self { address: socket.local_addr()?, zone: Arc::default() };
        let zone = Arc::downgrade(&server.zone);
        socket.set_read_timeout(Some(std::time::Duration::from_millis(200)))?;
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Some(zone) = zone.upgrade() {
                let Ok((length, asker)) = socket.recv_from(&mut question) else { continue };
                let answer =
                    answer(&question[..length], &zone.lock().unwrap_or_else(PoisonError::into_inner));
                // A lost answer is what UDP is like; the asker asks again.
                drop(answer.map(|answer| socket.send_to(&answer, asker)));
            }
        });
        Ok(server)
    }

    /// Gives a name one more record.
    pub fn add(&self, name: &str, record: Record) {
        let mut zone = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
        zone.entry(name.to_ascii_lowercase()).or_default().push(record);
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for the hosts that take a domain's mail, best first, as a sending host does (RFC 5321 §5.1).
    ///
    /// # Errors
    /// When there is no such domain, or no answer.
    pub fn mail_hosts(&self, domain: &str) -> Result<Vec<IpAddr>> {
        let mut exchangers: Vec<(u16, String)> = self
            .ask(domain, kind::MX)?
            .into_iter()
            .filter_map(|record| match record {
                Record::MailExchanger(preference, host) => Some((preference, host)),
                _ => None,
            })
            .collect();
        exchangers.sort();
        if exchangers.is_empty() {
            exchangers.push((0, domain.to_owned()));
        }
        let mut addresses = Vec::new();
        for (_, host) in exchangers {
            for kind in [kind::AAAA, kind::A] {
                addresses.extend(self.ask(&host, kind)?.into_iter().filter_map(|record| match record {
                    Record::Address(address) => Some(address),
                    _ => None,
                }));
            }
        }
        ensure!(!addresses.is_empty(), "{domain} has no host for its mail");
        Ok(addresses)
    }

    fn ask(&self, name: &str, kind: u16) -> Result<Vec<Record>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(WAIT_MAX))?;
        let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        put_name(&mut question, name);
        question.extend_from_slice(&kind.to_be_bytes());
        question.extend_from_slice(&INTERNET.to_be_bytes());
        socket.send_to(&question, self.address)?;
        let mut answer = [0; 4_096];
        let length = socket.recv(&mut answer).with_context(|| format!("asking for {name}"))?;
        read_records(&answer[..length]).with_context(|| format!("the answer for {name}"))
    }
}

pub(crate) fn put_name(wire: &mut Vec<u8>, name: &str) {
    for label in name.trim_end_matches('.').split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap_or(63).min(63));
        wire.extend_from_slice(&label.as_bytes()[..label.len().min(63)]);
    }
    wire.push(0);
}

/// Reads a name without compression, as questions and our own answers have it; the rest follows.
pub(crate) fn take_name(wire: &[u8]) -> Option<(String, &[u8])> {
    let mut name = String::new();
    let mut rest = wire;
    loop {
        let (&length, after) = rest.split_first()?;
        if length == 0 {
            return Some((name, after));
        }
        let (label, after) = after.split_at_checked(usize::from(length))?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
        rest = after;
    }
}

pub(crate) fn take<const N: usize>(wire: &[u8]) -> Option<([u8; N], &[u8])> {
    let (head, rest) = wire.split_at_checked(N)?;
    Some((head.try_into().ok()?, rest))
}

fn answer(question: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let (header, body) = take::<12>(question)?;
    let (name, rest) = take_name(body)?;
    let (kind, rest) = take::<2>(rest)?;
    let asked = &body[..body.len() - rest.len() + 2];
    let asked_kind = u16::from_be_bytes(kind);
    let records: Vec<Vec<u8>> = zone
        .get(&name)
        .into_iter()
        .flatten()
        .filter(|record| record.kind() == asked_kind)
        .map(Record::data)
        .collect();
    let code = if zone.contains_key(&name) { 0 } else { NAME_ERROR };
    let count = u16::try_from(records.len()).ok()?;
    // An authoritative answer (RFC 1035 §4.1.1: QR and AA set).
    let mut wire = vec![header[0], header[1], 0x84, code, 0, 1];
    wire.extend_from_slice(&count.to_be_bytes());
    wire.extend_from_slice(&[0; 4]);
    wire.extend_from_slice(asked);
    for data in records {
        put_name(&mut wire, &name);
        wire.extend_from_slice(&kind);
        wire.extend_from_slice(&INTERNET.to_be_bytes());
        wire.extend_from_slice(&TIME_TO_LIVE_SECONDS.to_be_bytes());
        wire.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
        wire.extend_from_slice(&data);
    }
    Some(wire)
}

fn read_records(answer: &[u8]) -> Option<Vec<Record>> {
    let (header, body) = take::<12>(answer)?;
    let (_, rest) = take_name(body)?;
    let (_, mut rest) = take::<4>(rest)?;
    let mut records = Vec::new();
    for _ in 0..u16::from_be_bytes([header[6], header[7]]) {
        let (_, after) = take_name(rest)?;
        let (head, after) = take::<10>(after)?;
        let (data, after) = after.split_at_checked(usize::from(u16::from_be_bytes([head[8], head[9]])))?;
        records.extend(read_data(u16::from_be_bytes([head[0], head[1]]), data));
        rest = after;
    }
    Some(records)
}

fn read_data(kind: u16, data: &[u8]) -> Option<Record> {
    match kind {
        kind::A => Some(Record::Address(Ipv4Addr::from(take::<4>(data)?.0).into())),
        kind::AAAA => Some(Record::Address(Ipv6Addr::from(take::<16>(data)?.0).into())),
        kind::MX => {
            let (preference, host) = take::<2>(data)?;
            Some(Record::MailExchanger(u16::from_be_bytes(preference), take_name(host)?.0))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_hosts_are_found_by_preference() -> Result<()> {
        let server = NameServer::start()?;
        let host = |last: u8| IpAddr::from([127, 0, 0, last]);
        server.add("example.test", Record::MailExchanger(20, "second.example.test".into()));
        server.add("example.test", Record::MailExchanger(10, "First.example.test".into()));
        server.add("first.example.test", Record::Address(host(1)));
        server.add("second.example.test", Record::Address(host(2)));
        server.add("second.example.test", Record::Text("no mail host".into()));
        assert_eq!(server.mail_hosts("Example.test")?, [host(1), host(2)]);
        assert_eq!(server.mail_hosts("first.example.test")?, [host(1)]);
        assert!(server.mail_hosts("nowhere.test").is_err());
        Ok(())
    }

    #[test]
    fn broken_questions_are_no_harm() {
        let zone = Zone::new();
        for length in 0..40 {
            assert!(answer(&vec![0xff; length], &zone).is_none());
        }
    }
}
