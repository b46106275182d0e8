//! Another mail host on loopback: polite, unless it is told otherwise for what it hears.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use platform::stream::Stream;
use tls::Acceptor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;

/// What a host answers in place of its polite answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// These words; without a line end.
    Say(&'static str),
    /// These words, and then no more.
    SayAndHangUp(&'static str),
    /// Hangs up.
    HangUp,
    /// Says nothing any more.
    Silence,
    /// Agrees to TLS and talks on in clear.
    Inject,
    /// Agrees to TLS, and finds no way to do it (an alert, RFC 8446 §6.2).
    Alert,
    /// Speaks SCRAM without knowing the password: asks for so many iterations, and then has these last words.
    Impostor(u32, &'static str),
}

/// What a host hears: `connect`, a command's line, `octets` for the first octets of a message, `.` for its end, `secured`
/// when TLS stands. With the number of the connection, from 1.
pub(crate) type Ears = Box<dyn Fn(&str, usize) -> Option<Act> + Send + Sync>;

pub(crate) struct Manner {
    pub(crate) offers: Vec<&'static str>,
    pub(crate) acceptor: Option<Acceptor>,
    pub(crate) ears: Ears,
    pub(crate) is_lmtp: bool,
    /// TLS begins with the connection.
    pub(crate) begins_with_tls: bool,
}

impl Manner {
    pub(crate) fn polite() -> Self {
        Self {
            offers: vec!["PIPELINING", "8BITMIME", "SIZE 1000000", "ENHANCEDSTATUSCODES"],
            acceptor: None,
            ears: Box::new(|_, _| None),
            is_lmtp: false,
            begins_with_tls: false,
        }
    }

    pub(crate) fn offering(offers: &[&'static str]) -> Self {
        Self { offers: offers.to_vec(), ..Self::polite() }
    }

    pub(crate) fn with_ears(ears: impl Fn(&str, usize) -> Option<Act> + Send + Sync + 'static) -> Self {
        Self { ears: Box::new(ears), ..Self::polite() }
    }

    /// Answers what begins so with these words, on each connection.
    pub(crate) fn answering(beginning: &'static str, act: Act) -> Self {
        Self::with_ears(move |heard, _| heard.starts_with(beginning).then_some(act))
    }
}

/// A message as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mail {
    /// The line of MAIL.
    pub(crate) from: String,
    /// The lines of the RCPTs that were accepted.
    pub(crate) to: Vec<String>,
    /// With the dots unstuffed.
    pub(crate) text: String,
    pub(crate) is_encrypted: bool,
    pub(crate) peer: IpAddr,
    pub(crate) connection: usize,
}

#[derive(Clone)]
pub(crate) struct Host(Arc<Shared>);

struct Shared {
    manner: Manner,
    connections: AtomicUsize,
    mail: Mutex<Vec<Mail>>,
    heard: Mutex<Vec<String>>,
    changed: Notify,
}

impl Host {
    /// A host at this address. `keeper` keeps the port from other tests for as long as it listens.
    pub(crate) async fn start(address: SocketAddr, manner: Manner, keeper: Arc<TcpListener>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let host = Self::silent(manner);
        let door = host.clone();
        tokio::spawn(async move {
            let _keeper = keeper;
            while let Ok((stream, peer)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                door.answer(Stream::Tcp(stream), peer.ip());
            }
        });
        host
    }

    /// The same on a socket in the file system.
    pub(crate) fn listen(path: &Path, manner: Manner) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let host = Self::silent(manner);
        let door = host.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                door.answer(Stream::Unix(stream), [127, 0, 0, 1].into());
            }
        });
        host
    }

    fn silent(manner: Manner) -> Self {
        Self(Arc::new(Shared {
            manner,
            connections: AtomicUsize::new(0),
            mail: Mutex::default(),
            heard: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    fn answer(&self, stream: Stream, peer: IpAddr) {
        let mut talk = Talk {
            stream: Some(stream),
            input: Vec::new(),
            shared: Arc::clone(&self.0),
            connection: self.0.connections.fetch_add(1, Ordering::SeqCst) + 1,
            peer,
            is_encrypted: false,
            mail: None,
        };
        tokio::spawn(async move { talk.run().await });
    }

    /// Waits until so many messages have come, and gives them.
    pub(crate) async fn mail(&self, count: usize) -> Vec<Mail> {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let mail = self.0.mail.lock().clone();
            if mail.len() >= count {
                return mail;
            }
            changed.await;
        }
    }

    pub(crate) fn mail_so_far(&self) -> Vec<Mail> {
        self.0.mail.lock().clone()
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.0.heard.lock().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.0.connections.load(Ordering::SeqCst)
    }
}

struct Talk {
    stream: Option<Stream>,
    input: Vec<u8>,
    shared: Arc<Shared>,
    connection: usize,
    peer: IpAddr,
    is_encrypted: bool,
    mail: Option<Mail>,
}

impl Talk {
    async fn run(&mut self) -> Option<()> {
        if self.shared.manner.begins_with_tls {
            self.shake_hands().await?;
        }
        self.answer("connect", "220 far.example ESMTP").await?;
        loop {
            let line = self.line().await?;
            self.shared.heard.lock().push(line.clone());
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" | "LHLO" => {
                    let mut lines = vec!["far.example".to_owned()];
                    let offers = self.shared.manner.offers.iter();
                    lines.extend(offers.map(|&offer| offer.to_owned()));
                    if self.shared.manner.acceptor.is_some() && !self.is_encrypted {
                        lines.push("STARTTLS".to_owned());
                    }
                    let last = lines.len() - 1;
                    let text: Vec<String> = lines
                        .iter()
                        .enumerate()
                        .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
                        .collect();
                    self.answer(&line, &text.join("\r\n")).await?;
                }
                "MAIL" => {
                    if self.answer(&line, "250 2.1.0 ok").await? {
                        self.mail = Some(Mail {
                            from: line,
                            to: Vec::new(),
                            text: String::new(),
                            is_encrypted: self.is_encrypted,
                            peer: self.peer,
                            connection: self.connection,
                        });
                    }
                }
                "RCPT" => {
                    if self.answer(&line, "250 2.1.5 ok").await?
                        && let Some(mail) = &mut self.mail
                    {
                        mail.to.push(line);
                    }
                }
                "DATA" => self.data(&line).await?,
                "BDAT" => self.chunk(&line).await?,
                "STARTTLS" => self.start_tls(&line).await?,
                "QUIT" => {
                    self.answer(&line, "221 bye").await?;
                    return None;
                }
                _ => {
                    self.answer(&line, "250 ok").await?;
                }
            }
        }
    }

    /// Says what it was told to, or else what is polite; whether that was a yes.
    async fn answer(&mut self, heard: &str, polite: &str) -> Option<bool> {
        match (self.shared.manner.ears)(heard, self.connection) {
            None => {
                self.say(polite).await?;
                Some(true)
            }
            Some(Act::Say(words)) => {
                self.say(words).await?;
                Some(words.starts_with('2') || words.starts_with('3'))
            }
            Some(Act::SayAndHangUp(words)) => {
                self.say(words).await?;
                None
            }
            Some(Act::Impostor(iterations, last)) => self.impersonate(heard, iterations, last).await,
            Some(Act::HangUp | Act::Inject | Act::Alert) => None,
            Some(Act::Silence) => std::future::pending().await,
        }
    }

    async fn say(&mut self, words: &str) -> Option<()> {
        let stream = self.stream.as_mut()?;
        stream.write_all(format!("{words}\r\n").as_bytes()).await.ok()?;
        stream.flush().await.ok()
    }

    async fn more(&mut self) -> Option<()> {
        let mut piece = [0; 4096];
        let octets = self.stream.as_mut()?.read(&mut piece).await.ok().filter(|&octets| octets > 0)?;
        self.input.extend_from_slice(&piece[..octets]);
        Some(())
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.input.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.more().await?;
        }
    }

    async fn data(&mut self, line: &str) -> Option<()> {
        if self.mail.as_ref().is_none_or(|mail| mail.to.is_empty()) {
            return self.say("554 5.5.1 no valid recipients").await;
        }
        if !self.answer(line, "354 go on").await? {
            return Some(());
        }
        while self.input.is_empty() {
            self.more().await?;
        }
        if let Some(act) = (self.shared.manner.ears)("octets", self.connection) {
            if let Act::SayAndHangUp(words) = act {
                self.say(words).await?;
            }
            return None;
        }
        let mut text = String::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                break;
            }
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push_str("\r\n");
        }
        self.end_message(&text).await
    }

    async fn chunk(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ').skip(1);
        let octets: usize = words.next()?.parse().ok()?;
        let is_last = words.next() == Some("LAST");
        while self.input.len() < octets {
            self.more().await?;
        }
        let chunk: Vec<u8> = self.input.drain(..octets).collect();
        if let Some(mail) = &mut self.mail {
            mail.text.push_str(&String::from_utf8_lossy(&chunk));
        }
        if is_last {
            if (self.shared.manner.ears)(line, self.connection).is_some() {
                return None;
            }
            return self.end_message("").await;
        }
        self.answer(line, "250 chunk").await.map(drop)
    }

    async fn end_message(&mut self, text: &str) -> Option<()> {
        let mut mail = self.mail.take()?;
        mail.text.push_str(text);
        // LMTP answers once for each recipient.
        let answers = if self.shared.manner.is_lmtp { mail.to.len() } else { 1 };
        let mut is_taken = false;
        for at in 0..answers {
            let heard =
                if self.shared.manner.is_lmtp { format!(". {}", mail.to[at]) } else { ".".to_owned() };
            is_taken |= self.answer(&heard, "250 2.0.0 taken").await?;
        }
        if is_taken {
            self.shared.mail.lock().push(mail);
            self.shared.changed.notify_waiters();
        }
        Some(())
    }

    async fn start_tls(&mut self, line: &str) -> Option<()> {
        match (self.shared.manner.ears)(line, self.connection) {
            Some(Act::Inject) => {
                self.say("220 go\r\n250-far.example\r\n250 AUTH PLAIN").await?;
                return std::future::pending().await;
            }
            Some(Act::Alert) => {
                self.say("220 go").await?;
                self.more().await?;
                // handshake_failure, fatal.
                self.stream.as_mut()?.write_all(&[21, 3, 3, 0, 2, 2, 40]).await.ok()?;
                return std::future::pending().await;
            }
            _ => {}
        }
        if !self.answer(line, "220 go").await? {
            return Some(());
        }
        self.shake_hands().await
    }

    /// `first` is the line of AUTH.
    async fn impersonate(&mut self, first: &str, iterations: u32, last: &str) -> Option<bool> {
        let message = STANDARD.decode(first.rsplit(' ').next()?).ok()?;
        let message = String::from_utf8(message).ok()?;
        let (_, nonce) = message.split_once(",r=")?;
        let salt = STANDARD.encode("sixteen octets..");
        let challenge = format!("r={nonce}more,s={salt},i={iterations}");
        self.say(&format!("334 {}", STANDARD.encode(challenge))).await?;
        let mut is_given_up = self.line().await? == "*";
        if !is_given_up {
            self.say(last).await?;
            is_given_up = last.starts_with('3') && self.line().await? == "*";
        }
        if is_given_up {
            self.say("501 5.7.0 cancelled").await?;
        }
        Some(!is_given_up)
    }

    async fn shake_hands(&mut self) -> Option<()> {
        let acceptor = self.shared.manner.acceptor.clone()?;
        let stream = self.stream.take()?;
        let (stream, _) = acceptor.accept(stream).await.ok()?;
        self.stream = Some(stream);
        self.is_encrypted = true;
        self.input.clear();
        match (self.shared.manner.ears)("secured", self.connection) {
            None => Some(()),
            Some(_) => None,
        }
    }
}
