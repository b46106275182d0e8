//! Whose mail an address's is: asked for each RCPT TO, answered from memory (RFC 5321 §3.6, §4.5.1).
//!
//! What an address is, is asked in this order; the first answer holds:
//! 1. an alias of exactly this address; it wins over an account of the same address. An alias that lists itself means
//!    that account, so `ann: ann, bob` keeps a copy (Postfix's virtual aliases do the same);
//! 2. an account of exactly this address;
//! 3. both again without the detail behind a sub-address delimiter, the longest name first: with `+` and `-` as
//!    delimiters, `ann-marie+news` is first looked for as `ann-marie`, then as `ann`. The detail goes on to what the
//!    alias leads to, unless that has its own (Postfix: `recipient_delimiter`, `propagate_unmatched_extensions`);
//! 4. the domain's catch-all;
//! 5. for postmaster (RFC 5321 §4.5.1) and abuse (RFC 2142 §4), which somebody must read: the postmaster of the
//!    settings, else the oldest enabled account of the domain, else of the server.
//!
//! Aliases are followed breadth first, each address once: what leads back is left out, and only an address that
//! leads nowhere else is a loop. So two people may copy each other.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use mail_types::{AccountId, Address, AddressDomain, DomainName, ForwardPath};

use crate::account::AccountState;
use crate::alias::{AliasSource, AliasTarget};
use crate::settings::Settings;
use crate::snapshot::{DomainNames, Snapshot};

/// Most addresses one forward-path may lead to, aliases on the way included (Postfix: virtual_alias_expansion_limit).
pub const EXPANSION_ADDRESSES_MAX: usize = 1000;

/// What becomes of mail for a forward-path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// Ours: take it for all of these.
    Deliver(Recipients),
    /// Ours: take it and throw it away.
    Discard,
    /// The domain is ours, the address is nobody's: 550 5.1.1.
    Unknown,
    /// Not our domain: relay for those who may, refuse others.
    NotLocal,
    /// Only disabled accounts: 550 5.2.1.
    Disabled,
    /// Aliases that lead back to themselves or to too many targets: 550 5.4.6.
    Loop,
}

/// Whom a forward-path's mail goes to: one target at least, none twice.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recipients {
    /// Accounts here.
    pub local: Vec<LocalTarget>,
    /// Addresses elsewhere that aliases lead to.
    pub remote: Vec<Address>,
}

/// One account that mail goes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalTarget {
    /// Whose mailboxes.
    pub account: AccountId,
    /// The address the mail reached the account by, after aliases: for `Delivered-To`.
    pub address: Address,
    /// The sub-address detail (`news` of `ann+news@…`, RFC 5233), in the case it came in.
    pub detail: Option<Box<str>>,
}

impl Resolution {
    /// Whether mail is taken.
    fn is_accepted(&self) -> bool {
        matches!(self, Self::Deliver(_) | Self::Discard)
    }
}

/// Answers questions from one snapshot.
#[derive(Clone, Copy)]
pub(crate) struct Resolver<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) settings: &'a Settings,
    /// An alias as it would be, before it is committed.
    pub(crate) pending: Option<(&'a AliasSource, &'a Arc<[AliasTarget]>)>,
}

/// What an address is, by the order above.
enum Found<'a> {
    Alias {
        targets: &'a Arc<[AliasTarget]>,
        name: Address,
        account: Option<AccountId>,
        detail: Option<Box<str>>,
    },
    Account {
        id: AccountId,
        detail: Option<Box<str>>,
    },
    CatchAll(&'a Arc<[AliasTarget]>),
    Nothing,
}

impl<'a> Resolver<'a> {
    pub(crate) fn resolve(&self, path: &ForwardPath) -> Resolution {
        let ForwardPath::Address(address) = path else { return self.resolve_postmaster() };
        match address.domain() {
            AddressDomain::Name(name) if self.snapshot.domain(name).is_some() => {
                let resolution = self.expand(address);
                if is_role(address) && !resolution.is_accepted() {
                    return self.first_accepted(self.postmasters(Some(name)));
                }
                resolution
            }
            AddressDomain::Name(name)
                if self.settings.hostname.as_ref() == Some(name) && is_role(address) =>
            {
                self.resolve_postmaster()
            }
            AddressDomain::Literal(literal) if self.settings.host_addresses.contains(&literal.0) => {
                if is_role(address) { self.resolve_postmaster() } else { Resolution::Unknown }
            }
            AddressDomain::Name(_) | AddressDomain::Literal(_) => Resolution::NotLocal,
        }
    }

