//! What the operator chose about the content of mail.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mail_types::{AccountId, Address, AnnotationName, DomainName};
use mailstore::{Account, StoreError};
use spam::Catalogue;

use super::taste::{Changes, Taste};

/// The annotation in which an account has its own settings, in the words that [`Changes::parse`] reads.
pub const SETTINGS_ANNOTATION: &str = "/private/vendor/mailstead/spam";

/// What the operator chose.
#[derive(Clone, Debug)]
pub struct ContentSettings {
    /// What is done with unwanted mail where nobody says otherwise.
    pub everybody: Taste,
    /// What domains want otherwise.
    pub domains: HashMap<DomainName, Changes>,
    /// Whether mail that servers in front of us and programs of this machine bring is judged.
    pub checks_fronts: bool,
    /// Whether it is looked what mail of our own people says.
    pub looks_at_own: bool,
    /// What single rules weigh.
    pub catalogue: Catalogue,
    /// What attachments are held against; nothing where they are not looked at.
    pub attachments: Option<Arc<attachments::Rules>>,
    /// What becomes of mail when the filter has too much to do, or fails.
    pub on_busy: OnBusy,
    /// How long a message may wait for its judgement.
    pub time_max: Duration,
    /// Whether the filter learns from what people do with their mail.
    pub learns: bool,
    /// Our name in Authentication-Results and Received: what another has written there is not believed.
    pub hostname: Option<DomainName>,
}

/// What becomes of mail that cannot be judged now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnBusy {
    /// It is taken without a judgement.
    Pass,
    /// Its host is asked to come again.
    Defer,
}

impl Default for ContentSettings {
    fn default() -> Self {
        Self {
            everybody: Taste::default(),
            domains: HashMap::new(),
            checks_fronts: false,
            looks_at_own: true,
            catalogue: Catalogue::default(),
            attachments: None,
            on_busy: OnBusy::Pass,
            time_max: Duration::from_secs(10),
            learns: true,
            hostname: None,
        }
    }
}

impl ContentSettings {
    /// What an account wants, where it has said nothing itself.
    pub(crate) fn of_domain(&self, address: Option<&Address>) -> Option<Taste> {
        let domain = address.and_then(Address::domain_name)?;
        self.domains.get(domain).map(|changes| changes.apply(&self.everybody))
    }

    /// What an account wants; `None` where that is what everybody gets.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn of_account(
        &self,
        account: &Account,
        address: Option<&Address>,
    ) -> Result<Option<Taste>, StoreError> {
        let of_domain = self.of_domain(address);
        let Some(changes) = own_changes(account).await? else { return Ok(of_domain) };
        Ok(Some(changes.apply(of_domain.as_ref().unwrap_or(&self.everybody))))
    }
}

/// What an account has said itself. What cannot be read counts for nothing: a client may write any text.
async fn own_changes(account: &Account) -> Result<Option<Changes>, StoreError> {
    let Ok(name) = AnnotationName::parse(SETTINGS_ANNOTATION) else { return Ok(None) };
    // Most accounts have none: known without waiting.
    if account.annotations()?.find(None, &name).is_none() {
        return Ok(None);
    }
    let values = account.annotation_values(None, vec![name]).await?;
    let Some((_, Some(value))) = values.into_iter().next() else { return Ok(None) };
    let changes = Changes::parse(&String::from_utf8_lossy(&value));
    Ok(changes.inspect_err(|why| note_unreadable(account.id(), why)).ok())
}

fn note_unreadable(account: AccountId, why: &str) {
    tracing::warn!(account = %account, why, "an account's settings of the content filter are not understood");
}
