//! The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802 §3, §5, §7; RFC 7677): the password never leaves
//! us, and the server proves that it knows it too.
//!
//! Behind [`super::ClientStep::Authenticate`]. Each state is a type of its own; what comes next is a method of it, and
//! the one that takes long, [`ScramPuzzle::solve`], does nothing else.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::Secret;

/// The mechanism without channel binding.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// The mechanism with.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// Fewest iterations a server may ask for (RFC 7677 §4): with fewer, a stolen exchange tells a weak password soon.
pub const ITERATIONS_MIN: u32 = 4_096;
/// Most iterations: half a second of one processor. Servers ask for some ten thousand.
pub const ITERATIONS_MAX: u32 = 1_000_000;
/// Longest message of a server; real ones have some 100 octets.
pub const MESSAGE_OCTETS_MAX: usize = 4_096;
/// Longest salt; real ones have 16 octets.
pub const SALT_OCTETS_MAX: usize = 256;

/// Octets of a SHA-256 hash, and so of every key.
const KEY_OCTETS: usize = 32;

type Key = [u8; KEY_OCTETS];

/// What the exchange is bound to (RFC 5802 §6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Binding {
    /// Nothing: this side has no TLS, or none that names itself.
    Impossible,
    /// Nothing, since the server does not offer it. One that does, and hears this, knows that somebody on the way struck
    /// it from the offer.
    NotOffered,
    /// The TLS session, which both ends know by the same octets.
    Channel {
        /// How they come by them, as registered: `tls-exporter`, `tls-server-end-point`.
        name: &'static str,
        /// The octets.
        octets: Vec<u8>,
    },
}

/// Why an exchange fails.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScramError {
    /// A message that the mechanism has not.
    #[error("the server does not speak SCRAM")]
    Malformed,
    /// The nonce is not ours with the server's behind it: the answer belongs to another exchange.
    #[error("the server answers somebody else")]
    WrongNonce,
    /// Outside [`ITERATIONS_MIN`] and [`ITERATIONS_MAX`].
    #[error("the server asks for {0} iterations")]
    Iterations(u64),
    /// The server's own word, such as `invalid-proof`.
    #[error("the server says {0:?}")]
    Refused(String),
    /// Whoever answers does not know the password.
    #[error("the server does not prove that it knows the password")]
    WrongSignature,
}

/// The first message has gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScramBegun {
    gs2_header: String,
    binding: Vec<u8>,
    bare: String,
    nonce: String,
}

/// The server has said how the password is to be mixed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScramPuzzle {
    salt: Vec<u8>,
    iterations: NonZeroU32,
    without_proof: String,
    auth_message: String,
}

/// The proof has gone; the server's is to come.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramProof {
    server_signature: Key,
}

impl ScramBegun {
    /// Begins: the state and the first message. `nonce` is printable ASCII without commas that nobody can foresee.
    #[must_use]
    pub fn new(user: &str, binding: Binding, nonce: &str) -> (Self, String) {
        let (gs2_header, binding) = match binding {
            Binding::Impossible => ("n,,".to_owned(), Vec::new()),
            Binding::NotOffered => ("y,,".to_owned(), Vec::new()),
            Binding::Channel { name, octets } => (format!("p={name},,"), octets),
        };
        // RFC 5802 §5.1: what would part attributes is written otherwise.
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={user},r={nonce}");
        let message = format!("{gs2_header}{bare}");
        (Self { gs2_header, binding, bare, nonce: nonce.to_owned() }, message)
    }

    /// Reads the server's first message, `r=…,s=…,i=…`. Extensions behind them may be passed over; a mandatory one, `m=`,
    /// comes first and is unknown to us.
    ///
    /// # Errors
    /// [`ScramError`]: the exchange is to be given up.
    pub fn read(self, message: &[u8]) -> Result<ScramPuzzle, ScramError> {
        let text = read_text(message)?;
        let mut attributes = text.split(',');
        let mut attribute = |name| attributes.next().and_then(|attribute| attribute.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(iterations)) = (attribute("r="), attribute("s="), attribute("i="))
        else {
            return Err(ScramError::Malformed);
        };
        let servers = nonce.strip_prefix(&self.nonce).ok_or(ScramError::WrongNonce)?;
        if servers.is_empty() || !servers.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(ScramError::WrongNonce);
        }
        let salt = STANDARD.decode(salt).map_err(|_| ScramError::Malformed)?;
        if !(1..=SALT_OCTETS_MAX).contains(&salt.len()) {
            return Err(ScramError::Malformed);
        }
        let iterations = read_iterations(iterations)?;
        let bound = STANDARD.encode([self.gs2_header.as_bytes(), &self.binding].concat());
        let without_proof = format!("c={bound},r={nonce}");
        let auth_message = format!("{},{text},{without_proof}", self.bare);
        Ok(ScramPuzzle { salt, iterations, without_proof, auth_message })
    }
}

