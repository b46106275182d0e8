//! The PROXY protocol, versions 1 and 2: a load balancer's word on who the peer is.
//!
//! Stands before the first octet of SMTP or IMAP, and only for networks the operator named: from anyone else
//! the same octets are just a bad command. Specification: haproxy's doc/proxy-protocol.txt. Strict: what is not
//! written exactly so ends the connection, for a misread header would let a peer choose its address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest version 1 line with its CRLF (specification §2.1).
pub const V1_OCTETS_MAX: usize = 107;

/// Longest version 2 payload we read: addresses take 36 octets, the rest are extensions (TLVs), of which a client
/// certificate's name is the longest in use.
pub const V2_PAYLOAD_OCTETS_MAX: usize = 2048;

/// Shortest complete header, `PROXY UNKNOWN` with CRLF: as many octets can be read without taking any of the client's.
const SHORTEST_OCTETS: usize = 15;

const V1_START: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, and length of what follows (specification §2.2).
const V2_FIXED_OCTETS: usize = 16;

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// The proxy speaks for itself (health check) or cannot say: keep the connection's own addresses.
    Local,
    /// The client behind the proxy, and the address it connected to.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
}

/// What the first octets of a connection are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parsed {
    /// Not yet a whole header. At least so many more octets belong to it.
    Incomplete(usize),
    /// A header of so many octets; what follows is the client's.
    Complete(Header, usize),
}

/// Why a header was not accepted: hang up.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The octets are no PROXY header.
    #[error("the proxy sent no valid PROXY header: {0}")]
    Invalid(&'static str),
    /// It did not come in time.
    #[error("the proxy sent no PROXY header in time")]
    Timeout,
    /// The connection failed or ended.
    #[error("the proxy's connection failed: {0}")]
    Io(#[source] io::Error),
}

/// Reads a header from the start of a stream, and not one octet more.
///
/// # Errors
/// [`ProxyError`]
pub async fn read<S>(stream: &mut S, within: Duration) -> Result<Header, ProxyError>
where
    S: AsyncRead + Unpin,
{
    match tokio::time::timeout(within, read_untimed(stream)).await {
        Ok(header) => header,
        Err(_) => Err(ProxyError::Timeout),
    }
}

async fn read_untimed<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Header, ProxyError> {
    let mut octets = Vec::with_capacity(V1_OCTETS_MAX);
    loop {
        match parse(&octets)? {
            Parsed::Complete(header, _) => return Ok(header),
            Parsed::Incomplete(missing) => {
                let begin = octets.len();
                octets.resize(begin + missing, 0);
                let rest = octets.get_mut(begin..).unwrap_or_default();
                stream.read_exact(rest).await.map_err(ProxyError::Io)?;
            }
        }
    }
}

/// Parses the first octets of a connection.
///
/// # Errors
/// [`ProxyError::Invalid`] as soon as they can no longer become a header.
pub fn parse(octets: &[u8]) -> Result<Parsed, ProxyError> {
    if let Some(missing @ 1..) = SHORTEST_OCTETS.checked_sub(octets.len()) {
        let is_start = |whole: &[u8]| whole.iter().zip(octets).all(|(one, other)| one == other);
        if is_start(V1_START) || is_start(V2_SIGNATURE) {
            return Ok(Parsed::Incomplete(missing));
        }
        return Err(ProxyError::Invalid("it begins with neither version's signature"));
    }
    if octets.starts_with(V2_SIGNATURE) {
        parse_v2(octets)
    } else if octets.starts_with(V1_START) {
        parse_v1(octets)
    } else {
        Err(ProxyError::Invalid("it begins with neither version's signature"))
    }
}

fn parse_v1(octets: &[u8]) -> Result<Parsed, ProxyError> {
    let within = octets.get(..V1_OCTETS_MAX).unwrap_or(octets);
    let Some(end) = memchr::memmem::find(within, b"\r\n") else {
        if octets.len() >= V1_OCTETS_MAX {
            return Err(ProxyError::Invalid("the line is too long"));
        }
        return Ok(Parsed::Incomplete(1));
    };
    let line = octets.get(V1_START.len()..end).and_then(|line| std::str::from_utf8(line).ok());
    let line = line.ok_or(ProxyError::Invalid("the line is not ASCII"))?;
    Ok(Parsed::Complete(v1_header(line)?, end + 2))
}

/// The line after `PROXY `: `TCP4 source destination source-port destination-port`.
fn v1_header(line: &str) -> Result<Header, ProxyError> {
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Ok(Header::Local);
    }
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or(ProxyError::Invalid("words are missing"));
    let family = word()?;
    let (source, destination) = (word()?, word()?);
    let (source_port, destination_port) = (v1_port(word()?)?, v1_port(word()?)?);
    if words.next().is_some() {
        return Err(ProxyError::Invalid("there are too many words"));
    }
    let (source, destination) = match family {
        "TCP4" => (v1_address::<Ipv4Addr>(source)?, v1_address::<Ipv4Addr>(destination)?),
        "TCP6" => (v1_address::<Ipv6Addr>(source)?, v1_address::<Ipv6Addr>(destination)?),
        _ => return Err(ProxyError::Invalid("the family is not TCP4, TCP6 or UNKNOWN")),
    };
    Ok(proxied(source, source_port, destination, destination_port))
}

