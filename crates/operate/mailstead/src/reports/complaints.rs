//! Whose complaint counts (ARF, RFC 5965). Anybody can write one: it counts where its sender is proven and sits where the record
//! knows that the message was delivered, or is a feedback loop of the operator's.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use mail_types::{Address, DomainName};
use message::fields;
use sender_auth::results::AuthenticationResults;
use serde_json::Value;

/// Domains that are proven of one mail; those beyond are not looked at.
const PROVEN_MAX: usize = 8;

/// The domains that our own field on top proves to have sent a mail. What others wrote is not believed (RFC 8601 §5).
pub(super) fn proven(mail: &[u8], us: &DomainName) -> Vec<DomainName> {
    let first = fields(mail).find(|field| field.is_named("Authentication-Results"));
    let read = first.and_then(|field| AuthenticationResults::parse(&field.unfolded()).ok());
    let Some(read) = read.filter(|read| read.is_of(us)) else { return Vec::new() };
    let passed = read.results.iter().filter(|result| result.result == "pass");
    let names = passed.filter_map(|result| {
        let property = match result.method.as_str() {
            "dmarc" => "header.from",
            "dkim" => "header.d",
            "spf" => "smtp.mailfrom",
            _ => return None,
        };
        let value = &result.properties.iter().find(|one| one.name == property)?.value;
        DomainName::parse(value.rsplit('@').next().unwrap_or_default()).ok()
    });
    names.take(PROVEN_MAX).collect()
}

/// The Message-ID of what a report complains about.
pub(super) fn about(report: &Value) -> Option<&str> {
    let is_complaint = ["abuse", "fraud", "virus"].map(Some).contains(&report["feedback_type"].as_str());
    report["original"]["message_id"].as_str().filter(|id| is_complaint && !id.is_empty())
}

/// Who submitted a message here, and on which ways it went.
pub(super) fn submitted(steps: &[Value], message_id: &str) -> Option<(Address, Vec<String>)> {
    let inner = |id: &str| id.trim().trim_matches(['<', '>']).to_lowercase();
    let message_id = inner(message_id);
    let is_it = |step: &&Value| {
        step["step"] == "received" && step["message_id"].as_str().is_some_and(|id| inner(id) == message_id)
    };
    let user_of = |step: &Value| step["user"].as_str().and_then(|user| Address::parse(user).ok());
    let user = steps.iter().filter(is_it).find_map(user_of)?;
    let theirs = steps.iter().filter(is_it).filter(|step| user_of(step).as_ref() == Some(&user));
    let ways = theirs.filter_map(|step| Some(step["transaction"].as_str()?.to_owned()));
    Some((user.clone(), ways.collect()))
}

/// Whether a complaint counts, by whom `proven` to be sent, about a message that went these ways. What stands for the one who complains: with a
/// feedback loop each recipient is somebody else; else all of a domain are one, since whoever has a domain has all its
/// addresses.
pub(super) fn weigh(
    steps: &[Value],
    ways: &[String],
    proven: &[DomainName],
    feedback_loops: &[DomainName],
) -> Option<u64> {
    let is_loop =
        proven.iter().any(|one| feedback_loops.iter().any(|other| is_within(one.as_str(), other.as_str())));
    let is_on_way = |step: &&Value| {
        step["step"] == "sent"
            && step["transaction"].as_str().is_some_and(|way| ways.iter().any(|one| one == way))
    };
    for step in steps.iter().filter(is_on_way) {
        let host = step["remote"].as_str().and_then(|remote| remote.split(' ').next()).unwrap_or_default();
        for recipient in step["recipients"].as_array().into_iter().flatten() {
            if !["delivered", "relayed"].map(Some).contains(&recipient["outcome"].as_str()) {
                continue;
            }
            let address = recipient["to"].as_str().unwrap_or_default().to_lowercase();
            let domain = address.rsplit('@').next().unwrap_or_default().to_owned();
            if is_loop {
                return Some(hash(&address));
            }
            let is_side = |one: &DomainName| {
                let one = one.as_str();
                is_within(one, &domain) || is_within(&domain, one) || is_within(host, one)
            };
            if proven.iter().any(is_side) {
                return Some(hash(registered(&domain)));
            }
        }
    }
    None
}

fn is_within(below: &str, above: &str) -> bool {
    !above.is_empty() && (below == above || below.strip_suffix(above).is_some_and(|rest| rest.ends_with('.')))
}