    /// Whether the account's own address, or one whose mail it gets (RFC 6409 §6.1).
    pub(crate) fn may_send_as(&self, account: AccountId, address: &Address) -> bool {
        let Some(own) = self.snapshot.account(account) else { return false };
        if own.state != AccountState::Enabled {
            return false;
        }
        if own.address == address.to_canonical() {
            return true;
        }
        match self.resolve(&ForwardPath::Address(address.clone())) {
            Resolution::Deliver(recipients) => {
                recipients.local.iter().any(|target| target.account == account)
            }
            _ => false,
        }
    }

    /// Whether the pending alias leads only back to itself, or to too many.
    pub(crate) fn is_loop(&self, source: &AliasSource) -> bool {
        let resolution = match source {
            AliasSource::Address(address) => self.expand(address),
            // Any name does that is nothing else in the domain; nobody is called so.
            AliasSource::CatchAll(domain) => Address::new("?", AddressDomain::Name(domain.clone()))
                .map_or(Resolution::Unknown, |anyone| self.expand(&anyone)),
        };
        resolution == Resolution::Loop
    }

    /// `Postmaster` alone, or at this host: as at the default domain, or at that of the oldest account.
    fn resolve_postmaster(&self) -> Resolution {
        let oldest = || self.snapshot.account_ids().find_map(|id| self.snapshot.account(id));
        let domain = self
            .settings
            .default_domain
            .as_ref()
            .filter(|name| self.snapshot.domain(name).is_some())
            .or_else(|| oldest().and_then(|account| account.address.domain_name()));
        let named =
            domain.and_then(|name| Address::new("postmaster", AddressDomain::Name(name.clone())).ok());
        match named.map(|address| self.expand(&address)) {
            Some(resolution) if resolution.is_accepted() => resolution,
            _ => self.first_accepted(self.postmasters(domain)),
        }
    }

    /// Who reads a postmaster's mail where nobody is called so, the best first.
    fn postmasters(&self, domain: Option<&DomainName>) -> Vec<Address> {
        let enabled = |id: AccountId| {
            let account = self.snapshot.account(id)?;
            (account.state == AccountState::Enabled).then(|| account.address.clone())
        };
        let names = domain.and_then(|name| self.snapshot.domain(name));
        let in_domain = names.and_then(|names| names.accounts().find_map(enabled));
        let anywhere = self.snapshot.account_ids().find_map(enabled);
        self.settings.postmaster.iter().cloned().chain(in_domain).chain(anywhere).collect()
    }

    fn first_accepted(&self, addresses: Vec<Address>) -> Resolution {
        let mut resolutions = addresses.iter().map(|address| self.expand(address));
        resolutions.find(Resolution::is_accepted).unwrap_or(Resolution::Unknown)
    }

    /// Follows an address through all aliases.
    fn expand(&self, address: &Address) -> Resolution {
        let mut expansion = Expansion::new(*self);
        expansion.add(address.clone(), None);
        while let Some(visit) = expansion.waiting.pop_front() {
            expansion.visit(visit);
        }
        expansion.into_resolution()
    }

    /// Looks an address up in its domain.
    fn find(&self, names: &'a DomainNames, domain: &DomainName, address: &Address) -> Found<'a> {
        let whole = address.local_part();
        if let Some(found) = self.find_name(names, domain, whole, None) {
            return found;
        }
        let is_delimiter = |char: char| self.settings.sub_address_delimiters.contains(&char);
        for (at, delimiter) in whole.match_indices(is_delimiter).rev().filter(|&(at, _)| at > 0) {
            let (base, detail) = (&whole[..at], &whole[at + delimiter.len()..]);
            if let Some(found) = self.find_name(names, domain, base, Some(detail)) {
                return found;
            }
        }
        match self.pending {
            Some((AliasSource::CatchAll(name), targets)) if name == domain => Found::CatchAll(targets),
            _ => names.catch_all().map_or(Found::Nothing, Found::CatchAll),
        }
    }

    /// Looks up one name, alias before account.
    fn find_name(
        &self,
        names: &'a DomainNames,
        domain: &DomainName,
        local_part: &str,
        detail: Option<&str>,
    ) -> Option<Found<'a>> {
        let local_part = local_part.to_lowercase();
        let name = names.name(&local_part);
        let account = name.and_then(|name| name.account);
        let alias = match self.pending {
            Some((AliasSource::Address(source), targets))
                if source.local_part() == local_part && source.domain_name() == Some(domain) =>
            {
                Some(targets)
            }
            _ => name.and_then(|name| name.alias.as_ref()),
        };
        let detail = detail.map(Box::from);
        match (alias, account) {
            (Some(targets), account) => {
                let name = Address::new(&local_part, AddressDomain::Name(domain.clone())).ok()?;
                Some(Found::Alias { targets, name, account, detail })
            }
            (None, Some(id)) => Some(Found::Account { id, detail }),
            (None, None) => None,
        }
    }
}

