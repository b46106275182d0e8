//! What the operator may choose about the directory, as plain values that are already valid.

use std::net::IpAddr;
use std::time::Duration;

use mail_types::{Address, DomainName};

use crate::password::PasswordCost;
use crate::sasl::{SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN};

/// The directory's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This host's name; mail for its postmaster is ours even where the name is no hosted domain (RFC 5321 §4.5.1).
    pub hostname: Option<DomainName>,
    /// This host's addresses: `postmaster@[192.0.2.1]` is ours when the literal is one of them.
    pub host_addresses: Vec<IpAddr>,
    /// The domain of those who log in with a bare local part, and of `Postmaster` without a domain.
    pub default_domain: Option<DomainName>,
    /// Who reads mail for a postmaster or abuse address that is neither account nor alias.
    pub postmaster: Option<Address>,
    /// Characters that part an address's name from its detail (`ann+news`): each one of them does.
    pub sub_address_delimiters: Vec<char>,
    /// What a new password's Argon2id hash costs.
    pub password_cost: PasswordCost,
    /// Iterations of new SCRAM keys, between [`SCRAM_ITERATIONS_MIN`] and [`SCRAM_ITERATIONS_MAX`].
    pub scram_iterations: u32,
    /// Passwords verified at the same time, each with the memory of its hash.
    pub verification_threads: usize,
    /// Log-ins that may wait for verification; more are told to try later.
    pub verification_queue_max: usize,
    /// How long a verified password is remembered, so that a client's next connection costs no hash.
    pub verified_lifetime: Duration,
    /// Verified passwords remembered.
    pub verified_max: usize,
}

impl Settings {
    /// The iterations of new SCRAM keys, within their bounds.
    pub(crate) fn scram_iterations(&self) -> u32 {
        self.scram_iterations.clamp(SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_MAX)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hostname: None,
            host_addresses: Vec::new(),
            default_domain: None,
            postmaster: None,
            sub_address_delimiters: vec!['+'],
            password_cost: PasswordCost::default(),
            scram_iterations: 15_000,
            verification_threads: 2,
            verification_queue_max: 64,
            verified_lifetime: Duration::from_secs(600),
            verified_max: 4096,
        }
    }
}
