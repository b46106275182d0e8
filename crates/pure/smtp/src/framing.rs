//! Where a command line, a message and a chunk end, found in octets as they arrive.
//!
//! Step 5 of a message's way in: between the socket and the store. Only CRLF ends a command and only
//! CRLF `.` CRLF ends DATA (RFC 5321 §4.1.1.4, §2.3.8): no other sequence ever does, so no text of a message can
//! be taken for a command, here or at a host behind us. BDAT counts octets (RFC 3030 §2).

/// Longest command line we read, CRLF included. RFC 5321 §4.5.3.1.4 asks for far less; the responses of AUTH set it
/// (RFC 4954 §4).
pub const COMMAND_OCTETS_MAX: usize = 12_288;

/// What stands at the front of the input.
#[derive(PartialEq, Eq, Debug)]
pub enum LineFound<'a> {
    /// A command line without its CRLF; drop `consumed` octets of input.
    Line {
        /// The line.
        line: &'a [u8],
        /// Its octets with CRLF.
        consumed: usize,
    },
    /// No end yet. Drop `consumed` octets (those of a line already known to be too long) and read more.
    Incomplete {
        /// Octets that nobody needs any more.
        consumed: usize,
    },
    /// A line beyond [`COMMAND_OCTETS_MAX`] has come to its end.
    TooLong {
        /// Octets to drop.
        consumed: usize,
    },
    /// LF without CR. It ends no command; who sends it must not go on (see `Session::on_bare_newline`).
    BareNewline,
}

/// Finds command lines. Between calls the input's front stays as it is, but for what was said to be consumed.
#[derive(Debug, Default)]
pub struct LineReader {
    /// Octets at the front of the input known to hold no LF.
    searched: usize,
    within_overlong_line: bool,
}

impl LineReader {
    /// Looks at the front of `input` for a line.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> LineFound<'a> {
        let unsearched = input.get(self.searched..).unwrap_or_default();
        let Some(newline) = memchr::memchr(b'\n', unsearched).map(|at| at + self.searched) else {
            return self.without_newline(input);
        };
        self.searched = 0;
        let consumed = newline + 1;
        if std::mem::take(&mut self.within_overlong_line) || consumed > COMMAND_OCTETS_MAX {
            return LineFound::TooLong { consumed };
        }
        match input.get(..newline) {
            Some([line @ .., b'\r']) => LineFound::Line { line, consumed },
            _ => LineFound::BareNewline,
        }
    }

    fn without_newline<'a>(&mut self, input: &[u8]) -> LineFound<'a> {
        if self.within_overlong_line || input.len() >= COMMAND_OCTETS_MAX {
            self.within_overlong_line = true;
            self.searched = 0;
            return LineFound::Incomplete { consumed: input.len() };
        }
        self.searched = input.len();
        LineFound::Incomplete { consumed: 0 }
    }
}

/// What becomes of CR and LF that stand alone in a message (RFC 5321 §2.3.8 forbids them). They never pass as they
/// are, because other hosts may take them for line ends: that is how mail is smuggled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BareNewlines {
    /// Each becomes CRLF; CRs in front of a CRLF vanish. Smuggled commands become visible text, and the many devices
    /// and scripts that send LF are not turned away.
    Normalise,
    /// The message is refused after its true end has been read.
    Refuse,
}

/// One step of reading a message.
#[derive(PartialEq, Eq, Debug)]
pub enum Piece<'a, E> {
    /// Octets of the message; may be empty.
    Octets(&'a [u8]),
    /// The input is used up.
    NeedMore,
    /// The message, or the chunk, ends here.
    End(E),
}

/// Proof that a message sent with DATA was read to its true end: only [`DataReader`] makes it.
#[derive(PartialEq, Eq, Debug)]
pub struct EndOfData {
    pub(crate) text: TextFault,
}

impl EndOfData {
    /// Whether the message is refused for a CR or LF that stood alone.
    #[must_use]
    pub fn has_bare_newline(&self) -> bool {
        self.text == TextFault::BareNewline
    }
}

/// Why a message is refused although its end was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TextFault {
    None,
    /// A lone CR or LF that was not to be normalised.
    BareNewline,
    /// More octets than announced in SIZE.
    TooLarge,
}

/// Reads the octets between 354 and CRLF `.` CRLF, takes the stuffed dots out (RFC 5321 §4.5.2).
#[derive(Debug)]
pub struct DataReader {
    text: TextReader,
    /// Octets that may still come before the message is too large.
    octets_left: u64,
}

