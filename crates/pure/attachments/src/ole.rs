//! Compound files (MS-CFB): documents of old Office, installers, macro projects. Their streams are scattered over sectors and
//! the directory may be anywhere; so nothing is put together. Each entry of the directory is known by its form wherever it
//! passes, and macros by what their packed text begins with.

use memchr::memmem;

use crate::content::{Content, Nesting, Role};
use crate::examination::Examination;
use crate::expansion::{Expansion, Progress};
use crate::policy::Class;
use crate::vba::{MacroWords, Module, Step};

/// An entry of the directory (MS-CFB §2.6.1); they lie at multiples of this.
const ENTRY_OCTETS: usize = 128;

/// Smallest sector; larger ones are multiples.
const SECTOR_OCTETS: usize = 512;

/// What the text of each macro module begins with: nothing is packed of `Attribut`, the next letter is.
const MODULE_START: &[u8] = b"\x00Attribut";

/// Octets in front of it: the container's signature and the header of its first chunk (MS-OVBA §2.4.1.1.1).
const MODULE_HEADER_OCTETS: usize = 3;

/// What a macro project packed into a presentation begins with: the header of an ExternalOleObjectStg that is compressed,
/// without its length (MS-PPT §2.10.34).
const PACKED_PROJECT_START: &[u8] = b"\x10\x00\x11\x10";

/// What a shortcut begins with (MS-SHLLINK §2.1).
const SHORTCUT_START: &[u8] = b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F";

/// What a presentation says of its user where it is encrypted: an atom's length and token (MS-PPT §2.3.2).
const ENCRYPTED_PRESENTATION: &[u8] = b"\x14\0\0\0\xdf\xc4\xd1\xf3";

/// Of the sheet record (MS-XLS §2.4.28) up to the name's form.
const SHEET_OCTETS: usize = 12;

/// Modules that may be open at once. In truth it is one; others are octets made to look like one.
const MODULES_MAX: usize = 4;

/// Octets kept from one piece to the next: the longest form that is sought.
const TAIL_OCTETS: usize = SHORTCUT_START.len();

/// What entries of the directory tell.
#[derive(Debug, Default)]
struct Told {
    has_macros: bool,
    is_encrypted: bool,
    has_packed_file: bool,
    has_equation: bool,
    is_installer: bool,
    is_presentation: bool,
    has_workbook: bool,
    has_program: bool,
    has_macro_sheet: bool,
    has_shortcut: bool,
}

pub(crate) struct OleReader {
    place: Vec<String>,
    nesting: Nesting,
    /// Octets that were taken.
    offset: u64,
    /// A block of which not all octets have come.
    block: Vec<u8>,
    /// The end of the octets before, then the new ones.
    window: Vec<u8>,
    told: Told,
    modules: Vec<Module>,
    has_module: bool,
    /// More modules were open at once than are read.
    has_torn_module: bool,
    words: MacroWords,
    /// Words as they stand in it, those in compiled macros among them.
    raw: MacroWords,
    project: Option<Box<Project>>,
}

/// A macro project packed into a presentation.
struct Project {
    /// Octets of its header that are still to come.
    header_left: usize,
    expansion: Expansion,
    content: Content,
}

impl std::fmt::Debug for OleReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OleReader").field("told", &self.told).finish_non_exhaustive()
    }
}

impl OleReader {
    pub(crate) fn new(file: &Content) -> OleReader {
        OleReader {
            place: file.place.clone(),
            nesting: file.nesting,
            offset: 0,
            block: Vec::new(),
            window: Vec::new(),
            told: Told::default(),
            modules: Vec::new(),
            has_module: false,
            has_torn_module: false,
            words: MacroWords::default(),
            raw: MacroWords::default(),
            project: None,
        }
    }

    pub(crate) fn feed(&mut self, octets: &[u8], examination: &mut Examination) {
        self.feed_blocks(octets);
        self.raw.feed(octets);
        self.feed_modules(octets, examination);
        self.feed_project(octets, examination);
        self.seek(octets, examination);
        self.offset += octets.len() as u64;
    }

