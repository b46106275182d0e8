//! What a name's extension promises: to Windows, which runs by it, and to people, who open by it.

use crate::policy::Class;

/// Extensions that Windows runs or installs from, or a phone.
const PROGRAMS: &[&str] = &[
    "exe",
    "com",
    "scr",
    "pif",
    "cpl",
    "dll",
    "ocx",
    "sys",
    "drv",
    "vxd",
    "msi",
    "msp",
    "mst",
    "msix",
    "msixbundle",
    "appx",
    "appxbundle",
    "apk",
    "xapk",
    "jar",
    "jnlp",
    "gadget",
    "application",
    "ade",
    "adp",
    "mde",
    "lib",
    "ex_",
    "ins",
    "isp",
    "nsh",
    "xll",
    "wll",
    "ppam",
    "xpi",
    "crx",
    "deb",
    "rpm",
    "pkg",
    "appimage",
    "ipa",
    "dex",
    "class",
    "appref-ms",
    "diagcab",
    "diagpkg",
    "bpl",
    "efi",
    "ax",
    "mui",
];

/// Extensions of scripts that Windows runs at a click.
const SCRIPTS: &[&str] = &[
    "js",
    "jse",
    "mjs",
    "vb",
    "vbs",
    "vbe",
    "vbscript",
    "wsf",
    "wsh",
    "wsc",
    "sct",
    "ws",
    "hta",
    "bat",
    "cmd",
    "btm",
    "ps1",
    "ps1xml",
    "ps2",
    "psc1",
    "psc2",
    "psm1",
    "psd1",
    "msh",
    "msh1",
    "msh2",
    "scpt",
    "applescript",
    "command",
    "workflow",
    "ahk",
    "au3",
    "iqy",
    "slk",
    "inf",
];

/// Extensions of scripts for shells and interpreters.
const SHELL_SCRIPTS: &[&str] =
    &["sh", "bash", "zsh", "csh", "ksh", "fish", "run", "py", "pyw", "pyc", "pl", "rb", "lua", "tcl", "php"];

/// Extensions of links and settings that start something.
const SHORTCUTS: &[&str] = &[
    "lnk",
    "url",
    "scf",
    "pcd",
    "desktop",
    "webloc",
    "inetloc",
    "fileloc",
    "library-ms",
    "search-ms",
    "searchconnector-ms",
    "settingcontent-ms",
    "website",
    "appcontent-ms",
    "mad",
    "maf",
    "mag",
    "mam",
    "maq",
    "mar",
    "mas",
    "mav",
    "maw",
    "shb",
    "shs",
    "theme",
    "themepack",
    "desktopthemepackfile",
    "deskthemepack",
    "rdp",
    "ica",
    "diagcfg",
];

/// Extensions of disk images and of archives that hardly anybody sends for good reasons.
const RARE_CONTAINERS: &[&str] = &[
    "iso", "img", "ima", "udf", "vhd", "vhdx", "vmdk", "vdi", "dmg", "daa", "nrg", "mdf", "cab", "ace",
    "arj", "lzh", "lha", "wim", "swm", "esd", "uue", "xxe", "z", "arc", "zoo", "sit", "sitx", "alz", "egg",
    "cpio", "squashfs", "cue",
];

/// Extensions of documents made to do things.
const ACTIVE_DOCUMENTS: &[&str] = &[
    "chm", "hlp", "one", "onepkg", "onetoc2", "msc", "reg", "job", "grp", "pol", "mof", "swf", "xbap", "xnk",
];

/// Extensions of office documents that may hold macros.
const MACRO_DOCUMENTS: &[&str] = &[
    "docm", "dotm", "xlsm", "xltm", "xlam", "xla", "pptm", "potm", "ppsm", "sldm", "doc", "xls", "ppt",
    "xlsb",
];

/// Extensions that people take for something to read, to look at or to listen to.
const HARMLESS: &[&str] = &[
    "pdf", "doc", "docx", "docm", "dot", "dotx", "xls", "xlsx", "xlsm", "xlsb", "ppt", "pptx", "pps", "ppsx",
    "odt", "ods", "odp", "rtf", "txt", "csv", "log", "md", "xml", "json", "html", "htm", "jpg", "jpeg",
    "png", "gif", "bmp", "tif", "tiff", "webp", "heic", "svg", "ico", "mp3", "wav", "ogg", "m4a", "mp4",
    "avi", "mov", "mkv", "eml", "msg", "ics", "vcf", "epub", "zip", "rar", "7z",
];

/// What a name with this lower-case extension is a finding of, whatever it holds; or, of documents that may hold macros,
/// what is expected of it.
pub(crate) fn class_of_extension(extension: &str) -> Option<Class> {
    let table = [
        (PROGRAMS, Class::Program),
        (SCRIPTS, Class::Script),
        (SHELL_SCRIPTS, Class::ShellScript),
        (SHORTCUTS, Class::Shortcut),
        (RARE_CONTAINERS, Class::RareContainer),
        (ACTIVE_DOCUMENTS, Class::ActiveDocument),
        (MACRO_DOCUMENTS, Class::Macro),
    ];
    table.into_iter().find(|(extensions, _)| extensions.contains(&extension)).map(|(_, class)| class)
}

/// Whether people take a name with this lower-case extension for something to read.
pub(crate) fn looks_harmless(extension: &str) -> bool {
    HARMLESS.contains(&extension)
}

/// Whether a name with this lower-case extension starts something at a click.
pub(crate) fn is_runnable(extension: &str) -> bool {
    matches!(
        class_of_extension(extension),
        Some(Class::Program | Class::Script | Class::Shortcut | Class::ActiveDocument)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_have_classes() {
        for (extension, class) in [
            ("exe", Some(Class::Program)),
            ("js", Some(Class::Script)),
            ("py", Some(Class::ShellScript)),
            ("lnk", Some(Class::Shortcut)),
            ("iso", Some(Class::RareContainer)),
            ("chm", Some(Class::ActiveDocument)),
            ("docm", Some(Class::Macro)),
            ("pdf", None),
            ("", None),
        ] {
            assert_eq!(class_of_extension(extension), class, "{extension}");
        }
        assert!(is_runnable("hta") && !is_runnable("docm") && !is_runnable("txt"));
        assert!(looks_harmless("pdf") && !looks_harmless("exe"));
    }
}
