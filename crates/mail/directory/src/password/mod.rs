//! Passwords: how they are hashed, verified and read from other servers.
//!
//! Our own hashes are Argon2id (RFC 9106) over the prepared password, kept as bare PHC strings. Hashes from other
//! servers keep a scheme in front or are not Argon2; they are over the octets as typed and give way to ours at the
//! first log-in.

mod imported;
mod prepare;
mod verified;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;
use mail_types::Secret;

pub(crate) use imported::{ImportedHash, cleartext_of, is_known_scheme};
pub(crate) use prepare::prepare;
pub(crate) use verified::VerifiedPasswords;

use crate::account::NewPassword;
use crate::sasl::ScramKeys;
use crate::settings::Settings;

/// Longest password in octets. More than anybody types; bounds what SHA-crypt makes of it, which is quadratic.
pub const PASSWORD_OCTETS_MAX: usize = 1024;

/// Octets of a new salt, for hashes and for SCRAM keys (RFC 9106 §3.1 recommends 16).
pub(crate) const SALT_OCTETS: usize = 16;

/// What a new Argon2id hash costs. The defaults are OWASP's for servers: some 20 ms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

impl PasswordCost {
    /// The cheapest there is: for tests alone.
    pub const MINIMAL: Self = Self { memory_kib: Params::MIN_M_COST, passes: 1, lanes: 1 };

    fn hasher(self) -> Result<Argon2<'static>, HashError> {
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, None).map_err(|_| HashError::BadCost)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// Why a password or an imported hash cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HashError {
    /// Empty, or longer than anybody types.
    #[error("a password has 1 to {PASSWORD_OCTETS_MAX} octets")]
    BadPassword,
    /// A scheme we cannot verify.
    #[error("this password scheme is not supported")]
    UnknownScheme,
    /// The scheme is known, the text is not one of its hashes.
    #[error("not a valid hash of its scheme")]
    Malformed,
    /// Verifying it would cost more than this server spends on a log-in.
    #[error("this hash costs too much to verify")]
    TooCostly,
    /// The settings ask for a cost that Argon2 does not have.
    #[error("no Argon2id hash can have the cost that is set")]
    BadCost,
    /// The system has no random numbers for a salt.
    #[error("no random numbers")]
    NoRandomness,
}

/// An account's password as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum StoredHash {
    /// Argon2id over the prepared password.
    Own(Box<str>),
    /// Another server's, over the octets as typed.
    Imported(ImportedHash),
}

impl StoredHash {
    /// Hashes a password.
    pub(crate) fn make(password: &Secret, cost: PasswordCost) -> Result<Self, HashError> {
        check_length(password)?;
        let salt = SaltString::encode_b64(&random::<SALT_OCTETS>()?).map_err(|_| HashError::NoRandomness)?;
        let prepared = prepare(password);
        let hash = cost.hasher()?.hash_password(prepared.reveal(), &salt).map_err(|_| HashError::BadCost)?;
        Ok(Self::Own(hash.to_string().into()))
    }

    /// Reads what [`Self::as_text`] gave.
    pub(crate) fn read(text: &str) -> Result<Self, HashError> {
        if text.starts_with("$argon2id$") {
            PasswordHash::new(text).map_err(|_| HashError::Malformed)?;
            return Ok(Self::Own(text.into()));
        }
        ImportedHash::read(text).map(Self::Imported)
    }

    /// The text to keep.
    pub(crate) fn as_text(&self) -> &str {
        match self {
            Self::Own(text) => text,
            Self::Imported(hash) => hash.as_text(),
        }
    }

    /// Whether the password is the right one. Takes its time; compares in constant time.
    pub(crate) fn verify(&self, password: &Secret) -> bool {
        if check_length(password).is_err() {
            return false;
        }
        match self {
            Self::Own(text) => PasswordHash::new(text).is_ok_and(|hash| {
                Argon2::default().verify_password(prepare(password).reveal(), &hash).is_ok()
            }),
            Self::Imported(hash) => hash.verify(password.reveal()),
        }
    }

    /// Whether verifying it may take more memory than our own hashes do: such are verified one at a time.
    pub(crate) fn needs_much_memory(&self) -> bool {
        matches!(self, Self::Imported(hash) if hash.needs_much_memory())
    }

    /// Whether the hash is another scheme's or another cost's than those of new ones.
    fn is_outdated(&self, cost: PasswordCost) -> bool {
        let Self::Own(text) = self else { return true };
        let params = PasswordHash::new(text).ok().and_then(|hash| Params::try_from(&hash).ok());
        params.is_none_or(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost()) != (cost.memory_kib, cost.passes, cost.lanes)
        })
    }
}

/// All that is stored of an account's secrets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Credential {
    pub(crate) hash: Option<StoredHash>,
    pub(crate) scram: Option<ScramKeys>,
    /// Counts the passwords this account has had; a session is current while it stays the same.
    pub(crate) generation: u32,
}

impl Credential {
    /// The credential for a new password. Takes its time.
    pub(crate) fn make(password: &NewPassword, settings: &Settings) -> Result<Self, HashError> {
        match password {
            NewPassword::None => Ok(Self::default()),
            NewPassword::Cleartext(password) => Self::from_cleartext(password, settings),
            NewPassword::Hash(text) => {
                let text = text.reveal_str().ok_or(HashError::Malformed)?.trim();
                if let Some(password) = cleartext_of(text) {
                    return Self::from_cleartext(&password, settings);
                }
                let hash = StoredHash::Imported(ImportedHash::read(text)?);
                Ok(Self { hash: Some(hash), ..Self::default() })
            }
        }
    }

