//! What follows from what is found: for each class of finding a word, and lists of names and types that are always refused or
//! that are let through.

use crate::extension::class_of_extension;

/// What is to be done with a message; a later one is the severer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Nothing.
    Accept,
    /// It counts against the message beside other evidence.
    Score,
    /// Into the junk mailbox.
    Junk,
    /// Kept where only who runs the server reaches it.
    Quarantine,
    /// Refused.
    Reject,
}

impl Action {
    /// All, the mildest first.
    pub const ALL: [Action; 5] =
        [Action::Accept, Action::Score, Action::Junk, Action::Quarantine, Action::Reject];

    /// The word for it in settings.
    pub fn word(self) -> &'static str {
        match self {
            Action::Accept => "accept",
            Action::Score => "score",
            Action::Junk => "junk",
            Action::Quarantine => "quarantine",
            Action::Reject => "reject",
        }
    }

    /// The action of a word.
    pub fn parse(word: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.word() == word)
    }
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A program or an installer, by content or by name.
    Program,
    /// A script that a Windows desktop runs at a click.
    Script,
    /// A script for a shell or an interpreter, which nobody runs by accident.
    ShellScript,
    /// A link or setting that starts something: .lnk, .url, .scf.
    Shortcut,
    /// A disk image or a rare archive, which keeps what is in it from being looked at.
    RareContainer,
    /// A document made to do things: compiled help, OneNote with files, consoles.
    ActiveDocument,
    /// Macros.
    Macro,
    /// Macros that run by themselves, or whose text could not be read.
    AutoMacro,
    /// Dynamic data exchange: a field that starts a program.
    Dde,
    /// A document that fetches its template or an object from elsewhere.
    RemoteContent,
    /// A file or object packed into a document.
    EmbeddedObject,
    /// A PDF with JavaScript, or that starts something.
    ActivePdf,
    /// An attached web page or picture with script.
    ActiveMarkup,
    /// It cannot be looked into without a password.
    Encrypted,
    /// An archive made to exhaust who unpacks it.
    Bomb,
    /// Packed in a way that is not looked into, or damaged.
    Opaque,
    /// A bound was reached before all was seen.
    Incomplete,
    /// A name or type that hides what it really is.
    Disguised,
    /// Programs that read it differently will see different attachments.
    Ambiguous,
    /// The EICAR test file.
    TestVirus,
    /// On a list of known content.
    Listed,
    /// A name or type that the policy refuses.
    Refused,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 22] = [
        Class::Program,
        Class::Script,
        Class::ShellScript,
        Class::Shortcut,
        Class::RareContainer,
        Class::ActiveDocument,
        Class::Macro,
        Class::AutoMacro,
        Class::Dde,
        Class::RemoteContent,
        Class::EmbeddedObject,
        Class::ActivePdf,
        Class::ActiveMarkup,
        Class::Encrypted,
        Class::Bomb,
        Class::Opaque,
        Class::Incomplete,
        Class::Disguised,
        Class::Ambiguous,
        Class::TestVirus,
        Class::Listed,
        Class::Refused,
    ];

    /// The word for it in settings.
    pub fn word(self) -> &'static str {
        match self {
            Class::Program => "program",
            Class::Script => "script",
            Class::ShellScript => "shell-script",
            Class::Shortcut => "shortcut",
            Class::RareContainer => "rare-container",
            Class::ActiveDocument => "active-document",
            Class::Macro => "macro",
            Class::AutoMacro => "auto-macro",
            Class::Dde => "dde",
            Class::RemoteContent => "remote-content",
            Class::EmbeddedObject => "embedded-object",
            Class::ActivePdf => "active-pdf",
            Class::ActiveMarkup => "active-markup",
            Class::Encrypted => "encrypted",
            Class::Bomb => "bomb",
            Class::Opaque => "opaque",
            Class::Incomplete => "incomplete",
            Class::Disguised => "disguised",
            Class::Ambiguous => "ambiguous",
            Class::TestVirus => "test-virus",
            Class::Listed => "listed",
            Class::Refused => "refused",
        }
    }

    /// The class of a word.
    pub fn parse(word: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.word() == word)
    }

    /// What is done where nobody has said otherwise: what large providers refuse is refused; what honest people send too
    /// only counts.
    fn default_action(self) -> Action {
        match self {
            Class::Program | Class::Script | Class::Shortcut => Action::Reject,
            Class::Bomb | Class::TestVirus | Class::Listed | Class::Refused => Action::Reject,
            Class::RareContainer | Class::ActiveDocument | Class::AutoMacro => Action::Quarantine,
            Class::Dde | Class::RemoteContent | Class::Disguised => Action::Quarantine,
            Class::Ambiguous => Action::Junk,
            Class::Macro | Class::EmbeddedObject | Class::ActivePdf | Class::ActiveMarkup => Action::Score,
            Class::Encrypted | Class::Opaque | Class::Incomplete => Action::Score,
            Class::ShellScript => Action::Accept,
        }
    }
}