    pub(crate) fn finish(mut self, examination: &mut Examination) {
        if let Some(project) = self.project.take() {
            project.content.finish(examination);
        }
        let mut find = |class, words: String| examination.find(class, &self.place, words);
        let told = &self.told;
        if told.is_installer {
            find(Class::Program, "is an installer for Windows".to_owned());
        }
        if told.has_program {
            find(Class::Program, "holds a Windows program".to_owned());
        }
        if told.is_encrypted {
            find(Class::Encrypted, "is encrypted".to_owned());
        }
        if told.has_packed_file && self.raw.has_program() {
            find(Class::Program, "holds a packed Windows program".to_owned());
        }
        if told.has_packed_file && told.has_shortcut {
            find(Class::Shortcut, "holds a packed shortcut that starts something".to_owned());
        }
        if told.has_packed_file {
            find(Class::EmbeddedObject, "holds a packed file".to_owned());
        }
        if told.has_equation {
            find(Class::EmbeddedObject, "holds an equation of the old editor, as exploits do".to_owned());
        }
        if self.raw.has_data_exchange() {
            find(Class::Dde, "starts a program by dynamic data exchange".to_owned());
        }
        if told.has_macro_sheet && told.has_workbook {
            find(Class::AutoMacro, "holds Excel 4.0 macros".to_owned());
        }
        match (told.has_macros, self.has_module) {
            (_, true) if self.words.runs_by_itself() => {
                find(
                    Class::AutoMacro,
                    format!("holds macros that run by themselves ({})", self.words.list()),
                );
            }
            (true, _) if self.raw.runs_by_itself() => {
                find(Class::AutoMacro, format!("holds macros that run by themselves ({})", self.raw.list()));
            }
            (_, _) if self.has_torn_module || (told.has_macros && !self.has_module) => {
                find(Class::AutoMacro, "holds macros whose text could not be read".to_owned())
            }
            (_, true) => find(Class::Macro, "holds macros".to_owned()),
            (_, false) => {}
        }
    }

    /// Takes the octets apart into blocks, each of which may be an entry of the directory.
    fn feed_blocks(&mut self, octets: &[u8]) {
        let wanted = (ENTRY_OCTETS - self.block.len()) % ENTRY_OCTETS;
        let (first, rest) = octets.split_at(wanted.min(octets.len()));
        let mut offset = self.offset + first.len() as u64;
        if !first.is_empty() {
            self.block.extend_from_slice(first);
            if self.block.len() == ENTRY_OCTETS {
                let block = std::mem::take(&mut self.block);
                self.told.block(&block, offset - ENTRY_OCTETS as u64);
            }
        }
        let blocks = rest.chunks_exact(ENTRY_OCTETS);
        self.block.extend_from_slice(blocks.remainder());
        for block in blocks {
            self.told.block(block, offset);
            offset += ENTRY_OCTETS as u64;
        }
    }

    fn feed_modules(&mut self, octets: &[u8], examination: &mut Examination) {
        let mut modules = std::mem::take(&mut self.modules);
        modules.retain_mut(|module| self.feed_module(module, octets, examination));
        self.modules = modules;
    }

    /// Octets of a module; whether more of it may come.
    fn feed_module(&mut self, module: &mut Module, octets: &[u8], examination: &mut Examination) -> bool {
        let mut rest = octets;
        loop {
            let (step, behind) = module.feed(rest);
            rest = behind;
            match step {
                Step::More => return true,
                Step::Ended => return false,
                Step::Text(text) => {
                    if examination.count_expanded(text.len()) < text.len() {
                        examination.find(
                            Class::Incomplete,
                            &self.place,
                            "holds more macros than are unpacked",
                        );
                        return false;
                    }
                    self.words.feed(&text);
                    self.has_module = true;
                }
            }
        }
    }

    fn feed_project(&mut self, octets: &[u8], examination: &mut Examination) {
        let Some(project) = &mut self.project else { return };
        let skipped = project.header_left.min(octets.len());
        project.header_left -= skipped;
        let rest = octets.get(skipped..).unwrap_or_default();
        let progress = project.expansion.feed(rest, &mut project.content, &self.place, examination);
        if progress != Progress::More
            && let Some(project) = self.project.take()
        {
            project.content.finish(examination);
        }
    }

    /// Seeks what begins in these octets or in the end of those before. What is inside something else that was begun is
    /// sought too: a module may be made to seem longer than it is, to hide the next.
    fn seek(&mut self, octets: &[u8], examination: &mut Examination) {
        let cut = self.window.len().saturating_sub(TAIL_OCTETS);
        self.window.drain(..cut);
        let old = self.window.len();
        self.window.extend_from_slice(octets);
        let window = std::mem::take(&mut self.window);
        self.told.has_macro_sheet |= has_macro_sheet(&window);
        self.told.has_shortcut |= memmem::find(&window, SHORTCUT_START).is_some();
        self.told.is_encrypted |= memmem::find(&window, ENCRYPTED_PRESENTATION).is_some();
        for at in memmem::find_iter(&window, MODULE_START) {
            let begins =
                at.checked_sub(MODULE_HEADER_OCTETS).filter(|begins| window.get(*begins) == Some(&1));
            if let Some(begins) = begins.filter(|_| at + MODULE_START.len() > old) {
                self.begin_module(window.get(begins + 1..).unwrap_or_default(), examination);
            }
        }
        for at in memmem::find_iter(&window, PACKED_PROJECT_START) {
            if self.told.is_presentation && self.project.is_none() && at + PACKED_PROJECT_START.len() > old {
                self.begin_project(
                    window.get(at + PACKED_PROJECT_START.len()..).unwrap_or_default(),
                    examination,
                );
            }
        }
        self.window = window;
    }

