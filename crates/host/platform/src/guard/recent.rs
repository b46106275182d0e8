//! A bounded table that forgets what has not been seen for long.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::Hash;

/// Two generations of at most `generation_max` entries. What is touched moves to the young one; when that is full,
/// it becomes the old one and the old is forgotten. So the `generation_max` entries touched last are always there,
/// and each operation takes constant time.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    generation_max: usize,
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
}

impl<K: Hash + Eq + Copy, V> Recent<K, V> {
    pub(super) fn new(generation_max: usize) -> Self {
        Self { generation_max, young: HashMap::default(), old: HashMap::default() }
    }

    /// An entry, if it is remembered; looking counts as seeing it.
    pub(super) fn touch(&mut self, key: K) -> Option<&mut V> {
        if let Some(value) = self.old.remove(&key) {
            self.insert(key, value);
        }
        self.young.get_mut(&key)
    }

    /// An entry, made when it is not remembered.
    pub(super) fn touch_or_insert(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        if let Some(value) = self.old.remove(&key) {
            self.insert(key, value);
        } else {
            self.make_room_for(key);
        }
        self.young.entry(key).or_insert_with(new)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.make_room_for(key);
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: K) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    fn make_room_for(&mut self, key: K) {
        if self.young.len() >= self.generation_max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_latest_and_stays_bounded() {
        let mut recent = Recent::new(10);
        for key in 0..1000 {
            recent.insert(key, key);
            for back in 0..10.min(key) {
                assert!(recent.touch(key - back).is_some(), "{key} {back}");
            }
            assert!(recent.young.len() + recent.old.len() <= 20);
        }
        assert!(recent.touch(900).is_none());
    }

    #[test]
    fn what_is_looked_at_stays() {
        let mut recent = Recent::new(10);
        recent.insert(0, "kept");
        for key in 1..1000 {
            recent.touch_or_insert(key, || "passing");
            assert_eq!(recent.touch(0), Some(&mut "kept"));
        }
        recent.remove(0);
        assert_eq!(recent.touch(0), None);
    }
}
