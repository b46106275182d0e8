//! Making the world outside fit a server: the DNS records of its domains and its host, what the world serves instead,
//! and the way from the one to the other.
//!
//! A [`Site`] says which records are wanted, [`zone_file`] writes them down, [`Checker`] compares them with what the
//! world serves and plans what has to change.

mod check;
mod finding;
mod issuer;
mod plan;
#[cfg(feature = "providers")]
mod provider;
mod record;
mod wanted;
mod world;
mod zone_file;

pub use check::{Certificate, Checker, Probes, Validation};
pub use finding::{Finding, Status};
pub use issuer::issuer_domain;
pub use plan::{Plan, ZoneChanges};
#[cfg(feature = "providers")]
pub use provider::{PROVIDERS, Provider, ProviderError};
pub use record::{Importance, Keeper, Purpose, TTL_SECONDS, Wanted};
pub use wanted::{Domain, Host, Identity, Key, Services, Site};
pub use world::{Served, World, Zone, ZoneServer};
pub use zone_file::{is_within, text_strings, zone_file};
