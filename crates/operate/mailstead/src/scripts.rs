//! What people's Sieve scripts may say and how much of them is kept, as the settings have it: the same wherever a script is
//! written, checked or run.

use mailstore::ScriptLimits;
use sieve::Dialect;

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
    let mut dialect = Dialect::default();
    dialect.bounds.script_octets_max = settings.count("sieve.script_octets_max");
    dialect.detail_delimiters = settings.text("directory.subaddress_delimiters");
    dialect
}
