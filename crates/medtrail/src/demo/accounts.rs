//! The demo's people: keys that everybody knows.

use crate::exit::Failure;
use alloy_primitives::{Address, B256};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::trust::{Key, Organisation};
use serde::{Deserialize, Serialize};

/// All accounts of the demo, from `anvil/accounts.json`.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Accounts(Vec<Account>);

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) address: Address,
    private_key: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    mnemonic: String,
    accounts: Vec<Account>,
}

const FILE: &str = include_str!("../../../../anvil/accounts.json");

/// Who reports, and under which domain.
const ORGANISATIONS: [(&str, &str); 5] = [
    ("Kalda Family Doctors", "kalda.example"),
    ("Harbour Hospital", "harbour.example"),
    ("Lumi Laboratory", "lumi.example"),
    ("Tide Sensors", "tide.example"),
    ("State Health Insurance", "insurance.example"),
];

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

    pub(crate) fn by_name(&self, name: &str) -> Option<&Account> {
        self.0.iter().find(|account| account.name == name)
    }

    /// The key an organisation signs with.
    pub(crate) fn reporter(&self, name: &str) -> Result<ReporterKey, Failure> {
        let account = self.by_name(name);
        let account = account.ok_or_else(|| Failure::new(format!("no account of {name}")))?;
        Ok(ReporterKey::from_bytes(&account.secret())?)
    }

    /// The organisations that report to the demo's log, since ever: the demo's lines reach back
    /// before its start.
    pub(crate) fn organisations(&self) -> Vec<Organisation> {
        ORGANISATIONS
            .iter()
            .filter_map(|(name, domain)| {
                let account = self.by_name(name)?;
                Some(Organisation {
                    name: (*name).to_owned(),
                    register_number: None,
                    domain: (*domain).to_owned(),
                    keys: vec![Key { address: account.address, from_ms: 0, until_ms: None }],
                })
            })
            .collect()
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
        assert_eq!(accounts.organisations().len(), ORGANISATIONS.len());
        for account in &accounts.0 {
            let key = ReporterKey::from_bytes(&account.secret()).unwrap();
            assert_eq!(key.address(), account.address, "{}", account.name);
        }
        assert_eq!(mnemonic().split(' ').count(), 12);
    }
}
