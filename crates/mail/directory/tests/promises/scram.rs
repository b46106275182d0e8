//! A SCRAM-SHA-256 client, written from RFC 5802 alone, to try the server with.

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) struct ScramClient {
    pub(crate) user: String,
    pub(crate) password: String,
    /// The GS2 header: `n,,`, `y,,` or `p=tls-exporter,,`.
    pub(crate) header: String,
    /// The octets of the channel.
    pub(crate) channel: Vec<u8>,
}

pub(crate) fn encode(text: &[u8]) -> Vec<u8> {
    STANDARD.encode(text).into_bytes()
}

pub(crate) fn decode(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

impl ScramClient {
    pub(crate) fn new(user: &str, password: &str) -> Self {
        let (user, password) = (user.to_owned(), password.to_owned());
        Self { user, password, header: "n,,".to_owned(), channel: Vec::new() }
    }

    fn bare(&self) -> String {
        format!("n={},r=clientnonce", self.user)
    }

    /// The first message, in base64.
    pub(crate) fn first(&self) -> Vec<u8> {
        encode(format!("{}{}", self.header, self.bare()).as_bytes())
    }

    /// The last message, in base64, and the server's signature to expect.
    pub(crate) fn last(&self, challenge: &str) -> (Vec<u8>, String) {
        let challenge = decode(challenge);
        let mut attributes = challenge.split(',').map(|attribute| &attribute[2..]);
        let (nonce, salt, iterations) =
            (attributes.next().unwrap(), attributes.next().unwrap(), attributes.next().unwrap());
        assert!(nonce.starts_with("clientnonce") && nonce.len() > "clientnonce".len());
        let mut salted = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations.parse().unwrap(),
            &STANDARD.decode(salt).unwrap(),
            self.password.as_bytes(),
            &mut salted,
        );
        let binding = STANDARD.encode([self.header.as_bytes(), &self.channel].concat());
        let without_proof = format!("c={binding},r={nonce}");
        let message = format!("{},{challenge},{without_proof}", self.bare());
        let client_key = sign(&salted, "Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let signature = sign(stored_key.as_ref(), &message);
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, octet)| key ^ octet).collect();
        let server = sign(&sign(&salted, "Server Key"), &message);
        let last = format!("{without_proof},p={}", STANDARD.encode(proof));
        (encode(last.as_bytes()), format!("v={}", STANDARD.encode(server)))
    }
}

fn sign(key: &[u8], message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()).as_ref().to_vec()
}
