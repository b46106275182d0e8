//! What speaks for whoever brings mail, when it names people who are not here: as much mail of its as was taken and stayed.

use std::net::IpAddr;

use mail_types::DomainName;

use super::book::{Key, Kind, key};
use super::greylist::{Origin, alone};
use super::{NETWORK, Senders, Standing, block_key};

/// Whoever's mail was unwanted to this part has no merit.
const UNWANTED_SHARE_MAX: f32 = 0.3;
/// Messages from which on that is known.
const MESSAGES_MIN: f32 = 2.0;

impl Senders {
    /// How many messages of late were taken from the network around an address; none, where too many of them turned out to be
    /// unwanted. Counts halve with [`super::HALF_LIFE`].
    pub(crate) async fn merit_of_network(&self, address: IpAddr) -> f32 {
        let Some(origin) = Origin::network(address) else { return 0.0 };
        self.merit(origin, Kind::Network, block_key(address, NETWORK)).await
    }

    /// The same of a domain, from wherever it lets its mail be sent: SPF has to prove that it is the sender's.
    pub(crate) async fn merit_of_domain(&self, proven: &DomainName) -> f32 {
        let origin = Origin::Domain(proven.to_string());
        self.merit(origin, Kind::Domain, key(&[proven.as_str().as_bytes()])).await
    }

    async fn merit(&self, origin: Origin, kind: Kind, key: Key) -> f32 {
        self.read(move |book, now| {
            let taken = book.standing(Kind::Allowed, &alone(&origin), now)?.wanted;
            Ok(if is_bad(book.standing(kind, &key, now)?) { 0.0 } else { taken })
        })
        .await
    }
}

fn is_bad(standing: Standing) -> bool {
    standing.messages() >= MESSAGES_MIN && standing.unwanted > standing.messages() * UNWANTED_SHARE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_mail_is_mostly_unwanted_has_no_merit() {
        for (wanted, unwanted, expected) in
            [(0.0, 0.0, false), (0.0, 1.9, false), (0.0, 2.0, true), (7.0, 3.0, false), (6.9, 3.1, true)]
        {
            assert_eq!(is_bad(Standing { wanted, unwanted }), expected, "{wanted} {unwanted}");
        }
    }
}
