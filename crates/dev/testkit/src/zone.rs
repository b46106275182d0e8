//! A zone of the small internet and what its server answers: data, referrals, aliases, absences and their proofs
//! (RFC 1034 §4.3.2, RFC 4035 §3.1).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::name_server::{INTERNET, NAME_ERROR, Record, kind, put_name};
use crate::zone_hashed;
use crate::zone_signing::{LASTING_SECONDS, Signable, ZoneKey, type_bitmap};

/// Labels from the root down, in lower case: they sort as DNS does (RFC 4034 §6.1).
pub(crate) type Path = Vec<String>;

#[derive(Debug)]
struct RecordSet {
    ttl: u32,
    data: Vec<Vec<u8>>,
}

/// A zone.
#[derive(Debug)]
pub(crate) struct Zone {
    origin: Path,
    nodes: BTreeMap<Path, BTreeMap<u16, RecordSet>>,
    key: Option<ZoneKey>,
    /// Keys beside it, and whether they sign the set of keys, too.
    other_keys: Vec<(ZoneKey, bool)>,
    lasting_seconds: u32,
    /// How often names are hashed for proofs of absence; plain names (NSEC) without.
    hashed: Option<u16>,
    /// Signatures are made as if records were those of a wildcard above this many labels.
    forced_labels: Option<usize>,
    /// Names whose signatures are wrong.
    forged: BTreeSet<Path>,
    /// Wrong signatures before each right one.
    traps: usize,
    /// Records that every answer brings along, in its answer, authority and additional sections.
    whispers: [Vec<Vec<u8>>; 3],
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) kind: u16,
    /// Whether signatures are wanted (RFC 4035 §3.2.1).
    pub(crate) wants_signatures: bool,
}

/// What is answered: a response code and the records of three sections, each record ready for the wire.
#[derive(Default, Debug)]
pub(crate) struct Sections {
    pub(crate) code: u8,
    pub(crate) is_authoritative: bool,
    pub(crate) answers: Vec<Vec<u8>>,
    pub(crate) authorities: Vec<Vec<u8>>,
    pub(crate) additionals: Vec<Vec<u8>>,
}

impl Zone {
    pub(crate) fn new(origin: &str, key: Option<ZoneKey>) -> Self {
        Self {
            origin: path(origin),
            nodes: BTreeMap::new(),
            key,
            other_keys: Vec::new(),
            lasting_seconds: LASTING_SECONDS,
            hashed: None,
            forced_labels: None,
            forged: BTreeSet::new(),
            traps: 0,
            whispers: Default::default(),
        }
    }

    pub(crate) fn key(&self) -> Option<&ZoneKey> {
        self.key.as_ref()
    }

    pub(crate) fn add(&mut self, name: &str, kind: u16, ttl: u32, data: Vec<u8>) {
        let node = self.nodes.entry(path(name)).or_default();
        let set = node.entry(kind).or_insert(RecordSet { ttl, data: Vec::new() });
        set.ttl = ttl;
        set.data.push(data);
    }

    pub(crate) fn clear(&mut self, name: &str) {
        self.nodes.remove(&path(name));
    }

    /// Takes all records of a name and of everything below it away.
    pub(crate) fn clear_below(&mut self, name: &str) {
        let name = path(name);
        self.nodes.retain(|own, _| !own.starts_with(&name));
    }

    pub(crate) fn forge(&mut self, name: &str) {
        self.forged.insert(path(name));
    }

    /// One more key stands in the set of keys, and signs nothing yet.
    pub(crate) fn publish(&mut self, key: ZoneKey) {
        self.other_keys.push((key, false));
        self.tell_keys();
    }

    /// The last published key takes over; the former one stands beside it no more, or revokes itself.
    pub(crate) fn roll(&mut self, former_revokes_itself: bool) {
        let Some((next, _)) = self.other_keys.pop() else { return };
        if let (Some(mut former), true) = (self.key.replace(next), former_revokes_itself) {
            former.revoke();
            self.other_keys.push((former, true));
        }
        self.tell_keys();
    }

