//! What a model's octets lie in: memory of the program's own, or anything else that is read and written at a place.

/// Octets that are read at a place. What lies behind their end is nothing: there `to` stays as it is.
pub trait Octets {
    /// How many there are.
    fn count(&self) -> usize;

    /// Copies those from `start` on.
    fn get(&self, start: usize, to: &mut [u8]);
}

/// Octets that are written at a place too. What would lie behind their end is not written.
pub trait OctetsMut: Octets {
    /// Writes some from `start` on.
    fn set(&mut self, start: usize, octets: &[u8]);
}

impl<T: AsRef<[u8]>> Octets for T {
    fn count(&self) -> usize {
        self.as_ref().len()
    }

    fn get(&self, start: usize, to: &mut [u8]) {
        let here = self.as_ref().get(start..).unwrap_or_default();
        to.iter_mut().zip(here).for_each(|(to, from)| *to = *from);
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> OctetsMut for T {
    fn set(&mut self, start: usize, octets: &[u8]) {
        let here = self.as_mut().get_mut(start..).unwrap_or_default();
        here.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
    }
}
