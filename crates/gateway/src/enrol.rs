//! Joining a log: by an invite's code the gateway's key becomes one of the organisation's.

use crate::clock::Clock;
use crate::session::{Session, SessionError, read};
use crate::upstream::{NoAnswer, Upstream};
use alloy_primitives::{Address, B256};
use medtrail_ledger::custodian::ReportSigner;
use medtrail_ledger::trust::TrustFile;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The version this code writes.
pub const ENROLMENT_VERSION: &str = "medtrail/enrolment-v1";

/// `medtrail/enrolment-v1`: what a gateway knows of its organisation and its log. Secret: it holds
/// the key of the organisation's pseudonyms.
#[derive(Serialize, Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Enrolment {
    /// [`ENROLMENT_VERSION`].
    pub version: String,
    /// Public URL of the log: its host is the only one where the key signs in.
    pub upstream: String,
    /// The organisation's id.
    pub organisation: Address,
    /// Its registered name: it stands in what its patients sign.
    pub name: String,
    /// K, with which pseudonyms and record ids are made.
    pub shared_key: B256,
    /// Whose log it is; receipts are checked by it.
    pub trust: TrustFile,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolment")
            .field("upstream", &self.upstream)
            .field("organisation", &self.organisation)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a key did not join.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The HTTP client cannot be built.
    #[error("HTTP client: {0}")]
    Client(reqwest::Error),
    /// The log refused, or could not be reached: the same code may be shown again by the same key.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl From<NoAnswer> for EnrolError {
    fn from(error: NoAnswer) -> Self {
        Self::Session(error.into())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Enrolled {
    organisation: Named,
    shared_key: B256,
    trust: TrustFile,
}

#[derive(Deserialize)]
struct Named {
    id: Address,
    name: String,
}

/// Joins the signer's key to the organisation that the invite's `code` names. The same key may
/// repeat it.
///
/// # Errors
/// See [`EnrolError`].
pub async fn enrol(
    upstream: &str,
    code: &str,
    signer: &dyn ReportSigner,
    clock: &dyn Clock,
) -> Result<Enrolment, EnrolError> {
    let log = Upstream::new(upstream).map_err(EnrolError::Client)?;
    let body = json!({ "code": code }).to_string().into_bytes();
    let (session, by) = (Session::at(upstream), (&log, signer, clock));
    let answer = session.call(by, Method::POST, "/v1/enrolments", Some(body)).await?;
    let Enrolled { organisation, shared_key, trust } = read(&answer)?;
    Ok(Enrolment {
        version: ENROLMENT_VERSION.to_owned(),
        upstream: upstream.to_owned(),
        organisation: organisation.id,
        name: organisation.name,
        shared_key,
        trust,
    })
}
