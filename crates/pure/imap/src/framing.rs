//! Where lines, literals and commands begin and end in a stream: found first, so that no bad command can bring us out of step
//! (RFC 9051 §4.3, RFC 7888). Knows nothing of commands; bounded by [`Limits`].
//!
//! A line may end with LF alone, as hand-typed sessions do; within a literal every octet is its own.

use memchr::memchr;

use crate::command::decimal;
use crate::limits::Limits;

/// Most octets of an announcement: `~{`, twenty digits, `+}`.
const ANNOUNCEMENT_OCTETS_MAX: usize = 24;
/// Most octets kept of a line too long: enough for its tag.
const KEPT_OCTETS_MAX: usize = 512;
/// A buffer larger than this is given back when its command is done: idle sessions are many.
const IDLE_BUFFER_OCTETS_MAX: usize = 1_024;

/// The end of a line that says how long the literal behind it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Announcement {
    /// Where it stands in the command, from its `~` or `{`.
    pub(crate) starts_at: usize,
    /// How many octets follow.
    pub(crate) octets: u64,
    /// Whether the client waits for leave (RFC 9051 §4.3).
    pub(crate) synchronising: bool,
    /// `~{…}`: octets of any kind (RFC 3516).
    pub(crate) is_literal8: bool,
}

/// What was found in the stream.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Framed<'a> {
    /// All octets are taken: read more.
    NeedMore,
    /// A line ends with an announcement. [`Framer::gathered`] has all up to it; then comes one of
    /// [`Framer::gather_literal`], [`Framer::stream_literal`] and [`Framer::refuse`].
    Announced(Announcement),
    /// The command, or the line, is complete and was found whole in the input.
    Whole(&'a [u8]),
    /// The command is complete and lies in [`Framer::gathered`], until [`Framer::start_over`].
    Gathered,
    /// Octets of a literal that is streamed.
    Octets(&'a [u8]),
    /// The literal that is streamed is complete; a line follows.
    StreamEnd,
    /// Larger than allowed. The start of it lies in [`Framer::gathered`]; the rest will be skipped.
    TooLarge(&'static str),
    /// More would have to be skipped than allowed. Nothing will be found any more.
    OutOfStep,
}

/// Whether lines may announce literals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LineKind {
    /// A line of a command.
    Command,
    /// A line that stands alone: a response of AUTHENTICATE, the DONE of IDLE.
    Plain,
}

#[derive(Debug)]
enum State {
    /// Gathering a line.
    Line,
    /// A line has announced a literal; what to do with it is not decided.
    Announced(Announcement),
    /// Gathering a literal.
    Literal { left: usize },
    /// Handing a literal over as it comes.
    Streaming { left: u64 },
    /// Skipping a literal and the rest of its command.
    SkippingLiteral { left: u64 },
    /// Skipping a line; its end may announce another literal to skip.
    SkippingLine,
    /// The stream cannot be followed any longer.
    Lost,
}

/// Finds borders, octet by octet, however the octets arrive.
#[derive(Debug)]
pub(crate) struct Framer {
    state: State,
    limits: Limits,
    /// The command so far, when it has literals or came in pieces.
    gathered: Vec<u8>,
    /// Where the line that is being gathered starts.
    line_start: usize,
    literals: usize,
    skipped_octets: u64,
    /// The last octets of a line that is skipped.
    tail: Vec<u8>,
}

impl Framer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            state: State::Line,
            limits,
            gathered: Vec::new(),
            line_start: 0,
            literals: 0,
            skipped_octets: 0,
            tail: Vec::new(),
        }
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// What has been gathered of the command.
    pub(crate) fn gathered(&self) -> &[u8] {
        &self.gathered
    }

    /// Forgets the command: the next line begins another.
    pub(crate) fn start_over(&mut self) {
        self.forget_gathered();
        self.begin_next();
    }

    fn forget_gathered(&mut self) {
        if self.gathered.capacity() > IDLE_BUFFER_OCTETS_MAX {
            self.gathered = Vec::new();
        }
        self.gathered.clear();
        self.line_start = 0;
    }

    /// Takes the announced literal into the command, if the limits allow.
    pub(crate) fn gather_literal(&mut self) -> Result<(), &'static str> {
        let State::Announced(announcement) = self.state else { return Ok(()) };
        let octets = usize::try_from(announcement.octets).unwrap_or(usize::MAX);
        if octets > self.limits.literal_octets_max {
            return Err("a literal has too many octets");
        }
        if self.literals == self.limits.literals_max {
            return Err("it has too many literals");
        }
        if self.gathered.len().saturating_add(octets) > self.limits.command_octets_max {
            return Err("it has too many octets");
        }
        self.literals += 1;
        self.gathered.extend_from_slice(b"\r\n");
        self.state = State::Literal { left: octets };
        Ok(())
    }

    /// Hands the announced literal over as it comes. The command so far is forgotten.
    pub(crate) fn stream_literal(&mut self) {
        if let State::Announced(announcement) = self.state {
            self.forget_gathered();
            self.state = State::Streaming { left: announcement.octets };
        }
    }

    /// Gives the command up in the midst of it. What the client will still send of it is skipped, before anything else is
    /// found: nothing if it waits for leave to send a literal, as the answer to the command denies it (RFC 9051 §4.3).
    pub(crate) fn refuse(&mut self) {
        self.state = match self.state {
            State::Announced(announcement) if announcement.synchronising => return self.start_over(),
            State::Announced(announcement) => State::SkippingLiteral { left: announcement.octets },
            State::Streaming { left } | State::SkippingLiteral { left } => State::SkippingLiteral { left },
            State::Literal { left } => State::SkippingLiteral { left: left as u64 },
            State::Line => {
                self.tail = last_octets(self.gathered.get(self.line_start..).unwrap_or_default(), &[]);
                State::SkippingLine
            }
            State::SkippingLine => State::SkippingLine,
            State::Lost => State::Lost,
        };
        self.forget_gathered();
    }

    /// Gives up a command whose last line has been found, or whose rest is skipped already.
    pub(crate) fn give_up(&mut self) {
        match self.state {
            State::Line => self.start_over(),
            State::Announced(_) => self.refuse(),
            _ => self.forget_gathered(),
        }
    }

    /// Takes octets from the front of the input until something is found.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8], kind: LineKind) -> Framed<'a> {
        loop {
            let found = match self.state {
                State::Line => self.line(input, kind),
                State::Announced(announcement) => Some(Framed::Announced(announcement)),
                State::Literal { left } => self.literal(input, left),
                State::Streaming { left } => Some(self.stream(input, left)),
                State::SkippingLiteral { left } => self.skip_literal(input, left),
                State::SkippingLine => self.skip_line(input),
                State::Lost => Some(Framed::OutOfStep),
            };
            if let Some(found) = found {
                return found;
            }
        }
    }

    fn line<'a>(&mut self, input: &mut &'a [u8], kind: LineKind) -> Option<Framed<'a>> {
        let end = memchr(b'\n', input);
        let piece = take(input, end.map_or(input.len(), |end| end + 1));
        let (octets_max, what) = self.line_ends_by();
        // Without LF, a CR may be the first half of the line end.
        let line_end_octets = if end.is_some() { 2 } else { 1 };
        if self.gathered.len() + piece.len() > octets_max.saturating_add(line_end_octets) {
            self.too_long(piece, octets_max, end.is_some());
            return Some(Framed::TooLarge(what));
        }
        if end.is_none() {
            self.gathered.extend_from_slice(piece);
            return Some(Framed::NeedMore);
        }
        if self.gathered.is_empty() {
            let line = without_line_end(piece);
            let Some(announcement) = announcement(line, 0).filter(|_| kind == LineKind::Command) else {
                self.begin_next();
                return Some(Framed::Whole(line));
            };
            self.gathered.extend_from_slice(line);
            self.state = State::Announced(announcement);
            return None;
        }
        self.gathered.extend_from_slice(piece);
        let line = without_line_end(self.gathered.get(self.line_start..).unwrap_or_default());
        let announcement = announcement(line, self.line_start).filter(|_| kind == LineKind::Command);
        self.gathered.truncate(self.line_start + line.len());
        match announcement {
            Some(announcement) => {
                self.state = State::Announced(announcement);
                None
            }
            None => Some(Framed::Gathered),
        }
    }

    fn literal<'a>(&mut self, input: &mut &'a [u8], left: usize) -> Option<Framed<'a>> {
        let piece = take(input, left.min(input.len()));
        self.gathered.extend_from_slice(piece);
        let left = left - piece.len();
        if left > 0 {
            self.state = State::Literal { left };
            return Some(Framed::NeedMore);
        }
        self.line_start = self.gathered.len();
        self.state = State::Line;
        None
    }

    fn stream<'a>(&mut self, input: &mut &'a [u8], left: u64) -> Framed<'a> {
        if left == 0 {
            self.state = State::Line;
            return Framed::StreamEnd;
        }
        if input.is_empty() {
            return Framed::NeedMore;
        }
        let piece = take(input, usize::try_from(left).unwrap_or(usize::MAX).min(input.len()));
        self.state = State::Streaming { left: left - piece.len() as u64 };
        Framed::Octets(piece)
    }

    /// Where in the command the present line must end at the latest, and what to say if it doesn't.
    fn line_ends_by(&self) -> (usize, &'static str) {
        let by_line = self.line_start.saturating_add(self.limits.line_octets_max);
        if by_line <= self.limits.command_octets_max {
            (by_line, "a line has too many octets")
        } else {
            (self.limits.command_octets_max, "it has too many octets")
        }
    }

    /// A line over its bound: keeps its start for the tag, and skips the rest. However the line arrives, the same is kept
    /// and the same is counted as skipped.
    fn too_long(&mut self, piece: &[u8], octets_max: usize, is_complete: bool) {
        let line = self.gathered.get(self.line_start..).unwrap_or_default();
        self.tail = last_octets(line, piece);
        let skipped = (self.gathered.len() + piece.len()).saturating_sub(octets_max.saturating_add(2));
        let kept = KEPT_OCTETS_MAX.min(self.limits.line_octets_max);
        let room = kept.saturating_sub(self.gathered.len()).min(piece.len());
        self.gathered.extend_from_slice(piece.get(..room).unwrap_or_default());
        self.gathered.truncate(kept);
        self.state = State::SkippingLine;
        if self.may_skip(skipped as u64) && is_complete {
            self.end_skipped_line();
        }
    }

    fn skip_line<'a>(&mut self, input: &mut &'a [u8]) -> Option<Framed<'a>> {
        let end = memchr(b'\n', input);
        let piece = take(input, end.map_or(input.len(), |end| end + 1));
        if !self.may_skip(piece.len() as u64) {
            return Some(Framed::OutOfStep);
        }
        self.tail = last_octets(&self.tail, piece);
        if end.is_none() {
            return Some(Framed::NeedMore);
        }
        self.end_skipped_line();
        None
    }

    /// At the end of a skipped line: a literal that comes unasked is skipped too, one that is waited for will not come.
    fn end_skipped_line(&mut self) {
        let tail = std::mem::take(&mut self.tail);
        match announcement(without_line_end(&tail), 0) {
            Some(announcement) if !announcement.synchronising => {
                self.state = State::SkippingLiteral { left: announcement.octets };
            }
            _ => self.begin_next(),
        }
    }

    /// The next line begins a command. What is gathered of one that was skipped stays until it has been told of.
    fn begin_next(&mut self) {
        self.state = State::Line;
        self.skipped_octets = 0;
        self.literals = 0;
    }

    fn skip_literal<'a>(&mut self, input: &mut &'a [u8], left: u64) -> Option<Framed<'a>> {
        // Known beforehand: no use in reading gigabytes first.
        if left > self.limits.discarded_octets_max.saturating_sub(self.skipped_octets) {
            self.state = State::Lost;
            return Some(Framed::OutOfStep);
        }
        let piece = take(input, usize::try_from(left).unwrap_or(usize::MAX).min(input.len()));
        self.skipped_octets += piece.len() as u64;
        let left = left - piece.len() as u64;
        if left > 0 {
            self.state = State::SkippingLiteral { left };
            return Some(Framed::NeedMore);
        }
        self.state = State::SkippingLine;
        None
    }

    fn may_skip(&mut self, octets: u64) -> bool {
        self.skipped_octets = self.skipped_octets.saturating_add(octets);
        let may = self.skipped_octets <= self.limits.discarded_octets_max;
        if !may {
            self.state = State::Lost;
        }
        may
    }
}

