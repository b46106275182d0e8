//! Measures the packs on this machine: syncs a second of the bare disk, group commits a second with 1, 16
//! and 64 writers of 4 KiB mails, and the CPU time of packing, reading and replaying one.
//!
//! `cargo run --release -p storage --example measure [directory]`

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use storage::{NewEntry, Note, PackSettings, PackStore, StorageError};

const SYNCS: u32 = 500;
const RUN: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = directory.join(format!("measure-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let result = measure(&directory);
    std::fs::remove_dir_all(&directory)?;
    result
}

fn measure(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    println!("bare 4 KiB append + fdatasync: {:.0}/s", bare_syncs(directory)?);
    for writers in [1, 16, 64] {
        group_commits(&directory.join(format!("packs-{writers}")), writers)?;
    }
    one_by_one(&directory.join("packs-one"))?;
    Ok(())
}

fn bare_syncs(directory: &Path) -> std::io::Result<f64> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(directory.join("bare"))?;
    let octets = mail(0);
    let begin = Instant::now();
    for number in 0..SYNCS {
        file.write_all_at(&octets, u64::from(number) * octets.len() as u64)?;
        file.sync_data()?;
    }
    Ok(f64::from(SYNCS) / begin.elapsed().as_secs_f64())
}

fn group_commits(directory: &Path, writers: u64) -> Result<(), StorageError> {
    let (store, _) = PackStore::open(directory, PackSettings::default())?;
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let store = &store;
            scope.spawn(move || {
                let mut number = writer << 32;
                while begin.elapsed() < RUN {
                    number += 1;
                    if let Err(error) = store_mail(store, number) {
                        eprintln!("{error}");
                        return;
                    }
                }
            });
        }
    });
    let seconds = begin.elapsed().as_secs_f64();
    let statistics = store.statistics();
    println!(
        "{writers:2} writers: {:.0} mails/s, {:.0} syncs/s, {:.1} mails each sync, {:.0} octets each",
        statistics.entries as f64 / seconds,
        statistics.groups as f64 / seconds,
        statistics.entries as f64 / statistics.groups as f64,
        statistics.octets as f64 / statistics.entries as f64,
    );
    Ok(())
}

fn store_mail(store: &PackStore, number: u64) -> Result<(), StorageError> {
    let mut writer = store.new_blob()?;
    writer.write(&mail(number))?;
    store.commit(NewEntry { blob: Some(writer.finish()?), notes: vec![note()] })?;
    Ok(())
}

fn one_by_one(directory: &Path) -> Result<(), StorageError> {
    let (store, _) = PackStore::open(directory, PackSettings::default())?;
    let mails: Vec<_> = (0..2000).map(mail).collect();
    let begin = Instant::now();
    let mut prepared = Vec::new();
    for mail in &mails {
        let mut writer = store.new_blob()?;
        writer.write(mail)?;
        prepared.push(NewEntry { blob: Some(writer.finish()?), notes: vec![note()] });
    }
    println!("pack and hash: {:.1} us", each(begin, mails.len()));

    let (sender, receiver) = std::sync::mpsc::channel();
    store.submit_all(prepared, Box::new(move |result| sender.send(result).unwrap_or_default()));
    let committed = receiver.recv().unwrap_or(Err(StorageError::Closed))?;
    let begin = Instant::now();
    for blob in committed.iter().filter_map(|committed| committed.blob) {
        store.read(blob)?.read_at(0..u64::MAX)?;
    }
    println!("read: {:.1} us", each(begin, mails.len()));
    drop(store);

    let begin = Instant::now();
    let (_store, replay) = PackStore::open(directory, PackSettings::default())?;
    println!("recover: {:.1} us", each(begin, mails.len()));
    let begin = Instant::now();
    println!("replay of {}: {:.1} us", replay.count(), each(begin, mails.len()));
    Ok(())
}

fn each(begin: Instant, count: usize) -> f64 {
    begin.elapsed().as_secs_f64() * 1e6 / count as f64
}

fn note() -> Note {
    Note { owner: 1, octets: vec![7; 300] }
}

/// 4 KiB that compress about as well as a mail with some headers and some base64.
fn mail(number: u64) -> Vec<u8> {
    let mut mail = format!(
        "Received: from mail.example.org (mail.example.org [192.0.2.1])\r\n\tby mx.example.net with ESMTPS id {number:016x}\r\n\
         From: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: Minutes of meeting {number}\r\n\
         Message-ID: <{number:032x}@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    .into_bytes();
    let words = [
        "the ", "meeting ", "of ", "project ", "budget ", "we ", "decided ", "to ", "write ", "report ",
        "soon ", "and ",
    ];
    let mut state = number | 1;
    while mail.len() < 3000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = words.get((state >> 33) as usize % words.len()).copied().unwrap_or_default();
        mail.extend_from_slice(word.as_bytes());
    }
    while mail.len() < 4096 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        mail.push(b'A' + ((state >> 33) % 58) as u8);
    }
    mail
}