fn v1_address<A: std::str::FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, ProxyError> {
    text.parse().map(A::into).map_err(|_| ProxyError::Invalid("an address is not of its family"))
}

fn v1_port(text: &str) -> Result<u16, ProxyError> {
    let is_plain =
        text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !is_plain {
        return Err(ProxyError::Invalid("a port is not a number"));
    }
    text.parse().map_err(|_| ProxyError::Invalid("a port is not a number"))
}

fn parse_v2(octets: &[u8]) -> Result<Parsed, ProxyError> {
    let Some((fixed, payload)) = octets.split_at_checked(V2_FIXED_OCTETS) else {
        return Ok(Parsed::Incomplete(V2_FIXED_OCTETS - octets.len()));
    };
    let &[.., version_and_command, family, length_high, length_low] = fixed else {
        return Err(ProxyError::Invalid("the header is too short"));
    };
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    if length > V2_PAYLOAD_OCTETS_MAX {
        return Err(ProxyError::Invalid("it is too long"));
    }
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyError::Invalid("the version is not 2 or the command unknown")),
    };
    let Some(payload) = payload.get(..length) else {
        return Ok(Parsed::Incomplete(length - payload.len()));
    };
    // The payload of LOCAL means nothing and must be skipped (specification §2.2).
    let header = if is_local { Header::Local } else { v2_header(family, payload)? };
    Ok(Parsed::Complete(header, V2_FIXED_OCTETS + length))
}

fn v2_header(family: u8, payload: &[u8]) -> Result<Header, ProxyError> {
    const SHORT: ProxyError = ProxyError::Invalid("the addresses are cut short");
    let (header, extensions) = match family {
        // Unspecified, and Unix stream: nothing that would name a host.
        0x00 => return Ok(Header::Local),
        0x31 => {
            const UNIX_OCTETS: usize = 2 * 108;
            (Header::Local, payload.get(UNIX_OCTETS..).ok_or(SHORT)?)
        }
        0x11 => {
            let (&addresses, extensions) = payload.split_first_chunk::<12>().ok_or(SHORT)?;
            let [a, b, c, d, e, f, g, h, ports @ ..] = addresses;
            let (source, destination) = (Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h));
            (v2_proxied(source.into(), destination.into(), ports), extensions)
        }
        0x21 => {
            let (&source, rest) = payload.split_first_chunk::<16>().ok_or(SHORT)?;
            let (&destination, rest) = rest.split_first_chunk::<16>().ok_or(SHORT)?;
            let (&ports, extensions) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
            (v2_proxied(Ipv6Addr::from(source).into(), Ipv6Addr::from(destination).into(), ports), extensions)
        }
        _ => return Err(ProxyError::Invalid("the family is not TCP")),
    };
    check_extensions(extensions)?;
    Ok(header)
}

fn v2_proxied(source: IpAddr, destination: IpAddr, ports: [u8; 4]) -> Header {
    let [source_high, source_low, destination_high, destination_low] = ports;
    proxied(
        source,
        u16::from_be_bytes([source_high, source_low]),
        destination,
        u16::from_be_bytes([destination_high, destination_low]),
    )
}

/// Extensions (type, length, value) tell us nothing we use, but must fill the payload exactly.
fn check_extensions(mut octets: &[u8]) -> Result<(), ProxyError> {
    while let Some((_, rest)) = octets.split_first() {
        let (&length, value) =
            rest.split_first_chunk::<2>().ok_or(ProxyError::Invalid("an extension is cut short"))?;
        octets = value
            .get(usize::from(u16::from_be_bytes(length))..)
            .ok_or(ProxyError::Invalid("an extension is cut short"))?;
    }
    Ok(())
}

