//! What the machine itself can do: the ceilings that every server works under.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::report::{Better, Report};

/// How long each is measured.
const TIME: Duration = Duration::from_secs(2);

pub(crate) fn run(report: &mut Report) -> Result<()> {
    let directory = tempfile::TempDir::new_in(std::env::current_dir()?.join("target"))?;
    for (threads, work) in
        [(1_usize, "fdatasync of 4 KiB, one at a time"), (16, "fdatasync of 4 KiB, 16 at a time")]
    {
        let counts: Vec<Result<u64>> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|number| {
                    let file = directory.path().join(number.to_string());
                    scope.spawn(move || syncs(&file))
                })
                .collect();
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Ok(0))).collect()
        });
        let mut all = 0;
        for count in counts {
            all += count?;
        }
        report.add(
            work,
            "this machine",
            f64::from(u32::try_from(all)?) / TIME.as_secs_f64(),
            "a second",
            Better::More,
        );
    }
    let (from, mut to) = (vec![1_u8; 64 << 20], vec![0_u8; 64 << 20]);
    let begun = Instant::now();
    for _ in 0..8 {
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&mut to);
    }
    report.add("memory copied", "this machine", 0.5 / begun.elapsed().as_secs_f64(), "GiB/s", Better::More);
    Ok(())
}

fn syncs(path: &std::path::Path) -> Result<u64> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(&[0; 4_096])?;
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < TIME {
        count += 1;
        file.write_all_at(&[1; 4_096], count * 4_096)?;
        file.sync_data()?;
    }
    Ok(count)
}
