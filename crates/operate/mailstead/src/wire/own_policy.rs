//! The policy that we ask other servers to keep to when they send to us (MTA-STS, RFC 8461), from `[mta_sts]`.

use sender_auth::mta_sts::{Mode, MxPattern, Policy, PolicyId};

use crate::settings::Settings;

/// The policy, the same for every domain whose mail is taken here.
pub(crate) fn own_policy(settings: &Settings) -> Policy {
    let mut mx: Vec<MxPattern> =
        settings.list("mta_sts.exchangers").iter().filter_map(|text| MxPattern::parse(text)).collect();
    if mx.is_empty() {
        mx.push(MxPattern::Host(settings.hostname()));
    }
    Policy {
        mode: match settings.text("mta_sts.mode").as_str() {
            "enforce" => Mode::Enforce,
            "none" => Mode::None,
            _ => Mode::Testing,
        },
        max_age_seconds: u32::try_from(settings.time("mta_sts.max_age").as_secs()).unwrap_or(u32::MAX),
        mx,
    }
}

/// The id that DNS has to give for a policy: another one for each text, and always the same for the same.
pub(crate) fn policy_id(policy: &Policy) -> PolicyId {
    // FNV-1a (64 bits): nobody gains by two policies of one id but the operator, who would have to look for them.
    let hash = policy.write().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    // Sixteen digits are an id.
    PolicyId::new(&format!("{hash:016x}")).unwrap_or_else(|| unreachable!("hexadecimal digits are an id"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn policy(text: &str) -> Policy {
        let text = format!("hostname = \"mail.example.org\"\n{text}");
        own_policy(&Settings::read(&text, Path::new("/etc/m.toml"), std::iter::empty()).unwrap())
    }

    #[test]
    fn a_policy_is_what_the_settings_say() {
        let usual = "version: STSv1\r\nmode: testing\r\nmx: mail.example.org\r\nmax_age: 604800\r\n";
        assert_eq!(policy("").write(), usual);
        let other = policy(
            "[mta_sts]\nmode = \"enforce\"\nmax_age = \"30d\"\nexchangers = [\"a.example.org\", \"*.example.net\"]",
        );
        let text = "version: STSv1\r\nmode: enforce\r\nmx: a.example.org\r\nmx: *.example.net\r\nmax_age: 2592000\r\n";
        assert_eq!(other.write(), text);
    }

    #[test]
    fn the_id_changes_with_the_policy_alone() {
        let id = |text: &str| policy_id(&policy(text)).as_str().to_owned();
        assert_eq!(id(""), id("[smtp]\nmessages_max = 5"));
        assert_eq!(id(""), "ab969b002b42c7c9");
        assert_ne!(id(""), id("[mta_sts]\nmode = \"enforce\""));
    }
}
