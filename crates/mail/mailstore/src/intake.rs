//! A message on its way in: octets are packed and scanned while they arrive, then filed by `deliver` or `append`.

use crate::error::StoreError;

/// Takes a message's octets as they come.
#[derive(Debug)]
pub struct Intake {
    octets: u64,
}

/// A message whose octets have all come, filed nowhere yet; forgotten when dropped.
#[derive(Debug)]
pub struct Arriving {
    octets: u64,
    summary: message::Summary,
}

impl Intake {
    /// Takes the next octets.
    ///
    /// # Errors
    /// [`StoreError::Full`], or what the disk says.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), StoreError> {
        self.octets += octets.len() as u64;
        Ok(())
    }

    /// How many octets came so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The message is whole.
    ///
    /// # Errors
    /// [`StoreError::Full`], or what the disk says.
    pub async fn finish(self) -> Result<Arriving, StoreError> {
        let summary = message::Scanner::new(message::Limits::default()).finish();
        Ok(Arriving { octets: self.octets, summary })
    }
}

impl Arriving {
    /// The message's length.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// What the scan of the message found.
    #[must_use]
    pub fn summary(&self) -> &message::Summary {
        &self.summary
    }
}
