//! Password hashes of other servers, as Dovecot and `crypt(3)` write them: read with their cost bounded, verified
//! until the first log-in replaces them.

use argon2::password_hash::{PasswordHash, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::Secret;
use sha_crypt::{Sha256Params, Sha512Params};

use super::HashError;

/// Longest text of a hash. A {SSHA512} in hexadecimal with a long salt stays well below.
const HASH_OCTETS_MAX: usize = 512;
/// Most rounds of SHA-crypt: above passlib's default of 656,000, about a second of work.
const SHA_CRYPT_ROUNDS_MAX: usize = 1_000_000;
/// Rounds where the text names none, and the fewest there are (Drepper's specification of SHA-crypt).
const SHA_CRYPT_ROUNDS_DEFAULT: usize = 5000;
const SHA_CRYPT_ROUNDS_MIN: usize = 1000;
/// Highest cost of bcrypt: about a second of work.
const BCRYPT_COST_MAX: u32 = 14;
/// Most memory of an imported Argon2 hash: Dovecot's default is 64 MiB.
const ARGON2_MEMORY_KIB_MAX: u32 = 128 * 1024;
/// Most memory times passes of an imported Argon2 hash: about a second of work.
const ARGON2_WORK_KIB_MAX: u64 = 1024 * 1024;
/// Most lanes of an imported Argon2 hash.
const ARGON2_LANES_MAX: u32 = 16;

/// A hash another server made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ImportedHash {
    text: Box<str>,
    scheme: Scheme,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Scheme {
    /// `$6$` and `$5$`.
    ShaCrypt { kind: ShaCrypt, rounds: usize, salt: Box<str>, hash: Box<str> },
    /// `$2a$`, `$2b$`, `$2y$`.
    Bcrypt(Box<str>),
    /// `$argon2id$`, `$argon2i$`: a PHC string.
    Argon2(Box<str>),
    /// A digest of password and salt; the salt may be empty.
    Digest { kind: Digest, digest: Box<[u8]>, salt: Box<[u8]> },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ShaCrypt {
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Salt {
    None,
    Behind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
    Unnamed,
    Base64,
    Hexadecimal,
}

/// The password of a text that is no hash at all (`{PLAIN}secret`): to be hashed at once.
pub(crate) fn cleartext_of(text: &str) -> Option<Secret> {
    let (scheme, password) = split_scheme(text)?;
    ["PLAIN", "CLEARTEXT"].iter().any(|name| scheme.eq_ignore_ascii_case(name)).then(|| password.into())
}

/// Whether the text begins with the `{SCHEME}` of a hash, or of a cleartext, that we know.
pub(crate) fn is_known_scheme(text: &str) -> bool {
    let Some((name, body)) = split_scheme(text) else { return false };
    cleartext_of(text).is_some()
        || read_named(&name.to_ascii_uppercase(), body) != Err(HashError::UnknownScheme)
}

/// Parts `{SCHEME}rest`.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('{')?.split_once('}')
}

impl ImportedHash {
    /// Reads a hash with a Dovecot prefix, or one whose `$…$` says what it is.
    pub(crate) fn read(text: &str) -> Result<Self, HashError> {
        if text.len() > HASH_OCTETS_MAX || text.chars().any(char::is_control) {
            return Err(HashError::Malformed);
        }
        let Some((name, body)) = split_scheme(text) else {
            let scheme = read_crypt(text)?;
            // A bare Argon2id is what ours look like: the prefix keeps them apart.
            let text = match scheme {
                Scheme::Argon2(_) => format!("{{CRYPT}}{text}").into(),
                _ => text.into(),
            };
            return Ok(Self { text, scheme });
        };
        Ok(Self { text: text.into(), scheme: read_named(&name.to_ascii_uppercase(), body)? })
    }

    /// The text with what is needed to read it again.
    pub(crate) fn as_text(&self) -> &str {
        &self.text
    }

    /// Whether verifying it takes memory that another server's administrator chose.
    pub(crate) fn needs_much_memory(&self) -> bool {
        matches!(self.scheme, Scheme::Argon2(_))
    }

    /// Whether the password is the right one; compares in constant time.
    pub(crate) fn verify(&self, password: &[u8]) -> bool {
        match &self.scheme {
            Scheme::ShaCrypt { kind, rounds, salt, hash } => {
                sha_crypt(*kind, password, salt.as_bytes(), *rounds)
                    .is_some_and(|made| verify_slices_are_equal(made.as_bytes(), hash.as_bytes()).is_ok())
            }
            Scheme::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Scheme::Argon2(text) => PasswordHash::new(text)
                .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
            Scheme::Digest { kind, digest, salt } => {
                verify_slices_are_equal(kind.of(password, salt).as_ref(), digest).is_ok()
            }
        }
    }
}

/// Reads the hash behind a prefix, given in upper case.
fn read_named(name: &str, body: &str) -> Result<Scheme, HashError> {
    let (name, encoding) = match name.rsplit_once('.') {
        None => (name, Encoding::Unnamed),
        Some((name, "B64" | "BASE64")) => (name, Encoding::Base64),
        Some((name, "HEX")) => (name, Encoding::Hexadecimal),
        Some(_) => return Err(HashError::UnknownScheme),
    };
    let (kind, salt) = match name {
        "SHA512-CRYPT" if body.starts_with("$6$") => return read_crypt(body),
        "SHA256-CRYPT" if body.starts_with("$5$") => return read_crypt(body),
        "BLF-CRYPT" if body.starts_with("$2") => return read_crypt(body),
        "ARGON2ID" if body.starts_with("$argon2id$") => return read_crypt(body),
        "ARGON2I" if body.starts_with("$argon2i$") => return read_crypt(body),
        "CRYPT" => return read_crypt(body),
        "SHA512-CRYPT" | "SHA256-CRYPT" | "BLF-CRYPT" | "ARGON2ID" | "ARGON2I" => {
            return Err(HashError::Malformed);
        }
        "SHA" | "SHA1" => (Digest::Sha1, Salt::None),
        "SSHA" => (Digest::Sha1, Salt::Behind),
        "SHA256" => (Digest::Sha256, Salt::None),
        "SSHA256" => (Digest::Sha256, Salt::Behind),
        "SHA512" => (Digest::Sha512, Salt::None),
        "SSHA512" => (Digest::Sha512, Salt::Behind),
        _ => return Err(HashError::UnknownScheme),
    };
    read_digest(kind, salt, encoding, body)
}

/// Reads a hash that says by its `$…$` what it is.
fn read_crypt(text: &str) -> Result<Scheme, HashError> {
    let kind = text.strip_prefix('$').and_then(|rest| rest.split('$').next());
    match kind {
        Some("6") => read_sha_crypt(ShaCrypt::Sha512, text),
        Some("5") => read_sha_crypt(ShaCrypt::Sha256, text),
        Some("2a" | "2b" | "2y") => read_bcrypt(text),
        Some("argon2id" | "argon2i") => read_argon2(text),
        _ => Err(HashError::UnknownScheme),
    }
}

/// `$6$salt$hash` or `$6$rounds=N$salt$hash`.
fn read_sha_crypt(kind: ShaCrypt, text: &str) -> Result<Scheme, HashError> {
    let mut parts = text.split('$').skip(2).peekable();
    let rounds = match parts.peek().and_then(|part| part.strip_prefix("rounds=")) {
        None => SHA_CRYPT_ROUNDS_DEFAULT,
        Some(digits) => {
            let rounds: usize = digits.parse().map_err(|_| HashError::Malformed)?;
            parts.next();
            rounds.max(SHA_CRYPT_ROUNDS_MIN)
        }
    };
    if rounds > SHA_CRYPT_ROUNDS_MAX {
        return Err(HashError::TooCostly);
    }
    let (Some(salt), Some(hash), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(HashError::Malformed);
    };
    let is_crypt_base64 = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'/');
    if hash.len() != kind.hash_octets() || !hash.bytes().all(is_crypt_base64) {
        return Err(HashError::Malformed);
    }
    Ok(Scheme::ShaCrypt { kind, rounds, salt: salt.into(), hash: hash.into() })
}

impl ShaCrypt {
    fn hash_octets(self) -> usize {
        match self {
            Self::Sha256 => 43,
            Self::Sha512 => 86,
        }
    }
}

fn sha_crypt(kind: ShaCrypt, password: &[u8], salt: &[u8], rounds: usize) -> Option<String> {
    match kind {
        ShaCrypt::Sha256 => {
            sha_crypt::sha256_crypt_b64(password, salt, &Sha256Params::new(rounds).ok()?).ok()
        }
        ShaCrypt::Sha512 => {
            sha_crypt::sha512_crypt_b64(password, salt, &Sha512Params::new(rounds).ok()?).ok()
        }
    }
}

/// `$2y$12$` and 53 characters of salt and hash.
fn read_bcrypt(text: &str) -> Result<Scheme, HashError> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| HashError::Malformed)?;
    let is_bcrypt_base64 = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'/' | b'$');
    if !text.bytes().all(is_bcrypt_base64) || parts.get_cost() < 4 {
        return Err(HashError::Malformed);
    }
    if parts.get_cost() > BCRYPT_COST_MAX {
        return Err(HashError::TooCostly);
    }
    Ok(Scheme::Bcrypt(text.into()))
}

