//! clamd: a message goes to it in pieces; that it found nothing in the same content before is remembered, until its
//! signatures change.

use std::collections::HashMap;
use std::time::Duration;

use engines::clamd::{self, Answer, AnswerReader};
use mailstore::HeldReader;
use parking_lot::Mutex;
use platform::lines::WireError;
use platform::metrics::Metrics;
use storage::Hash;
use storage::blake3::Hasher;
use tokio::time::Instant;

use super::engine::{Engine, Failure, Link};
use super::rewrite::Held;
use super::settings::ClamdSettings;

/// Clean contents that are remembered: some dozens of octets each.
const REMEMBERED_MAX: usize = 4_096;
/// Fields that make a difference, beside `Content-…`.
const LOOKED_AT: [&[u8]; 4] = [b"mime-version", b"from", b"reply-to", b"subject"];
/// How long a version is taken for granted.
const VERSION_TIME: Duration = Duration::from_secs(60);

/// clamd, and what it has found.
#[derive(Debug)]
pub(crate) struct Clamd {
    pub(crate) engine: Engine,
    pub(crate) settings: ClamdSettings,
    remembered: Mutex<Remembered>,
}

/// What clamd says of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Finding {
    Clean,
    Virus(String),
    TooLarge,
}

#[derive(Debug, Default)]
struct Remembered {
    version: String,
    asked: Option<Instant>,
    /// What is clean, and when it was last used.
    clean: HashMap<Hash, u64>,
    /// Grows with each use.
    uses: u64,
}

impl Clamd {
    pub(crate) fn new(settings: ClamdSettings, metrics: &Metrics) -> Self {
        let engine = Engine::scanner("clamd", &settings.scanner, metrics);
        Self { engine, settings, remembered: Mutex::default() }
    }

    /// What it says of a message that waits.
    pub(crate) async fn scan(&self, reader: &HeldReader) -> Result<Finding, Failure> {
        let deadline = Instant::now() + self.settings.scanner.timeout;
        self.engine.ask(deadline, self.look(reader, deadline)).await
    }

    async fn look(&self, reader: &HeldReader, deadline: Instant) -> Result<Finding, Failure> {
        self.learn_version(deadline).await?;
        let hash = hash_of(reader).await?;
        let (is_clean, version) = {
            let mut remembered = self.remembered.lock();
            (remembered.recall(hash), remembered.version.clone())
        };
        if is_clean {
            return Ok(Finding::Clean);
        }
        let finding = match send(self.engine.connect(deadline).await?, reader, deadline).await? {
            Answer::Clean => Finding::Clean,
            Answer::Found(name) => Finding::Virus(name),
            Answer::TooLarge => return Ok(Finding::TooLarge),
            Answer::Failed(why) => return Err(Failure::Failed(why)),
            Answer::Pong | Answer::Version(_) => return Err(engines::Nonsense::OutOfPlace.into()),
        };
        // A signature may look at any field: what it finds must not count against others with the same body.
        if finding == Finding::Clean {
            self.remembered.lock().keep(&version, hash);
        }
        Ok(finding)
    }

    async fn learn_version(&self, deadline: Instant) -> Result<(), Failure> {
        let is_known = |asked: Instant| asked.elapsed() < VERSION_TIME;
        if self.remembered.lock().asked.is_some_and(is_known) {
            return Ok(());
        }
        let mut link = self.engine.connect(deadline).await?;
        link.wire.put(clamd::VERSION);
        link.wire.flush().await?;
        match listen(&mut link, deadline).await? {
            Answer::Version(version) => self.remembered.lock().learn(version),
            Answer::Failed(why) => return Err(Failure::Failed(why)),
            _ => return Err(engines::Nonsense::OutOfPlace.into()),
        }
        Ok(())
    }
}

impl Remembered {
    fn learn(&mut self, version: String) {
        if self.version != version {
            self.clean.clear();
            self.version = version;
        }
        self.asked = Some(Instant::now());
    }