    /// Keys beside the one that signs are taken away.
    pub(crate) fn withdraw(&mut self) {
        self.other_keys.clear();
        self.tell_keys();
    }

    /// Absences are proven by hashes (NSEC3) from now on.
    pub(crate) fn hash(&mut self, iterations: u16) {
        self.hashed = Some(iterations);
    }

    /// Signatures say that their records come from a wildcard above so many labels, be it outside the zone.
    pub(crate) fn force_labels(&mut self, labels: usize) {
        self.forced_labels = Some(labels);
    }

    /// How long signatures are good from now on.
    pub(crate) fn sign_for(&mut self, seconds: u32) {
        self.lasting_seconds = seconds;
    }

    fn tell_keys(&mut self) {
        let origin = text(&self.origin);
        let keys: Vec<Vec<u8>> =
            self.key.iter().chain(self.other_keys.iter().map(|(key, _)| key)).map(ZoneKey::dnskey).collect();
        if let Some(node) = self.nodes.get_mut(&self.origin) {
            node.remove(&kind::DNSKEY);
        }
        for key in keys {
            self.add(&origin, kind::DNSKEY, 3600, key);
        }
    }

    /// Makes validating as much work as it can: keys that cannot be told apart by their tags, and signatures of each of
    /// them (KeyTrap, CVE-2023-50387).
    pub(crate) fn trap(&mut self, signatures: usize) {
        let origin = text(&self.origin);
        let keys: Vec<Vec<u8>> = self.key.as_ref().map(|key| key.colliding().collect()).unwrap_or_default();
        for key in keys {
            self.add(&origin, kind::DNSKEY, 3600, key);
        }
        self.traps = signatures;
    }

    /// Lets every answer bring a record along that nobody asked for, in all its sections.
    pub(crate) fn whisper(&mut self, name: &str, kind: u16, data: &[u8]) {
        let whispered = record(&wire(&path(name)), kind, 86_400, data);
        for section in &mut self.whispers {
            section.push(whispered.clone());
        }
    }

    /// Makes the apex whole: a SOA record, and the key.
    pub(crate) fn found(&mut self, absence_ttl: u32) -> Result<()> {
        let origin = text(&self.origin);
        let mut soa = Vec::new();
        put_name(&mut soa, &format!("ns.{origin}"));
        put_name(&mut soa, &format!("ops.{origin}"));
        for number in [1, 3600, 600, 86_400, absence_ttl] {
            soa.extend_from_slice(&u32::to_be_bytes(number));
        }
        self.add(&origin, kind::SOA, absence_ttl, soa);
        if let Some(dnskey) = self.key.as_ref().map(ZoneKey::dnskey) {
            self.add(&origin, kind::DNSKEY, 3600, dnskey);
        }
        Ok(())
    }

    /// How many labels of `name` this zone is responsible for; `None` when it is not.
    pub(crate) fn covers(&self, asked: &Asked) -> Option<usize> {
        let name = path(&asked.name);
        // The parent has a zone's DS records (RFC 4035 §3.1.4.1).
        let is_parents = asked.kind == kind::DS && name == self.origin && !name.is_empty();
        (name.starts_with(&self.origin) && !is_parents).then_some(self.origin.len())
    }

    pub(crate) fn answer(&self, asked: &Asked) -> Sections {
        let mut sections = self.honest_answer(asked);
        let [answers, authorities, additionals] = &self.whispers;
        sections.answers.extend_from_slice(answers);
        sections.authorities.extend_from_slice(authorities);
        sections.additionals.extend_from_slice(additionals);
        sections
    }