    fn begin_module(&mut self, octets: &[u8], examination: &mut Examination) {
        if self.modules.len() >= MODULES_MAX || !examination.count_start() {
            self.has_torn_module = true;
            return;
        }
        let mut module = Module::default();
        if self.feed_module(&mut module, octets, examination) {
            self.modules.push(module);
        }
    }

    fn begin_project(&mut self, octets: &[u8], examination: &mut Examination) {
        if self.nesting.depth >= examination.limits.depth_max || !examination.count_entry() {
            return;
        }
        let nesting = self.nesting.inside();
        let content =
            Content::new(&self.place, nesting, Vec::new(), String::new(), Role::DocumentPart, examination);
        // The record's length and that of the unpacked project.
        self.project =
            Some(Box::new(Project { header_left: 8, expansion: Expansion::with_header(), content }));
        self.feed_project(octets, examination);
    }
}

impl Told {
    fn block(&mut self, block: &[u8], offset: u64) {
        if offset.is_multiple_of(SECTOR_OCTETS as u64) && block.starts_with(b"MZ") {
            self.has_program |= crate::kind::Kind::of(block) == crate::kind::Kind::WindowsProgram;
        }
        if offset.is_multiple_of(SECTOR_OCTETS as u64) {
            self.is_encrypted |= is_encrypted(block);
        }
        // Length of the name in octets, kind, colour (MS-CFB §2.6.1).
        let Some(&[low, high, kind, colour]) = block.get(64..68).and_then(|four| four.first_chunk()) else {
            return;
        };
        let octets = usize::from(u16::from_le_bytes([low, high]));
        if !(4..=64).contains(&octets) || octets % 2 != 0 || !matches!(kind, 1 | 2 | 5) || colour > 1 {
            return;
        }
        let (pairs, _) = block.get(..octets - 2).unwrap_or_default().as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        let name = String::from_utf16_lossy(&units).to_ascii_lowercase();
        match name.as_str() {
            "_vba_project" | "_vba_project_cur" | "vba" | "macros" => self.has_macros = true,
            "encryptedpackage" | "encryptioninfo" => self.is_encrypted = true,
            "\u{1}ole10native" => self.has_packed_file = true,
            "equation native" => self.has_equation = true,
            "powerpoint document" => self.is_presentation = true,
            "workbook" | "book" => self.has_workbook = true,
            // The class of the Windows Installer: {000C1084-0000-0000-C000-000000000046}, of patches 1086, of transforms 1082.
            "root entry" => {
                let class = block.get(80..96).unwrap_or_default();
                self.is_installer |=
                    matches!(class, [0x84 | 0x86 | 0x82, 0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, ..]);
            }
            _ => {}
        }
    }
}

/// Whether a stream that begins so is an encrypted document of Word (MS-DOC §2.5.2, a flag in its header) or of Excel (MS-XLS
/// §2.4.117, a record behind the first).
fn is_encrypted(block: &[u8]) -> bool {
    let short = |at: usize| {
        block.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |two| u16::from_le_bytes(*two))
    };
    let is_word = block.starts_with(b"\xec\xa5") && short(10) & 0x0100 != 0;
    let is_excel = block.starts_with(b"\x09\x08") && short(4 + usize::from(short(2)).min(64)) == 0x2f;
    is_word || is_excel
}

/// Whether a sheet record says that the sheet is one of macros: its number, a length that fits the name's, where the sheet is,
/// whether it is hidden, and its kind (MS-XLS §2.4.28). Before Excel 97 names had no form.
fn has_macro_sheet(window: &[u8]) -> bool {
    memmem::find_iter(window, b"\x85\x00").any(|at| {
        let Some(&[_, _, low, high, _, _, _, _, hidden, kind, count, form]) =
            window.get(at..at + SHEET_OCTETS).and_then(|octets| octets.first_chunk::<SHEET_OCTETS>())
        else {
            return false;
        };
        let octets = u16::from_le_bytes([low, high]);
        let is_new = form <= 1 && octets == 8 + u16::from(count) * if form == 1 { 2 } else { 1 };
        let is_old = form >= b' ' && octets == 7 + u16::from(count);
        hidden <= 2 && kind == 1 && count > 0 && (is_new || is_old)
    })
}
