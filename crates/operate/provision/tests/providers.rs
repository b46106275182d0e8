//! A zone that somebody else keeps, changed over its interface: PowerDNS, as providers run it.
#![cfg(feature = "providers")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dns::{
    Authority, Authorization, MailExchanger, Name, RecordChange, RecordData, RecordType, ServiceHost,
    Settings, TlsaRecord, Told,
};
use provision::{Provider, ProviderError};

const SCHEMA: &str = "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql";
const START_WAIT_MAX: Duration = Duration::from_secs(30);
const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;

struct PowerDns {
    directory: tempfile::TempDir,
    child: Child,
    dns_port: u16,
    http_port: u16,
}

impl PowerDns {
    fn start(zone: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let place = directory.path();
        let (dns_port, http_port) = (free_port()?, free_port()?);
        let schema =
            std::fs::read_to_string(SCHEMA).context("PowerDNS is missing: scripts/test installs it")?;
        let database = place.join("zones.db");
        std::fs::write(place.join("schema.sql"), schema)?;
        let made = Command::new("sqlite3")
            .arg(&database)
            .arg(format!(".read {}/schema.sql", place.display()))
            .status();
        ensure!(made.context("sqlite3 is missing")?.success(), "the database");
        let settings = format!(
            "launch=gsqlite3\ngsqlite3-database={}\nlocal-address={ADDRESS}\nlocal-port={dns_port}\nsocket-dir={}\n\
             api=yes\napi-key=secret\nwebserver=yes\nwebserver-address={ADDRESS}\nwebserver-port={http_port}\n\
             webserver-allow-from=127.0.0.0/8\ncache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\nzone-cache-refresh-interval=0\n",
            database.display(),
            place.display()
        );
        std::fs::write(place.join("pdns.conf"), settings)?;
        let file = place.join("zone");
        std::fs::write(&file, zone)?;
        let loaded = Command::new("pdnsutil")
            .arg("--config-dir")
            .arg(place)
            .args(["load-zone", "example.org"])
            .arg(&file)
            .output()?;
        ensure!(loaded.status.success(), "{loaded:?}");
        let log = std::fs::File::create(place.join("log"))?;
        let child = Command::new("pdns_server")
            .arg(format!("--config-dir={}", place.display()))
            .args(["--daemon=no", "--guardian=no", "--disable-syslog=yes"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { directory, child, dns_port, http_port })
    }

    fn authority(&self) -> Authority {
        Authority::new(&Settings { server_port: self.dns_port, ..Settings::default() })
    }

    /// Until it answers.
    async fn wait(&mut self) -> Result<()> {
        let (begun, apex) = (Instant::now(), Name::parse("example.org")?);
        while begun.elapsed() < START_WAIT_MAX {
            let told = self.authority().ask(IpAddr::V4(ADDRESS), &apex, RecordType::Soa).await;
            if told.is_ok() && std::net::TcpStream::connect((ADDRESS, self.http_port)).is_ok() {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        bail!("PowerDNS does not come up: {}", log(self.directory.path()))
    }

    async fn records(&self, name: &Name, kind: RecordType) -> Result<Vec<RecordData>> {
        match self.authority().ask(IpAddr::V4(ADDRESS), name, kind).await? {
            Told::Records { records, .. } => Ok(records),
            other => bail!("{name} {kind}: {other:?}"),
        }
    }
}

impl Drop for PowerDns {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn log(place: &Path) -> String {
    std::fs::read_to_string(place.join("log")).unwrap_or_default()
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((ADDRESS, 0))?.local_addr()?.port())
}

fn text(text: &str) -> RecordData {
    RecordData::Text(text.as_bytes().to_vec())
}

#[tokio::test]
async fn records_are_changed_and_what_is_the_owners_stays() -> Result<()> {
    let mut server = PowerDns::start(
        "$ORIGIN example.org.\n@ 3600 IN SOA ns.example.org. ops.example.org. 1 3600 600 86400 60\n\
         @ 3600 IN NS ns.example.org.\nns 3600 IN A 127.0.0.1\n@ 3600 IN TXT \"site-verification=1\"\n\
         @ 3600 IN TXT \"v=spf1 include:_spf.example.net ~all\"\n@ 3600 IN MX 10 old.example.net.\n",
    )?;
    server.wait().await?;
    let url = format!("http://{ADDRESS}:{}", server.http_port);
    let credentials =
        |key: &str| BTreeMap::from([("api_key".to_owned(), key.to_owned()), ("url".to_owned(), url.clone())]);
    let zone = Name::parse("example.org")?;
    let name = |below: &str| Name::parse(&format!("{below}.example.org"));
    let mail = name("mail")?;
    let mx = |exchange: Name| RecordData::Mx(MailExchanger { preference: 10, exchange });
    let place = |port, host| RecordData::Service(ServiceHost { priority: 0, weight: 1, port, host });
    let key = text(&format!("v=DKIM1; k=rsa; p={}", "Ab+/".repeat(98)));
    let policy = text("v=spf1 mx include:_spf.example.net ~all");
    let tlsa = RecordData::Tlsa(TlsaRecord { usage: 3, selector: 1, matching: 1, data: vec![7; 32] });
    let caa = RecordData::Authorization(Authorization {
        is_critical: false,
        tag: "issue".into(),
        value: b"letsencrypt.org".to_vec(),
    });
    let changes = [
        (zone.clone(), vec![text("v=spf1 include:_spf.example.net ~all")], policy.clone()),
        (zone.clone(), vec![mx(Name::parse("old.example.net")?)], mx(mail.clone())),
        (mail.clone(), vec![], RecordData::address([192, 0, 2, 7])),
        (name("s1._domainkey")?, vec![], key.clone()),
        (name("_imaps._tcp")?, vec![], place(993, mail.clone())),
        (name("_pop3._tcp")?, vec![], place(0, Name::root())),
        (name("_25._tcp.mail")?, vec![], tlsa),
        (mail.clone(), vec![], caa),
    ];
    let change = |(name, remove, add): &(Name, Vec<RecordData>, RecordData)| RecordChange {
        name: name.clone(),
        kind: add.kind(),
        remove: remove.clone(),
        add: vec![add.clone()],
        ttl: 3600,
    };
    let stranger = Provider::new("powerdns", &credentials("wrong"))?;
    let refused = stranger.change(&zone, &change(&changes[2])).await;
    ensure!(matches!(refused, Err(ProviderError::Refused { .. })), "{refused:?}");

    let provider = Provider::new("powerdns", &credentials("secret"))?;
    for one in &changes {
        provider.change(&zone, &change(one)).await.with_context(|| log(server.directory.path()))?;
    }
    for (name, _, add) in &changes {
        let found = server.records(name, add.kind()).await?;
        ensure!(found.contains(add), "{name} {}: {found:?}", add.kind());
    }
    let mut texts = server.records(&zone, RecordType::Txt).await?;
    texts.sort_by_key(ToString::to_string);
    ensure!(texts == [text("site-verification=1"), policy], "{texts:?}");
    ensure!(server.records(&zone, RecordType::Mx).await? == [mx(mail)], "the old exchanger is gone");
    Ok(())
}
