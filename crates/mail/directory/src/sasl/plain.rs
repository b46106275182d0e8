//! PLAIN's one message (RFC 4616), and LOGIN's two (draft-murchison-sasl-login).

use mail_types::Secret;

use crate::error::AuthenticationError;
use crate::login::PasswordClaim;

/// Longest user name: an address's longest (RFC 5321 §4.5.3.1).
const USER_OCTETS_MAX: usize = 64 + 1 + 253;

/// Reads `[authzid] NUL authcid NUL passwd`. Who wants to act for somebody else (an authzid that is not the authcid)
/// is refused: nobody here may.
pub(super) fn read_plain(message: &[u8]) -> Result<PasswordClaim, AuthenticationError> {
    let mut parts = message.split(|&octet| octet == 0);
    let (Some(authorization), Some(user), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(AuthenticationError::Malformed);
    };
    let user = read_user(user)?;
    if !is_same_user(authorization, &user) {
        return Err(AuthenticationError::Refused);
    }
    Ok(PasswordClaim { user, password: Secret::new(password.to_vec()) })
}

/// Reads a user name: UTF-8, bounded, no controls (they would break log lines).
pub(super) fn read_user(octets: &[u8]) -> Result<String, AuthenticationError> {
    let user = str::from_utf8(octets).map_err(|_| AuthenticationError::Malformed)?;
    if user.is_empty() || user.len() > USER_OCTETS_MAX || user.chars().any(char::is_control) {
        return Err(AuthenticationError::Malformed);
    }
    Ok(user.to_owned())
}

/// Whether an authorization identity asks for nothing but the user's own.
pub(super) fn is_same_user(authorization: &[u8], user: &str) -> bool {
    authorization.is_empty()
        || str::from_utf8(authorization).is_ok_and(|name| name.to_lowercase() == user.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &[u8], user: &str, password: &str) {
        let claim = read_plain(message).unwrap();
        assert_eq!((claim.user.as_str(), claim.password), (user, password.into()));
    }

    #[test]
    fn examples_of_rfc_4616_section_4() {
        check(b"\0tim\0tanstaaftanstaaf", "tim", "tanstaaftanstaaf");
        assert_eq!(read_plain(b"Ursel\0Kurt\0xipj3plmq"), Err(AuthenticationError::Refused));
    }

    #[test]
    fn acting_for_oneself_is_no_acting_for_another() {
        check(b"Ann@example.org\0ann@example.org\0secret", "ann@example.org", "secret");
    }

    #[test]
    fn malformed_messages_are_told_apart_from_wrong_ones() {
        for message in
            [&b""[..], b"ann", b"\0ann", b"\0\0secret", b"\0ann\0a\0b", b"\0a\xff\0b", b"\0a\nb\0c"]
        {
            assert_eq!(read_plain(message), Err(AuthenticationError::Malformed), "{message:?}");
        }
        check(b"\0ann\0", "ann", "");
    }

    #[test]
    fn user_names_are_bounded() {
        assert!(read_user(&[b'a'; USER_OCTETS_MAX]).is_ok());
        assert!(read_user(&[b'a'; USER_OCTETS_MAX + 1]).is_err());
    }
}
