//! Names of attachments and of entries: what they are judged by, what they hide, and how they are shown.

use crate::extension::{is_runnable, looks_harmless};

/// Characters of a name that are shown. Enough to recognise it.
const SHOWN_CHARACTERS_MAX: usize = 100;

/// Octets of a name that are judged; file systems allow 255 of each. What is behind is judged from its end.
pub(crate) const NAME_OCTETS_MAX: usize = 1_024;

/// Blanks in a row that can only be there to push the extension out of sight.
const GAP_BLANKS: usize = 5;

/// The extension by which Windows would act: lower case, behind the last dot of the last component, after what Windows takes
/// off the end (dots and blanks) and a stream's name behind a colon. Empty if there is none.
pub(crate) fn extension(name: &str) -> String {
    let component = last_component(name);
    let bare = component.trim_end_matches(is_ignored_at_end);
    bare.rsplit_once('.').map(|(_, extension)| cleaned(extension)).unwrap_or_default()
}

/// The extension before the last one.
fn inner_extension(name: &str) -> String {
    let component = last_component(name);
    let bare = component.trim_end_matches(is_ignored_at_end);
    let stem = bare.rsplit_once('.').map_or("", |(stem, _)| stem);
    let stem = stem.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '_' | '-' | '.'));
    stem.rsplit_once('.').map(|(_, extension)| cleaned(extension)).unwrap_or_default()
}

fn last_component(name: &str) -> &str {
    let component = name.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
    // A stream of NTFS: `a.exe:x` and `a.exe::$DATA` open a.exe. A drive's letter is no name.
    match component.split_once(':') {
        Some((file, _)) if file.contains('.') => file,
        _ => component,
    }
}

fn cleaned(extension: &str) -> String {
    let visible = extension.chars().filter(|c| !is_invisible(*c) && !c.is_control());
    visible.take(32).collect::<String>().trim().to_lowercase()
}

fn is_ignored_at_end(c: char) -> bool {
    c == '.' || c.is_whitespace() || c.is_control() || is_invisible(c)
}

/// How a name hides what it is, in words that follow `has`.
pub(crate) fn disguise(name: &str) -> Option<&'static str> {
    let extension = extension(name);
    let runs = is_runnable(&extension);
    if name.chars().any(turns_direction) {
        return Some("a name that turns its own letters around");
    }
    if name.chars().any(|c| c.is_ascii_control() && !matches!(c, '\t' | '\r' | '\n')) {
        return Some("a name with control characters");
    }
    if runs && looks_harmless(&inner_extension(name)) {
        return Some("a name that shows another extension before the one that counts");
    }
    if has_gap(name) && !extension.is_empty() {
        return Some("a name that pushes its extension out of sight with blanks");
    }
    let component = last_component(name);
    if runs && component.len() != component.trim_end_matches(is_ignored_at_end).len() {
        return Some("a name that hides its extension behind dots or blanks");
    }
    None
}

fn has_gap(name: &str) -> bool {
    let mut blanks = 0;
    for c in name.trim().chars() {
        blanks = if c.is_whitespace() || matches!(c, '\u{2800}' | '\u{3164}' | '_') { blanks + 1 } else { 0 };
        if blanks >= GAP_BLANKS && c != '_' {
            return true;
        }
    }
    false
}

/// Overrides and embeddings of direction (Unicode Bidirectional Algorithm, UAX #9). The plain marks that Hebrew and Arabic
/// names need are not among them.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

/// The name that a packed file had before it was packed, by what packing programs add to it.
pub(crate) fn without_packing(name: &str) -> String {
    let Some((stem, extension)) = name.rsplit_once('.') else { return name.to_owned() };
    match extension.to_ascii_lowercase().as_str() {
        "tgz" | "txz" | "tbz" | "tbz2" | "tlz" | "tzst" => format!("{stem}.tar"),
        _ => stem.to_owned(),
    }
}

/// A name as it can be shown in a log line or a reply: on one line, in one direction, not too long.
pub(crate) fn shown(name: &str) -> String {
    let fit = |c: char| if c.is_control() || is_invisible(c) { '\u{fffd}' } else { c };
    let count = name.chars().count();
    if count <= SHOWN_CHARACTERS_MAX {
        return name.chars().map(fit).collect();
    }
    // The end has the extension.
    let half = SHOWN_CHARACTERS_MAX / 2;
    let end = name.chars().skip(count - half);
    name.chars().take(half - 1).chain(['…']).chain(end).map(fit).collect()
}

