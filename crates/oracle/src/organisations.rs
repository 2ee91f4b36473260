//! Who may report: organisations, the invites by which their keys join, and API keys.

mod acts;

use crate::own::NoRandomness;
use crate::service::Service;
use alloy_primitives::Address;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use medtrail_ledger::directory::{invite_hash, secret_hash};
use medtrail_ledger::ports::{JournalError, KeyTag, SecretKey};
use medtrail_ledger::trust::{Key, TrustFile};
use std::sync::Arc;

/// How long an invite is good, in milliseconds: 7 days.
pub const INVITE_MS: u64 = 7 * 24 * 3600 * 1000;
/// Characters of a name at most.
pub const NAME_CHARS_MAX: usize = 200;

/// By what an organisation reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportsBy {
    /// A signing key of its own.
    Signature,
    /// An API key: the operator relays its word.
    ApiKey,
    /// Nothing yet.
    Nothing,
}

/// An organisation as everybody may see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its id, for ever.
    pub id: Address,
    /// Name.
    pub name: String,
    /// Number in a public register.
    pub register_number: Option<String>,
    /// Internet domain.
    pub domain: String,
    /// Signing keys, newest last.
    pub keys: Vec<Key>,
    /// By what it reports.
    pub reports_by: ReportsBy,
    /// Since when it is listed, milliseconds since 1970.
    pub since_ms: u64,
    /// When a report of it was last entered, milliseconds since 1970; after a crash it may be a
    /// minute behind.
    pub last_heard_ms: Option<u64>,
}

/// An organisation to be added.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewOrganisation {
    /// Name, as people know it.
    pub name: String,
    /// Internet domain.
    pub domain: String,
    /// Number in a public register.
    pub register_number: Option<String>,
    /// The key that will enrol, where it is known: no other may, and it is the organisation's id.
    pub address: Option<Address>,
}

/// A one-time code with which a key joins an organisation. Only its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    /// 32 random bytes, base64url without padding.
    pub code: String,
    /// Whom it invites.
    pub organisation: Address,
    /// Until when it is good, milliseconds since 1970.
    pub expires_ms: u64,
}

/// What a key gets when it joins.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Whose key it is now.
    pub organisation: Listed,
    /// K, shared by operator and organisation.
    pub shared_key: SecretKey,
    /// The log: chain, registry, id, origin, and who else reports.
    pub trust: Arc<TrustFile>,
}

/// A fresh API key. Only the hash of its secret is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public part, by which it is revoked: 16 hexadecimal digits.
    pub id: String,
    /// Its secret part: 32 random bytes, base64url without padding.
    pub secret: String,
}

impl std::fmt::Debug for Invite {
    /// Without the code: what is debugged ends in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code: _, organisation, expires_ms } = self;
        f.debug_struct("Invite")
            .field("organisation", organisation)
            .field("expires_ms", expires_ms)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ApiKey {
    /// Without the secret: what is debugged ends in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl std::fmt::Display for ApiKey {
    /// `mtk_<id>_<secret>`, as it is presented.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mtk_{}_{}", self.id, self.secret)
    }
}

/// Who came with an API key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiCaller {
    /// The organisation's id.
    pub organisation: Address,
    /// Its name.
    pub name: String,
}

