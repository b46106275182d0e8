//! The shared model: for each view of a message a table of weights, in a fixed layout that can be read where it lies, as in a
//! mapped file. `docs/internals/spam.md` has the layout and the reasons.

use crate::collector::{Features, View};
use crate::octets::{Octets, OctetsMut};
use crate::repeat::{HARD_MAX, HARD_OCTETS};

/// What a model's file begins with.
const MAGIC: [u8; 8] = *b"MSTDSPAM";

/// Changes with the layout, with the features and with their hashes.
const VERSION: u16 = 2;

/// Cells of one view. New words never end, runs of four octets do.
pub(crate) const fn cells(view: View) -> usize {
    match view {
        View::HeaderWords | View::BodyWords => 1 << 19,
        View::HeaderOctets | View::BodyOctets => 1 << 18,
        View::Trace => 1 << 17,
    }
}

/// The first cell of a view among all.
const fn first_cell(view: View) -> usize {
    match view {
        View::HeaderWords => 0,
        View::BodyWords => first_cell(View::HeaderWords) + cells(View::HeaderWords),
        View::HeaderOctets => first_cell(View::BodyWords) + cells(View::BodyWords),
        View::BodyOctets => first_cell(View::HeaderOctets) + cells(View::HeaderOctets),
        View::Trace => first_cell(View::BodyOctets) + cells(View::BodyOctets),
    }
}

/// Cells of all views.
pub(crate) const CELLS: usize = first_cell(View::Trace) + cells(View::Trace);

/// Octets before the cells.
const HEADER_OCTETS: usize = 128;

/// A weight and how much has been learned into it, two octets each.
const CELL_OCTETS: usize = 4;

/// Octets before the hard lessons that are kept.
const HARD_START: usize = HEADER_OCTETS + CELLS * CELL_OCTETS;

/// Octets of a model: 7.5 MiB and its header.
pub const MODEL_OCTETS: usize = HARD_START + HARD_MAX * HARD_OCTETS;

/// The trace's view is believed no further: it knows this server's neighbours best and the rest of the world least.
const TRACE_LOG_ODDS_MAX: f32 = 2.0;

/// Units of a weight in one; weights reach ±16.
pub(crate) const WEIGHT_SCALE: f32 = 2_048.0;

/// Units of heat in one; heat reaches 256.
pub(crate) const HEAT_SCALE: f32 = 256.0;

/// Places in the header.
mod place {
    pub(super) const VERSION: usize = 8;
    pub(super) const HARD: usize = 10;
    pub(super) const CHECKSUM: usize = 16;
    pub(super) const WANTED: usize = 24;
    pub(super) const UNWANTED: usize = 32;
    pub(super) const AGED: usize = 40;
    pub(super) const DAY: usize = 44;
    pub(super) const SPENT: usize = 48;
    pub(super) const FUSION: usize = 52;
}

/// What a message is to who receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Wanted mail: ham.
    Wanted,
    /// Unwanted mail: spam.
    Unwanted,
}

/// Octets that are no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Written by another version of this program: start anew from the starter model.
    #[error("the model is of another version")]
    Version,
    /// Not what was written: start anew from the starter model.
    #[error("the model is damaged")]
    Damaged,
}

/// A shared model over octets, wherever they lie.
#[derive(Clone, Debug)]
pub struct Model<O> {
    octets: O,
}

/// One cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) weight: i16,
    pub(crate) heat: u16,
}

/// How the views' log-odds become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fusion {
    pub(crate) weights: [f32; View::COUNT],
    pub(crate) bias: f32,
}

impl Fusion {
    pub(crate) const NEUTRAL: Fusion = Fusion { weights: [0.4; View::COUNT], bias: 0.0 };

    pub(crate) fn log_odds(&self, views: &[f32; View::COUNT]) -> f32 {
        self.weights.iter().zip(views).map(|(weight, view)| weight * view).sum::<f32>() + self.bias
    }
}

impl Model<Vec<u8>> {
    /// A model that knows nothing.
    pub fn empty() -> Model<Vec<u8>> {
        let mut model = Model { octets: vec![0; MODEL_OCTETS] };
        model.write(0, MAGIC);
        model.write(place::VERSION, VERSION.to_le_bytes());
        model.set_fusion(&Fusion::NEUTRAL);
        model.seal();
        model
    }
}

