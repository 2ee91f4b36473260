//! What Mari allows the organisations of her everyday life, signed by her wallet. It stands before
//! anything of the story happens: a permission counts from the line that records it.

use super::accounts::Accounts;
use super::organisations::{HARBOUR, KALDA, LUMI, Organisation, TIDE};
use crate::clock::now_ms;
use crate::exit::Failure;
use crate::session::{Session, text};
use alloy_primitives::{Address, keccak256};
use medtrail_ledger::schema::domain;
use medtrail_permit::documents::{Document, Grant};
use medtrail_permit::signed::{PermissionDetails, Signed};
use medtrail_permit::statements::{Language, worded};

/// How long they stand, in seconds.
const YEAR_S: u64 = 365 * 24 * 3600;

/// Who may do what, for what.
const GIVEN: [(&Organisation, &str, &str); 4] = [
    (&KALDA, "patient/*.cruds", "TREAT COC"),
    (&HARBOUR, "patient/*.rs", "TREAT COC"),
    (&LUMI, "patient/Observation.cruds patient/DiagnosticReport.cruds", "TREAT"),
    (&TIDE, "patient/Observation.cruds patient/Device.rs", "TREAT PATRQT"),
];

/// Gives all of them.
pub(crate) async fn give(mari: &Session, accounts: &Accounts) -> Result<(), Failure> {
    let told = mari.get("/v1/permissions").await?;
    let chain_id = told["chainId"].as_u64().unwrap_or_default();
    let wrong = |_| Failure::new("the registry of permissions cannot be read");
    let registry: Address = text(&told, "consentRegistry")?.parse().map_err(wrong)?;
    for (organisation, scopes, purposes) in GIVEN {
        let grant = Document::Grant(Grant {
            statement: String::new(),
            subject: mari.address(),
            grantee: accounts.named(organisation.name)?.address,
            scopes: scopes.to_owned(),
            purposes: purposes.to_owned(),
            epoch: 0,
            expiresAt: now_ms() / 1000 + YEAR_S,
            salt: keccak256(organisation.slug),
        });
        let Some(Document::Grant(grant)) = worded(grant, Language::En) else {
            return Err(Failure::new("a permission of the story cannot be put in words"));
        };
        let signature = Some(mari.key().sign_document(&grant, &domain(chain_id, registry)));
        let signed = Signed { document: Document::Grant(grant), signature, countersignature: None };
        let body = serde_json::to_value(PermissionDetails::of(signed))?;
        mari.post("/v1/permissions", &body).await?;
    }
    Ok(())
}
