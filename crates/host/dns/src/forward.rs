//! Asking resolvers that answer for all the world (RFC 1034 §5.3.1), and validating what they say.

use std::sync::Arc;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverOpts};
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};

use crate::answer::LookupError;
use crate::cache::Outcome;
use crate::name::Name;
use crate::network::Validation;
use crate::record::RecordType;
use crate::reply::Reply;
use crate::runtime::Connections;
use crate::settings::{
    Forwarder, ForwarderTransport, NSEC3_ITERATIONS, PROOFS_BELOW_MAX, Settings, SettingsError,
};
use crate::wire::{BareAbsence, Reading, Validated, kind_out, name_out, reason};

/// Asks forwarders.
pub(crate) struct Forward {
    pool: Pool,
    reading: Reading,
    wants_signatures: bool,
}

/// Forwarders, with or without validation of what they say.
enum Pool {
    Plain(NameServerPool<Connections>),
    Validating(Box<DnssecDnsHandle<NameServerPool<Connections>>>),
}

impl Forward {
    pub(crate) fn new(
        settings: &Settings,
        forwarders: &[Forwarder],
        validation: Validation,
    ) -> Result<Self, SettingsError> {
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
        let tls = tls(settings)?;
        let mut options = ResolverOpts::default();
        options.timeout = settings.bounds.question_time_max;
        options.edns0 = true;
        let context = Arc::new(PoolContext::new(options, tls));
        let pool = NameServerPool::from_config(servers, context, Connections::new(settings, &[]));
        let wants_signatures = !matches!(validation, Validation::Off);
        let (pool, validated) = match validation {
            Validation::Off | Validation::PassedOn => (Pool::Plain(pool), Validated::No),
            Validation::From(anchors) => {
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
        Ok(Self { pool, reading, wants_signatures })
    }

    pub(crate) async fn ask(&self, name: &Name, kind: RecordType) -> Outcome {
        let asked = name_out(name)?;
        match self.response(Query::query(asked.clone(), kind_out(kind))).await {
            Ok(response) => self.reading.answer(&asked, kind, &response.answers),
            Err(error) => self.reading.failed(&asked, kind, error),
        }
    }

    /// A whole answer, with what proves it.
    pub(crate) async fn reply(&self, query: &Query) -> Result<Reply, LookupError> {
        match self.response(query.clone()).await {
            Ok(response) => self.reading.reply(query, &response.answers, &response.authorities),
            Err(error) => self.reading.failed_reply(query, error),
        }
    }

    async fn response(&self, query: Query) -> Result<DnsResponse, NetError> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = self.wants_signatures;
        options.recursion_desired = true;
        let response = match &self.pool {
            Pool::Plain(pool) => pool.lookup(query, options).first_answer().await,
            Pool::Validating(handle) => handle.lookup(query, options).first_answer().await,
        }?;
        if response.answers.is_empty() { Ok(DnsError::from_response(response)?) } else { Ok(response) }
    }
}

/// Whom forwarders over TLS are believed by (RFC 8310 §8.1: a strict privacy profile, by the name that is configured).
fn tls(settings: &Settings) -> Result<TlsConfig, SettingsError> {
    let Some(file) = &settings.forwarder_ca else {
        return TlsConfig::new().map_err(|error| SettingsError::Library(reason(&error)));
    };
    let broken = |why: String| SettingsError::ForwarderCa(file.clone(), why);
    let roots = std::fs::read_to_string(file).map_err(|error| broken(error.to_string()))?;
    let config = tls::client_config(&tls::ConnectorTrust::Roots(vec![roots]));
    Ok(TlsConfig { config: config.map_err(|error| broken(error.to_string()))? })
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