impl<O: AsRef<[u8]>> Model<O> {
    /// Opens a model where it lies; its checksum is compared.
    pub fn open(octets: O) -> Result<Model<O>, ModelError> {
        let model = Model { octets };
        let all = model.octets.as_ref();
        if all.get(..MAGIC.len()) != Some(&MAGIC) {
            return Err(ModelError::Damaged);
        }
        if u16::from_le_bytes(model.read(place::VERSION)) != VERSION {
            return Err(ModelError::Version);
        }
        let is_whole = all.len() == MODEL_OCTETS && model.hard_lessons() <= HARD_MAX;
        let is_sound = is_whole && u64::from_le_bytes(model.read(place::CHECKSUM)) == checksum(all);
        let fusion = model.fusion();
        let is_finite = fusion.weights.iter().chain([&fusion.bias]).all(|number| number.is_finite());
        if is_sound && is_finite { Ok(model) } else { Err(ModelError::Damaged) }
    }

    /// All octets, to be written to a file; sealed first where something was learned.
    pub fn octets(&self) -> &[u8] {
        self.octets.as_ref()
    }
}

impl<O: AsRef<[u8]> + AsMut<[u8]>> Model<O> {
    /// Writes the checksum, without which the octets cannot be opened again after something was learned.
    pub fn seal(&mut self) {
        let sum = checksum(self.octets.as_ref());
        self.write(place::CHECKSUM, sum.to_le_bytes());
    }
}

impl<O> Model<O> {
    /// What holds the octets.
    pub fn holder(&self) -> &O {
        &self.octets
    }

    /// The same model, held by something else.
    pub fn held_by<P>(self, hold: impl FnOnce(O) -> P) -> Model<P> {
        Model { octets: hold(self.octets) }
    }
}

impl<O: Octets> Model<O> {
    /// A copy in memory of its own, to be sealed and kept.
    pub fn copy(&self) -> Model<Vec<u8>> {
        let mut octets = vec![0; self.octets.count()];
        self.octets.get(0, &mut octets);
        Model { octets }
    }

    /// How many messages of a class it has learned from.
    pub fn learned(&self, class: Class) -> u64 {
        u64::from_le_bytes(self.read(count_place(class)))
    }

    /// The log-odds of each view by itself.
    pub(crate) fn views(&self, features: &Features) -> [f32; View::COUNT] {
        let mut log_odds = [0.0; View::COUNT];
        for ((view, sum), hashes) in View::ALL.into_iter().zip(&mut log_odds).zip(&features.views) {
            *sum = self.view(view, hashes);
        }
        log_odds
    }

    /// The log-odds of one view.
    pub(crate) fn view(&self, view: View, hashes: &[u32]) -> f32 {
        let weights: i64 = hashes.iter().map(|&hash| i64::from(self.cell(view, hash).weight)).sum();
        let log_odds = weights as f32 / WEIGHT_SCALE / norm(hashes.len());
        match view {
            View::Trace => log_odds.clamp(-TRACE_LOG_ODDS_MAX, TRACE_LOG_ODDS_MAX),
            _ => log_odds,
        }
    }

    pub(crate) fn fusion(&self) -> Fusion {
        let number = |index: usize| f32::from_le_bytes(self.read(place::FUSION + 4 * index));
        Fusion { weights: std::array::from_fn(number), bias: number(View::COUNT) }
    }

    pub(crate) fn cell(&self, view: View, hash: u32) -> Cell {
        self.cell_at(cell_of(view, hash))
    }

    /// A cell by its number among those of all views.
    pub(crate) fn cell_at(&self, number: usize) -> Cell {
        let [a, b, c, d] = self.read(HEADER_OCTETS + number * CELL_OCTETS);
        Cell { weight: i16::from_le_bytes([a, b]), heat: u16::from_le_bytes([c, d]) }
    }

    /// The cell that ages next.
    pub(crate) fn aged(&self) -> u32 {
        u32::from_le_bytes(self.read(place::AGED)) % CELLS as u32
    }

