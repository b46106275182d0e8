//! Mail meets people's scripts: where it is filed, who gets it, who is answered and who is told.

mod answered;
mod broken;
mod events;
mod placed;
mod programs;
mod refused;
mod sent_on;
mod tried;

use anyhow::{Context, Result};
use tempfile::TempDir;
use testkit::{Server, ServerOptions};

use crate::mail;
use crate::mail::{bring_by, field};

const ANN: &str = Server::ANN;
const BOB: &str = Server::BOB;
const EVE: &str = "eve@strangers.example";

/// A server whose people have scripts, beside the directory that gives them these, and has whatever else a story needs.
type House = mail::House<TempDir>;

/// How a house is made.
#[derive(Default)]
struct Plan<'a> {
    /// Who has which script.
    scripts: &'a [(&'a str, &'a str)],
    /// More lines in `[sieve]`, in which `PLACE` is the directory.
    sieve: &'a str,
    /// Other files of the directory, with the rights to be run.
    files: &'a [(&'a str, &'a str)],
    /// Further tables.
    tables: &'a str,
    /// The server's environment.
    environment: Vec<(String, String)>,
}

impl House {
    fn new(scripts: &[(&str, &str)]) -> Result<Self> {
        Self::build(Plan { scripts, ..Plan::default() })
    }

    fn build(plan: Plan<'_>) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let place = TempDir::new()?;
        let path = place.path().display().to_string();
        for (who, script) in plan.scripts {
            std::fs::write(place.path().join(format!("{who}.sieve")), script)?;
        }
        for (name, text) in plan.files {
            let file = place.path().join(name);
            std::fs::create_dir_all(file.parent().context("no directory")?)?;
            std::fs::write(&file, text)?;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
        }
        let sieve = plan.sieve.replace("PLACE", &path);
        let settings = format!("[sieve]\nseeds = \"{path}\"\n{sieve}\n{}", plan.tables);
        let options = ServerOptions { settings, environment: plan.environment, ..ServerOptions::default() };
        Ok(Self { server: Server::start(options)?, world: place })
    }

    /// What the record of the last message from this sender says of the filter of its first recipient.
    fn record(&self, sender: &str) -> Result<String> {
        mail::in_one_line(&self.received(sender)?["recipients"][0]["filter"])
    }
}

/// A letter from somebody to somebody.
fn letter(from: &str, to: &str, subject: &str) -> String {
    mail::letter(from, to, subject, &format!("This is {subject}."))
}
