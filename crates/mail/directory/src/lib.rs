//! Domains, accounts, aliases, passwords and permissions, and SASL against them.
//!
//! The doors ask here who may log in, whose mail an address's is, and who may send as whom (RFC 5321 §3.6, §4.5.1;
//! RFC 4422 for SASL). Look-ups read an immutable snapshot in memory and never block; changes go to
//! `DATA/directory.db` first and into the snapshot after the commit.

mod account;
mod alias;
mod change;
mod database;
mod directory;
mod domain;
mod error;
mod login;
mod password;
mod resolve;
pub mod sasl;
mod settings;
mod snapshot;

pub use account::{
    Account, AccountLineError, AccountState, DISPLAY_NAME_OCTETS_MAX, NewAccount, NewPassword, Quota,
};
pub use alias::{ALIAS_TARGETS_MAX, Alias, AliasError, AliasSource, AliasTarget};
pub use directory::Directory;
pub use domain::{Domain, Removal};
pub use error::{AuthenticationError, DirectoryError};
pub use login::{Authenticated, Login, LoginStep, PasswordClaim};
pub use password::{HashError, PASSWORD_OCTETS_MAX, PasswordCost, fill_random, prepare_password};
pub use resolve::{EXPANSION_ADDRESSES_MAX, LocalTarget, Recipients, Resolution};
pub use settings::Settings;
