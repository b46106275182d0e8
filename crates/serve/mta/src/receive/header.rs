//! A message's header, gathered before its body: judged and changed as its origin asks, then stored.

use directory::Directory;
use mail_types::DomainName;
use message::{Collected, Field, HeaderCollector, fields, message_ids};
use platform::clock::Timestamp;
use sender_auth::dkim::KeyFor;
use sender_auth::dmarc::AuthorDomains;
use sender_auth::results;
use smtp::Reply;
use spam::is_verdict_field;

use super::replies;
use crate::inspect::watch::{Watch, keys_for};
use crate::submit::{self, Author};

/// Longest header we take. Postfix cuts at 100 KiB (`header_size_limit`); lists of tens of thousands of recipients in To are
/// seen.
pub(crate) const HEADER_OCTETS_MAX: usize = 2 * 1024 * 1024;

/// Where a message comes from. Each but the first has Received fields, of which only so many are not yet a loop
/// (RFC 5321 §6.3).
pub(crate) enum Origin {
    /// One of our people.
    Author(Author),
    /// A host that may send as if it were ours.
    Host { received_max: u32, directory: Directory, now: Timestamp },
    /// A server in front of us or a program on this machine: whatever it says of the message stands, but for what it says of its
    /// content where we judge that.
    Front { received_max: u32, is_judged: bool },
    /// Any other server.
    Stranger(Stranger),
}

/// What is done with mail of strangers.
pub(crate) struct Stranger {
    pub(crate) received_max: u32,
    /// Our name in Authentication-Results.
    pub(crate) us: DomainName,
    /// Whether its sender is checked.
    pub(crate) is_checked: bool,
    /// What it is sealed with, if it is passed on.
    pub(crate) seal: Option<KeyFor>,
    pub(crate) now: Timestamp,
}

/// A header that is not whole yet.
pub(crate) struct HeaderInWaiting {
    origin: Origin,
    collector: HeaderCollector,
    octets: usize,
}

impl HeaderInWaiting {
    pub(crate) fn new(origin: Origin) -> Self {
        Self { origin, collector: HeaderCollector::new(HEADER_OCTETS_MAX), octets: 0 }
    }

    /// Octets that came so far.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    /// Takes the next octets of the message; the number says how many belong to the header, if it ends with them.
    pub(crate) fn take(&mut self, octets: &[u8]) -> Result<Option<usize>, Reply> {
        match self.collector.feed(octets) {
            Collected::More => {
                self.octets += octets.len();
                Ok(None)
            }
            Collected::Complete { taken } => Ok(Some(taken)),
            Collected::TooLong => Err(replies::HEADER_TOO_LARGE),
        }
    }

    /// The header as it is stored, and what looks at the body.
    pub(crate) fn finish(self) -> Result<(Vec<u8>, Watch), Reply> {
        let header = self.collector.into_header();
        let mut watch = Watch::default();
        let header = match self.origin {
            Origin::Author(author) => {
                let header = submit::complete(&header, &author)?;
                sign(&mut watch, &header, &author.directory, author.now);
                header
            }
            Origin::Host { received_max, directory, now } => {
                count_hops(&header, received_max)?;
                sign(&mut watch, &header, &directory, now);
                header
            }
            Origin::Front { received_max, is_judged } => {
                count_hops(&header, received_max)?;
                if is_judged { without(header, |field| is_verdict_field(field.name)) } else { header }
            }
            Origin::Stranger(stranger) => {
                count_hops(&header, stranger.received_max)?;
                if stranger.is_checked {
                    watch.verify(&header);
                }
                let header = without_forgeries(header, &stranger.us);
                if let Some(key) = stranger.seal {
                    watch.seal(&header, key, seconds(stranger.now));
                }
                header
            }
        };
        Ok((header, watch))
    }
}

/// What stands behind Message-ID, for the record.
pub(crate) fn message_id(header: &[u8]) -> Option<String> {
    let field = fields(header).find(|field| field.is_named("Message-ID"))?;
    let id = message_ids(field.value).next()?;
    Some(format!("<{}>", String::from_utf8_lossy(&id)))
}

fn count_hops(header: &[u8], received_max: u32) -> Result<(), Reply> {
    let hops = fields(header).filter(|field| field.is_named("Received")).count();
    if hops > received_max as usize { Err(replies::MAIL_LOOP) } else { Ok(()) }
}