    fn from_cleartext(password: &Secret, settings: &Settings) -> Result<Self, HashError> {
        let hash = StoredHash::make(password, settings.password_cost)?;
        let salt = random::<SALT_OCTETS>()?;
        let scram = ScramKeys::derive(&prepare(password), &salt, settings.scram_iterations());
        Ok(Self { hash: Some(hash), scram: Some(scram), generation: 0 })
    }

    /// What to store instead, now that the password has been seen and verified; `None` while all is well.
    pub(crate) fn upgraded(&self, password: &Secret, settings: &Settings) -> Option<Self> {
        let hash_is_outdated =
            self.hash.as_ref().is_some_and(|hash| hash.is_outdated(settings.password_cost));
        let keys_are_outdated =
            self.scram.as_ref().is_none_or(|keys| keys.iterations() < settings.scram_iterations());
        if !hash_is_outdated && !keys_are_outdated {
            return None;
        }
        let fresh = Self::from_cleartext(password, settings).ok()?;
        Some(Self { generation: self.generation, ..fresh })
    }
}

fn check_length(password: &Secret) -> Result<(), HashError> {
    if (1..=PASSWORD_OCTETS_MAX).contains(&password.reveal().len()) {
        Ok(())
    } else {
        Err(HashError::BadPassword)
    }
}

/// Fills a slice with random octets from the system, good enough for secrets: for those who make passwords.
///
/// # Errors
/// [`HashError::NoRandomness`]: the system has none.
pub fn fill_random(octets: &mut [u8]) -> Result<(), HashError> {
    rand::fill(octets).map_err(|_| HashError::NoRandomness)
}

/// The form of a password that SCRAM works with, however a keyboard composed it (RFC 5802 §2.2).
#[must_use]
pub fn prepare_password(password: &Secret) -> Secret {
    prepare(password)
}

/// Random octets from the system.
pub(crate) fn random<const OCTETS: usize>() -> Result<[u8; OCTETS], HashError> {
    let mut octets = [0; OCTETS];
    fill_random(&mut octets)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Settings {
        Settings { password_cost: PasswordCost::MINIMAL, scram_iterations: 4096, ..Settings::default() }
    }

    #[test]
    fn own_hashes_verify_and_read_back() {
        let hash = StoredHash::make(&"correct horse".into(), PasswordCost::MINIMAL).unwrap();
        assert!(hash.as_text().starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", hash.as_text());
        let hash = StoredHash::read(hash.as_text()).unwrap();
        assert!(hash.verify(&"correct horse".into()));
        assert!(!hash.verify(&"correct hors".into()));
        assert!(!hash.verify(&"".into()));
    }

    #[test]
    fn the_same_password_never_hashes_to_the_same_text() {
        let make = || StoredHash::make(&"correct horse".into(), PasswordCost::MINIMAL).unwrap();
        assert_ne!(make(), make());
    }

    #[test]
    fn a_password_typed_on_another_keyboard_is_the_same() {
        let hash = StoredHash::make(&"pässword".into(), PasswordCost::MINIMAL).unwrap();
        assert!(hash.verify(&"pa\u{308}ssword".into()));
    }

    #[test]
    fn password_length_is_bounded() {
        let longest = "x".repeat(PASSWORD_OCTETS_MAX);
        assert!(StoredHash::make(&longest.as_str().into(), PasswordCost::MINIMAL).is_ok());
        for bad in [String::new(), format!("{longest}x")] {
            let made = StoredHash::make(&bad.into(), PasswordCost::MINIMAL);
            assert_eq!(made, Err(HashError::BadPassword));
        }
    }

    #[test]
    fn log_in_upgrades_imported_hashes_and_older_costs() {
        let settings = cheap();
        let imported = "{SHA512-CRYPT}$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/";
        let old = Credential::make(&NewPassword::Hash(imported.into()), &settings).unwrap();
        assert!(old.scram.is_none());
        let new = old.upgraded(&"correct horse".into(), &settings).unwrap();
        assert!(new.scram.is_some());
        assert!(matches!(new.hash, Some(StoredHash::Own(_))));
        assert_eq!(new.generation, old.generation);
        assert_eq!(new.upgraded(&"correct horse".into(), &settings), None);

        let dearer = Settings {
            password_cost: PasswordCost { passes: 2, ..PasswordCost::MINIMAL },
            ..settings.clone()
        };
        assert!(new.upgraded(&"correct horse".into(), &dearer).is_some());
        let more_iterations = Settings { scram_iterations: 4097, ..settings };
        assert!(new.upgraded(&"correct horse".into(), &more_iterations).is_some());
    }

    #[test]
    fn imported_cleartext_is_hashed_and_never_stored() {
        for text in ["{PLAIN}correct horse", "{CLEARTEXT}correct horse", "{plain}correct horse"] {
            let credential = Credential::make(&NewPassword::Hash(text.into()), &cheap()).unwrap();
            let hash = credential.hash.unwrap();
            assert!(hash.as_text().starts_with("$argon2id$"));
            assert!(hash.verify(&"correct horse".into()));
            assert!(credential.scram.is_some());
        }
    }
}