    pub(crate) fn day(&self) -> u32 {
        u32::from_le_bytes(self.read(place::DAY))
    }

    pub(crate) fn spent(&self) -> f32 {
        f32::from_le_bytes(self.read(place::SPENT))
    }

    /// How many hard lessons are kept.
    pub(crate) fn hard_lessons(&self) -> usize {
        usize::from(self.read::<1>(place::HARD)[0])
    }

    /// What one of them begins with.
    pub(crate) fn hard_lesson_start(&self, index: usize) -> [u8; 8] {
        self.read(HARD_START + index * HARD_OCTETS)
    }

    /// The octets of one of them, whether written or not.
    pub(crate) fn hard_lesson(&self, index: usize) -> Vec<u8> {
        let mut octets = vec![0; HARD_OCTETS];
        self.octets.get(HARD_START + index * HARD_OCTETS, &mut octets);
        octets
    }

    fn read<const N: usize>(&self, start: usize) -> [u8; N] {
        let mut octets = [0; N];
        self.octets.get(start, &mut octets);
        octets
    }
}

impl<O: OctetsMut> Model<O> {
    pub(crate) fn set_fusion(&mut self, fusion: &Fusion) {
        for (index, number) in fusion.weights.iter().chain([&fusion.bias]).enumerate() {
            self.write(place::FUSION + 4 * index, number.to_le_bytes());
        }
    }

    pub(crate) fn set_cell(&mut self, view: View, hash: u32, cell: Cell) {
        self.set_cell_at(cell_of(view, hash), cell);
    }

    pub(crate) fn set_cell_at(&mut self, number: usize, cell: Cell) {
        let ([a, b], [c, d]) = (cell.weight.to_le_bytes(), cell.heat.to_le_bytes());
        self.write(HEADER_OCTETS + number * CELL_OCTETS, [a, b, c, d]);
    }

    pub(crate) fn set_hard_lessons(&mut self, count: usize) {
        self.write(place::HARD, [count.min(HARD_MAX) as u8]);
    }

    /// Writes some octets of a hard lesson, from one of them on.
    pub(crate) fn set_hard_lesson(&mut self, index: usize, from: usize, octets: &[u8]) {
        let fits = octets.get(..HARD_OCTETS.saturating_sub(from)).unwrap_or(octets);
        self.octets.set(HARD_START + index * HARD_OCTETS + from, fits);
    }

    pub(crate) fn set_learned(&mut self, class: Class, count: u64) {
        self.write(count_place(class), count.to_le_bytes());
    }

    pub(crate) fn set_aged(&mut self, cell: u32) {
        self.write(place::AGED, cell.to_le_bytes());
    }

    pub(crate) fn set_day(&mut self, day: u32, spent: f32) {
        self.write(place::DAY, day.to_le_bytes());
        self.write(place::SPENT, spent.to_le_bytes());
    }

    fn write<const N: usize>(&mut self, start: usize, octets: [u8; N]) {
        self.octets.set(start, &octets);
    }
}

/// The length of a vector of so many ones. A message that says very little must not say it very loud.
pub(crate) fn norm(features: usize) -> f32 {
    const FEATURES_MIN: usize = 32;
    (features.max(FEATURES_MIN) as f32).sqrt()
}

/// The probability that log-odds stand for.
pub(crate) fn probability(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

fn cell_of(view: View, hash: u32) -> usize {
    first_cell(view) + (hash as usize & (cells(view) - 1))
}

fn count_place(class: Class) -> usize {
    match class {
        Class::Wanted => place::WANTED,
        Class::Unwanted => place::UNWANTED,
    }
}

/// A fast sum against accidents; not against who can write the file.
pub(crate) fn checksum(octets: &[u8]) -> u64 {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for (index, chunk) in octets.chunks(8).enumerate() {
        if index * 8 == place::CHECKSUM {
            continue;
        }
        let mut eight = [0; 8];
        for (to, from) in eight.iter_mut().zip(chunk) {
            *to = *from;
        }
        state = (state ^ u64::from_le_bytes(eight)).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
    }
    state
}
