//! One connection from greeting to farewell. The page of the ManageSieve door: read it first.

use std::net::IpAddr;
use std::sync::Arc;

use directory::Authenticated;
use directory::sasl::Channel;
use mailstore::{Account, StoreError};
use managesieve::{BadCommand, Command, Place, Received};
use platform::guard::Offence;
use platform::lines::{Wire, WireError};
use platform::listener::Accepted;
use platform::metrics::GaugeHold;
use platform::tasks::Shutdown;
use tokio::time::Instant;

use super::connection::Connection;
use super::replies::{Done, Ending, Farewell, Refusal, Stop};
use super::{Door, ScriptSettings, capability, login, scripts};
use crate::login::Admitted;
use crate::security::{Security, bound, secure};
use crate::sessions::SessionPlace;

/// A client, whoever it is.
pub(crate) struct Client {
    pub(crate) door: Arc<Door>,
    pub(crate) settings: Arc<ScriptSettings>,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) channel: Channel,
    pub(crate) connection: Connection,
    /// Who has logged in, if anybody.
    pub(crate) person: Option<Person>,
    /// Until when somebody must have logged in.
    login_deadline: Instant,
    shutdown: Shutdown,
}

/// Somebody who has logged in.
pub(crate) struct Person {
    who: Authenticated,
    pub(crate) account: Account,
    _counted: GaugeHold,
    _place: SessionPlace,
}

/// What a command came to.
enum Progress {
    /// It was answered.
    Answered,
    /// TLS must be started now; the OK was written.
    StartTls,
}

/// Serves a connection to its end.
pub(crate) async fn run(door: Arc<Door>, accepted: Accepted, security: Security) {
    let Accepted { stream, peer, visit, shutdown, .. } = accepted;
    let settings = door.settings.load_full();
    let Some((stream, channel)) =
        secure(door.rooms.acceptor.as_ref(), stream, security, (&door.rooms.guard, peer.address())).await
    else {
        return;
    };
    let wire = Wire::new(stream, Connection::wire_settings(settings.write_timeout));
    let client = Client {
        peer: peer.address(),
        channel,
        connection: Connection::new(wire),
        person: None,
        login_deadline: Instant::now() + settings.login_timeout,
        shutdown,
        settings,
        door,
    };
    if let Some((client, ending)) = Box::pin(serve(client)).await {
        client.tell_guard(&ending);
        client.part(ending).await;
    }
    drop(visit);
}

/// Commands, one after the other, until the session ends; `None` when there is nobody left to say goodbye to.
async fn serve(mut client: Client) -> Option<(Client, Ending)> {
    client.greet();
    let mut mistakes = 0_u32;
    loop {
        let progress = match client.next().await {
            Ok(Received::Command(command)) => client.obey(*command).await,
            Ok(Received::Bad(BadCommand::OutOfStep)) => Err(Ending::Bye(Farewell::OutOfStep).into()),
            Ok(Received::Bad(bad)) => Err(Refusal::Unreadable(bad).into()),
            // The receiver gives neither: nothing of the kind was asked for.
            Ok(Received::Response(_) | Received::NeedMore) => Err(Ending::Bye(Farewell::OutOfStep).into()),
            Err(ending) => Err(ending.into()),
        };
        match progress {
            Ok(Progress::Answered) => mistakes = 0,
            Ok(Progress::StartTls) => client = start_tls(client).await?,
            Err(Stop::Refused(refusal)) => {
                report(&refusal);
                refusal.write(client.connection.wire.output());
                mistakes += u32::from(refusal.is_clients_mistake());
                if mistakes >= client.settings.errors_max {
                    return Some((client, Ending::Bye(Farewell::TooManyErrors)));
                }
            }
            Err(Stop::Ended(ending)) => return Some((client, ending)),
        }
    }
}

/// Takes the wire apart and lays TLS between. What the client sent in clear behind its STARTTLS is never read
/// (CVE-2011-0411), and all that was told to it is told again (RFC 5804 §2.2).
async fn start_tls(client: Client) -> Option<Client> {
    let Client { door, settings, connection, .. } = client;
    let acceptor = door.rooms.acceptor.as_ref()?;
    let (wire_settings, first) = (Connection::wire_settings(settings.write_timeout), connection.first);
    match acceptor.start_tls(connection.wire, wire_settings).await {
        Ok((wire, session)) => {
            let mut connection = Connection::new(wire);
            connection.first = first;
            let mut client = Client { channel: bound(session), connection, door, settings, ..client };
            client.greet();
            Some(client)
        }
        Err(error) => {
            tracing::info!(%error, "TLS handshake failed");
            None
        }
    }
}

impl Client {
    /// What the guard should know of how a session ended.
    fn tell_guard(&self, ending: &Ending) {
        let offence = match ending {
            // Who has logged in is no stranger.
            _ if self.person.is_some() => return,
            _ if self.connection.first.is_foreign() => Offence::Probe,
            Ending::Bye(Farewell::TooManyErrors | Farewell::OutOfStep) => Offence::Abuse,
            Ending::Wire(_) | Ending::Bye(Farewell::LoginTooSlow) if !self.connection.first.has_spoken() => {
                Offence::Silence
            }
            Ending::Wire(_) | Ending::Bye(_) | Ending::Logout => return,
        };
        self.door.rooms.guard.offended(self.peer, offence);
    }

    /// The capabilities and an OK: the greeting, and the answer to CAPABILITY.
    fn greet(&mut self) {
        self.tell_capabilities();
        Done::Plain("mailstead is ready").write(self.connection.wire.output());
    }

