//! A custodian's key: it signs reports, alone or many at once.

use crate::local::{InvalidKey, KeystoreError, LocalSigner};
use crate::operator::Signer;
use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::Eip712Domain;
use medtrail_ledger::custodian::ReportSigner;
use medtrail_ledger::schema::{self, Report, ReportBatch};
use secrecy::SecretString;
use std::path::Path;

/// Signs as one custodian.
#[derive(Debug)]
pub struct ReporterKey(LocalSigner);

impl ReporterKey {
    /// From 32 bytes that the caller keeps and wipes: for demos and tests.
    ///
    /// # Errors
    /// [`InvalidKey`] for zero, or for the order of secp256k1 and above.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, InvalidKey> {
        LocalSigner::from_bytes(secret).map(Self)
    }

    /// Opens a version 3 keystore. Blocking: scrypt takes from tens of milliseconds to seconds.
    ///
    /// # Errors
    /// See [`KeystoreError`].
    pub fn load(path: &Path, passphrase: &SecretString) -> Result<Self, KeystoreError> {
        LocalSigner::load(path, passphrase).map(Self)
    }

    /// The actor of what it signs.
    pub fn address(&self) -> Address {
        self.0.address()
    }

    /// Signs one report (EIP-712).
    pub fn sign(&self, report: &Report, domain: &Eip712Domain) -> Bytes {
        self.0.sign_digest(schema::digest(report, domain)).into()
    }

    /// Signs many reports at once by their root.
    pub fn sign_batch(&self, batch: &ReportBatch, domain: &Eip712Domain) -> Bytes {
        self.0.sign_digest(schema::digest(batch, domain)).into()
    }
}

impl ReportSigner for ReporterKey {
    fn address(&self) -> Address {
        self.0.address()
    }

    fn sign(&self, digest: B256) -> Bytes {
        self.0.sign_digest(digest).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_ledger::entry::batch_root;
    use medtrail_ledger::proof::{BatchEvidence, Evidence};

    #[test]
    fn what_it_signs_is_evidence_of_its_own_reports_only() {
        let key = ReporterKey::from_bytes(&[3; 32]).unwrap();
        let domain = schema::domain(7, Address::repeat_byte(9));
        let report = Report { actor: key.address(), kind: 1, ..Report::default() };
        let signed = Evidence::Signed(key.sign(&report, &domain));
        assert!(signed.verify(&report, &domain).unwrap());
        let other = Report { kind: 2, ..report };
        signed.verify(&other, &domain).unwrap_err();
        let signer: &dyn ReportSigner = &key;
        let by_digest = Evidence::Signed(signer.sign(schema::digest(&report, &domain)));
        assert_eq!((signer.address(), by_digest), (key.address(), signed));

        let hashes = [report.hash(), other.hash()];
        let batch = ReportBatch { root: B256::from(batch_root(&hashes)), count: 2 };
        let evidence = Evidence::Batch(BatchEvidence {
            count: 2,
            index: 0,
            root: batch.root,
            path: vec![B256::from(medtrail_ledger::merkle::leaf_hash(&other.hash().0))],
            signature: key.sign_batch(&batch, &domain),
        });
        assert!(evidence.verify(&report, &domain).unwrap());
        evidence.verify(&other, &domain).unwrap_err();
    }
}
