//! The keys with which senders of forwarded mail are rewritten (SRS): made at the first look, replaced now and then, and
//! known for as long as addresses made with them are good.

use mail_types::Secret;
use platform::clock::Timestamp;

use crate::directory::Directory;
use crate::error::DirectoryError;
use crate::password::random;

/// A key and the day it was made, counted from 1970.
#[derive(Clone, Debug)]
pub struct SrsKey {
    /// The key.
    pub secret: Secret,
    /// When it was made; it was in use until the next one was.
    pub made_on: u64,
}

/// Keys kept: the present one and those before it.
const KEYS_MAX: usize = 8;

impl Directory {
    /// All keys, the newest first; it makes addresses. A new one is made where there is none or the newest is older than
    /// `renew_after_days`.
    ///
    /// # Errors
    /// Storage trouble, or no random octets.
    pub fn srs_keys(&self, renew_after_days: u64) -> Result<Vec<SrsKey>, DirectoryError> {
        let today = days(self.inner.clock.now());
        let mut database = self.inner.database.lock();
        let mut keys = database.srs_keys()?;
        let is_fresh = keys.first().is_some_and(|key| today.saturating_sub(key.made_on) < renew_after_days);
        if !is_fresh {
            let key = SrsKey { secret: Secret::new(random::<32>()?.to_vec()), made_on: today };
            database.put_srs_key(&key, KEYS_MAX)?;
            keys.retain(|other| other.made_on != today);
            keys.insert(0, key);
            keys.truncate(KEYS_MAX);
        }
        Ok(keys)
    }
}

fn days(time: Timestamp) -> u64 {
    u64::try_from(time.unix_seconds()).unwrap_or_default() / (24 * 3_600)
}
