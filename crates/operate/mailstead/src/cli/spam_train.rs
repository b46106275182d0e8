//! `spam train-starter`: making the model that judges on the first day, for developers.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use anyhow::ensure;
use spam::{Class, MESSAGE_OCTETS_MAX, features, pack, portable, train};

use super::letters::{read, sorted};

pub(super) fn train_starter(directory: &Path, out: &Path) -> anyhow::Result<ExitCode> {
    let mut messages = Vec::new();
    let (mut wanted, mut unwanted) = (0, 0);
    for kind in sorted(directory)? {
        let name = kind.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let class = match (name.contains("spam"), name.contains("ham")) {
            (true, _) => Class::Unwanted,
            (false, true) => Class::Wanted,
            (false, false) => continue,
        };
        if !kind.is_dir() {
            continue;
        }
        for file in sorted(&kind)? {
            messages.push((features(&portable(&read(&file, MESSAGE_OCTETS_MAX)?.octets)), class));
            match class {
                Class::Wanted => wanted += 1,
                Class::Unwanted => unwanted += 1,
            }
        }
    }
    ensure!(wanted > 0 && unwanted > 0, "{} holds no directories of both ham and spam", directory.display());
    let packed = pack(&train(&messages));
    fs::write(out, &packed).with_context(|| format!("writing {}", out.display()))?;
    println!("{wanted} wanted and {unwanted} unwanted messages, {} octets", packed.len());
    Ok(ExitCode::SUCCESS)
}
