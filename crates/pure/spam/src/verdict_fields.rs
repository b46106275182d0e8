//! A verdict in header fields, in the form that people's scripts and mail programs know from SpamAssassin; and read back from there.

use message::{decode_field_text, fields, write_text_field};

use crate::hit::{HIT_WORDS_OCTETS_MAX, Hit, bounded};
use crate::verdict::{Grade, Thresholds, Verdict};

/// Rules that are named in a header field, those that weigh most.
pub const HITS_TOLD_MAX: usize = 80;

/// Reasons that are told in words.
pub const REASONS_TOLD_MAX: usize = 8;

/// Stars that stand for points.
const STARS_MAX: usize = 50;

/// Columns a line should not exceed (RFC 5322 §2.1.1).
const LINE_COLUMNS: usize = 78;

/// Octets of a header that are searched for our fields.
const HEADER_OCTETS_MAX: usize = 64 * 1024;

const FLAG: &str = "X-Spam-Flag";
const SCORE: &str = "X-Spam-Score";
const LEVEL: &str = "X-Spam-Level";
const STATUS: &str = "X-Spam-Status";
const WHY: &str = "X-Mailstead-Why";

/// Names of fields, or how they begin, that tell the verdict of a filter. What a stranger's message says there is not ours.
const VERDICTS: [&str; 9] = [
    "x-spam-",
    "x-mailstead-",
    "x-rspamd-",
    "x-spamd-",
    "x-spam",
    "x-spamcatcher-",
    "x-bogosity",
    "x-amavis-",
    "x-virus-status",
];

/// Whether a field tells a filter's verdict, so that it has to be taken off mail of strangers.
pub fn is_verdict_field(name: &[u8]) -> bool {
    VERDICTS.iter().any(|verdict| {
        let start = name.get(..verdict.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(verdict.as_bytes())
            && (verdict.ends_with('-') || name.len() == verdict.len())
    })
}

/// What a message's header fields tell of the verdict that was once given.
#[derive(Clone, Debug, PartialEq)]
pub struct ToldVerdict {
    /// Whether it was called unwanted.
    pub is_unwanted: bool,
    /// The score.
    pub score: f32,
    /// The score from which on it would have been called unwanted.
    pub required: f32,
    /// The rules that were named, with their words as far as these were told.
    pub hits: Vec<Hit>,
}

impl Verdict {
    /// Appends the fields that tell the verdict: none below the threshold for telling.
    pub fn write_fields(&self, thresholds: &Thresholds, header: &mut Vec<u8>) {
        let grade = self.grade(thresholds);
        if grade == Grade::Clean {
            return;
        }
        let (flag, status) = if grade >= Grade::Unwanted { ("YES", "Yes") } else { ("NO", "No") };
        let score = number(self.score());
        write_text_field(FLAG, flag, header);
        write_text_field(SCORE, &score, header);
        // A score that is no number of stars has none.
        let stars = (self.score().max(0.0) as usize).min(STARS_MAX);
        if stars > 0 {
            write_text_field(LEVEL, &"*".repeat(stars), header);
        }
        let start = format!("{STATUS}: {status}, score={score} required={} tests=", number(thresholds.tag2));
        self.write_tests(start, header);
        let reasons = self.reasons();
        if !reasons.is_empty() {
            write_text_field(WHY, &reasons, header);
        }
    }

    fn write_tests(&self, start: String, header: &mut Vec<u8>) {
        let mut line = start;
        for (index, hit) in self.hits().iter().take(HITS_TOLD_MAX).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let test = format!("{}={}", hit.name(), number(hit.points()));
            line.push_str(comma);
            if line.len() + test.len() >= LINE_COLUMNS {
                header.extend_from_slice(line.as_bytes());
                header.extend_from_slice(b"\r\n\t");
                line.clear();
            }
            line.push_str(&test);
        }
        if self.hits().is_empty() {
            line.push_str("none");
        }
        header.extend_from_slice(line.as_bytes());
        header.extend_from_slice(b"\r\n");
    }

    /// The strongest reasons in words, in the order of the hits. Quotes are those of ASCII, so that they can be read as they stand
    /// there: other letters have to be encoded (RFC 2047).
    fn reasons(&self) -> String {
        let words = |hit: &Hit| {
            let words = if hit.words().is_empty() { hit.name() } else { hit.words() };
            format!("{} ({:+.1})", words.replace(';', ",").replace(['“', '”'], "\""), hit.points())
        };
        self.hits().iter().take(REASONS_TOLD_MAX).map(words).collect::<Vec<_>>().join("; ")
    }
}

