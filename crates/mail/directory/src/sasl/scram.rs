//! The messages of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, server side (RFC 5802 §5 and §7, RFC 7677).
//!
//! Each state is a type of its own; what comes next is a method of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::plain::{is_same_user, read_user};
use super::scram_keys::{KEY_OCTETS, ScramKeys};
use super::{Channel, Mechanism};
use crate::error::AuthenticationError;

/// Longest message we read; real ones have some 200 octets.
const MESSAGE_OCTETS_MAX: usize = 4096;
/// Longest client nonce; real ones have some 30 octets.
const NONCE_OCTETS_MAX: usize = 512;

type Result<T> = std::result::Result<T, AuthenticationError>;

/// The client's first message, read and found acceptable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ClientFirst {
    /// Who wants to log in.
    pub(super) user: String,
    /// What the client's last message must carry in `c=`: its GS2 header and the channel's octets.
    binding: Vec<u8>,
    /// The message without its GS2 header.
    bare: String,
    nonce: String,
}

/// Waiting for the client's last message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ServerFirst {
    binding: Vec<u8>,
    nonce: String,
    keys: ScramKeys,
    /// Both first messages, with the commas that the AuthMessage of RFC 5802 §3 wants.
    exchanged: String,
}

impl ClientFirst {
    /// Reads `gs2-header client-first-message-bare`.
    pub(super) fn read(message: &[u8], mechanism: Mechanism, channel: &Channel) -> Result<Self> {
        if message.len() > MESSAGE_OCTETS_MAX {
            return Err(AuthenticationError::Malformed);
        }
        let text = str::from_utf8(message).map_err(|_| AuthenticationError::Malformed)?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authorization), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(AuthenticationError::Malformed);
        };
        let channel_octets = bound_octets(flag, mechanism, channel)?;
        let (user, nonce) = read_bare(bare)?;
        check_authorization(authorization, &user)?;
        let mut binding = format!("{flag},{authorization},").into_bytes();
        binding.extend_from_slice(channel_octets);
        Ok(Self { user, binding, bare: bare.to_owned(), nonce: nonce.to_owned() })
    }

    /// Answers with the user's salt and iterations, and our half of the nonce.
    pub(super) fn answer(self, keys: ScramKeys, server_nonce: &str) -> (ServerFirst, String) {
        let nonce = format!("{}{server_nonce}", self.nonce);
        let message = format!("r={nonce},s={},i={}", STANDARD.encode(keys.salt()), keys.iterations());
        let exchanged = format!("{},{message},", self.bare);
        (ServerFirst { binding: self.binding, nonce, keys, exchanged }, message)
    }
}

impl ServerFirst {
    /// Reads `c=…,r=…,p=…` and gives the last message, `v=…`, if the client has proven that it knows the password.
    pub(super) fn verify(&self, message: &[u8]) -> Result<String> {
        if message.len() > MESSAGE_OCTETS_MAX {
            return Err(AuthenticationError::Malformed);
        }
        let text = str::from_utf8(message).map_err(|_| AuthenticationError::Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(AuthenticationError::Malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|attribute| attribute.strip_prefix("c="));
        let nonce = attributes.next().and_then(|attribute| attribute.strip_prefix("r="));
        let (Some(binding), Some(nonce)) = (binding, nonce) else {
            return Err(AuthenticationError::Malformed);
        };
        let binding = STANDARD.decode(binding).map_err(|_| AuthenticationError::Malformed)?;
        let proof = STANDARD.decode(proof).map_err(|_| AuthenticationError::Malformed)?;
        let proof: [u8; KEY_OCTETS] = proof.try_into().map_err(|_| AuthenticationError::Malformed)?;
        let auth_message = format!("{}{without_proof}", self.exchanged);
        let is_proven = self.keys.is_proven_by(&proof, auth_message.as_bytes());
        if nonce != self.nonce || binding != self.binding || !is_proven {
            return Err(AuthenticationError::Refused);
        }
        Ok(format!("v={}", STANDARD.encode(self.keys.server_signature(auth_message.as_bytes()))))
    }

    pub(super) fn into_keys(self) -> ScramKeys {
        self.keys
    }
}

/// The channel's octets that the GS2 flag asks for (RFC 5802 §6): none without channel binding.
fn bound_octets<'a>(flag: &str, mechanism: Mechanism, channel: &'a Channel) -> Result<&'a [u8]> {
    let bindings = match channel {
        Channel::Tls(bindings) => Some(bindings),
        Channel::Clear | Channel::Trusted => None,
    };
    match (flag, mechanism) {
        ("n", Mechanism::ScramSha256) => Ok(&[]),
        // The client could bind and believes that we cannot. If we said that we can, somebody took it out on the way.
        ("y", Mechanism::ScramSha256) if bindings.is_some_and(super::ChannelBindings::is_some) => {
            Err(AuthenticationError::Refused)
        }
        ("y", Mechanism::ScramSha256) => Ok(&[]),
        (_, Mechanism::ScramSha256Plus) => {
            let name = flag.strip_prefix("p=").ok_or(AuthenticationError::Malformed)?;
            bindings.and_then(|bindings| bindings.named(name)).ok_or(AuthenticationError::Refused)
        }
        _ => Err(AuthenticationError::Malformed),
    }
}

