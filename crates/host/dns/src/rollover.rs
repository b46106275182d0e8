//! Looking at the root's keys now and then, and taking up what has become of them (RFC 5011 §2.3).
//!
//! A look asks with a recursor of its own, whose caches are empty, and checks the signatures itself: the library's answer
//! would not tell which key made which signature.

use std::path::PathBuf;
use std::time::Duration;

use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, RRSIG};
use hickory_resolver::proto::dnssec::{PublicKey, TrustAnchors, Verifier};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record, RecordType, SerialNumber};
use platform::clock::Timestamp;
use platform::durable::{self, Readable};

use crate::anchors::{Anchors, RootKey, Seen, TEXT_OCTETS_MAX};
use crate::answer::LookupError;
use crate::network::{Network, Validation};
use crate::settings::Settings;

/// Signatures that one look verifies at most: each key of the set may have made one, and may have a namesake.
const VERIFICATIONS_MAX: usize = 32;

/// What is remembered of the root's keys, and where.
#[derive(Debug)]
pub(crate) struct Keeper {
    anchors: Anchors,
    file: Option<PathBuf>,
}

impl Keeper {
    /// What the file remembers, in line with the configuration. A file that cannot be read is as none: the configured
    /// keys stand by themselves.
    pub(crate) fn open(configured: &TrustAnchors, file: Option<PathBuf>) -> Self {
        let remembered = file.as_deref().and_then(|path| match std::fs::read_to_string(path) {
            Ok(text) => {
                let read = Anchors::from_text(&text);
                if read.is_none() {
                    tracing::warn!(file = %path.display(), octets_max = TEXT_OCTETS_MAX, "the root's keys cannot be read from the file; those of the configuration are used");
                }
                read
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "the root's keys cannot be read from the file; those of the configuration are used");
                None
            }
        });
        let anchors = match remembered {
            Some(remembered) => remembered.in_line_with(configured),
            None => Anchors::new(configured),
        };
        Self { anchors, file }
    }

    pub(crate) fn trusted(&self) -> TrustAnchors {
        self.anchors.trusted()
    }

    /// The keys with what a look found.
    pub(crate) fn after(&self, seen: &Seen, now: Timestamp) -> Self {
        let mut anchors = self.anchors.clone();
        anchors.observe(seen, now);
        Self { anchors, file: self.file.clone() }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.anchors == other.anchors
    }

    /// Makes it durable.
    pub(crate) async fn save(&self) -> std::io::Result<()> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let text = self.anchors.to_text();
        let written =
            tokio::task::spawn_blocking(move || durable::write(&file, text.as_bytes(), Readable::All)).await;
        written.map_err(std::io::Error::other)?
    }
}

/// Asks for the root's set of keys, and checks who signed it.
pub(crate) async fn look(
    settings: &Settings,
    trusted: &TrustAnchors,
    now: Timestamp,
) -> Result<Seen, LookupError> {
    let network = Network::new(settings, Validation::PassedOn)
        .map_err(|error| LookupError::Unreachable(error.to_string()))?;
    let query = Query::query(Name::root(), RecordType::DNSKEY);
    let asking = network.reply(&query);
    let reply = tokio::time::timeout(settings.bounds.question_time_max, asking);
    let reply = reply.await.unwrap_or(Err(LookupError::Timeout))?;
    Ok(judge(&reply.answers, trusted, now))
}

/// What a set of keys with its signatures is worth.
fn judge(records: &[Record], trusted: &TrustAnchors, now: Timestamp) -> Seen {
    let (mut keys, mut signatures) = (Vec::new(), Vec::new());
    for record in records.iter().filter(|record| record.name.is_root()) {
        match &record.data {
            RData::DNSSEC(DNSSECRData::DNSKEY(key)) => keys.push((record.clone(), key)),
            RData::DNSSEC(DNSSECRData::RRSIG(signature)) => signatures.push(signature),
            _ => {}
        }
    }
    let set: Vec<&Record> = keys.iter().map(|(record, _)| record).collect();
    let mut seen = Seen {
        standing: None,
        revoked: Vec::new(),
        original_ttl: Duration::ZERO,
        signed_for: Duration::ZERO,
    };
    let mut verifications = 0;
    for signature in signatures {
        let Some(signed_for) = time_left(signature, now) else { continue };
        for (_, key) in keys.iter().filter(|(_, key)| may_have_made(key, signature)) {
            verifications += 1;
            let is_good = verifications <= VERIFICATIONS_MAX
                && key.verify_rrsig(&Name::root(), DNSClass::IN, signature, set.iter().copied()).is_ok();
            if !is_good {
                continue;
            }
            if key.revoke() {
                seen.revoked.push(root_key(key));
            } else if trusted.contains(key.public_key()) {
                seen.original_ttl = Duration::from_secs(signature.input().original_ttl.into());
                seen.signed_for = signed_for;
                let standing = keys
                    .iter()
                    .filter(|(_, key)| key.zone_key() && key.secure_entry_point() && !key.revoke());
                seen.standing = Some(standing.map(|(_, key)| root_key(key)).collect());
            }
        }
    }
    seen
}

/// How long a signature is still good; `None` when it is not (RFC 4034 §3.1.5: by serial number arithmetic).
fn time_left(signature: &RRSIG, now: Timestamp) -> Option<Duration> {
    // Cut to 32 bits as the field is.
    let now = SerialNumber::new((now.unix_seconds() & 0xffff_ffff) as u32);
    let input = signature.input();
    let is_good = input.type_covered == RecordType::DNSKEY
        && input.signer_name.is_root()
        && now <= input.sig_expiration
        && now >= input.sig_inception;
    is_good.then(|| Duration::from_secs(input.sig_expiration.get().wrapping_sub(now.get()).into()))
}

fn may_have_made(key: &DNSKEY, signature: &RRSIG) -> bool {
    key.zone_key()
        && key.algorithm() == signature.input().algorithm
        && key.calculate_key_tag().is_ok_and(|tag| tag == signature.input().key_tag)
}

fn root_key(key: &DNSKEY) -> RootKey {
    RootKey::new(key.public_key().algorithm(), key.public_key().public_bytes())
}
