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
        self.set.insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn unset(&mut self, name: &str) {
        self.set.remove(name);
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

    /// The language as the settings have it.
    pub(super) fn dialect(&self) -> Dialect {
        let mut dialect = Dialect::of_everything().with(Extension::DovecotTestSuite);
        // The suites hold that addresses are ASCII.
        dialect.address_form = AddressForm::Ascii;
        if let Some(delimiters) = self.text("recipient_delimiter") {
            dialect.detail_delimiters = delimiters.to_owned();
        }
        let protected = self.fields("sieve_editheader_protected");
        dialect.unaddable_fields = [protected.clone(), self.fields("sieve_editheader_forbid_add")].concat();
        dialect.undeletable_fields = [protected, self.fields("sieve_editheader_forbid_delete")].concat();
        let bounds = &mut dialect.bounds;
        let numbers = [
            ("sieve_max_actions", &mut bounds.actions_max),
            ("sieve_max_redirects", &mut bounds.redirects_max),
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
            checks_recipient: !self.is_yes("sieve_vacation_dont_check_recipient"),
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
