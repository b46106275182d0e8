//! How much a client may send before it is refused; strangers get far less than people who have logged in.

/// Longest script name that is looked at, in octets: as long as may be, and room to see that it is longer.
const NAME_OCTETS_MAX: usize = 1_024;

/// Bounds on one command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// All lines of a command together in octets, without their line ends and the literals between them.
    pub line_octets_max: usize,
    /// Largest literal in octets that is not a script.
    pub literal_octets_max: usize,
    /// Largest script in octets; nothing where no scripts are taken.
    pub script_octets_max: usize,
    /// Most octets of a refused command that we read and throw away to stay in step; beyond, the connection ends.
    pub discarded_octets_max: u64,
}

impl Limits {
    /// For strangers: a mechanism's name and a long SASL response fit, nothing that costs memory.
    #[must_use]
    pub const fn before_login() -> Self {
        Self {
            // The responses of AUTHENTICATE set both: as in SMTP (RFC 4954 §4), 12,288 octets, and their quotes.
            line_octets_max: 12_544,
            literal_octets_max: 12_288,
            script_octets_max: 0,
            discarded_octets_max: 65_536,
        }
    }

    /// For people who have logged in.
    #[must_use]
    pub const fn after_login(script_octets_max: usize) -> Self {
        Self {
            // Short scripts may come quoted, at most 1,024 octets of them (RFC 5804 §4), and names beside them.
            line_octets_max: 8_192,
            literal_octets_max: NAME_OCTETS_MAX,
            script_octets_max,
            // A client has sent its script before it hears that we don't want it.
            discarded_octets_max: 67_108_864,
        }
    }
}