    fn tell_capabilities(&mut self) {
        let mechanisms = self.door.rooms.directory.mechanisms(&self.channel);
        let situation = capability::Situation {
            mechanisms: &mechanisms,
            may_start_tls: self.may_start_tls(),
            owner: self.person.as_ref().map(|person| person.who.address().to_string()),
            dialect: &self.settings.dialect,
        };
        capability::write(self.connection.wire.output(), &situation);
    }

    fn may_start_tls(&self) -> bool {
        let is_possible = !matches!(self.channel, Channel::Tls(_)) && self.door.rooms.acceptor.is_some();
        is_possible && self.person.is_none()
    }

    /// Waits for what comes next, and hears of what ends the session.
    pub(crate) async fn next(&mut self) -> Result<Received, Ending> {
        let mut people = self.door.rooms.directory.changes();
        self.check_account()?;
        let (deadline, silence) = match self.person {
            None => (self.login_deadline, Farewell::LoginTooSlow),
            Some(_) => (Instant::now() + self.settings.idle_timeout, Farewell::Silent),
        };
        loop {
            tokio::select! {
                // Cancelling loses nothing: octets read and not taken stay in the wire.
                received = self.connection.receive(deadline) => return received.map_err(|error| match error {
                    WireError::ReadTimeout => Ending::Bye(silence),
                    error => Ending::Wire(error),
                }),
                // Nothing to lose.
                () = self.shutdown.triggered() => return Err(Ending::Bye(Farewell::Shutdown)),
                // Nothing to lose: the generation is read anew.
                Ok(()) = people.changed() => self.check_account()?,
            }
        }
    }

    /// Whether the person may go on, if there is one.
    fn check_account(&self) -> Result<(), Ending> {
        let is_current = |person: &Person| self.door.rooms.directory.is_current(&person.who);
        if self.person.as_ref().is_none_or(is_current) {
            return Ok(());
        }
        Err(Ending::Bye(Farewell::AccountClosed))
    }

    /// Carries a command out and answers it.
    async fn obey(&mut self, command: Command) -> Result<Progress, Stop> {
        match (command.place(), &self.person) {
            (Place::AfterLogin, None) => return Err(Refusal::LogInFirst.into()),
            (Place::BeforeLogin, Some(_)) => return Err(Refusal::LoggedInAlready.into()),
            _ => {}
        }
        let mut progress = Progress::Answered;
        let done = match command {
            Command::StartTls if self.may_start_tls() => {
                progress = Progress::StartTls;
                Done::Plain("Begin TLS negotiation now")
            }
            Command::StartTls => return Err(Refusal::NoTls.into()),
            Command::Authenticate { mechanism, initial_response } => {
                let (admitted, last) = login::authenticate(self, &mechanism, initial_response).await?;
                self.enter(*admitted);
                Done::LoggedIn(last)
            }
            Command::Logout => {
                Done::Plain("Goodbye").write(self.connection.wire.output());
                return Err(Ending::Logout.into());
            }
            Command::Capability => {
                self.tell_capabilities();
                Done::Plain("That is all")
            }
            Command::Noop(tag) => Done::Noop(tag),
            Command::Unauthenticate => {
                self.leave();
                Done::Plain("Nobody is logged in")
            }
            command => self.about_scripts(command).await?,
        };
        done.write(self.connection.wire.output());
        Ok(progress)
    }

    async fn about_scripts(&mut self, command: Command) -> Result<Done, Refusal> {
        let desk = self.desk()?;
        match command {
            Command::HaveSpace { name, octets } => desk.have_space(&name, octets),
            Command::PutScript { name, script } => desk.put(&name, script).await,
            Command::CheckScript(script) => desk.check(script).await,
            Command::SetActive(name) => desk.set_active(name.as_ref()).await,
            Command::DeleteScript(name) => desk.delete(&name).await,
            Command::RenameScript { from, to } => desk.rename(&from, &to).await,
            Command::ListScripts => {
                let account = desk.account.clone();
                scripts::list(&mut self.connection.wire, &account)
            }
            Command::GetScript(name) => {
                let account = desk.account.clone();
                scripts::get(&mut self.connection.wire, &account, &name).await
            }
            // Answered before it came here.
            Command::Authenticate { .. }
            | Command::StartTls
            | Command::Logout
            | Command::Capability
            | Command::Noop(_)
            | Command::Unauthenticate => Err(Refusal::LoggedInAlready),
        }
    }

    fn enter(&mut self, Admitted { who, account, place }: Admitted) {
        let counted = self.door.counts.sessions.hold();
        self.person = Some(Person { who, account, _counted: counted, _place: place });
        self.connection.trust(self.settings.limits.script_octets_max);
    }

    /// UNAUTHENTICATE: all but TLS is as it was at the greeting (RFC 5804 §2.14.1).
    fn leave(&mut self) {
        self.person = None;
        self.login_deadline = Instant::now() + self.settings.login_timeout;
        self.connection.distrust();
    }

    /// Says goodbye, as far as there is somebody to say it to.
    async fn part(mut self, ending: Ending) {
        match ending {
            Ending::Bye(farewell) => {
                tracing::info!(why = ?farewell, "session ended by the server");
                farewell.write(self.connection.wire.output());
            }
            Ending::Logout => {}
            Ending::Wire(error) => {
                tracing::debug!(%error, "connection lost");
                return;
            }
        }
        drop(self.person);
        self.connection.wire.close().await;
    }
}

/// What the operator must know of a refusal.
fn report(refusal: &Refusal) {
    let Refusal::Store(error) = refusal else { return };
    match error {
        StoreError::Io { .. } | StoreError::Corrupt(_) => {
            tracing::error!(error = error as &dyn std::error::Error, "the store failed a command");
        }
        StoreError::Full => tracing::warn!("a command was refused: the disk is short of room"),
        _ => {}
    }
}