/// What follows from findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    actions: [Action; Class::ALL.len()],
    refused: Vec<String>,
    allowed: Vec<String>,
}

/// Words of one list of a policy.
pub const LIST_WORDS_MAX: usize = 500;

impl Default for Policy {
    fn default() -> Self {
        Policy { actions: Class::ALL.map(Class::default_action), refused: Vec::new(), allowed: Vec::new() }
    }
}

impl Policy {
    /// What is done about findings of a class.
    pub fn action(&self, class: Class) -> Action {
        self.actions.get(class as usize).copied().unwrap_or(Action::Reject)
    }

    /// Says what is done about findings of a class.
    pub fn set(&mut self, class: Class, action: Action) {
        if let Some(place) = self.actions.get_mut(class as usize) {
            *place = action;
        }
    }

    /// Refuses names that end so (`exe` or `.exe`) and media types (`application/x-tar`, `video/*`). Whether there was room.
    pub fn refuse(&mut self, word: &str) -> bool {
        add(&mut self.refused, word)
    }

    /// Lets through what names that end so usually hold: with `js` a script called `a.js`, not a program called so. For
    /// media types it takes back what [`Policy::refuse`] says more generally. Whether there was room.
    pub fn allow(&mut self, word: &str) -> bool {
        add(&mut self.allowed, word)
    }

    /// Whether the lists refuse an extension.
    pub(crate) fn refuses_extension(&self, extension: &str) -> bool {
        contains(&self.refused, extension) && !contains(&self.allowed, extension)
    }

    /// Whether the lists refuse a media type.
    pub(crate) fn refuses_type(&self, media_type: &str) -> bool {
        let (major, _) = media_type.split_once('/').unwrap_or((media_type, ""));
        let is_in = |list: &[String]| contains(list, media_type) || contains(list, &format!("{major}/*"));
        is_in(&self.refused) && !contains(&self.allowed, media_type)
    }

    /// Whether a finding is what is expected, and allowed, of this extension.
    pub(crate) fn allows(&self, extension: &str, class: Class) -> bool {
        let class = if class == Class::AutoMacro { Class::Macro } else { class };
        contains(&self.allowed, extension) && class_of_extension(extension) == Some(class)
    }
}

fn add(list: &mut Vec<String>, word: &str) -> bool {
    let word = word.trim().trim_start_matches('.').to_ascii_lowercase();
    let has_room = list.len() < LIST_WORDS_MAX;
    if has_room && !word.is_empty() {
        list.push(word);
    }
    has_room
}

fn contains(list: &[String], word: &str) -> bool {
    list.iter().any(|known| known == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_classes_and_actions() {
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(Class::parse(class.word()), Some(class));
            assert_eq!(class as usize, index, "{class:?}");
        }
        for action in Action::ALL {
            assert_eq!(Action::parse(action.word()), Some(action));
        }
        assert_eq!(Class::parse("virus"), None);
        assert_eq!(Action::parse("Reject"), None);
    }

    #[test]
    fn who_runs_the_server_decides() {
        let mut policy = Policy::default();
        assert_eq!(policy.action(Class::Program), Action::Reject);
        policy.set(Class::Program, Action::Quarantine);
        assert_eq!(policy.action(Class::Program), Action::Quarantine);
        assert_eq!(policy.action(Class::Script), Action::Reject);
    }

    #[test]
    fn lists_of_extensions_and_types() {
        let mut policy = Policy::default();
        assert!(policy.refuse(".MP4") && policy.refuse("video/*") && policy.refuse("application/x-tar"));
        assert!(policy.allow("video/ogg") && policy.allow("js"));
        assert!(policy.refuses_extension("mp4") && !policy.refuses_extension("ogg"));
        assert!(policy.refuses_type("video/mp4") && !policy.refuses_type("video/ogg"));
        assert!(policy.refuses_type("application/x-tar") && !policy.refuses_type("application/pdf"));
        assert!(policy.allows("js", Class::Script) && !policy.allows("js", Class::Program));
    }

    #[test]
    fn lists_are_bounded() {
        let mut policy = Policy::default();
        for number in 0..LIST_WORDS_MAX {
            assert!(policy.refuse(&format!("x{number}")));
        }
        assert!(!policy.refuse("one-more"));
        assert!(policy.refuses_extension(&format!("x{}", LIST_WORDS_MAX - 1)));
        assert!(!policy.refuses_extension("one-more"));
    }
}
