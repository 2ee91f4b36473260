//! What passes between Mari, the hospital's desk and who pays: a bill that is not hers, a question
//! and its answer.

use super::accounts::Accounts;
use super::organisations::INSURANCE;
use crate::commands::signing::Signed;
use crate::exit::Failure;
use crate::session::{Session, text};
use alloy_primitives::{Address, B256};
use medtrail_ledger::schema::Report;
use medtrail_ledger::trust::TrustFile;
use serde_json::json;

/// What the hospital's desk says to whoever asks.
const ANSWER: &str = "The nurse was on night duty for another patient and opened the wrong note. \
                      We have spoken with her, and she has no access to psychiatric notes any more.";

/// State Health Insurance was billed for an MRI on `day` (`2026-11-27`).
pub(crate) async fn bill(
    url: &str,
    accounts: &Accounts,
    trust: &TrustFile,
    mari: Address,
    day: &str,
) -> Result<(), Failure> {
    let session = Session::open(url, accounts.key_of(INSURANCE.name)?).await?;
    let payer = Signed::of(session, trust.clone());
    let details = json!({
        "version": "medtrail/claim-v1",
        "act": "billed",
        "day": day,
        "service": { "text": "MRI of the knee", "resource": "ImagingStudy", "place": "Harbour Hospital" },
        "amount": { "value": "240.00", "currency": "EUR" },
        "language": "en",
    });
    let report = Report { subject: mari.into_word(), ..payer.report(15, &details)? };
    let body = payer.plain_body(&report, &details);
    payer.session.post("/v1/claims", &body).await.map(drop)
}

/// The hospital answers whatever it is asked, signed with its key; returns how many questions that
/// were.
pub(crate) async fn answer_all(hospital: &Signed) -> Result<usize, Failure> {
    let listed = hospital.session.get("/v1/questions?state=open&as=organisation").await?;
    let mut answered = 0;
    for question in listed["questions"].as_array().into_iter().flatten() {
        let wrong = |_| Failure::new("a question cannot be read");
        let id: B256 = text(question, "id")?.parse().map_err(wrong)?;
        let subject: B256 = text(question, "subject")?.parse().map_err(wrong)?;
        let details = json!({
            "version": "medtrail/question-v1",
            "act": "answered",
            "question": id,
            "text": ANSWER,
            "language": "en",
        });
        let report = Report { subject, permission: id, ..hospital.report(12, &details)? };
        let body = hospital.plain_body(&report, &details);
        hospital.session.post(&format!("/v1/questions/{id}/answer"), &body).await?;
        answered += 1;
    }
    Ok(answered)
}
