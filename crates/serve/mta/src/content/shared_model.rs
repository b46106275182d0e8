//! The shared model's files, and where it is while it is in use: mapped into memory, so that what no mail asks for takes no room.

use std::fs;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use platform::clock::Timestamp;
use platform::durable::{self, Readable};
use platform::mapping::Mapping;
use spam::{Model, ModelError, Octets, OctetsMut, starter};

use super::day_of;

/// The model as it was last written.
pub(super) const SHARED: &str = "shared.model";
/// The model as it was at the end of the day before.
const YESTERDAY: &str = "shared.model.yesterday";
/// What could not be read, left for whoever wants to look at it.
pub(super) const DAMAGED: &str = "shared.model.damaged";

/// What holds a model while it judges and learns.
#[derive(Debug)]
pub(crate) enum Holder {
    /// A file without a name, where the kernel can leave it.
    Mapped(Mapping),
    /// Our own memory, where nothing can be mapped.
    Memory(Vec<u8>),
}

impl Holder {
    fn of(octets: Vec<u8>, place: &Path) -> Self {
        match Mapping::of(&octets, place) {
            Ok(mapping) => Self::Mapped(mapping),
            Err(error) => {
                tracing::warn!(place = %place.display(), %error, "the filter's model is not mapped, and stays in memory");
                Self::Memory(octets)
            }
        }
    }

    /// Whether some octets could not be read, and were zeros.
    pub(super) fn is_damaged(&self) -> bool {
        match self {
            Self::Mapped(mapping) => mapping.is_damaged(),
            Self::Memory(_) => false,
        }
    }
}

impl Octets for Holder {
    fn count(&self) -> usize {
        match self {
            Self::Mapped(mapping) => mapping.count(),
            Self::Memory(octets) => octets.count(),
        }
    }

    fn get(&self, start: usize, to: &mut [u8]) {
        match self {
            Self::Mapped(mapping) => mapping.read(start, to),
            Self::Memory(octets) => octets.get(start, to),
        }
    }
}

impl OctetsMut for Holder {
    fn set(&mut self, start: usize, from: &[u8]) {
        match self {
            Self::Mapped(mapping) => mapping.write(start, from),
            Self::Memory(octets) => octets.set(start, from),
        }
    }
}

/// Why there is no model in a file.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("there is none")]
    Absent,
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Disk(io::Error),
}

/// The model in a directory, or what stands in for it; whether it is as its file says. Blocking.
///
/// # Errors
/// A file that is there and that the operating system does not let us read.
pub(super) fn open(place: &Path) -> io::Result<(Model<Holder>, bool)> {
    match read(&place.join(SHARED)) {
        Ok(model) => Ok((held(model, place), true)),
        Err(Unread::Disk(error)) => Err(error),
        Err(Unread::Absent) => Ok((earlier(place), false)),
        Err(Unread::Model(error)) => {
            put_aside(place, error);
            Ok((earlier(place), false))
        }
    }
}

/// The model in a directory, or what stands in for it, whatever is the matter with the disk. Blocking.
pub(super) fn open_again(place: &Path) -> Model<Holder> {
    match open(place) {
        Ok((model, _)) => model,
        Err(error) => {
            tracing::error!(path = %place.join(SHARED).display(), %error, "the filter's model cannot be read");
            earlier(place)
        }
    }
}

/// Gives a model that is of no use another name; where that is refused, the next writing replaces it.
fn put_aside(place: &Path, why: ModelError) {
    let (path, aside) = (place.join(SHARED), place.join(DAMAGED));
    if why == ModelError::Version {
        tracing::warn!(path = %path.display(), "the filter's model is of another version of this program");
        return;
    }
    match fs::rename(&path, &aside) {
        Ok(()) => tracing::error!(path = %aside.display(), %why, "the filter's model is put aside"),
        Err(error) => {
            tracing::error!(path = %path.display(), %why, %error, "the filter's model cannot be put aside")
        }
    }
}

/// The model of the day before, or else the first one.
fn earlier(place: &Path) -> Model<Holder> {
    match yesterday(place) {
        Ok(Some(model)) => {
            tracing::warn!(place = %place.display(), "the filter goes on with its model of the day before");
            model
        }
        Ok(None) => first(place),
        Err(error) => {
            let path = place.join(YESTERDAY);
            tracing::error!(path = %path.display(), %error, "the filter starts anew from its first model");
            first(place)
        }
    }
}

/// What the program brings along.
pub(super) fn first(place: &Path) -> Model<Holder> {
    held(starter(), place)
}

/// The model that was written last; `None` if there is none that can be used. Blocking.
pub(super) fn written(place: &Path) -> io::Result<Option<Model<Holder>>> {
    usable(read(&place.join(SHARED)), place)
}

/// The model as it was before the day on which it was written last; `None` if there is none that can be used. Blocking.
pub(super) fn yesterday(place: &Path) -> io::Result<Option<Model<Holder>>> {
    usable(read(&place.join(YESTERDAY)), place)
}

fn usable(found: Result<Model<Vec<u8>>, Unread>, place: &Path) -> io::Result<Option<Model<Holder>>> {
    match found {
        Ok(model) => Ok(Some(held(model, place))),
        Err(Unread::Absent | Unread::Model(ModelError::Version)) => Ok(None),
        Err(Unread::Model(error)) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(Unread::Disk(error)) => Err(error),
    }
}

/// The day on which the model was written last.
pub(super) fn written_on(place: &Path) -> Option<u32> {
    let written = fs::metadata(place.join(SHARED)).and_then(|file| file.modified()).ok()?;
    let seconds = written.duration_since(UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(seconds).ok().map(|seconds| day_of(Timestamp::from_unix_seconds(seconds)))
}

/// Keeps the model that was written last as that of yesterday, if it is sound. Takes no room. Blocking.
pub(super) fn keep_former(place: &Path) -> io::Result<()> {
    match read(&place.join(SHARED)) {
        Ok(_) => durable::link(&place.join(SHARED), &place.join(YESTERDAY)),
        Err(Unread::Absent | Unread::Model(ModelError::Version)) => Ok(()),
        Err(Unread::Model(error)) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(Unread::Disk(error)) => Err(error),
    }
}

/// Writes a sealed model. The former one stays in its place until this one takes it: whatever fails between, none is missing.
/// Blocking.
pub(super) fn write(place: &Path, model: &Model<Vec<u8>>) -> io::Result<()> {
    durable::write(&place.join(SHARED), model.octets(), Readable::Owner)
}

fn held(model: Model<Vec<u8>>, place: &Path) -> Model<Holder> {
    model.held_by(|octets| Holder::of(octets, place))
}

fn read(path: &Path) -> Result<Model<Vec<u8>>, Unread> {
    match fs::read(path) {
        Ok(octets) => Ok(Model::open(octets)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Unread::Absent),
        Err(error) => Err(Unread::Disk(error)),
    }
}
