//! Asking one name server what it knows itself, past every cache: what `dns check` compares with (RFC 1034 §3.7, §4.3.2).
//!
//! Nothing is validated here: whoever asks a zone's own servers wants to know what stands there, right or wrong. Whether
//! the world believes it, the [`Resolver`](crate::Resolver) tells.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{self, RData};

use crate::answer::LookupError;
use crate::direct::{DATAGRAM_OCTETS_MAX, Direct};
use crate::name::Name;
use crate::record::{RecordData, RecordType};
use crate::settings::Settings;
use crate::wire::{data_in, kind_out, name_in, name_out, reason};

/// Asks single servers.
#[derive(Clone, Debug)]
pub struct Authority {
    direct: Direct,
    port: u16,
}

/// What a server says that is responsible for a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// The name has these records: at least one.
    Records {
        /// Their data, in the order of the answer.
        records: Vec<RecordData>,
        /// How long others may keep them.
        ttl: Duration,
    },
    /// The name is an alias of another (CNAME), which may be somebody else's.
    Alias(Name),
    /// The name exists, but has no records of this type.
    NoData,
    /// There is no such name.
    NoSuchName,
}

impl Authority {
    /// From the same addresses and to the same port as a resolver with these settings asks name servers.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { direct: Direct::new(settings), port: settings.server_port }
    }

    /// What the server at `address` knows of a name.
    ///
    /// # Errors
    /// [`LookupError::Timeout`] when it is silent, [`LookupError::Unreachable`] when it refuses, fails or is not
    /// responsible for the name, [`LookupError::Excessive`] for records that we cannot carry.
    pub async fn ask(&self, address: IpAddr, name: &Name, kind: RecordType) -> Result<Told, LookupError> {
        let asked = name_out(name)?;
        let mut message = Message::query();
        message.add_query(Query::query(asked.clone(), kind_out(kind)));
        message.set_edns(Edns::new());
        if let Some(edns) = &mut message.edns {
            edns.set_max_payload(DATAGRAM_OCTETS_MAX);
        }
        let octets = message.to_vec().map_err(|error| LookupError::Unreachable(reason(&error)))?;
        let answer = self.direct.ask(SocketAddr::new(address, self.port), &octets).await?;
        let answer = Message::from_vec(&answer).map_err(|error| LookupError::Unreachable(reason(&error)))?;
        read(&asked, kind, &answer)
    }
}

fn read(asked: &rr::Name, kind: RecordType, answer: &Message) -> Result<Told, LookupError> {
    let is_same = |query: &Query| query.name == *asked && query.query_type == kind_out(kind);
    if !answer.queries.iter().all(is_same) {
        return Err(LookupError::Unreachable("the server answers another question".to_owned()));
    }
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Err(LookupError::Unreachable(format!("the server says {code}"))),
    }
    if !answer.metadata.authoritative {
        return Err(LookupError::Unreachable("the server is not responsible for the name".to_owned()));
    }
    let own = || answer.answers.iter().filter(|record| record.name == *asked);
    let of_kind: Vec<_> = own().filter(|record| record.record_type() == kind_out(kind)).collect();
    if let Some(ttl) = of_kind.iter().map(|record| record.ttl).min() {
        let records: Vec<RecordData> =
            of_kind.iter().filter_map(|record| data_in(&record.data, kind)).collect();
        return match records.len() == of_kind.len() {
            true => Ok(Told::Records { records, ttl: Duration::from_secs(ttl.into()) }),
            false => Err(LookupError::Excessive("a name that no host can have".to_owned())),
        };
    }
    let alias = own().find_map(|record| match &record.data {
        RData::CNAME(target) => name_in(&target.0),
        _ => None,
    });
    Ok(match alias {
        Some(target) => Told::Alias(target),
        None if answer.metadata.response_code == ResponseCode::NXDomain => Told::NoSuchName,
        None => Told::NoData,
    })
}
