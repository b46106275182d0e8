//! What the world serves: asked of the servers that are responsible, past every cache, all of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dns::{Authority, Families, LookupError, Name, RecordData, RecordType, Resolver, Security, Told};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Name servers of one zone that are asked (the root has 13; more is nobody's need).
const SERVERS_MAX: usize = 13;
/// Addresses of one name server that are asked.
const SERVER_ADDRESSES_MAX: usize = 4;

/// The world of names as this host sees it.
#[derive(Debug)]
pub struct World {
    resolver: Resolver,
    authority: Authority,
    families: Families,
    known: Mutex<Known>,
}

#[derive(Default, Debug)]
struct Known {
    zones: BTreeMap<Name, Arc<Zone>>,
    /// Servers that gave no useful answer, with what they did instead.
    failed: BTreeMap<ZoneServer, LookupError>,
    answered: Vec<ZoneServer>,
}

/// A zone and who is responsible for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    /// The name it begins at.
    pub apex: Name,
    /// Its servers, as the world knows them.
    pub servers: Vec<ZoneServer>,
    /// Servers that are named but have no address.
    pub nowhere: Vec<Name>,
}

/// One address of a name server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ZoneServer {
    /// The server's name.
    pub name: Name,
    /// Where it was asked.
    pub address: IpAddr,
}

/// What is served for a name and type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Served {
    /// What the first server says that answers; an alias followed to its end.
    pub told: Told,
    /// The alias that led there.
    pub alias: Option<Name>,
    /// Servers that say something else.
    pub differing: Vec<ZoneServer>,
}

impl World {
    /// Asks with these.
    #[must_use]
    pub fn new(resolver: Resolver, authority: Authority, families: Families) -> Self {
        Self { resolver, authority, families, known: Mutex::default() }
    }

    /// The resolver, for what the world believes.
    #[must_use]
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// The zone that a name lies in, whether the name exists or not.
    ///
    /// # Errors
    /// [`LookupError`] when that cannot be found out.
    pub async fn zone_of(&self, name: &Name) -> Result<Arc<Zone>, LookupError> {
        let mut at = name.clone();
        loop {
            if let Some(zone) = self.known.lock().await.zones.get(&at) {
                return Ok(Arc::clone(zone));
            }
            match self.resolver.resolve(&at, RecordType::Ns).await {
                Ok(answer) if answer.canonical == at => {
                    let zone = Arc::new(self.zone(&at, answer.records).await);
                    self.known.lock().await.zones.insert(at, Arc::clone(&zone));
                    return Ok(zone);
                }
                Err(error) if !error.is_absence() => return Err(error),
                // No zone begins here.
                Ok(_) | Err(_) => at = above(&at).ok_or_else(nobody)?,
            }
        }
    }

    async fn zone(&self, apex: &Name, servers: Vec<RecordData>) -> Zone {
        let mut zone = Zone { apex: apex.clone(), servers: Vec::new(), nowhere: Vec::new() };
        let names = servers.into_iter().filter_map(|record| match record {
            RecordData::Name(_, name) => Some(name),
            _ => None,
        });
        for name in names.take(SERVERS_MAX) {
            match self.resolver.addresses(&name, self.families).await {
                Ok(answer) => zone.servers.extend(
                    answer
                        .records
                        .into_iter()
                        .take(SERVER_ADDRESSES_MAX)
                        .map(|address| ZoneServer { name: name.clone(), address }),
                ),
                Err(_) => zone.nowhere.push(name),
            }
        }
        zone
    }

    /// What the servers of its zone say of a name. Where none of them can be asked (a network that lets nobody ask but its
    /// own resolver), what the resolver says.
    ///
    /// # Errors
    /// [`LookupError`] when nobody says anything.
    pub async fn served(&self, name: &Name, kind: RecordType) -> Result<Served, LookupError> {
        let zone = self.zone_of(name).await?;
        let mut served = None;
        for (server, told) in self.ask_all(&zone, name, kind).await {
            match &mut served {
                None => served = Some(Served { told, alias: None, differing: Vec::new() }),
                Some(first) if is_same(&first.told, &told) => {}
                Some(first) => first.differing.push(server),
            }
        }
        match served {
            Some(Served { told: Told::Alias(target), differing, .. }) if kind != RecordType::Cname => {
                Ok(Served { told: self.resolved(name, kind).await?, alias: Some(target), differing })
            }
            Some(served) => Ok(served),
            None => Ok(Served { told: self.resolved(name, kind).await?, alias: None, differing: Vec::new() }),
        }
    }

