//! From octets as they arrive to commands: the ManageSieve door's first stop. Borders are found first, so that no bad
//! command brings us out of step and no line of a script is taken for a command (RFC 5804 §4).
//!
//! A line may end with LF alone, as hand-typed sessions do; within a literal every octet is its own.

use mail_types::Secret;
use memchr::memchr;

use crate::command::{self, Command};
use crate::limits::Limits;
use crate::word::{Word, announced_at_end, read_line};

/// Octets kept of the end of a line that is skipped: it may announce a literal to skip.
const TAIL_OCTETS_MAX: usize = 32;
/// A buffer larger than this is given back when its command is done: idle sessions are many.
const IDLE_BUFFER_OCTETS_MAX: usize = 1_024;

/// What came out of the octets received.
#[derive(PartialEq, Eq, Debug)]
pub enum Received {
    /// All octets are taken and nothing is complete: read more.
    NeedMore,
    /// A complete command.
    Command(Box<Command>),
    /// The answer to a challenge, in base64, after [`Receiver::expect_response`]; `*` where the client gave up.
    Response(Secret),
    /// What could not be read; a response that was expected is expected no longer.
    Bad(BadCommand),
}

/// Why a command could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadCommand {
    /// It breaks the grammar; the text says where.
    Syntax(&'static str),
    /// It is larger than commands may be.
    TooLarge,
    /// It brings a script that is larger than scripts may be.
    ScriptTooLarge,
    /// It is so large that we do not read it to its end: the connection cannot go on.
    OutOfStep,
}

