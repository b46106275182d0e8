//! `config …`: is the configuration right, and what does it say.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::config_env;
use crate::filters::filter_settings;
use crate::settings::{Scope, Settings, show_json, show_toml};

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Say whether the configuration is right, or everything that is wrong with it.
    #[command(after_help = "Example: mailstead --config mailstead.toml config check")]
    Check,
    /// Show the configuration in force.
    #[command(
        after_help = "Examples:\n  mailstead config show --json\n  mailstead config show --defaults > mailstead.toml"
    )]
    Show {
        /// Show every setting with its default, unit and meaning, without reading any file.
        #[arg(long)]
        defaults: bool,
    },
    /// Print what an environment file of docker-mailserver says of spam as settings, and what becomes of its other variables.
    #[command(after_help = "Example: mailstead config import-env mailserver.env >> mailstead.toml")]
    ImportEnv {
        /// The file.
        file: PathBuf,
    },
}

pub(super) fn run(verb: &Verb, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let settings = match verb {
        Verb::ImportEnv { file } => {
            config_env::run(file, json)?;
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Show { defaults: true } => None,
        _ => Some(Settings::load(config)?),
    };
    if let (Verb::Check, Some(settings)) = (verb, &settings) {
        // The server does not start with scripts of the operator's that are none.
        filter_settings(settings)?;
    }
    match verb {
        Verb::Check if json => println!("{}", serde_json::json!({ "file": config, "ok": true })),
        Verb::ImportEnv { .. } => {}
        Verb::Check => println!("{}: all right", config.display()),
        Verb::Show { .. } if json => println!("{:#}", show_json(settings.as_ref())),
        Verb::Show { defaults } => {
            let scope = if *defaults { Scope::Defaults } else { Scope::InForce };
            print!("{}", show_toml(settings.as_ref(), scope));
        }
    }
    Ok(ExitCode::SUCCESS)
}
