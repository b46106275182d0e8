//! What a server's answers mean: for each recipient, and for its destination (RFC 5321 §4.2.1, §4.5.4; RFC 3463).

use std::io::ErrorKind;

use mail_types::{EnhancedCode, ReplyCode, Situation, Verdict};
use queue::{ConnectionEnd, Destination, Diagnostic, RecipientOutcome};
use smtp::Reply;
use smtp::client::{Answers, ClientError, Limit, Missing};
use smtp::server::Protocol;
use tls::TlsError;

use super::connect::{Broken, Connection, NoUse, TlsFailure};
use super::mx::NoHost;

/// Who answered, as far as the meaning of the answer depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaker<'a> {
    /// The server's name.
    pub(crate) name: &'a str,
    /// It reports deliveries by itself, or delivers before it answers.
    pub(crate) reports: bool,
    /// It is a relay, which the operator named.
    pub(crate) is_relay: bool,
}

impl<'a> Speaker<'a> {
    pub(crate) fn of(connection: &'a Connection, destination: &Destination) -> Self {
        Self {
            name: &connection.end.name,
            reports: connection.protocol == Protocol::Lmtp || connection.client.extensions().dsn,
            is_relay: matches!(destination, Destination::Relay(_)),
        }
    }
}

/// What one recipient was told.
pub(crate) fn recipient(reply: &Reply, speaker: Speaker<'_>) -> RecipientOutcome {
    let verdict = match reply.verdict() {
        // A relay that wants another password concerns the operator, who can give it one.
        Verdict::Never if speaker.is_relay && is_about_login(reply.code) => Verdict::Later,
        verdict => verdict,
    };
    match verdict {
        Verdict::Accepted if speaker.reports => RecipientOutcome::Delivered,
        Verdict::Accepted => RecipientOutcome::Relayed,
        Verdict::Later => RecipientOutcome::Deferred(words(reply, speaker.name)),
        Verdict::Never => RecipientOutcome::Failed(words(reply, speaker.name)),
    }
}

/// RFC 4954 §4.1, §6: authentication is needed, was refused, or needs TLS.
fn is_about_login(code: ReplyCode) -> bool {
    matches!(code.value(), 530 | 534 | 535 | 538)
}

/// What all answers together say of the destination: a server that refuses MAIL for now has enough of us, not of the
/// recipients.
pub(crate) fn destination(answers: &Answers, speaker: Speaker<'_>) -> Option<ConnectionEnd> {
    let reply = answers.replies.first().filter(|_| answers.is_sender_refused)?;
    (reply.verdict() == Verdict::Later).then(|| ConnectionEnd::Throttled(words(reply, speaker.name)))
}

/// A message that a server cannot carry was not offered; no other will be asked (RFC 6152 §3, RFC 6531 §3.6, RFC 8689
/// §4.2.1, RFC 2852 §4.1.4).
pub(crate) fn lacking(missing: Missing, speaker: Speaker<'_>) -> RecipientOutcome {
    let situation = match missing {
        Missing::EightBitMime | Missing::BinaryMime => Situation::ConversionNeeded,
        Missing::SmtpUtf8 => Situation::NeedsSmtpUtf8,
        Missing::RequireTls => Situation::RequireTlsUnsupported,
        Missing::DeliverBy => Situation::DeadlinePassed,
        Missing::StartTls | Missing::Auth => return RecipientOutcome::Deferred(lacks(missing, speaker.name)),
    };
    RecipientOutcome::Failed(found_out(situation, Some(speaker.name)))
}

/// A server has said beforehand that it takes less. Recipients and transactions are divided before they are offered.
pub(crate) fn exceeding(limit: Limit, speaker: Speaker<'_>) -> RecipientOutcome {
    match limit {
        Limit::MessageOctets(_) => {
            RecipientOutcome::Failed(found_out(Situation::TooLarge, Some(speaker.name)))
        }
        Limit::Recipients(_) | Limit::Domains(_) | Limit::Transactions(_) => {
            RecipientOutcome::Deferred(found_out(Situation::ProtocolError, Some(speaker.name)))
        }
    }
}

