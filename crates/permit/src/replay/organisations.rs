//! By which addresses whoever reports goes. An organisation's id is in the trust file only where it
//! is its first key; where it was added later, the log's own entries of kind 16 tell it.

use alloy_primitives::Address;
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::directory::organisation_id;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::trust::{Organisation, TrustFile};
use serde::Deserialize;
use std::collections::HashMap;

pub(super) struct Organisations<'a> {
    trust: &'a TrustFile,
    /// Organisations by their ids and by all keys they have or had.
    ids: HashMap<Address, Address>,
    names: HashMap<Address, String>,
}

/// Who keeps a pseudonym, by its first entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    /// It is the log's own word.
    Nobody,
    Organisation(Address),
    /// Who signed it stands neither in the trust file nor in the log, or it cannot be read.
    Unknown,
}

/// `medtrail/operation-v1`, as far as it says who is who.
#[derive(Deserialize)]
struct Operation {
    version: String,
    act: String,
    organisation: Address,
    name: String,
    #[serde(default)]
    key: Option<Address>,
}

#[derive(Deserialize)]
struct Relayed {
    version: String,
    organisation: Address,
}

impl<'a> Organisations<'a> {
    pub(super) fn new(trust: &'a TrustFile) -> Self {
        let mut organisations = Self { trust, ids: HashMap::new(), names: HashMap::new() };
        for one in &trust.organisations {
            let first = one.keys.first().map(|key| key.address);
            organisations.put(one, first.unwrap_or_else(|| organisation_id(&one.name)));
        }
        organisations
    }

    fn put(&mut self, one: &Organisation, id: Address) {
        self.ids.extend(one.keys.iter().map(|key| (key.address, id)).chain([(id, id)]));
        self.names.insert(id, one.name.clone());
    }

    /// Hears what an entry says of them, if it does.
    pub(super) fn hear(&mut self, entry: &Opened) {
        if Kind::from_number(entry.report.kind) != Kind::Operation
            || entry.evidence != Evidence::Relayed
        {
            return;
        }
        let details = entry.details.as_deref().unwrap_or_default();
        let Ok(said) = serde_json::from_slice::<Operation>(details) else { return };
        if said.version != "medtrail/operation-v1" {
            return;
        }
        if said.act == "organisation-added" {
            self.ids.insert(said.organisation, said.organisation);
            self.names.insert(said.organisation, said.name.clone());
            let named = self.trust.organisations.iter().find(|one| one.name == said.name);
            if let Some(one) = named {
                self.put(one, said.organisation);
            }
        }
        if said.act == "key-enrolled"
            && let Some(key) = said.key
        {
            self.ids.insert(key, said.organisation);
        }
    }

    /// Whose word an entry is: that of who signed it, or of whom the operator relayed it for.
    pub(super) fn reporter_of(&self, entry: &Opened) -> Option<Address> {
        if entry.evidence != Evidence::Relayed {
            return self.ids.get(&entry.report.actor).copied();
        }
        let relayed: Relayed = serde_json::from_slice(entry.details.as_deref()?).ok()?;
        (relayed.version == "medtrail/relayed-v1").then_some(relayed.organisation)
    }

    /// Whose pseudonym it is whose first entry this is.
    pub(super) fn keeper_of(&self, entry: &Opened) -> Keeper {
        match self.reporter_of(entry) {
            Some(id) => Keeper::Organisation(id),
            None if entry.evidence == Evidence::Relayed && entry.details.is_some() => {
                Keeper::Nobody
            }
            None => Keeper::Unknown,
        }
    }

    /// Whether an address is an organisation's, as its id or as a key that it has or had.
    pub(super) fn knows(&self, key: Address) -> bool {
        self.ids.contains_key(&key)
    }

    /// All keys that an organisation has or had.
    pub(super) fn keys_of(&self, id: Address) -> Vec<Address> {
        // A first entry may be older than the line by which its organisation got this id.
        let id = self.ids.get(&id).copied().unwrap_or(id);
        self.ids.iter().filter(|(_, of)| **of == id).map(|(key, _)| *key).collect()
    }

    /// Its name, or its address where none is known.
    pub(super) fn name_of(&self, id: Address) -> String {
        self.names.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}
