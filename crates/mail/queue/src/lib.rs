//! The outbound queue: messages on their way to other servers, durable in the packs' log, scheduled by destination.
//!
//! In a message's path: the MTA's doors call [`Queue::accept`]; delivery takes [`Lease`]s and settles [`Parcel`]s;
//! reports come from [`Overdue`]. Each state, step and crash point: docs/internals/queue-states.md.

mod destination;
mod error;
mod index;
mod keeper;
mod lease;
mod listing;
mod message;
mod metrics;
mod note;
mod operator;
mod overdue;
mod queue;
mod schedule;
mod settings;
mod shared;
mod spool;
mod state;

pub use destination::{
    CREDENTIALS_NAME_OCTETS_MAX, CredentialsName, DESTINATION_KEY_OCTETS_MAX, Destination, LmtpServer, Relay,
    RelayHost, RelayTls, SOCKET_PATH_OCTETS_MAX,
};
pub use error::QueueError;
pub use lease::{
    ConnectionEnd, Lease, NewReport, Parcel, ParcelOutcome, RecipientOutcome, ReportTo, SETTLING_MAX,
};
pub use listing::{Filter, LISTED_MAX, Listed, Page, QueueStats, Shown, ShownRecipient};
pub use message::{
    BodyNeeds, DIAGNOSTIC_OCTETS_MAX, DeliverBy, DeliverByMode, Diagnostic, ENVELOPE_ID_OCTETS_MAX,
    MessageKind, NewMessage, Notify, ORIGINAL_RECIPIENT_OCTETS_MAX, Priority, RECIPIENTS_MAX, Recipient,
    RecipientNumber, ReturnContent, UNTIL_RELEASED,
};
#[doc(hidden)]
pub use note::fuzz as fuzz_note;
pub use overdue::{Overdue, OverdueKind, OverdueRecipient};
pub use queue::{Accepted, NewEntry, Queue, Unattached};
pub use settings::Settings;
pub use state::{MessageState, RecipientState};
