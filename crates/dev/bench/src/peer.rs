//! What the same work is done on: a server with its ports, its people and its costs.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

/// A server under load.
pub(crate) trait Peer {
    /// Its name in the report.
    fn name(&self) -> String;
    /// Where mail comes in.
    fn smtp(&self) -> SocketAddr;
    /// Where mail is read, without TLS.
    fn imap(&self) -> SocketAddr;
    /// Where mail is read, with TLS.
    fn imaps(&self) -> SocketAddr;
    /// How many sessions it can reasonably be asked to hold on a test machine.
    fn sessions_max(&self) -> u32;
    /// Waits until all mail it has accepted has reached its mailbox.
    fn wait_until_filed(&self) -> Result<()>;
    /// CPU time used so far.
    fn cpu_time(&self) -> Result<Duration>;
    /// Memory resident now.
    fn resident_octets(&self) -> Result<u64>;
    /// Fills the mailbox `Archive` of the first account by the quickest way there is, or leaves it to APPEND (`false`).
    fn fill(&self, count: u32) -> Result<bool>;
}

/// The accounts are user0@example.test … user9@example.test.
pub(crate) const ACCOUNTS: u32 = 10;
/// Their password.
pub(crate) const PASSWORD: &str = "correct horse 7";

/// An account's address.
pub(crate) fn account(number: u32) -> String {
    format!("user{}@example.test", number % ACCOUNTS)
}
