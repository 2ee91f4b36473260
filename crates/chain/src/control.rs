//! Who acts for somebody, and whether they may: what is asked before money or data are promised.

use crate::bindings::{controllerOfCall, epochOfCall, freezeOfCall, revokeCall};
use crate::{At, Chain};
use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::SolCall;
use medtrail_ledger::ports::RegistryError;

/// Who acts for an account, as `ConsentRegistry` says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Control {
    /// The account itself, until its trustees moved control to another.
    pub controller: Address,
    /// While it is frozen nothing can be permitted or approved; zero: it is not.
    pub frozen_until_s: u64,
}

impl Chain {
    /// Who acts for `subject` at one block of `registry`.
    pub async fn control_of(
        &self,
        registry: Address,
        subject: Address,
        at: At,
    ) -> Result<Control, RegistryError> {
        let at = self.id_of(at).await?;
        let controller = self.read_from(registry, controllerOfCall { subject }, &at).await?;
        let freeze = self.read_from(registry, freezeOfCall { subject }, &at).await?;
        Ok(Control { controller, frozen_until_s: freeze.frozenUntilS })
    }

    /// The epoch that what `subject` signs now must name; each end of everything starts the next.
    pub async fn consent_epoch(
        &self,
        registry: Address,
        subject: Address,
        at: At,
    ) -> Result<u64, RegistryError> {
        let at = self.id_of(at).await?;
        self.read_from(registry, epochOfCall { subject }, &at).await
    }
}

/// The call by which who acts for `subject` ends what was signed, at the ConsentRegistry: a
/// permission, or an acceptance of a call to many.
pub fn revocation(subject: Address, permission: B256) -> Bytes {
    revokeCall { subject, permission }.abi_encode().into()
}
