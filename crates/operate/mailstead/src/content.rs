//! From `[spam]` and `[attachments]` to what the content filter does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use attachments::{HashList, Rules};
use mta::{ContentSettings, Listed, OnBusy, SpamAction, Taste};
use spam::{Catalogue, Language, RuleFiles, RuleReader};

use crate::known;
use crate::settings::{Settings, way};

/// Octets of one file of rules.
const FILE_OCTETS_MAX: u64 = 256 * 1024 * 1024;
/// Files of rules in one directory.
const RULE_FILES_MAX: usize = 1_000;
/// Lines that cannot be used which are told one by one.
const TOLD_MAX: usize = 100;

/// What the operator chose about the content of mail. Blocking.
///
/// # Errors
/// When a file of the operator's cannot be used.
pub(crate) fn content_settings(settings: &Settings) -> anyhow::Result<ContentSettings> {
    let action = |key: &str| SpamAction::parse(&settings.text(key)).unwrap_or(SpamAction::Junk);
    let senders = |key: &str| settings.list(key).iter().filter_map(|text| Listed::parse(text)).collect();
    Ok(ContentSettings {
        everybody: Taste {
            is_on: settings.switch("spam.check"),
            tag: settings.points("spam.tag"),
            tag2: settings.points("spam.tag2"),
            at_tag2: action("spam.at_tag2"),
            kill: settings.points("spam.kill"),
            at_kill: action("spam.at_kill"),
            subject_prefix: settings.text("spam.subject_prefix").trim().into(),
            marks_read: settings.switch("spam.mark_as_read"),
            allow: senders("spam.allow"),
            deny: senders("spam.deny"),
            languages: settings
                .list("spam.languages")
                .iter()
                .filter_map(|code| Language::parse(code))
                .collect(),
        },
        domains: settings.list("spam.domains").iter().filter_map(|text| way::spam_changes(text)).collect(),
        checks_fronts: settings.switch("spam.check_fronts"),
        looks_at_own: settings.switch("spam.check_own"),
        catalogue: catalogue(settings)?,
        attachments: settings.switch("attachments.check").then(|| rules(settings)).transpose()?.map(Arc::new),
        on_busy: match settings.text("spam.on_busy").as_str() {
            "defer" => OnBusy::Defer,
            _ => OnBusy::Pass,
        },
        time_max: settings.time("spam.time_max"),
        learns: settings.switch("spam.learn"),
        hostname: Some(settings.hostname().clone()),
    })
}

/// What rules weigh, with those of the operator's files.
fn catalogue(settings: &Settings) -> anyhow::Result<Catalogue> {
    let mut catalogue = Catalogue::default();
    let path = settings.text("spam.rules");
    if !path.is_empty() {
        catalogue.take_files(rule_files(Path::new(&path)).context("reading spam.rules")?);
    }
    for (name, points) in settings.list("spam.points").iter().filter_map(|text| way::rule_points(text)) {
        ensure!(catalogue.set_points(&name, points), "spam.points: too many rules");
    }
    Ok(catalogue)
}

/// Rules in SpamAssassin's form: of one file, or of a directory's `*.cf` in the order of their names.
pub(crate) fn rule_files(path: &Path) -> anyhow::Result<RuleFiles> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).with_context(|| path.display().to_string())?;
        files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<PathBuf>>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "cf"));
        files.sort();
        ensure!(files.len() <= RULE_FILES_MAX, "{}: more than {RULE_FILES_MAX} files", path.display());
    }
    let mut reader = RuleReader::default();
    for file in &files {
        let beside = file.parent().unwrap_or(Path::new("/")).to_owned();
        // What a file names lies beside it.
        let mut include = |name: &str| read(&beside.join(name)).ok();
        reader.read(&file.display().to_string(), &read(file)?, &mut include);
    }
    let rules = reader.finish();
    for line in rules.skipped().iter().take(TOLD_MAX) {
        tracing::warn!(
            file = line.file,
            line = line.line,
            rule = line.rule,
            why = line.reason,
            "a rule is not used"
        );
    }
    for line in rules.uncertain().iter().take(TOLD_MAX) {
        let why = &line.reason;
        tracing::warn!(
            file = line.file,
            line = line.line,
            rule = line.rule,
            why,
            "a rule may fire too seldom"
        );
    }
    if !rules.settings().is_empty() {
        let words = rules.settings().iter().take(TOLD_MAX).map(|(word, lines)| format!("{word} ({lines})"));
        let words = words.collect::<Vec<_>>().join(", ");
        tracing::warn!(words, "words that are no rules and mean nothing here, with how many lines of each");
    }
    tracing::info!(
        files = files.len(),
        rules = rules.count(),
        skipped = rules.skipped().len(),
        "rules are read"
    );
    Ok(rules)
}

/// What attachments are held against.
fn rules(settings: &Settings) -> anyhow::Result<Rules> {
    let mut rules = Rules::default();
    for (class, action) in
        settings.list("attachments.actions").iter().filter_map(|text| way::attachment_action(text))
    {
        rules.policy.set(class, action);
    }
    for word in settings.list("attachments.allow") {
        ensure!(rules.policy.allow(&word), "attachments.allow: too many words");
    }
    for word in settings.list("attachments.refuse") {
        ensure!(rules.policy.refuse(&word), "attachments.refuse: too many words");
    }
    for file in settings.list("attachments.hash_lists") {
        rules.lists.push(hash_list(Path::new(&file)).context("reading attachments.hash_lists")?);
    }
    Ok(rules)
}

fn hash_list(path: &Path) -> anyhow::Result<HashList> {
    let (list, lines) = known::open(path)?;
    for line in &lines.skipped {
        tracing::warn!(file = %path.display(), line, "no digest; the line is not used");
    }
    let skipped = lines.skipped_count;
    tracing::info!(file = %path.display(), digests = list.rows(), skipped, "a list of known content is in use");
    Ok(list)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let named = || path.display().to_string();
    let octets = fs::metadata(path).with_context(named)?.len();
    ensure!(octets <= FILE_OCTETS_MAX, "{}: more than {FILE_OCTETS_MAX} octets", path.display());
    fs::read(path).with_context(named)
}
