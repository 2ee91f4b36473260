//! Jaan Tamm, 9, Mari's son. He has no key: Mari signs that she acts for him, and the family doctors,
//! who keep the number by which the log knows him, sign that she may.

use super::accounts::Accounts;
use super::audit_event::{Act, Happening, Staff};
use super::mari::Week;
use super::organisations::KALDA;
use crate::commands::signing::{Signed, in_days};
use crate::exit::Failure;
use crate::session::Session;
use alloy_primitives::B256;
use medtrail_ledger::trust::TrustFile;
use medtrail_permit::documents::{Document, Guardianship};
use medtrail_permit::statements::{Language, worded};
use serde_json::json;

/// What the family doctors call him.
pub(crate) const PATIENT: &str = "Patient/jaan-tamm";
pub(crate) const NAME: &str = "Jaan Tamm";
/// For how long Mari may act for him: until he is eighteen.
const DAYS: u64 = 9 * 365;

/// When Mari and the family doctors sign: after his visit, for they keep his number from the first
/// line that they report about him.
pub(crate) fn guarded_ms(week: &Week) -> u64 {
    week.earlier(5, 10, 50)
}

/// Mari and the family doctors sign; the log records both signatures.
pub(crate) async fn guard(
    jaan: B256,
    url: &str,
    accounts: &Accounts,
    trust: &TrustFile,
) -> Result<(), Failure> {
    let mari = Session::open(url, accounts.key_of("Mari Tamm")?).await?;
    let mari = Signed::of(mari, trust.clone());
    let guardianship = Document::Guardianship(Guardianship {
        statement: String::new(),
        subject: jaan,
        guardian: mari.session.address(),
        custodian: accounts.named(KALDA.name)?.address,
        rights: "SEE PERMIT".to_owned(),
        ground: "parent".to_owned(),
        expiresAt: in_days(DAYS),
    });
    let Some(Document::Guardianship(words)) = worded(guardianship.clone(), Language::En) else {
        return Err(Failure::new("the guardianship of the story cannot be put in words"));
    };
    let mut body = mari.carried(guardianship)?;
    let kalda = Session::open(url, accounts.key_of(KALDA.name)?).await?;
    let kalda = Signed::of(kalda, trust.clone());
    body["countersignature"] = json!(kalda.countersign(&words));
    kalda.session.post("/v1/permissions", &body).await.map(drop)
}

/// His week, oldest first.
pub(crate) fn happenings(week: &Week) -> [Happening; 3] {
    let by = |who, purpose, name, time_ms, act, what: &str| Happening {
        at: &KALDA,
        id: format!("{}-jaan-{name}", KALDA.slug),
        time_ms,
        act,
        who: Some(Staff::Named(who)),
        purpose: Some(purpose),
        patient: PATIENT.to_owned(),
        data: vec![what.to_owned()],
        topic: None,
        change: None,
    };
    let at = |minute| week.earlier(5, 10, minute);
    let (read, create) = (Act::Read, Act::Create);
    [
        by("Dr Liis Kask", "TREAT", "visit", at(30), read, "Immunization/jaan-tamm-1"),
        by("Nurse Anu Sild", "TREAT", "vaccine", at(40), create, "Immunization/jaan-tamm-2"),
        by(
            "Piret Kuusk",
            "PATADMIN",
            "reminder",
            week.earlier(2, 9, 20),
            read,
            "Appointment/jaan-tamm-3",
        ),
    ]
}