/// Why the directory was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Nobody could read it.
    #[error(
        "name: 1 to {NAME_CHARS_MAX} characters, all of them visible, and none at the ends blank"
    )]
    Name,
    /// No domain.
    #[error("domain: an internet domain, such as clinic.example")]
    Domain,
    /// There is one.
    #[error("an organisation with this name or key is listed already, as {0}")]
    Taken(Address),
    /// There is none.
    #[error("no organisation has the id {0}")]
    UnknownOrganisation(Address),
    /// No such invite, or its time is over.
    #[error("this invite is unknown or has expired; ask the operator for a new one")]
    Invite,
    /// Somebody used it.
    #[error("this invite was used by another key; if that was not yours, tell the operator")]
    InviteUsed,
    /// The invite names another key.
    #[error("this invite is for the key {expected}, not for {found}")]
    OtherKey {
        /// Named when the organisation was added.
        expected: Address,
        /// The key that came.
        found: Address,
    },
    /// The key is somebody's.
    #[error("the key {0} belongs to another organisation, or to the operator")]
    KeyTaken(Address),
    /// No such API key.
    #[error("no API key has the id {0:?}")]
    UnknownApiKey(String),
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The disk. It may have happened all the same: the act can be repeated.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Service {
    /// Whose log this is, and who reports to it now.
    pub fn trust(&self) -> Arc<TrustFile> {
        self.0.live.trust()
    }

    /// All organisations, the configured ones first.
    pub fn organisations(&self) -> Vec<Listed> {
        self.0.live.listed()
    }

    /// The name of an organisation by its id; empty if there is none.
    pub(crate) fn name_of(&self, id: Address) -> String {
        let rows = self.0.live.rows();
        rows.listed()
            .iter()
            .find(|one| one.id == id)
            .map_or_else(String::new, |one| one.name.clone())
    }

    /// The organisation whose word an entry is: that of the key that signed it, or the one for
    /// which the operator relayed it.
    pub fn reporter_of(&self, entry: &crate::opener::Entry) -> Option<Address> {
        self.0.live.reporter_of(entry)
    }

    /// The id of the organisation that has this key, now or once, or this id.
    pub fn organisation_of(&self, address: Address) -> Option<Address> {
        self.0.live.organisation_of(address)
    }

    /// Adds an organisation and invites its first key.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::Domain`], [`DirectoryError::Taken`]; on
    /// [`DirectoryError::Journal`] it may have been added: see [`Self::organisations`].
    pub async fn add_organisation(&self, new: NewOrganisation) -> Result<Invite, DirectoryError> {
        self.act(move |service| service.add_organisation_now(new)).await
    }

    /// Invites a further key of an organisation.
    ///
    /// # Errors
    /// [`DirectoryError::UnknownOrganisation`], [`DirectoryError::Journal`].
    pub async fn invite(&self, organisation: Address) -> Result<Invite, DirectoryError> {
        self.act(move |service| service.invite_now(organisation)).await
    }

    /// Joins `key`, whose holder has proved to hold it, to the organisation that the invite names.
    /// The same key may repeat it, and gets the same answer; no other may.
    ///
    /// # Errors
    /// [`DirectoryError::Invite`], [`DirectoryError::InviteUsed`], [`DirectoryError::OtherKey`],
    /// [`DirectoryError::KeyTaken`]; after [`DirectoryError::Journal`] the same key tries again.
    pub async fn enrol(&self, code: &str, key: Address) -> Result<Enrolment, DirectoryError> {
        let code_hash = invite_hash(code);
        self.act(move |service| service.enrol_now(code_hash, key)).await
    }

    /// A fresh API key for an organisation.
    ///
    /// # Errors
    /// [`DirectoryError::UnknownOrganisation`], [`DirectoryError::Journal`].
    pub async fn create_api_key(&self, organisation: Address) -> Result<ApiKey, DirectoryError> {
        self.act(move |service| service.create_api_key_now(organisation)).await
    }

    /// Revokes an API key; from then on it opens nothing. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`DirectoryError::UnknownApiKey`], [`DirectoryError::Journal`].
    pub async fn revoke_api_key(&self, id: &str) -> Result<(), DirectoryError> {
        let id = id.to_owned();
        self.act(move |service| service.revoke_api_key_now(&id)).await
    }

    /// Who presents this `mtk_<id>_<secret>`; `None` for a key that is unknown, revoked, or none.
    pub fn api_key(&self, presented: &str) -> Option<ApiCaller> {
        let (id, secret) = presented.strip_prefix("mtk_")?.split_once('_')?;
        let found = secret_hash(secret);
        let organisation = {
            let rows = self.0.live.rows();
            let row = rows.api_keys.get(id).filter(|row| row.revoked_ms.is_none())?;
            verify_slices_are_equal(&row.secret_hash.0, &found.0).ok()?;
            row.organisation
        };
        let name = self.listed(organisation)?.name;
        Some(ApiCaller { organisation, name })
    }

    /// K of an organisation: made, durably, when it is first asked for. `None` for an organisation
    /// that is not listed, or if the key file cannot be used just now. Blocks.
    pub fn key_of(&self, organisation: Address) -> Option<SecretKey> {
        self.listed(organisation)?;
        match self.shared_key(organisation) {
            Ok(key) => Some(key),
            Err(error) => {
                tracing::error!("the key shared with {organisation}: {error}");
                None
            }
        }
    }

    pub(crate) fn listed(&self, id: Address) -> Option<Listed> {
        self.organisations().into_iter().find(|one| one.id == id)
    }

    fn shared_key(&self, organisation: Address) -> Result<SecretKey, JournalError> {
        let tag = KeyTag::Custodian(organisation.into_array());
        if let Some(key) = self.0.keys.open(tag)? {
            return Ok(key);
        }
        let made = self.0.keys.create(&[tag])?.pop();
        made.ok_or_else(|| JournalError::Damaged("the key file made no key".to_owned()))
    }

    /// One act after the other, on a thread that may block; then what the act owes is entered.
    pub(crate) async fn act<T: Send + 'static, E: From<JournalError> + Send + 'static>(
        &self,
        act: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let service = self.clone();
        let acting = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = service.0.live.begin()?;
            let outcome = act(&service);
            // Also after a refusal: somebody may have to be told of it.
            service.pay();
            service.stop_if_lost();
            outcome
        });
        match acting.await {
            Ok(outcome) => outcome,
            Err(lost) => Err(JournalError::Storage(lost.to_string()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_debugged_holds_no_secret() {
        let (code, secret) = ("c0de".to_owned(), "5ecret".to_owned());
        let invite = Invite { code, organisation: Address::ZERO, expires_ms: 7 };
        let key = ApiKey { id: "0123456789abcdef".to_owned(), secret };
        let debugged = format!("{invite:?} {key:?}");
        assert!(!debugged.contains("c0de") && !debugged.contains("5ecret"), "{debugged}");
        assert_eq!(key.to_string(), "mtk_0123456789abcdef_5ecret");
    }
}