    /// Whether something is known to be clean.
    fn recall(&mut self, hash: Hash) -> bool {
        self.uses += 1;
        let uses = self.uses;
        self.clean.get_mut(&hash).map(|used| *used = uses).is_some()
    }

    /// Remembers that the signatures of a version find nothing, if they are still those.
    fn keep(&mut self, version: &str, hash: Hash) {
        if self.version != version {
            return;
        }
        if self.clean.len() >= REMEMBERED_MAX && !self.clean.contains_key(&hash) {
            let oldest = self.clean.iter().min_by_key(|(_, used)| **used).map(|(hash, _)| *hash);
            oldest.map(|oldest| self.clean.remove(&oldest));
        }
        self.uses += 1;
        self.clean.insert(hash, self.uses);
    }
}

/// What makes two messages the same to a scanner: the body, the fields that say how to read it, and those that signatures of
/// fraud look at.
async fn hash_of(reader: &HeldReader) -> Result<Hash, Failure> {
    let (held, header) = Held::open(reader.clone()).await?;
    let mut hasher = Hasher::new();
    for (name, value) in header.each() {
        let name = name.to_ascii_lowercase();
        if name.starts_with(b"content-") || LOOKED_AT.contains(&name.as_slice()) {
            hasher.update(&[&name[..], b":", value, b"\n"].concat());
        }
    }
    hasher.update(b"\n");
    let mut at = held.body_at;
    loop {
        let piece = reader.read(at..u64::MAX).await?;
        if piece.is_empty() {
            return Ok(hasher.finalize());
        }
        at += piece.len() as u64;
        hasher.update(&piece);
    }
}

async fn send(mut link: Link, reader: &HeldReader, deadline: Instant) -> Result<Answer, Failure> {
    let sent = write(&mut link, reader).await;
    // It may have said that the message is too large, and hung up, before all of it was sent.
    match (sent, listen(&mut link, deadline).await) {
        (_, Ok(answer)) => Ok(answer),
        (Err(failure), Err(_)) | (Ok(()), Err(failure)) => Err(failure),
    }
}

async fn write(link: &mut Link, reader: &HeldReader) -> Result<(), Failure> {
    link.wire.put(clamd::BEGIN);
    let mut at = 0;
    loop {
        let piece = reader.read(at..u64::MAX).await?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        clamd::write_piece(&piece, link.wire.output());
        link.wire.relieve().await?;
    }
    link.wire.put(&clamd::END);
    Ok(link.wire.flush().await?)
}

async fn listen(link: &mut Link, deadline: Instant) -> Result<Answer, Failure> {
    let mut answer = AnswerReader::default();
    loop {
        let wire = &mut link.wire;
        wire.fill_until(deadline).await.map_err(|error| match error {
            WireError::ReadTimeout => Failure::TooSlow,
            error => error.into(),
        })?;
        let found = answer.take(wire.input())?;
        let octets = wire.input().len();
        wire.consume(octets);
        if let Some(found) = found {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: usize) -> Hash {
        storage::blake3::hash(&number.to_be_bytes())
    }

    #[test]
    fn what_was_found_is_forgotten_with_the_signatures() {
        let mut remembered = Remembered::default();
        remembered.learn("one".into());
        remembered.keep("one", hash(1));
        remembered.learn("one".into());
        assert!(remembered.recall(hash(1)));
        remembered.learn("two".into());
        assert!(!remembered.recall(hash(1)));
        remembered.keep("one", hash(1));
        assert!(!remembered.recall(hash(1)));
    }

    #[test]
    fn what_is_used_least_lately_makes_room() {
        let mut remembered = Remembered::default();
        for number in 0..REMEMBERED_MAX {
            remembered.keep("", hash(number));
        }
        assert!(remembered.recall(hash(0)));
        remembered.keep("", hash(REMEMBERED_MAX));
        assert_eq!(remembered.clean.len(), REMEMBERED_MAX);
        assert!(remembered.recall(hash(0)));
        assert!(!remembered.recall(hash(1)));
        assert!(remembered.recall(hash(REMEMBERED_MAX)));
    }
}
