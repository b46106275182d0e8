//! A record that a domain or a host needs: what it is for says everything else about it.

use dns::{Name, RecordData, RecordType};

/// How long others may keep our records: an hour is short enough to change something, and long enough to be kept.
pub const TTL_SECONDS: u32 = 3600;

/// Records of one name and type that are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Whose.
    pub name: Name,
    /// What for.
    pub purpose: Purpose,
    /// What they say; nothing where it is not known here (the addresses of a server behind an address translation).
    pub values: Vec<RecordData>,
}

/// What records are for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Purpose {
    /// Where the server is: A.
    HostIpv4,
    /// Where the server is: AAAA.
    HostIpv6,
    /// The name that an address gives itself: PTR.
    ReverseName,
    /// Where mail for the domain goes: MX.
    Exchanger,
    /// Who may send mail from the domain: SPF (RFC 7208).
    SenderPolicy,
    /// Who may greet with the host's name: SPF (RFC 7208 §2.3).
    GreetingPolicy,
    /// A key that signs, or will: DKIM (RFC 6376).
    SigningKey,
    /// A key that has signed mail which is still under way: DKIM (RFC 6376).
    RetiredKey,
    /// What to do with mail that nobody vouches for: DMARC (RFC 9989).
    AuthorPolicy,
    /// That the domain has a policy of encryption: MTA-STS (RFC 8461 §3.1).
    EncryptionPolicy,
    /// Where that policy is fetched: MTA-STS (RFC 8461 §3.3).
    EncryptionPolicyHost,
    /// Who hears of trouble with encryption: TLS-RPT (RFC 8460 §3).
    EncryptionReports,
    /// The key of the server's certificate: DANE (RFC 7672).
    CertificateKey,
    /// Who may issue certificates for the host: CAA (RFC 8659).
    CertificateIssuer,
    /// Where mail programs find a service, or that there is none: SRV (RFC 6186, RFC 8314 §5.1, RFC 8620 §2.2).
    Service,
    /// Where mail programs find how to set themselves up.
    Configuration,
}

/// How much is lost without a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Importance {
    /// Mail does not arrive, or is refused or taken for spam.
    Needed,
    /// Something works less well or less safely.
    Useful,
}

/// Who keeps a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Keeper {
    /// Whoever runs the domain's zone.
    Zone,
    /// Whoever gave the server its address: it is asked for there.
    AddressProvider,
}

impl Purpose {
    /// The type of record.
    #[must_use]
    pub const fn kind(self) -> RecordType {
        match self {
            Self::HostIpv4 => RecordType::A,
            Self::HostIpv6 => RecordType::Aaaa,
            Self::ReverseName => RecordType::Ptr,
            Self::Exchanger => RecordType::Mx,
            Self::SenderPolicy
            | Self::GreetingPolicy
            | Self::SigningKey
            | Self::RetiredKey
            | Self::AuthorPolicy
            | Self::EncryptionPolicy
            | Self::EncryptionReports => RecordType::Txt,
            Self::EncryptionPolicyHost | Self::Configuration => RecordType::Cname,
            Self::CertificateKey => RecordType::Tlsa,
            Self::CertificateIssuer => RecordType::Caa,
            Self::Service => RecordType::Srv,
        }
    }

    /// What people call it, where the type alone does not tell.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::SenderPolicy | Self::GreetingPolicy => Some("SPF"),
            Self::SigningKey | Self::RetiredKey => Some("DKIM"),
            Self::AuthorPolicy => Some("DMARC"),
            Self::EncryptionPolicy | Self::EncryptionPolicyHost => Some("MTA-STS"),
            Self::EncryptionReports => Some("TLS-RPT"),
            _ => None,
        }
    }

    const fn why(self) -> &'static str {
        match self {
            Self::HostIpv4 => "where the server is",
            Self::HostIpv6 => "where the server is, for those who come by IPv6",
            Self::ReverseName => {
                "the address calls itself what the server does; others refuse mail from one that does not (ask whoever gave you the address)"
            }
            Self::Exchanger => "mail for the domain comes here",
            Self::SenderPolicy => "only this server sends mail from the domain",
            Self::GreetingPolicy => "only this server greets with its name, and sends reports from it",
            Self::SigningKey => "others check the domain's signature with this key",
            Self::RetiredKey => "mail that this former key signed is still under way",
            Self::AuthorPolicy => {
                "others report who sends in the domain's name; later they refuse what is not yours"
            }
            Self::EncryptionPolicy => "others send to the domain over proven encryption alone",
            Self::EncryptionPolicyHost => "where others fetch that policy",
            Self::EncryptionReports => "others report when encryption to this server fails",
            Self::CertificateKey => {
                "others know this server by its key; it counts once the zone is signed (DNSSEC)"
            }
            Self::CertificateIssuer => "nobody else issues certificates for the server",
            Self::Service => "mail programs find the service",
            Self::Configuration => "mail programs set themselves up",
        }
    }

    /// How much is lost without it.
    #[must_use]
    pub const fn importance(self) -> Importance {
        match self {
            Self::HostIpv4
            | Self::HostIpv6
            | Self::ReverseName
            | Self::Exchanger
            | Self::SenderPolicy
            | Self::SigningKey
            | Self::AuthorPolicy => Importance::Needed,
            _ => Importance::Useful,
        }
    }

    /// Who keeps it.
    #[must_use]
    pub const fn keeper(self) -> Keeper {
        match self {
            Self::ReverseName => Keeper::AddressProvider,
            _ => Keeper::Zone,
        }
    }
}

impl Wanted {
    pub(crate) fn new(name: Name, purpose: Purpose, values: Vec<RecordData>) -> Self {
        Self { name, purpose, values }
    }

    /// One line that says why it is wanted.
    #[must_use]
    pub fn why(&self) -> &'static str {
        match self.purpose {
            Purpose::Service if self.is_denial() => "mail programs learn that there is no such service",
            // An address that is not known here has a reverse name all the same.
            Purpose::HostIpv4 | Purpose::HostIpv6 if self.values.is_empty() => {
                "where the server is; ask whoever gave you the address to set its reverse name (PTR) to this name"
            }
            purpose => purpose.why(),
        }
    }

    /// Whether it says that there is no such service (RFC 2782).
    #[must_use]
    pub fn is_denial(&self) -> bool {
        let denies = |value: &RecordData| matches!(value, RecordData::Service(place) if place.host.is_root());
        self.purpose == Purpose::Service && self.values.iter().all(denies)
    }

    /// Name, type and the word people use: `_dmarc.example.org TXT (DMARC)`.
    #[must_use]
    pub fn title(&self) -> String {
        let word = self.purpose.word().map_or(String::new(), |word| format!(" ({word})"));
        format!("{} {}{word}", self.name, self.purpose.kind())
    }
}
