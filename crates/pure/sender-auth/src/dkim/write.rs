//! Writing fields of tags, folded so that no line gets long.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Where lines are folded (RFC 5322 §2.1.1 asks for 78).
const LINE_OCTETS: usize = 76;

/// A field in the making: `Name: tag=value; tag=value`.
pub(crate) struct FieldWriter {
    text: String,
    /// Where the last line begins.
    line_start: usize,
}

impl FieldWriter {
    pub(crate) fn new(name: &str) -> Self {
        Self { text: format!("{name}:"), line_start: 0 }
    }

    /// Writes a tag whose value cannot be folded.
    pub(crate) fn tag(&mut self, name: &str, value: &str) {
        self.word(&format!("{name}={value};"));
    }

    /// Writes a list with colons, folded between them.
    pub(crate) fn list(&mut self, name: &str, entries: &[&str]) {
        for (index, entry) in entries.iter().enumerate() {
            let end = if index + 1 == entries.len() { ';' } else { ':' };
            if index == 0 {
                self.word(&format!("{name}={entry}{end}"));
            } else {
                self.piece(&format!("{entry}{end}"));
            }
        }
    }

    /// Begins the tag of the signature, which is the last: what there is now is signed.
    pub(crate) fn begin_signature(&mut self) -> &[u8] {
        self.word("b=");
        self.text.as_bytes()
    }

    /// Writes the signature and the line end.
    pub(crate) fn finish(mut self, signature: &[u8]) -> Vec<u8> {
        let base64 = STANDARD.encode(signature);
        let mut rest = base64.as_str();
        while !rest.is_empty() {
            let mut room = LINE_OCTETS.saturating_sub(self.column());
            if room == 0 {
                self.fold();
                room = LINE_OCTETS.saturating_sub(self.column());
            }
            let (line, after) = rest.split_at(rest.len().min(room));
            self.text.push_str(line);
            rest = after;
        }
        self.text.push_str("\r\n");
        self.text.into_bytes()
    }

    fn word(&mut self, word: &str) {
        if self.column() + 1 + word.len() > LINE_OCTETS {
            self.fold();
        } else {
            self.text.push(' ');
        }
        self.text.push_str(word);
    }

    fn piece(&mut self, piece: &str) {
        if self.column() + piece.len() > LINE_OCTETS {
            self.fold();
        }
        self.text.push_str(piece);
    }

    fn fold(&mut self) {
        self.text.push_str("\r\n");
        self.line_start = self.text.len();
        self.text.push('\t');
    }

    fn column(&self) -> usize {
        self.text.len() - self.line_start
    }
}

/// A tag's value in base64.
pub(crate) fn base64(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}
