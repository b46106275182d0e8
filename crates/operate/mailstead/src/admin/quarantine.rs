//! What an operator does with mail that is kept apart.

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mta::Quarantined;
use serde::{Deserialize, Serialize};

use super::Answer;
use super::execute::{account, done};
use super::queue::time;
use crate::house::House;
use crate::quarantine;
use crate::shown::{field_text, kept_header};

/// Octets of a message that are shown.
const SHOWN_OCTETS_MAX: usize = 1024 * 1024;

/// What is asked about mail that is kept apart.
#[derive(Clone, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", tag = "act")]
pub(crate) enum QuarantineRequest {
    /// What there is, of an account or of everybody.
    List { address: Option<String>, most: usize },
    /// One message as it came.
    Show { id: String },
    /// Give it to whom it is for, and learn that it is wanted.
    Release { ids: Vec<String> },
    /// Tell everybody of what they were not told of yet.
    Digest,
    /// Throw it away.
    Drop { ids: Vec<String> },
}

/// A message that is kept apart.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct QuarantineLine {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) date: String,
    pub(crate) from: String,
    pub(crate) subject: String,
    pub(crate) octets: u64,
}

pub(super) async fn act(house: &House, request: QuarantineRequest) -> anyhow::Result<Answer> {
    match request {
        QuarantineRequest::List { address, most } => {
            let of = address.map(|address| account(house, &address)).transpose()?.map(|account| account.id);
            let found = house.quarantine().list(of, most).await?;
            Ok(Answer::Quarantined { messages: found.iter().map(|found| line(house, found)).collect() })
        }
        QuarantineRequest::Show { id } => {
            let (_, reader) = house.quarantine().find(&id).await?;
            let octets = reader.beginning(SHOWN_OCTETS_MAX).await?;
            Ok(Answer::QuarantinedMessage { message: STANDARD.encode(octets) })
        }
        QuarantineRequest::Release { ids } => {
            for id in &ids {
                quarantine::release(house, id).await.with_context(|| id.clone())?;
            }
            done(format!("{} released, and learned as wanted", ids.join(", ")))
        }
        QuarantineRequest::Digest => {
            let people = quarantine::tell(house).await?;
            done(format!("{people} people are told of mail that is kept apart"))
        }
        QuarantineRequest::Drop { ids } => {
            for id in &ids {
                house.quarantine().drop_message(id).await.with_context(|| id.clone())?;
            }
            done(format!("{} thrown away", ids.join(", ")))
        }
    }
}

fn line(house: &House, found: &Quarantined) -> QuarantineLine {
    let header = kept_header(found.summary.as_deref());
    let account = house.directory.account(found.account);
    QuarantineLine {
        id: found.id.clone(),
        address: account.map(|account| account.address.to_string()).unwrap_or_default(),
        date: time(found.time),
        from: field_text(&header, "From"),
        subject: field_text(&header, "Subject"),
        octets: found.octets,
    }
}
