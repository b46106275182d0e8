//! The settings that files of tests change, by the words of Pigeonhole's configuration.

use std::collections::BTreeMap;

use crate::dialect::{Dialect, Extension};
use crate::letter::VacationRules;
use crate::message::AddressForm;
use crate::verdict::{FieldPart, StatusKind, StatusMax, StatusRule};

/// What a script may cost for a second that it is given. A unit takes about a nanosecond, and much longer in a program that is
/// built for finding faults, as the one that runs tests mostly is.
const COST_OF_A_SECOND: u64 = 100_000_000;

/// Settings that were set; all others are as they are without configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    set: BTreeMap<String, String>,
}

impl Settings {
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.set.insert(former_name(name), value.to_owned());
    }

    pub(super) fn unset(&mut self, name: &str) {
        self.set.remove(&former_name(name));
    }

    /// A setting's value, if it has one that is not blank.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.set.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub(super) fn is_yes(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("yes") || value.eq_ignore_ascii_case("true"))
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.text(name)?.parse().ok()
    }

    /// A time with its unit, seconds if there is none.
    pub(super) fn seconds(&self, name: &str) -> Option<u64> {
        let text = self.text(name)?;
        let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
        let unit = match text.get(digits.len()..)?.trim() {
            "" | "s" | "sec" | "secs" => 1,
            "m" | "min" | "mins" => 60,
            "h" | "hour" | "hours" => 3_600,
            "d" | "day" | "days" => 86_400,
            "w" | "week" | "weeks" => 7 * 86_400,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(unit)
    }

    /// An amount of octets with its unit.
    fn octets(&self, name: &str) -> Option<usize> {
        let text = self.text(name)?.to_ascii_lowercase();
        let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
        let shift = match text.get(digits.len()..)?.trim() {
            "" | "b" => 0,
            "k" | "kb" => 10,
            "m" | "mb" => 20,
            _ => return None,
        };
        digits.parse::<usize>().ok()?.checked_mul(1 << shift)
    }

    /// Names of header fields.
    fn fields(&self, name: &str) -> Vec<String> {
        let names = self.text(name).unwrap_or_default().split_ascii_whitespace();
        names.filter(|name| name.is_ascii()).map(str::to_ascii_lowercase).collect()
    }

    /// Header fields of which an edit is forbidden: in lists, and one by one.
    fn forbidden_fields(&self, edit: &str) -> Vec<String> {
        let mut fields = self.fields("sieve_editheader_protected");
        fields.extend(self.fields(&format!("sieve_editheader_{edit}")));
        let described = self.text("sieve_editheader_header").unwrap_or_default().split_ascii_whitespace();
        let forbidden =
            described.filter(|name| self.is_yes(&format!("sieve_editheader_header/{name}/{edit}")));
        fields.extend(forbidden.map(str::to_ascii_lowercase));
        fields
    }

    /// The language as the settings have it.
    pub(super) fn dialect(&self) -> Dialect {
        let mut dialect = Dialect::of_everything().with(Extension::DovecotTestSuite);
        // The suites hold that addresses are ASCII.
        dialect.address_form = AddressForm::Ascii;
        if let Some(delimiters) = self.text("recipient_delimiter") {
            dialect.detail_delimiters = delimiters.to_owned();
        }
        dialect.unaddable_fields = self.forbidden_fields("forbid_add");
        dialect.undeletable_fields = self.forbidden_fields("forbid_delete");
        let bounds = &mut dialect.bounds;
        let numbers = [
            ("sieve_max_actions", &mut bounds.actions_max),
            ("sieve_max_redirects", &mut bounds.redirects_max),
            ("sieve_notify_max_notifications", &mut bounds.notifications_max),
            ("sieve_include_max_includes", &mut bounds.includes_max),
            ("sieve_include_max_nesting_depth", &mut bounds.include_nesting_max),
            ("sieve_variables_max_scope_count", &mut bounds.variables_max),
        ];
        for (name, bound) in numbers {
            *bound = self.number(name).unwrap_or(*bound);
        }
        let octets = [
            ("sieve_max_script_size", &mut bounds.script_octets_max),
            ("sieve_editheader_max_header_size", &mut bounds.added_field_octets_max),
            ("sieve_variables_max_variable_size", &mut bounds.variable_octets_max),
        ];
        for (name, bound) in octets {
            *bound = self.octets(name).unwrap_or(*bound);
        }
        let times = [
            ("sieve_vacation_min_period", &mut bounds.vacation_seconds_min),
            ("sieve_vacation_max_period", &mut bounds.vacation_seconds_max),
            ("sieve_vacation_default_period", &mut bounds.vacation_seconds_default),
            ("sieve_duplicate_default_period", &mut bounds.duplicate_seconds_default),
            ("sieve_duplicate_max_period", &mut bounds.duplicate_seconds_max),
        ];
        for (name, bound) in times {
            *bound = self.seconds(name).unwrap_or(*bound);
        }
        if let Some(seconds) = self.seconds("sieve_max_cpu_time") {
            bounds.cost_max = seconds.saturating_mul(COST_OF_A_SECOND);
        }
        dialect.spam_status = self.status("sieve_spamtest", 10);
        dialect.virus_status = self.status("sieve_virustest", 5);
        dialect
    }

    /// How a filter's verdict is read, by the settings with this prefix; `None` if there are none, or they are wrong.
    fn status(&self, prefix: &str, values_max: u8) -> Option<StatusRule> {
        let setting = |name: &str| self.text(&format!("{prefix}_{name}"));
        let source = FieldPart::parse(setting("status_header")?).ok()?;
        let most = || match setting("max_value") {
            Some(value) => value.parse().ok().map(StatusMax::Value),
            None => FieldPart::parse(setting("max_header")?).ok().map(StatusMax::Field),
        };
        let kind = match setting("status_type").unwrap_or("score") {
            "text" => {
                let text = |value: u8| Some((value, setting(&format!("text_value{value}"))?.to_owned()));
                StatusKind::Texts((0..=values_max).filter_map(text).collect())
            }
            "strlen" => StatusKind::Length(most()?),
            _ => StatusKind::Score(most()?),
        };
        Some(StatusRule::new(source, kind))
    }

    /// How vacation answers.
    pub(super) fn vacation(&self) -> VacationRules {
        let mut rules = VacationRules {
            checks_recipient: !self.is_yes("sieve_vacation_dont_check_recipient")
                && self.text("sieve_vacation_check_recipient") != Some("no"),
            to_ignores_envelope: self.is_yes("sieve_vacation_to_header_ignore_envelope"),
            sends_from_recipient: self.is_yes("sieve_vacation_send_from_recipient"),
            uses_original_recipient: self.is_yes("sieve_vacation_use_original_recipient"),
            ..VacationRules::default()
        };
        if let Some(most) = self.number("sieve_vacation_max_subject_codepoints") {
            rules.subject_characters_max = most;
        }
        if let Some(subject) = self.text("sieve_vacation_default_subject") {
            subject.clone_into(&mut rules.default_subject);
        }
        if let Some(template) = self.text("sieve_vacation_default_subject_template") {
            template.clone_into(&mut rules.subject_template);
        }
        rules
    }
}

