//! The text of VBA macros: unpacked from where it lies (MS-OVBA §2.4.1), and the words in it that say what it is for.

use std::ops::Range;
use std::sync::LazyLock;

use crate::words::{Seen, Words};

/// What a chunk becomes at most (MS-OVBA §2.4.1.1.4).
const CHUNK_OCTETS: usize = 4_096;

/// Names of procedures that run by themselves, words of what harmful ones do, and what stands in documents outside of macros:
/// sought together, since every octet of a document passes by.
const WORDS: &[&str] = &[
    "AutoOpen",
    "Auto_Open",
    "AutoExec",
    "AutoClose",
    "Auto_Close",
    "AutoNew",
    "AutoExit",
    "Document_Open",
    "DocumentOpen",
    "Document_Close",
    "Document_New",
    "Document_BeforeClose",
    "Document_ContentControlOnEnter",
    "Workbook_Open",
    "Workbook_Activate",
    "Workbook_BeforeClose",
    "Workbook_Close",
    "Presentation_Open",
    "SlideShow_",
    "InkPicture",
    "_MouseHover",
    "_Painted",
    "_OnConnecting",
    "_BeforeNavigate",
    "Shell ",
    "Shell(",
    "WScript.Shell",
    "Shell.Application",
    "CreateObject",
    "GetObject",
    "URLDownloadToFile",
    "XMLHTTP",
    "WinHttp",
    "ADODB.Stream",
    "PowerShell",
    "cmd.exe",
    "cmd /c",
    "mshta",
    "rundll32",
    "regsvr32",
    "certutil",
    "bitsadmin",
    "VirtualAlloc",
    "CreateThread",
    "RtlMoveMemory",
    "CallByName",
    "Win32_Process",
    "SaveToFile",
    "StrReverse",
    "Environ",
    "DDEAUTO",
    "D\0D\0E\0A\0U\0T\0O\0",
    "This program cannot be run in DOS",
    "must be run under Win32",
];
const AUTO: Range<usize> = 0..24;
const HARMFUL: Range<usize> = 24..50;
const DDE: Range<usize> = 50..52;
const PROGRAM: Range<usize> = 52..54;

static VBA_WORDS: LazyLock<Words> = LazyLock::new(|| Words::new(WORDS));

/// What was found in macros.
#[derive(Clone, Debug, Default)]
pub(crate) struct MacroWords {
    seen: Seen,
}

impl MacroWords {
    pub(crate) fn feed(&mut self, text: &[u8]) {
        self.seen.feed(&VBA_WORDS, text);
    }

    /// Whether something runs by itself.
    pub(crate) fn runs_by_itself(&self) -> bool {
        self.seen.has_any(AUTO)
    }

    /// Whether a field starts a program by data exchange.
    pub(crate) fn has_data_exchange(&self) -> bool {
        self.seen.has_any(DDE)
    }

    /// Whether what each Windows program says to DOS was there.
    pub(crate) fn has_program(&self) -> bool {
        self.seen.has_any(PROGRAM)
    }

    /// What was found, in words.
    pub(crate) fn list(&self) -> String {
        let auto = self.seen.list(&VBA_WORDS, AUTO, 3);
        let other = self.seen.list(&VBA_WORDS, HARMFUL, 4);
        if other.is_empty() { auto } else { format!("{auto}; {other}") }
    }
}

/// A module's packed text while it passes.
#[derive(Debug, Default)]
pub(crate) struct Module {
    chunk: Vec<u8>,
}

/// What became of some octets of a module.
pub(crate) enum Step {
    /// A chunk is whole: its text.
    Text(Vec<u8>),
    More,
    /// These are no chunk; the text is over.
    Ended,
}

impl Module {
    /// Takes octets up to the end of a chunk; gives the rest.
    pub(crate) fn feed<'o>(&mut self, octets: &'o [u8]) -> (Step, &'o [u8]) {
        let mut rest = octets;
        while self.chunk.len() < 2 {
            let Some((next, behind)) = rest.split_first() else { return (Step::More, rest) };
            self.chunk.push(*next);
            rest = behind;
        }
        let Some(octets) = self.chunk.first_chunk().and_then(|header| chunk_octets(*header)) else {
            return (Step::Ended, rest);
        };
        let wanted = octets.saturating_sub(self.chunk.len()).min(rest.len());
        let (piece, behind) = rest.split_at(wanted);
        self.chunk.extend_from_slice(piece);
        if self.chunk.len() < octets {
            return (Step::More, behind);
        }
        let text = unpack(&self.chunk);
        self.chunk.clear();
        match text {
            Some(text) => (Step::Text(text), behind),
            None => (Step::Ended, behind),
        }
    }
}

/// How long a chunk is, its header of two octets included (MS-OVBA §2.4.1.1.5); nothing if this is no header.
fn chunk_octets(header: [u8; 2]) -> Option<usize> {
    let header = u16::from_le_bytes(header);
    (header >> 12 & 7 == 3).then_some(usize::from(header & 0xfff) + 3)
}

