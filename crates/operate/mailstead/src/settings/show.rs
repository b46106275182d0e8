//! The configuration as people and machines read it: every setting, its value, default, unit and meaning.

use super::Settings;
use super::kind::Value;
use super::table::{self, Reload, Row, TABLE};

/// What to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// The values in force.
    InForce,
    /// Every setting with its default and meaning.
    Defaults,
}

/// A row's default as a value.
pub(super) fn default_value(row: &Row) -> Option<Value> {
    let text = format!("{} = {}", row.key, row.default?);
    super::document::read(&text, std::path::Path::new("/")).ok()?.remove(row.key)
}

/// The settings as a configuration file; with meanings as comments where defaults are asked for.
pub(crate) fn show_toml(settings: Option<&Settings>, scope: Scope) -> String {
    let mut text = String::new();
    let mut table = "";
    for row in TABLE {
        let (group, name) = row.key.rsplit_once('.').unwrap_or(("", row.key));
        if group != table {
            text.push_str(&format!("\n[{group}]\n"));
            table = group;
        }
        let value = settings.and_then(|s| s.given(row.key).cloned()).or_else(|| default_value(row));
        match scope {
            Scope::InForce => text.push_str(&format!("{name} = {}\n", show_value(value.as_ref()))),
            Scope::Defaults => text.push_str(&show_row(row, name)),
        }
    }
    text
}

fn show_row(row: &Row, name: &str) -> String {
    let mut text = String::from("\n");
    for line in wrap(row.meaning) {
        text.push_str(&format!("# {line}\n"));
    }
    let reload = if row.reload == Reload::Live { "taken up by a reload" } else { "taken up by a restart" };
    text.push_str(&format!("# {}; {reload}; {}\n", row.kind.describe(), table::environment_name(row.key)));
    match row.default {
        Some(_) => text.push_str(&format!("{name} = {}\n", show_value(default_value(row).as_ref()))),
        None => text.push_str(&format!("# {name} must be given\n")),
    }
    text
}

fn show_value(value: Option<&Value>) -> String {
    value.map_or_else(|| "\"\"".into(), Value::to_toml)
}

/// The settings for machines: one object a setting.
pub(crate) fn show_json(settings: Option<&Settings>) -> serde_json::Value {
    TABLE
        .iter()
        .map(|row| {
            let default = default_value(row);
            let value = settings.and_then(|s| s.given(row.key).cloned()).or_else(|| default.clone());
            serde_json::json!({
                "key": row.key,
                "value": value.map(|value| value.to_json()),
                "default": default.map(|value| value.to_json()),
                "kind": row.kind.describe(),
                "meaning": row.meaning,
                "reload": row.reload == Reload::Live,
                "environment": table::environment_name(row.key),
            })
        })
        .collect()
}

/// Breaks a sentence into lines that fit a terminal.
fn wrap(text: &str) -> Vec<String> {
    const COLUMNS_MAX: usize = 100;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let fits =
            lines.last().is_some_and(|line| line.is_empty() || line.len() + 1 + word.len() <= COLUMNS_MAX);
        if !fits {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read_back() {
        let file = std::path::Path::new("/etc/m.toml");
        let settings =
            super::super::tests::settings("hostname = \"a.example\"\n[smtp]\nrecipients_max = 200");
        let shown = show_toml(Some(&settings), Scope::InForce);
        let again = Settings::read(&shown, file, std::iter::empty()).unwrap();
        assert!(again.needs_restart(&settings).is_empty());
        assert_eq!(again.number("smtp.recipients_max"), 200);
        let defaults = show_toml(None, Scope::Defaults);
        assert!(
            Settings::read(&format!("hostname = \"a.example\"\n{defaults}"), file, std::iter::empty())
                .is_ok()
        );
    }

    #[test]
    fn the_manual_shows_every_setting() {
        let file =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/manual/settings.toml");
        let shown = show_toml(None, Scope::Defaults);
        if std::env::var_os("MAILSTEAD_BLESS").is_some() {
            std::fs::write(&file, &shown).unwrap();
        }
        let manual = std::fs::read_to_string(&file).unwrap();
        assert_eq!(manual, shown, "MAILSTEAD_BLESS=1 cargo test -p mailstead writes it anew");
    }
}
