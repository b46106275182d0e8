//! What speaks for whoever brings mail, when it names people who are not here: as much mail of its as was taken and stayed.

use std::net::IpAddr;

use mail_types::DomainName;

use super::book::{Kind, key};
use super::greylist::{Origin, alone};
use super::{NETWORK, Senders, Standing, block_key};

/// Whoever's mail was unwanted to this part has no merit.
const UNWANTED_SHARE_MAX: f32 = 0.3;
/// Messages from which on that is known.
const MESSAGES_MIN: f32 = 2.0;

impl Senders {
    /// How many messages of late were taken from the network around an address, or from wherever a domain lets its mail be sent
    /// that is `proven` to be the sender's; none, where too many of them turned out to be unwanted. Counts halve with
    /// [`super::HALF_LIFE`].
    pub(crate) async fn merit(&self, address: IpAddr, proven: Option<&DomainName>) -> f32 {
        let network = Origin::network(address);
        let domain = proven.map(|domain| Origin::Domain(domain.to_string()));
        let of_network = (Kind::Network, block_key(address, NETWORK));
        let of_domain = proven.map(|domain| (Kind::Domain, key(&[domain.as_str().as_bytes()])));
        let asked: Vec<_> =
            network.map(|network| (network, of_network)).into_iter().chain(domain.zip(of_domain)).collect();
        self.read(move |book, now| {
            let mut merit: f32 = 0.0;
            for (origin, (kind, key)) in &asked {
                let taken = book.standing(Kind::Allowed, &alone(origin), now)?.wanted;
                if !is_bad(book.standing(*kind, key, now)?) {
                    merit = merit.max(taken);
                }
            }
            Ok(merit)
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
