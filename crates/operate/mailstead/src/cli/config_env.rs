//! `config import-env`: what an environment file of docker-mailserver says of spam, in our words; its other variables by
//! what becomes of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use mta::{POINTS_MAX, points};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Octets of such a file; docker-mailserver's own has 20,000.
const FILE_OCTETS_MAX: u64 = 1024 * 1024;

/// What its variables ask for is done without a setting, or has no meaning here.
const BUILT_IN: [&str; 26] = [
    "AMAVIS_LOGLEVEL",
    "DMS_CONFIG_POLL",
    "DMS_VMAIL_GID",
    "DMS_VMAIL_UID",
    "DOVECOT_MAILBOX_FORMAT",
    "ENABLE_AMAVIS",
    "ENABLE_FAIL2BAN",
    "ENABLE_IMAP",
    "ENABLE_MANAGESIEVE",
    "ENABLE_MTA_STS",
    "ENABLE_OPENDKIM",
    "ENABLE_OPENDMARC",
    "ENABLE_POLICYD_SPF",
    "ENABLE_QUOTAS",
    "ENABLE_RSPAMD_REDIS",
    "ENABLE_SRS",
    "ONE_DIR",
    "RSPAMD_CHECK_AUTHENTICATED",
    "RSPAMD_HFILTER",
    "RSPAMD_HFILTER_HOSTNAME_UNKNOWN_SCORE",
    "RSPAMD_NEURAL",
    "SA_SHORTCIRCUIT_BAYES_HAM",
    "SA_SHORTCIRCUIT_BAYES_SPAM",
    "SPOOF_PROTECTION",
    "SUPERVISOR_LOGLEVEL",
    "TZ",
];

/// What has a counterpart that somebody has to set by hand.
const BY_HAND: [(&str, &str); 8] = [
    ("CLAMAV_MESSAGE_SIZE_LIMIT", "engines.clamd.octets_max"),
    (
        "ENABLE_CLAMAV",
        "engines.clamd.address, where a clamd is to be asked; attachments are looked into by themselves",
    ),
    ("ENABLE_DNSBL", "screen.lists, which has lists by itself; without any: []"),
    ("ENABLE_POSTGREY", "screen.greylist: \"suspicious\" by itself, \"all\" as Postgrey does, or \"off\""),
    ("ENABLE_SPAMASSASSIN_KAM", "spam.rules, which takes KAM's rules from a file"),
    ("POSTGREY_DELAY", "screen.greylist_delay"),
    ("POSTGREY_MAX_AGE", "nothing: who has come again is remembered by itself"),
    ("RSPAMD_GREYLISTING", "screen.greylist: \"suspicious\" by itself, \"all\", or \"off\""),
];

/// What a file says.
#[derive(Default, Serialize, Debug)]
pub(super) struct Imported {
    /// Settings under `[spam]`, in this order: key, value, whose word it was.
    #[serde(skip)]
    rows: Vec<(&'static str, Value, String)>,
    /// Done without a setting.
    built_in: Vec<String>,
    /// Left to the operator.
    by_hand: Vec<String>,
    /// Without a counterpart so far.
    not_taken_over: Vec<String>,
    /// What cannot be meant.
    faults: Vec<String>,
}

/// Reads a file and prints what it says in our words.
pub(super) fn run(file: &Path, json: bool) -> anyhow::Result<()> {
    let named = || file.display().to_string();
    let octets = fs::metadata(file).with_context(named)?.len();
    ensure!(octets <= FILE_OCTETS_MAX, "{}: more than {FILE_OCTETS_MAX} octets", file.display());
    let imported = import(&fs::read_to_string(file).with_context(named)?);
    if json {
        let settings: Map<String, Value> =
            imported.rows.iter().map(|(key, value, _)| (format!("spam.{key}"), value.clone())).collect();
        println!("{:#}", json!({ "settings": settings, "others": imported }));
    } else {
        print!("{}", imported.to_toml());
    }
    Ok(())
}

/// The variables of a file, each once: the last word counts, as in Docker.
fn variables(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=') else {
            continue;
        };
        let name = name.trim().to_owned();
        found.retain(|(before, _)| *before != name);
        found.push((name, unquoted(value)));
    }
    found
}

/// A value without its quotes, or without a comment behind it.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some((inner, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner.to_owned();
        }
    }
    value.split(" #").next().unwrap_or_default().trim_end().to_owned()
}

