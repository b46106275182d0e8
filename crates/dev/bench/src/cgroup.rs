//! CPU time and memory of a server with all its processes, dead ones included: the kernel's control groups (v1).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// A control group for one server.
#[derive(Debug)]
pub(crate) struct Group {
    cpu: PathBuf,
    memory: PathBuf,
    /// What its programs see as `/etc/resolv.conf`.
    resolvers: Option<PathBuf>,
}

/// Ends a process with this.
pub(crate) struct Ended(pub(crate) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Group {
    /// Makes a group; needs root.
    pub(crate) fn make(name: &str) -> Result<Self> {
        let unique = format!("mailstead-bench-{}-{name}", std::process::id());
        let folder = |controller: &str| -> Result<PathBuf> {
            let folder = PathBuf::from(format!("/sys/fs/cgroup/{controller}")).join(&unique);
            std::fs::create_dir_all(&folder).with_context(|| format!("{}: run as root", folder.display()))?;
            Ok(folder)
        };
        Ok(Self { cpu: folder("cpuacct")?, memory: folder("memory")?, resolvers: None })
    }

    /// The same; what is started in it looks names up as this file says, and not as the machine does.
    pub(crate) fn asking(name: &str, resolvers: PathBuf) -> Result<Self> {
        let mut group = Self::make(name)?;
        group.resolvers = Some(resolvers);
        Ok(group)
    }

    /// Takes a process in, and with it all that it will start.
    pub(crate) fn take(&self, process: u32) -> Result<()> {
        for folder in [&self.cpu, &self.memory] {
            std::fs::write(folder.join("cgroup.procs"), process.to_string())?;
        }
        Ok(())
    }

    /// Starts a daemon inside the group, so that all its processes are in it from the first on. Its words go to a file:
    /// the processes that stay would hold a pipe open for ever.
    pub(crate) fn start(&self, daemon: &str, arguments: &[&Path], log: &Path) -> Result<()> {
        let status = self.command(daemon, log)?.args(arguments).status()?;
        ensure!(status.success(), "{daemon}: {status}\n{}", std::fs::read_to_string(log)?);
        Ok(())
    }

    /// Starts a program inside the group that stays in the foreground.
    pub(crate) fn run(&self, program: &str, arguments: &[&Path], log: &Path) -> Result<Ended> {
        Ok(Ended(self.command(program, log)?.args(arguments).spawn()?))
    }

    fn command(&self, program: &str, log: &Path) -> Result<Command> {
        let words = std::fs::File::create(log)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo $$ >\"$0\" && echo $$ >\"$1\" && shift && exec \"$@\""]);
        command.arg(self.cpu.join("cgroup.procs")).arg(self.memory.join("cgroup.procs"));
        if let Some(file) = &self.resolvers {
            let mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
            command.args(["unshare", "--mount", "/bin/sh", "-c", mount]).arg(file);
        }
        command.arg(program).stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words);
        Ok(command)
    }

    /// CPU time used so far by all that were ever in it.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(self.cpu.join("cpuacct.usage"))?;
        Ok(Duration::from_nanos(text.trim().parse()?))
    }

    /// Proportional set size of all its processes: shared pages are counted once in all.
    pub(crate) fn resident_octets(&self) -> Result<u64> {
        self.view().resident_octets()
    }

    /// For watching it from another thread.
    pub(crate) fn view(&self) -> View {
        View { processes: self.cpu.join("cgroup.procs") }
    }
}

/// Who is in a group.
pub(crate) struct View {
    processes: PathBuf,
}

impl View {
    /// As [`Group::resident_octets`].
    pub(crate) fn resident_octets(&self) -> Result<u64> {
        let mut octets = 0;
        for process in std::fs::read_to_string(&self.processes)?.lines() {
            // A process may end between the two looks.
            let Ok(text) = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")) else { continue };
            let line = text.lines().find(|line| line.starts_with("Pss:")).context("no Pss")?;
            octets += line.split_whitespace().nth(1).context("no number")?.parse::<u64>()? * 1_024;
        }
        Ok(octets)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in [&self.cpu, &self.memory] {
            // Busy while a process lives; it costs nothing to leave it.
            drop(std::fs::remove_dir(folder));
        }
    }
}
