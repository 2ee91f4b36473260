//! The organisations of the demo. Four run gateways, which sign; the maker of Mari's sensor signs
//! nothing it reports, and sends with an API key.

use super::accounts::Accounts;
use super::audit_event::{Happening, batch};
use super::clock::Clock;
use super::desk::Desk;
use super::gateways::Gateways;
use super::jaan;
use super::organisations::{KALDA, Organisation, SIGNING, TIDE};
use crate::client::checked;
use crate::exit::Failure;
use crate::session::{Session, text};
use alloy_primitives::B256;
use futures::future::try_join_all;
use medtrail_ledger::entry::pseudonym;
use serde_json::{Value, json};
use std::path::Path;

/// Events in one Bundle.
const BATCH: usize = 200;

/// Who sends what happens.
pub(crate) struct Reporters {
    clock: Clock,
    pub(crate) http: reqwest::Client,
    /// The log's URL.
    log: String,
    /// Organisations, and the URLs of their gateways.
    gateways: Vec<(&'static Organisation, String)>,
    /// The number by which the log knows Mari's son.
    pub(crate) jaan: B256,
    /// The desk of the one without a gateway.
    pub(crate) tide: Desk,
    api_key: String,
}

impl Reporters {
    /// Enrols everybody by the operator's invites, and starts their gateways.
    pub(crate) async fn start(
        folder: &Path,
        accounts: &Accounts,
        log: &str,
        operator: &Session,
        clock: Clock,
        started: &mut Gateways,
    ) -> Result<Self, Failure> {
        let (mut gateways, mut jaan) = (Vec::new(), B256::ZERO);
        for organisation in SIGNING {
            let (url, shared_key) =
                started.start(organisation, folder, accounts, log, operator).await?;
            gateways.push((organisation, url));
            // Only his family doctors can tell it.
            if *organisation == KALDA {
                jaan = pseudonym(&shared_key, jaan::PATIENT.as_bytes());
            }
        }
        let (tide, api_key) = enrol_tide(accounts, log, operator).await?;
        let http = reqwest::Client::new();
        Ok(Self { clock, http, log: log.to_owned(), gateways, jaan, tide, api_key })
    }

    /// Sends one event, as the organisation's own software does.
    pub(crate) async fn send(&self, happening: &Happening) -> Result<(), Failure> {
        let event = happening.audit_event(self.clock).to_string().into_bytes();
        self.post(happening.at, "/AuditEvent", event).await?;
        Ok(())
    }

    /// Sends many events, in order for each organisation; all organisations at once.
    pub(crate) async fn send_all(&self, happenings: &[&Happening]) -> Result<(), Failure> {
        let all = SIGNING.into_iter().chain([&TIDE]);
        try_join_all(all.map(|organisation| self.send_all_of(organisation, happenings))).await?;
        Ok(())
    }

    async fn send_all_of(
        &self,
        organisation: &'static Organisation,
        happenings: &[&Happening],
    ) -> Result<(), Failure> {
        let of_it = happenings.iter().filter(|one| one.at == organisation);
        let events: Vec<Value> = of_it.map(|one| one.audit_event(self.clock)).collect();
        for events in events.chunks(BATCH) {
            let answer = self.post(organisation, "", batch(events)).await?;
            require_taken(organisation, &answer, events.len())?;
        }
        Ok(())
    }

    /// Posts FHIR where the organisation's software does: to its gateway, or to the log.
    async fn post(
        &self,
        organisation: &Organisation,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Value, Failure> {
        let request = match self.gateway_of(organisation) {
            Some(gateway) => self.http.post(format!("{gateway}/fhir{path}")),
            None => self.http.post(format!("{}/fhir{path}", self.log)).bearer_auth(&self.api_key),
        };
        let request = request.header("content-type", "application/fhir+json").body(body);
        Ok(checked(request.send().await?).await?.json().await?)
    }

    /// The URL of an organisation's gateway, if it has one.
    pub(crate) fn gateway_of(&self, organisation: &Organisation) -> Option<&str> {
        let found = self.gateways.iter().find(|(one, _)| **one == *organisation);
        found.map(|(_, url)| url.as_str())
    }

    /// Names of those with gateways, and where these are.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.gateways.iter().map(|(organisation, url)| (organisation.name, url.as_str()))
    }

    /// The same for the page and for demo.json.
    pub(crate) fn gateways(&self) -> Value {
        self.listed().map(|(name, url)| json!({ "name": name, "url": url })).collect()
    }

    /// Those that send with an API key, and the keys: known to all, like every key of the demo.
    pub(crate) fn api_keys(&self) -> Value {
        json!([{ "name": TIDE.name, "key": self.api_key }])
    }
}

/// Each event of a batch stands or falls by itself: all must stand.
fn require_taken(organisation: &Organisation, answer: &Value, sent: usize) -> Result<(), Failure> {
    let answers = answer["entry"].as_array().map_or(&[][..], Vec::as_slice);
    let is_taken = |one: &Value| {
        one["response"]["status"].as_str().is_some_and(|status| status.starts_with("201"))
    };
    match answers.iter().find(|one| !is_taken(one)) {
        None if answers.len() == sent => Ok(()),
        refused => Err(Failure::new(format!(
            "{}: an event was not taken: {}",
            organisation.name,
            refused.unwrap_or(answer)
        ))),
    }
}

/// Adds the maker of the sensor: its desk has a key, its events come by API key.
async fn enrol_tide(
    accounts: &Accounts,
    log: &str,
    operator: &Session,
) -> Result<(Desk, String), Failure> {
    let session = Session::open(log, accounts.key_of(TIDE.name)?).await?;
    let new = json!({
        "name": TIDE.name,
        "domain": TIDE.domain,
        "registerNumber": TIDE.number,
        "address": session.address(),
    });
    let added = operator.post("/v1/organisations", &new).await?;
    let desk = Desk::enrol(session, text(&added["invite"], "code")?).await?;
    let path = format!("/v1/organisations/{}/api-keys", text(&added, "id")?);
    let made = operator.post(&path, &Value::Null).await?;
    Ok((desk, text(&made, "key")?.to_owned()))
}