/// Takes so many octets, of which there are enough, from the front of the input.
fn take<'a>(input: &mut &'a [u8], octets: usize) -> &'a [u8] {
    let (piece, rest) = input.split_at_checked(octets).unwrap_or((input, &[]));
    *input = rest;
    piece
}

pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The last octets of a line that comes in two pieces: an announcement and a line end fit.
fn last_octets(before: &[u8], piece: &[u8]) -> Vec<u8> {
    let kept = ANNOUNCEMENT_OCTETS_MAX + 2;
    let from_piece = piece.get(piece.len().saturating_sub(kept)..).unwrap_or_default();
    let from_before = before.len().saturating_sub(kept - from_piece.len());
    [before.get(from_before..).unwrap_or_default(), from_piece].concat()
}

/// `["~"] "{" number64 ["+"] "}"` at the end of a line that starts at this offset in its command.
/// A number beyond 64 bits is announced as the largest there is: it must not be taken for the end of a command.
pub(crate) fn announcement(line: &[u8], line_start: usize) -> Option<Announcement> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, synchronising) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let digits = inner.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let (before, digits) = inner.split_at_checked(inner.len() - digits)?;
    if digits.is_empty() {
        return None;
    }
    let before = before.strip_suffix(b"{")?;
    let is_literal8 = before.ends_with(b"~");
    Some(Announcement {
        starts_at: line_start + before.len() - usize::from(is_literal8),
        octets: decimal(digits).unwrap_or(u64::MAX),
        synchronising,
        is_literal8,
    })
}
