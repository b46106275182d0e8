//! Milters in a session: asked at each of its steps, in their order, each seeing what those before it have changed.

use std::sync::Arc;

use engines::milter::{ClientAddress, Next, Session};
use mail_types::UnicodeForm;
use message::Date;
use platform::stream::Endpoint;
use sender_auth::iprev::Iprev;
use smtp::command::HelloVerb;
use smtp::server::{Question, RecipientQuestion, SenderQuestion, Step};
use smtp::{MailParameters, RcptParameters, Reply};
use tokio::time::Instant;

use super::replies;
use super::session::Conversation;
use crate::deliver::route::Route;
use crate::engines::engine::Failure;
use crate::engines::filter::{Filter, Talk};
use crate::engines::settings::OnEngineFailure;
use crate::engines::verdicts::Said;
use crate::inspect::client_iprev;

/// The milters of one session.
#[derive(Debug)]
pub(crate) struct Milters {
    members: Vec<Member>,
    /// The name that the client's address proves to have.
    pub(super) host: Option<String>,
    /// How that was found out, in Sendmail's word, where anybody looked.
    resolve: Option<&'static str>,
    /// A message that one of them wants thrown away.
    pub(super) discards: bool,
    /// One of them wants the client to be gone.
    hangs_up: bool,
    /// They were asked about DATA.
    has_asked_data: bool,
}

/// When milters are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moment {
    /// Of the connection, or of something between messages.
    Session,
    /// Of a message.
    Message,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) filter: Arc<Filter>,
    /// None where it does not answer, and is done without.
    pub(super) talk: Option<Talk>,
    /// It did not answer, and without it no mail is taken.
    is_missed: bool,
}

