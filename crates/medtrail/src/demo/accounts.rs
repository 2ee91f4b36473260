//! The demo's people: keys that everybody knows.

use super::organisations::{Organisation, SIGNING};
use crate::exit::Failure;
use alloy_primitives::{Address, B256};
use medtrail_keys::person::PersonKey;
use medtrail_ledger::trust::{self, Key};
use serde::{Deserialize, Serialize};

/// All accounts of the demo, from `anvil/accounts.json`.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Accounts(Vec<Account>);

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) private_key: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    mnemonic: String,
    accounts: Vec<Account>,
}

const FILE: &str = include_str!("../../../../anvil/accounts.json");

fn file() -> File {
    serde_json::from_str(FILE).expect("anvil/accounts.json is checked by a test")
}

/// The phrase all accounts come from.
pub(crate) fn mnemonic() -> String {
    file().mnemonic
}

impl Accounts {
    pub(crate) fn known() -> Self {
        Self(file().accounts)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The first account with this role.
    pub(crate) fn by_role(&self, role: &str) -> &Account {
        let found = self.0.iter().find(|account| account.role == role);
        found.expect("anvil/accounts.json is checked by a test")
    }

    /// The key of whoever has this name.
    pub(crate) fn key_of(&self, name: &str) -> Result<PersonKey, Failure> {
        Ok(PersonKey::from_bytes(&self.named(name)?.secret())?)
    }

    pub(crate) fn named(&self, name: &str) -> Result<&Account, Failure> {
        let account = self.0.iter().find(|account| account.name == name);
        account.ok_or_else(|| Failure::new(format!("no account of {name}")))
    }

    /// Those that report with keys of their own, listed since before the first line of the story:
    /// a signature counts only from when its key speaks.
    pub(crate) fn organisations(&self, from_ms: u64) -> Result<Vec<trust::Organisation>, Failure> {
        let listed = |organisation: &&Organisation| {
            let address = self.named(organisation.name)?.address;
            Ok(trust::Organisation {
                name: organisation.name.to_owned(),
                register_number: Some(organisation.number.to_owned()),
                domain: organisation.domain.to_owned(),
                keys: vec![Key { address, from_ms, until_ms: None }],
            })
        };
        SIGNING.iter().map(listed).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.0.iter()
    }
}

impl Account {
    pub(crate) fn secret(&self) -> [u8; 32] {
        self.private_key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_the_demo_needs_is_there_and_its_key_is_its_address_s() {
        let accounts = Accounts::known();
        assert_eq!(accounts.len(), 12);
        for role in ["operator", "cold key", "patient"] {
            accounts.by_role(role);
        }
        let listed = accounts.organisations(0).ok().unwrap();
        assert_eq!(listed.len(), SIGNING.len());
        accounts.key_of("Tide Sensors").ok().unwrap();
        for account in &accounts.0 {
            let key = PersonKey::from_bytes(&account.secret()).unwrap();
            assert_eq!(key.address(), account.address, "{}", account.name);
        }
        assert_eq!(mnemonic().split(' ').count(), 12);
    }
}
