//! What is attached to a message: hits by name, and what has to be done for it whatever the score.

use std::sync::Arc;

use attachments::{Class, Inspector, Report, Rules};
use mailstore::{HeldReader, StoreError};
use spam::{Catalogue, Hit};

use super::taste::Action;

/// Looks at all of a message. Blocking.
pub(super) fn inspect(rules: &Arc<Rules>, message: &HeldReader) -> Result<Report, StoreError> {
    let mut inspector = Inspector::new(Arc::clone(rules));
    message.visit_here(|piece| {
        inspector.feed(piece);
        true
    })?;
    Ok(inspector.finish())
}

/// What is attached to a message that is at hand as a whole: hits, and what has to be done for it whatever the score.
pub fn attached(rules: &Arc<Rules>, message: &[u8], catalogue: &Catalogue) -> (Vec<Hit>, Option<Action>) {
    let mut inspector = Inspector::new(Arc::clone(rules));
    inspector.feed(message);
    let report = inspector.finish();
    (hits(&report, catalogue), action(&report))
}

/// The hits of what was found.
pub(super) fn hits(report: &Report, catalogue: &Catalogue) -> Vec<Hit> {
    let counted = report.findings.iter().filter(|finding| finding.action != attachments::Action::Accept);
    counted.map(|finding| catalogue.raise(rule_of(finding.class), &finding.to_string())).collect()
}

/// What has to be done.
pub(super) fn action(report: &Report) -> Option<Action> {
    match report.action() {
        attachments::Action::Accept | attachments::Action::Score => None,
        attachments::Action::Junk => Some(Action::Junk),
        attachments::Action::Quarantine => Some(Action::Quarantine),
        attachments::Action::Reject => Some(Action::Reject),
    }
}

/// What scripts are told of it (RFC 5235 §2.4).
pub(super) fn virus(report: &Report) -> u8 {
    const NONE: u8 = 1;
    const SUSPECTED: u8 = 4;
    const FOUND: u8 = 5;
    let found = |finding: &attachments::Finding| match (finding.class, finding.action) {
        (Class::TestVirus | Class::Listed, _) => FOUND,
        (_, attachments::Action::Quarantine | attachments::Action::Reject) => SUSPECTED,
        _ => NONE,
    };
    report.findings.iter().map(found).max().unwrap_or(NONE)
}

fn rule_of(class: Class) -> &'static str {
    match class {
        Class::Program => "ATTACHED_PROGRAM",
        Class::Script | Class::ShellScript => "ATTACHED_SCRIPT",
        Class::Shortcut => "ATTACHED_SHORTCUT",
        Class::RareContainer => "ATTACHED_DISK",
        Class::ActiveDocument | Class::AutoMacro | Class::Dde => "ATTACHED_MACRO_AUTOEXEC",
        Class::Macro | Class::EmbeddedObject => "ATTACHED_MACRO",
        Class::RemoteContent => "ATTACHED_REMOTE_TEMPLATE",
        Class::ActivePdf => "ATTACHED_ACTIVE_PDF",
        Class::ActiveMarkup => "ATTACHED_ACTIVE_PAGE",
        Class::Encrypted | Class::Opaque => "ARCHIVE_ENCRYPTED",
        Class::Bomb => "ARCHIVE_BOMB",
        Class::Incomplete => "ARCHIVE_DEEP",
        Class::Disguised => "ATTACHED_DISGUISED",
        Class::Ambiguous => "ATTACHED_DOUBLE_NAME",
        Class::TestVirus => "ATTACHED_EICAR",
        Class::Listed | Class::Refused => "ATTACHED_KNOWN_BAD",
    }
}
