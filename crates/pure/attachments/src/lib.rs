//! What attachments really are: a message's octets are looked at as they pass, decoded, unpacked within bounds, and told in
//! plain words. No signatures of single viruses: it is the kind of thing that matters, and lists of known content.
//!
//! Memory does not grow with the message, time grows with its octets and with what its archives may become; see [`Limits`].
//!
//! ```
//! use std::sync::Arc;
//! use attachments::{Action, Inspector, Rules};
//!
//! let mut inspector = Inspector::new(Arc::new(Rules::default()));
//! inspector.feed(b"Content-Type: application/pdf; name=invoice.pdf.exe\r\n\r\nMZ");
//! let report = inspector.finish();
//! assert_eq!(report.action(), Action::Reject);
//! assert!(report.findings.iter().any(|finding| finding.to_string() == "“invoice.pdf.exe” is named like a program"));
//! ```

mod allowance;
mod bzip2;
mod bzip2_code;
mod cab;
mod cab_files;
mod content;
mod declared;
mod digest;
mod eicar;
mod examination;
mod expansion;
mod extension;
mod gzip;
mod hash_list;
mod hash_list_build;
mod image;
mod inspector;
mod kind;
mod limits;
mod listed;
mod listed_record;
mod lzma;
mod lzma_file;
mod lzx;
mod markup;
mod mszip;
mod name;
mod office;
mod ole;
mod packed;
mod pdf;
mod policy;
mod prefix_code;
mod rar;
mod rar4_code;
mod rar5_code;
mod rar_behind;
mod rar_filter;
mod rar_header;
mod rar_unpack;
mod reader;
mod report;
mod sevenzip;
mod sevenzip_header;
mod tar;
mod text;
mod tnef;
mod udf;
mod varint;
mod vba;
mod walk;
mod window;
mod words;
mod xz;
mod zip;
mod zip_directory;
mod zip_end;
mod zip_header;
mod zstd;

pub use allowance::WindowAllowance;
pub use digest::Lookup;
pub use examination::Rules;
pub use hash_list::{HashList, HashListError, ListOctets, ROWS_MAX};
pub use hash_list_build::{HashListBuilder, NotADigest};
pub use inspector::Inspector;
pub use limits::{DEPTH_MAX, Limits, RATIO_FREE_OCTETS};
pub use policy::{Action, Class, LIST_WORDS_MAX, Policy};
pub use report::{Finding, Report};