fn import(text: &str) -> Imported {
    let mut imported = Imported::default();
    let variables = variables(text);
    // An empty value is docker-mailserver's default, as if the variable were not there.
    for (name, value) in variables.iter().filter(|(_, value)| !value.is_empty()) {
        match imported.take(name, value) {
            Ok(()) => {}
            Err(why) => imported.faults.push(format!("{name}={value}: {why}")),
        }
    }
    imported.judge(&variables);
    imported
}

impl Imported {
    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "SA_TAG" => self.points("tag", name, value)?,
            "SA_TAG2" => self.points("tag2", name, value)?,
            "SA_KILL" => self.points("kill", name, value)?,
            "MOVE_SPAM_TO_JUNK" => {
                let action = if switch(value)? { "junk" } else { "tag" };
                self.put("at_tag2", json!(action), name);
            }
            // Amavis keeps what it does not deliver.
            "SPAMASSASSIN_SPAM_TO_INBOX" => {
                let action = if switch(value)? { "tag" } else { "quarantine" };
                self.put("at_kill", json!(action), name);
            }
            "MARK_SPAM_AS_READ" => self.put("mark_as_read", json!(switch(value)?), name),
            "RSPAMD_LEARN" => self.put("learn", json!(switch(value)?), name),
            "SPAM_SUBJECT" | "SA_SPAM_SUBJECT" => {
                let words = if value == "undef" { "" } else { value.trim() };
                if !mta::is_subject_prefix(words) {
                    return Err("more than 64 octets, or not of letters and signs of ASCII".to_owned());
                }
                self.put("subject_prefix", json!(words), name);
            }
            "VIRUSMAILS_DELETE_DELAY" => self.put("quarantine_kept", json!(kept(value)?), name),
            "ENABLE_SPAMASSASSIN" | "ENABLE_RSPAMD" => drop(switch(value)?),
            _ if BUILT_IN.contains(&name) => self.built_in.push(name.to_owned()),
            _ => match BY_HAND.iter().find(|(by_hand, _)| *by_hand == name) {
                Some((_, how)) => self.by_hand.push(format!("{name}: {how}")),
                None => self.not_taken_over.push(name.to_owned()),
            },
        }
        Ok(())
    }

    /// Whether mail is judged at all: it is, unless the file says of both filters that there is none.
    fn judge(&mut self, variables: &[(String, String)]) {
        let said = |name: &str| {
            let found = variables.iter().find(|(own, _)| own == name);
            found.and_then(|(_, value)| switch(value).ok())
        };
        let names = "ENABLE_SPAMASSASSIN, ENABLE_RSPAMD";
        match (said("ENABLE_SPAMASSASSIN"), said("ENABLE_RSPAMD")) {
            (Some(true), _) | (_, Some(true)) => {
                self.rows.insert(0, ("check", json!(true), names.to_owned()))
            }
            (Some(false), Some(false)) => {
                let why = format!("{names}; without this line mail is judged by its content");
                self.rows.insert(0, ("check", json!(false), why));
            }
            _ => {}
        }
    }

    fn points(&mut self, key: &'static str, name: &str, value: &str) -> Result<(), String> {
        let number: f32 = value.parse().map_err(|_| "no number of points")?;
        // Who wants each message to tell its score has written a number far below zero.
        let within =
            points(&number.clamp(-POINTS_MAX, POINTS_MAX).to_string()).ok_or("no number of points")?;
        let text = within.to_string();
        self.put(key, text.parse::<f64>().map_or(Value::Null, |number| json!(number)), name);
        Ok(())
    }

    fn put(&mut self, key: &'static str, value: Value, name: &str) {
        self.rows.retain(|(before, ..)| *before != key);
        self.rows.push((key, value, name.to_owned()));
    }

    fn to_toml(&self) -> String {
        let mut text =
            String::from("# What docker-mailserver's variables say of spam, in mailstead's words.\n[spam]\n");
        for (key, value, name) in &self.rows {
            let _ = writeln!(text, "{key} = {value}  # {name}");
        }
        for (title, names) in [
            ("Not needed here, or built in", &self.built_in),
            ("To be set by hand", &self.by_hand),
            ("Not taken over", &self.not_taken_over),
            ("Not understood", &self.faults),
        ] {
            if !names.is_empty() {
                let _ = writeln!(text, "\n# {title}:");
            }
            for name in names {
                let _ = writeln!(text, "#   {}", name.replace(char::is_control, " "));
            }
        }
        text
    }
}

fn switch(value: &str) -> Result<bool, String> {
    match value {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err("neither 0 nor 1".to_owned()),
    }
}

