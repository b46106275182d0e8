//! The sockets of a world's servers: from a question's octets to those of an answer, or of something worse.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Mutex, PoisonError, Weak};

use super::{Humour, LOOK_EVERY, Question, State, Transport};
use crate::name_server::{Record, kind, take, take_name};
use crate::zone::{Asked, Sections};

pub(super) fn serve_udp(state: &Weak<Mutex<State>>, socket: &UdpSocket, server: IpAddr) {
    let mut question = [0; 1500];
    if socket.set_read_timeout(Some(LOOK_EVERY)).is_err() {
        return;
    }
    while let Some(state) = state.upgrade() {
        let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
        let answer = answer(&state, server, from, Transport::Udp, &question[..length]);
        let humour = {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.servers.get(&server).map(|server| server.humour).unwrap_or_default()
        };
        match (humour, &answer) {
            (Humour::Spoofed, Some(answer)) => spoof(socket, answer, from),
            (Humour::Broken, Some(answer)) => {
                drop(socket.send_to(&answer[..answer.len() / 2], from));
                continue;
            }
            _ => {}
        }
        // A lost answer is what UDP is like; the asker asks again.
        drop(answer.map(|answer| socket.send_to(&answer, from)));
    }
}

/// Sends what a stranger would: answers with a false address for any name, none of which fits the question.
fn spoof(socket: &UdpSocket, answer: &[u8], from: SocketAddr) {
    let Some(question) = take::<12>(answer).and_then(|(_, body)| {
        let (_, rest) = take_name(body)?;
        Some(&body[..body.len() - rest.len() + 4])
    }) else {
        return;
    };
    let lie = |id: [u8; 2], question: &[u8]| {
        let mut wire = vec![id[0], id[1], 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0];
        wire.extend_from_slice(question);
        wire.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 203, 0, 113, 66]);
        wire
    };
    let id = [answer[0], answer[1]];
    let mut other_question = question.to_vec();
    if let Some(letter) = other_question.get_mut(1) {
        *letter = if *letter == b'x' { b'y' } else { b'x' };
    }
    // What gets lost is one lie less.
    drop(socket.send_to(&lie([id[0], id[1] ^ 1], question), from));
    drop(socket.send_to(&lie(id, &other_question), from));
    if let Ok(stranger) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
        drop(stranger.send_to(&lie(id, question), from));
    }
}

pub(super) fn serve_tcp(state: &Weak<Mutex<State>>, listener: &TcpListener, server: IpAddr) {
    while let Ok((stream, from)) = listener.accept() {
        if state.upgrade().is_none() {
            return;
        }
        let state = Weak::clone(state);
        std::thread::spawn(move || converse(&state, stream, server, from));
    }
}

/// Answers until the asker goes, or something is no question.
fn converse(
    state: &Weak<Mutex<State>>,
    mut stream: TcpStream,
    server: IpAddr,
    from: SocketAddr,
) -> Option<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut question).ok()?;
        let state = state.upgrade()?;
        let answer = answer(&state, server, from, Transport::Tcp, &question)?;
        drop(state);
        let mut framed = u16::try_from(answer.len()).ok()?.to_be_bytes().to_vec();
        framed.extend(answer);
        stream.write_all(&framed).ok()?;
    }
}

fn answer(
    state: &Mutex<State>,
    server: IpAddr,
    from: SocketAddr,
    transport: Transport,
    message: &[u8],
) -> Option<Vec<u8>> {
    let (header, body) = take::<12>(message)?;
    let (name, rest) = take_name(body)?;
    let (kind_and_class, rest) = take::<4>(rest)?;
    let question = &body[..body.len() - rest.len()];
    let kind = u16::from_be_bytes([kind_and_class[0], kind_and_class[1]]);
    let extension = extension(rest);
    let asked = Asked { name, kind, wants_signatures: extension.is_some_and(|(_, wants)| wants) };
    let (sections, truncates) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let asked_here = Question { from, transport, name: asked.name.clone(), kind };
        state.servers.get_mut(&server)?.asked.push(asked_here);
        let truncates = state.servers.get(&server)?.humour == Humour::Truncating;
        let mut sections = state.answer(server, &asked)?;
        if kind == kind::TXT && sections.is_authoritative && state.mirrors.contains(&asked.name) {
            let text = Record::Text(from.ip().to_string());
            sections = Sections { is_authoritative: true, ..Sections::default() };
            sections.answers.push(crate::zone::record_of(&asked.name, &text));
        }
        (sections, truncates)
    };
    let wire = write(header, question, &sections, extension.is_some());
    let octets_max = extension.map_or(512, |(octets, _)| usize::from(octets));
    if transport == Transport::Udp && (truncates || wire.len() > octets_max) {
        let mut wire = write(header, question, &Sections::default(), extension.is_some());
        // TC: the rest is to be asked for over TCP (RFC 1035 §4.1.1).
        wire[2] |= 0x02;
        return Some(wire);
    }
    Some(wire)
}

/// What the asker says of itself (RFC 6891 §6.1.2): octets it takes in a datagram, and whether it wants signatures.
fn extension(rest: &[u8]) -> Option<(u16, bool)> {
    let (head, _) = take::<11>(rest)?;
    let is_extension = head[0] == 0 && u16::from_be_bytes([head[1], head[2]]) == kind::OPT;
    is_extension.then(|| (u16::from_be_bytes([head[3], head[4]]), head[7] & 0x80 != 0))
}

fn write(header: [u8; 12], question: &[u8], sections: &Sections, is_extended: bool) -> Vec<u8> {
    let count = |records: &[Vec<u8>], more: usize| u16::try_from(records.len() + more).unwrap_or(u16::MAX);
    let flags = if sections.is_authoritative { 0x84 } else { 0x80 };
    let mut wire = vec![header[0], header[1], flags, sections.code, 0, 1];
    wire.extend(count(&sections.answers, 0).to_be_bytes());
    wire.extend(count(&sections.authorities, 0).to_be_bytes());
    wire.extend(count(&sections.additionals, usize::from(is_extended)).to_be_bytes());
    wire.extend_from_slice(question);
    for record in [&sections.answers, &sections.authorities, &sections.additionals].into_iter().flatten() {
        wire.extend_from_slice(record);
    }
    if is_extended {
        // An empty name, the type, octets we take, DO as a signing server has it, no options.
        wire.extend([0, 0, kind::OPT.to_be_bytes()[1], 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
    }
    wire
}
