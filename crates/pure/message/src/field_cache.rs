//! Raw header fields kept with the summary, so that a mail list can be shown without reading messages: what mail
//! programs name in BODY[HEADER.FIELDS (...)] (RFC 9051 §6.4.5).

use crate::header::{Choice, Field, blank_line_octets, choose_fields};

/// The names that are kept, in lower case and sorted. They are what Thunderbird, Apple Mail, K-9, FairEmail, mutt, Outlook,
/// Evolution, KMail and Roundcube ask for when they list a mailbox, without the trace and signature fields: those
/// are long, and whoever wants them mostly wants the whole header.
const KEPT: [&str; 60] = [
    "auto-submitted",
    "autocrypt-setup-message",
    "bcc",
    "bimi-indicator",
    "bimi-location",
    "cc",
    "chat-disposition-notification-to",
    "chat-group-id",
    "chat-is-post-message",
    "chat-predecessor",
    "chat-version",
    "comments",
    "content-class",
    "content-description",
    "content-disposition",
    "content-id",
    "content-language",
    "content-transfer-encoding",
    "content-type",
    "date",
    "delivered-to",
    "disposition-notification-to",
    "errors-to",
    "followup-to",
    "from",
    "importance",
    "in-reply-to",
    "keywords",
    "lines",
    "list-archive",
    "list-help",
    "list-id",
    "list-owner",
    "list-post",
    "list-subscribe",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "mail-followup-to",
    "mail-reply-to",
    "message-id",
    "mime-version",
    "newsgroups",
    "organization",
    "precedence",
    "priority",
    "references",
    "reply-to",
    "return-path",
    "return-receipt-to",
    "sender",
    "subject",
    "to",
    "user-agent",
    "x-draft-info",
    "x-label",
    "x-mailer",
    "x-original-to",
    "x-priority",
    "x-spam-flag",
    "x-spam-status",
];

/// Different names of fields that are not kept which are remembered. Real headers have fewer than 100 such fields; of more
/// than twice as many nothing is known, whatever their names.
const ELSEWHERE_MAX: usize = 512;

/// Raw header fields in their order, with the knowledge of which names are wholly here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachedFields {
    /// The kept fields and the blank line of the header, if it has one.
    pub(crate) octets: Vec<u8>,
    /// Fingerprints of the names of all fields that are not here, sorted.
    pub(crate) elsewhere: Vec<u16>,
    /// Whether all names of the header are known.
    pub(crate) is_whole_header_known: bool,
}

impl CachedFields {
    /// Whether all fields of this name are here, or the message has none: if not, the message must be read.
    pub fn covers(&self, name: &[u8]) -> bool {
        self.is_whole_header_known && self.elsewhere.binary_search(&fingerprint(name)).is_err()
    }

    /// Appends what BODY[HEADER.FIELDS (names)] gives, blank line included; `None` (and nothing appended) if the
    /// message must be read for it.
    pub fn choose<N: AsRef<[u8]>>(&self, names: &[N], chosen: &mut Vec<u8>) -> Option<()> {
        if !names.iter().all(|name| self.covers(name.as_ref())) {
            return None;
        }
        choose_fields(&self.octets, names, Choice::Named, chosen);
        Some(())
    }

    /// All kept fields, raw, with the header's blank line.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Takes the header's next field, if it is one of those that are kept and there is room.
    pub(crate) fn take(&mut self, field: &Field<'_>, octets_max: usize) {
        let is_kept = is_kept_name(field.name)
            && field.raw.ends_with(b"\n")
            && self.octets.len() + field.raw.len() <= octets_max;
        if is_kept {
            self.octets.extend_from_slice(field.raw);
        } else if !field.name.is_empty() && self.elsewhere.len() <= 2 * ELSEWHERE_MAX {
            self.elsewhere.push(fingerprint(field.name));
        }
    }