/// Signs with the keys of the author's domain. A message with several authors is nobody's to sign.
pub(crate) fn sign(watch: &mut Watch, header: &[u8], directory: &Directory, now: Timestamp) {
    let authors = AuthorDomains::of_header(header);
    if let Some(author) = authors.only() {
        watch.sign(header, &keys_for(directory, author), seconds(now));
    }
}

/// Seconds since 1970.
pub(crate) fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.unix_seconds()).unwrap_or_default()
}

/// Takes away what claims to be our judgement of its sender (RFC 8601 §5) or of its content. Mostly there is nothing, and nothing is copied.
fn without_forgeries(header: Vec<u8>, us: &DomainName) -> Vec<u8> {
    let ours = std::slice::from_ref(us);
    without(header, |field| {
        let is_result = field.is_named("Authentication-Results") && results::is_forged(field.value, ours);
        is_result || is_verdict_field(field.name)
    })
}

/// A header, or a message's beginning, without some of its fields.
pub(crate) fn without(header: Vec<u8>, is_forged: impl Fn(&Field<'_>) -> bool) -> Vec<u8> {
    if !fields(&header).any(|field| is_forged(&field)) {
        return header;
    }
    let mut kept = Vec::with_capacity(header.len());
    let mut all = fields(&header);
    for field in all.by_ref().filter(|field| !is_forged(field)) {
        kept.extend_from_slice(field.raw);
    }
    kept.extend_from_slice(all.rest());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(message: &str) -> Result<Vec<u8>, Reply> {
        let mut waiting = HeaderInWaiting::new(Origin::Stranger(Stranger {
            received_max: 2,
            us: DomainName::parse("mx.example.org").unwrap(),
            is_checked: false,
            seal: None,
            now: Timestamp::from_unix_seconds(0),
        }));
        waiting.take(message.as_bytes()).unwrap();
        waiting.finish().map(|(header, _)| header)
    }

    #[test]
    fn one_more_server_than_the_most_is_a_loop() {
        for (message, is_loop) in [
            ("Received: a\r\nRECEIVED: b\r\n\tReceived: folded\r\n\r\nReceived: body\r\n", false),
            ("Received: a\r\nreceived : b\r\nReceived: c\r\n\r\n", true),
            ("Received: a\r\nReceived: b\r\nReceived: no end", true),
            ("X-Received: a\r\nReceived-SPF: pass\r\nReceive: x\r\n\r\n", false),
        ] {
            assert_eq!(judge(message).is_err(), is_loop, "{message:?}");
        }
    }

    #[test]
    fn what_claims_to_be_our_judgement_is_taken_away() {
        let header = judge(
            "Subject: a\r\nAuthentication-Results: mx.example.org;\r\n dmarc=pass\r\nAuthentication-Results: \
             other.example; spf=pass\r\nAUTHENTICATION-RESULTS : (x) MX.EXAMPLE.ORG 1; spf=pass\r\nTo: b\r\n\r\n",
        );
        let kept = "Subject: a\r\nAuthentication-Results: other.example; spf=pass\r\nTo: b\r\n\r\n";
        assert_eq!(header.unwrap(), kept.as_bytes());
    }

    #[test]
    fn another_filters_verdict_stands_where_we_do_not_judge() {
        let told = "Authentication-Results: front.example; spf=pass\r\n";
        let (verdict, rest) = ("X-Spam-Flag: NO\r\n", "Subject: a\r\n\r\n");
        for (is_judged, kept) in [(false, [verdict, told, rest].concat()), (true, [told, rest].concat())] {
            let mut waiting = HeaderInWaiting::new(Origin::Front { received_max: 2, is_judged });
            waiting.take([verdict, told, rest].concat().as_bytes()).unwrap();
            assert_eq!(waiting.finish().unwrap().0, kept.as_bytes());
        }
    }

    #[test]
    fn a_header_has_a_bound() {
        for (octets, is_taken) in
            [(HEADER_OCTETS_MAX - 1, true), (HEADER_OCTETS_MAX, true), (HEADER_OCTETS_MAX + 1, false)]
        {
            let mut waiting = HeaderInWaiting::new(Origin::Front { received_max: 2, is_judged: false });
            assert_eq!(waiting.take(&vec![b'x'; octets]).is_ok(), is_taken);
        }
    }
}
