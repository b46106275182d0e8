//! Logging in: a door's conversation with the directory until there is proof of who is there.

use mail_types::{AccountId, Address, Secret};

use crate::directory::Directory;
use crate::error::AuthenticationError;

/// Proof that somebody has logged in. Only the directory can make one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticated {
    account: AccountId,
    address: Address,
}

impl Authenticated {
    /// Whose account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The account's own address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }
}

/// A user name and a password, as claimed by a client: IMAP's LOGIN, POP3's USER and PASS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PasswordClaim {
    /// The name as typed: an address, or a bare local part.
    pub user: String,
    /// The password as typed.
    pub password: Secret,
}

/// One SASL exchange, from the AUTH command to its end. Base64 is undone and done here.
#[derive(Debug)]
pub struct Login {
    pub(crate) directory: Directory,
}

/// What the door does next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LoginStep {
    /// Send this challenge, already in base64 (`334 …`, `+ …`), and bring the answer line to [`Login::respond`].
    Challenge(String),
    /// Logged in.
    Done(Authenticated),
}

impl Login {
    /// Begins with the AUTH command's initial response, if it had one (base64; `=` is an empty one, RFC 4954 §4).
    ///
    /// # Errors
    /// The exchange is over; the error says with which reply.
    pub async fn begin(&mut self, initial_response: Option<&[u8]>) -> Result<LoginStep, AuthenticationError> {
        let _ = (initial_response, &self.directory);
        Err(AuthenticationError::Refused)
    }

    /// Goes on with one line from the client, without its CRLF: base64, or `*` to give up.
    ///
    /// # Errors
    /// The exchange is over; the error says with which reply.
    pub async fn respond(&mut self, line: &[u8]) -> Result<LoginStep, AuthenticationError> {
        let _ = line;
        Err(AuthenticationError::Refused)
    }

    /// The user name the client has claimed so far: for the log and for throttling.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        None
    }
}