impl DataReader {
    /// A reader at the first octet after the DATA command's CRLF, for a message of at most `octets_max`.
    #[must_use]
    pub fn new(bare_newlines: BareNewlines, octets_max: u64) -> Self {
        let text = TextReader {
            state: TextState::LineStart,
            dots: Dots::Stuffed,
            ..TextReader::chunked(bare_newlines.into())
        };
        Self { text, octets_left: octets_max }
    }

    /// Takes octets from the front of `input`; the number says how many.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> (usize, Piece<'a, EndOfData>) {
        let (taken, octets) = self.text.next(input);
        if self.text.state == TextState::End {
            return (taken, Piece::End(EndOfData { text: self.text.fault }));
        }
        if octets.is_empty() && taken == input.len() {
            return (taken, Piece::NeedMore);
        }
        match self.octets_left.checked_sub(octets.len() as u64) {
            Some(left) => {
                self.octets_left = left;
                (taken, Piece::Octets(octets))
            }
            None => {
                self.text.fault = TextFault::TooLarge;
                (taken, Piece::Octets(&[]))
            }
        }
    }

    /// Whether the message is already lost: what follows is read to the true end and thrown away.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.text.fault != TextFault::None
    }
}

/// Proof that a chunk was read to its last octet: only [`ChunkReader`] makes it.
#[derive(Debug)]
pub struct EndOfChunk {
    pub(crate) last: bool,
    pub(crate) text: TextReader,
}

/// Reads the octets of one BDAT chunk (RFC 3030 §2).
#[derive(Debug)]
pub struct ChunkReader {
    remaining: u64,
    last: bool,
    text: TextReader,
    destiny: ChunkDestiny,
}

/// Whether a chunk's octets belong to a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChunkDestiny {
    /// They do.
    Keep,
    /// The command was refused; its octets come all the same and are thrown away (RFC 3030 §2).
    Discard,
}

impl ChunkReader {
    pub(crate) fn new(octets: u64, last: bool, text: TextReader, destiny: ChunkDestiny) -> Self {
        Self { remaining: octets, last, text, destiny }
    }

    /// Whether the octets belong to a message or are only to be read over.
    #[must_use]
    pub fn destiny(&self) -> ChunkDestiny {
        self.destiny
    }

    /// Whether the message ends with this chunk.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Takes octets from the front of `input`; the number says how many. An empty chunk ends without any input.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> (usize, Piece<'a, EndOfChunk>) {
        let within =
            usize::try_from(self.remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
        let within = input.get(..within).unwrap_or_default();
        let (taken, octets) = match self.destiny {
            ChunkDestiny::Keep => self.text.next(within),
            ChunkDestiny::Discard => (within.len(), &[][..]),
        };
        self.remaining -= taken as u64;
        if !octets.is_empty() {
            return (taken, Piece::Octets(octets));
        }
        if self.remaining > 0 {
            return (taken, if taken == input.len() { Piece::NeedMore } else { Piece::Octets(octets) });
        }
        if self.last && self.destiny == ChunkDestiny::Keep {
            let tail = self.text.finish();
            if !tail.is_empty() {
                return (taken, Piece::Octets(tail));
            }
        }
        // The next chunk may go on in the middle of a line end, so the text's state travels on.
        (taken, Piece::End(EndOfChunk { last: self.last, text: self.text }))
    }
}

const CRLF: &[u8] = b"\r\n";

/// How line ends are treated; the third kind belongs to BODY=BINARYMIME alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LineEnds {
    Normalise,
    Refuse,
    /// Octets as they are (RFC 3030 §3).
    Binary,
}

