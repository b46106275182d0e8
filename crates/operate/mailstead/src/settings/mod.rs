//! The one place that knows the configuration file: from text to plain values that each room of the house takes.

mod document;
mod kind;
mod show;
mod table;
pub(crate) mod way;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mail_types::DomainName;
use platform::network::Network;

use self::document::{Fault, Values};
use self::kind::Value;
use self::table::{Reload, TABLE};

pub(crate) use kind::{read_octets, read_seconds, show_octets};
pub(crate) use show::{Scope, show_json, show_toml};

/// A configuration that was read and found right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Settings {
    values: Values,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}\n  name another with --config FILE, or make one with `mailstead quickstart you@example.org`", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    /// One or more faults.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
}

impl Settings {
    /// Reads the file and what the environment overrides.
    pub(crate) fn load(file: &Path) -> Result<Self, SettingsError> {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let text = std::fs::read_to_string(&file)
            .map_err(|source| SettingsError::Unreadable { file: file.clone(), source })?;
        let variables =
            std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
        Self::read(&text, &file, variables)
    }

    /// Reads a text as if it stood in `file`.
    pub(crate) fn read(
        text: &str,
        file: &Path,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut values = document::read(text, file).map_err(SettingsError::Faults)?;
        document::read_environment(&mut values, variables).map_err(SettingsError::Faults)?;
        let settings = Self { values };
        let mut faults = Vec::new();
        if settings.given("hostname").is_none() {
            faults.push("hostname is missing: the name this server goes by, for example hostname = \"mail.example.org\"");
        }
        if settings
            .text("directory.subaddress_delimiters")
            .chars()
            .any(|c| c.is_alphanumeric() || c == '@' || c == '.')
        {
            faults.push("directory.subaddress_delimiters: letters, digits, @ and . cannot part a name from its sub-address");
        }
        if faults.is_empty() {
            return Ok(settings);
        }
        let place = file.display().to_string();
        Err(SettingsError::Faults(
            faults.into_iter().map(|what| Fault { place: place.clone(), what: what.to_owned() }).collect(),
        ))
    }

    fn given(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Whether the operator gave a setting of this table.
    pub(crate) fn is_touched(&self, table: &str) -> bool {
        self.values.keys().any(|key| key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The value of a setting: given, or the table's default.
    fn value(&self, key: &str) -> Value {
        let default = || table::find(key).and_then(show::default_value);
        // A test reads every setting, so a name that is not in the table never leaves the workshop.
        self.given(key).cloned().or_else(default).unwrap_or_else(|| unreachable!("no setting {key}"))
    }

    pub(crate) fn switch(&self, key: &str) -> bool {
        matches!(self.value(key), Value::Switch(true))
    }

    pub(crate) fn number(&self, key: &str) -> u64 {
        match self.value(key) {
            Value::Number(number) | Value::Octets(number) => number,
            other => unreachable!("{key} is {other:?}"),
        }
    }

    /// A number for a place in memory; the table's bounds keep it within any machine's.
    pub(crate) fn count(&self, key: &str) -> usize {
        usize::try_from(self.number(key)).unwrap_or(usize::MAX)
    }

    pub(crate) fn time(&self, key: &str) -> Duration {
        match self.value(key) {
            Value::Seconds(time) => time,
            other => unreachable!("{key} is {other:?}"),
        }
    }

    pub(crate) fn text(&self, key: &str) -> String {
        match self.value(key) {
            Value::Text(text) => text,
            other => unreachable!("{key} is {other:?}"),
        }
    }

    pub(crate) fn points(&self, key: &str) -> f32 {
        // Only what is a number is taken as a setting's value.
        mta::points(&self.text(key)).unwrap_or_default()
    }

    pub(crate) fn path(&self, key: &str) -> PathBuf {
        match self.value(key) {
            Value::Path(path) => path,
            other => unreachable!("{key} is {other:?}"),
        }
    }

    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        match self.value(key) {
            Value::List(items) => items,
            other => unreachable!("{key} is {other:?}"),
        }
    }

    /// Networks in the form the doors take.
    pub(crate) fn networks(&self, key: &str) -> Vec<Network> {
        self.list(key).iter().filter_map(|text| text.parse().ok()).collect()
    }

    pub(crate) fn certificates(&self) -> Vec<(PathBuf, PathBuf)> {
        match self.value("tls.certificates") {
            Value::Certificates(pairs) => pairs,
            other => unreachable!("tls.certificates is {other:?}"),
        }
    }

    pub(crate) fn hostname(&self) -> DomainName {
        // Kind::Host read it as a domain name.
        DomainName::parse(&self.text("hostname"))
            .unwrap_or_else(|_| unreachable!("a host name was read as one"))
    }

    /// Where the listener of this name under `[listen]` is bound; empty when it is switched off.
    pub(crate) fn listener(&self, name: &str) -> Vec<SocketAddr> {
        if !self.switch(&format!("listen.{name}.enabled")) {
            return Vec::new();
        }
        let port = self.number(&format!("listen.{name}.port")) + self.number("listen.port_offset");
        let own = self.list(&format!("listen.{name}.addresses"));
        let addresses = if own.is_empty() { self.list("listen.addresses") } else { own };
        let port = u16::try_from(port).unwrap_or(u16::MAX);
        addresses
            .iter()
            .filter_map(|text| text.parse().ok())
            .map(|ip: IpAddr| SocketAddr::new(ip, port))
            .collect()
    }

    /// The settings that differ from `other` and need a new start.
    pub(crate) fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        TABLE
            .iter()
            .filter(|row| row.reload == Reload::Restart && row.default.is_some())
            .map(|row| row.key)
            .chain(["hostname"])
            .filter(|key| self.value(key) != other.value(key))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn settings(text: &str) -> Settings {
        Settings::read(text, Path::new("/etc/m.toml"), std::iter::empty()).unwrap()
    }

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        let settings = settings("hostname = \"a.example\"");
        for row in TABLE {
            settings.value(row.key);
        }
    }

    #[test]
    fn listeners_are_moved_by_the_offset() {
        let settings =
            settings("hostname = \"a.example\"\n[listen]\nport_offset = 20000\naddresses = [\"127.0.0.1\"]");
        assert_eq!(settings.listener("imaps"), ["127.0.0.1:20993".parse().unwrap()]);
        assert!(settings.listener("lmtp").is_empty());
    }

    #[test]
    fn a_table_is_touched_by_what_stands_in_it_alone() {
        let settings =
            settings("hostname = \"a.example\"\n[listen.https]\nport = 8443\n[listen]\nport_offset = 1");
        assert!(settings.is_touched("listen.https") && settings.is_touched("listen"));
        assert!(!settings.is_touched("listen.metrics") && !settings.is_touched("listen.http"));
    }

    #[test]
    fn the_host_name_must_be_given() {
        let error = Settings::read("", Path::new("/etc/m.toml"), std::iter::empty()).unwrap_err();
        assert!(error.to_string().contains("hostname is missing"));
    }

    #[test]
    fn changes_that_need_a_restart_are_named() {
        let (old, new) = (
            "hostname = \"a.example\"",
            "hostname = \"a.example\"\n[smtp]\nrecipients_max = 200\n[listen.imap]\nport = 1143",
        );
        assert_eq!(settings(new).needs_restart(&settings(old)), ["listen.imap.port"]);
    }
}
