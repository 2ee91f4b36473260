//! The desk of an organisation without a gateway: its key is enrolled, gives out codes and
//! countersigns, but signs no reports.

use crate::clock::now_ms;
use crate::exit::Failure;
use crate::session::{Session, text};
use alloy_primitives::{B256, Bytes, keccak256};
use medtrail_ledger::directory::code_hash;
use medtrail_ledger::entry::pseudonym;
use medtrail_ledger::ports::SecretKey;
use medtrail_ledger::schema::{Binding, domain};
use medtrail_ledger::trust::TrustFile;
use serde_json::{Value, json};

/// How long a code is good, in milliseconds.
const CODE_MS: u64 = 10 * 60 * 1000;

/// A desk whose key has joined an organisation.
pub(crate) struct Desk {
    session: Session,
    shared_key: SecretKey,
}

impl Desk {
    /// Joins the session's key to the organisation that the invite's code names.
    pub(crate) async fn enrol(session: Session, code: &str) -> Result<Self, Failure> {
        let enrolled = session.post("/v1/enrolments", &json!({ "code": code })).await?;
        let wrong = |_| Failure::new("the shared key cannot be read");
        let shared_key: B256 = text(&enrolled, "sharedKey")?.parse().map_err(wrong)?;
        Ok(Self { session, shared_key: SecretKey(shared_key.0) })
    }

    /// A code for whoever stands at the desk and is this patient.
    pub(crate) async fn give_code(&self, patient: &str) -> Result<String, Failure> {
        let pseudonym = pseudonym(&self.shared_key, patient.as_bytes());
        // 64 bits that only this desk can make.
        let drawn = keccak256([&self.shared_key.0[..], patient.as_bytes()].concat());
        let code = drawn.to_string()[2..18].to_uppercase();
        let issued = json!({
            "pseudonym": pseudonym,
            "codeHash": code_hash(&code),
            "expiresMs": now_ms() + CODE_MS,
        });
        self.session.post("/v1/bindings/codes", &issued).await?;
        Ok(code)
    }

    /// Countersigns what the person with a code of this desk has signed.
    pub(crate) async fn countersign(&self, trust: &TrustFile) -> Result<(), Failure> {
        let bindings = self.session.get("/v1/bindings").await?;
        for pending in bindings["pending"].as_array().into_iter().flatten() {
            let document = document(&pending["document"])?;
            let domain = domain(trust.chain_id, trust.registry);
            let signature: Bytes = self.session.key().sign_document(&document, &domain);
            let path = format!("/v1/bindings/{}/countersignature", text(pending, "id")?);
            self.session.post(&path, &json!({ "signature": signature })).await?;
        }
        Ok(())
    }
}

/// The document of a binding, as the service spells it.
pub(crate) fn document(message: &Value) -> Result<Binding, Failure> {
    let wrong = |what: &str| Failure::new(format!("{what} of the document cannot be read"));
    let field = |name: &'static str| text(message, name);
    Ok(Binding {
        statement: field("statement")?.to_owned(),
        subject: field("subject")?.parse().map_err(|_| wrong("subject"))?,
        custodian: field("custodian")?.parse().map_err(|_| wrong("custodian"))?,
        pseudonym: field("pseudonym")?.parse().map_err(|_| wrong("pseudonym"))?,
        expiresAt: field("expiresAt")?.parse().map_err(|_| wrong("expiresAt"))?,
    })
}