/// What somebody may have registered: the last two labels. Where registries have two themselves (co.uk), several count as one.
fn registered(domain: &str) -> &str {
    let mut dots = domain.rmatch_indices('.').map(|(at, _)| at);
    dots.nth(1).and_then(|at| domain.get(at + 1..)).unwrap_or(domain)
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn domain(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn names(texts: &[&str]) -> Vec<DomainName> {
        texts.iter().map(|text| domain(text)).collect()
    }

    #[test]
    fn only_our_own_results_prove_a_reporter() {
        let us = domain("mail.example.test");
        let of = |results: &str| {
            let mail = format!("Authentication-Results: {results}\r\nFrom: fbl@a.example\r\n\r\nx\r\n");
            proven(mail.as_bytes(), &us)
        };
        assert_eq!(of("mail.example.test; spf=pass smtp.mailfrom=fbl@a.example"), names(&["a.example"]));
        assert_eq!(
            of("mail.example.test; dkim=pass header.d=b.example; dmarc=pass header.from=a.example"),
            names(&["b.example", "a.example"])
        );
        for results in [
            "mail.example.test; spf=fail smtp.mailfrom=fbl@a.example",
            "mail.example.test; iprev=pass policy.iprev=192.0.2.1",
            "mail.other.example; spf=pass smtp.mailfrom=fbl@a.example",
            "mail.example.test; none",
        ] {
            assert!(of(results).is_empty(), "{results}");
        }
        let many = "; dkim=pass header.d=a.example".repeat(PROVEN_MAX + 1);
        assert_eq!(of(&format!("mail.example.test{many}")).len(), PROVEN_MAX);
    }

    fn way(user: &str, transaction: &str) -> Value {
        json!({ "step": "received", "transaction": transaction, "user": user, "message_id": "<One@example.test>" })
    }

    fn sent(transaction: &str, remote: &str, to: &str, outcome: &str) -> Value {
        let recipients = json!([{ "to": to, "outcome": outcome }]);
        json!({ "step": "sent", "transaction": transaction, "remote": remote, "recipients": recipients })
    }

    #[test]
    fn a_complaint_is_about_what_somebody_here_has_sent() {
        let report = json!({ "feedback_type": "abuse", "original": { "message_id": "one@example.test" } });
        assert_eq!(about(&report), Some("one@example.test"));
        assert_eq!(about(&json!({ "feedback_type": "not-spam", "original": { "message_id": "a@b" } })), None);
        assert_eq!(about(&json!({ "feedback_type": "abuse", "original": null })), None);
        let mut brought = way("x", "0");
        brought["user"] = Value::Null;
        let steps = [
            brought,
            way("ann@example.test", "1"),
            way("ann@example.test", "2"),
            way("bob@example.test", "3"),
        ];
        let (user, ways) = submitted(&steps, "<one@example.test>").unwrap();
        assert_eq!(
            (user.to_string().as_str(), ways),
            ("ann@example.test", vec!["1".to_owned(), "2".to_owned()])
        );
        assert!(
            submitted(&steps, "two@example.test").is_none()
                && submitted(&steps[..1], "one@example.test").is_none()
        );
    }

    #[test]
    fn who_complains_sits_where_it_was_delivered() {
        let far = sent("1", "mx.big.example 192.0.2.1", "eve@far.example", "delivered");
        for (proven, step, counts) in [
            (&["far.example"][..], &far, true),
            (&["fbl.far.example"], &far, true),
            // Who takes the mail in for many domains.
            (&["big.example"], &far, true),
            (&["other.example"], &far, false),
            (&["notfar.example"], &far, false),
            (&[], &far, false),
            (&["far.example"], &sent("2", "", "eve@far.example", "delivered"), false),
            (&["far.example"], &sent("1", "", "eve@far.example", "failed"), false),
        ] {
            let found = weigh(std::slice::from_ref(step), &["1".to_owned()], &names(proven), &[]);
            assert_eq!(found.is_some(), counts, "{proven:?} {step}");
        }
        let found =
            weigh(&[far], &["1".to_owned()], &names(&["mail.loop.example"]), &names(&["loop.example"]));
        assert!(found.is_some());
    }

    #[test]
    fn all_of_a_domain_complain_as_one_but_through_a_feedback_loop() {
        let by = |to: &str, loops: &[&str]| {
            let step = sent("1", "", to, "delivered");
            weigh(
                &[step],
                &["1".to_owned()],
                &names(&["far.example", "a.far.example", "other.example"]),
                &names(loops),
            )
            .unwrap()
        };
        assert_eq!(by("eve@far.example", &[]), by("adam@a.far.example", &[]));
        assert_ne!(by("eve@far.example", &[]), by("eve@other.example", &[]));
        assert_ne!(by("eve@far.example", &["far.example"]), by("adam@far.example", &["far.example"]));
    }
}
