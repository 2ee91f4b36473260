//! What Mari keeps in her vault, and what others do about it: she puts her allergy there; the
//! hospital tries to change it without asking, and later asks properly. All by the product's own
//! HTTP, each act signed with its actor's key.

use super::accounts::Accounts;
use super::organisations::HARBOUR;
use crate::clock::now_ms;
use crate::commands::signing::Signed;
use crate::exit::Failure;
use crate::session::{Session, text};
use alloy_primitives::{Address, B256};
use medtrail_ledger::schema::Report;
use medtrail_ledger::trust::TrustFile;
use medtrail_ledger::vault::{About, UPLOADS, own_record, version_of};
use serde_json::{Value, json};
use std::time::Duration;

/// How long the hospital waits for an answer, in milliseconds.
const ASKED_FOR_MS: u64 = 7 * 24 * 3600 * 1000;
/// How often its software looks whether there is one.
const LOOK: Duration = Duration::from_secs(2);

/// The record that the story is about.
pub(crate) struct Allergy {
    /// Mari.
    of: B256,
}

/// One state of it.
struct State {
    title: &'static str,
    substance: &'static str,
    reaction: Option<&'static str>,
}

const AT_FIRST: State =
    State { title: "Allergy: penicillin", substance: "Penicillin", reaction: Some("rash") };
const DENIED: State =
    State { title: "No known allergies", substance: "No known allergies", reaction: None };
const COMPLETE: State = State {
    title: "Allergies: penicillin and ibuprofen",
    substance: "Penicillin and ibuprofen",
    reaction: Some("rash; hives"),
};

impl State {
    fn about(&self) -> About {
        About {
            title: self.title.to_owned(),
            media_type: "application/fhir+json".to_owned(),
            resource_type: Some("AllergyIntolerance".to_owned()),
            ..About::default()
        }
    }

    /// FHIR R4.
    fn content(&self) -> Vec<u8> {
        let reaction = self.reaction.map(|words| json!([{ "manifestation": [{ "text": words }] }]));
        let mut resource = json!({
            "resourceType": "AllergyIntolerance",
            "patient": { "reference": super::mari::PATIENT },
            "clinicalStatus": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                "code": "active",
                "display": "Active",
            }] },
            "code": { "text": self.substance },
            "criticality": "high",
        });
        if let Some(reaction) = reaction {
            resource["reaction"] = reaction;
        }
        resource.to_string().into_bytes()
    }

    fn version(&self) -> B256 {
        version_of(&self.content())
    }
}

impl Allergy {
    pub(crate) fn of(mari: Address) -> Self {
        Self { of: mari.into_word() }
    }

    fn record(&self) -> B256 {
        own_record(self.of, UPLOADS, "allergies.json")
    }

    /// Mari puts it there, signed by her wallet.
    pub(crate) async fn keep(&self, mari: &Signed) -> Result<(), Failure> {
        self.write(mari, B256::ZERO, &AT_FIRST, None).await.map(drop)
    }

    /// The hospital says that there is none, and asks nobody. The vault must refuse it.
    pub(crate) async fn overwrite(&self, hospital: &Signed) -> Result<(), Failure> {
        match self.write(hospital, AT_FIRST.version(), &DENIED, None).await {
            Err(refused) if refused.to_string().contains("not permitted") => Ok(()),
            Err(failure) => Err(failure),
            Ok(_) => Err(Failure::new("the vault took a change that nobody had permitted")),
        }
    }

    /// The hospital asks for what it wants to write; returns the request's id.
    pub(crate) async fn ask(&self, hospital: &Signed) -> Result<B256, Failure> {
        let content = COMPLETE.content();
        let details = json!({
            "version": "medtrail/change-request-v1",
            "act": "asked",
            "about": COMPLETE.about(),
            "bytes": content.len(),
            "why": "She got hives from ibuprofen on our ward. Penicillin stays as it is.",
            "untilMs": now_ms() + ASKED_FOR_MS,
        });
        let report = Report {
            subject: self.of,
            record: self.record(),
            fromVersion: AT_FIRST.version(),
            toVersion: version_of(&content),
            ..hospital.report(12, &details)?
        };
        let body = hospital.body(&report, &details, Some(&content));
        let asked = hospital.session.post("/v1/approvals", &body).await?;
        text(&asked, "id")?.parse().map_err(|_| Failure::new("the request has no id"))
    }

    /// Waits for Mari's answer as the hospital's software does, and writes what she approved.
    /// Returns whether she did.
    pub(crate) async fn write_once_approved(
        &self,
        hospital: &Signed,
        request: B256,
    ) -> Result<bool, Failure> {
        loop {
            let told = hospital.session.get(&format!("/v1/approvals/{request}")).await?;
            match text(&told, "state")? {
                "asked" => tokio::time::sleep(LOOK).await,
                "approved" => {
                    let permission = text(&told, "permission")?.parse().map_err(Failure::from)?;
                    let written =
                        self.write(hospital, AT_FIRST.version(), &COMPLETE, Some(permission));
                    return written.await.map(|_| true);
                }
                _ => return Ok(false),
            }
        }
    }

    async fn write(
        &self,
        by: &Signed,
        from: B256,
        state: &State,
        permission: Option<B256>,
    ) -> Result<Value, Failure> {
        let (about, content) = (state.about(), state.content());
        put(by, self.of, self.record(), from, &about, &content, permission).await
    }
}

/// Writes a version of a record, signed with the key of `by`.
pub(super) async fn put(
    by: &Signed,
    of: B256,
    record: B256,
    from: B256,
    about: &About,
    content: &[u8],
    permission: Option<B256>,
) -> Result<Value, Failure> {
    let is_own = by.session.address().into_word() == of;
    let details = json!({
        "version": "medtrail/version-v1",
        "about": about,
        "bytes": content.len(),
        "purposes": if is_own { json!([]) } else { json!(["TREAT"]) },
    });
    let report = Report {
        action: if from.is_zero() { b'C' } else { b'U' },
        subject: of,
        record,
        fromVersion: from,
        toVersion: version_of(content),
        permission: permission.unwrap_or_default(),
        ..by.report(2, &details)?
    };
    let body = by.body(&report, &details, Some(content));
    by.session.post(&format!("/v1/records/{record}/versions"), &body).await
}

/// The hospital's key, signed in.
pub(crate) async fn hospital(
    url: &str,
    accounts: &Accounts,
    trust: &TrustFile,
) -> Result<Signed, Failure> {
    let session = Session::open(url, accounts.key_of(HARBOUR.name)?).await?;
    Ok(Signed::of(session, trust.clone()))
}