/// The receiving half of one connection. Keeps no more than one command, and nothing between commands.
#[derive(Debug)]
pub struct Receiver {
    limits: Limits,
    awaited: Awaited,
    state: State,
    /// The line so far; of one that is skipped, its end.
    line: Vec<u8>,
    words: Vec<Word>,
    /// Octets of the lines that the words stood on.
    lines_octets: usize,
    /// What is wrong with the command that is skipped.
    bad: Option<BadCommand>,
    skipped_octets: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Awaited {
    Command,
    Response,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Gathering a line.
    Line,
    /// Gathering the literal that is the last word.
    Literal { left: usize },
    /// Skipping a line.
    SkippingLine,
    /// Skipping a literal.
    SkippingLiteral { left: u64 },
    /// The stream cannot be followed any longer.
    Lost,
}

impl Receiver {
    /// Starts to receive.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            awaited: Awaited::Command,
            state: State::Line,
            line: Vec::new(),
            words: Vec::new(),
            lines_octets: 0,
            bad: None,
            skipped_octets: 0,
        }
    }

    /// Sets new limits, from the next command on: after login, and after UNAUTHENTICATE.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Makes the next thing come as [`Received::Response`].
    pub fn expect_response(&mut self) {
        self.awaited = Awaited::Response;
    }

    /// Octets held of a command under way.
    #[must_use]
    pub fn held_octets(&self) -> usize {
        let word = |word: &Word| match word {
            Word::Atom(text) => text.len(),
            Word::String(octets) => octets.len(),
        };
        self.line.len() + self.words.iter().map(word).sum::<usize>()
    }

    /// Takes octets from the front of `input` until something has been received.
    /// After STARTTLS the caller must throw away what is left of the input, unread.
    pub fn receive(&mut self, input: &mut &[u8]) -> Received {
        loop {
            let received = match self.state {
                State::Line | State::SkippingLine => self.take_line(input),
                State::Literal { left } => self.take_literal(input, left),
                State::SkippingLiteral { left } => self.skip_literal(input, left),
                State::Lost => {
                    *input = &[];
                    return Received::Bad(BadCommand::OutOfStep);
                }
            };
            if let Some(received) = received {
                return received;
            }
            if input.is_empty() && self.is_waiting() {
                return Received::NeedMore;
            }
        }
    }

    /// Whether nothing can be done without more octets.
    fn is_waiting(&self) -> bool {
        !matches!(self.state, State::Lost | State::Literal { left: 0 } | State::SkippingLiteral { left: 0 })
    }

    fn take_line(&mut self, input: &mut &[u8]) -> Option<Received> {
        let end = memchr(b'\n', input);
        let (piece, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
        *input = rest;
        if self.state == State::SkippingLine {
            self.skip(piece.len() as u64);
            self.keep_tail(piece);
        } else {
            self.line.extend_from_slice(piece);
            // The line end is not counted, whether or not it has come.
            let octets = self.lines_octets + self.line.trim_ascii_end_of_line().len();
            if octets > self.limits.line_octets_max {
                self.skip(self.line.len() as u64);
                self.refuse(BadCommand::TooLarge);
                self.state = if self.state == State::Lost { State::Lost } else { State::SkippingLine };
                self.keep_tail(&[]);
            }
        }
        if end.is_none() || self.state == State::Lost {
            return None;
        }
        let line = std::mem::take(&mut self.line);
        let received = self.line_done(line.trim_ascii_end_of_line());
        if line.capacity() <= IDLE_BUFFER_OCTETS_MAX {
            self.line = line;
            self.line.clear();
        }
        received
    }

    fn line_done(&mut self, line: &[u8]) -> Option<Received> {
        if self.bad.is_none() {
            self.lines_octets += line.len();
            let is_first = self.words.is_empty();
            match read_line(line, is_first, &mut self.words) {
                Ok(Some(octets)) => return self.announced(octets),
                // A stray empty line does no harm.
                Ok(None) if self.words.is_empty() && self.awaited == Awaited::Command => {
                    self.lines_octets = 0;
                    return None;
                }
                Ok(None) => return Some(self.finish()),
                Err(complaint) => self.refuse(BadCommand::Syntax(complaint.what)),
            }
        }
        match announced_at_end(line) {
            Some(octets) => self.skip_announced(octets),
            None => return Some(self.finish()),
        }
        None
    }

    fn announced(&mut self, octets: u64) -> Option<Received> {
        let is_script = self.awaited == Awaited::Command && command::is_script_next(&self.words);
        let most = if is_script { self.limits.script_octets_max } else { self.limits.literal_octets_max };
        match usize::try_from(octets) {
            Ok(left) if left <= most => {
                self.words.push(Word::String(Vec::new()));
                self.state = State::Literal { left };
                return None;
            }
            _ if is_script => self.refuse(BadCommand::ScriptTooLarge),
            _ => self.refuse(BadCommand::TooLarge),
        }
        self.skip_announced(octets);
        None
    }

    fn take_literal(&mut self, input: &mut &[u8], left: usize) -> Option<Received> {
        let (piece, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        if let Some(Word::String(octets)) = self.words.last_mut() {
            octets.extend_from_slice(piece);
        }
        let left = left - piece.len();
        self.state = if left == 0 { State::Line } else { State::Literal { left } };
        None
    }

    fn skip_literal(&mut self, input: &mut &[u8], left: u64) -> Option<Received> {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        *input = input.get(length..).unwrap_or_default();
        let left = left - length as u64;
        self.state = if left == 0 { State::SkippingLine } else { State::SkippingLiteral { left } };
        None
    }

    /// The command cannot be read: its words go, the first reason stays.
    fn refuse(&mut self, bad: BadCommand) {
        self.words = Vec::new();
        self.bad.get_or_insert(bad);
    }

    fn skip_announced(&mut self, octets: u64) {
        self.state = State::SkippingLiteral { left: octets };
        self.skip(octets);
    }

    fn skip(&mut self, octets: u64) {
        self.skipped_octets = self.skipped_octets.saturating_add(octets);
        if self.skipped_octets > self.limits.discarded_octets_max {
            self.state = State::Lost;
            self.line = Vec::new();
        }
    }

    /// Appends to a line that is skipped, and keeps its end.
    fn keep_tail(&mut self, piece: &[u8]) {
        let piece = piece.get(piece.len().saturating_sub(TAIL_OCTETS_MAX)..).unwrap_or_default();
        self.line.extend_from_slice(piece);
        let surplus = self.line.len().saturating_sub(TAIL_OCTETS_MAX);
        self.line.drain(..surplus);
        self.line.shrink_to(IDLE_BUFFER_OCTETS_MAX);
    }

    /// The command is complete, read or skipped.
    fn finish(&mut self) -> Received {
        self.state = State::Line;
        (self.lines_octets, self.skipped_octets) = (0, 0);
        let awaited = std::mem::replace(&mut self.awaited, Awaited::Command);
        let words = std::mem::take(&mut self.words);
        if let Some(bad) = self.bad.take() {
            return Received::Bad(bad);
        }
        match awaited {
            Awaited::Command => match command::read(words) {
                Ok(command) => Received::Command(Box::new(command)),
                Err(what) => Received::Bad(BadCommand::Syntax(what)),
            },
            Awaited::Response => match <[Word; 1]>::try_from(words) {
                Ok([Word::String(octets)]) => Received::Response(Secret::new(octets)),
                // RFC 5804 §2.1 has a string here; a bare star says the same.
                Ok([Word::Atom(star)]) if star == "*" => Received::Response(Secret::from(star)),
                _ => Received::Bad(BadCommand::Syntax("Expected a response as a string")),
            },
        }
    }
}

/// Lines without their ends.
trait Line {
    fn trim_ascii_end_of_line(&self) -> &[u8];
}

impl Line for [u8] {
    fn trim_ascii_end_of_line(&self) -> &[u8] {
        let line = self.strip_suffix(b"\n").unwrap_or(self);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}