/// A conversation broke off in the middle of a message.
pub(crate) fn broken_off(broken: &Broken, name: &str) -> Diagnostic {
    match broken {
        Broken::Client(ClientError::Closing(reply)) => words(reply, name),
        Broken::Client(error) => detailed(Situation::ProtocolError, Some(name), &error.to_string()),
        Broken::Wire(error) => detailed(Situation::ConnectionLost, Some(name), &error.to_string()),
        Broken::Unreadable(error) => detailed(Situation::LocalFailure, None, &error.to_string()),
    }
}

/// Why a host is of no use, for the destination's record.
pub(crate) fn no_use(no_use: &NoUse, name: &str) -> Diagnostic {
    match no_use {
        NoUse::Unreachable(error) => detailed(Situation::NoAnswer, Some(name), &error.to_string()),
        NoUse::Refused(reply) => words(reply, name),
        NoUse::Lacks(missing) => lacks(*missing, name),
        NoUse::Tls(TlsFailure::Handshake(error)) => {
            detailed(Situation::TlsNeeded, Some(name), &error.to_string())
        }
        NoUse::Tls(TlsFailure::Conversation(broken)) => broken_off(broken, name),
        NoUse::Login(failure) => detailed(Situation::LoginFailed, Some(name), &failure.to_string()),
        NoUse::Broken(broken) => broken_off(broken, name),
    }
}

/// Why there is no host.
pub(crate) fn no_host(no_host: &NoHost) -> Diagnostic {
    match no_host {
        NoHost::Never(situation) => found_out(*situation, None),
        NoHost::Later(situation, detail) => detailed(*situation, None, detail),
    }
}

fn lacks(missing: Missing, name: &str) -> Diagnostic {
    let situation = match missing {
        Missing::Auth => Situation::LoginFailed,
        _ => Situation::TlsNeeded,
    };
    found_out(situation, Some(name))
}

/// A server's own words.
pub(crate) fn words(reply: &Reply, name: &str) -> Diagnostic {
    Diagnostic {
        remote: Some(name.into()),
        code: Some(reply.code),
        status: Some(reply.status()),
        text: bounded(&reply.text),
    }
}

/// A server's own words alone.
pub(crate) fn said(reply: &Reply) -> Box<str> {
    Diagnostic { remote: None, ..words(reply, "") }.to_string().into()
}

/// How TLS failed, for the record of what then went in clear.
pub(crate) fn tls_failure(failure: &TlsFailure) -> Box<str> {
    match failure {
        TlsFailure::Conversation(Broken::Client(ClientError::Closing(reply))) => said(reply),
        failure => bounded(&failure.to_string()),
    }
}

/// Whether no later try can have TLS where this one failed: it is not offered, or the two ends do not agree. A handshake
/// that broke off or took too long says nothing of the next.
pub(crate) fn never_has_tls(no_use: &NoUse) -> bool {
    match no_use {
        NoUse::Lacks(Missing::StartTls) => true,
        NoUse::Tls(TlsFailure::Handshake(TlsError::Handshake(error))) => {
            error.kind() == ErrorKind::InvalidData
        }
        _ => false,
    }
}

/// What we found out without anybody's words.
pub(crate) fn found_out(situation: Situation, name: Option<&str>) -> Diagnostic {
    Diagnostic {
        remote: name.map(Into::into),
        code: None,
        status: Some(situation.status()),
        text: situation.sentence().into(),
    }
}

/// The same with the cause.
pub(crate) fn detailed(situation: Situation, name: Option<&str>, detail: &str) -> Diagnostic {
    let text = bounded(&format!("{} ({detail})", situation.sentence()));
    Diagnostic { text, ..found_out(situation, name) }
}

/// As much of a text as is kept.
pub(crate) fn bounded(text: &str) -> Box<str> {
    let end = text.floor_char_boundary(queue::DIAGNOSTIC_OCTETS_MAX);
    text.get(..end).unwrap_or_default().into()
}

