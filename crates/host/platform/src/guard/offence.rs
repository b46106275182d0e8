//! What peers should not do, and how much each of it weighs.

/// Something that a peer should not have done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Offence {
    /// A wrong password for a name that is somebody's.
    WrongPassword,
    /// A wrong proof of a password, from where the account's owner has logged in before.
    MistypedPassword,
    /// The same wrong password as before, for the same name and from the same address.
    RepeatedPassword,
    /// An attempt to log in by a name that nobody has.
    UnknownName,
    /// Something sent to somebody who is not here.
    UnknownTarget,
    /// Something asked for that is not for strangers.
    Trespass,
    /// A look at what is here: another protocol's octets, questions about who exists.
    Probe,
    /// A connection on which nothing was said.
    Silence,
    /// A protocol bent or broken.
    Abuse,
}

impl Offence {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::WrongPassword,
        Self::MistypedPassword,
        Self::RepeatedPassword,
        Self::UnknownName,
        Self::UnknownTarget,
        Self::Trespass,
        Self::Probe,
        Self::Silence,
        Self::Abuse,
    ];

    /// Its name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong-password",
            Self::MistypedPassword => "mistyped-password",
            Self::RepeatedPassword => "repeated-password",
            Self::UnknownName => "unknown-name",
            Self::UnknownTarget => "unknown-target",
            Self::Trespass => "trespass",
            Self::Probe => "probe",
            Self::Silence => "silence",
            Self::Abuse => "abuse",
        }
    }

    /// Its weight in thousandths of the points of [`super::GuardSettings::points_before_ban`], of which a wrong password has
    /// ten. People mistype passwords and send to addresses that were somebody's; their old telephones know an old password;
    /// monitors connect and say nothing; nobody guesses names by mistake.
    #[must_use]
    pub const fn thousandths(self) -> u64 {
        match self {
            Self::UnknownName => 20_000,
            Self::WrongPassword | Self::Trespass | Self::Probe | Self::Abuse => 10_000,
            Self::MistypedPassword | Self::UnknownTarget => 2_000,
            Self::Silence => 1_000,
            Self::RepeatedPassword => 100,
        }
    }
}

/// Whether a line that no protocol of ours has is one of HTTP, TLS or SSH: a scanner at the wrong port.
#[must_use]
pub fn is_foreign(line: &[u8]) -> bool {
    /// The beginning of a TLS record with a handshake, of any version (RFC 8446 §5.1).
    const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];
    const BEGINNINGS: [&[u8]; 9] = [
        &TLS_HANDSHAKE,
        b"GET /",
        b"HEAD /",
        b"POST /",
        b"PUT /",
        b"OPTIONS ",
        b"CONNECT ",
        b"PRI * HTTP/2",
        b"SSH-2.0-",
    ];
    BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_told_from_ours() {
        for line in [&b"GET / HTTP/1.1"[..], b"\x16\x03\x01\x02\0\x01", b"SSH-2.0-Go", b"OPTIONS * HTTP/1.0"]
        {
            assert!(is_foreign(line));
        }
        for line in [&b"EHLO get.example"[..], b"a1 LOGIN x y", b"\x16", b"", b"GET", b"LOGOUT"] {
            assert!(!is_foreign(line));
        }
    }
}
