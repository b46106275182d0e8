//! Cabinets made by hand, wrong ones too.
#![allow(dead_code, reason = "not everything is used by everyone who makes archives")]
#![allow(clippy::unwrap_used, reason = "it may fail in the open")]

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

pub(crate) const STORED: u16 = 0;
pub(crate) const MSZIP: u16 = 1;
pub(crate) const QUANTUM: u16 = 2;
/// With the smallest window.
pub(crate) const LZX: u16 = 3 | 15 << 8;

/// Its method, and blocks with how many octets each becomes.
type Folder = (u16, Vec<(Vec<u8>, u16)>);

/// Folders of blocks, and files that lie in them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cab {
    folders: Vec<Folder>,
    files: Vec<u8>,
    files_count: u16,
    flags: u16,
    /// What stands behind the header.
    more: Vec<u8>,
    folder_extra: usize,
    block_extra: usize,
}

impl Cab {
    /// A folder of blocks, each with how many octets it becomes.
    pub(crate) fn folder(mut self, method: u16, blocks: &[(Vec<u8>, usize)]) -> Cab {
        let blocks = blocks.iter().map(|(block, octets)| (block.clone(), *octets as u16)).collect();
        self.folders.push((method, blocks));
        self
    }

    pub(crate) fn stored(self, content: &[u8]) -> Cab {
        let blocks: Vec<_> = content.chunks(32_768).map(|block| (block.to_vec(), block.len())).collect();
        self.folder(STORED, &blocks)
    }

    pub(crate) fn mszip(self, content: &[u8]) -> Cab {
        let blocks: Vec<_> = content.chunks(32_768).map(|block| (mszip(block), block.len())).collect();
        self.folder(MSZIP, &blocks)
    }

    pub(crate) fn file(mut self, name: &str, folder: u16, begins: usize, octets: usize) -> Cab {
        self.files.extend_from_slice(&(octets as u32).to_le_bytes());
        self.files.extend_from_slice(&(begins as u32).to_le_bytes());
        self.files.extend_from_slice(&folder.to_le_bytes());
        self.files.extend_from_slice(&[0; 6]);
        self.files.extend_from_slice(name.as_bytes());
        self.files.push(0);
        self.files_count += 1;
        self
    }

    /// With octets for somebody behind the header, each folder and each block.
    pub(crate) fn reserved(mut self, header: u16, folder: u8, block: u8) -> Cab {
        self.flags |= 4;
        self.more.extend_from_slice(&header.to_le_bytes());
        self.more.extend_from_slice(&[folder, block]);
        self.more.resize(self.more.len() + usize::from(header), 7);
        (self.folder_extra, self.block_extra) = (folder.into(), block.into());
        self
    }

    /// With the names of a cabinet and a disk before it.
    pub(crate) fn behind(mut self, cabinet: &str, disk: &str) -> Cab {
        self.flags |= 1;
        self.more.extend_from_slice(format!("{cabinet}\0{disk}\0").as_bytes());
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let files_at = 36 + self.more.len() + self.folders.len() * (8 + self.folder_extra);
        let mut cab = b"MSCF\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        cab.extend_from_slice(&(files_at as u32).to_le_bytes());
        cab.extend_from_slice(&[0, 0, 0, 0, 3, 1]);
        for value in [self.folders.len() as u16, self.files_count, self.flags, 0, 0] {
            cab.extend_from_slice(&value.to_le_bytes());
        }
        cab.extend_from_slice(&self.more);
        let mut data = Vec::new();
        for (method, blocks) in &self.folders {
            cab.extend_from_slice(&((files_at + self.files.len() + data.len()) as u32).to_le_bytes());
            cab.extend_from_slice(&(blocks.len() as u16).to_le_bytes());
            cab.extend_from_slice(&method.to_le_bytes());
            cab.resize(cab.len() + self.folder_extra, 7);
            for (block, octets) in blocks {
                data.extend_from_slice(&[0; 4]);
                data.extend_from_slice(&(block.len() as u16).to_le_bytes());
                data.extend_from_slice(&octets.to_le_bytes());
                data.resize(data.len() + self.block_extra, 7);
                data.extend_from_slice(block);
            }
        }
        [cab, self.files, data].concat()
    }
}

/// One block, which refers to none before it.
pub(crate) fn mszip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(b"CK".to_vec(), Compression::best());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}