/// A PHC string of Argon2id or Argon2i.
fn read_argon2(text: &str) -> Result<Scheme, HashError> {
    let hash = PasswordHash::new(text).map_err(|_| HashError::Malformed)?;
    let params = Params::try_from(&hash).map_err(|_| HashError::Malformed)?;
    let is_known = Algorithm::try_from(hash.algorithm).is_ok() && hash.salt.is_some() && hash.hash.is_some();
    if !is_known {
        return Err(HashError::Malformed);
    }
    let work_kib = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() > ARGON2_MEMORY_KIB_MAX
        || work_kib > ARGON2_WORK_KIB_MAX
        || params.p_cost() > ARGON2_LANES_MAX
    {
        return Err(HashError::TooCostly);
    }
    Ok(Scheme::Argon2(text.into()))
}

/// A digest in base64 or hexadecimal, the salt behind it. As Dovecot does, hexadecimal is known by its name, or by
/// its length where there is no salt.
fn read_digest(kind: Digest, salt: Salt, encoding: Encoding, body: &str) -> Result<Scheme, HashError> {
    let is_hexadecimal = encoding == Encoding::Hexadecimal
        || (encoding == Encoding::Unnamed && salt == Salt::None && body.len() == 2 * kind.octets());
    let octets = if is_hexadecimal { read_hexadecimal(body) } else { STANDARD.decode(body).ok() };
    let octets = octets.ok_or(HashError::Malformed)?;
    let (digest, rest) = octets.split_at_checked(kind.octets()).ok_or(HashError::Malformed)?;
    if (salt == Salt::None) != rest.is_empty() {
        return Err(HashError::Malformed);
    }
    Ok(Scheme::Digest { kind, digest: digest.into(), salt: rest.into() })
}