/// Reads `n=user,r=nonce` and lets extensions behind them pass. A mandatory one (`m=`) comes first and is unknown to us.
fn read_bare(bare: &str) -> Result<(String, &str)> {
    let mut attributes = bare.split(',');
    let user = attributes.next().and_then(|attribute| attribute.strip_prefix("n="));
    let nonce = attributes.next().and_then(|attribute| attribute.strip_prefix("r="));
    let (Some(user), Some(nonce)) = (user, nonce) else { return Err(AuthenticationError::Malformed) };
    let is_printable = nonce.bytes().all(|octet| octet.is_ascii_graphic());
    if nonce.is_empty() || nonce.len() > NONCE_OCTETS_MAX || !is_printable {
        return Err(AuthenticationError::Malformed);
    }
    Ok((read_user(read_name(user)?.as_bytes())?, nonce))
}

/// Undoes a saslname's `=2C` and `=3D`; any other `=` is an error (RFC 5802 §5.1).
fn read_name(name: &str) -> Result<String> {
    let mut parts = name.split('=');
    let mut read = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (char, rest) = match part.split_at_checked(2) {
            Some(("2C", rest)) => (',', rest),
            Some(("3D", rest)) => ('=', rest),
            _ => return Err(AuthenticationError::Malformed),
        };
        read.push(char);
        read.push_str(rest);
    }
    Ok(read)
}