/// Whether a refusal at the greeting says that the host never takes mail (RFC 7504 §3).
pub(crate) fn takes_no_mail(no_use: &NoUse) -> bool {
    matches!(no_use, NoUse::Refused(reply) if reply.code == ReplyCode::new(521))
}

/// The class of a diagnostic's code as the outcome has it.
pub(crate) fn status_of(diagnostic: &Diagnostic, verdict: Verdict) -> EnhancedCode {
    diagnostic.status.unwrap_or(EnhancedCode::new(4, 0, 0)).with_verdict(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEAKER: Speaker<'_> = Speaker { name: "mx.example.com", reports: false, is_relay: false };

    fn outcome(code: u16, speaker: Speaker<'_>) -> &'static str {
        match recipient(&Reply::plain(code, "text"), speaker) {
            RecipientOutcome::Delivered => "delivered",
            RecipientOutcome::Relayed => "relayed",
            RecipientOutcome::Failed(_) => "failed",
            RecipientOutcome::Deferred(_) => "deferred",
        }
    }

    #[test]
    fn the_first_digit_decides() {
        for (code, expected) in [
            (250, "relayed"),
            (251, "relayed"),
            (450, "deferred"),
            (421, "deferred"),
            (550, "failed"),
            (530, "failed"),
        ] {
            assert_eq!(outcome(code, SPEAKER), expected, "{code}");
        }
        assert_eq!(outcome(250, Speaker { reports: true, ..SPEAKER }), "delivered");
        assert_eq!(outcome(535, Speaker { is_relay: true, ..SPEAKER }), "deferred");
        assert_eq!(outcome(550, Speaker { is_relay: true, ..SPEAKER }), "failed");
    }

    #[test]
    fn words_are_kept_with_their_speaker() {
        let reply = Reply::fixed(550, (5, 1, 1), "No such user");
        let RecipientOutcome::Failed(diagnostic) = recipient(&reply, SPEAKER) else { panic!() };
        assert_eq!(diagnostic.to_string(), "mx.example.com: 550 5.1.1 No such user");
        assert_eq!(status_of(&diagnostic, Verdict::Later).to_string(), "4.1.1");
    }

    #[test]
    fn texts_are_bounded() {
        for octets in
            [queue::DIAGNOSTIC_OCTETS_MAX - 1, queue::DIAGNOSTIC_OCTETS_MAX, queue::DIAGNOSTIC_OCTETS_MAX + 1]
        {
            let reply = Reply::plain(450, "").with_text("x".repeat(octets));
            let kept = words(&reply, "mx").text.len();
            assert_eq!(kept, octets.min(queue::DIAGNOSTIC_OCTETS_MAX));
        }
    }

    #[test]
    fn who_refuses_mail_for_now_has_enough_of_us() {
        let answers = |code, is_sender_refused| Answers {
            replies: vec![Reply::plain(code, "x")],
            left_out: smtp::client::LeftOut::default(),
            is_sender_refused,
        };
        assert!(matches!(destination(&answers(450, true), SPEAKER), Some(ConnectionEnd::Throttled(_))));
        assert_eq!(destination(&answers(450, false), SPEAKER), None, "greylisting is about the recipient");
        assert_eq!(destination(&answers(550, true), SPEAKER), None);
    }

    #[test]
    fn what_cannot_be_carried_comes_back_with_the_right_code() {
        for (missing, status) in [
            (Missing::EightBitMime, "5.6.3"),
            (Missing::BinaryMime, "5.6.3"),
            (Missing::SmtpUtf8, "5.6.7"),
            (Missing::RequireTls, "5.7.30"),
            (Missing::DeliverBy, "5.4.7"),
        ] {
            let RecipientOutcome::Failed(diagnostic) = lacking(missing, SPEAKER) else { panic!() };
            assert_eq!(diagnostic.status.unwrap().to_string(), status);
        }
        assert!(matches!(lacking(Missing::StartTls, SPEAKER), RecipientOutcome::Deferred(_)));
    }
}