impl From<BareNewlines> for LineEnds {
    fn from(policy: BareNewlines) -> Self {
        match policy {
            BareNewlines::Normalise => Self::Normalise,
            BareNewlines::Refuse => Self::Refuse,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TextState {
    /// After CRLF (or at the beginning), in DATA: a dot means something here and nowhere else.
    LineStart,
    /// A dot at the start of a line is held back.
    Dot,
    /// `.` CR is held back.
    DotCr,
    /// Anywhere else.
    Within,
    /// A CR is held back.
    Cr,
    /// CRLF `.` CRLF was read.
    End,
}

/// The text of one message on its way through: DATA with dots, or chunks without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextReader {
    state: TextState,
    dots: Dots,
    line_ends: LineEnds,
    pub(crate) fault: TextFault,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dots {
    Stuffed,
    Plain,
}

impl TextReader {
    pub(crate) fn chunked(line_ends: LineEnds) -> Self {
        Self { state: TextState::Within, dots: Dots::Plain, line_ends, fault: TextFault::None }
    }

    /// One run of octets that can be passed on together, and how much of the input it used.
    fn next<'a>(&mut self, input: &'a [u8]) -> (usize, &'a [u8]) {
        let (taken, octets) = match (self.state, input) {
            (_, []) | (TextState::End, _) => (0, &[][..]),
            (TextState::Within, _) => self.run(input, 0),
            (TextState::LineStart, [b'.', ..]) => {
                self.state = TextState::Dot;
                (1, &[][..])
            }
            (TextState::LineStart, _) => self.run(input, 0),
            (TextState::Dot, [b'\r', ..]) => {
                self.state = TextState::DotCr;
                (1, &[][..])
            }
            (TextState::Dot, _) => self.run(input, 0),
            (TextState::DotCr, [b'\n', ..]) => {
                self.state = TextState::End;
                (1, &[][..])
            }
            (TextState::DotCr | TextState::Cr, _) => self.after_cr(input),
        };
        // What comes after a fault that refuses the message is read, not passed on.
        if self.fault == TextFault::None { (taken, octets) } else { (taken, &[]) }
    }

    /// A CR is held back and was not the end of DATA.
    fn after_cr<'a>(&mut self, input: &'a [u8]) -> (usize, &'a [u8]) {
        match input {
            [b'\n', ..] => {
                self.state = self.line_start();
                (1, CRLF)
            }
            // CR CR LF is one badly written line end, not two.
            [b'\r', ..] => {
                self.bare_newline();
                self.state = TextState::Cr;
                (1, &[])
            }
            _ => {
                self.bare_newline();
                self.state = TextState::Within;
                (0, CRLF)
            }
        }
    }

    /// The longest run from the front of `input` that passes as it is. `from`: where to look for its end.
    fn run<'a>(&mut self, input: &'a [u8], mut from: usize) -> (usize, &'a [u8]) {
        if self.line_ends == LineEnds::Binary {
            return (input.len(), input);
        }
        loop {
            let rest = input.get(from..).unwrap_or_default();
            let Some(at) = memchr::memchr2(b'\r', b'\n', rest).map(|at| at + from) else {
                self.state = TextState::Within;
                return (input.len(), input);
            };
            match input.get(at..) {
                Some([b'\r', b'\n', b'.', ..]) if self.dots == Dots::Stuffed => {
                    self.state = TextState::LineStart;
                    return split(input, at + 2, at + 2);
                }
                Some([b'\r', b'\n']) => {
                    self.state = self.line_start();
                    return (input.len(), input);
                }
                Some([b'\r', b'\n', ..]) => from = at + 2,
                Some([b'\r', ..]) => {
                    self.state = TextState::Cr;
                    return split(input, at + 1, at);
                }
                _ => return self.bare_lf(input, at),
            }
        }
    }

    /// A lone LF at `at`. What stands before it goes first; a dot after it is text, for no CRLF came before.
    fn bare_lf<'a>(&mut self, input: &'a [u8], at: usize) -> (usize, &'a [u8]) {
        self.state = TextState::Within;
        if at > 0 {
            return split(input, at, at);
        }
        self.bare_newline();
        (1, CRLF)
    }

    fn bare_newline(&mut self) {
        if self.line_ends == LineEnds::Refuse && self.fault == TextFault::None {
            self.fault = TextFault::BareNewline;
        }
    }

    fn line_start(&self) -> TextState {
        match self.dots {
            Dots::Stuffed => TextState::LineStart,
            Dots::Plain => TextState::Within,
        }
    }

    /// The message's last chunk is over: a CR held back stood alone.
    fn finish(&mut self) -> &'static [u8] {
        if self.state != TextState::Cr {
            return &[];
        }
        self.state = TextState::Within;
        self.bare_newline();
        if self.fault == TextFault::None { CRLF } else { &[] }
    }
}

/// `taken` octets are used up, of which `passed` go on.
fn split(input: &[u8], taken: usize, passed: usize) -> (usize, &[u8]) {
    (taken, input.get(..passed).unwrap_or_default())
}