impl ScramPuzzle {
    /// Mixes the prepared password as often as the server asks: milliseconds of the processor, or hundreds of them. The
    /// state and the message that proves that we know it.
    #[must_use]
    pub fn solve(&self, password: &Secret) -> (ScramProof, String) {
        let mut salted = [0; KEY_OCTETS];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, self.iterations, &self.salt, password.reveal(), &mut salted);
        let auth_message = self.auth_message.as_bytes();
        let client_key = sign(&salted, b"Client Key");
        let mut proof = sign(&hash(&client_key), auth_message);
        for (octet, key) in proof.iter_mut().zip(client_key) {
            *octet ^= key;
        }
        let server_signature = sign(&sign(&salted, b"Server Key"), auth_message);
        let message = format!("{},p={}", self.without_proof, STANDARD.encode(proof));
        (ScramProof { server_signature }, message)
    }
}

impl ScramProof {
    /// Reads the server's last message, `v=…` or `e=…`: whether the server knows the password.
    ///
    /// # Errors
    /// [`ScramError`]: nothing may be given to this server.
    pub fn verify(&self, message: &[u8]) -> Result<(), ScramError> {
        let text = read_text(message)?;
        let first = text.split(',').next().unwrap_or_default();
        if let Some(word) = first.strip_prefix("e=") {
            return Err(ScramError::Refused(word.to_owned()));
        }
        let signature = first.strip_prefix("v=").ok_or(ScramError::Malformed)?;
        let signature = STANDARD.decode(signature).map_err(|_| ScramError::Malformed)?;
        constant_time::verify_slices_are_equal(&signature, &self.server_signature)
            .map_err(|_| ScramError::WrongSignature)
    }
}

impl std::fmt::Debug for ScramProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramProof(…)")
    }
}

fn read_text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MESSAGE_OCTETS_MAX {
        return Err(ScramError::Malformed);
    }
    str::from_utf8(message).map_err(|_| ScramError::Malformed)
}

fn read_iterations(text: &str) -> Result<NonZeroU32, ScramError> {
    let is_number = text.bytes().all(|octet| octet.is_ascii_digit());
    let asked: u64 = text.parse().ok().filter(|_| is_number).ok_or(ScramError::Malformed)?;
    u32::try_from(asked)
        .ok()
        .filter(|asked| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(asked))
        .and_then(NonZeroU32::new)
        .ok_or(ScramError::Iterations(asked))
}

fn sign(key: &Key, message: &[u8]) -> Key {
    let mut octets = [0; KEY_OCTETS];
    octets.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref());
    octets
}

