//! DNS: a resolver in the process that validates DNSSEC, and typed answers. The one door to the DNS library.
//!
//! Knows nothing of mail. Delivery asks it where a domain's mail goes and whether that answer is proven; doors ask it
//! for names of addresses. A [`Resolver`] asks the name servers of the world itself, beginning at the root, or
//! forwards to resolvers that are named to it; either way it validates signatures itself and takes no stranger's word
//! for it (RFC 4035 §4.9.3).
#![allow(unexpected_cfgs, reason = "scripts/fuzz sets `fuzzing`")]

mod anchors;
mod answer;
mod authority;
mod cache;
mod direct;
mod fixed;
mod forward;
mod frames;
mod name;
mod network;
mod question;
mod record;
mod recursion;
mod reply;
mod resolver;
mod respond;
mod rollover;
mod runtime;
mod serve;
mod settings;
mod trail;
mod update;
mod wildcard;
mod wire;
mod written;

pub use answer::{Answer, LookupError, Security};
pub use authority::{Authority, Told};
pub use fixed::FixedRecords;
pub use name::{LABEL_OCTETS_MAX, NAME_OCTETS_MAX, Name, NameError};
pub use record::{
    Authorization, MailExchanger, RecordData, RecordType, ServiceHost, TlsaRecord, UnknownType,
};
pub use resolver::Resolver;
#[cfg(fuzzing)]
pub use respond::answers_to;
pub use serve::{LocalService, ServiceError};
pub use settings::{
    Bounds, CACHE_OCTETS_DEFAULT, CACHE_OCTETS_MAX, Families, Forwarder, ForwarderTransport, Mode, RootHint,
    Settings, SettingsError, TrustAnchor,
};
pub use trail::{Step, Transport};
pub use update::{RecordChange, UPDATE_RECORDS_MAX, UpdateError, UpdateKey, UpdateKeyError, Updater};
pub use written::{LocalAddress, WrittenError};
