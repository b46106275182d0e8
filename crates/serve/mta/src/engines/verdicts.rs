//! What a milter's verdict means for the client.

use engines::milter::Verdict;
use smtp::Reply;

use super::counts;
use crate::receive::replies;

/// What follows from a verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// It goes on.
    GoOn,
    /// The message is taken and thrown away.
    Discard,
    /// The client is refused in these words.
    Refuse(Reply),
    /// The client hears these words, and then nothing more.
    HangUp(Reply),
}

pub(crate) fn said(verdict: Verdict) -> Said {
    match verdict {
        Verdict::Continue | Verdict::Accept | Verdict::Skip => Said::GoOn,
        Verdict::Discard => Said::Discard,
        Verdict::Reject => Said::Refuse(replies::REFUSED_BY_ENGINE),
        Verdict::TempFail => Said::Refuse(replies::ENGINE_SAYS_LATER),
        // RFC 5321 §3.8: whoever says 421 hangs up.
        Verdict::Refuse(reply) if reply.code.value() == 421 => Said::HangUp(reply),
        Verdict::Refuse(reply) => Said::Refuse(reply),
        Verdict::HangUp => Said::HangUp(replies::ENGINE_HANGS_UP),
    }
}

/// What was said against something, for those who count.
pub(crate) fn verdict_of(said: &Said) -> Option<counts::Verdict> {
    match said {
        Said::GoOn => None,
        Said::Discard => Some(counts::Verdict::Discarded),
        Said::Refuse(reply) | Said::HangUp(reply) if reply.code.value() < 500 => Some(counts::Verdict::Later),
        Said::Refuse(_) | Said::HangUp(_) => Some(counts::Verdict::Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_421_hangs_up() {
        let own = Reply::fixed(421, (4, 7, 0), "Away");
        assert_eq!(said(Verdict::Refuse(own.clone())), Said::HangUp(own));
        let own = Reply::fixed(450, (4, 7, 0), "Away");
        assert_eq!(said(Verdict::Refuse(own.clone())), Said::Refuse(own));
        assert_eq!(said(Verdict::Skip), Said::GoOn);
    }
}
