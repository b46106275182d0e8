//! The mail that everybody gets: about 4 KiB each, no two alike, the same for every server.

/// Octets of a message.
const OCTETS: usize = 4_096;

const WORDS: [&str; 24] = [
    "the", "meeting", "tomorrow", "please", "find", "attached", "report", "with", "regards", "budget", "we",
    "should", "discuss", "project", "deadline", "and", "invoice", "number", "your", "order", "has", "been",
    "shipped", "today",
];

/// Message number `number`, CRLF line ends.
pub(crate) fn message(number: u32) -> Vec<u8> {
    let mut state = u64::from(number) * 2 + 1;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default()
    };
    let mut text = format!(
        "Received: from client.example (client.example [192.0.2.{}])\r\n\tby mx.example.test with ESMTPS id {number:08x};\r\n\tMon, 2 Feb 2026 10:{:02}:{:02} +0000\r\n\
         From: \"Sender {}\" <sender{}@elsewhere.example>\r\nTo: user@example.test\r\nCc: \"Other Person\" <other@example.test>\r\n\
         Subject: {} {} number {number}\r\nDate: Mon, 2 Feb 2026 10:00:{:02} +0000\r\nMessage-ID: <{number}.bench@elsewhere.example>\r\n\
         In-Reply-To: <{}.bench@elsewhere.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"=_b{number}\"\r\n\r\n\
         --=_b{number}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        number % 250,
        number / 60 % 60,
        number % 60,
        number % 500,
        number % 500,
        WORDS[next() % WORDS.len()],
        WORDS[next() % WORDS.len()],
        number % 60,
        number / 2,
    );
    let mut column = 0;
    while text.len() < OCTETS - 300 {
        let word = WORDS[next() % WORDS.len()];
        text.push_str(word);
        column += word.len() + 1;
        if next() % 7 == 0 {
            text.push_str(&format!(" {:x}", next()));
            column += 9;
        }
        if column > 68 {
            text.push_str("\r\n");
            column = 0;
        } else {
            text.push(' ');
        }
    }
    text.push_str(&format!("\r\n--=_b{number}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{number}</p>\r\n--=_b{number}--\r\n"));
    text.into_bytes()
}
