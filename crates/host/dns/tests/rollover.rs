//! The root rolls its key (RFC 5011), seen over months by a clock that is moved, with restarts in between.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use dns::{Families, LookupError, Mode, Name, Resolver, RootHint, Security, Settings, TrustAnchor};
use platform::clock::{Clock, Timestamp};
use platform::metrics::Metrics;
use testkit::{NameWorld, Record, Signing};

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Story {
    world: NameWorld,
    settings: Settings,
    clock: Clock,
    names: u32,
    _directory: tempfile::TempDir,
}

fn story() -> Result<Story> {
    let mut world = NameWorld::start(Signing::Signed)?;
    world.sign_root_for(400 * 24 * 3600);
    world.zone("test", Signing::Signed)?;
    let directory = tempfile::tempdir()?;
    let settings = Settings {
        mode: Mode::Recursive { root_hints: vec![RootHint(world.root())] },
        trust_anchors: vec![TrustAnchor::RootKey(world.trust_anchor().context("signed")?)],
        trust_anchor_file: Some(directory.path().join("trust-anchors")),
        allowed_servers: vec!["127.0.0.0/8".parse()?],
        server_port: world.port(),
        families: Families::Ipv4,
        ..Settings::default()
    };
    let clock = Clock::settable(Timestamp::from(std::time::SystemTime::now()));
    Ok(Story { world, settings, clock, names: 0, _directory: directory })
}

impl Story {
    fn resolver(&self) -> Result<Resolver> {
        Ok(Resolver::new(&self.settings, self.clock.clone(), &Metrics::default())?)
    }

    fn file(&self) -> &Path {
        self.settings.trust_anchor_file.as_deref().unwrap_or(Path::new(""))
    }

    fn remembered(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.file())?)
    }

    /// What a resolver that has just been started, or has gone on, says of a name that it has not been asked for yet.
    async fn verdict(&mut self, resolver: &Resolver) -> Result<Result<Security, LookupError>> {
        self.names += 1;
        let name = format!("name{}.test", self.names);
        self.world.add(&name, &Record::Text("here".into()));
        Ok(resolver.txt(&Name::parse(&name)?).await.map(|answer| answer.security))
    }
}

#[tokio::test]
async fn the_root_rolls_its_key_and_everything_stays_proven() -> Result<()> {
    let mut story = story()?;
    let resolver = story.resolver()?;
    let wait = resolver.look_at_keys().await?;
    assert_eq!(wait, DAY / 24, "half of the set's hour, but an hour at least");
    assert!(!story.file().exists(), "nothing has changed");

    // The new key is told of long before it is used.
    story.world.publish_root_key()?;
    resolver.look_at_keys().await?;
    assert!(story.remembered()?.contains("learned pending"), "{}", story.remembered()?);
    story.clock.advance(15 * DAY);
    story.resolver()?.look_at_keys().await?;
    story.clock.advance(14 * DAY);
    let restarted = story.resolver()?;
    restarted.look_at_keys().await?;
    assert!(story.remembered()?.contains("learned pending"));
    story.clock.advance(2 * DAY);
    restarted.look_at_keys().await?;
    assert!(story.remembered()?.contains("learned valid"));
    assert_eq!(story.verdict(&restarted).await?, Ok(Security::Secure));

    // It takes over, and the former one revokes itself.
    story.world.roll_root_key(true);
    assert_eq!(story.verdict(&restarted).await?, Ok(Security::Secure), "before anybody has looked again");
    restarted.look_at_keys().await?;
    assert!(story.remembered()?.contains("configured revoked"), "{}", story.remembered()?);
    assert_eq!(story.verdict(&restarted).await?, Ok(Security::Secure));
    // The configuration still names the former key alone; what was learned stays learned.
    let later = story.resolver()?;
    assert_eq!(story.verdict(&later).await?, Ok(Security::Secure));
    story.world.withdraw_root_keys();
    story.clock.advance(31 * DAY);
    later.look_at_keys().await?;
    assert!(story.remembered()?.contains("configured removed"), "{}", story.remembered()?);
    // Nor does one that knows nothing of all that believe the new key.
    std::fs::remove_file(story.file())?;
    let stranger = story.resolver()?;
    assert!(matches!(story.verdict(&stranger).await?, Err(LookupError::Bogus(_))));
    Ok(())
}

