//! Addresses that release what is kept apart: whoever was told one may write to it, and nobody can guess another.

use std::fs;
use std::io;
use std::path::Path;

use mail_types::{AccountId, Address, AddressDomain, DomainName, Uid};
use platform::durable::{self, Readable};
use storage::blake3;

/// How the local parts of such addresses begin.
const PREFIX: &str = "quarantine+";
/// Hexadecimal digits of the proof: 80 bits, of which nobody tries many by mail.
const PROOF_DIGITS: usize = 20;

/// Mail of one account that is to be released, from one message to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Whose mail it is.
    pub account: AccountId,
    /// The first message in the account's quarantine.
    pub first: Uid,
    /// The last one.
    pub last: Uid,
}

/// Who makes such addresses and knows them again.
pub(crate) struct Orders([u8; 32]);

impl Orders {
    /// With the key in a file, which is made if missing. Blocking.
    pub(crate) fn open(file: &Path) -> io::Result<Self> {
        match fs::read(file) {
            Ok(octets) => octets.try_into().map(Self).map_err(|_| io::Error::other("not a key of 32 octets")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; 32];
                directory::fill_random(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
                durable::write(file, &key, Readable::Owner)?;
                Ok(Self(key))
            }
            Err(error) => Err(error),
        }
    }

    /// The address of an order.
    pub(crate) fn address(&self, order: Order, domain: &DomainName) -> Option<Address> {
        let named = named(order);
        let local_part = format!("{PREFIX}{named}-{}", self.proof(&named));
        Address::new(&local_part, AddressDomain::Name(domain.clone())).ok()
    }

    /// The order that an address stands for, in whatever case it comes back.
    pub(crate) fn read(&self, address: &Address) -> Option<Order> {
        let local_part = address.local_part().to_ascii_lowercase();
        let (named, proof) = local_part.strip_prefix(PREFIX)?.rsplit_once('-')?;
        let mut numbers = named.split('-').map(|number| number.parse::<u32>());
        let mut number = || numbers.next()?.ok();
        let order = Order { account: AccountId(number()?), first: Uid(number()?), last: Uid(number()?) };
        // Hashes are compared, so that how long it takes says nothing.
        let right = self.proof(named);
        let is_proven = blake3::hash(proof.as_bytes()) == blake3::hash(right.as_bytes());
        // Only as we write it.
        (is_proven && named == self::named(order)).then_some(order)
    }

    fn proof(&self, named: &str) -> String {
        let mut proof = blake3::keyed_hash(&self.0, named.as_bytes()).to_hex().to_string();
        proof.truncate(PROOF_DIGITS);
        proof
    }
}

fn named(order: Order) -> String {
    format!("{}-{}-{}", order.account.0, order.first.0, order.last.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_again_and_no_other_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("orders.key");
        let orders = Orders::open(&file).unwrap();
        let domain = DomainName::parse("example.org").unwrap();
        let order = Order { account: AccountId(12), first: Uid(3), last: Uid(40) };
        let address = orders.address(order, &domain).unwrap();
        assert_eq!(Orders::open(&file).unwrap().read(&address), Some(order), "over a restart");
        let text = address.to_string();
        let shouted = Address::parse(&text.to_ascii_uppercase()).unwrap();
        assert_eq!(orders.read(&shouted), Some(order));
        let proof_at = text.find('@').unwrap() - PROOF_DIGITS;
        for other in [
            text.replace("12-3-40", "12-3-41"),
            text.replace("12-3-40", "012-3-40"),
            text.replace("quarantine+", "quarantine-"),
            format!("{}{}", &text[..proof_at], &text[proof_at + 1..]),
            "quarantine+@example.org".to_owned(),
            "quarantine+12-3-40-@example.org".to_owned(),
        ] {
            assert_eq!(orders.read(&Address::parse(&other).unwrap()), None, "{other}");
        }
    }
}