/// A time as docker-mailserver writes it: a number and `s`, `m`, `h` or `d`, days where there is no letter.
fn kept(value: &str) -> Result<String, String> {
    let days = value.parse::<u32>().is_ok().then(|| format!("{value}d"));
    let text = days.unwrap_or_else(|| value.to_owned());
    let seconds = crate::settings::read_seconds(&text).ok_or("no time")?;
    if seconds < 3_600 { Ok("1h".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::Settings;

    fn settings(text: &str) -> Settings {
        let toml = format!("hostname = \"mail.example.org\"\n{}", import(text).to_toml());
        Settings::read(&toml, Path::new("/x"), std::iter::empty()).unwrap()
    }

    #[test]
    fn the_documented_defaults_are_ours() {
        let text = "ENABLE_SPAMASSASSIN=1\nENABLE_RSPAMD=0\nSA_TAG=2.0\nSA_TAG2=6.31\nSA_KILL=10.0\nSPAM_SUBJECT=\n\
                    MOVE_SPAM_TO_JUNK=1\nMARK_SPAM_AS_READ=0\nSPAMASSASSIN_SPAM_TO_INBOX=1\nSA_SHORTCIRCUIT_BAYES_SPAM=off\n";
        let (read, ours) = (settings(text), settings(""));
        for key in ["spam.tag", "spam.tag2", "spam.kill"] {
            assert_eq!(read.points(key), ours.points(key), "{key}");
        }
        assert_eq!(read.text("spam.at_tag2"), ours.text("spam.at_tag2"));
        assert_eq!(read.text("spam.subject_prefix"), ours.text("spam.subject_prefix"));
        assert_eq!(read.switch("spam.mark_as_read"), ours.switch("spam.mark_as_read"));
        assert!(read.switch("spam.check") && ours.switch("spam.check"));
        let as_shipped = settings("ENABLE_SPAMASSASSIN=0\nENABLE_RSPAMD=0\n");
        assert!(!as_shipped.switch("spam.check"));
    }

    #[test]
    fn each_word_about_spam_is_taken_over() {
        let text = "# a comment\nENABLE_RSPAMD=1\nSA_TAG=-100000.0\nexport SA_TAG2=3.75 # lower\nSA_TAG2=4.5\nSA_KILL='8'\n\
                    SA_SPAM_SUBJECT=\"***SPAM*** \"\nMOVE_SPAM_TO_JUNK=0\nMARK_SPAM_AS_READ=1\n\
                    SPAMASSASSIN_SPAM_TO_INBOX=0\nRSPAMD_LEARN=0\nVIRUSMAILS_DELETE_DELAY=7d\n";
        let read = settings(text);
        assert_eq!([-10_000.0, 4.5, 8.0], ["spam.tag", "spam.tag2", "spam.kill"].map(|key| read.points(key)));
        assert_eq!(read.text("spam.subject_prefix"), "***SPAM***");
        assert_eq!(
            (read.text("spam.at_tag2"), read.text("spam.at_kill")),
            ("tag".into(), "quarantine".into())
        );
        assert!(read.switch("spam.mark_as_read") && !read.switch("spam.learn"));
        assert_eq!(read.time("spam.quarantine_kept").as_secs(), 7 * 86_400);
        assert_eq!(settings("SPAM_SUBJECT='[Spam] maybe: '").text("spam.subject_prefix"), "[Spam] maybe:");
        assert_eq!(settings("SA_SPAM_SUBJECT=undef").text("spam.subject_prefix"), "");
    }

    #[test]
    fn what_is_not_taken_over_is_named() {
        let text = import(
            "ENABLE_OPENDKIM=1\nENABLE_CLAMAV=1\nRELAY_HOST=smtp.example.net\nSA_TAG=many\nMARK_SPAM_AS_READ=yes\n\
             ENABLE_LDAP=\nRELAY_PASSWORD=secret\n",
        )
        .to_toml();
        for line in [
            "# Not needed here, or built in:\n#   ENABLE_OPENDKIM\n",
            "# To be set by hand:\n#   ENABLE_CLAMAV: engines.clamd.address",
            "# Not taken over:\n#   RELAY_HOST\n#   RELAY_PASSWORD\n",
            "# Not understood:\n#   SA_TAG=many: no number of points\n#   MARK_SPAM_AS_READ=yes: neither 0 nor 1\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert!(!text.contains("secret") && !text.contains("ENABLE_LDAP"), "{text}");
    }
}
