//! Internet messages: read leniently, write strictly (RFC 5322, 2045-2049, 2047, 2231, 6532).
//!
//! A message is digested by the [`Scanner`] while it arrives; what IMAP later asks for is answered from the [`Summary`]
//! it leaves, and from ranges of the stored octets. No whole message is ever held in memory.

mod address_list;
mod charset;
mod civil;
mod collect;
mod date;
mod encoded_word;
mod entity;
mod envelope;
mod field_cache;
mod file_name;
mod fold;
mod header;
mod html;
mod html_reference;
mod limits;
mod message_id;
mod mime_field;
mod own_letter;
mod report;
mod scanner;
mod search;
mod structure;
mod summary;
mod summary_codec;
mod text;
mod trace;
mod transfer;
mod utf7;
mod write;

pub use address_list::parse_addresses;
pub use charset::{CharsetDecoder, decode_charset, decode_undeclared, is_known_charset};
pub use civil::{Civil, DAY_NAMES, DAY_SECONDS, MONTH_NAMES, days_since_epoch, month_number};
pub use collect::{Collected, HeaderCollector};
pub use date::Date;
pub use encoded_word::decode_field_text;
pub use envelope::{Addressee, Envelope};
pub use field_cache::CachedFields;
pub use fold::{Folder, fold};
pub use header::{Choice, Field, FieldFilter, Fields, blank_line_octets, choose_fields, fields, unfold};
pub use html::{HtmlText, html_text};
pub use limits::{BOUNDARY_OCTETS_MAX, DEPTH_MAX, Limits};
pub use message_id::{MESSAGE_ID_OCTETS_MAX, message_ids, new_message_id};
pub use mime_field::ContentType;
pub use own_letter::OwnLetter;
pub use report::{
    Action, DeliveryReport, ORIGINAL_HEADER_OCTETS_MAX, Original, OriginalOctets, REMOTE_WORDS_OCTETS_MAX,
    REPEATED_SUBJECT_OCTETS_MAX, RecipientReport, RemoteWords, ReportForm, ReportNeeds, Returned,
    write_text_part,
};
pub use scanner::Scanner;
pub use search::{TextSearch, contains_folded};
pub use structure::{Content, Disposition, EmbeddedMessage, Parameter, Part, SectionText, Span};
pub use summary::{Summary, SummaryError, Traits};
pub use text::{READ_OCTETS_MAX, TextExtraction, TextPiece, TextScope, visit_text};
pub use trace::{
    Client, MailProtocol, Received, write_date_field, write_message_id_field, write_return_path,
};
pub use transfer::{Strictness, TransferDecoder, TransferEncoding, Undecodable, decode_transfer};
pub use write::{encode_base64, write_address_field, write_exact_text_field, write_text_field};