/// An address on the way through the aliases.
struct Visit {
    address: Address,
    /// The detail of the address that led here.
    detail: Option<Box<str>>,
}

/// One forward-path's way through the aliases, and what it has come to.
struct Expansion<'a> {
    resolver: Resolver<'a>,
    waiting: VecDeque<Visit>,
    seen: HashSet<Address>,
    recipients: Recipients,
    accounts: HashSet<AccountId>,
    is_discarded: bool,
    is_unknown: bool,
    is_disabled: bool,
    is_too_large: bool,
}

impl<'a> Expansion<'a> {
    fn new(resolver: Resolver<'a>) -> Self {
        Self {
            resolver,
            waiting: VecDeque::new(),
            seen: HashSet::new(),
            recipients: Recipients::default(),
            accounts: HashSet::new(),
            is_discarded: false,
            is_unknown: false,
            is_disabled: false,
            is_too_large: false,
        }
    }

    /// Puts an address on the way, unless it has been there.
    fn add(&mut self, address: Address, detail: Option<Box<str>>) {
        if self.seen.contains(&address.to_canonical()) {
            return;
        }
        if self.seen.len() >= EXPANSION_ADDRESSES_MAX {
            self.is_too_large = true;
            return;
        }
        self.seen.insert(address.to_canonical());
        self.waiting.push_back(Visit { address, detail });
    }

    fn visit(&mut self, visit: Visit) {
        let resolver = self.resolver;
        let hosted =
            visit.address.domain_name().and_then(|name| Some((name, resolver.snapshot.domain(name)?)));
        let Some((domain, names)) = hosted else {
            self.recipients.remote.push(visit.address);
            return;
        };
        match resolver.find(names, domain, &visit.address) {
            Found::Account { id, detail } => self.deliver(id, detail.or(visit.detail), visit.address),
            Found::Alias { targets, name, account, detail } => {
                let detail = detail.or_else(|| visit.detail.clone());
                let of_itself = |target: &&AliasTarget| target.is_address(&name);
                if let Some(id) = account.filter(|_| targets.iter().any(|target| of_itself(&target))) {
                    self.deliver(id, detail.clone(), visit.address.clone());
                }
                for target in targets.iter().filter(|target| !of_itself(target)) {
                    self.follow(target, &visit.address, detail.as_deref());
                }
            }
            Found::CatchAll(targets) => {
                for target in targets.iter() {
                    self.follow(target, &visit.address, visit.detail.as_deref());
                }
            }
            Found::Nothing if is_role(&visit.address) => {
                match resolver.postmasters(Some(domain)).into_iter().next() {
                    Some(postmaster) => self.add(postmaster, visit.detail),
                    None => self.is_unknown = true,
                }
            }
            Found::Nothing => self.is_unknown = true,
        }
    }

    fn follow(&mut self, target: &AliasTarget, from: &Address, detail: Option<&str>) {
        let detail = detail.map(Box::from);
        match target {
            AliasTarget::Discard => self.is_discarded = true,
            AliasTarget::Address(address) => self.add(address.clone(), detail),
            AliasTarget::SameLocalPart(domain) => {
                match Address::new(from.local_part(), AddressDomain::Name(domain.clone())) {
                    Ok(address) => self.add(address, detail),
                    Err(_) => self.is_unknown = true,
                }
            }
        }
    }

    fn deliver(&mut self, id: AccountId, detail: Option<Box<str>>, address: Address) {
        let account = self.resolver.snapshot.account(id);
        if account.is_none_or(|account| account.state != AccountState::Enabled) {
            self.is_disabled = true;
        } else if self.accounts.insert(id) {
            self.recipients.local.push(LocalTarget { account: id, address, detail });
        }
    }

    fn into_resolution(self) -> Resolution {
        let has_recipients = !self.recipients.local.is_empty() || !self.recipients.remote.is_empty();
        // Leaving out some recipients in silence would lose mail.
        if self.is_too_large {
            Resolution::Loop
        } else if has_recipients {
            Resolution::Deliver(self.recipients)
        } else if self.is_discarded {
            Resolution::Discard
        } else if self.is_disabled {
            Resolution::Disabled
        } else if self.is_unknown {
            Resolution::Unknown
        } else {
            Resolution::Loop
        }
    }
}

/// Whether somebody must read the mail of this local part.
fn is_role(address: &Address) -> bool {
    ["postmaster", "abuse"].iter().any(|role| address.local_part().eq_ignore_ascii_case(role))
}