impl ToldVerdict {
    /// Reads what [`Verdict::write_fields`] wrote, as the first fields of these names tell it; `None` if they do not.
    pub fn read(header: &[u8]) -> Option<ToldVerdict> {
        let header = header.get(..HEADER_OCTETS_MAX).unwrap_or(header);
        let status = fields(header).find(|field| field.is_named(STATUS))?.unfolded().into_owned();
        let status = String::from_utf8(status).ok()?;
        let (word, rest) = status.split_once(',')?;
        let value = |name: &str| rest.split_whitespace().find_map(|word| word.strip_prefix(name));
        let score = bounded(value("score=")?.parse().ok()?);
        let required = bounded(value("required=")?.parse().ok()?);
        let mut told = ToldVerdict { is_unwanted: word.trim() == "Yes", score, required, hits: Vec::new() };
        let why = fields(header)
            .find(|field| field.is_named(WHY))
            .map(|field| decode_field_text(&field.unfolded()));
        let mut reasons = why.as_deref().unwrap_or_default().split("; ").map(without_points);
        let (_, tests) = rest.split_once("tests=")?;
        let tests: String = tests.chars().filter(|c| !c.is_whitespace()).collect();
        for test in tests.split(',').take(HITS_TOLD_MAX) {
            let Some((name, points)) = test.split_once('=') else { continue };
            let Ok(points) = points.parse() else { continue };
            told.hits.push(Hit::new(name, points, reasons.next().unwrap_or_default()));
        }
        Some(told)
    }
}

/// A reason without the points behind it.
fn without_points(reason: &str) -> &str {
    reason.rsplit_once(" (").map_or(reason, |(words, _)| words)
}

/// A number with at most two digits behind the dot, and at least one: `7.3`, `0.05`, `-1.0`.
fn number(number: f32) -> String {
    let text = format!("{number:.2}");
    text.strip_suffix('0').map_or(text.clone(), str::to_owned)
}

