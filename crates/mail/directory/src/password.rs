//! Passwords: how they are hashed, verified and read from other servers.

/// What a new Argon2id hash costs (RFC 9106 §4; defaults are OWASP's).
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
    pub const MINIMAL: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };
}

/// Why a password or an imported hash cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HashError {
    /// Empty, or longer than anybody types.
    #[error("a password has 1 to 1024 octets")]
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
}
