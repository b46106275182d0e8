//! What Debian has for Postfix to know who really sent a message: pyspf-milter, OpenDKIM and OpenDMARC, and unbound to
//! ask for names. Each as shipped, but for where it listens and that mail from this machine is checked as any other.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::NameWorld;

use crate::cgroup::{Ended, Group};

/// Where unbound answers the filters, at the port that they all ask at.
const UNBOUND: &str = "127.53.2.2";
/// The name that results are told under.
const AUTHORITY: &str = "mx.example.test";

/// The filters at work.
pub(crate) struct Filters {
    sockets: Vec<PathBuf>,
    running: Vec<Ended>,
    directory: PathBuf,
}

/// The file that tells programs to ask our unbound.
pub(crate) fn resolvers(directory: &Path) -> Result<PathBuf> {
    let file = directory.join("resolv.conf");
    std::fs::write(&file, format!("nameserver {UNBOUND}\n"))?;
    Ok(file)
}

impl Filters {
    /// Starts them in a group whose programs ask unbound; it knows the zone `example` of this world.
    pub(crate) fn start(world: &NameWorld, zone: IpAddr, group: &Group, directory: &Path) -> Result<Self> {
        let mut filters = Self { sockets: Vec::new(), running: Vec::new(), directory: directory.to_owned() };
        let names = format!(
            "server:\n interface: {UNBOUND}\n do-not-query-localhost: no\n do-ip6: no\n username: \"\"\n chroot: \"\"\n\
             \x20directory: \"{}\"\n pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n module-config: iterator\n\
             remote-control:\n control-enable: no\n\
             stub-zone:\n name: example\n stub-addr: {zone}@{}\n",
            directory.display(),
            world.port()
        );
        filters.run(group, "/usr/sbin/unbound", &["-d", "-c"], &names)?;
        let place = filters.place("pyspf")?;
        let words = format!(
            "debugLevel = 0\nTestOnly = 1\nHELO_reject = Fail\nMail_From_reject = Fail\nPermError_reject = False\n\
             TempError_Defer = False\nskip_addresses = 192.0.2.255/32\nInternalHosts = 192.0.2.255\n\
             Authserv_Id = {AUTHORITY}\nUserID = pyspf-milter\nPidFile = {}\nSocket = local:{}\n",
            directory.join("pyspf-milter.pid").display(),
            place.display()
        );
        filters.run(group, "/usr/bin/pyspf-milter", &[], &words)?;
        let place = filters.place("opendkim")?;
        let words = format!(
            "Syslog yes\nMode v\nCanonicalization relaxed/simple\nOversignHeaders From\nUserID opendkim\nUMask 000\n\
             InternalHosts 192.0.2.255\nAuthservID {AUTHORITY}\nNameservers {UNBOUND}\nBackground no\n\
             Socket local:{}\n",
            place.display()
        );
        filters.run(group, "/usr/sbin/opendkim", &["-f", "-x"], &words)?;
        let place = filters.place("opendmarc")?;
        let nobody = directory.join("nobody");
        std::fs::write(&nobody, "192.0.2.255\n")?;
        let words = format!(
            "Syslog true\nPublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat\nUMask 0000\nUserID opendmarc\n\
             IgnoreHosts {}\nAuthservID {AUTHORITY}\nTrustedAuthservIDs {AUTHORITY}\nRejectFailures true\n\
             Socket local:{}\n",
            nobody.display(),
            place.display()
        );
        filters.run(group, "/usr/sbin/opendmarc", &["-f", "-c"], &words)?;
        filters.wait_until_up()?;
        Ok(filters)
    }

    /// What Postfix has to be told: a filter that fails is noticed.
    pub(crate) fn settings(&self) -> String {
        let each: Vec<String> =
            self.sockets.iter().map(|socket| format!("unix:{}", socket.display())).collect();
        format!("smtpd_milters = {}\nmilter_default_action = tempfail\n", each.join(", "))
    }

    /// A place for one more filter, for a user of its own, where Postfix's user finds it.
    fn place(&mut self, name: &str) -> Result<PathBuf> {
        let directory = self.directory.join(name);
        std::fs::create_dir(&directory)?;
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o777))?;
        self.sockets.push(directory.join("socket"));
        Ok(directory.join("socket"))
    }

    fn run(&mut self, group: &Group, program: &str, flags: &[&str], configuration: &str) -> Result<()> {
        let name = Path::new(program).file_name().unwrap_or_default();
        let file = self.directory.join(name).with_extension("conf");
        std::fs::write(&file, configuration)?;
        let mut arguments: Vec<&Path> = flags.iter().map(Path::new).collect();
        arguments.push(&file);
        self.running.push(group.run(program, &arguments, &file.with_extension("log"))?);
        Ok(())
    }

    fn wait_until_up(&mut self) -> Result<()> {
        for socket in &self.sockets {
            let begun = Instant::now();
            while UnixStream::connect(socket).is_err() {
                for filter in &mut self.running {
                    ensure!(
                        filter.0.try_wait()?.is_none(),
                        "a filter ended; see {}",
                        self.directory.display()
                    );
                }
                ensure!(begun.elapsed() < testkit::WAIT_MAX, "no filter at {}", socket.display());
                std::thread::sleep(Duration::from_millis(20));
            }
            std::fs::set_permissions(socket, PermissionsExt::from_mode(0o777))?;
        }
        Ok(())
    }
}