// The longest reasons fit into one field with room to spare (RFC 5322 sets no bound; 64 KiB is all that is read back).
const _: () = assert!(REASONS_TOLD_MAX * (HIT_WORDS_OCTETS_MAX + 16) * 4 < HEADER_OCTETS_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_can_be_read_as_they_stand() {
        let hits = vec![Hit::new(
            "CONTENT_MODEL",
            4.5,
            "its content looks unwanted with 99.3 %: “verify” in the text",
        )];
        let mut header = Vec::new();
        Verdict::new(None, hits).write_fields(&Thresholds::default(), &mut header);
        let header = String::from_utf8(header).unwrap().replace("\r\n ", " ");
        assert!(
            header.contains(
                "X-Mailstead-Why: its content looks unwanted with 99.3 %: \"verify\" in the text (+4.5)"
            ),
            "{header}"
        );
    }

    fn written(verdict: &Verdict) -> String {
        let mut header = Vec::new();
        verdict.write_fields(&Thresholds::default(), &mut header);
        String::from_utf8(header).unwrap()
    }

    #[test]
    fn a_verdict_reads_as_spamassassins_do() {
        let hits = vec![
            Hit::new("LOOKALIKE_BRAND", 4.5, "its author's domain looks like one; paypa1.com"),
            Hit::new("DKIM_VALID", -0.1, "a domain has signed it"),
            Hit::new("MISSING_DATE", 2.9, "keine Uhrzeit, gr\u{fc}n"),
            Hit::new("TINY_IMAGE", 0.05, ""),
        ];
        let text = written(&Verdict::new(None, hits));
        assert_eq!(
            text,
            "X-Spam-Flag: YES\r\nX-Spam-Score: 7.35\r\nX-Spam-Level: *******\r\n\
             X-Spam-Status: Yes, score=7.35 required=6.31 tests=LOOKALIKE_BRAND=4.5,\r\n\tMISSING_DATE=2.9,DKIM_VALID=-0.1,TINY_IMAGE=0.05\r\n\
             X-Mailstead-Why: =?utf-8?Q?its_author=27s_domain_looks_like_one=2C_paypa1=2E?=\r\n \
             =?utf-8?Q?com_=28+4=2E5=29=3B_keine_Uhrzeit=2C_gr=C3=BCn_=28+2=2E9=29=3B_?=\r\n \
             =?utf-8?Q?a_domain_has_signed_it_=28-0=2E1=29=3B_TINY=5FIMAGE_=28+0=2E1?=\r\n =?utf-8?Q?=29?=\r\n"
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let hits = vec![
            Hit::new("A", 4.5, "words; more (or less)"),
            Hit::new("B", 2.9, "gr\u{fc}n\r\nX-Spam-Flag: NO"),
            Hit::new("C", -0.1, "third"),
        ];
        let told = ToldVerdict::read(written(&Verdict::new(None, hits)).as_bytes()).unwrap();
        assert!(told.is_unwanted);
        assert_eq!((told.score, told.required), (7.3, 6.31));
        let hits: Vec<_> = told.hits.iter().map(|hit| (hit.name(), hit.points(), hit.words())).collect();
        assert_eq!(
            hits,
            [
                ("A", 4.5, "words, more (or less)"),
                ("B", 2.9, "gr\u{fc}n X-Spam-Flag: NO"),
                ("C", -0.1, "third")
            ]
        );
    }

    #[test]
    fn below_the_threshold_nothing_is_told() {
        assert_eq!(written(&Verdict::new(None, vec![Hit::new("A", 1.9, "")])), "");
        assert!(
            written(&Verdict::new(None, vec![Hit::new("A", 2.0, "")])).starts_with("X-Spam-Flag: NO\r\n")
        );
        assert_eq!(
            ToldVerdict::read(b"Subject: x\r\n\r\nX-Spam-Status: Yes, score=1 required=2 tests=A=1\r\n"),
            None
        );
    }

    #[test]
    fn what_is_told_is_bounded_and_its_lines_are_short() {
        for (given, told) in [
            (HITS_TOLD_MAX - 1, HITS_TOLD_MAX - 1),
            (HITS_TOLD_MAX, HITS_TOLD_MAX),
            (HITS_TOLD_MAX + 1, HITS_TOLD_MAX),
        ] {
            let hits = (0..given)
                .map(|index| Hit::new(&format!("{index}{}", "N".repeat(60)), 1.0, &"w".repeat(300)));
            let text = written(&Verdict::new(None, hits.collect()));
            assert!(text.lines().all(|line| line.len() <= 998), "{text}");
            assert_eq!(ToldVerdict::read(text.as_bytes()).unwrap().hits.len(), told);
        }
        for (given, told) in [
            (REASONS_TOLD_MAX - 1, REASONS_TOLD_MAX - 1),
            (REASONS_TOLD_MAX, REASONS_TOLD_MAX),
            (REASONS_TOLD_MAX + 1, REASONS_TOLD_MAX),
        ] {
            let hits = (0..given).map(|index| Hit::new(&format!("N{index}"), 1.0, "why"));
            assert_eq!(written(&Verdict::new(None, hits.collect())).matches("why").count(), told);
        }
    }

    #[test]
    fn stars_are_bounded() {
        for (score, stars) in [(49.0, STARS_MAX - 1), (50.0, STARS_MAX), (51.0, STARS_MAX)] {
            let text = written(&Verdict::new(None, vec![Hit::new("A", score, "")]));
            assert_eq!(text.matches('*').count(), stars, "{score}");
        }
    }

    #[test]
    fn only_the_beginning_of_a_header_is_searched() {
        let fields = written(&Verdict::new(None, vec![Hit::new("A", 3.0, "")]));
        let padded = |octets: usize| format!("X: {}\r\n{fields}", "x".repeat(octets - fields.len() - 5));
        for (octets, is_whole) in
            [(HEADER_OCTETS_MAX - 1, true), (HEADER_OCTETS_MAX, true), (HEADER_OCTETS_MAX + 30, false)]
        {
            let told = ToldVerdict::read(padded(octets).as_bytes());
            assert_eq!(
                told.is_some_and(|told| told.hits.iter().any(|hit| hit.words() == "A")),
                is_whole,
                "{octets}"
            );
        }
    }

    #[test]
    fn verdicts_of_strangers_are_known_by_name() {
        for (name, is_one) in [
            ("X-Spam-Status", true),
            ("x-SPAM-flag", true),
            ("X-Spam", true),
            ("X-Mailstead-Why", true),
            ("X-Rspamd-Score", true),
            ("X-Spamming", false),
            ("Subject", false),
            ("", false),
        ] {
            assert_eq!(is_verdict_field(name.as_bytes()), is_one, "{name}");
        }
    }
}
