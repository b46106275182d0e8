//! OpenSMTPD as a host that takes mail.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

use super::unpacked::{Home, ROOT, Unpacked};
use super::{TakesMail, new_in};

/// Its paths are fixed: they are made where it looks for them, for it alone.
const MOUNTS: &str = "mount --bind $HERE/spool /var/spool\nmount -t tmpfs tmpfs /var/lib\nmkdir -p /var/lib/opensmtpd/empty\n\
    mount -t tmpfs tmpfs /run\nmount -t tmpfs tmpfs /usr/libexec\nln -s /mnt/peer/usr/libexec/opensmtpd /usr/libexec\n";

/// A running OpenSMTPD that keeps mail for Eve and Fred at `real.example`; it ends when it is dropped. It speaks in clear:
/// that of Debian 12 cannot show a certificate.
#[derive(Debug)]
pub(crate) struct OpenSmtpd(Unpacked);

impl OpenSmtpd {
    pub(crate) fn start(address: SocketAddr) -> Result<Self> {
        let home = Home::make(&["mailbox", "opensmtpd", "opensmtpq"])?;
        let boxes = home.own_directory("boxes")?;
        std::fs::create_dir(home.path("spool"))?;
        let configuration = format!(
            "listen on {} port {} hostname mx.real.example\naction \"keep\" maildir \"{}/box\" \
             virtual {{ \"eve@real.example\" = \"mailbox\", \"fred@real.example\" = \"mailbox\" }}\n\
             match from any for domain \"real.example\" action \"keep\"\n",
            address.ip(),
            address.port(),
            boxes.display(),
        );
        std::fs::write(home.path("smtpd.conf"), configuration)?;
        let command = format!("{ROOT}/usr/sbin/smtpd -d -f $HERE/smtpd.conf");
        Ok(Self(Unpacked::start("opensmtpd", home, MOUNTS, &command, address)?))
    }
}

impl TakesMail for OpenSmtpd {
    fn kept(&self) -> Result<Vec<PathBuf>> {
        new_in(&self.0.home().path("boxes/box"))
    }

    fn log(&self) -> String {
        self.0.output()
    }
}
