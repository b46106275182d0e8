//! Whom we ask: the name servers of the world, or resolvers that are named to us; validating, or passing on what is said.

use std::time::Duration;

use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr;

use crate::answer::{Answer, LookupError, Security};
use crate::cache::Outcome;
use crate::forward::Forward;
use crate::name::Name;
use crate::record::RecordType;
use crate::recursion::Recursion;
use crate::reply::Reply;
use crate::settings::{Mode, Settings, SettingsError};
use crate::wire::{ALIASES_MAX, name_in, name_out, uncarried};

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
        let Ok(mut name) = name_out(name) else { return Err(bogus) };
        let mut least = Security::Secure;
        let mut shortest = Duration::MAX;
        for _ in 0..ALIASES_MAX {
            let Some((alias, target)) = self.alias(&name).await else { return Err(bogus) };
            least = least.min(alias.security);
            shortest = shortest.min(alias.valid_for);
            let Some(carried) = name_in(&target) else { return Err(uncarried()) };
            let mut outcome = self.ask_at_once(&carried, kind).await;
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
            let Some((alias, target)) = self.alias(&name).await else { return Err(bogus) };
            let so_far = match aliases.take() {
                Some(before) => before.followed_by(alias),
                None => alias,
            };
            match self.reply_at_once(&Query::query(target.clone(), query.query_type())).await {
                Err(LookupError::Bogus(_)) => (name, aliases) = (target, Some(so_far)),
                Ok(end) => return Ok(so_far.followed_by(end)),
                Err(error) => return Err(error),
            }
        }
        Err(bogus)
    }

    /// The alias that a name is, and what it stands for.
    async fn alias(&self, name: &rr::Name) -> Option<(Reply, rr::Name)> {
        match self.reply_at_once(&Query::query(name.clone(), rr::RecordType::CNAME)).await {
            Ok(reply) => {
                let target = reply.target()?;
                Some((reply, target))
            }
            Err(LookupError::Bogus(_)) => self.renamed(name).await,
            Err(_) => None,
        }
    }

    /// The alias that a DNAME record above a name makes of it (RFC 6672 §2.2). Nobody signs such an alias, and the library
    /// knows nothing of DNAME: it takes it for a forged one. The DNAME record itself is signed and proves it (§5.3.1).
    async fn renamed(&self, name: &rr::Name) -> Option<(Reply, rr::Name)> {
        let mut above = name.base_name();
        while !above.is_root() {
            let query = Query::query(above.clone(), rr::RecordType::DNAME);
            let mut reply = self.reply_at_once(&query).await.ok()?;
            if let Some(target) = reply.renaming() {
                let kept = usize::from(name.num_labels().saturating_sub(above.num_labels()));
                let labels: Vec<&[u8]> = name.iter().take(kept).chain(target.iter()).collect();
                let target = rr::Name::from_labels(labels).ok()?;
                let ttl = u32::try_from(reply.valid_for.as_secs()).unwrap_or(u32::MAX);
                let alias = rr::RData::CNAME(rr::rdata::CNAME(target.clone()));
                reply.answers.push(rr::Record::from_rdata(name.clone(), ttl, alias));
                return Some((reply, target));
            }
            above = above.base_name();
        }
        None
    }
}

fn nobody() -> LookupError {
    LookupError::Bogus("every key of the root is revoked".to_owned())
}