    fn honest_answer(&self, asked: &Asked) -> Sections {
        let name = path(&asked.name);
        let mut sections = Sections::default();
        let signed = asked.wants_signatures && self.key.is_some();
        if let Some(cut) = self.cut(&name, asked.kind) {
            self.refer(&cut, signed, &mut sections);
            return sections;
        }
        sections.is_authoritative = true;
        if let Some(node) = self.nodes.get(&name) {
            let found = if node.contains_key(&asked.kind) { asked.kind } else { kind::CNAME };
            if node.contains_key(&found) {
                self.put(&name, found, signed, &mut sections.answers);
            } else {
                self.put(&self.origin, kind::SOA, signed, &mut sections.authorities);
                self.put_nsec(&name, signed, &mut sections.authorities);
            }
            return sections;
        }
        if self.renamed(&name, signed, &mut sections) {
            return sections;
        }
        let exists_below = self.nodes.keys().any(|below| below.starts_with(&name));
        let closest = self.closest(&name);
        let mut wildcard = closest.clone();
        wildcard.push("*".to_owned());
        if let (false, Some(node)) = (exists_below, self.nodes.get(&wildcard)) {
            let found = if node.contains_key(&asked.kind) { asked.kind } else { kind::CNAME };
            if let Some(set) = node.get(&found) {
                // RFC 4035 §3.1.3.3: with the proof that the name itself does not exist.
                self.put_expanded(&name, &wildcard, found, set, signed, &mut sections.answers);
            } else {
                // RFC 4035 §3.1.3.4: and that the wildcard has no such records.
                self.put(&self.origin, kind::SOA, signed, &mut sections.authorities);
                if self.hashed.is_some() {
                    self.put_nsec(&closest, signed, &mut sections.authorities);
                }
                self.put_nsec(&wildcard, signed, &mut sections.authorities);
            }
            let next_closer = name[..=closest.len()].to_vec();
            if self.hashed.is_some() || node.contains_key(&found) || self.before(&next_closer) != wildcard {
                self.put_absence(&next_closer, signed, &mut sections.authorities);
            }
            return sections;
        }
        self.put(&self.origin, kind::SOA, signed, &mut sections.authorities);
        if exists_below {
            self.put_nsec(&name, signed, &mut sections.authorities);
            return sections;
        }
        sections.code = NAME_ERROR;
        if self.hashed.is_some() {
            self.put_nsec(&closest, signed, &mut sections.authorities);
        }
        self.put_absence(&name[..=closest.len()].to_vec(), signed, &mut sections.authorities);
        if self.hashed.is_some() || self.before(&wildcard) != self.before(&name) {
            self.put_absence(&wildcard, signed, &mut sections.authorities);
        }
        sections
    }

    /// Answers by a DNAME record above the name, if there is one (RFC 6672 §3.2): with the alias that it means.
    fn renamed(&self, name: &Path, signed: bool, sections: &mut Sections) -> bool {
        let above = (self.origin.len()..name.len())
            .map(|length| name[..length].to_vec())
            .find(|above| self.nodes.get(above).is_some_and(|node| node.contains_key(&kind::DNAME)));
        let Some(above) = above else { return false };
        let set = &self.nodes[&above][&kind::DNAME];
        self.put_set(&above, kind::DNAME, set, signed, &mut sections.answers);
        let mut target = wire(&name[above.len()..].to_vec());
        target.pop();
        target.extend_from_slice(&set.data[0]);
        sections.answers.push(record(&wire(name), kind::CNAME, set.ttl, &target));
        true
    }

    /// Puts a wildcard's records under the name that was asked for.
    fn put_expanded(
        &self,
        name: &Path,
        wildcard: &Path,
        kind: u16,
        set: &RecordSet,
        signed: bool,
        section: &mut Vec<Vec<u8>>,
    ) {
        let mut of_wildcard = Vec::new();
        self.put_set(wildcard, kind, set, signed, &mut of_wildcard);
        let (from, to) = (wire(wildcard), wire(name));
        section.extend(of_wildcard.iter().map(|record| [&to[..], &record[from.len()..]].concat()));
    }

    /// The delegation at or above `name`, if it is another zone's.
    fn cut(&self, name: &Path, asked: u16) -> Option<Path> {
        (self.origin.len() + 1..=name.len())
            .map(|length| name[..length].to_vec())
            .find(|above| self.nodes.get(above).is_some_and(|node| node.contains_key(&kind::NS)))
            .filter(|cut| !(asked == kind::DS && cut == name))
    }