/// A name's octets in an archive as text: UTF-8 where it is, Latin-1 otherwise; a long one from its end.
pub(crate) fn text_of(octets: &[u8]) -> String {
    let octets = octets.get(octets.len().saturating_sub(NAME_OCTETS_MAX)..).unwrap_or(octets);
    match std::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        Err(_) => octets.iter().map(|&octet| char::from(octet)).collect(),
    }
}

/// A name that is too long from its end, where the extension is.
pub(crate) fn bounded(name: String) -> String {
    let start = name.len().saturating_sub(NAME_OCTETS_MAX);
    let start = (start..=name.len()).find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    name.get(start..).map_or_else(String::new, str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packing_adds_is_taken_off() {
        for (name, expected) in [
            ("a.tar.xz", "a.tar"),
            ("a.TGZ", "a.tar"),
            ("a.tzst", "a.tar"),
            ("a.js.bz2", "a.js"),
            ("a", "a"),
            ("", ""),
        ] {
            assert_eq!(without_packing(name), expected, "{name}");
        }
    }

    #[test]
    fn the_extension_that_windows_acts_by() {
        for (name, expected) in [
            ("a.exe", "exe"),
            ("A.EXE", "exe"),
            ("a.pdf.exe", "exe"),
            ("a.exe.", "exe"),
            ("a.exe. . .", "exe"),
            ("a.exe \u{200b}", "exe"),
            ("a.e\u{200b}xe", "exe"),
            ("dir.exe/readme", ""),
            ("dir\\a.js", "js"),
            ("a.exe::$DATA", "exe"),
            ("a.exe:b.txt", "exe"),
            ("C:a.exe", "exe"),
            ("a", ""),
            ("", ""),
            (".", ""),
            (".bashrc", "bashrc"),
        ] {
            assert_eq!(extension(name), expected, "{name:?}");
        }
    }

    #[test]
    fn names_that_hide_something() {
        for name in [
            "invoice.pdf.exe",
            "invoice.pdf .exe",
            "invoice.pdf____.exe",
            "photo\u{202e}gpj.exe",
            "a\u{2066}b.txt",
            "a.pdf\u{0}.exe",
            "invoice.pdf              .exe",
            "invoice\u{3000}\u{3000}\u{3000}\u{3000}\u{3000}.scr",
            "a.exe.",
            "a.exe ...",
        ] {
            assert!(disguise(name).is_some(), "{name:?}");
        }
        for name in [
            "setup.exe",
            "invoice.pdf",
            "backup.tar.gz",
            "version 1.2.txt",
            "a    b.txt",
            "a_____b.txt",
            "report.",
            "\u{5d0}\u{200f}.txt",
            "x.docx.pdf",
            // What an old code page becomes where it is taken for Latin-1.
            "\u{81}b.txt",
        ] {
            assert_eq!(disguise(name), None, "{name:?}");
        }
    }

    #[test]
    fn names_are_shown_on_one_line_and_not_too_long() {
        assert_eq!(shown("a\r\nb\u{202e}c"), "a\u{fffd}\u{fffd}b\u{fffd}c");
        for count in [SHOWN_CHARACTERS_MAX - 1, SHOWN_CHARACTERS_MAX] {
            assert_eq!(shown(&"é".repeat(count)), "é".repeat(count));
        }
        let long = shown(&format!("{}.exe", "é".repeat(SHOWN_CHARACTERS_MAX)));
        assert_eq!(long.chars().count(), SHOWN_CHARACTERS_MAX);
        assert!(long.ends_with("é.exe") && long.contains('…'));
    }

    #[test]
    fn octets_of_names() {
        assert_eq!(text_of("ä.txt".as_bytes()), "ä.txt");
        assert_eq!(text_of(b"\xe4.txt"), "ä.txt");
        for (octets, kept) in [(NAME_OCTETS_MAX - 1, NAME_OCTETS_MAX - 1), (NAME_OCTETS_MAX, NAME_OCTETS_MAX)]
        {
            assert_eq!(text_of(&vec![b'x'; octets]).len(), kept);
        }
        let mut long = vec![b'x'; NAME_OCTETS_MAX];
        long.extend_from_slice(b".exe");
        assert_eq!(text_of(&long).len(), NAME_OCTETS_MAX);
        assert_eq!(extension(&text_of(&long)), "exe");
    }
}
