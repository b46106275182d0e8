//! What the server keeps of a password for SCRAM-SHA-256: enough to verify a client and to prove itself, not enough to
//! log in elsewhere (RFC 5802 §3, RFC 5803 for the text form).

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::Secret;

/// Octets of a SHA-256 hash, and so of every key.
pub(super) const KEY_OCTETS: usize = 32;
/// Fewest iterations (RFC 7677 §4).
pub const SCRAM_ITERATIONS_MIN: u32 = 4096;
/// Most iterations: a client has to compute them at each log-in, a telephone some seconds for these.
pub const SCRAM_ITERATIONS_MAX: u32 = 10_000_000;
/// Longest salt read from disk.
const SALT_OCTETS_MAX: usize = 64;

/// A password's SCRAM-SHA-256 keys.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    salt: Box<[u8]>,
    iterations: u32,
    stored_key: [u8; KEY_OCTETS],
    server_key: [u8; KEY_OCTETS],
}

impl ScramKeys {
    /// Derives the keys of a prepared password (RFC 5802 §3). Takes milliseconds.
    #[must_use]
    pub fn derive(password: &Secret, salt: &[u8], iterations: u32) -> Self {
        let mut salted = [0; KEY_OCTETS];
        let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password.reveal(), &mut salted);
        let client_key = sign(&salted, b"Client Key");
        Self {
            salt: salt.into(),
            iterations: rounds.get(),
            stored_key: hash(&client_key),
            server_key: sign(&salted, b"Server Key"),
        }
    }

    /// Keys for a user who does not exist: always the same for the same name, so that asking twice tells nothing, and
    /// fitting no password.
    #[must_use]
    pub fn of_nobody(user: &str, secret: &[u8; KEY_OCTETS], iterations: u32) -> Self {
        let part = |label: &str| sign(secret, format!("{label}\0{user}").as_bytes());
        Self {
            salt: part("salt").get(..crate::password::SALT_OCTETS).unwrap_or_default().into(),
            iterations,
            stored_key: part("stored key"),
            server_key: part("server key"),
        }
    }

    /// The salt a client mixes into its password.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// How often it does.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Whether a client's proof shows that it knows the password (RFC 5802 §3). In constant time.
    #[must_use]
    pub fn is_proven_by(&self, proof: &[u8; KEY_OCTETS], auth_message: &[u8]) -> bool {
        let mut client_key = sign(&self.stored_key, auth_message);
        for (octet, proof) in client_key.iter_mut().zip(proof) {
            *octet ^= proof;
        }
        aws_lc_rs::constant_time::verify_slices_are_equal(&hash(&client_key), &self.stored_key).is_ok()
    }

    /// What proves to the client that we know its keys.
    #[must_use]
    pub fn server_signature(&self, auth_message: &[u8]) -> [u8; KEY_OCTETS] {
        sign(&self.server_key, auth_message)
    }

    /// The keys as text (RFC 5803).
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        )
    }

    /// Reads what [`Self::to_text`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (parameters, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let iterations = iterations.parse().ok()?;
        let salt = STANDARD.decode(salt).ok()?;
        let fits = (SCRAM_ITERATIONS_MIN..=SCRAM_ITERATIONS_MAX).contains(&iterations)
            && (1..=SALT_OCTETS_MAX).contains(&salt.len());
        fits.then_some(())?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        Some(Self {
            salt: salt.into(),
            iterations,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramKeys({} iterations)", self.iterations)
    }
}

fn sign(key: &[u8; KEY_OCTETS], message: &[u8]) -> [u8; KEY_OCTETS] {
    let mut octets = [0; KEY_OCTETS];
    octets.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref());
    octets
}

fn hash(message: &[u8]) -> [u8; KEY_OCTETS] {
    let mut octets = [0; KEY_OCTETS];
    octets.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_as_written() {
        let keys = ScramKeys::derive(&"pencil".into(), b"salt", SCRAM_ITERATIONS_MIN);
        assert_eq!(ScramKeys::from_text(&keys.to_text()), Some(keys.clone()));
        assert_eq!(format!("{keys:?}"), "ScramKeys(4096 iterations)");
        let text = keys.to_text();
        for bad in [
            text.replace("4096", "4095"),
            text.replace("4096", "10000001"),
            text.replace("SHA-256", "SHA-1"),
            text[..text.len() - 4].to_owned(),
            text.replace("c2FsdA==", ""),
            String::new(),
        ] {
            assert_eq!(ScramKeys::from_text(&bad), None, "{bad}");
        }
    }

    #[test]
    fn nobody_has_stable_keys_that_differ_by_name() {
        let keys = |user, secret| ScramKeys::of_nobody(user, &[secret; 32], 4096);
        assert_eq!(keys("ann", 1), keys("ann", 1));
        assert_ne!(keys("ann", 1).salt(), keys("bob", 1).salt());
        assert_ne!(keys("ann", 1).salt(), keys("ann", 2).salt());
        assert_eq!(keys("ann", 1).salt().len(), crate::password::SALT_OCTETS);
    }
}
