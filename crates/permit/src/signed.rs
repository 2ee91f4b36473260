//! A document with its signatures, as the log and the page carry it.

use crate::documents::{Document, Registries};
use alloy_primitives::{Address, Bytes};
use medtrail_ledger::signature::{self, SignatureError};
use serde::{Deserialize, Serialize};

/// The version of the details document this code writes.
pub const VERSION: &str = "medtrail/permission-v1";
/// Bytes of a details document.
pub const DETAILS_BYTES_MAX: usize = 65_536;

/// A document and who signed it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signed {
    /// What was signed.
    pub document: Document,
    /// 65 bytes. None: it was given on chain only, as a contract wallet must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Bytes>,
    /// Of a guardianship: the custodian's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub countersignature: Option<Bytes>,
}

impl Signed {
    /// Who signed it; none if it has no signature.
    pub fn signer(&self, registries: &Registries) -> Result<Option<Address>, SignatureError> {
        self.recover(self.signature.as_ref(), registries)
    }

    /// Who countersigned it; none if nobody did.
    pub fn countersigner(
        &self,
        registries: &Registries,
    ) -> Result<Option<Address>, SignatureError> {
        self.recover(self.countersignature.as_ref(), registries)
    }

    fn recover(
        &self,
        bytes: Option<&Bytes>,
        registries: &Registries,
    ) -> Result<Option<Address>, SignatureError> {
        let Some(bytes) = bytes else { return Ok(None) };
        signature::parse(bytes)?.recover(self.document.id(registries)).map(Some)
    }
}

/// `medtrail/permission-v1`: the details of the entry (kind 4) that records a document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PermissionDetails {
    /// [`VERSION`].
    pub version: String,
    /// What was signed.
    pub document: Document,
    /// 65 bytes, or none where it was given on chain only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Bytes>,
    /// Of a guardianship: the custodian's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub countersignature: Option<Bytes>,
}

/// Why details are no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetailsError {
    /// Longer than is read.
    #[error("{0} bytes, at most {DETAILS_BYTES_MAX} are read")]
    Bytes(usize),
    /// Another version.
    #[error("version is {0:?}, this reads {VERSION:?}")]
    Version(String),
    /// Not of this form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl PermissionDetails {
    /// The details that record a document.
    pub fn of(signed: Signed) -> Self {
        let Signed { document, signature, countersignature } = signed;
        Self { version: VERSION.to_owned(), document, signature, countersignature }
    }

    /// Reads details. Who signed, and whether they may, is not checked here.
    pub fn read(bytes: &[u8]) -> Result<Signed, DetailsError> {
        if bytes.len() > DETAILS_BYTES_MAX {
            return Err(DetailsError::Bytes(bytes.len()));
        }
        let Self { version, document, signature, countersignature } =
            serde_json::from_slice(bytes)?;
        match version == VERSION {
            true => Ok(Signed { document, signature, countersignature }),
            false => Err(DetailsError::Version(version)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::RevokeAll;

    #[test]
    fn details_are_read_as_they_were_written() {
        let all = RevokeAll { subject: Address::repeat_byte(1), epoch: 2 };
        let signed = Signed {
            document: Document::RevokeAll(all),
            signature: Some(Bytes::from_static(&[7; 65])),
            countersignature: None,
        };
        let text = serde_json::to_string(&PermissionDetails::of(signed.clone())).unwrap();
        assert_eq!(PermissionDetails::read(text.as_bytes()).unwrap(), signed);
        let other = text.replacen("permission-v1", "permission-v2", 1);
        let refused = PermissionDetails::read(other.as_bytes());
        assert!(matches!(refused, Err(DetailsError::Version(_))), "{refused:?}");
        let long = text.clone() + &" ".repeat(DETAILS_BYTES_MAX);
        let refused = PermissionDetails::read(long.as_bytes());
        assert!(matches!(refused, Err(DetailsError::Bytes(_))), "{refused:?}");
        let more = text.replacen('{', "{\"mood\":1,", 1);
        PermissionDetails::read(more.as_bytes()).unwrap_err();
    }
}
