//! How much a client may send before it is refused; strangers get far less than people who have logged in.

/// Bounds on one command. A message of APPEND is not counted: it streams, and the door bounds it (RFC 7889).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Longest line in octets, without its line end and without the literals within it.
    pub line_octets_max: usize,
    /// Largest literal in octets that is not a message.
    pub literal_octets_max: usize,
    /// Most literals in one command, messages not counted.
    pub literals_max: usize,
    /// All lines and literals of a command together, in octets.
    pub command_octets_max: usize,
    /// Most octets of a refused literal that we read and throw away to stay in step (RFC 7888 §4); beyond, the connection ends.
    pub discarded_octets_max: u64,
}

impl Limits {
    /// For strangers: a user name, a password and a long SASL response fit, nothing that costs memory.
    #[must_use]
    pub const fn before_login() -> Self {
        Self {
            // The responses of AUTHENTICATE set it: as in SMTP (RFC 4954 §4), 12,288 octets.
            line_octets_max: 12_288,
            literal_octets_max: 4_096,
            // LOGIN has two; ID may carry some, its values being strings.
            literals_max: 16,
            command_octets_max: 16_384,
            discarded_octets_max: 65_536,
        }
    }

    /// For people who have logged in: sequence sets of tens of thousands of numbers fit on a line.
    #[must_use]
    pub const fn after_login() -> Self {
        Self {
            line_octets_max: 262_144,
            literal_octets_max: 65_536,
            literals_max: 1_000,
            command_octets_max: 524_288,
            // A client with LITERAL+ has sent its message before it hears that we don't want it.
            discarded_octets_max: 1_073_741_824,
        }
    }
}
