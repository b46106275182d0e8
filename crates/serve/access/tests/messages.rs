//! Storing, reading, changing, copying and removing messages.

mod house;

use access::Settings;
use directory::Quota;
use house::{Client, House, with_word};

/// The messages of RFC 3501's examples, more or less: a multipart with text, HTML and an image.
const MULTIPART: &str = "From: Terry Gray <gray@cac.washington.example>\r\n\
    Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
    To: imap@cac.washington.example\r\n\
    Date: Wed, 17 Jul 1996 02:23:25 -0700\r\n\
    Message-Id: <B27397-0100000@cac.washington.example>\r\n\
    X-Other: one\r\n two\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=frontier\r\n\
    \r\n\
    preamble\r\n\
    --frontier\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\
    \r\n\
    Gr=C3=BC=C3=9Fe an alle\r\n\
    --frontier\r\n\
    Content-Type: application/octet-stream; name=data.bin\r\n\
    Content-Transfer-Encoding: base64\r\n\
    Content-Disposition: attachment; filename=data.bin\r\n\
    \r\n\
    AAECAwQF\r\n\
    --frontier\r\n\
    Content-Type: message/rfc822\r\n\
    \r\n\
    Subject: inner\r\n\
    From: inner@example.org\r\n\
    \r\n\
    inner body\r\n\
    --frontier--\r\n";

async fn with_multipart(house: &House) -> Client {
    let mut client = house.ann().await;
    client.append("INBOX", "\\Seen", MULTIPART).await;
    client.send("s SELECT INBOX\r\n").await;
    client.until("s").await;
    client
}

#[tokio::test]
async fn select_tells_what_the_mailbox_holds() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append("INBOX", "\\Seen $Work", "Subject: 1\r\n\r\n1\r\n").await;
    client.append("INBOX", "", "Subject: 2\r\n\r\n2\r\n").await;
    client
        .play(
            r"C: a1 SELECT INBOX
              S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Work)
              S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $Work \*)] …
              S: * 2 EXISTS
              S: * 0 RECENT
              S: * OK [UNSEEN 2] …
              S: * OK [UIDVALIDITY …] …
              S: * OK [UIDNEXT 3] …
              S: * OK [HIGHESTMODSEQ …] …
              S: * OK [MAILBOXID (F…)] …
              S: a1 OK [READ-WRITE] SELECT completed
              C: a2 EXAMINE Nowhere
              S: * OK [CLOSED] …
              S: a2 NO [NONEXISTENT] No such mailbox
              C: a3 FETCH 1 FLAGS
              S: a3 BAD No mailbox is selected
              C: a4 ENABLE IMAP4rev2
              S: * ENABLED IMAP4rev2
              S: a4 OK ENABLE completed
              C: a5 EXAMINE INBOX
              S: * FLAGS …
              S: * OK [PERMANENTFLAGS ()] …
              S: * 2 EXISTS
              S: * OK [UIDVALIDITY …] …
              S: * OK [UIDNEXT 3] …
              S: * OK [HIGHESTMODSEQ …] …
              S: * OK [MAILBOXID (F…)] …
              S: * LIST () …/… INBOX
              S: a5 OK [READ-ONLY] EXAMINE completed
              C: a6 STORE 1 +FLAGS (\Deleted)
              S: a6 NO [READ-ONLY] …
              C: a7 EXPUNGE
              S: a7 NO [READ-ONLY] …
              C: a8 UNSELECT
              S: a8 OK UNSELECT completed
              C: a9 CLOSE
              S: a9 BAD No mailbox is selected",
        )
        .await;
}

