//! Changing a zone at its server (RFC 2136), under a key that both know (TSIG, RFC 8945).
//!
//! An update is one message by one stream: the server does all of it or nothing.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use base64::Engine;
use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_resolver::proto::rr::{self, DNSClass, RData, Record, TSigner, rdata};

use crate::answer::LookupError;
use crate::direct::Direct;
use crate::name::Name;
use crate::record::{RecordData, RecordType};
use crate::settings::Settings;
use crate::wire::{kind_out, name_out, reason};

/// Records that one update may add and remove together. A domain with all it can have takes about fifty.
pub const UPDATE_RECORDS_MAX: usize = 200;
/// By how much the clocks of the two sides may differ (RFC 8945 §10 advises five minutes).
const FUDGE_SECONDS: u16 = 300;
/// Octets of one character-string (RFC 1035 §3.3).
const STRING_OCTETS_MAX: usize = 255;
/// Octets of a secret that are read: more than the longest hash has (RFC 8945 §8 asks for as many as that).
const SECRET_OCTETS_MAX: usize = 256;

/// A key that a server knows us by.
#[derive(Clone)]
pub struct UpdateKey(TSigner);

/// Why a text is no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UpdateKeyError {
    /// Neither form was found.
    #[error(
        "no key is in it; write `key \"NAME\" {{ algorithm hmac-sha256; secret \"BASE64\"; }};` or `hmac-sha256:NAME:BASE64`"
    )]
    Form,
    /// Another algorithm.
    #[error("the key's algorithm must be hmac-sha256, hmac-sha384 or hmac-sha512")]
    Algorithm,
    /// The secret is not base64, or of no use.
    #[error("the key's secret is not base64 of 1 to 256 octets")]
    Secret,
    /// The key's name is no DNS name.
    #[error("the key's name is no DNS name")]
    Name,
}

/// What changes at one name and type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordChange {
    /// The name.
    pub name: Name,
    /// The records' type.
    pub kind: RecordType,
    /// Records that go; one that is not there does no harm. All others stay.
    pub remove: Vec<RecordData>,
    /// Records that come.
    pub add: Vec<RecordData>,
    /// How long others may keep those that come, in seconds.
    pub ttl: u32,
}

/// Why a zone was not changed, or may not have been.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UpdateError {
    /// The server does not answer usefully; whether it has changed the zone is not known.
    #[error("the server does not answer: {0}")]
    NoAnswer(#[from] LookupError),
    /// It says no.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// What it says is not signed with the key.
    #[error("the server's answer is not signed with the key: {0}")]
    Unsigned(String),
    /// More records than [`UPDATE_RECORDS_MAX`], or of a type that is only read here.
    #[error("the change cannot be put into one update: {0}")]
    Unfit(String),
}

/// Changes zones at one server.
#[derive(Clone, Debug)]
pub struct Updater {
    direct: Direct,
    server: SocketAddr,
    key: UpdateKey,
}

impl Updater {
    /// At `server`, which knows `key`; queries leave as `settings` say.
    #[must_use]
    pub fn new(settings: &Settings, server: SocketAddr, key: UpdateKey) -> Self {
        Self { direct: Direct::new(settings), server, key }
    }

    /// Changes a zone: all of it, or nothing. `now_seconds` is the time since 1970.
    ///
    /// # Errors
    /// [`UpdateError`].
    pub async fn update(
        &self,
        zone: &Name,
        changes: &[RecordChange],
        now_seconds: u64,
    ) -> Result<(), UpdateError> {
        let mut message = update(zone, changes)?;
        let unfit = |error: &dyn fmt::Display| UpdateError::Unfit(reason(&error));
        let verifier = message.finalize(&self.key.0, now_seconds).map_err(|error| unfit(&error))?;
        let octets = message.to_vec().map_err(|error| unfit(&error))?;
        let answer = self.direct.ask_by_stream(self.server, &octets).await?;
        let read = Message::from_vec(&answer)
            .map_err(|error| UpdateError::NoAnswer(LookupError::Unreachable(reason(&error))))?;
        let code = read.metadata.response_code;
        if code != ResponseCode::NoError {
            // A server that does not know the key cannot sign that.
            return Err(UpdateError::Refused(said(code)));
        }
        let mut verifier = verifier.ok_or_else(|| UpdateError::Unfit("no signature was made".to_owned()))?;
        verifier.verify(&answer).map(drop).map_err(|error| UpdateError::Unsigned(reason(&error)))
    }
}

