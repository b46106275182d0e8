//! A disk that fills up while mail waits and leaves: nothing is lost, nothing leaves twice, nothing new is taken, and all goes
//! on when there is room again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use testkit::{Exchanger, Internet, Phase, Server, ServerOptions, Whim};

use super::{ann_sends, count, inbox, json, message, queued, wait_until, wait_until_queue_is_empty};
use crate::faults::SmallDisk;

/// Messages that wait when the disk fills up.
const WAITING: usize = 40;
/// Octets of each.
const OCTETS: usize = 200_000;

/// A server on a disk that is full as long as [`Self::make_room`] was not called.
struct Crowded {
    _disk: SmallDisk,
    internet: Internet,
    far: Exchanger,
    server: Server,
    filler: PathBuf,
}

impl Crowded {
    fn new(disk: SmallDisk) -> Result<Self> {
        let mut internet = Internet::start()?;
        let far = internet.domain("far.example")?;
        far.refuse("nobody@far.example", "550 5.1.1 unheard of");
        let settings = format!(
            "{}[store]\nfree_octets_min = \"8M\"\npack_octets = \"1M\"\n",
            internet.settings("idle_wait = 0", "")
        );
        let place = Some(disk.path().into());
        let server = Server::start(ServerOptions { settings, place, ..ServerOptions::default() })?;
        let filler = disk.path().join("filler");
        Ok(Self { _disk: disk, internet, far, server, filler })
    }

    /// Takes the last octet of the disk.
    fn fill(&self) -> Result<()> {
        let mut file = File::options().create(true).append(true).open(&self.filler)?;
        while file.write_all(&[0; 65_536]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        Ok(std::fs::remove_file(&self.filler)?)
    }

    /// Demands that people who submit now are put off.
    fn takes_nothing(&self) -> Result<()> {
        let told = ann_sends(&self.server, &["eve@far.example"], "during@example.test");
        let told = format!("{:#}", told.err().context("it was taken on a full disk")?);
        ensure!(told.contains("452"), "{told}");
        Ok(())
    }

    fn submit_all(&self) -> Result<BTreeSet<String>> {
        let mut submission = self.server.submission(Server::ANN)?;
        let line = |number: usize| {
            format!("{number:08x}{:08x}\r\n", number.wrapping_mul(2_654_435_761) & 0xffff_ffff)
        };
        let filler: String = (0..OCTETS / 18).map(line).collect();
        (0..WAITING)
            .map(|number| {
                let id = format!("{number}@example.test");
                let text = format!("{}{filler}", message(&id));
                submission.send(Server::ANN, &["eve@far.example"], text.as_bytes())?;
                Ok(id)
            })
            .collect()
    }

    /// Each of these has arrived, once.
    fn each_has_arrived_once(&self, ids: &BTreeSet<String>) -> Result<()> {
        let counts = self.far.counts();
        let arrived: BTreeSet<String> = counts.keys().cloned().collect();
        ensure!(&arrived == ids && counts.values().all(|&times| times == 1), "{counts:?}");
        Ok(())
    }
}

#[test]
fn mail_waits_on_a_full_disk_and_leaves_when_there_is_room_again() -> Result<()> {
    let Some(disk) = SmallDisk::make("64m")? else { return Ok(()) };
    let mut scene = Crowded::new(disk)?;
    scene.far.down()?;
    let mut ids = scene.submit_all()?;
    ann_sends(&scene.server, &["nobody@far.example"], "refused@example.test")?;
    scene.fill()?;
    scene.takes_nothing()?;
    // The host comes up while there is no place to note what becomes of the mail.
    scene.far.up()?;
    scene.far.wait_for_connections(scene.far.connections() + 1)?;
    wait_until("all of it has left", &scene.server, || Ok(scene.far.received().len() >= WAITING))?;
    scene.each_has_arrived_once(&ids)?;
    scene.takes_nothing()?;
    ensure!(count(&scene.server, Server::ANN)? == 0, "a report was filed on a full disk");
    scene.make_room()?;
    let report = &inbox(&scene.server, Server::ANN, 1)?[0];
    ensure!(report.contains("refused@example.test") && report.contains("unheard of"), "{report}");
    wait_until_queue_is_empty(&scene.server)?;
    ann_sends(&scene.server, &["eve@far.example"], "after@example.test")?;
    ids.insert("after@example.test".into());
    wait_until_queue_is_empty(&scene.server)?;
    // Nothing of it comes back in another life.
    scene.server.stop()?;
    scene.server.up()?;
    ensure!(queued(&scene.server)?.is_empty());
    scene.each_has_arrived_once(&ids)?;
    ensure!(count(&scene.server, Server::ANN)? == 1);
    ensure!(scene.server.command(&["verify"])?.contains(" 0 faults"));
    drop(scene.internet);
    Ok(())
}

#[test]
fn a_disk_that_fills_up_while_mail_leaves_loses_and_doubles_nothing() -> Result<()> {
    let Some(disk) = SmallDisk::make("64m")? else { return Ok(()) };
    let scene = Crowded::new(disk)?;
    // Every other recipient is put off once, so that there is more to note than that all went well.
    scene.far.plan(Phase::Recipient, Whim::Says("450 4.2.0 Later".into()), WAITING as u64 / 2);
    scene.far.down()?;
    let ids = scene.submit_all()?;
    scene.far.up()?;
    scene.server.command(&["queue", "retry", "--all"])?;
    scene.far.wait_for(3)?;
    scene.fill()?;
    scene.takes_nothing()?;
    wait_until("all of it has left", &scene.server, || Ok(scene.far.received().len() >= WAITING))?;
    scene.make_room()?;
    wait_until_queue_is_empty(&scene.server)?;
    scene.each_has_arrived_once(&ids)?;
    ensure!(json(&scene.server, &["queue", "status"])?["messages"] == 0);
    ensure!(count(&scene.server, Server::ANN)? == 0);
    ensure!(scene.server.command(&["verify"])?.contains(" 0 faults"));
    Ok(())
}

#[test]
fn a_kill_on_a_full_disk_loses_nothing() -> Result<()> {
    let Some(disk) = SmallDisk::make("64m")? else { return Ok(()) };
    let mut scene = Crowded::new(disk)?;
    scene.far.down()?;
    let ids = scene.submit_all()?;
    scene.fill()?;
    scene.far.up()?;
    wait_until("some of it has left", &scene.server, || Ok(scene.far.received().len() >= 3))?;
    // What left could not be noted: a second copy may go out in the next life, but none is lost.
    scene.server.kill()?;
    scene.far.set_era(1);
    scene.make_room()?;
    scene.server.up()?;
    wait_until_queue_is_empty(&scene.server)?;
    let counts = scene.far.counts();
    let arrived: BTreeSet<String> = counts.keys().cloned().collect();
    ensure!(arrived == ids, "{arrived:?}");
    let mut seen = BTreeSet::new();
    for received in scene.far.received() {
        ensure!(
            seen.insert((received.message_id(), received.era)),
            "{} twice in one life",
            received.message_id()
        );
    }
    ensure!(count(&scene.server, Server::ANN)? == 0);
    ensure!(scene.server.command(&["verify"])?.contains(" 0 faults"));
    Ok(())
}
