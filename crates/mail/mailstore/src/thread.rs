//! Conversations (RFC 8474 THREADID, RFC 8621 §3): messages whose identifiers refer to each other and whose subjects
//! are the same but for "Re:" and its kin.
//!
//! Each message names links: its own Message-ID, then those it refers to, nearest first, each hashed together with
//! the subject. A message joins the thread of the first link that is known; else it founds one, named by its own
//! email id.

use message::Summary;
use storage::blake3::Hasher;

use crate::digest::decoded;
use crate::search::fold;

/// Links kept of one message. Replies name their parent last and the thread's root first (RFC 5322 §3.6.4), so the
/// nearest ones and the root suffice.
pub(crate) const LINKS_MAX: usize = 8;

/// The links of a message.
pub(crate) fn links(summary: &Summary) -> Vec<u64> {
    let envelope = &summary.envelope;
    let subject = base_subject(&envelope.subject.as_deref().map(decoded).unwrap_or_default());
    let own = envelope.message_id.iter().map(|id| without_brackets(id));
    let references = summary.references.iter().rev().map(Vec::as_slice);
    let mut links: Vec<u64> = Vec::new();
    for id in own.chain(references.take(LINKS_MAX - 2)).chain(summary.references.first().map(Vec::as_slice)) {
        let link = link(id, &subject);
        if !links.contains(&link) {
            links.push(link);
        }
    }
    links
}

fn without_brackets(id: &[u8]) -> &[u8] {
    let id = id.trim_ascii();
    id.strip_prefix(b"<").and_then(|id| id.strip_suffix(b">")).unwrap_or(id)
}

/// A sender cannot choose two ids with one link: BLAKE3, of which 63 bits fit a column.
fn link(id: &[u8], subject: &str) -> u64 {
    let mut hasher = Hasher::new();
    hasher.update(&(id.len() as u64).to_le_bytes()).update(id).update(subject.as_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first) >> 1
}

/// The subject without reply and forward marks, list tags and space (after RFC 5256 §2.1).
pub(crate) fn base_subject(subject: &str) -> String {
    let folded = fold(subject);
    let words: Vec<&str> = folded.split_whitespace().collect();
    let joined = words.join(" ");
    let mut rest = joined.as_str();
    loop {
        let shorter = without_mark(without_tag(rest));
        let shorter = shorter.strip_suffix("(fwd)").unwrap_or(shorter).trim();
        if shorter == rest || shorter.is_empty() {
            return rest.to_owned();
        }
        rest = shorter;
    }
}

/// Without a leading `[list]`.
fn without_tag(subject: &str) -> &str {
    let after = subject.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    after.map_or(subject, |(_, rest)| rest.trim_start())
}

/// Without a leading `re:`, `fwd:` or what other languages' clients write, `re[2]:` included.
fn without_mark(subject: &str) -> &str {
    const MARKS: [&str; 9] = ["re", "fwd", "fw", "aw", "wg", "sv", "vs", "tr", "antw"];
    let Some((mark, rest)) = subject.split_once(':') else { return subject };
    let mark = mark.trim_end();
    let word = mark.split_once('[').filter(|(_, end)| end.ends_with(']')).map_or(mark, |(word, _)| word);
    if MARKS.contains(&word.trim_end()) { rest.trim_start() } else { subject }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_have_the_subject_of_what_they_answer() {
        for subject in [
            "Re: Hello  World",
            "RE: re: [list] hello world",
            "Fwd: Re[2]: Hello World",
            "AW: Hello World (fwd)",
        ] {
            assert_eq!(base_subject(subject), "hello world", "{subject}");
        }
        for subject in ["", "re:", "[tag]", "time: 12:00"] {
            assert_eq!(base_subject(subject), subject);
        }
    }

    #[test]
    fn a_subject_of_marks_alone_takes_no_quadratic_time() {
        let subject = "re: ".repeat(20_000);
        assert_eq!(base_subject(&subject), "re:");
    }
}