    fn refer(&self, cut: &Path, signed: bool, sections: &mut Sections) {
        self.put(cut, kind::NS, false, &mut sections.authorities);
        if signed {
            if self.nodes[cut].contains_key(&kind::DS) {
                self.put(cut, kind::DS, true, &mut sections.authorities);
            } else {
                self.put_nsec(cut, true, &mut sections.authorities);
            }
        }
        for glue in self.nodes.keys().filter(|below| below.starts_with(cut)) {
            for family in [kind::A, kind::AAAA] {
                self.put(glue, family, false, &mut sections.additionals);
            }
        }
    }

    /// Puts a name's records of a type into a section, and their signature.
    fn put(&self, name: &Path, kind: u16, signed: bool, section: &mut Vec<Vec<u8>>) {
        if let Some(set) = self.nodes.get(name).and_then(|node| node.get(&kind)) {
            self.put_set(name, kind, set, signed, section);
        }
    }

    fn put_set(&self, name: &Path, kind: u16, set: &RecordSet, signed: bool, section: &mut Vec<Vec<u8>>) {
        let owner = wire(name);
        section.extend(set.data.iter().map(|data| record(&owner, kind, set.ttl, data)));
        if let (true, Some(key)) = (signed, &self.key) {
            let signer = wire(&self.origin);
            let signed_owner = match self.forced_labels {
                Some(labels) if labels < name.len() => {
                    let mut wildcard = name[..labels].to_vec();
                    wildcard.push("*".to_owned());
                    wire(&wildcard)
                }
                _ => owner.clone(),
            };
            let set = Signable {
                owner_wire: &signed_owner,
                signer_wire: &signer,
                kind,
                ttl: set.ttl,
                data: &set.data,
            };
            let ttl = set.ttl;
            let mut rrsig = key.rrsig(&set, self.lasting_seconds);
            for trap in 0..self.traps {
                let mut wrong = rrsig.clone();
                let at = wrong.len() - 1 - trap % 64;
                wrong[at] ^= 1 << (trap / 64 % 8);
                section.push(record(&owner, kind::RRSIG, ttl, &wrong));
            }
            if let (true, Some(last)) = (self.forged.contains(name), rrsig.last_mut()) {
                *last ^= 1;
            }
            section.push(record(&owner, kind::RRSIG, ttl, &rrsig));
            for (other, _) in self.other_keys.iter().filter(|(_, signs)| *signs && kind == kind::DNSKEY) {
                section.push(record(&owner, kind::RRSIG, ttl, &other.rrsig(&set, self.lasting_seconds)));
            }
        }
    }

    /// Puts the record that covers the place where a name would be that is not there.
    fn put_absence(&self, name: &Path, signed: bool, section: &mut Vec<Vec<u8>>) {
        match self.hashed {
            Some(iterations) if signed => self.put_nsec3(&wire(name), iterations, section),
            _ => self.put_nsec(name, signed, section),
        }
    }