fn hash(message: &[u8]) -> Key {
    let mut octets = [0; KEY_OCTETS];
    octets.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const WHOLE_NONCE: &str = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";

    fn begun() -> ScramBegun {
        ScramBegun::new("user", Binding::Impossible, NONCE).0
    }

    fn first(nonce: &str, salt: &str, iterations: &str) -> Result<ScramPuzzle, ScramError> {
        begun().read(format!("r={nonce},s={salt},i={iterations}").as_bytes())
    }

    #[test]
    fn example_of_rfc_7677_section_3() {
        let (begun, message) = ScramBegun::new("user", Binding::Impossible, NONCE);
        assert_eq!(message, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let puzzle = begun.read(format!("r={WHOLE_NONCE},s={SALT},i=4096").as_bytes()).unwrap();
        let (proof, message) = puzzle.solve(&"pencil".into());
        assert_eq!(
            message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(proof.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        let wrong = proof.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=");
        assert!(wrong.is_err());
        let wrong = proof.verify(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=more");
        assert_eq!(wrong, Err(ScramError::WrongSignature));
        let refused = proof.verify(b"e=invalid-proof");
        assert_eq!(refused, Err(ScramError::Refused("invalid-proof".to_owned())));
        for malformed in [&b""[..], b"v=", b"v=!", b"x=1", b"\xff"] {
            assert!(proof.verify(malformed).is_err());
        }
    }

    #[test]
    fn a_server_that_asks_for_too_little_or_too_much_is_refused() {
        for (iterations, expected) in [
            ("4095", Err(ScramError::Iterations(4_095))),
            ("4096", Ok(())),
            ("4097", Ok(())),
            ("999999", Ok(())),
            ("1000000", Ok(())),
            ("1000001", Err(ScramError::Iterations(1_000_001))),
            ("4294971392", Err(ScramError::Iterations(4_294_971_392))),
            ("0", Err(ScramError::Iterations(0))),
            ("", Err(ScramError::Malformed)),
            ("+4096", Err(ScramError::Malformed)),
            ("99999999999999999999999", Err(ScramError::Malformed)),
        ] {
            assert_eq!(first(WHOLE_NONCE, SALT, iterations).map(drop), expected, "{iterations}");
        }
    }

    #[test]
    fn another_exchanges_answer_is_none_to_ours() {
        for nonce in ["", "x", NONCE, "sOprNGfwEbeRWgbNEkqO1234", "rOprNGfwEbeRWgbNEkqO\u{e9}"] {
            assert_eq!(first(nonce, SALT, "4096").map(drop), Err(ScramError::WrongNonce), "{nonce}");
        }
    }

    #[test]
    fn malformed_first_messages_are_found() {
        for message in [
            String::new(),
            format!("r={WHOLE_NONCE}"),
            format!("r={WHOLE_NONCE},s={SALT}"),
            format!("s={SALT},r={WHOLE_NONCE},i=4096"),
            format!("m=must,r={WHOLE_NONCE},s={SALT},i=4096"),
            format!("r={WHOLE_NONCE},s=,i=4096"),
            format!("r={WHOLE_NONCE},s=!,i=4096"),
        ] {
            assert_eq!(begun().read(message.as_bytes()), Err(ScramError::Malformed), "{message}");
        }
        assert!(first(WHOLE_NONCE, SALT, "4096,x=extension").is_ok());
    }

    #[test]
    fn lengths_are_bounded() {
        let salted = |octets| first(WHOLE_NONCE, &STANDARD.encode(vec![7; octets]), "4096").is_ok();
        assert!(salted(SALT_OCTETS_MAX - 1) && salted(SALT_OCTETS_MAX) && !salted(SALT_OCTETS_MAX + 1));
        let beginning = format!("r={WHOLE_NONCE},s={SALT},i=4096,x=");
        let padded = |octets: usize| {
            begun().read(format!("{beginning}{}", "x".repeat(octets - beginning.len())).as_bytes()).is_ok()
        };
        assert!(padded(MESSAGE_OCTETS_MAX - 1) && padded(MESSAGE_OCTETS_MAX));
        assert!(!padded(MESSAGE_OCTETS_MAX + 1));
    }

    #[test]
    fn names_and_bindings_are_written_so_that_they_cannot_be_mistaken() {
        let (_, message) = ScramBegun::new("a=b,c", Binding::NotOffered, "x");
        assert_eq!(message, "y,,n=a=3Db=2Cc,r=x");
        let binding = Binding::Channel { name: "tls-exporter", octets: b"exported".to_vec() };
        let (begun, message) = ScramBegun::new("ann", binding, "x");
        assert_eq!(message, "p=tls-exporter,,n=ann,r=x");
        let puzzle = begun.read(format!("r=xy,s={SALT},i=4096").as_bytes()).unwrap();
        let bound = STANDARD.encode("p=tls-exporter,,exported");
        assert_eq!(puzzle.without_proof, format!("c={bound},r=xy"));
    }

    proptest! {
        #[test]
        fn no_octets_break_the_exchange(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = begun().read(&message);
            let proof = ScramProof { server_signature: [7; KEY_OCTETS] };
            prop_assert!(proof.verify(&message).is_err());
        }
    }
}
