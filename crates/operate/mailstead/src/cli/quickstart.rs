//! `quickstart`: from an empty machine to a server that can be started, with one command.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use mail_types::{Address, DomainName};
use platform::clock::Clock;
use platform::metrics::Metrics;

use super::account::PasswordSource;
use crate::admin::{Answer, Hidden, Request};
use crate::house::House;
use crate::settings::Settings;
use crate::wire::{own_policy, policy_id};

/// Letters and digits that nobody takes for one another.
const PASSWORD_ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// 20 of 55 signs: 115 bits.
const PASSWORD_LENGTH: usize = 20;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  mailstead quickstart you@example.org\n  mailstead quickstart --dir ~/mail --hostname mail.example.test --port-offset 20000 --listen 127.0.0.1 you@example.test"
)]
pub(super) struct Arguments {
    /// The first account.
    address: String,
    /// Put everything under this directory: DIR/mailstead.toml, DIR/data, DIR/tls. Without it: /etc/mailstead and /var/lib/mailstead.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The server's host name; mail.DOMAIN without it.
    #[arg(long, value_name = "HOST")]
    hostname: Option<String>,
    /// Add this to every port.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=60_000))]
    port_offset: u32,
    /// Listen on this address; may be given several times. All addresses without it.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<IpAddr>,
    /// Read the account's password from standard input; without it one is made and shown.
    #[arg(long)]
    password_stdin: bool,
}

struct Plan {
    address: Address,
    domain: DomainName,
    hostname: DomainName,
    config: PathBuf,
    data: PathBuf,
    tls: PathBuf,
    port_offset: u32,
    listen: Vec<IpAddr>,
    /// The system user the server becomes; none where it stays who started it.
    user: Option<&'static str>,
}

/// The system user of a server that root sets up for the whole machine.
const SYSTEM_USER: &str = "mailstead";