#[tokio::test]
async fn a_revoked_key_proves_nothing_any_more() -> Result<()> {
    let mut story = story()?;
    let resolver = story.resolver()?;
    // Revoked before another key was ready: nothing can be proven, and nothing is believed.
    story.world.publish_root_key()?;
    resolver.look_at_keys().await?;
    story.world.roll_root_key(true);
    resolver.look_at_keys().await?;
    assert!(story.remembered()?.contains("configured revoked"));
    for resolver in [resolver, story.resolver()?] {
        assert!(matches!(story.verdict(&resolver).await?, Err(LookupError::Bogus(_))));
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_takes_over_before_its_time_is_not_believed() -> Result<()> {
    let mut story = story()?;
    let resolver = story.resolver()?;
    story.world.publish_root_key()?;
    resolver.look_at_keys().await?;
    story.clock.advance(29 * DAY);
    story.world.roll_root_key(false);
    // The set is signed by a key that nobody trusts: it says nothing, however long it stands.
    for _ in 0..3 {
        resolver.look_at_keys().await?;
        story.clock.advance(20 * DAY);
    }
    let restarted = story.resolver()?;
    assert!(matches!(story.verdict(&restarted).await?, Err(LookupError::Bogus(_))));
    Ok(())
}

#[tokio::test]
async fn a_key_that_was_withdrawn_waits_anew() -> Result<()> {
    let story = story()?;
    let resolver = story.resolver()?;
    story.world.publish_root_key()?;
    resolver.look_at_keys().await?;
    story.clock.advance(20 * DAY);
    story.world.withdraw_root_keys();
    resolver.look_at_keys().await?;
    assert!(!story.remembered()?.contains("pending"), "{}", story.remembered()?);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_remembered_is_not_taken_up_and_a_broken_file_is_none() -> Result<()> {
    let mut story = story()?;
    std::fs::write(story.file(), "no keys\n")?;
    let resolver = story.resolver()?;
    assert_eq!(story.verdict(&resolver).await?, Ok(Security::Secure));
    story.settings.trust_anchor_file = Some(story.file().join("not a directory"));
    let resolver = story.resolver()?;
    story.world.publish_root_key()?;
    assert!(resolver.look_at_keys().await.is_err());
    Ok(())
}

#[tokio::test]
async fn whoever_asks_nothing_looks_at_no_keys() -> Result<()> {
    let mut story = story()?;
    story.world.publish_root_key()?;
    let resolver = story.resolver()?;
    let tasks = platform::tasks::Tasks::new(&Metrics::default());
    tasks.spawn("dns", resolver.clone().tend(tasks.shutdown()));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(story.world.asked_anywhere(), []);
    // The first question brings the first look.
    assert_eq!(story.verdict(&resolver).await?, Ok(Security::Secure));
    let began = std::time::Instant::now();
    while !story.file().exists() {
        anyhow::ensure!(began.elapsed() < Duration::from_secs(10), "nobody looks");
        tokio::task::yield_now().await;
    }
    assert!(story.remembered()?.contains("learned pending"));
    assert_eq!(tasks.drain(Duration::from_secs(5)).await.aborted, 0);
    Ok(())
}

#[tokio::test]
async fn a_root_that_does_not_answer_changes_nothing() -> Result<()> {
    let mut story = story()?;
    story.settings.bounds.question_time_max = Duration::from_millis(300);
    let resolver = story.resolver()?;
    story.world.set_humour(story.world.root().ip(), testkit::Humour::Silent);
    assert!(resolver.look_at_keys().await.is_err());
    assert!(!story.file().exists());
    Ok(())
}
