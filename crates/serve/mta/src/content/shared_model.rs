//! The shared model's files: mapped into memory, so that what no mail asks for takes no room, and replaced whole.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use platform::durable::{self, Readable};
use platform::mapping::Mapping;
use spam::{Model, starter};

/// The model that judges.
pub(super) const SHARED: &str = "shared.model";
/// The model as it was at the end of the day before.
const YESTERDAY: &str = "shared.model.yesterday";
/// What could not be read, left for whoever wants to look at it.
pub(super) const DAMAGED: &str = "shared.model.damaged";

/// Where a model's octets are.
#[derive(Debug)]
pub(crate) enum Octets {
    /// In a file, with what was learned since it was written.
    Mapped(Mapping),
    /// In no file yet: the model that the program brings along.
    First(Vec<u8>),
}

impl Octets {
    /// Whether some of them could not be read, and are zeros now.
    pub(super) fn is_damaged(&self) -> bool {
        match self {
            Octets::Mapped(mapping) => mapping.is_damaged(),
            Octets::First(_) => false,
        }
    }
}

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        match self {
            Octets::Mapped(mapping) => mapping.as_ref(),
            Octets::First(octets) => octets,
        }
    }
}

impl AsMut<[u8]> for Octets {
    fn as_mut(&mut self) -> &mut [u8] {
        match self {
            Octets::Mapped(mapping) => mapping.as_mut(),
            Octets::First(octets) => octets,
        }
    }
}

/// The model in a directory; or what stands in for it, and is still to be written. Blocking.
pub(super) fn open(place: &Path) -> io::Result<(Model<Octets>, bool)> {
    match mapped(place) {
        Ok(model) => Ok((model, false)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((earlier(place), true)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::error!(path = %place.join(SHARED).display(), %error, "the filter's model is of no use");
            Ok((instead(place)?, true))
        }
        Err(error) => Err(error),
    }
}

/// Puts the model aside, for one of before. Blocking.
pub(super) fn instead(place: &Path) -> io::Result<Model<Octets>> {
    let (path, aside) = (place.join(SHARED), place.join(DAMAGED));
    match fs::rename(&path, &aside) {
        Ok(()) => {
            tracing::error!(path = %aside.display(), "the filter's model cannot be read and is put aside")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::error!(path = %path.display(), "the filter's model is gone");
        }
        Err(error) => return Err(error),
    }
    Ok(earlier(place))
}

/// The model of the day before, or else the first one.
fn earlier(place: &Path) -> Model<Octets> {
    match yesterday(place) {
        Ok(Some(model)) => {
            tracing::warn!(place = %place.display(), "the filter goes on with its model of the day before");
            model
        }
        Ok(None) => first(),
        Err(error) => {
            tracing::error!(path = %place.join(YESTERDAY).display(), %error, "the filter starts anew from its first model");
            first()
        }
    }
}

/// What the program brings along.
pub(super) fn first() -> Model<Octets> {
    starter().held_by(Octets::First)
}

/// The model as it was before today, if there is one. Blocking.
pub(super) fn yesterday(place: &Path) -> io::Result<Option<Model<Octets>>> {
    match map(&place.join(YESTERDAY)) {
        Ok(model) => Ok(Some(model)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The model that was written last. Blocking.
///
/// # Errors
/// `NotFound`; `InvalidData` of one that is damaged or of another version; and what the operating system says.
pub(super) fn mapped(place: &Path) -> io::Result<Model<Octets>> {
    map(&place.join(SHARED))
}

/// The former model stays in its place until the new one takes it: whatever fails between, none is missing. Blocking.
pub(super) fn write(place: &Path, octets: &[u8], is_new_day: bool) -> io::Result<()> {
    let path = place.join(SHARED);
    if is_new_day && let Err(error) = keep_former(place) {
        // What was learned is worth more than a way back.
        tracing::error!(path = %path.display(), %error, "the model of the day before is not kept");
    }
    durable::write(&path, octets, Readable::Owner)
}

fn keep_former(place: &Path) -> io::Result<()> {
    match fs::read(place.join(SHARED)) {
        Ok(former) => durable::write(&place.join(YESTERDAY), &former, Readable::Owner),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn map(path: &Path) -> io::Result<Model<Octets>> {
    let octets = Octets::Mapped(Mapping::of(&File::open(path)?)?);
    Model::open(octets).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
