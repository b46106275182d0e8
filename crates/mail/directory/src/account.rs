//! Accounts: who has mailboxes here.

use mail_types::{AccountId, Address, AddressError, Secret};
use platform::clock::Timestamp;

use crate::password::is_known_scheme;

/// Longest name of a person, in octets.
pub const DISPLAY_NAME_OCTETS_MAX: usize = 255;

/// An account as the directory knows it. Its mail is the mailstore's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Its number, given once and never again, even after the account is gone.
    pub id: AccountId,
    /// Its address, local part in lower case: also the name it logs in with.
    pub address: Address,
    /// The person's name, for other people's eyes.
    pub display_name: Option<Box<str>>,
    /// How much it may keep.
    pub quota: Quota,
    /// Whether it may log in and receive.
    pub state: AccountState,
    /// When it was added.
    pub created: Timestamp,
    /// Whether a password is set at all.
    pub has_password: bool,
    /// Whether SCRAM keys are stored: a cleartext password has been seen since the last import.
    pub has_scram_keys: bool,
}

/// Whether an account may be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccountState {
    /// May log in, send and receive.
    Enabled,
    /// May do none of it.
    Disabled {
        /// The operator's words; for the operator only.
        reason: Box<str>,
    },
}

/// How much an account may keep; `None` is without limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quota {
    /// Octets of all messages together.
    pub octets_max: Option<u64>,
    /// Number of messages.
    pub messages_max: Option<u64>,
}

/// An account to be added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewAccount {
    /// Its address; the domain must be there already.
    pub address: Address,
    /// How it will log in.
    pub password: NewPassword,
    /// The person's name.
    pub display_name: Option<String>,
    /// How much it may keep.
    pub quota: Quota,
}

/// How an account gets its password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NewPassword {
    /// No log-in until one is set.
    None,
    /// A password as typed.
    Cleartext(Secret),
    /// A hash from another server, with or without a Dovecot prefix (`{SHA512-CRYPT}$6$…`).
    Hash(Secret),
}

/// Why a line of a file of accounts cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AccountLineError {
    /// No password behind the address.
    #[error("a line is an address, a space and a password")]
    NoPassword,
    /// The address.
    #[error(transparent)]
    BadAddress(#[from] AddressError),
}

impl NewAccount {
    /// Reads one line of a file of accounts: the address, white space, and the password, which is all the rest of the
    /// line. A password that begins with the `{SCHEME}` of a hash is one. Empty lines and those that begin with `#` are
    /// `None`.
    ///
    /// # Errors
    /// [`AccountLineError`]; it never shows the line, which has a password.
    pub fn parse_line(line: &str, quota: Quota) -> Result<Option<Self>, AccountLineError> {
        let line = line.trim_start().trim_end_matches(['\r', '\n']);
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (address, password) = line.split_once(char::is_whitespace).ok_or(AccountLineError::NoPassword)?;
        let password = password.trim_start();
        if password.is_empty() {
            return Err(AccountLineError::NoPassword);
        }
        let secret = Secret::from(password);
        let password = if is_known_scheme(password) {
            NewPassword::Hash(secret)
        } else {
            NewPassword::Cleartext(secret)
        };
        Ok(Some(Self { address: Address::parse(address)?, password, display_name: None, quota }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(line: &str) -> NewPassword {
        NewAccount::parse_line(line, Quota::default()).unwrap().unwrap().password
    }

    #[test]
    fn a_line_is_an_address_and_the_rest_is_the_password() {
        assert_eq!(password("ann@example.org secret"), NewPassword::Cleartext("secret".into()));
        assert_eq!(
            password("ann@example.org\t two  words \r\n"),
            NewPassword::Cleartext("two  words ".into())
        );
        assert_eq!(
            password("ann@example.org {curly} secret"),
            NewPassword::Cleartext("{curly} secret".into())
        );
        let hash = "{SHA512-CRYPT}$6$salt$hash";
        assert_eq!(password(&format!("ann@example.org {hash}")), NewPassword::Hash(hash.into()));
    }

    #[test]
    fn empty_lines_and_comments_are_skipped() {
        for line in ["", "  \r\n", "# ann@example.org secret"] {
            assert_eq!(NewAccount::parse_line(line, Quota::default()), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn bad_lines_say_what_is_wrong() {
        let error = |line| NewAccount::parse_line(line, Quota::default()).unwrap_err();
        assert_eq!(error("ann@example.org"), AccountLineError::NoPassword);
        assert_eq!(error("ann@example.org  "), AccountLineError::NoPassword);
        assert_eq!(error("ann secret"), AccountLineError::BadAddress(AddressError::NoAt));
    }
}