#[tokio::test]
async fn envelope_and_structure_come_from_the_summary() {
    let house = House::new().await;
    let mut client = with_multipart(&house).await;
    client
        .play(
            r#"C: a1 FETCH 1 (ENVELOPE RFC822.SIZE)
               S: * 1 FETCH (ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700" "IMAP4rev1 WG mtg summary and minutes" (("Terry Gray" NIL "gray" "cac.washington.example")) (("Terry Gray" NIL "gray" "cac.washington.example")) (("Terry Gray" NIL "gray" "cac.washington.example")) ((NIL NIL "imap" "cac.washington.example")) NIL NIL NIL "<B27397-0100000@cac.washington.example>") RFC822.SIZE …)
               S: a1 OK FETCH completed
               C: a2 FETCH 1 BODY
               S: * 1 FETCH (BODY (("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 23 0)("application" "octet-stream" ("name" "data.bin") NIL NIL "base64" 8)("message" "rfc822" NIL NIL NIL "7bit" … (NIL "inner" …) ("text" "plain" …) …) "mixed"))
               S: a2 OK FETCH completed
               C: a3 UID FETCH 1:* (FLAGS INTERNALDATE EMAILID THREADID SAVEDATE)
               S: * 1 FETCH (UID 1 FLAGS (\Seen) INTERNALDATE "17-Jul-1996 02:44:25 +0000" EMAILID (M…) THREADID (T…) SAVEDATE "17-Jul-1996 02:44:25 +0000")
               S: a3 OK FETCH completed"#,
        )
        .await;
}

#[tokio::test]
async fn message_global_is_opened_for_those_who_know_it() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append("INBOX", "", "Content-Type: message/global\r\n\r\nSubject: in\r\n\r\nx\r\n").await;
    client.command("s SELECT INBOX").await;
    client
        .play(
            r#"C: a1 FETCH 1 BODY
               S: * 1 FETCH (BODY ("message" "global" NIL NIL NIL "7bit" 18))
               S: a1 OK FETCH completed
               C: a2 ENABLE IMAP4rev2
               S: * ENABLED IMAP4rev2
               S: a2 OK ENABLE completed
               C: a3 FETCH 1 BODY
               S: * 1 FETCH (BODY ("message" "global" NIL NIL NIL "7bit" 18 (NIL "in" … 3))
               S: a3 OK FETCH completed"#,
        )
        .await;
}

#[tokio::test]
async fn sections_are_exactly_the_octets_that_came() {
    let house = House::new().await;
    let mut client = with_multipart(&house).await;
    let (header, body) = MULTIPART.split_once("\r\n\r\n").unwrap();
    let whole = MULTIPART.len();
    client
        .play(&format!(
            "C: a1 FETCH 1 BODY.PEEK[]
             S: * 1 FETCH (BODY[] {{{whole}}}…
             S: a1 OK FETCH completed
             C: a2 FETCH 1 BODY.PEEK[1]
             S: * 1 FETCH (BODY[1] {{23}}…Gr=C3=BC=C3=9Fe an alle)
             S: a2 OK FETCH completed
             C: a3 FETCH 1 BODY.PEEK[3.HEADER]
             S: * 1 FETCH (BODY[3.HEADER] {{43}}…Subject: inner…From: inner@example.org…)
             S: a3 OK FETCH completed
             C: a4 FETCH 1 BODY.PEEK[3.1]
             S: * 1 FETCH (BODY[3.1] {{10}}…inner body)
             S: a4 OK FETCH completed
             C: a5 FETCH 1 BODY.PEEK[9]
             S: * 1 FETCH (BODY[9] NIL)
             S: a5 OK FETCH completed
             C: a6 FETCH 1 BODY.PEEK[]<6.5>
             S: * 1 FETCH (BODY[]<6> {{5}}…Terry)
             S: a6 OK FETCH completed
             C: a7 FETCH 1 BODY.PEEK[]<100000.5>
             S: * 1 FETCH (BODY[]<100000> {{0}}…)
             S: a7 OK FETCH completed
             C: a8 FETCH 1 RFC822.HEADER
             S: * 1 FETCH (RFC822.HEADER {{{}}}…
             S: a8 OK FETCH completed
             C: a9 FETCH 1 BODY.PEEK[TEXT]
             S: * 1 FETCH (BODY[TEXT] {{{}}}…
             S: a9 OK FETCH completed
             C: b1 FETCH 1 BODY.PEEK[2.MIME]
             S: * 1 FETCH (BODY[2.MIME] {{…}}…Content-Type: application/octet-stream; name=data.bin…)
             S: b1 OK FETCH completed",
            header.len() + 4,
            body.len(),
        ))
        .await;
    client.send("c1 FETCH 1 BODY.PEEK[]\r\n").await;
    let line = client.line_octets().await;
    let text = String::from_utf8(line).unwrap();
    assert_eq!(text, format!("* 1 FETCH (BODY[] {{{whole}}}\r\n{MULTIPART})"));
}

#[tokio::test]
async fn header_fields_are_picked_from_cache_and_from_octets() {
    let house = House::new().await;
    let mut client = with_multipart(&house).await;
    for fields in ["SUBJECT \"X-Other\"", "subject x-other"] {
        client.send(&format!("a1 FETCH 1 BODY.PEEK[HEADER.FIELDS ({fields})]\r\n")).await;
        let answer = client.until("a1").await;
        let picked = "Subject: IMAP4rev1 WG mtg summary and minutes\r\nX-Other: one\r\n two\r\n\r\n)";
        assert!(answer[0].ends_with(picked), "{answer:?}");
        assert!(answer[0].contains(&format!("{{{}}}", picked.len() - 1)), "{answer:?}");
    }
    client.send("a2 FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (From To Date Message-Id X-Other MIME-Version Content-Type)]<4.10>\r\n").await;
    let answer = client.until("a2").await;
    assert!(answer[0].ends_with("]<4> {10}\r\nect: IMAP4)"), "{answer:?}");
    client.send("a3 FETCH 1 BODY.PEEK[3.HEADER.FIELDS (From)]\r\n").await;
    let answer = client.until("a3").await;
    assert!(answer[0].ends_with("{27}\r\nFrom: inner@example.org\r\n\r\n)"), "{answer:?}");
    client.send("a4 FETCH 1 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (Subject)]<9.8>)\r\n").await;
    let answer = client.until("a4").await;
    let size = MULTIPART.len();
    let expected = format!(
        "* 1 FETCH (UID 1 RFC822.SIZE {size} FLAGS (\\Seen) BODY[HEADER.FIELDS (Subject)]<9> {{8}}\r\nIMAP4rev)"
    );
    assert_eq!(answer[0], expected);
    client.send("a5 FETCH 1 (BODY.PEEK[HEADER.FIELDS (To)] BODY.PEEK[])\r\n").await;
    let answer = client.line_octets().await;
    let text = String::from_utf8(answer).unwrap();
    let to = "To: imap@cac.washington.example\r\n\r\n";
    let expected = format!(
        "* 1 FETCH (BODY[HEADER.FIELDS (To)] {{{}}}\r\n{to} BODY[] {{{size}}}\r\n{MULTIPART})",
        to.len()
    );
    assert_eq!(text, expected);
}

#[tokio::test]
async fn binary_parts_come_decoded() {
    let house = House::new().await;
    let mut client = with_multipart(&house).await;
    client.send("a1 FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2] BINARY.PEEK[1]<0.6>)\r\n").await;
    let line = client.line_octets().await;
    let expected = "* 1 FETCH (BINARY.SIZE[2] 6 BINARY[2] ~{6}\r\n\u{0}\u{1}\u{2}\u{3}\u{4}\u{5} BINARY[1]<0> ~{6}\r\nGrüß)";
    assert_eq!(String::from_utf8_lossy(&line), expected);
    assert_eq!(client.until("a1").await, ["a1 OK FETCH completed"]);
    client.append("INBOX", "", "Content-Transfer-Encoding: x-unheard-of\r\n\r\nbody\r\n").await;
    let answer = client.command("a2 FETCH 2 BINARY.PEEK[1]").await;
    assert_eq!(answer.last().unwrap(), "a2 NO [UNKNOWN-CTE] Transfer encoding is unknown");
    client.append("INBOX", "", "Content-Transfer-Encoding: base64\r\n\r\n!!!!\r\n").await;
    let answer = client.command("a3 FETCH 3 BINARY.SIZE[1]").await;
    assert_eq!(answer.last().unwrap(), "a3 NO [UNKNOWN-CTE] Transfer encoding is unknown");
}

#[tokio::test]
async fn previews_show_the_first_words() {
    let house = House::new().await;
    let mut client = with_multipart(&house).await;
    let answer = client.command("a1 FETCH 1 (PREVIEW)").await;
    assert!(answer[0].ends_with("Grüße an alle)"), "{answer:?}");
}

#[tokio::test]
async fn reading_marks_as_seen_and_peeking_does_not() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append_many("INBOX", 2).await;
    client.send("s SELECT INBOX\r\n").await;
    client.until("s").await;
    client
        .play(
            r"C: a1 FETCH 1 BODY.PEEK[TEXT]
              S: * 1 FETCH (BODY[TEXT] {8}…body 1…)
              S: a1 OK FETCH completed
              C: a2 FETCH 1 BODY[TEXT]
              S: * 1 FETCH (BODY[TEXT] {8}…body 1… FLAGS (\Seen))
              S: a2 OK FETCH completed
              C: a3 FETCH 1 BODY[TEXT]
              S: * 1 FETCH (BODY[TEXT] {8}…body 1…)
              S: a3 OK FETCH completed
              C: a4 FETCH 2 (FLAGS RFC822.TEXT MODSEQ)
              S: * OK [HIGHESTMODSEQ …
              S: * 2 FETCH (FLAGS (\Seen) RFC822.TEXT {8}…body 2… MODSEQ (…) UID 2)
              S: a4 OK FETCH completed
              C: a5 EXAMINE INBOX",
        )
        .await;
    client.until("a5").await;
    client.append("INBOX", "", "Subject: 3\r\n\r\nbody 3\r\n").await;
    client
        .play(
            r"C: a6 FETCH 3 BODY[TEXT]
              S: * 3 FETCH (BODY[TEXT] {8}…body 3…)
              S: a6 OK FETCH completed",
        )
        .await;
}

#[tokio::test]
async fn store_changes_flags_and_tells_them() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append_many("INBOX", 3).await;
    client.send("s SELECT INBOX\r\n").await;
    client.until("s").await;
    client
        .play(
            r"C: a1 STORE 1:2 +FLAGS (\Flagged)
              S: * 1 FETCH (FLAGS (\Flagged))
              S: * 2 FETCH (FLAGS (\Flagged))
              S: a1 OK STORE completed
              C: a2 UID STORE 2 FLAGS ($Work \Seen)
              S: * FLAGS (…$Work)
              S: * OK [PERMANENTFLAGS (…$Work \*)] …
              S: * 2 FETCH (UID 2 FLAGS (\Seen $Work))
              S: a2 OK STORE completed
              C: a3 STORE 1,3 -FLAGS.SILENT (\Flagged)
              S: a3 OK STORE completed
              C: a4 FETCH 1:* FLAGS
              S: * 1 FETCH (FLAGS ())
              S: * 2 FETCH (FLAGS (\Seen $Work))
              S: * 3 FETCH (FLAGS ())
              S: a4 OK FETCH completed
              C: a5 STORE 4 +FLAGS (\Seen)
              S: a5 BAD No message has such a sequence number
              C: a6 UID STORE 99 +FLAGS (\Seen)
              S: a6 OK STORE completed",
        )
        .await;
}

#[tokio::test]
async fn copying_and_moving_tell_the_new_identifiers() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append_many("INBOX", 4).await;
    client.send("s SELECT INBOX\r\n").await;
    client.until("s").await;
    client
        .play(
            r"C: a1 COPY 1:2 Archive
              S: a1 OK [COPYUID … 1:2 1:2] COPY completed
              C: a2 UID MOVE 2:3 Archive
              S: * OK [COPYUID … 2:3 3:4] Moved
              S: * 3 EXPUNGE
              S: * 2 EXPUNGE
              S: a2 OK MOVE completed
              C: a3 COPY 1 Nowhere
              S: a3 NO [TRYCREATE] …
              C: a4 MOVE 1 Nowhere
              S: a4 NO [TRYCREATE] …
              C: a5 UID COPY 99 Archive
              S: a5 OK No messages to copy
              C: a6 COPY 9 Archive
              S: a6 BAD No message has such a sequence number
              C: a7 STATUS Archive (MESSAGES)
              S: * STATUS …Archive… (MESSAGES 4)
              S: a7 OK STATUS completed
              C: a8 UID FETCH 1:* UID
              S: * 1 FETCH (UID 1)
              S: * 2 FETCH (UID 4)
              S: a8 OK FETCH completed",
        )
        .await;
}

#[tokio::test]
async fn expunge_takes_the_deleted_and_uid_expunge_only_those_named() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append_many("INBOX", 6).await;
    client.send("s SELECT INBOX\r\n").await;
    client.until("s").await;
    client.command("d STORE 2,4,5 +FLAGS.SILENT (\\Deleted)").await;
    client
        .play(
            r"C: a1 UID EXPUNGE 1:4
              S: * 4 EXPUNGE
              S: * 2 EXPUNGE
              S: a1 OK EXPUNGE completed
              C: a2 EXPUNGE
              S: * 3 EXPUNGE
              S: a2 OK EXPUNGE completed
              C: a3 EXPUNGE
              S: a3 OK EXPUNGE completed
              C: a4 STORE 1 +FLAGS.SILENT (\Deleted)
              S: a4 OK STORE completed
              C: a5 CLOSE
              S: a5 OK CLOSE completed
              C: a6 STATUS INBOX (MESSAGES)
              S: * STATUS INBOX (MESSAGES 2)
              S: a6 OK STATUS completed",
        )
        .await;
}

#[tokio::test]
async fn append_keeps_flags_dates_and_octets() {
    let house = House::new().await;
    let mut client = house.ann().await;
    // 8-bit octets, NUL, bare CR and bare LF: whatever came goes out again.
    let odd = b"Subject: \xff\r\n\r\nbare\rbare\nnul\0end";
    client
        .send(&format!("a1 APPEND INBOX (\\Draft $x) \"1-Feb-2003 04:05:06 +0100\" ~{{{}+}}\r\n", odd.len()))
        .await;
    client.send_octets(odd).await;
    client.send("\r\n").await;
    let answer = client.until("a1").await;
    assert!(
        answer[0].starts_with("a1 OK [APPENDUID ") && answer[0].ends_with(" 1] APPEND completed"),
        "{answer:?}"
    );
    client.send("s SELECT INBOX\r\n").await;
    client.until("s").await;
    client.send("a2 FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])\r\n").await;
    let line = client.line_octets().await;
    let mut expected =
        b"* 1 FETCH (FLAGS (\\Draft $x) INTERNALDATE \"01-Feb-2003 03:05:06 +0000\" BODY[] {".to_vec();
    expected.extend_from_slice(format!("{}}}\r\n", odd.len()).as_bytes());
    expected.extend_from_slice(odd);
    expected.push(b')');
    // A day below ten may be written with a space or a zero.
    let line = String::from_utf8_lossy(&line).replace("\" 1-Feb", "\"01-Feb");
    assert_eq!(line, String::from_utf8_lossy(&expected));
}

#[tokio::test]
async fn append_asks_before_it_takes() {
    let settings = Settings { message_octets_max: 100, ..Settings::default() };
    let house = House::with(settings, Quota::default()).await;
    let mut client = house.ann().await;
    client
        .play(
            r"C: a1 APPEND INBOX {12}
              S: + Ready for the message
              C: A: b
              C:
              C: text
              S: a1 OK [APPENDUID … 1] APPEND completed",
        )
        .await;
    client.stream_append("a2", "INBOX", 100, true).await;
    assert!(client.line().await.starts_with("a2 OK [APPENDUID "));
    client
        .play(
            r"C: a3 APPEND INBOX {101}
              S: a3 NO [TOOBIG] Message is too large
              C: a4 APPEND Nowhere {10}
              S: a4 NO [TRYCREATE] …
              C: a5 APPEND INBOX {0}
              S: a5 NO An empty message is not stored",
        )
        .await;
    // Sent without asking: skipped, and the next command is understood.
    client.stream_append("a6", "INBOX", 101, false).await;
    assert_eq!(client.line().await, "a6 NO [TOOBIG] Message is too large");
    client.stream_append("a7", "Nowhere", 50, false).await;
    assert!(client.line().await.starts_with("a7 NO [TRYCREATE] "));
    client
        .play(
            "C: a8 STATUS INBOX (MESSAGES)
             S: * STATUS INBOX (MESSAGES 2)
             S: a8 OK STATUS completed",
        )
        .await;
}

impl Client {
    async fn stream_append(&mut self, tag: &str, mailbox: &str, octets: usize, asks: bool) {
        let plus = if asks { "" } else { "+" };
        self.send(&format!("{tag} APPEND {mailbox} {{{octets}{plus}}}\r\n")).await;
        if asks {
            assert!(self.line().await.starts_with("+ "));
        }
        let head = "Subject: streamed\r\n\r\n";
        self.send(head).await;
        let mut left = octets - head.len();
        while left > 0 {
            let piece = left.min(64 * 1024);
            self.send_octets(&vec![b'x'; piece]).await;
            left -= piece;
        }
        self.send("\r\n").await;
    }
}

#[tokio::test]
async fn several_messages_are_appended_all_or_none() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client
        .play(
            "C: a1 APPEND INBOX (\\Seen) {8+}
             C: A: 1abcd (\\Flagged) {8+}
             C: A: 2abcd
             S: a1 OK [APPENDUID … 1:2] APPEND completed
             C: a2 APPEND INBOX {8+}
             C: A: 3abcd {0+}
             C:
             S: a2 NO An empty message is not stored
             C: a3 APPEND INBOX {8+}
             C: A: 4abcd nonsense
             S: a3 BAD …
             C: a4 STATUS INBOX (MESSAGES UNSEEN)
             S: * STATUS INBOX (MESSAGES 2 UNSEEN 1)
             S: a4 OK STATUS completed",
        )
        .await;
}

#[tokio::test]
async fn large_messages_stream_both_ways() {
    let house = House::new().await;
    let mut client = house.ann().await;
    let octets = 5_000_000;
    client.stream_append("a1", "INBOX", octets, true).await;
    assert!(client.line().await.starts_with("a1 OK [APPENDUID "));
    client.send("s SELECT INBOX\r\n").await;
    client.until("s").await;
    client.send("a2 FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT]<4000000.10>)\r\n").await;
    let line = client.line_octets().await;
    let start = format!("* 1 FETCH (BODY[] {{{octets}}}\r\nSubject: streamed\r\n\r\nxxx");
    assert!(line.starts_with(start.as_bytes()));
    assert!(line.ends_with(b"xxx BODY[TEXT]<4000000> {10}\r\nxxxxxxxxxx)"));
    assert!(client.line().await.starts_with("a2 OK"));
}

#[tokio::test]
async fn searches_find_by_every_kind_of_key() {
    let house = House::new().await;
    let mut client = with_multipart(&house).await;
    client.append("INBOX", "\\Flagged $Work", "From: bob@example.org\r\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\r\nDate: Thu, 1 Jan 2026 12:00:00 +0000\r\n\r\nplain words\r\n").await;
    client.append("INBOX", "", "Subject: third\r\n\r\nthird body\r\n").await;
    for (key, found) in [
        ("ALL", "1 2 3"),
        ("UNSEEN", "2 3"),
        ("SEEN", "1"),
        ("FLAGGED", "2"),
        ("KEYWORD $work", "2"),
        ("UNKEYWORD $Work", "1 3"),
        ("KEYWORD $absent", ""),
        ("RECENT", ""),
        ("OLD", "1 2 3"),
        ("NEW", ""),
        ("2:*", "2 3"),
        ("UID 1,3", "1 3"),
        ("NOT UID 2", "1 3"),
        ("OR FLAGGED 3", "2 3"),
        ("SUBJECT grüße", "2"),
        ("SUBJECT THIRD", "3"),
        ("FROM example.org", "2"),
        ("FROM terry", "1"),
        ("TO imap@", "1"),
        ("HEADER X-Other \"one two\"", "1"),
        ("HEADER X-Other \"\"", "1"),
        ("HEADER Subject minutes", "1"),
        ("BODY \"grüße an\"", "1"),
        ("BODY \"inner body\"", "1"),
        ("BODY words", "2"),
        ("TEXT inner", "1"),
        ("TEXT third", "3"),
        ("TEXT absent", ""),
        ("LARGER 500", "1"),
        ("SMALLER 500", "2 3"),
        ("SENTBEFORE 1-Jan-2000", "1"),
        ("SENTON 1-Jan-2026", "2"),
        ("SENTSINCE 17-Jul-1996", "1 2"),
        ("ON 17-Jul-1996", "1 2 3"),
        ("BEFORE 17-Jul-1996", ""),
        ("SINCE 17-Jul-1996", "1 2 3"),
        ("SAVEDON 17-Jul-1996", "1 2 3"),
        ("SAVEDATESUPPORTED", "1 2 3"),
        ("YOUNGER 3600", "1 2 3"),
        ("OLDER 3600", ""),
        ("UNSEEN SUBJECT third BODY body", "3"),
        ("NOT (OR SUBJECT third FLAGGED)", "1"),
        ("EMAILID Mffffffffff", ""),
    ] {
        let octets = key.len();
        // Keys with words beyond US-ASCII need a literal in IMAP4rev1; everything may come as one command.
        let answer = if key.is_ascii() {
            client.command(&format!("f SEARCH {key}")).await
        } else {
            let (start, word) = key.split_once(' ').unwrap();
            let word = word.trim_matches('"');
            let _ = octets;
            client.send(&format!("f SEARCH CHARSET UTF-8 {start} {{{}+}}\r\n{word}\r\n", word.len())).await;
            client.until("f").await
        };
        let expected = if found.is_empty() { "* SEARCH".to_owned() } else { format!("* SEARCH {found}") };
        assert_eq!(answer, [expected, "f OK SEARCH completed".to_owned()], "{key}");
    }
    client
        .play(
            "C: b1 SEARCH CHARSET KLINGON SUBJECT x
             S: b1 NO [BADCHARSET (US-ASCII UTF-8)] …
             C: b2 SEARCH 4
             S: b2 BAD No message has such a sequence number",
        )
        .await;
}

#[tokio::test]
async fn extended_searches_answer_as_asked() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append_many("INBOX", 5).await;
    client.send("s SELECT INBOX\r\n").await;
    client.until("s").await;
    client.command("d STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    client.command("e EXPUNGE").await;
    client
        .play(
            r#"C: a1 SEARCH RETURN (MIN MAX COUNT ALL) ALL
               S: * ESEARCH (TAG "a1") MIN 1 MAX 4 COUNT 4 ALL 1:4
               S: a1 OK SEARCH completed
               C: a2 UID SEARCH RETURN () 2:*
               S: * ESEARCH (TAG "a2") UID ALL 3:5
               S: a2 OK SEARCH completed
               C: a3 SEARCH RETURN (MIN MAX COUNT ALL) FLAGGED
               S: * ESEARCH (TAG "a3") COUNT 0
               S: a3 OK SEARCH completed
               C: a4 UID SEARCH RETURN (SAVE) 2:3
               S: a4 OK SEARCH completed
               C: a5 FETCH $ UID
               S: * 2 FETCH (UID 3)
               S: * 3 FETCH (UID 4)
               S: a5 OK FETCH completed
               C: a6 UID SEARCH $
               S: * SEARCH 3 4
               S: a6 OK SEARCH completed
               C: a7 UID SEARCH RETURN (SAVE MIN) ALL
               S: * ESEARCH (TAG "a7") UID MIN 1
               S: a7 OK SEARCH completed
               C: a8 UID STORE $ +FLAGS.SILENT (\Deleted)
               S: a8 OK STORE completed
               C: a9 UID EXPUNGE $
               S: * 1 EXPUNGE
               S: a9 OK EXPUNGE completed
               C: b1 FETCH $ UID
               S: b1 OK FETCH completed
               C: b2 ENABLE IMAP4rev2
               S: * ENABLED IMAP4rev2
               S: b2 OK ENABLE completed
               C: b3 UID SEARCH ALL
               S: * ESEARCH (TAG "b3") UID ALL 3:5
               S: b3 OK SEARCH completed"#,
        )
        .await;
}

#[tokio::test]
async fn a_search_refused_leaves_nothing_saved_and_a_wrong_one_what_was() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append_many("INBOX", 3).await;
    client.command("s SELECT INBOX").await;
    client
        .play(
            "C: a1 SEARCH RETURN (SAVE) 2
             S: a1 OK SEARCH completed
             C: a2 SEARCH RETURN (SAVE) 9
             S: a2 BAD …
             C: a3 SEARCH CHARSET KLINGON ALL
             S: a3 NO [BADCHARSET …
             C: a4 FETCH $ UID
             S: * 2 FETCH (UID 2)
             S: a4 OK FETCH completed
             C: a5 SEARCH RETURN (SAVE) CHARSET KLINGON ALL
             S: a5 NO [BADCHARSET …
             C: a6 FETCH $ UID
             S: a6 OK FETCH completed",
        )
        .await;
}

#[tokio::test]
async fn searches_for_mod_sequences_tell_the_highest() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.append_many("INBOX", 3).await;
    client.send("s SELECT INBOX (CONDSTORE)\r\n").await;
    client.until("s").await;
    let answer = client.command("a1 STORE 2 +FLAGS (\\Flagged)").await;
    let modseq = answer[0].split("MODSEQ (").nth(1).unwrap().trim_end_matches("))").to_owned();
    client
        .play(&format!(
            "C: a2 SEARCH MODSEQ {modseq}
             S: * SEARCH 2 (MODSEQ {modseq})
             S: a2 OK SEARCH completed
             C: a3 SEARCH RETURN (ALL) MODSEQ 1
             S: * ESEARCH (TAG \"a3\") MODSEQ {modseq} ALL 1:3
             S: a3 OK SEARCH completed
             C: a4 FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq})
             S: a4 OK FETCH completed
             C: a5 STORE 1:3 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)
             S: a5 OK [MODIFIED 1:3] …"
        ))
        .await;
    let answer = client.command("a6 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)").await;
    assert_eq!(with_word(&answer, "FETCH (UID ").len(), 3, "{answer:?}");
}

#[tokio::test]
async fn appends_without_waiting_are_answered_in_order() {
    let house = House::new().await;
    let mut client = house.ann().await;
    let mut commands = String::new();
    for number in 1..=200 {
        // Some are refused in between, and nothing loses its place.
        let mailbox = if number % 50 == 0 { "Nowhere" } else { "INBOX" };
        let message = format!("Subject: {number}\r\n\r\nbody\r\n");
        commands.push_str(&format!("t{number} APPEND {mailbox} {{{}+}}\r\n{message}\r\n", message.len()));
    }
    client.send(&format!("{commands}end STATUS INBOX (MESSAGES)\r\n")).await;
    let mut uid = 0;
    for number in 1..=200 {
        let line = client.line().await;
        if number % 50 == 0 {
            assert_eq!(line, format!("t{number} NO [TRYCREATE] No such mailbox; create it first"));
        } else {
            uid += 1;
            assert!(matches_append(&line, number, uid), "{line}");
        }
    }
    assert_eq!(client.until("end").await, ["* STATUS INBOX (MESSAGES 196)", "end OK STATUS completed"]);
}

fn matches_append(line: &str, number: u32, uid: u32) -> bool {
    house::matches(&format!("t{number} OK [APPENDUID … {uid}] APPEND completed"), line)
}

#[tokio::test]
async fn an_append_into_the_selected_mailbox_is_seen_at_once() {
    let house = House::new().await;
    let mut client = house.ann().await;
    client.command("s SELECT INBOX").await;
    client
        .play(
            "C: a1 APPEND INBOX {8+}
             C: A: 1abcd
             S: * 1 EXISTS
             S: a1 OK [APPENDUID … 1] APPEND completed
             C: a2 UID FETCH 1 (UID RFC822.SIZE)
             S: * 1 FETCH (UID 1 RFC822.SIZE 8)
             S: a2 OK FETCH completed",
        )
        .await;
}
