//! Act 4: Mari asks why, refuses, allows. By the product's own HTTP, as her page and the hospital's
//! software do.

use super::accounts::Accounts;
use super::desk_talk;
use super::tell::Teller;
use super::trail::{self, Names};
use super::vault::{Allergy, hospital};
use crate::commands::signing::{Signed, in_days, salt};
use crate::exit::Failure;
use crate::session::{Session, text};
use medtrail_ledger::trust::TrustFile;
use medtrail_permit::documents::{ChangeApproval, Document};
use serde_json::json;

/// For how many days what Mari approves may still be done.
const APPROVED_DAYS: u64 = 7;
/// Lines that are told of each step.
const NEWEST: usize = 2;

/// Plays it in the terminal, Mari's part too.
pub(crate) async fn play(
    url: &str,
    accounts: &Accounts,
    trust: &TrustFile,
    teller: Teller,
) -> Result<(), Failure> {
    let mari = Session::open(url, accounts.key_of("Mari Tamm")?).await?;
    let mari = Signed::of(mari, trust.clone());
    let hospital = hospital(url, accounts, trust).await?;
    let names = Names::read(&mari.session).await?;
    let subject = mari.session.address().into_word();
    teller.act_four();

    let night = trail::find(&mari.session, &names, "Unusual.").await?;
    let question =
        json!({ "index": night.index, "text": "Why was this note opened?", "language": "en" });
    mari.session.post("/v1/questions", &question).await?;
    desk_talk::answer_all(&hospital).await?;
    teller.newest(&trail::rows(&mari.session, &names, subject).await?, NEWEST);

    let allergy = Allergy::of(mari.session.address());
    let request = allergy.ask(&hospital).await?;
    let asked = mari.session.get(&format!("/v1/approvals/{request}")).await?;
    let wrong = |_| Failure::new("the request cannot be read");
    let approval = Document::ChangeApproval(ChangeApproval {
        subject: mari.session.address(),
        custodian: text(&asked, "custodian")?.parse().map_err(wrong)?,
        record: text(&asked, "record")?.parse().map_err(wrong)?,
        fromVersion: text(&asked, "fromVersion")?.parse().map_err(wrong)?,
        toVersion: text(&asked, "toVersion")?.parse().map_err(wrong)?,
        epoch: mari.epoch(None).await?,
        expiresAt: in_days(APPROVED_DAYS),
        salt: salt()?,
        ..ChangeApproval::default()
    });
    mari.permit(approval, None).await?;
    if !allergy.write_once_approved(&hospital, request).await? {
        return Err(Failure::new("the hospital could not write what Mari approved"));
    }
    teller.newest(&trail::rows(&mari.session, &names, subject).await?, NEWEST + 1);
    Ok(())
}
