//! Reports by HTTPS (RFC 8460 §5.4): a POST to the server that a domain's record names, as long as it is on the Internet and
//! its certificate is right. RFC 8460 §3 would let us overlook that; then whoever stands between could read and keep it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use dns::{Families, Name, Resolver};
use platform::egress::Egress;
use platform::network::is_public;
use sender_auth::reports::{HttpsUrl, ReportAddress};
use tls::Connector;
use web::fetch::{Origin, Post, post};

use super::send::{Sender, Sent};

/// What a packed TLS report is (RFC 8460 §6.5).
const TLS_REPORT_TYPE: &str = "application/tlsrpt+gzip";

/// Days that begin after a report's own before one that nobody takes by HTTPS is given up.
const RETRY_DAYS: i64 = 1;
/// How long all posts of one round may take together, to servers that are slow or out of reach: the rest is told in the
/// next one, 15 minutes later.
const POSTING_TIME_MAX: Duration = Duration::from_secs(600);

/// Who posts reports.
pub(crate) struct Poster {
    pub(crate) families: Families,
    pub(crate) egress: Egress,
    pub(crate) connector: Connector,
    /// Whether others live on loopback, as in tests (`outbound.to_loopback`).
    pub(crate) is_loopback_others: bool,
}

impl Poster {
    /// Posts a packed report.
    async fn post(&self, resolver: &Resolver, url: &HttpsUrl, octets: Vec<u8>) -> anyhow::Result<()> {
        let name = Name::parse(url.host.as_str())?;
        let found = resolver.addresses(&name, self.families).await.context("looking for the server")?.records;
        let addresses: Vec<SocketAddr> = found
            .into_iter()
            .filter(|address| self.may_be_told(*address))
            .map(|address| SocketAddr::new(address, url.port))
            .collect();
        anyhow::ensure!(!addresses.is_empty(), "the server has no address on the Internet");
        let origin = Origin {
            host: url.host.as_str().to_owned(),
            addresses,
            egress: self.egress,
            connector: self.connector.clone(),
        };
        let target = url.target.clone().into();
        Ok(post(Post { origin, target, media_type: TLS_REPORT_TYPE, octets }).await?)
    }

    /// A record that leads into our own network is somebody's try to have us talk to it.
    fn may_be_told(&self, address: IpAddr) -> bool {
        is_public(address) || (self.is_loopback_others && address.to_canonical().is_loopback())
    }
}

impl Sender {
    /// Posts a TLS report to all who want it so; whether nothing is left to do. What one destination has, by mail or by
    /// post, is not told again; what none took is tried for a day (RFC 8460 §5.5).
    pub(super) async fn is_posted(
        &self,
        day: i64,
        packed: Vec<u8>,
        (mailed, urls): (&[ReportAddress], &[HttpsUrl]),
        sent: &mut Sent,
    ) -> bool {
        let mut is_told = !mailed.is_empty() || urls.is_empty();
        for url in urls {
            if sent.posting > POSTING_TIME_MAX {
                break;
            }
            let begun = self.clock().monotonic();
            let posted = self.poster.post(&self.resolver, url, packed.clone()).await;
            sent.posting += self.clock().monotonic().since(begun);
            match posted {
                Ok(()) => {
                    tracing::info!(%url, "a report was posted");
                    sent.posts += 1;
                    is_told = true;
                }
                Err(error) => tracing::info!(error = format!("{error:#}"), %url, "a report was not taken"),
            }
        }
        is_told || self.today() > day + RETRY_DAYS
    }
}