    async fn ask_all(&self, zone: &Zone, name: &Name, kind: RecordType) -> Vec<(ZoneServer, Told)> {
        let mut asking = JoinSet::new();
        for (at, server) in zone.servers.iter().enumerate() {
            // Who was silent once is not waited for again.
            if self.known.lock().await.failed.contains_key(server) {
                continue;
            }
            let (authority, server, name) = (self.authority.clone(), server.clone(), name.clone());
            asking.spawn(async move {
                let told = authority.ask(server.address, &name, kind).await;
                (at, server, told)
            });
        }
        let mut answers = BTreeMap::new();
        while let Some(asked) = asking.join_next().await {
            // A task that panicked is a server that did not answer.
            let Ok((at, server, told)) = asked else { continue };
            let mut known = self.known.lock().await;
            match told {
                Ok(told) => {
                    known.answered.push(server.clone());
                    answers.insert(at, (server, told));
                }
                // What we cannot carry is no fault of the server's.
                Err(LookupError::Excessive(_)) => {}
                Err(error) => drop(known.failed.insert(server, error)),
            }
        }
        answers.into_values().collect()
    }

    async fn resolved(&self, name: &Name, kind: RecordType) -> Result<Told, LookupError> {
        match self.resolver.resolve(name, kind).await {
            Ok(answer) => Ok(Told::Records { records: answer.records, ttl: answer.valid_for }),
            Err(LookupError::NoData { .. }) => Ok(Told::NoData),
            Err(LookupError::NoSuchName { .. }) => Ok(Told::NoSuchName),
            Err(error) => Err(error),
        }
    }

    /// Servers of a zone that gave no useful answer at any of their addresses, and what they did instead.
    pub async fn failed_servers(&self, zone: &Zone) -> Vec<(Name, LookupError)> {
        let known = self.known.lock().await;
        let mut failed: BTreeMap<Name, LookupError> = BTreeMap::new();
        for server in &zone.servers {
            let has_answered = known.answered.iter().any(|answered| answered.name == server.name);
            if let (false, Some(error)) = (has_answered, known.failed.get(server)) {
                failed.insert(server.name.clone(), error.clone());
            }
        }
        failed.into_iter().collect()
    }

    /// How far the world can prove what a zone says.
    ///
    /// # Errors
    /// [`LookupError::Bogus`] when it proves that it is forged; other failures.
    pub async fn security(&self, apex: &Name) -> Result<Security, LookupError> {
        match self.resolver.resolve(apex, RecordType::Soa).await {
            Ok(answer) => Ok(answer.security),
            Err(error) => error.security().ok_or(error),
        }
    }
}

/// The name without its first label; none above the root.
pub(crate) fn above(name: &Name) -> Option<Name> {
    match name.as_str().split_once('.') {
        _ if name.is_root() => None,
        Some((_, rest)) => Name::parse(rest).ok(),
        None => Some(Name::root()),
    }
}

fn nobody() -> LookupError {
    LookupError::Unreachable("no zone was found".to_owned())
}

/// Whether two servers say the same, in whatever order, with whatever time to live.
fn is_same(one: &Told, other: &Told) -> bool {
    match (one, other) {
        (Told::Records { records: one, .. }, Told::Records { records: other, .. }) => {
            one.len() == other.len() && one.iter().all(|record| other.contains(record))
        }
        // Some say "no such name" where others see names below it.
        (Told::NoData | Told::NoSuchName, Told::NoData | Told::NoSuchName) => true,
        _ => one == other,
    }
}

impl Served {
    /// The records; none where there are none.
    #[must_use]
    pub fn records(&self) -> &[RecordData] {
        match &self.told {
            Told::Records { records, .. } => records,
            _ => &[],
        }
    }

    /// How long others may keep them.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        match &self.told {
            Told::Records { ttl, .. } => Some(*ttl),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_climb_to_the_root() {
        let mut name = Name::parse("a.example.org").unwrap();
        for expected in ["example.org", "org", "."] {
            name = above(&name).unwrap();
            assert_eq!(name.as_str(), expected);
        }
        assert_eq!(above(&name), None);
    }

    #[test]
    fn order_and_time_make_no_difference() {
        let text = |text: &str| RecordData::Text(text.as_bytes().to_vec());
        let told = |texts: &[&str], seconds| Told::Records {
            records: texts.iter().map(|t| text(t)).collect(),
            ttl: Duration::from_secs(seconds),
        };
        assert!(is_same(&told(&["a", "b"], 1), &told(&["b", "a"], 2)));
        assert!(!is_same(&told(&["a"], 1), &told(&["a", "b"], 1)));
        assert!(!is_same(&told(&["a"], 1), &Told::NoData));
        assert!(is_same(&Told::NoSuchName, &Told::NoData));
    }
}