pub(super) fn run(arguments: Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let plan = Plan::new(&arguments)?;
    let (password, is_made) = if arguments.password_stdin {
        (PasswordSource::standard_input().read()?, false)
    } else {
        (Hidden(make_password()?), true)
    };
    plan.write_files()?;
    plan.add_account(password.clone())?;
    plan.hand_over()?;
    let made = is_made.then_some(&password);
    if json {
        println!("{:#}", plan.to_json(made)?);
    } else {
        print!("{}", plan.to_text(made)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a server for the demo under `directory`, with one account; the result is its configuration file.
pub(super) fn make(
    directory: &Path,
    hostname: &str,
    port_offset: u16,
    listen: IpAddr,
    address: &str,
    password: &str,
) -> anyhow::Result<PathBuf> {
    let plan = Plan::new(&Arguments {
        address: address.into(),
        dir: Some(directory.into()),
        hostname: Some(hostname.into()),
        port_offset: port_offset.into(),
        listen: vec![listen],
        password_stdin: false,
    })?;
    plan.write_files()?;
    plan.add_account(Hidden(password.into()))?;
    Ok(plan.config)
}

fn make_password() -> anyhow::Result<String> {
    let mut password = String::with_capacity(PASSWORD_LENGTH);
    while password.len() < PASSWORD_LENGTH {
        let mut octets = [0; 32];
        directory::fill_random(&mut octets).context("asking for randomness")?;
        // Octets beyond a multiple of the alphabet would favour its first letters.
        let even =
            u8::try_from(256 / PASSWORD_ALPHABET.len() * PASSWORD_ALPHABET.len() - 1).unwrap_or(u8::MAX);
        let signs = octets.iter().filter(|&&octet| octet <= even);
        let signs =
            signs.map(|&octet| char::from(PASSWORD_ALPHABET[usize::from(octet) % PASSWORD_ALPHABET.len()]));
        password.extend(signs.take(PASSWORD_LENGTH - password.len()));
    }
    Ok(password)
}

impl Plan {
    fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        let text = &arguments.address;
        let address = Address::parse(text)
            .with_context(|| format!("{text:?} is no address such as you@example.org"))?;
        let domain = address.domain_name().context("the address needs a domain name behind the @")?.clone();
        let hostname = arguments.hostname.clone().unwrap_or_else(|| format!("mail.{domain}"));
        let hostname =
            DomainName::parse(&hostname).with_context(|| format!("{hostname:?} is no host name"))?;
        let (config, data, tls) = match &arguments.dir {
            Some(dir) => {
                let dir = std::path::absolute(dir).context("where is the current directory?")?;
                (dir.join("mailstead.toml"), dir.join("data"), dir.join("tls"))
            }
            None => (
                "/etc/mailstead/mailstead.toml".into(),
                "/var/lib/mailstead".into(),
                "/etc/mailstead/tls".into(),
            ),
        };
        Ok(Self {
            address,
            domain,
            hostname,
            config,
            data,
            tls,
            port_offset: arguments.port_offset,
            listen: arguments.listen.clone(),
            user: (arguments.dir.is_none() && platform::privileges::is_root()).then_some(SYSTEM_USER),
        })
    }

    /// Gives data and key to the user that the server becomes, who is made where he is missing.
    fn hand_over(&self) -> anyhow::Result<()> {
        let Some(user) = self.user else { return Ok(()) };
        let run = |program: &str, arguments: &[&std::ffi::OsStr]| -> anyhow::Result<bool> {
            let output = Command::new(program)
                .args(arguments)
                .output()
                .with_context(|| format!("running {program}"))?;
            Ok(output.status.success())
        };
        if !run("id", &["-u".as_ref(), user.as_ref()])? {
            let made = run(
                "useradd",
                &["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", user].map(AsRef::as_ref),
            )?;
            anyhow::ensure!(
                made,
                "cannot make the system user {user}; make it with useradd and run this again"
            );
        }
        let owner = format!("{user}:{user}");
        let given =
            run("chown", &["-R".as_ref(), owner.as_ref(), self.data.as_os_str(), self.tls.as_os_str()])?;
        anyhow::ensure!(given, "cannot give {} and {} to {user}", self.data.display(), self.tls.display());
        Ok(())
    }

    /// Writes certificate and configuration, never over what is there.
    fn write_files(&self) -> anyhow::Result<()> {
        if self.config.exists() {
            bail!(
                "{} is there already; start it with `mailstead --config {} serve`, or give another --dir",
                self.config.display(),
                self.config.display()
            );
        }
        let mut names = vec![self.hostname.as_str()];
        if self.is_local() {
            names.extend(["localhost", "127.0.0.1", "::1"]);
        }
        let pair =
            tls::self_signed::generate(&names, Clock::system().now()).context("making a certificate")?;
        for folder in
            [self.tls.as_path(), self.config.parent().unwrap_or(Path::new("/")), self.data.as_path()]
        {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the directory {}", folder.display()))?;
        }
        write_new(&self.tls.join("certificate.pem"), &pair.chain, 0o644)?;
        write_new(&self.tls.join("key.pem"), &pair.key, 0o600)?;
        write_new(&self.config, &self.config_text(), 0o644)
    }

    /// Whether this is a server for tests: nobody outside could check a certificate for it.
    fn is_local(&self) -> bool {
        let name = self.hostname.as_str();
        name == "localhost"
            || name.ends_with(".localhost")
            || name.ends_with(".test")
            || (!self.listen.is_empty() && self.listen.iter().all(IpAddr::is_loopback))
    }

    fn config_text(&self) -> String {
        let quote = |path: &Path| toml::Value::from(path.to_string_lossy().as_ref()).to_string();
        let mut text = String::from(
            "# mailstead's configuration. Every setting with its default and meaning: mailstead config show --defaults\n\n",
        );
        let _ = writeln!(text, "hostname = \"{}\"\ndata = {}", self.hostname, quote(&self.data));
        if let Some(user) = self.user {
            let _ = writeln!(text, "user = \"{user}\"");
        }
        text.push_str("\n[listen]\n");
        if !self.listen.is_empty() {
            let addresses: Vec<String> = self.listen.iter().map(|ip| format!("\"{ip}\"")).collect();
            let _ = writeln!(text, "addresses = [{}]", addresses.join(", "));
        }
        let _ = writeln!(text, "port_offset = {}\n\n[tls]", self.port_offset);
        let _ = writeln!(
            text,
            "# Self-signed. Put the files of a certificate that your people's programs trust here; they are taken up by themselves.\n\
             certificates = [{{ certificate = {}, key = {} }}]",
            quote(&self.tls.join("certificate.pem")),
            quote(&self.tls.join("key.pem")),
        );
        text
    }

    fn add_account(&self, password: Hidden) -> anyhow::Result<()> {
        let settings = Settings::load(&self.config)?;
        let request = Request::AccountAdd { address: self.address.to_string(), password, quota: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let house = House::open(&settings, &Clock::system(), &Metrics::new())?;
            let answer = crate::admin::execute(&house, request).await;
            house.close().await?;
            match answer {
                Answer::Failed { why } => bail!(why),
                _ => Ok(()),
            }
        })
    }

    /// The records without which mail neither comes in nor is believed; signatures and policies add theirs when they come.
    fn dns_records(&self) -> anyhow::Result<Vec<(String, &'static str, String, &'static str)>> {
        let (domain, host) = (&self.domain, &self.hostname);
        let policy = policy_id(&own_policy(&Settings::load(&self.config)?));
        Ok(vec![
            (
                format!("{host}."),
                "A / AAAA",
                "the server's addresses".into(),
                "where the server is; ask your provider that the reverse name of these addresses is the host name too",
            ),
            (format!("{domain}."), "MX", format!("10 {host}."), "mail for the domain comes here"),
            (
                format!("{domain}."),
                "TXT",
                "\"v=spf1 mx -all\"".into(),
                "only this server sends mail from the domain",
            ),
            (
                format!("_dmarc.{domain}."),
                "TXT",
                format!("\"v=DMARC1; p=none; rua=mailto:postmaster@{domain}\""),
                "others report who sends in the domain's name",
            ),
            (
                format!("mta-sts.{domain}."),
                "CNAME",
                format!("{host}."),
                "other servers find the policy about TLS here, once the certificate has this name too",
            ),
            (
                format!("_mta-sts.{domain}."),
                "TXT",
                format!("\"{}\"", policy.write_record()),
                "there is such a policy; a new id with each change of [mta_sts]",
            ),
            (
                format!("_submissions._tcp.{domain}."),
                "SRV",
                format!("0 1 465 {host}."),
                "mail programs find where to send",
            ),
            (
                format!("_imaps._tcp.{domain}."),
                "SRV",
                format!("0 1 993 {host}."),
                "mail programs find where to read",
            ),
        ])
    }

    fn to_text(&self, made: Option<&Hidden>) -> anyhow::Result<String> {
        let mut text = format!(
            "configuration  {}\ndata           {}\ncertificate    {} (self-signed)\naccount        {}\n",
            self.config.display(),
            self.data.display(),
            self.tls.join("certificate.pem").display(),
            self.address
        );
        if let Some(Hidden(password)) = made {
            let _ = writeln!(text, "password       {password}   (shown this once)");
        }
        text.push_str("\nDNS records to add:\n");
        for (name, kind, value, why) in self.dns_records()? {
            let _ = writeln!(text, "  {name:<34} {kind:<9} {value}\n  {:<34} # {why}", "");
        }
        let _ = writeln!(text, "\nNext: mailstead --config {} serve", self.config.display());
        Ok(text)
    }

    fn to_json(&self, made: Option<&Hidden>) -> anyhow::Result<serde_json::Value> {
        let records: Vec<_> = self
            .dns_records()?
            .into_iter()
            .map(|(name, kind, value, why)| serde_json::json!({ "name": name, "type": kind, "value": value, "why": why }))
            .collect();
        Ok(serde_json::json!({
            "config": self.config,
            "data": self.data,
            "certificate": self.tls.join("certificate.pem"),
            "account": self.address.to_string(),
            "hostname": self.hostname.as_str(),
            "password": made.map(|hidden| hidden.0.as_str()),
            "dns_records": records,
        }))
    }
}

fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let mut file = match file {
        // A certificate from a former attempt serves as well; a configuration was looked for before.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        other => other.with_context(|| format!("cannot write {}", path.display()))?,
    };
    std::io::Write::write_all(&mut file, text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_and_differ() {
        let (one, two) = (make_password().unwrap(), make_password().unwrap());
        assert_eq!(one.len(), PASSWORD_LENGTH);
        assert_ne!(one, two);
    }
}
