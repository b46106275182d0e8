//! What an operator asks of the queue, done on an open house.

use std::time::Duration;

use anyhow::{Context, bail};
use mail_types::{Address, QueueId, ReversePath};
use platform::clock::Timestamp;
use queue::{Destination, Filter, Listed, MessageState, QueueError, RecipientState, Shown};

use super::{Answer, QueueChange, QueueLine, QueueMessage, QueueRecipient, QueueStatus, Which};
use crate::house::House;

pub(super) async fn list(
    house: &House,
    which: &Which,
    after: Option<&str>,
    most: usize,
) -> anyhow::Result<Answer> {
    let after = after.map(queue_id).transpose()?;
    let mut messages: Vec<QueueLine> = Vec::new();
    for filter in filters(house, which)? {
        let mut from = after;
        // A page may be short although there is more.
        while messages.len() < most {
            let page = house.queue.list(filter.clone(), from, most - messages.len()).await?;
            messages.extend(page.messages.iter().map(line));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        if let Some(next) = from {
            return Ok(Answer::Queue { messages, next: Some(next.to_text()) });
        }
    }
    Ok(Answer::Queue { messages, next: None })
}

pub(super) async fn show(house: &House, id: &str) -> anyhow::Result<Answer> {
    let shown = match house.queue.show(queue_id(id)?).await {
        Err(QueueError::NoSuchMessage(_)) => {
            bail!("{id} is not in the queue; `mailstead trace {id}` tells what became of it")
        }
        shown => shown?,
    };
    Ok(Answer::QueueMessage { message: Box::new(message(&shown)) })
}

pub(super) async fn change(house: &House, which: &Which, change: QueueChange) -> anyhow::Result<Answer> {
    let mut count = 0;
    for filter in filters(house, which)? {
        count += match change {
            QueueChange::Retry => house.queue.retry(filter).await?,
            QueueChange::Hold => house.queue.hold(filter).await?,
            QueueChange::Release => house.queue.release(filter).await?,
            QueueChange::Drop => house.queue.drop_recipients(filter).await?,
        };
    }
    if count == 0 && !which.ids.is_empty() {
        bail!(
            "nothing is to be changed of these; `mailstead queue list` shows what is in the queue, and what is held"
        );
    }
    let is_partial = which.destination.is_some() || which.recipient.is_some();
    let what = match change {
        QueueChange::Retry if is_partial => "tried again now for the recipients that are meant",
        QueueChange::Drop if is_partial => {
            "dropped for the recipients that are meant; their senders are not told"
        }
        QueueChange::Retry => "tried again now",
        QueueChange::Hold => "held until they are released",
        QueueChange::Release => "released",
        QueueChange::Drop => "dropped; their senders are not told",
    };
    Ok(Answer::Done { what: format!("{count} messages {what}") })
}

pub(super) async fn status(house: &House) -> anyhow::Result<Answer> {
    let stats = house.queue.stats().await?;
    Ok(Answer::QueueStatus {
        status: QueueStatus {
            messages: stats.messages,
            held: stats.held,
            deferred: stats.deferred,
            octets: stats.octets,
            destinations: stats.destinations,
            destinations_unreachable: stats.destinations_unreachable,
            connections: stats.connections,
            oldest: stats.oldest.map(time),
        },
    })
}

/// One filter for each id named, or one for all.
fn filters(house: &House, which: &Which) -> anyhow::Result<Vec<Filter>> {
    let destination = which.destination.as_deref().map(|text| {
        Destination::from_key(text).with_context(|| {
            format!("{text:?} is no destination; `mailstead queue show ID` names those of a message")
        })
    });
    let sender = which.sender.as_deref().map(|text| match text {
        "" | "<>" => Ok(ReversePath::Null),
        text => address(text).map(ReversePath::Address),
    });
    let before = which
        .older_than_seconds
        .map(|seconds| house.clock.now().saturating_sub(Duration::from_secs(seconds)));
    let all = Filter {
        id: None,
        destination: destination.transpose()?,
        sender: sender.transpose()?,
        recipient: which.recipient.as_deref().map(address).transpose()?,
        before,
        state: which.only_held.then_some(MessageState::Held),
        submitter: None,
    };
    if which.ids.is_empty() {
        return Ok(vec![all]);
    }
    which.ids.iter().map(|id| Ok(Filter { id: Some(queue_id(id)?), ..all.clone() })).collect()
}

fn address(text: &str) -> anyhow::Result<Address> {
    Address::parse(text).with_context(|| format!("{text:?} is no address"))
}

fn queue_id(text: &str) -> anyhow::Result<QueueId> {
    QueueId::from_text(text)
        .with_context(|| format!("{text:?} is no message of the queue; `mailstead queue list` shows them"))
}

pub(crate) fn time(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.unix_millis()).map(|time| time.to_string()).unwrap_or_default()
}

fn line(listed: &Listed) -> QueueLine {
    QueueLine {
        id: listed.id.to_text(),
        arrived: time(listed.arrived),
        sender: listed.reverse_path.to_string(),
        octets: listed.octets,
        state: match listed.state {
            MessageState::Waiting => "waiting",
            MessageState::Held => "held",
        }
        .to_owned(),
        recipients_waiting: listed.recipients_waiting as u64,
        next_try: listed.next_try.map(time),
        last: listed.last.as_ref().map(ToString::to_string),
    }
}

fn message(shown: &Shown) -> QueueMessage {
    let recipient = |(shown, recipient): (&queue::ShownRecipient, &queue::Recipient)| QueueRecipient {
        address: recipient.forward_path.to_string(),
        destination: recipient.destination.key(),
        state: word(shown.state).to_owned(),
        attempts: shown.attempts,
        next_try: shown.next_try.map(time),
        last: shown.last.as_ref().map(ToString::to_string),
    };
    QueueMessage {
        line: line(&shown.listed),
        transaction: shown.message.way.to_text(),
        expires: time(shown.expires),
        recipients: shown.recipients.iter().zip(&shown.message.recipients).map(recipient).collect(),
    }
}

fn word(state: RecipientState) -> &'static str {
    match state {
        RecipientState::Waiting => "waiting",
        RecipientState::Delivered => "delivered",
        RecipientState::Relayed => "relayed",
        RecipientState::Failed => "failed",
        RecipientState::Expired => "expired",
        RecipientState::Dropped => "dropped",
    }
}