/// The name that a setting had before Dovecot 2.4 named it anew.
fn former_name(name: &str) -> String {
    const RENAMED: [(&str, &str); 6] = [
        ("sieve_environment/", "sieve_env_"),
        ("_score_max_", "_max_"),
        ("_text_value/", "_text_value"),
        ("sieve_variables_max_value_size", "sieve_variables_max_variable_size"),
        ("sieve_global_dir", "sieve_global"),
        ("sieve_dir", "sieve"),
    ];
    RENAMED.iter().fold(name.to_owned(), |name, (new, former)| name.replace(new, former))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_two_names() {
        let mut settings = Settings::default();
        settings.set("sieve_environment/display_name", "Ann");
        settings.set("sieve_virustest_text_value/1", "clean");
        settings.set("sieve_spamtest_score_max_value", "5");
        settings.set("sieve_editheader_header", "Subject X-Kept X-Other");
        settings.set("sieve_editheader_header/X-Kept/forbid_delete", "yes");
        assert_eq!(settings.text("sieve_env_display_name"), Some("Ann"));
        assert_eq!(settings.text("sieve_virustest_text_value1"), Some("clean"));
        assert_eq!(settings.text("sieve_spamtest_max_value"), Some("5"));
        assert_eq!(settings.dialect().undeletable_fields, ["x-kept"]);
        assert!(settings.dialect().unaddable_fields.is_empty());
        settings.unset("sieve_env_display_name");
        assert_eq!(settings.text("sieve_env_display_name"), None);
    }

    #[test]
    fn times_and_amounts_have_units() {
        let mut settings = Settings::default();
        for (value, seconds) in [
            ("90", Some(90)),
            ("2m", Some(120)),
            ("1h", Some(3_600)),
            ("7d", Some(604_800)),
            ("x", None),
            ("", None),
        ] {
            settings.set("t", value);
            assert_eq!(settings.seconds("t"), seconds, "{value}");
        }
        for (value, octets) in [("10", Some(10)), ("2k", Some(2_048)), ("1M", Some(1 << 20)), ("1x", None)] {
            settings.set("o", value);
            assert_eq!(settings.octets("o"), octets, "{value}");
        }
        settings.set("t", &format!("{}w", u64::MAX));
        assert_eq!(settings.seconds("t"), None);
    }
}
