//! Gathers the features of one message within bounds: hashes of what occurs, and on request their words.

use std::collections::HashMap;

/// Features of one view of a message. Long mail repeats itself; what is behind this adds little but time.
pub const FEATURES_MAX: usize = 8_000;

/// Ways of looking at a message. Each is judged by weights of its own, so that strong features of one do not keep the weak ones
/// of another from being learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// Words of the header with their field, and signs.
    HeaderWords,
    /// Words of the texts, links, markup, parts, and signs.
    BodyWords,
    /// Runs of four octets of the header.
    HeaderOctets,
    /// Runs of four octets of the texts.
    BodyOctets,
    /// Runs of four octets of the trace fields.
    Trace,
}

impl View {
    pub(crate) const COUNT: usize = 5;

    /// All of them, in the order in which models keep them.
    pub(crate) const ALL: [View; View::COUNT] =
        [View::HeaderWords, View::BodyWords, View::HeaderOctets, View::BodyOctets, View::Trace];
}

/// What occurs in one message, as hashes: sorted, each once, by view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    pub(crate) views: [Vec<u32>; View::COUNT],
}

impl Features {
    /// How many there are, all views together.
    pub fn count(&self) -> usize {
        self.views.iter().map(Vec::len).sum()
    }
}

/// Takes features in; full, it takes no more.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    features: Features,
    /// Whether words are the body's now.
    is_body: bool,
    /// What hashes of words mean, where somebody asks for that instead.
    names: Option<Names>,
    /// The place that words are in now.
    place: &'static str,
    place_hash: u64,
    /// The word before at this place, with which the next one makes a pair.
    before: Option<u64>,
    /// The same as text, where somebody asks.
    text_before: String,
}

/// Hashes of words with their words.
#[derive(Debug)]
struct Names {
    /// Those that are asked for, sorted; all, if nothing is said.
    wanted: Option<Vec<u32>>,
    found: HashMap<u32, String>,
}

impl Names {
    fn wants(&self, hash: u32) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.binary_search(&hash).is_ok())
    }
}

impl Collector {
    /// One that finds the words behind these hashes and collects nothing else; behind all, if none are said.
    pub(crate) fn naming(wanted: Option<Vec<u32>>) -> Collector {
        let wanted = wanted.map(|mut wanted| {
            wanted.sort_unstable();
            wanted
        });
        Collector { names: Some(Names { wanted, found: HashMap::new() }), ..Collector::default() }
    }

    /// Words that follow stand at this place, and nothing before them.
    pub(crate) fn begin(&mut self, place: &'static str) {
        self.place = place;
        self.place_hash = hash(SEED, place.as_bytes());
        self.before = None;
    }

    /// A word at the place, and the pair that it makes with the one before it.
    pub(crate) fn word(&mut self, word: &str) {
        let this = hash(self.place_hash, word.as_bytes());
        self.take(this, || word.to_owned());
        if let Some(before) = self.before.replace(this) {
            let pair = mix(before.rotate_left(7) ^ this);
            let text = std::mem::take(&mut self.text_before);
            self.take(pair, || format!("{text} {word}"));
            self.text_before = text;
        }
        if self.names.is_some() {
            word.clone_into(&mut self.text_before);
        }
    }

    /// A word at the place by itself.
    pub(crate) fn lone(&mut self, word: &str) {
        self.take(hash(self.place_hash, word.as_bytes()), || word.to_owned());
    }

    /// A named sign.
    pub(crate) fn sign(&mut self, sign: &'static str) {
        let place = std::mem::replace(&mut self.place, "sign");
        self.take(hash(SIGN_SEED, sign.as_bytes()), || sign.to_owned());
        self.place = place;
    }

    /// The header is over.
    pub(crate) fn begin_body(&mut self) {
        self.is_body = true;
    }

    /// Every run of four octets, for the trace's view.
    pub(crate) fn trace_grams(&mut self, octets: &[u8]) {
        let [.., trace] = &mut self.features.views;
        if self.names.is_none() {
            take_grams(octets, trace);
        }
    }

    /// Every run of four octets.
    pub(crate) fn grams(&mut self, octets: &[u8]) {
        let [_, _, header, body, _] = &mut self.features.views;
        if self.names.is_none() {
            take_grams(octets, if self.is_body { body } else { header });
        }
    }

    /// The words that were found.
    pub(crate) fn names(self) -> HashMap<u32, String> {
        self.names.map(|names| names.found).unwrap_or_default()
    }

    pub(crate) fn finish(mut self) -> Features {
        for view in &mut self.features.views {
            view.sort_unstable();
            view.dedup();
        }
        self.features
    }

    fn take(&mut self, hash: u64, text: impl FnOnce() -> String) {
        let short = (hash >> 32) as u32;
        if let Some(names) = &mut self.names {
            if names.wants(short) {
                names.found.entry(short).or_insert_with(|| in_words(self.place, &text()));
            }
            return;
        }
        let [header, body, ..] = &mut self.features.views;
        let words = if self.is_body { body } else { header };
        if words.len() < FEATURES_MAX {
            words.push(short);
        }
    }
}

fn take_grams(octets: &[u8], grams: &mut Vec<u32>) {
    for window in octets.windows(4) {
        if grams.len() >= FEATURES_MAX {
            return;
        }
        let &[a, b, c, d] = window else { continue };
        grams.push(mix_gram(u32::from_le_bytes([a, b, c, d])));
    }
}

/// A feature as a person would say it.
fn in_words(place: &str, text: &str) -> String {
    match place {
        "sign" => text.to_owned(),
        "text" => format!("“{text}” in the text"),
        "field" => format!("the header fields {text}"),
        "hops" => format!("{text} hops on its way"),
        "html" => format!("the HTML <{text}>"),
        "link" => format!("a link to {text}"),
        "path" => format!("“{text}” in a link"),
        "content" => format!("an attachment that really is {text}"),
        "other field" => format!("the header says {text}"),
        "answers" => format!("an answer to {text}"),
        place => format!("“{text}” in {place}"),
    }
}

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const SIGN_SEED: u64 = 0xc2b2_ae3d_27d4_eb4f;

/// A fixed hash: models outlive programs, so it must never change without the format's version.
fn hash(seed: u64, octets: &[u8]) -> u64 {
    let mut state = seed;
    for chunk in octets.chunks(8) {
        let mut eight = [0; 8];
        for (to, from) in eight.iter_mut().zip(chunk) {
            *to = *from;
        }
        state = mix(state ^ u64::from_le_bytes(eight) ^ ((chunk.len() as u64) << 59));
    }
    mix(state)
}

/// Spreads 64 bits over 64 bits.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let value = (value ^ (value >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    value ^ (value >> 32)
}

fn mix_gram(gram: u32) -> u32 {
    let value = gram.wrapping_mul(0x85eb_ca6b);
    let value = (value ^ (value >> 13)).wrapping_mul(0xc2b2_ae35);
    value ^ (value >> 16)
}
