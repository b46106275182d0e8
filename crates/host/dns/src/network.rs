//! Whom we ask: the name servers of the world, or resolvers that are named to us; validating, or passing on what is said.

use std::time::Duration;

use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr;

use crate::answer::{Answer, LookupError, Security};
use crate::cache::Outcome;
use crate::forward::Forward;
use crate::name::Name;
use crate::record::{RecordData, RecordType};
use crate::recursion::Recursion;
use crate::reply::Reply;
use crate::settings::{Mode, Settings, SettingsError};
use crate::wire::ALIASES_MAX;

/// Whom we ask.
pub(crate) enum Network {
    Recursion(Box<Recursion>),
    Forward(Forward),
    /// Nobody: every key of the root has revoked itself. RFC 5011 §5 would have us go on as if nothing were signed.
    Nobody,
}

/// What is done with signatures.
#[derive(Clone)]
pub(crate) enum Validation {
    /// They are not asked for; everything is insecure.
    Off,
    /// They are asked for and passed on unread, to whoever wants to validate for themselves (RFC 4035 §3.2.2).
    PassedOn,
    /// They are validated from these keys down.
    From(TrustAnchors),
}

impl Network {
    pub(crate) fn new(settings: &Settings, validation: Validation) -> Result<Self, SettingsError> {
        if matches!(&validation, Validation::From(anchors) if anchors.is_empty()) {
            tracing::error!("every key of the root has revoked itself: no DNS answer can be believed");
            return Ok(Self::Nobody);
        }
        Ok(match &settings.mode {
            Mode::Recursive { root_hints } => {
                Self::Recursion(Box::new(Recursion::new(settings, root_hints, validation)?))
            }
            Mode::Forward(forwarders) => Self::Forward(Forward::new(settings, forwarders, validation)?),
        })
    }

    /// What our own ask for.
    pub(crate) async fn ask(&self, name: &Name, kind: RecordType) -> Outcome {
        match self.ask_at_once(name, kind).await {
            Err(bogus @ LookupError::Bogus(_)) if kind != RecordType::Cname => {
                self.ask_along_aliases(name, kind, bogus).await
            }
            outcome => outcome,
        }
    }

    /// What programs ask for: any type, with the records that prove it.
    pub(crate) async fn reply(&self, query: &Query) -> Result<Reply, LookupError> {
        match self.reply_at_once(query).await {
            Err(bogus @ LookupError::Bogus(_)) if query.query_type() != rr::RecordType::CNAME => {
                self.reply_along_aliases(query, bogus).await
            }
            reply => reply,
        }
    }

    async fn ask_at_once(&self, name: &Name, kind: RecordType) -> Outcome {
        match self {
            Self::Recursion(recursion) => recursion.ask(name, kind).await,
            Self::Forward(forward) => forward.ask(name, kind).await,
            Self::Nobody => Err(nobody()),
        }
    }

    async fn reply_at_once(&self, query: &Query) -> Result<Reply, LookupError> {
        match self {
            Self::Recursion(recursion) => recursion.reply(query).await,
            Self::Forward(forward) => forward.reply(query).await,
            Self::Nobody => Err(nobody()),
        }
    }

    /// Asks again, an alias at a time. The library takes the proof that an alias's target has nothing for a wrong proof
    /// about the alias itself; asked for apart, each is proven by itself (RFC 4035 §5, RFC 6604 §3).
    async fn ask_along_aliases(&self, name: &Name, kind: RecordType, bogus: LookupError) -> Outcome {
        let mut name = name.clone();
        let mut least = Security::Secure;
        let mut shortest = Duration::MAX;
        for _ in 0..ALIASES_MAX {
            let Ok(alias) = self.ask_at_once(&name, RecordType::Cname).await else { return Err(bogus) };
            let Some(RecordData::Name(_, target)) = alias.records.into_iter().next() else {
                return Err(bogus);
            };
            least = least.min(alias.security);
            shortest = shortest.min(alias.valid_for);
            let mut outcome = self.ask_at_once(&target, kind).await;
            match &mut outcome {
                Err(LookupError::Bogus(_)) => name = target,
                Ok(Answer { security, valid_for, .. })
                | Err(
                    LookupError::NoSuchName { security, valid_for }
                    | LookupError::NoData { security, valid_for },
                ) => {
                    *security = least.min(*security);
                    *valid_for = shortest.min(*valid_for);
                    return outcome;
                }
                Err(_) => return outcome,
            }
        }
        Err(bogus)
    }

    /// The same, with the records of all the chain.
    async fn reply_along_aliases(&self, query: &Query, bogus: LookupError) -> Result<Reply, LookupError> {
        let mut name = query.name().clone();
        let mut aliases: Option<Reply> = None;
        for _ in 0..ALIASES_MAX {
            let alias = self.reply_at_once(&Query::query(name, rr::RecordType::CNAME)).await;
            let Ok(alias) = alias else { return Err(bogus) };
            let Some(target) = alias.target() else { return Err(bogus) };
            let aliases_here = match aliases.take() {
                Some(before) => before.followed_by(alias),
                None => alias,
            };
            match self.reply_at_once(&Query::query(target.clone(), query.query_type())).await {
                Err(LookupError::Bogus(_)) => (name, aliases) = (target, Some(aliases_here)),
                Ok(end) => return Ok(aliases_here.followed_by(end)),
                Err(error) => return Err(error),
            }
        }
        Err(bogus)
    }
}

fn nobody() -> LookupError {
    LookupError::Bogus("every key of the root is revoked".to_owned())
}