/// Unpacks a whole chunk (MS-OVBA §2.4.1.3.2).
fn unpack(chunk: &[u8]) -> Option<Vec<u8>> {
    let (&[_, flags], mut rest) = chunk.split_first_chunk::<2>()?;
    if flags & 0x80 == 0 {
        return Some(rest.get(..CHUNK_OCTETS).unwrap_or(rest).to_vec());
    }
    let mut text = Vec::with_capacity(CHUNK_OCTETS);
    while let Some((tokens, behind)) = rest.split_first() {
        rest = behind;
        for bit in 0..8 {
            let Some((&first, behind)) = rest.split_first() else { return Some(text) };
            if tokens >> bit & 1 == 0 {
                text.push(first);
                rest = behind;
            } else {
                let (token, behind) = rest.split_first_chunk::<2>()?;
                copy(u16::from_le_bytes(*token), &mut text)?;
                rest = behind;
            }
            if text.len() > CHUNK_OCTETS {
                return None;
            }
        }
    }
    Some(text)
}

/// Carries a copy token out (MS-OVBA §2.4.1.3.19.2): so many bits of it are the distance as the text so far needs.
fn copy(token: u16, text: &mut Vec<u8>) -> Option<()> {
    let bits = usize::BITS - text.len().saturating_sub(1).leading_zeros();
    let bits = bits.clamp(4, 12);
    let length = usize::from(token & (0xffff >> bits)) + 3;
    let distance = usize::from(token >> (16 - bits)) + 1;
    let start = text.len().checked_sub(distance)?;
    if text.len() + length > CHUNK_OCTETS {
        return None;
    }
    for at in start..start + length {
        let octet = *text.get(at)?;
        text.push(octet);
    }
    Some(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Packs text into chunks of literals, which every reader must understand.
    pub(crate) fn pack(text: &[u8]) -> Vec<u8> {
        let mut packed = vec![1];
        for piece in text.chunks(3_600) {
            let tokens: Vec<u8> = piece.chunks(8).flat_map(|eight| [&[0], eight].concat()).collect();
            let header = 0xb000 | (tokens.len() as u16 + 2 - 3);
            packed.extend_from_slice(&header.to_le_bytes());
            packed.extend_from_slice(&tokens);
        }
        packed
    }

    fn text_of(packed: &[u8], piece: usize) -> Vec<u8> {
        let mut module = Module::default();
        let mut text = Vec::new();
        for octets in packed.get(1..).unwrap().chunks(piece) {
            let mut rest = octets;
            loop {
                let (step, behind) = module.feed(rest);
                rest = behind;
                match step {
                    Step::Text(more) => text.extend_from_slice(&more),
                    Step::More => break,
                    Step::Ended => return text,
                }
            }
        }
        text
    }

    #[test]
    fn examples_of_the_specification() {
        // MS-OVBA §3.2.2 and §3.2.3.
        let normal = [
            0x01, 0x2f, 0xb0, 0x00, 0x23, 0x61, 0x61, 0x61, 0x62, 0x63, 0x64, 0x65, 0x82, 0x66, 0x00, 0x70,
            0x61, 0x67, 0x68, 0x69, 0x6a, 0x01, 0x38, 0x08, 0x61, 0x6b, 0x6c, 0x00, 0x30, 0x6d, 0x6e, 0x6f,
            0x70, 0x06, 0x71, 0x02, 0x70, 0x04, 0x10, 0x72, 0x73, 0x74, 0x75, 0x76, 0x10, 0x77, 0x78, 0x79,
            0x7a, 0x00, 0x3c,
        ];
        let expected = "#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa";
        for piece in [1, 2, 7, 100] {
            assert_eq!(String::from_utf8(text_of(&normal, piece)).unwrap(), expected);
        }
        let repeated = [0x01, 0x03, 0xb0, 0x02, 0x61, 0x45, 0x00];
        assert_eq!(text_of(&repeated, 9), vec![b'a'; 73]);
    }

    #[test]
    fn chunks_have_bounds() {
        for (length, expected) in [(4_095, true), (4_096, true), (4_097, false)] {
            // One literal, then a copy of the rest.
            let token = (length - 1 - 3) as u16;
            let chunk = [0x03, 0xb0, 0x02, b'a', token as u8, (token >> 8) as u8];
            assert_eq!(unpack(&chunk).is_some(), expected, "{length}");
        }
        assert_eq!(unpack(&[3, 0xb0, 1, 0, 0]), None);
        assert_eq!(chunk_octets([0, 0x10]), None);
    }

    #[test]
    fn text_of_many_chunks_and_its_words() {
        let source =
            format!("{}Sub AutoOpen()\r\nShell \"calc\"\r\nEnd Sub\r\n", "' nothing\r\n".repeat(2_000));
        let packed = pack(source.as_bytes());
        let text = text_of(&packed, 1_000);
        assert_eq!(text, source.as_bytes());
        let mut words = MacroWords::default();
        words.feed(&text);
        assert!(words.runs_by_itself());
        assert_eq!(words.list(), "AutoOpen; Shell");
        assert!(WORDS[AUTO.end].starts_with("Shell") && WORDS[HARMFUL.end] == "DDEAUTO");
        assert!(PROGRAM.end == WORDS.len() && WORDS.len() <= 64);
    }
}