    /// Puts the NSEC3 record that matches a name in wire form or covers its place (RFC 5155 §7.2).
    fn put_nsec3(&self, name: &[u8], iterations: u16, section: &mut Vec<Vec<u8>>) {
        let mut chain: BTreeMap<Vec<u8>, Vec<u16>> = BTreeMap::new();
        for own in self.chain() {
            for length in self.origin.len()..=own.len() {
                let above = own[..length].to_vec();
                let is_cut = above != self.origin
                    && self.nodes.get(&above).is_some_and(|node| node.contains_key(&kind::NS));
                let kinds = self.nodes.get(&above).into_iter().flat_map(BTreeMap::keys).copied();
                let mut kinds: Vec<u16> =
                    kinds.filter(|kind| !is_cut || matches!(*kind, kind::NS | kind::DS)).collect();
                if !kinds.is_empty() && (!is_cut || kinds.contains(&kind::DS)) {
                    kinds.push(kind::RRSIG);
                }
                chain.insert(zone_hashed::hash(&wire(&above), iterations), kinds);
            }
        }
        let wanted = zone_hashed::hash(name, iterations);
        let found = chain.range(..=wanted).next_back().or_else(|| chain.last_key_value());
        let Some((owner, kinds)) = found else { return };
        let next = chain.range(owner.clone()..).nth(1).or_else(|| chain.first_key_value());
        let Some((next, _)) = next else { return };
        let data = zone_hashed::data(iterations, next, &type_bitmap(kinds));
        let mut path = self.origin.clone();
        path.push(zone_hashed::label(owner));
        let head = [&wire(&path)[..], &kind::NSEC3.to_be_bytes()].concat();
        if section.iter().any(|record| record.starts_with(&head)) {
            // One record may prove several things.
            return;
        }
        self.put_set(&path, kind::NSEC3, &RecordSet { ttl: 60, data: vec![data] }, true, section);
    }

    /// Puts the NSEC record that matches `name` or covers the place where it would be (RFC 4034 §4).
    fn put_nsec(&self, name: &Path, signed: bool, section: &mut Vec<Vec<u8>>) {
        if !signed {
            return;
        }
        if let Some(iterations) = self.hashed {
            return self.put_nsec3(&wire(name), iterations, section);
        }
        let owner = self.before(name);
        let next = self.chain().find(|next| **next > owner).unwrap_or(&self.origin);
        let mut data = wire(next);
        let is_cut = owner != self.origin && self.nodes[&owner].contains_key(&kind::NS);
        let mut kinds: Vec<u16> = self.nodes[&owner]
            .keys()
            .copied()
            .filter(|kind| !is_cut || matches!(*kind, kind::NS | kind::DS))
            .collect();
        kinds.extend([kind::RRSIG, kind::NSEC]);
        data.extend(type_bitmap(&kinds));
        self.put_set(&owner, kind::NSEC, &RecordSet { ttl: 60, data: vec![data] }, true, section);
    }

    /// The last name of the zone's own that does not come after `name`.
    fn before(&self, name: &Path) -> Path {
        self.chain().filter(|own| *own <= name).last().unwrap_or(&self.origin).clone()
    }

    /// The names that the zone answers for, in order: all but those below delegations.
    fn chain(&self) -> impl Iterator<Item = &Path> {
        self.nodes.keys().filter(|name| {
            !(self.origin.len() + 1..name.len()).any(|length| {
                self.nodes.get(&name[..length]).is_some_and(|node| node.contains_key(&kind::NS))
            })
        })
    }

    /// The longest existing name above `name` (RFC 4592 §3.3.1).
    fn closest(&self, name: &Path) -> Path {
        (self.origin.len()..name.len())
            .rev()
            .map(|length| name[..length].to_vec())
            .find(|above| self.nodes.keys().any(|own| own.starts_with(above)))
            .unwrap_or_else(|| self.origin.clone())
    }
}

/// One record of a name, as it stands in an answer, for no time.
pub(crate) fn record_of(name: &str, data: &Record) -> Vec<u8> {
    record(&wire(&path(name)), data.kind(), 0, &data.data())
}

pub(crate) fn path(name: &str) -> Path {
    name.trim_end_matches('.')
        .rsplit('.')
        .filter(|label| !label.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

fn text(path: &Path) -> String {
    path.iter().rev().cloned().collect::<Vec<_>>().join(".")
}

fn wire(path: &Path) -> Vec<u8> {
    let mut wire = Vec::new();
    put_name(&mut wire, &text(path));
    wire
}

fn record(owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut wire = owner.to_vec();
    wire.extend_from_slice(&kind.to_be_bytes());
    wire.extend_from_slice(&INTERNET.to_be_bytes());
    wire.extend_from_slice(&ttl.to_be_bytes());
    wire.extend_from_slice(&u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    wire.extend_from_slice(data);
    wire
}