/// What a milter may be told, beside commands.
pub(super) type Facts = Vec<(&'static str, String)>;

/// Facts as commands take them.
pub(super) fn known(facts: &Facts) -> Vec<(&str, &str)> {
    facts.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// What Sendmail calls it.
const fn resolve(iprev: &Iprev) -> &'static str {
    match iprev {
        Iprev::Pass(_) => "OK",
        Iprev::Fail => "FORGED",
        Iprev::NoName => "FAIL",
        Iprev::TempError => "TEMP",
    }
}

/// Parameters of MAIL as a client says them.
fn of_sender(asked: &MailParameters) -> Vec<String> {
    let body = match asked.body {
        smtp::BodyType::SevenBit => None,
        smtp::BodyType::EightBitMime => Some("BODY=8BITMIME".to_owned()),
        smtp::BodyType::BinaryMime => Some("BODY=BINARYMIME".to_owned()),
    };
    [
        asked.size.map(|octets| format!("SIZE={octets}")),
        body,
        asked.smtputf8.then(|| "SMTPUTF8".to_owned()),
        asked.returned.map(|returned| format!("RET={returned}")),
        asked.envelope_id.as_ref().map(|id| format!("ENVID={}", id.to_xtext())),
        asked.require_tls.then(|| "REQUIRETLS".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Parameters of RCPT as a client says them.
fn of_recipient(asked: &RcptParameters) -> Vec<String> {
    let original = asked.original.as_ref();
    [
        asked.notify.map(|notify| format!("NOTIFY={notify}")),
        original.map(|original| format!("ORCPT={}", original.to_parameter(UnicodeForm::Utf8))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Milters {
    /// Asks each; the first that objects has the word. Before MAIL the failure of one is only remembered: a greeting that
    /// asks to try again would be none.
    async fn each(
        &mut self,
        moment: Moment,
        say: impl Fn(&mut Session, &mut Vec<u8>) -> Next,
    ) -> Result<(), Reply> {
        if self.discards {
            return Ok(());
        }
        for member in &mut self.members {
            let Some(talk) = &mut member.talk else { continue };
            let (engine, begun) = (&member.filter.engine, Instant::now());
            let asked = talk.ask(member.filter.command_timeout, &say).await;
            if !matches!(asked, Ok(None)) {
                engine.counts.asked(begun, &asked);
            }
            match asked {
                Ok(verdict) => match engine.hears(verdict) {
                    Said::GoOn => {}
                    Said::Discard => {
                        self.discards = true;
                        return Ok(());
                    }
                    Said::Refuse(reply) => return Err(reply),
                    Said::HangUp(reply) => {
                        self.hangs_up = true;
                        return Err(reply);
                    }
                },
                Err(failure) => {
                    if let (Err(reply), Moment::Message) = (member.fail(&failure), moment) {
                        return Err(reply);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the members out, for the time of a message.
    pub(super) fn take_members(&mut self) -> Vec<Member> {
        std::mem::take(&mut self.members)
    }

    pub(super) fn put_members(&mut self, members: Vec<Member>) {
        self.members = members;
    }

    /// One of them wants the client to be gone.
    pub(super) fn hang_up(&mut self) {
        self.hangs_up = true;
    }

    /// The message under way is over, however it ended.
    fn forget_message(&mut self) {
        self.discards = false;
        self.has_asked_data = false;
        for member in &mut self.members {
            if let Some(talk) = &mut member.talk {
                talk.abort();
            }
        }
    }
}

impl Member {
    async fn meet(filter: &Arc<Filter>) -> Self {
        let talk = filter.meet().await;
        let is_missed = talk.is_err() && filter.engine.on_failure == OnEngineFailure::Defer;
        Self { filter: Arc::clone(filter), talk: talk.ok(), is_missed }
    }

    /// It has failed in the middle of a talk; a reply where mail is not taken without it.
    pub(super) fn fail(&mut self, failure: &Failure) -> Result<(), Reply> {
        self.filter.engine.health.failed(failure);
        self.talk = None;
        self.is_missed = self.filter.engine.on_failure == OnEngineFailure::Defer;
        if self.is_missed { Err(replies::ENGINE_AWAY) } else { Ok(()) }
    }
}

impl Conversation {
    /// The client has come: milters may send it away at once.
    pub(crate) async fn meet_milters(&mut self) -> Result<(), Reply> {
        let engines = Arc::clone(&self.live.engines);
        if !engines.has_filters_for(self.client.listener) {
            return Ok(());
        }
        // Those whose names matter to nobody else are not asked after: this machine, and hosts in front of it.
        let address = self.client.peer.address();
        let named = address.filter(|address| self.live.settings.checks.are_for(Some(*address)));
        let iprev = client_iprev(self.door.rooms.resolver.as_ref(), named).await;
        let host = iprev.as_ref().and_then(Iprev::name).map(|name| name.as_str().to_owned());
        let mut members = Vec::with_capacity(engines.filters.len());
        for filter in &engines.filters {
            members.push(Member::meet(filter).await);
        }
        let milters = Milters {
            members,
            host: host.clone(),
            resolve: iprev.as_ref().map(resolve),
            discards: false,
            hangs_up: false,
            has_asked_data: false,
        };
        self.milters = Some(Box::new(milters));
        let facts = self.facts();
        let address = match self.client.peer {
            Endpoint::Inet(socket) => ClientAddress::Inet(socket),
            Endpoint::Unix => ClientAddress::Unix,
        };
        let host = host.unwrap_or_else(|| match self.client.peer.address() {
            Some(address) => format!("[{address}]"),
            None => "localhost".to_owned(),
        });
        self.ask_each(Moment::Session, |session, out| session.connect(&host, address, &known(&facts), out))
            .await
    }

    /// A greeting, the wish to send octets, or a command that is none.
    pub(crate) async fn ask_milters(&mut self, question: Question) -> Step<Route> {
        let facts = self.facts();
        let verdict = match &question {
            Question::Hello(hello) => {
                self.forget_message_at_milters();
                self.ask_each(Moment::Session, |session, out| session.hello(&hello.name, &known(&facts), out))
                    .await
            }
            Question::Data => self.ask_data_of_milters().await,
            Question::Unknown { line, .. } => {
                self.ask_each(Moment::Session, |session, out| session.unknown(line, out)).await
            }
        };
        if verdict.is_err() && question == Question::Data {
            self.note_refused_data(&verdict);
        }
        self.session.on_asked(question, verdict, &mut self.out)
    }

    fn note_refused_data(&mut self, verdict: &Result<(), Reply>) {
        if let Err(reply) = verdict {
            self.note_refused_message(reply);
        }
    }

    /// DATA, or the end of the last chunk where nobody says DATA.
    pub(super) async fn ask_data_of_milters(&mut self) -> Result<(), Reply> {
        match &mut self.milters {
            Some(milters) if !milters.has_asked_data => milters.has_asked_data = true,
            _ => return Ok(()),
        }
        let facts = self.facts();
        self.ask_each(Moment::Message, |session, out| session.data(&known(&facts), out)).await
    }

    /// MAIL, where nobody else objects.
    pub(crate) async fn ask_milters_of_sender(&mut self, question: &SenderQuestion) -> Result<(), Reply> {
        let Some(milters) = &self.milters else { return Ok(()) };
        if milters.members.iter().any(|member| member.is_missed) {
            return Err(replies::ENGINE_AWAY);
        }
        let address = question.reverse_path.to_string();
        let mut facts = self.facts();
        let host = address.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned();
        facts.extend([
            ("mail_mailer", "esmtp".to_owned()),
            ("mail_host", host),
            ("mail_addr", address.clone()),
        ]);
        let parameters = of_sender(&question.parameters);
        let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
        let path = format!("<{address}>");
        self.ask_each(Moment::Message, |session, out| session.sender(&path, &parameters, &known(&facts), out))
            .await
    }

    /// RCPT, where nobody else objects.
    pub(crate) async fn ask_milters_of_recipient(
        &mut self,
        question: &RecipientQuestion,
        route: &Route,
    ) -> Result<(), Reply> {
        if self.milters.is_none() {
            return Ok(());
        }
        let address = question.forward_path.to_string();
        let mut facts = self.facts();
        let mailer = if route.remote().is_empty() { "local" } else { "esmtp" };
        let host = address.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned();
        facts.extend([
            ("rcpt_mailer", mailer.to_owned()),
            ("rcpt_host", host),
            ("rcpt_addr", address.clone()),
        ]);
        let parameters = of_recipient(&question.parameters);
        let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
        let path = format!("<{address}>");
        self.ask_each(Moment::Message, |session, out| {
            session.recipient(&path, &parameters, &known(&facts), out)
        })
        .await
    }

    /// RCPT that was refused, for those that want to know.
    pub(crate) async fn tell_milters_of_refusal(&mut self, question: &RecipientQuestion, reply: &Reply) {
        if self.milters.is_none() {
            return;
        }
        let mut facts = self.facts();
        facts.extend([
            ("rcpt_mailer", "error".to_owned()),
            ("rcpt_host", reply.status().to_string()),
            ("rcpt_addr", reply.text.clone().into_owned()),
        ]);
        let path = format!("<{}>", question.forward_path);
        // What they say of it changes nothing; one that does not answer is noticed at the next step.
        let _ = self
            .ask_each(Moment::Message, |session, out| session.refused_recipient(&path, &known(&facts), out))
            .await;
    }

    /// The transaction is over.
    pub(crate) fn forget_message_at_milters(&mut self) {
        if let Some(milters) = &mut self.milters {
            milters.forget_message();
        }
    }

    /// Whether one of them wants the client to be gone.
    pub(crate) fn is_hung_up_on(&self) -> bool {
        self.milters.as_ref().is_some_and(|milters| milters.hangs_up)
    }

    /// The client is gone.
    pub(crate) async fn part_from_milters(&mut self) {
        let Some(milters) = self.milters.take() else { return };
        for member in milters.members {
            if let Some(talk) = member.talk {
                talk.end().await;
            }
        }
    }

    async fn ask_each(
        &mut self,
        moment: Moment,
        say: impl Fn(&mut Session, &mut Vec<u8>) -> Next,
    ) -> Result<(), Reply> {
        match &mut self.milters {
            Some(milters) => milters.each(moment, say).await,
            None => Ok(()),
        }
    }

    /// What is known of the session: macros as Sendmail and Postfix call them.
    pub(super) fn facts(&self) -> Facts {
        let settings = &self.live.settings;
        let host = self.milters.as_ref().and_then(|milters| milters.host.clone());
        let address = self.client.peer.address().map(|address| address.to_string());
        let shown = address.as_ref().map(|address| format!("[{address}]")).unwrap_or_default();
        let name = host.clone().unwrap_or_else(|| shown.clone());
        let mut facts: Facts = vec![
            ("j", settings.hostname.as_str().to_owned()),
            ("v", concat!("mailstead ", env!("CARGO_PKG_VERSION")).to_owned()),
            ("_", if host.is_some() { format!("{name} {shown}") } else { shown.clone() }),
            ("daemon_name", self.client.listener.name().to_owned()),
            ("if_name", settings.hostname.as_str().to_owned()),
            ("client_name", host.clone().unwrap_or_else(|| "unknown".to_owned())),
            ("client_ptr", host.unwrap_or_else(|| "unknown".to_owned())),
            ("client_addr", address.unwrap_or_default()),
        ];
        if let Endpoint::Inet(socket) = self.client.peer {
            facts.push(("client_port", socket.port().to_string()));
            let connections = self.door.rooms.guard.connections_of(socket.ip());
            facts.extend(connections.map(|count| ("client_connections", count.to_string())));
        }
        let resolve = self.milters.as_ref().and_then(|milters| milters.resolve);
        facts.extend(resolve.map(|word| ("client_resolve", word.to_owned())));
        let now = Date { unix_seconds: self.door.rooms.clock.now().unix_seconds(), zone_minutes: 0 };
        facts.push(("b", now.format()));
        if let Some(hello) = self.session.hello() {
            facts.push(("s", hello.name.to_string()));
            facts.push(("r", if hello.verb == HelloVerb::Helo { "SMTP" } else { "ESMTP" }.to_owned()));
        }
        if let Endpoint::Inet(socket) = self.client.local {
            facts.push(("if_addr", socket.ip().to_string()));
            facts.push(("daemon_addr", socket.ip().to_string()));
            facts.push(("daemon_port", socket.port().to_string()));
        }
        if let Some(tls) = self.client.tls {
            facts.push(("tls_version", tls.version.replace("TLS", "TLSv")));
            facts.push(("cipher", tls.cipher.to_owned()));
            facts.push(("cipher_bits", if tls.cipher.contains("128") { "128" } else { "256" }.to_owned()));
        }
        if let Some(who) = &self.client.who {
            facts.push(("auth_type", self.client.mechanism.to_owned()));
            facts.push(("auth_authen", who.address().to_string()));
        }
        if let Some(transaction) = &self.transaction {
            facts.push(("i", transaction.id.to_text()));
        }
        facts
    }
}
