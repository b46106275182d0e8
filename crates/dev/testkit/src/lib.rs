//! The small internet on loopback that tests and the demo live in: servers of our own to start and kill, clients that
//! speak a line at a time, remote mail hosts and the name server that knows them.
//!
//! Everything here is plain blocking code: a story reads from top to bottom.

mod corpus;
mod dialogue;
mod encrypted;
mod exchanger;
mod exchanger_session;
mod https_receiver;
mod imap_client;
mod internet;
mod name_server;
mod name_world;
mod ports;
mod remote_host;
mod server;
mod smtp_client;
mod zone;
mod zone_hashed;
mod zone_signing;

pub use corpus::{Corpus, Mail};
pub use dialogue::{Dialogue, WAIT_MAX};
pub use encrypted::Bindings;
pub use exchanger::{Exchanger, HeardSender, Phase, Received, Tongue, Whim};
pub use https_receiver::{HttpsReceiver, Posted};
pub use imap_client::{Answer, ImapClient};
pub use internet::Internet;
pub use name_server::{NameServer, Record};
pub use name_world::{Humour, NameWorld, Question, Signing, Transport};
pub use ports::{Offset, free_offset};
pub use remote_host::{RemoteHost, Temper};
pub use server::{Server, ServerOptions, mailstead_binary};
pub use smtp_client::SmtpClient;
