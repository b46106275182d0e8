//! Appends whose octets have come and which wait for the disk while the client already sends the next ones: so a client
//! that does not wait for answers (RFC 7888, RFC 9051 §5.5) has many messages made durable by one write.

use std::collections::VecDeque;
use std::future::{self, Future};
use std::pin::Pin;
use std::task::Poll;

use imap::command::Tag;

use super::replies::{Done, Stop};

/// Appends that may wait at a time.
const WAITING_MAX: usize = 64;
/// Octets of appends that may wait at a time, those of the last one apart.
const WAITING_OCTETS_MAX: u64 = 4 * 1024 * 1024;

/// Appends that wait for the disk, first come first answered.
#[derive(Default)]
pub(crate) struct Filings {
    waiting: VecDeque<Filing>,
}

struct Filing {
    tag: Tag,
    octets: u64,
    progress: Progress,
}

enum Progress {
    Waiting(Pin<Box<dyn Future<Output = Result<Done, Stop>> + Send>>),
    Filed(Result<Done, Stop>),
}

impl Filings {
    /// Whether an answer must be waited for before more is taken.
    pub(crate) fn is_full(&self) -> bool {
        let octets: u64 = self.waiting.iter().map(|filing| filing.octets).sum();
        self.waiting.len() >= WAITING_MAX || octets >= WAITING_OCTETS_MAX
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Begins a filing: it is on its way to the disk when this returns, behind those begun before.
    pub(crate) async fn begin(
        &mut self,
        tag: Tag,
        octets: u64,
        filing: impl Future<Output = Result<Done, Stop>> + Send + 'static,
    ) {
        let mut filing: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(filing);
        let progress = future::poll_fn(|context| {
            Poll::Ready(match filing.as_mut().poll(context) {
                Poll::Ready(outcome) => Some(outcome),
                Poll::Pending => None,
            })
        });
        let progress = match progress.await {
            Some(outcome) => Progress::Filed(outcome),
            None => Progress::Waiting(filing),
        };
        self.waiting.push_back(Filing { tag, octets, progress });
    }

    /// Waits for the first filing to end; for ever where there is none. Cancelling loses nothing.
    pub(crate) async fn next(&mut self) -> (Tag, Result<Done, Stop>) {
        future::poll_fn(|context| {
            let Some(first) = self.waiting.front_mut() else { return Poll::Pending };
            if let Progress::Waiting(filing) = &mut first.progress {
                match filing.as_mut().poll(context) {
                    Poll::Ready(outcome) => first.progress = Progress::Filed(outcome),
                    Poll::Pending => return Poll::Pending,
                }
            }
            match self.waiting.pop_front() {
                Some(Filing { tag, progress: Progress::Filed(outcome), .. }) => Poll::Ready((tag, outcome)),
                // The first filing has ended, as the lines above have seen.
                _ => Poll::Pending,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Tag {
        Tag::parse(text.as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_commands() {
        let (slow, waits) = tokio::sync::oneshot::channel::<()>();
        let mut filings = Filings::default();
        filings
            .begin(tag("a"), 1, async move {
                let _ = waits.await;
                Ok(Done::plain("slow"))
            })
            .await;
        filings.begin(tag("b"), 1, async { Ok(Done::plain("quick")) }).await;
        slow.send(()).unwrap();
        assert_eq!(filings.next().await.0, tag("a"));
        assert_eq!(filings.next().await.0, tag("b"));
        assert!(filings.is_empty());
    }

    #[tokio::test]
    async fn what_waits_is_bounded() {
        let mut filings = Filings::default();
        for number in 0..WAITING_MAX {
            assert!(!filings.is_full(), "{number}");
            filings.begin(tag("a"), 1, future::pending()).await;
        }
        assert!(filings.is_full());
        let mut filings = Filings::default();
        filings.begin(tag("a"), WAITING_OCTETS_MAX - 1, future::pending()).await;
        assert!(!filings.is_full());
        filings.begin(tag("b"), 1, future::pending()).await;
        assert!(filings.is_full());
    }
}
