//! What people's Sieve scripts may say and how much of them is kept, as the settings have it: the same wherever a script is
//! written, checked or run.

use mailstore::ScriptLimits;
use sieve::{Bounds, Dialect, Extension};

use crate::settings::Settings;

/// How much an account may keep of scripts.
pub(crate) fn limits(settings: &Settings) -> ScriptLimits {
    ScriptLimits {
        script_octets_max: settings.number("sieve.script_octets_max"),
        scripts_max: settings.count("sieve.scripts_max"),
        total_octets_max: settings.number("sieve.total_octets_max"),
    }
}

/// What a script may say.
pub(crate) fn dialect(settings: &Settings) -> Dialect {
    let seconds = |key: &str| settings.time(key).as_secs();
    // The environment's items of Dovecot's own for IMAP's events are not told here, those of RFC 6785 are.
    let mut dialect = Dialect::default().without(Extension::DovecotImapSieve);
    dialect.bounds = Bounds {
        script_octets_max: settings.count("sieve.script_octets_max"),
        actions_max: settings.count("sieve.actions_max"),
        redirects_max: settings.count("sieve.redirects_max"),
        notifications_max: settings.count("sieve.notifications_max"),
        cost_max: settings.number("sieve.run_max"),
        vacation_seconds_min: seconds("sieve.vacation_min"),
        vacation_seconds_default: seconds("sieve.vacation_default"),
        vacation_seconds_max: seconds("sieve.vacation_max"),
        duplicate_seconds_max: seconds("sieve.duplicate_max"),
        ..Bounds::default()
    };
    dialect.detail_delimiters = settings.text("directory.subaddress_delimiters");
    if !settings.list("sieve.programs").is_empty() {
        for program in [Extension::DovecotPipe, Extension::DovecotFilter, Extension::DovecotExecute] {
            dialect = dialect.with(program);
        }
    }
    let off = settings.list("sieve.extensions_off");
    off.iter().filter_map(|name| Extension::parse(name)).fold(dialect, Dialect::without)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(text: &str) -> Settings {
        let text = format!("hostname = \"mail.example.org\"\n{text}");
        Settings::read(&text, Path::new("/etc/m.toml"), std::iter::empty()).unwrap()
    }

    #[test]
    fn programs_are_off_unless_some_are_named() {
        let plain = dialect(&settings(""));
        assert!(!plain.allows(Extension::DovecotPipe) && plain.allows(Extension::Reject));
        assert!(plain.allows(Extension::ImapSieve) && !plain.allows(Extension::DovecotImapSieve));
        let text = "[sieve]\nprograms = [\"scan=/usr/bin/scan\"]\nextensions_off = [\"reject\"]";
        let chosen = dialect(&settings(text));
        assert!(chosen.allows(Extension::DovecotPipe) && !chosen.allows(Extension::Reject));
    }
}
