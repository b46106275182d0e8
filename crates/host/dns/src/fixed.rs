//! A resolver's answers told beforehand: for tests of whoever asks, without a socket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::answer::{Answer, LookupError, Security};
use crate::name::Name;
use crate::record::{RecordData, RecordType};

/// How long a fixed answer says it may be used.
const VALID_FOR: Duration = Duration::from_secs(300);
/// Aliases that are followed one after the other; beyond it is a loop.
const ALIASES_MAX: usize = 8;

/// What names have. Clones share it: records may be added while a resolver made from it answers.
#[derive(Clone, Default, Debug)]
pub struct FixedRecords(Arc<RwLock<Table>>);

#[derive(Default, Debug)]
struct Table {
    names: BTreeMap<Name, Vec<RecordData>>,
    securities: BTreeMap<Name, Security>,
    failures: BTreeMap<(Name, RecordType), LookupError>,
}

impl FixedRecords {
    /// Nothing yet: every name is absent.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a name one more record. A record of type CNAME makes the name an alias.
    #[must_use]
    pub fn with(self, name: &Name, record: RecordData) -> Self {
        self.add(name, record);
        self
    }

    /// Gives a name one more record.
    pub fn add(&self, name: &Name, record: RecordData) {
        self.0.write().names.entry(name.clone()).or_default().push(record);
    }

    /// Takes all records of a name and all its failures away.
    pub fn clear(&self, name: &Name) {
        let mut table = self.0.write();
        table.names.remove(name);
        table.failures.retain(|(failing, _), _| failing != name);
    }

    /// Says how far what a name has, or lacks, is proven; insecure unless told.
    pub fn set_security(&self, name: &Name, security: Security) {
        self.0.write().securities.insert(name.clone(), security);
    }

    /// Lets questions for this name and type fail.
    pub fn fail(&self, name: &Name, kind: RecordType, error: LookupError) {
        self.0.write().failures.insert((name.clone(), kind), error);
    }

    pub(crate) fn lookup(&self, name: &Name, kind: RecordType) -> Result<Answer<RecordData>, LookupError> {
        let table = self.0.read();
        let mut name = name.clone();
        let mut security = Security::Secure;
        for _ in 0..=ALIASES_MAX {
            if let Some(error) = table.failures.get(&(name.clone(), kind)) {
                return Err(error.clone());
            }
            security = security.min(table.securities.get(&name).copied().unwrap_or(Security::Insecure));
            let Some(records) = table.names.get(&name) else {
                return Err(LookupError::NoSuchName { security, valid_for: VALID_FOR });
            };
            let found: Vec<RecordData> =
                records.iter().filter(|record| record.kind() == kind).cloned().collect();
            if !found.is_empty() {
                return Ok(Answer { records: found, canonical: name, security, valid_for: VALID_FOR });
            }
            let alias = records.iter().find_map(|record| match record {
                RecordData::Name(RecordType::Cname, target) => Some(target.clone()),
                _ => None,
            });
            let Some(alias) = alias else {
                return Err(LookupError::NoData { security, valid_for: VALID_FOR });
            };
            name = alias;
        }
        Err(LookupError::Excessive("aliases lead in a circle".to_owned()))
    }
}
