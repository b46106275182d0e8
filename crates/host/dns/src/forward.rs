//! Asking resolvers that answer for all the world (RFC 1034 §5.3.1), and validating what they say.

use std::sync::Arc;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverOpts};
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequestOptions, Query};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};

use crate::cache::Outcome;
use crate::name::Name;
use crate::record::RecordType;
use crate::runtime::Connections;
use crate::settings::{
    Forwarder, ForwarderTransport, NSEC3_ITERATIONS, PROOFS_BELOW_MAX, Settings, SettingsError,
};
use crate::wire::{BareAbsence, Reading, Validated, kind_out, name_out, reason};

/// Asks forwarders.
pub(crate) struct Forward {
    pool: Pool,
    reading: Reading,
}

/// Forwarders, with or without validation of what they say.
enum Pool {
    Plain(NameServerPool<Connections>),
    Validating(Box<DnssecDnsHandle<NameServerPool<Connections>>>),
}

impl Forward {
    pub(crate) fn new(settings: &Settings, forwarders: &[Forwarder]) -> Result<Self, SettingsError> {
        if forwarders.is_empty() {
            return Err(SettingsError::NoForwarder);
        }
        let servers: Vec<NameServerConfig> = forwarders
            .iter()
            .filter(|forwarder| settings.families.contain(forwarder.address.ip()))
            .map(server)
            .collect();
        if servers.is_empty() {
            return Err(SettingsError::NoFamily);
        }
        let tls = TlsConfig::new().map_err(|error| SettingsError::Library(reason(&error)))?;
        let mut options = ResolverOpts::default();
        options.timeout = settings.bounds.question_time_max;
        options.edns0 = true;
        let context = Arc::new(PoolContext::new(options, tls));
        let pool = NameServerPool::from_config(servers, context, Connections::new(settings, &[]));
        let (pool, validated) = match settings.anchors()? {
            None => (Pool::Plain(pool), Validated::No),
            Some(anchors) => {
                let handle = DnssecDnsHandle::with_trust_anchor(pool, Arc::new(anchors))
                    .validation_cache_size(PROOFS_BELOW_MAX)
                    .nsec3_iteration_limits(Some(NSEC3_ITERATIONS.0), Some(NSEC3_ITERATIONS.1));
                (Pool::Validating(Box::new(handle)), Validated::Yes)
            }
        };
        let reading = Reading {
            validated,
            bare_absence: BareAbsence::Believed,
            records_max: settings.bounds.records_max,
        };
        Ok(Self { pool, reading })
    }

    pub(crate) async fn ask(&self, name: &Name, kind: RecordType) -> Outcome {
        let asked = name_out(name)?;
        let query = Query::query(asked.clone(), kind_out(kind));
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = self.reading.validated == Validated::Yes;
        options.recursion_desired = true;
        let answered = match &self.pool {
            Pool::Plain(pool) => pool.lookup(query, options).first_answer().await,
            Pool::Validating(handle) => handle.lookup(query, options).first_answer().await,
        };
        match answered {
            Ok(response) if response.answers.is_empty() => {
                match hickory_resolver::net::DnsError::from_response(response) {
                    Err(error) => Err(self.reading.failure(error.into())),
                    Ok(_) => self.reading.answer(&asked, kind, &[]),
                }
            }
            Ok(response) => self.reading.answer(&asked, kind, &response.answers),
            Err(error) => Err(self.reading.failure(error)),
        }
    }
}

fn server(forwarder: &Forwarder) -> NameServerConfig {
    let protocols = match &forwarder.transport {
        ForwarderTransport::Plain => vec![ProtocolConfig::Udp, ProtocolConfig::Tcp],
        ForwarderTransport::Tls(name) => vec![ProtocolConfig::Tls { server_name: name.as_str().into() }],
    };
    let connections = protocols
        .into_iter()
        .map(|protocol| {
            let mut connection = ConnectionConfig::new(protocol);
            connection.port = forwarder.address.port();
            connection
        })
        .collect();
    NameServerConfig::new(forwarder.address.ip(), true, connections)
}
