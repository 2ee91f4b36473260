//! Mari joins what organisations hold about her to her address: she gets a code at the desk, signs
//! with her wallet, and the organisation countersigns.

use super::desk::{Desk, document};
use super::mari;
use crate::client::checked;
use crate::clock::now_ms;
use crate::exit::Failure;
use crate::session::{Session, text};
use alloy_primitives::Bytes;
use medtrail_ledger::binding;
use medtrail_ledger::schema::domain;
use medtrail_ledger::trust::TrustFile;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a gateway may take to countersign.
const COUNTERSIGN: Duration = Duration::from_secs(60);

/// At an organisation whose gateway gives out the code and countersigns.
pub(crate) async fn at_gateway(
    mari: &Session,
    gateway: &str,
    name: &str,
    trust: &TrustFile,
) -> Result<(), Failure> {
    let asked = json!({ "identifier": mari::PATIENT });
    let asking = reqwest::Client::new().post(format!("{gateway}/desk/codes")).json(&asked);
    let given: Value = checked(asking.send().await?).await?.json().await?;
    let id = come_with(mari, text(&given, "code")?, name, trust).await?;
    let until = Instant::now() + COUNTERSIGN;
    while Instant::now() < until {
        if is_entered(mari, &id).await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Failure::new(format!("{name} did not countersign within {} s", COUNTERSIGN.as_secs())))
}

/// At a desk without a gateway.
pub(crate) async fn at_desk(
    mari: &Session,
    desk: &Desk,
    name: &str,
    trust: &TrustFile,
) -> Result<(), Failure> {
    let code = desk.give_code(mari::PATIENT).await?;
    let id = come_with(mari, &code, name, trust).await?;
    desk.countersign(trust).await?;
    match is_entered(mari, &id).await? {
        true => Ok(()),
        false => Err(Failure::new(format!("{name} did not countersign"))),
    }
}

/// Comes with a code, reads what it is for, and signs; returns the connection's id.
async fn come_with(
    mari: &Session,
    code: &str,
    name: &str,
    trust: &TrustFile,
) -> Result<String, Failure> {
    let claimed = mari.post("/v1/bindings", &json!({ "code": code })).await?;
    let document = document(&claimed["typedData"]["message"])?;
    // What her wallet would show must be what she signs.
    binding::check(name, &document, now_ms() / 1000)?;
    let domain = domain(trust.chain_id, trust.registry);
    let signature: Bytes = mari.key().sign_document(&document, &domain);
    let id = text(&claimed, "id")?;
    let path = format!("/v1/bindings/{id}/signature");
    mari.post(&path, &json!({ "signature": signature })).await?;
    Ok(id.to_owned())
}

async fn is_entered(mari: &Session, id: &str) -> Result<bool, Failure> {
    let bindings = mari.get("/v1/bindings").await?;
    let mut own = bindings["own"].as_array().into_iter().flatten();
    Ok(own.any(|one| one["id"] == id && one["state"] == "entered"))
}