fn proxied(source: IpAddr, source_port: u16, destination: IpAddr, destination_port: u16) -> Header {
    Header::Proxied {
        source: SocketAddr::new(source.to_canonical(), source_port),
        destination: SocketAddr::new(destination.to_canonical(), destination_port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(octets: &[u8]) -> Option<(Header, usize)> {
        match parse(octets) {
            Ok(Parsed::Complete(header, length)) => Some((header, length)),
            _ => None,
        }
    }

    fn from_to(source: &str, destination: &str) -> Header {
        Header::Proxied { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    fn v2(version_and_command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let mut octets = V2_SIGNATURE.to_vec();
        octets.extend([version_and_command, family]);
        octets.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        octets.extend(payload);
        octets
    }

    const V4_PAYLOAD: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0, 25];

    #[test]
    fn version_1_lines() {
        let cases: [(&[u8], Option<Header>); 19] = [
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\n",
                Some(from_to("192.0.2.1:12345", "198.51.100.2:25")),
            ),
            (b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", Some(from_to("[2001:db8::1]:0", "[::1]:65535"))),
            (b"PROXY UNKNOWN\r\n", Some(Header::Local)),
            (b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n", Some(Header::Local)),
            (b"PROXY UNKNOWNS\r\n", None),
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\n", None),
            (b"PROXY TCP4  192.0.2.1 198.51.100.2 12345 25\r\n", None),
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 25 \r\n", None),
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 12345\r\n", None),
            (b"PROXY TCP4 192.0.2.01 198.51.100.2 12345 25\r\n", None),
            (b"PROXY TCP4 192.0.2.1 2001:db8::1 12345 25\r\n", None),
            (b"PROXY TCP6 192.0.2.1 198.51.100.2 12345 25\r\n", None),
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 012345 25\r\n", None),
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n", None),
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 25\r\n", None),
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n", None),
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 1  25\r\n", None),
            (b"proxy TCP4 192.0.2.1 198.51.100.2 12345 25\r\n", None),
            (b"PROXY TCP4 192.0.2.1 198.51.100.2\xff 12345 25\r\n", None),
        ];
        for (line, expected) in cases {
            let expected = expected.map(|header| (header, line.len()));
            assert_eq!(header(line), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn version_1_line_is_as_long_as_the_specification_allows() {
        for (length, accepted) in
            [(V1_OCTETS_MAX - 1, true), (V1_OCTETS_MAX, true), (V1_OCTETS_MAX + 1, false)]
        {
            let mut line = b"PROXY UNKNOWN ".to_vec();
            line.resize(length - 2, b'x');
            line.extend(b"\r\n");
            assert_eq!(header(&line).is_some(), accepted, "{length}");
            assert_eq!(parse(&line).is_err(), !accepted, "{length}");
        }
    }

    #[test]
    fn version_2_headers() {
        let v4 = from_to("192.0.2.1:12345", "198.51.100.2:25");
        let v6_payload: Vec<u8> = [
            &Ipv6Addr::LOCALHOST.octets()[..],
            &"2001:db8::2".parse::<Ipv6Addr>().unwrap().octets(),
            &[0, 1, 0, 2],
        ]
        .concat();
        let with = |extension: &[u8]| [&V4_PAYLOAD[..], extension].concat();
        let cases = [
            (v2(0x21, 0x11, &V4_PAYLOAD), Some(v4)),
            (v2(0x21, 0x21, &v6_payload), Some(from_to("[::1]:1", "[2001:db8::2]:2"))),
            (v2(0x20, 0x00, b""), Some(Header::Local)),
            (v2(0x20, 0x11, b"anything"), Some(Header::Local)),
            (v2(0x21, 0x00, b"anything"), Some(Header::Local)),
            (v2(0x21, 0x31, &[0; 216]), Some(Header::Local)),
            (v2(0x21, 0x31, &[0; 215]), None),
            (v2(0x21, 0x11, &with(&[4, 0, 0])), Some(v4)),
            (v2(0x21, 0x11, &with(&[2, 0, 1, b'x', 4, 0, 2, 0, 0])), Some(v4)),
            (v2(0x21, 0x11, &with(&[2])), None),
            (v2(0x21, 0x11, &with(&[2, 0])), None),
            (v2(0x21, 0x11, &with(&[2, 0, 2, b'x'])), None),
            (v2(0x21, 0x11, &V4_PAYLOAD[..11]), None),
            (v2(0x21, 0x21, &v6_payload[..35]), None),
            (v2(0x21, 0x12, &V4_PAYLOAD), None),
            (v2(0x21, 0x41, &V4_PAYLOAD), None),
            (v2(0x22, 0x11, &V4_PAYLOAD), None),
            (v2(0x11, 0x11, &V4_PAYLOAD), None),
        ];
        for (octets, expected) in cases {
            let expected = expected.map(|header| (header, octets.len()));
            assert_eq!(header(&octets), expected, "{}", octets.escape_ascii());
            assert!(expected.is_some() || parse(&octets).is_err(), "{}", octets.escape_ascii());
        }
    }

    #[test]
    fn version_2_payload_is_bounded() {
        let payload = |length: usize| {
            let mut payload = V4_PAYLOAD.to_vec();
            payload.push(4);
            payload.extend(u16::try_from(length - 15).unwrap().to_be_bytes());
            payload.resize(length, 0);
            payload
        };
        assert!(header(&v2(0x21, 0x11, &payload(V2_PAYLOAD_OCTETS_MAX - 1))).is_some());
        assert!(header(&v2(0x21, 0x11, &payload(V2_PAYLOAD_OCTETS_MAX))).is_some());
        assert!(parse(&v2(0x21, 0x11, &payload(V2_PAYLOAD_OCTETS_MAX + 1))).is_err());
    }

    #[test]
    fn ipv4_in_ipv6_clothes_is_undressed() {
        let line = b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n";
        assert_eq!(header(line).map(|(header, _)| header), Some(from_to("192.0.2.1:1", "[::1]:2")));
    }

    #[tokio::test]
    async fn reading_takes_not_one_octet_of_the_client() {
        for head in [b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\n".to_vec(), v2(0x21, 0x11, &V4_PAYLOAD)]
        {
            let octets = [&head[..], b"EHLO client\r\n"].concat();
            let mut stream = &octets[..];
            let header = read(&mut stream, Duration::from_secs(1)).await.unwrap();
            assert_eq!(header, from_to("192.0.2.1:12345", "198.51.100.2:25"));
            assert_eq!(stream, b"EHLO client\r\n");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_end_are_errors() {
        let (mut ours, theirs) = tokio::io::duplex(64);
        assert!(matches!(read(&mut ours, Duration::from_secs(5)).await, Err(ProxyError::Timeout)));
        drop(theirs);
        assert!(matches!(read(&mut ours, Duration::from_secs(5)).await, Err(ProxyError::Io(_))));
        let mut other = &b"EHLO somebody.example\r\n"[..];
        assert!(matches!(read(&mut other, Duration::from_secs(5)).await, Err(ProxyError::Invalid(_))));
    }

    proptest! {
        #[test]
        fn every_prefix_is_incomplete_and_says_no_more_than_is_missing(
            source: (u32, u16), destination: (u32, u16), version_2: bool
        ) {
            let address = |(ip, port): (u32, u16)| SocketAddr::new(IpAddr::V4(ip.into()), port);
            let (source, destination) = (address(source), address(destination));
            let octets = if version_2 {
                let (IpAddr::V4(from), IpAddr::V4(to)) = (source.ip(), destination.ip()) else { unreachable!() };
                let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
                v2(0x21, 0x11, &[&from.octets()[..], &to.octets(), &ports].concat())
            } else {
                let (from, to) = (source.ip(), destination.ip());
                format!("PROXY TCP4 {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
            };
            prop_assert_eq!(header(&octets), Some((Header::Proxied { source, destination }, octets.len())));
            for end in 0..octets.len() {
                match parse(&octets[..end]) {
                    Ok(Parsed::Incomplete(missing)) => prop_assert!(missing >= 1 && end + missing <= octets.len()),
                    other => prop_assert!(false, "{:?} at {}", other, end),
                }
            }
        }

        #[test]
        fn any_octets_are_survived(tail: Vec<u8>, start in 0..4_u8) {
            let mut octets = match start {
                0 => Vec::new(),
                1 => V1_START.to_vec(),
                2 => V2_SIGNATURE.to_vec(),
                _ => [&V2_SIGNATURE[..], &[0x21, 0x11]].concat(),
            };
            octets.extend(tail);
            if let Ok(Parsed::Complete(_, length)) = parse(&octets) {
                prop_assert!(length <= octets.len());
            }
        }
    }
}
