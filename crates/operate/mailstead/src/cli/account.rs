//! `account …`: people.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Subcommand;

use crate::admin::{HeldMail, Hidden, Request};
use crate::settings::read_octets;

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Make an account; a new domain is taken up with it.
    #[command(
        after_help = "Examples:\n  mailstead account add ann@example.org --quota 5G\n  mailstead account add --from-file people.txt     # a line each: address password"
    )]
    Add {
        /// The account's address.
        #[arg(required_unless_present = "from_file", conflicts_with = "from_file")]
        address: Option<String>,
        #[command(flatten)]
        password: PasswordSource,
        /// The most that the account's mail may take, for example 5G; 0 for no limit.
        #[arg(long, value_name = "OCTETS")]
        quota: Option<String>,
        /// Make many accounts from a file with an address and a password (clear or {SCHEME} hash) a line.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["password", "password_stdin", "quota"])]
        from_file: Option<PathBuf>,
    },
    /// List the accounts.
    #[command(after_help = "Example: mailstead account list --json")]
    List,
    /// Show an account.
    #[command(after_help = "Example: mailstead account show ann@example.org")]
    Show { address: String },
    /// Set an account's password.
    #[command(after_help = "Example: mailstead account password ann@example.org --password-stdin < secret")]
    Password {
        address: String,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Refuse an account's logins and mail, and keep all it has.
    #[command(after_help = "Example: mailstead account disable ann@example.org")]
    Disable { address: String },
    /// Take a disabled account up again.
    #[command(after_help = "Example: mailstead account enable ann@example.org")]
    Enable { address: String },
    /// Let an account send again that was stopped because it looked stolen. A new password does the same.
    #[command(
        after_help = "Examples:\n  mailstead account unlock ann@example.org             # its held mail stays held\n  mailstead account unlock ann@example.org --drop      # throw that away\n  mailstead account unlock ann@example.org --release   # send it"
    )]
    Unlock {
        address: String,
        /// Throw its held mail away; nobody is told.
        #[arg(long, conflicts_with = "release")]
        drop: bool,
        /// Send its held mail.
        #[arg(long)]
        release: bool,
    },
    /// Remove an account and its mail.
    #[command(after_help = "Example: mailstead account remove ann@example.org")]
    Remove {
        address: String,
        /// Keep the mail's index file aside, so that the account can be brought back.
        #[arg(long)]
        keep_mail: bool,
    },
    /// Set how much an account may keep: 5G; 0 or none lifts the limit.
    #[command(after_help = "Example: mailstead account quota ann@example.org 5G")]
    Quota { address: String, quota: String },
}

/// Where a password comes from; asked at the terminal when neither is given.
#[derive(clap::Args, Debug)]
pub(super) struct PasswordSource {
    /// The password (others on this machine may see it in the process list), or a {SCHEME} hash.
    #[arg(long, value_name = "P", conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input's first line.
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordSource {
    pub(super) fn given(password: Option<String>) -> Self {
        Self { password, password_stdin: false }
    }

    pub(super) fn standard_input() -> Self {
        Self { password: None, password_stdin: true }
    }

    pub(super) fn read(self) -> anyhow::Result<Hidden> {
        let password = match self.password {
            Some(password) => password,
            None => {
                if !self.password_stdin && std::io::stdin().is_terminal() {
                    eprint!("Password (will be shown as you type): ");
                }
                let mut line = String::new();
                std::io::stdin()
                    .lock()
                    .read_line(&mut line)
                    .context("reading the password from standard input")?;
                line.trim_end_matches(['\r', '\n']).to_owned()
            }
        };
        if password.is_empty() {
            bail!("the password is empty; give it with --password-stdin or --password");
        }
        Ok(Hidden(password))
    }
}

impl Verb {
    pub(super) fn into_request(self) -> anyhow::Result<Request> {
        Ok(match self {
            Self::Add { from_file: Some(file), .. } => {
                Request::AccountAddMany { people: read_people(&file)? }
            }
            Self::Add { address, password, quota, .. } => Request::AccountAdd {
                address: address.unwrap_or_default(),
                quota: quota.as_deref().map(read_quota).transpose()?.flatten(),
                password: password.read()?,
            },
            Self::List => Request::AccountList,
            Self::Show { address } => Request::AccountShow { address },
            Self::Password { address, password } => {
                Request::AccountPassword { address, password: password.read()? }
            }
            Self::Disable { address } => Request::AccountDisable { address },
            Self::Enable { address } => Request::AccountEnable { address },
            Self::Unlock { address, drop, release } => {
                let mail = match (drop, release) {
                    (true, _) => HeldMail::Drop,
                    (false, true) => HeldMail::Release,
                    (false, false) => HeldMail::Keep,
                };
                Request::AccountUnlock { address, mail }
            }
            Self::Remove { address, keep_mail } => Request::AccountRemove { address, keep_mail },
            Self::Quota { address, quota } => Request::AccountQuota { address, quota: read_quota(&quota)? },
        })
    }
}

/// Reads `5G`; `0` and `none` mean no limit.
pub(super) fn read_quota(text: &str) -> anyhow::Result<Option<u64>> {
    if text == "none" {
        return Ok(None);
    }
    let octets = read_octets(text)
        .with_context(|| format!("{text:?} is no amount; write for example 500M, 5G or none"))?;
    Ok((octets > 0).then_some(octets))
}

fn read_people(file: &std::path::Path) -> anyhow::Result<Vec<(String, Hidden)>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut people = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((address, password)) = line.split_once(char::is_whitespace) else {
            bail!("{}:{}: a line has an address, a space and a password", file.display(), index + 1);
        };
        people.push((address.to_owned(), Hidden(password.trim().to_owned())));
    }
    Ok(people)
}
