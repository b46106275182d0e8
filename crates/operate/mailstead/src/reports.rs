//! Reports that servers send each other about mail (RFC 9990, RFC 8460, RFC 5965): what we count for others and send them
//! when the day is over, and what others send us, kept for `dns report`.

mod book;
mod complaints;
mod compose;
mod post;
mod receive;
mod send;
mod tally;
mod told;

pub(crate) use book::ReportBook;
pub(crate) use post::Poster;
pub(crate) use receive::{Reader, ReportMail, WAITING_MAX, of_way};
pub(crate) use send::{Choices, Sender, Sent, delay_seconds, due, save_tls};
pub(crate) use tally::row_of;
#[cfg(test)]
pub(crate) use told::ReceivedLine;
pub(crate) use told::{Told, tell};