/// What a server means by its refusal.
fn said(code: ResponseCode) -> String {
    match code {
        ResponseCode::NotAuth => {
            "it does not know the key, or it is not the primary server of the zone (NOTAUTH)".to_owned()
        }
        ResponseCode::Refused => "the key may not change these records (REFUSED)".to_owned(),
        ResponseCode::NotImp => "it takes no updates (NOTIMP)".to_owned(),
        other => other.to_string(),
    }
}

/// The message of RFC 2136 §2, without its signature.
fn update(zone: &Name, changes: &[RecordChange]) -> Result<Message, UpdateError> {
    let records: usize = changes.iter().map(|change| change.add.len() + change.remove.len()).sum();
    if records > UPDATE_RECORDS_MAX {
        return Err(UpdateError::Unfit(format!("{records} records; at most {UPDATE_RECORDS_MAX}")));
    }
    let mut message = Message::new(Message::query().metadata.id, MessageType::Query, OpCode::Update);
    message.add_query(Query::query(name_out(zone)?, rr::RecordType::SOA));
    for change in changes {
        let name = name_out(&change.name)?;
        for data in &change.remove {
            let mut record = Record::from_rdata(name.clone(), 0, data_out(data)?);
            // "Delete an RR from an RRset" (RFC 2136 §2.5.4).
            record.dns_class = DNSClass::NONE;
            message.add_authority(record);
        }
        for data in &change.add {
            message.add_authority(Record::from_rdata(name.clone(), change.ttl, data_out(data)?));
        }
    }
    Ok(message)
}

/// The library's form of a record's data.
fn data_out(data: &RecordData) -> Result<RData, UpdateError> {
    Ok(match data {
        RecordData::Address(IpAddr::V4(four)) => RData::A(rdata::A(*four)),
        RecordData::Address(IpAddr::V6(six)) => RData::AAAA(rdata::AAAA(*six)),
        RecordData::Mx(mx) => RData::MX(rdata::MX::new(mx.preference, name_out(&mx.exchange)?)),
        RecordData::Text(text) if text.is_empty() => RData::TXT(rdata::TXT::from_bytes(vec![b""])),
        RecordData::Text(text) => {
            RData::TXT(rdata::TXT::from_bytes(text.chunks(STRING_OCTETS_MAX).collect()))
        }
        RecordData::Tlsa(tlsa) => RData::TLSA(rdata::TLSA::new(
            tlsa.usage.into(),
            tlsa.selector.into(),
            tlsa.matching.into(),
            tlsa.data.clone(),
        )),
        RecordData::Service(place) => {
            let host = name_out(&place.host)?;
            RData::SRV(rdata::SRV::new(place.priority, place.weight, place.port, host))
        }
        RecordData::Authorization(caa) => {
            let mut data = rdata::CAA::new_issue(caa.is_critical, None, Vec::new());
            data.tag.clone_from(&caa.tag);
            data.value.clone_from(&caa.value);
            RData::CAA(data)
        }
        RecordData::Name(RecordType::Cname, name) => RData::CNAME(rdata::CNAME(name_out(name)?)),
        other => return Err(UpdateError::Unfit(format!("{} records are only read", kind_out(other.kind())))),
    })
}

impl FromStr for UpdateKey {
    type Err = UpdateKeyError;

