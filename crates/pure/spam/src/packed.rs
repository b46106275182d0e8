//! A model packed small, as the starter model is shipped: the heaviest weights only, one octet each.

use crate::collector::View;
use crate::model::{Cell, Class, Fusion, Model, ModelError, cells, checksum};
use crate::octets::Octets;

const MAGIC: [u8; 8] = *b"MSTDPACK";

/// Changes with the layout, with the features and with their hashes.
const VERSION: u8 = 2;

/// Most octets of a packed model.
pub const PACKED_OCTETS_MAX: usize = 512 * 1024;

/// Octets before the weights: magic, version, checksum, counts, fusion, units.
const HEADER_OCTETS: usize = 16 + 8 + 16 + 4 * (View::COUNT + 1) + 4 * View::COUNT;

/// Heat of a cell that was shipped: as if it had been learned into a few times, so that a server's own mail can still teach it
/// better.
const HEAT: u16 = 256;

/// The starter model, made by `mailstead spam train-starter` from the SpamAssassin public corpus.
const STARTER: &[u8] = include_bytes!("../starter.model");

/// The model for the first day, trained on old public mail.
pub fn starter() -> Model<Vec<u8>> {
    // A test unpacks it; a build without it in order is never shipped.
    unpack(STARTER).unwrap_or_else(|_| Model::empty())
}

/// Packs a model; what does not fit is what weighs least.
pub fn pack<O: Octets>(model: &Model<O>) -> Vec<u8> {
    let mut octets = Vec::with_capacity(PACKED_OCTETS_MAX);
    octets.extend_from_slice(&MAGIC);
    octets.extend_from_slice(&[VERSION, 0, 0, 0, 0, 0, 0, 0]);
    octets.extend_from_slice(&[0; 8]);
    for class in [Class::Wanted, Class::Unwanted] {
        octets.extend_from_slice(&model.learned(class).to_le_bytes());
    }
    let Fusion { weights, bias } = model.fusion();
    for number in weights.iter().chain([&bias]) {
        octets.extend_from_slice(&number.to_le_bytes());
    }
    let views: Vec<Vec<i16>> = View::ALL
        .into_iter()
        .map(|view| (0..cells(view) as u32).map(|cell| model.cell(view, cell).weight).collect())
        .collect();
    let heaviest = |weights: &Vec<i16>| weights.iter().map(|weight| weight.unsigned_abs()).max().unwrap_or(0);
    let units: Vec<u32> =
        views.iter().map(|weights| u32::from(heaviest(weights)).div_ceil(127).max(1)).collect();
    for unit in &units {
        octets.extend_from_slice(&unit.to_le_bytes());
    }
    // The trace's view comes first: a model for elsewhere has none, and leaves its room to the others.
    for ((weights, unit), views_left) in views.iter().zip(&units).rev().zip((1..=View::COUNT).rev()) {
        let room = (PACKED_OCTETS_MAX - octets.len()) / views_left;
        octets.extend(pack_view(weights, *unit, room));
    }
    let sum = checksum(&octets).to_le_bytes();
    if let Some(place) = octets.get_mut(16..24) {
        place.copy_from_slice(&sum);
    }
    octets
}

/// The cells of one view that fit: distance to the one before, then the weight.
fn pack_view(weights: &[i16], unit: u32, room: usize) -> Vec<u8> {
    let small = |weight: i16| (f32::from(weight) / unit as f32).round().clamp(-127.0, 127.0) as i8;
    let mut least: u8 = 1;
    loop {
        let mut octets = Vec::new();
        let mut distance: usize = 0;
        for weight in weights.iter().map(|weight| small(*weight)) {
            distance += 1;
            if weight.unsigned_abs() >= least {
                write_number(&mut octets, distance);
                octets.push(weight.to_le_bytes()[0]);
                distance = 0;
            }
        }
        octets.push(0);
        if octets.len() <= room || least >= 127 {
            return octets;
        }
        least += 1;
    }
}

/// Unpacks what [`pack`] made.
pub fn unpack(octets: &[u8]) -> Result<Model<Vec<u8>>, ModelError> {
    let (header, mut rest) = octets.split_at_checked(HEADER_OCTETS).ok_or(ModelError::Damaged)?;
    if header.get(..8) != Some(&MAGIC) {
        return Err(ModelError::Damaged);
    }
    if header.get(8) != Some(&VERSION) {
        return Err(ModelError::Version);
    }
    let four = |start: usize| -> [u8; 4] {
        header.get(start..start + 4).and_then(|four| four.try_into().ok()).unwrap_or_default()
    };
    let eight = |start: usize| {
        u64::from(u32::from_le_bytes(four(start))) | u64::from(u32::from_le_bytes(four(start + 4))) << 32
    };
    if eight(16) != checksum(octets) {
        return Err(ModelError::Damaged);
    }
    let mut model = Model::empty();
    model.set_learned(Class::Wanted, eight(24));
    model.set_learned(Class::Unwanted, eight(32));
    let number = |index: usize| f32::from_le_bytes(four(40 + 4 * index));
    let fusion = Fusion { weights: std::array::from_fn(number), bias: number(View::COUNT) };
    if !fusion.weights.iter().chain([&fusion.bias]).all(|number| number.is_finite()) {
        return Err(ModelError::Damaged);
    }
    model.set_fusion(&fusion);
    for view in View::ALL.into_iter().rev() {
        let unit = i32::from_le_bytes(four(40 + 4 * (View::COUNT + 1 + view as usize)));
        let mut cell: usize = 0;
        while let distance @ 1.. = read_number(&mut rest).ok_or(ModelError::Damaged)? {
            let (weight, behind) = rest.split_first().ok_or(ModelError::Damaged)?;
            rest = behind;
            cell += distance;
            if cell > cells(view) {
                return Err(ModelError::Damaged);
            }
            let weight = i32::from(i8::from_le_bytes([*weight])).saturating_mul(unit);
            let weight = weight.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
            model.set_cell(view, (cell - 1) as u32, Cell { weight, heat: HEAT });
        }
    }
    if !rest.is_empty() {
        return Err(ModelError::Damaged);
    }
    model.seal();
    Ok(model)
}

/// Seven bits an octet, the lowest first.
fn write_number(octets: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        octets.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    octets.push(number as u8);
}

fn read_number(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in [0, 7, 14] {
        let (octet, behind) = rest.split_first()?;
        *rest = behind;
        number |= usize::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
