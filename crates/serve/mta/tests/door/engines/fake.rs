//! A milter that does as a test says, and remembers what it heard; and scanners that say one thing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mta::EnginePlace;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// What a milter agrees on and answers.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) actions: u32,
    pub(super) steps: u32,
    /// By command: packets without their length. Others are continued.
    answers: HashMap<u8, Vec<Vec<u8>>>,
}

impl Default for Script {
    fn default() -> Self {
        // All changes; recipients that were refused, enough of the body, blanks as they stand.
        Self { actions: 0x1ff, steps: 0x800 | 0x400 | 0x10_0000, answers: HashMap::new() }
    }
}

impl Script {
    pub(super) fn answering(mut self, command: u8, answers: &[&[u8]]) -> Self {
        self.answers.insert(command, answers.iter().map(|answer| answer.to_vec()).collect());
        self
    }
}

pub(super) struct FakeMilter {
    path: PathBuf,
    heard: watch::Sender<Vec<String>>,
    connections: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

impl FakeMilter {
    pub(super) fn start(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("milter.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (heard, connections) = (watch::Sender::new(Vec::new()), Arc::new(AtomicUsize::new(0)));
        let (told, counted) = (heard.clone(), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, script.clone(), told.clone()));
            }
        });
        Self { path, heard, connections, _folder: folder }
    }

    pub(super) fn place(&self) -> EnginePlace {
        EnginePlace::Unix(self.path.to_str().unwrap().to_owned())
    }

    /// What it heard: command and data, NULs as `|`, other controls as `.`; macros as `name=value`.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.borrow().clone()
    }

    pub(super) fn forget(&self) {
        self.heard.send_modify(Vec::clear);
    }

    pub(super) async fn wait_for(&self, line: &str) {
        let mut changes = self.heard.subscribe();
        changes.wait_for(|heard| heard.iter().any(|heard| heard == line)).await.unwrap();
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: UnixStream, script: Script, heard: watch::Sender<Vec<String>>) {
    while let Ok(length) = stream.read_u32().await {
        let mut packet = vec![0; length as usize];
        stream.read_exact(&mut packet).await.unwrap();
        let (command, data) = (packet[0], &packet[1..]);
        let answers = match (script.answers.get(&command), command) {
            (_, b'D' | b'A' | b'Q' | b'K') => Vec::new(),
            (Some(answers), _) => answers.clone(),
            (None, b'O') => {
                let numbers = [6, script.actions, script.steps].map(u32::to_be_bytes);
                vec![[b"O", numbers.as_flattened()].concat()]
            }
            (None, _) => vec![b"c".to_vec()],
        };
        heard.send_modify(|heard| heard.push(shown(command, data)));
        for answer in answers {
            stream.write_u32(answer.len() as u32).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    }
}

fn shown(command: u8, data: &[u8]) -> String {
    let text = String::from_utf8_lossy(data);
    let command = char::from(command);
    if command == 'O' || data.is_empty() {
        return command.to_string();
    }
    if command == 'D' {
        let words: Vec<&str> = text[1..].split_terminator('\0').collect();
        let pairs = words.chunks(2).map(|pair| format!("{}={}", pair[0].trim_matches(['{', '}']), pair[1]));
        return format!("D{} {}", &text[..1], pairs.collect::<Vec<_>>().join(" "));
    }
    let mark = |char: char| match char {
        '\0' => '|',
        char if char.is_control() => '.',
        char => char,
    };
    // The port of a client.
    let text = if command == 'C' {
        text.replace("\u{12}g", "..").replace("4\u{fffd}\u{67}", "4..")
    } else {
        text.into()
    };
    format!("{command} {}", text.chars().map(mark).collect::<String>())
}

/// A server on a Unix socket that reads until `asks_until` is seen, and then says `answer` and hangs up.
pub(super) fn scanner(
    folder: &tempfile::TempDir,
    is_whole: fn(&[u8]) -> bool,
    answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
) -> (EnginePlace, Arc<Mutex<Vec<Vec<u8>>>>) {
    let path = folder.path().join("scanner.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (told, answer) = (Arc::clone(&asked), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (told, answer) = (Arc::clone(&told), Arc::clone(&answer));
            tokio::spawn(async move {
                let mut octets = Vec::new();
                while !is_whole(&octets) {
                    if stream.read_buf(&mut octets).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let said = answer(&octets);
                told.lock().push(octets);
                let _ = stream.write_all(&said).await;
            });
        }
    });
    (EnginePlace::Unix(path.to_str().unwrap().to_owned()), asked)
}