fn check_authorization(authorization: &str, user: &str) -> Result<()> {
    if authorization.is_empty() {
        return Ok(());
    }
    let name = authorization.strip_prefix("a=").ok_or(AuthenticationError::Malformed)?;
    if is_same_user(read_name(name)?.as_bytes(), user) { Ok(()) } else { Err(AuthenticationError::Refused) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::ChannelBindings;

    const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn pencil() -> ScramKeys {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        ScramKeys::derive(&"pencil".into(), &salt, 4096)
    }

    fn first(message: &str) -> Result<ClientFirst> {
        ClientFirst::read(message.as_bytes(), Mechanism::ScramSha256, &Channel::Trusted)
    }

    fn bound() -> Channel {
        Channel::Tls(ChannelBindings {
            exporter: Some(b"exported".to_vec()),
            server_end_point: Some(b"certificate".to_vec()),
        })
    }

    #[test]
    fn example_of_rfc_7677_section_3() {
        let first = first(CLIENT_FIRST).unwrap();
        assert_eq!(first.user, "user");
        let (state, message) = first.answer(pencil(), SERVER_NONCE);
        assert_eq!(
            message,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        assert_eq!(
            state.verify(CLIENT_FINAL.as_bytes()).unwrap(),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn a_wrong_proof_nonce_or_binding_is_refused() {
        let (state, _) = first(CLIENT_FIRST).unwrap().answer(pencil(), SERVER_NONCE);
        for wrong in [
            CLIENT_FINAL.replace("p=dHzb", "p=dHzc"),
            CLIENT_FINAL.replace("r=rOpr", "r=rOps"),
            CLIENT_FINAL.replace("c=biws", "c=eSws"),
        ] {
            assert_eq!(state.verify(wrong.as_bytes()), Err(AuthenticationError::Refused), "{wrong}");
        }
        for malformed in [
            "",
            "c=biws",
            "c=biws,r=x",
            "c=biws,r=x,p=",
            "c=biws,r=x,p=!",
            "c=!,r=x,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "r=x,c=biws,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        ] {
            let verified = state.verify(malformed.as_bytes());
            assert_eq!(verified, Err(AuthenticationError::Malformed), "{malformed}");
        }
        assert_eq!(state.verify(b"\xff"), Err(AuthenticationError::Malformed));
    }

    #[test]
    fn malformed_first_messages_are_found() {
        for malformed in [
            "",
            "n",
            "n,,",
            "n,,n=user",
            "n,,r=nonce,n=user",
            "n,,n=,r=nonce",
            "n,,n=user,r=",
            "n,,n=user,r=a b",
            "n,,n=us=er,r=nonce",
            "n,,n=us=2cer,r=nonce",
            "n,,m=must,n=user,r=nonce",
            "n,b=user,n=user,r=nonce",
            "x,,n=user,r=nonce",
            "p=tls-exporter,,n=user,r=nonce",
        ] {
            assert_eq!(first(malformed), Err(AuthenticationError::Malformed), "{malformed}");
        }
        assert_eq!(first("n,,n=a=3Db=2Cc,r=nonce,x=extension").unwrap().user, "a=b,c");
    }

    #[test]
    fn lengths_are_bounded() {
        let with_nonce = |octets| first(&format!("n,,n=user,r={}", "x".repeat(octets)));
        assert!(with_nonce(NONCE_OCTETS_MAX).is_ok());
        assert_eq!(with_nonce(NONCE_OCTETS_MAX + 1), Err(AuthenticationError::Malformed));
        let with_extension = |octets: usize| first(&format!("n,,n=user,r=n,x={}", "x".repeat(octets - 16)));
        assert!(with_extension(MESSAGE_OCTETS_MAX).is_ok());
        assert_eq!(with_extension(MESSAGE_OCTETS_MAX + 1), Err(AuthenticationError::Malformed));
    }

    #[test]
    fn nobody_acts_for_another() {
        assert!(first("n,a=User,n=user,r=nonce").is_ok());
        assert_eq!(first("n,a=other,n=user,r=nonce"), Err(AuthenticationError::Refused));
    }

    #[test]
    fn a_stripped_plus_is_noticed() {
        let bound = bound();
        let read = |message: &str, channel| {
            ClientFirst::read(message.as_bytes(), Mechanism::ScramSha256, channel).map(|first| first.binding)
        };
        assert_eq!(read("y,,n=user,r=n", &bound), Err(AuthenticationError::Refused));
        assert_eq!(read("y,,n=user,r=n", &Channel::Trusted), Ok(b"y,,".to_vec()));
        assert_eq!(read("n,,n=user,r=n", &bound), Ok(b"n,,".to_vec()));
    }

    #[test]
    fn plus_binds_to_the_channel_the_client_names() {
        let bound = bound();
        let read = |message: &str, channel| {
            ClientFirst::read(message.as_bytes(), Mechanism::ScramSha256Plus, channel)
                .map(|first| first.binding)
        };
        assert_eq!(read("p=tls-exporter,,n=user,r=n", &bound), Ok(b"p=tls-exporter,,exported".to_vec()));
        let end_point = read("p=tls-server-end-point,a=user,n=user,r=n", &bound);
        assert_eq!(end_point, Ok(b"p=tls-server-end-point,a=user,certificate".to_vec()));
        assert_eq!(read("p=tls-unique,,n=user,r=n", &bound), Err(AuthenticationError::Refused));
        assert_eq!(read("n,,n=user,r=n", &bound), Err(AuthenticationError::Malformed));
        assert_eq!(read("p=tls-exporter,,n=user,r=n", &Channel::Trusted), Err(AuthenticationError::Refused));
    }
}