    /// Reads a key as `tsig-keygen` writes it for BIND, or in one line as `dig -y` and `knsupdate -y` take it.
    fn from_str(text: &str) -> Result<Self, UpdateKeyError> {
        let lines = text.lines().map(|line| line.split(['#']).next().unwrap_or_default());
        let text: String = lines.filter(|line| !line.trim_start().starts_with("//")).collect();
        let text = text.trim();
        let (algorithm, name, secret) = match text.strip_prefix("key ") {
            Some(rest) => {
                let name = rest.split('{').next().ok_or(UpdateKeyError::Form)?;
                let value = |word: &str| {
                    rest.split(['{', ';', '}'])
                        .find_map(|part| part.trim().strip_prefix(word)?.strip_prefix(char::is_whitespace))
                        .map(unquoted)
                        .ok_or(UpdateKeyError::Form)
                };
                (value("algorithm")?, unquoted(name), value("secret")?)
            }
            None => {
                let mut parts = text.splitn(3, ':').map(unquoted);
                let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or(UpdateKeyError::Form);
                (next()?, next()?, next()?)
            }
        };
        let algorithm = match algorithm.to_ascii_lowercase().as_str() {
            "hmac-sha256" => TsigAlgorithm::HmacSha256,
            "hmac-sha384" => TsigAlgorithm::HmacSha384,
            "hmac-sha512" => TsigAlgorithm::HmacSha512,
            _ => return Err(UpdateKeyError::Algorithm),
        };
        let secret = base64::engine::general_purpose::STANDARD.decode(secret);
        let secret = secret.ok().filter(|octets| (1..=SECRET_OCTETS_MAX).contains(&octets.len()));
        let name =
            Name::parse(name).ok().and_then(|name| name_out(&name).ok()).ok_or(UpdateKeyError::Name)?;
        TSigner::new(secret.ok_or(UpdateKeyError::Secret)?, algorithm, name, FUDGE_SECONDS)
            .map(Self)
            .map_err(|_| UpdateKeyError::Algorithm)
    }
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches('"').trim()
}

impl fmt::Debug for UpdateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpdateKey({})", self.0.signer_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "q2hh0NfrOZRxrjbwUdRSHIBCBQrEN0cLwrtFFYU/1eE=";

    #[test]
    fn keys_are_read_as_name_servers_have_them() {
        for text in [
            format!("key \"mail.key\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n"),
            format!("key mail.key {{ secret {SECRET}; algorithm HMAC-SHA256; }};"),
            format!("# hmac-sha256:mail.key:x\nhmac-sha256:mail.key:{SECRET}\n"),
        ] {
            let key: UpdateKey = text.parse().unwrap();
            assert_eq!(format!("{key:?}"), "UpdateKey(mail.key.)", "{text}");
        }
        for (text, error) in [
            ("", UpdateKeyError::Form),
            ("mail.key", UpdateKeyError::Form),
            ("key \"a\" { algorithm hmac-sha256; };", UpdateKeyError::Form),
            ("hmac-md5:mail.key:AAAA", UpdateKeyError::Algorithm),
            ("hmac-sha256:mail.key:???", UpdateKeyError::Secret),
            ("hmac-sha256:a..b:AAAA", UpdateKeyError::Name),
        ] {
            assert_eq!(text.parse::<UpdateKey>().unwrap_err(), error, "{text}");
        }
        for (octets, fits) in [(0, false), (1, true), (255, true), (256, true), (257, false)] {
            let secret = base64::engine::general_purpose::STANDARD.encode(vec![7; octets]);
            let read =
                format!("key a {{ algorithm hmac-sha256; secret \"{secret}\"; }};").parse::<UpdateKey>();
            assert_eq!(read.is_ok(), fits, "{octets}");
        }
    }

    #[test]
    fn updates_are_bounded() {
        let zone = Name::parse("example.org").unwrap();
        let change = |add: usize, remove: usize| RecordChange {
            name: zone.clone(),
            kind: RecordType::Txt,
            remove: vec![RecordData::Text(b"old".to_vec()); remove],
            add: vec![RecordData::Text(b"new".to_vec()); add],
            ttl: 60,
        };
        for (add, remove, fits) in [(100, 99, true), (100, 100, true), (100, 101, false)] {
            assert_eq!(update(&zone, &[change(add, remove)]).is_ok(), fits, "{add}+{remove}");
        }
    }

    #[test]
    fn records_come_back_as_they_went() {
        let name = |text: &str| Name::parse(text).unwrap();
        for data in [
            RecordData::address([192, 0, 2, 1]),
            RecordData::Text(b"x".repeat(600)),
            RecordData::Service(crate::ServiceHost {
                priority: 0,
                weight: 1,
                port: 993,
                host: name("a.example"),
            }),
            RecordData::Authorization(crate::Authorization {
                is_critical: true,
                tag: "issue".into(),
                value: b"ca.example; x=y".to_vec(),
            }),
            RecordData::Name(RecordType::Cname, name("a.example")),
        ] {
            let out = data_out(&data).unwrap();
            assert_eq!(crate::wire::data_in(&out, data.kind()), Some(data));
        }
        assert!(data_out(&RecordData::Other(RecordType::Soa, String::new())).is_err());
    }
}
