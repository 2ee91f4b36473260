//! What Anna signs, and what the clinic changes: shared by the tests of permissions.

use crate::support::{CLINIC, REGISTRIES, World, address_of, now_ms, sign_digest};
use alloy_primitives::{Address, B256, keccak256};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::entry::{details_hash, event_id, subject_of};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Report, domain};
use medtrail_oracle::intake::Submission;
use medtrail_oracle::permissions::Entered;
use medtrail_permit::documents::{
    ChangeApproval, Delegation, Document, Grant, Guardianship, Revoke, RevokeAll,
};
use medtrail_permit::signed::Signed;
use medtrail_permit::statements::{Language, worded};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const ANNA: u8 = 0xa1;
pub(crate) const KADRI: u8 = 0xa2;
pub(crate) const STRANGER: u8 = 0xa3;

const LATER_S: u64 = 4_000_000_000;

/// A document in English, or as it is where it has no words.
pub(crate) fn told(document: Document) -> Document {
    worded(document.clone(), Language::En).unwrap_or(document)
}

pub(crate) fn grant() -> Document {
    grant_for("patient/AllergyIntolerance.cu", 1)
}

pub(crate) fn grant_for(scopes: &str, salt: u8) -> Document {
    told(Document::Grant(Grant {
        statement: String::new(),
        subject: address_of(ANNA),
        grantee: address_of(CLINIC),
        scopes: scopes.into(),
        purposes: "TREAT".into(),
        epoch: 0,
        expiresAt: LATER_S,
        salt: B256::repeat_byte(salt),
    }))
}

pub(crate) fn version(letter: char) -> B256 {
    keccak256(letter.to_string())
}

/// The clinic may make this record's version B of its version A.
pub(crate) fn approval(record: &str) -> Document {
    told(Document::ChangeApproval(ChangeApproval {
        statement: String::new(),
        subject: address_of(ANNA),
        custodian: address_of(CLINIC),
        record: keccak256(record),
        fromVersion: version('A'),
        toVersion: version('B'),
        epoch: 0,
        expiresAt: LATER_S,
        salt: B256::repeat_byte(2),
    }))
}

pub(crate) fn delegation() -> Document {
    told(Document::Delegation(Delegation {
        statement: String::new(),
        subject: address_of(ANNA),
        delegate: address_of(KADRI),
        rights: "SEE PERMIT".into(),
        epoch: 0,
        expiresAt: LATER_S,
        salt: B256::repeat_byte(3),
    }))
}

pub(crate) fn guardianship(pseudonym: B256) -> Document {
    told(Document::Guardianship(Guardianship {
        statement: String::new(),
        subject: pseudonym,
        guardian: address_of(ANNA),
        custodian: address_of(CLINIC),
        rights: "SEE PERMIT".into(),
        ground: "parent".into(),
        expiresAt: LATER_S,
    }))
}

pub(crate) fn id(document: &Document) -> B256 {
    document.id(&REGISTRIES)
}

pub(crate) fn revoke(permission: B256) -> Document {
    Document::Revoke(Revoke { subject: address_of(ANNA), permission })
}

pub(crate) fn revoke_all(epoch: u64) -> Document {
    Document::RevokeAll(RevokeAll { subject: address_of(ANNA), epoch })
}

pub(crate) fn signed(seed: u8, document: Document) -> Signed {
    let signature = Some(sign_digest(seed, id(&document)));
    Signed { document, signature, countersignature: None }
}

/// A change that the clinic makes in an allergy of Anna's.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) event: u64,
    pub(crate) subject: B256,
    pub(crate) record: &'static str,
    pub(crate) permission: B256,
    pub(crate) time_ms: u64,
    pub(crate) purpose: Option<&'static str>,
}

pub(crate) fn change(event: u64) -> Change {
    Change {
        event,
        subject: subject_of(address_of(ANNA)),
        record: "penicillin",
        permission: B256::ZERO,
        time_ms: now_ms(),
        purpose: Some("TREAT"),
    }
}

impl Change {
    pub(crate) fn naming(self, document: &Document) -> Self {
        Self { permission: id(document), ..self }
    }

    pub(crate) fn signed(&self, world: &World) -> Submission {
        let key = ReporterKey::from_bytes(&[CLINIC; 32]).unwrap();
        let details =
            json!({ "purpose": self.purpose, "data": "AllergyIntolerance", "n": self.event });
        let details = details.to_string().into_bytes();
        let report = Report {
            log: world.log,
            eventId: event_id(key.address(), &self.event.to_be_bytes()),
            kind: 2,
            action: b'U',
            timeMs: self.time_ms,
            subject: self.subject,
            actor: key.address(),
            record: keccak256(self.record),
            fromVersion: version('A'),
            toVersion: version('B'),
            permission: self.permission,
            details: details_hash(&details),
        };
        let signature = key.sign(&report, &domain(REGISTRIES.chain_id, REGISTRIES.anchor_registry));
        Submission { report, evidence: Evidence::Signed(signature), details: Some(details) }
    }
}

impl World {
    pub(crate) async fn give(&self, seed: u8, document: Document) -> Entered {
        self.service.record(signed(seed, document)).await.unwrap()
    }

    /// The clinic changes something; returns where that stands.
    pub(crate) async fn change(&self, change: &Change) -> u64 {
        self.service.report(change.signed(self)).await.unwrap().index
    }

    /// What a person was told of changes that they had not permitted, oldest first.
    pub(crate) fn refusals(&self, person: Address) -> Vec<Value> {
        let mut entries = self.whole(person);
        entries.retain(|entry| entry.report.kind == 8);
        entries.reverse();
        let told = entries.into_iter().map(|entry| {
            let told: Value = serde_json::from_slice(&entry.details.unwrap()).unwrap();
            assert_eq!(
                entry.report.permission,
                told["commitment"].as_str().unwrap().parse::<B256>().unwrap()
            );
            assert_eq!(entry.report.actor, self.operator);
            told
        });
        told.collect()
    }

    /// Waits until everything that stands in the log now was judged: a change about somebody who
    /// permitted nothing comes last.
    pub(crate) async fn until_judged(&self, event: u64) {
        let nobody = address_of(0x66);
        let known = self.refusals(nobody).len();
        self.change(&Change { subject: subject_of(nobody), ..change(event) }).await;
        self.until(|| self.refusals(nobody).len() > known).await;
    }

    pub(crate) async fn until(&self, is_so: impl Fn() -> bool) {
        for _ in 0..600 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it does not come: {:?}", self.service.judging());
    }

    /// The indexes and reasons of the changes of Anna's that were refused.
    pub(crate) fn refused(&self) -> Vec<(u64, String)> {
        let told = self.refusals(address_of(ANNA)).into_iter();
        let told = told.map(|told| {
            assert_eq!(
                (&told["version"], &told["refused"]),
                (&json!("medtrail/refusal-v1"), &json!("change"))
            );
            (told["index"].as_u64().unwrap(), told["reason"].as_str().unwrap().to_owned())
        });
        told.collect()
    }
}