    /// The header has ended: `rest` is what follows its last field, `is_whole` says that none of it was cut off. The blank line is
    /// kept, since every choice of fields ends with it.
    pub(crate) fn end(&mut self, rest: &[u8], is_whole: bool) {
        let is_overfull = self.elsewhere.len() > 2 * ELSEWHERE_MAX;
        self.elsewhere.sort_unstable();
        self.elsewhere.dedup();
        self.is_whole_header_known = is_whole && !is_overfull && self.elsewhere.len() <= ELSEWHERE_MAX;
        if !self.is_whole_header_known {
            self.elsewhere = Vec::new();
        }
        if let Some(blank) = blank_line_octets(rest).and_then(|octets| rest.get(..octets)) {
            self.octets.extend_from_slice(blank);
        }
    }
}

fn is_kept_name(name: &[u8]) -> bool {
    let compare = |kept: &&str| {
        let lower = name.iter().map(u8::to_ascii_lowercase);
        kept.bytes().cmp(lower)
    };
    KEPT.binary_search_by(compare).is_ok()
}

/// FNV-1a over the lower-case name, folded to 16 bits. Two names with one fingerprint cost a needless look into the
/// message, no more.
fn fingerprint(name: &[u8]) -> u16 {
    let hash = name.iter().fold(0x811c_9dc5_u32, |hash, octet| {
        (hash ^ u32::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    });
    ((hash >> 16) ^ (hash & 0xffff)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::fields;

    fn collect(header: &str, octets_max: usize) -> CachedFields {
        let mut all = fields(header.as_bytes());
        let mut kept = CachedFields::default();
        all.by_ref().for_each(|field| kept.take(&field, octets_max));
        kept.end(all.rest(), true);
        kept
    }

    fn choose(kept: &CachedFields, names: &[&str]) -> Option<String> {
        let mut chosen = Vec::new();
        kept.choose(names, &mut chosen)?;
        Some(String::from_utf8_lossy(&chosen).into_owned())
    }

    #[test]
    fn kept_names_are_sorted_and_lower_case() {
        assert!(KEPT.is_sorted());
        assert!(KEPT.iter().all(|name| *name == name.to_ascii_lowercase()));
        assert!(is_kept_name(b"SUBJECT") && !is_kept_name(b"received"));
    }

    #[test]
    fn fields_are_chosen_from_the_kept() {
        let kept = collect("Received: x\r\nFrom: a\r\n b\r\nSubject: s\r\nX-Odd: o\r\n\r\nbody", 1_000);
        assert_eq!(
            choose(&kept, &["subject", "FROM"]).as_deref(),
            Some("From: a\r\n b\r\nSubject: s\r\n\r\n")
        );
        assert_eq!(choose(&kept, &["To", "X-Never"]).as_deref(), Some("\r\n"));
        assert_eq!(choose(&kept, &["From", "x-odd"]), None);
        assert_eq!(choose(&kept, &["received"]), None);
        let without_blank_line = collect("From: a\n", 1_000);
        assert_eq!(choose(&without_blank_line, &["from"]).as_deref(), Some("From: a\n"));
    }

    #[test]
    fn a_field_that_does_not_fit_is_elsewhere() {
        let header = "Subject: 12345\nTo: b\nSubject: again\n\n";
        for (octets_max, subject) in [(20, false), (21, false), (35, false), (36, true)] {
            let kept = collect(header, octets_max);
            assert_eq!(kept.covers(b"subject"), subject, "{octets_max}");
        }
        assert!(collect(header, 21).covers(b"To"));
        assert!(!collect(header, 20).covers(b"To"));
        // A last field without line end could not be followed by another.
        assert!(!collect("Subject: a", 100).covers(b"Subject"));
    }

    #[test]
    fn too_many_names_cover_nothing() {
        for count in [ELSEWHERE_MAX - 1, ELSEWHERE_MAX, 3 * ELSEWHERE_MAX] {
            let header: String = (0..count).map(|n| format!("X-{n}: v\n")).collect();
            let kept = collect(&header, 1_000);
            assert_eq!(kept.covers(b"subject"), count <= ELSEWHERE_MAX);
        }
    }
}