fn read_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

impl Digest {
    fn octets(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn of(self, password: &[u8], salt: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        };
        let mut context = digest::Context::new(algorithm);
        context.update(password);
        context.update(salt);
        context.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse";
    const LONG: &str =
        "a long passphrase with more than sixty-four octets, so that blocks wrap around twice!";

    /// Made by libxcrypt and Python's hashlib; the Argon2 ones are the reference implementation's own vectors.
    #[test]
    fn hashes_of_other_programs_verify() {
        for (password, text) in [
            (
                PASSWORD,
                "$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/",
            ),
            (
                PASSWORD,
                "{SHA512-CRYPT}$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/",
            ),
            (
                PASSWORD,
                "{CRYPT}$6$rounds=6000$abcdefghijklmnop$2pPvPPKK15ossl1ff9tuXoCVvYllPRTitUZzuopHra9UqPVzspAlRxjEey4/oatP3QWo63qZLM6jyth7cPyJC1",
            ),
            (
                LONG,
                "$6$longpass$kHmes43m2Ve5bq8vKkEMIM9KmH..WTNEHNkYJRqvuPOdca8S0UdtP04QiM8H4KHxqkjVNNT40shMsnYozekTh0",
            ),
            (
                "pässword",
                "$6$utf$HKYY6dNnPcvfKyXDBYAuy/Oql7nOe/n9STygXbNX8UfQ5LD7pY.PhdCpddG38V8EZIKxJQQZvGVyJe.aCA7lJ0",
            ),
            (PASSWORD, "{SHA256-CRYPT}$5$saltstring$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC"),
            (PASSWORD, "$5$rounds=1000$abc$/cRuvrIiQqQvcPwD.a/LO47x90cA9f8oqYBouKihds1"),
            (LONG, "$5$longpass$B4vUnSRI1ykhhASQnQIBspnXS3wj1gZB8oVMjpi1D54"),
            (PASSWORD, "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"),
            (PASSWORD, "{BLF-CRYPT}$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"),
            (PASSWORD, "{CRYPT}$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"),
            (PASSWORD, "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A="),
            (PASSWORD, "{SHA1}2f9e53523b62abc141a2b4d6019d23cba835dbd0"),
            (PASSWORD, "{SSHA}vDKMdeEIlmWKn2Q3r2zB42B5Vs1wZXBwZXIxMg=="),
            (PASSWORD, "{SSHA.HEX}bc328c75e10896658a9f6437af6cc1e3607956cd7065707065723132"),
            (PASSWORD, "{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE="),
            (PASSWORD, "{sha256.hex}4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631"),
            (PASSWORD, "{SSHA256}DYd8s6fSUwKVJtS4UlkBx5qA6upp4On0Ju40YHhrMnNwZXBwZXIxMg=="),
            (
                PASSWORD,
                "{SHA512.b64}VraY3v7bWkNbY0r+MyC7rz/c2SC2xQOkRvx7endrKY1HnRumqLYXgI6wv1ec6aldZoNHvKtxSQhayTyyeZUZew==",
            ),
            (
                PASSWORD,
                "{SHA512}56b698defedb5a435b634afe3320bbaf3fdcd920b6c503a446fc7b7a776b298d479d1ba6a8b617808eb0bf579ce9a95d668347bcab7149085ac93cb27995197b",
            ),
            (
                PASSWORD,
                "{SSHA512}22tE7tEBvrsyFGRUA7bV498EbF5YLSua11z99J9qJ+Y2buHvfwFmKZtfrVzcr7y2Tf4TYpjVj5tJuR/fWuAF7XBlcHBlcjEy",
            ),
            (
                "password",
                "{ARGON2ID}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            ),
            ("password", "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG"),
        ] {
            let hash = ImportedHash::read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(hash.verify(password.as_bytes()), "{text}");
            assert!(!hash.verify(b"wrong horse"), "{text}");
            assert!(!hash.verify(format!("{password} ").as_bytes()), "{text}");
            assert_eq!(ImportedHash::read(hash.as_text()).unwrap(), hash);
        }
    }

    #[test]
    fn bcrypt_looks_at_72_octets_as_everywhere() {
        let hash =
            ImportedHash::read("$2y$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i").unwrap();
        assert!(hash.verify("x".repeat(80).as_bytes()));
        assert!(hash.verify("x".repeat(72).as_bytes()));
        assert!(!hash.verify("x".repeat(71).as_bytes()));
    }

    #[test]
    fn a_bare_argon2id_from_elsewhere_stays_known_as_imported() {
        let text = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let hash = ImportedHash::read(text).unwrap();
        assert!(!hash.as_text().starts_with('$'));
        assert!(hash.verify(b"password"));
    }

    fn check_refused(text: &str, error: HashError) {
        assert_eq!(ImportedHash::read(text).map(|_| ()), Err(error), "{text}");
    }

    #[test]
    fn costs_are_bounded() {
        let hash = "2pPvPPKK15ossl1ff9tuXoCVvYllPRTitUZzuopHra9UqPVzspAlRxjEey4/oatP3QWo63qZLM6jyth7cPyJC1";
        assert!(ImportedHash::read(&format!("$6$rounds=1000000$salt${hash}")).is_ok());
        check_refused(&format!("$6$rounds=1000001$salt${hash}"), HashError::TooCostly);
        check_refused(&format!("$6$rounds=99999999999999999999$salt${hash}"), HashError::Malformed);
        let bcrypt = "abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
        assert!(ImportedHash::read(&format!("$2y$14${bcrypt}")).is_ok());
        check_refused(&format!("$2y$15${bcrypt}"), HashError::TooCostly);
        let argon = "c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(ImportedHash::read(&format!("$argon2id$v=19$m=131072,t=8,p=1${argon}")).is_ok());
        for costly in ["m=131073,t=1,p=1", "m=131072,t=9,p=1", "m=1024,t=1,p=17"] {
            check_refused(&format!("$argon2id$v=19${costly}${argon}"), HashError::TooCostly);
        }
    }

    #[test]
    fn texts_that_are_no_hashes_are_refused() {
        for text in
            ["", "secret", "{", "{}", "{MD5}abc", "{CRAM-MD5}00", "$1$salt$hash", "{SHA.OLD}x", "$argon2d$x"]
        {
            check_refused(text, HashError::UnknownScheme);
        }
        for text in [
            "$6$salt",
            "$6$salt$short",
            "$6$rounds=$salt$x",
            "{SHA512-CRYPT}$5$saltstring$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC",
            "$2y$04$short",
            "$2y$04$abcdefghijklmnopqrstuéjydOTSfIH/d5oUHpsygqV5X9xJLQc6",
            "$2y$01$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
            "{SHA}!!!",
            "{SHA}YWJj",
            "{SSHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
            "{SHA256.HEX}41",
            "{SHA256.HEX}é",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$",
            "{SHA}\0",
        ] {
            check_refused(text, HashError::Malformed);
        }
        check_refused(&format!("{{SHA}}{}", "A".repeat(HASH_OCTETS_MAX)), HashError::Malformed);
    }
}
