//! Whose rights a command works with: files that root makes in a data directory would lock its server out.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;

/// Root gives its rights up for those of the data directory's owner, where that is somebody else.
pub(crate) fn become_owner_of(data: &Path) -> anyhow::Result<()> {
    let Ok(metadata) = std::fs::metadata(data) else { return Ok(()) };
    if metadata.uid() == 0 || !platform::privileges::is_root() {
        return Ok(());
    }
    platform::privileges::become_owner(metadata.uid(), metadata.gid())
        .with_context(|| format!("cannot take on the rights of the owner of {}", data.display()))
}
