//! What a client may ask (RFC 5804 §2), and when.

use mail_types::{ScriptName, Secret};

use crate::word::{Word, number};

/// A command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Log in.
    Authenticate {
        /// The mechanism's name as the client wrote it.
        mechanism: String,
        /// Its first message in base64, if it came along; an empty one is an empty text.
        initial_response: Option<Secret>,
    },
    /// Begin TLS.
    StartTls,
    /// End the session.
    Logout,
    /// Tell what the server can do.
    Capability,
    /// Would a script of this name and length be taken?
    HaveSpace {
        /// Its name.
        name: ScriptName,
        /// Its length.
        octets: u64,
    },
    /// Keep a script.
    PutScript {
        /// Its name.
        name: ScriptName,
        /// What it says.
        script: Vec<u8>,
    },
    /// Name all scripts.
    ListScripts,
    /// Let this script run when mail comes, or none.
    SetActive(Option<ScriptName>),
    /// Tell what a script says.
    GetScript(ScriptName),
    /// Remove a script.
    DeleteScript(ScriptName),
    /// Give a script another name.
    RenameScript {
        /// The name that it has.
        from: ScriptName,
        /// The name that it gets.
        to: ScriptName,
    },
    /// Say whether this is a script that would be taken, and keep nothing.
    CheckScript(Vec<u8>),
    /// Nothing; a text is to come back.
    Noop(Option<Vec<u8>>),
    /// Become a stranger again.
    Unauthenticate,
}

/// Who may give a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Everybody.
    Anywhere,
    /// Those who have not logged in.
    BeforeLogin,
    /// Those who have.
    AfterLogin,
}

impl Command {
    /// Who may give it.
    #[must_use]
    pub const fn place(&self) -> Place {
        match self {
            Self::Logout | Self::Capability | Self::Noop(_) => Place::Anywhere,
            Self::Authenticate { .. } | Self::StartTls => Place::BeforeLogin,
            Self::HaveSpace { .. }
            | Self::PutScript { .. }
            | Self::ListScripts
            | Self::SetActive(_)
            | Self::GetScript(_)
            | Self::DeleteScript(_)
            | Self::RenameScript { .. }
            | Self::CheckScript(_)
            | Self::Unauthenticate => Place::AfterLogin,
        }
    }
}

/// Whether the word that follows these is a script.
pub(crate) fn is_script_next(words: &[Word]) -> bool {
    let [Word::Atom(verb), arguments @ ..] = words else { return false };
    match arguments.len() {
        0 => verb.eq_ignore_ascii_case("CHECKSCRIPT"),
        1 => verb.eq_ignore_ascii_case("PUTSCRIPT"),
        _ => false,
    }
}

/// Reads a command from its words.
pub(crate) fn read(words: Vec<Word>) -> Result<Command, &'static str> {
    let mut words = words.into_iter();
    let Some(Word::Atom(verb)) = words.next() else { return Err("Expected a command") };
    let mut arguments = Arguments(words);
    let command = match verb.to_ascii_uppercase().as_str() {
        "AUTHENTICATE" => Command::Authenticate {
            mechanism: arguments.text("Expected a mechanism's name as a string")?,
            initial_response: arguments.optional_string()?.map(Secret::new),
        },
        "STARTTLS" => Command::StartTls,
        "LOGOUT" => Command::Logout,
        "CAPABILITY" => Command::Capability,
        "HAVESPACE" => Command::HaveSpace { name: arguments.name()?, octets: arguments.number()? },
        "PUTSCRIPT" => Command::PutScript { name: arguments.name()?, script: arguments.script()? },
        "LISTSCRIPTS" => Command::ListScripts,
        "SETACTIVE" => Command::SetActive(arguments.name_or_none()?),
        "GETSCRIPT" => Command::GetScript(arguments.name()?),
        "DELETESCRIPT" => Command::DeleteScript(arguments.name()?),
        "RENAMESCRIPT" => Command::RenameScript { from: arguments.name()?, to: arguments.name()? },
        "CHECKSCRIPT" => Command::CheckScript(arguments.script()?),
        "NOOP" => Command::Noop(arguments.optional_string()?),
        "UNAUTHENTICATE" => Command::Unauthenticate,
        _ => return Err("There is no such command"),
    };
    match arguments.0.next() {
        Some(_) => Err("The command has too many arguments"),
        None => Ok(command),
    }
}

/// The words behind a verb.
struct Arguments(std::vec::IntoIter<Word>);

impl Arguments {
    fn string(&mut self, what: &'static str) -> Result<Vec<u8>, &'static str> {
        match self.0.next() {
            Some(Word::String(octets)) => Ok(octets),
            _ => Err(what),
        }
    }

    fn optional_string(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        match self.0.next() {
            Some(Word::String(octets)) => Ok(Some(octets)),
            Some(Word::Atom(_)) => Err("Expected a string"),
            None => Ok(None),
        }
    }

    fn text(&mut self, what: &'static str) -> Result<String, &'static str> {
        String::from_utf8(self.string(what)?).map_err(|_| what)
    }

    fn script(&mut self) -> Result<Vec<u8>, &'static str> {
        self.string("Expected a script as a string")
    }

    fn name(&mut self) -> Result<ScriptName, &'static str> {
        self.name_or_none()?.ok_or("A script's name is not empty")
    }

    fn name_or_none(&mut self) -> Result<Option<ScriptName>, &'static str> {
        let text = self.text("Expected a script's name as a string")?;
        if text.is_empty() {
            return Ok(None);
        }
        let name = ScriptName::parse(&text);
        name.map(Some).map_err(|_| "A script's name has at most 512 octets and no control characters")
    }

    fn number(&mut self) -> Result<u64, &'static str> {
        match self.0.next() {
            Some(Word::Atom(digits)) => number(digits.as_bytes()).ok_or("Expected a number"),
            _ => Err("Expected a number"),
        }
    }
}
