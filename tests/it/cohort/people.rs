//! Many people at once, each with a key, an internet address and one reading of their own.

use crate::site::PATIENCE;
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::SolCall;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use journeys::anvil::Anvil;
use medtrail_chain::Contract;
use medtrail_keys::person::PersonKey;
use medtrail_ledger::entry::{details_hash, event_id};
use medtrail_ledger::ports::TxFields;
use medtrail_ledger::schema::{Report, domain};
use medtrail_ledger::trust::TrustFile;
use medtrail_ledger::vault::{UPLOADS, own_record, version_of};
use medtrail_permit::sale::CohortAcceptance;
use medtrail_permit::sale::cohort::CohortMarket;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// What a revocation costs, and much more.
pub(super) const GAS_WEI: u64 = 1_000_000_000_000_000_000;
const GWEI: u128 = 1_000_000_000;
/// How often a place is asked for again that another was faster to take.
const TRIES: usize = 20;

alloy::sol! {
    contract Consents {
        function revoke(address subject, bytes32 permission) external;
    }
}

/// Somebody who is signed in.
pub(super) struct Person {
    number: u32,
    pub(super) key: PersonKey,
    http: Client,
    url: String,
    token: String,
}

impl Person {
    pub(super) async fn sign_in(url: &str, number: u32) -> Self {
        let secret = keccak256(format!("person {number}"));
        Self::with_key(url, number, PersonKey::from_bytes(&secret).unwrap()).await
    }

    pub(super) async fn with_key(url: &str, number: u32, key: PersonKey) -> Self {
        let http = Client::builder().timeout(PATIENCE).build().unwrap();
        let mut person = Self { number, key, http, url: url.to_owned(), token: String::new() };
        person.sign_in_again().await;
        person
    }

    /// As after a start of the service, which forgets who is signed in.
    pub(super) async fn sign_in_again(&mut self) {
        let path = format!("/v1/session/nonce?address={}", self.address());
        let challenge: Value =
            self.asks(Method::GET, &path).send().await.unwrap().json().await.unwrap();
        let message = challenge["message"].as_str().unwrap();
        let signature = self.key.sign_text(message);
        let signed = json!({ "message": message, "signature": signature, "bearer": true });
        let sent = self.asks(Method::POST, "/v1/session").json(&signed).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
        let who: Value = sent.json().await.unwrap();
        self.token = who["token"].as_str().unwrap().to_owned();
    }

    pub(super) fn address(&self) -> Address {
        self.key.address()
    }

    /// From an internet address of one's own, as a proxy on the service's machine tells it.
    pub(super) fn asks(&self, method: Method, path: &str) -> RequestBuilder {
        let from = Ipv4Addr::from(0xc633_6400 + self.number);
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.header("x-forwarded-for", from.to_string()).bearer_auth(&self.token)
    }

    pub(super) async fn said(&self, request: RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let (status, told) = self.said(self.asks(Method::GET, path)).await;
        assert_eq!(status, 200, "{path}: {told}");
        told
    }

    /// Keeps one reading in the vault, signed as the page signs it.
    pub(super) async fn keeps_a_reading(&self, trust: &TrustFile) {
        let content = reading(self.number).to_string().into_bytes();
        let subject = self.address().into_word();
        let record = own_record(subject, UPLOADS, &format!("g{}", self.number));
        let about = json!({
            "title": "Glucose", "mediaType": "application/fhir+json",
            "resourceType": "Observation", "confidentiality": null, "topics": [],
        });
        let details = json!({
            "version": "medtrail/version-v1", "about": about,
            "bytes": content.len(), "purposes": [],
        });
        let report = Report {
            log: trust.log,
            eventId: event_id(self.address(), b"a reading"),
            kind: 2,
            action: b'C',
            timeMs: 1_770_000_000_000,
            subject,
            actor: self.address(),
            record,
            toVersion: version_of(&content),
            details: details_hash(details.to_string().as_bytes()),
            ..Report::default()
        };
        let signature = self.key.sign_document(&report, &domain(trust.chain_id, trust.registry));
        let body = json!({
            "report": report, "details": details, "signature": signature,
            "content": BASE64.encode(&content),
        });
        let path = format!("/v1/records/{record}/versions");
        let (status, told) = self.said(self.asks(Method::POST, &path).json(&body)).await;
        assert_eq!(status, 201, "{told}");
    }

    /// Signs what the service proposes, and posts it; asks again where another was faster.
    pub(super) async fn accepts(&self, market: &CohortMarket, call: B256) -> CohortAcceptance {
        let path = format!("/v1/calls/{call}");
        for _ in 0..TRIES {
            let told = self.get(&path).await;
            let proposed: CohortAcceptance =
                serde_json::from_value(told["proposed"].clone()).unwrap();
            assert_eq!(proposed.seller, self.address());
            let signature = self.key.sign_document(&proposed, &market.domain());
            let body = json!({ "acceptance": proposed, "signature": signature, "country": "EE" });
            let post = self.asks(Method::POST, &format!("{path}/acceptances")).json(&body);
            match self.said(post).await {
                (201, _) => return proposed,
                (409, told) => assert!(told.to_string().contains("place-taken"), "{told}"),
                (status, told) => panic!("{status} {told}"),
            }
        }
        panic!("no place in {TRIES} tries");
    }

    /// Takes the acceptance back, at the service.
    pub(super) async fn withdraws(&self, call: B256) -> (u16, Value) {
        let path = format!("/v1/calls/{call}/acceptances");
        self.said(self.asks(Method::DELETE, &path)).await
    }

    /// How the service says that one's own acceptance stands.
    pub(super) async fn stands(&self, call: B256) -> String {
        let told = self.get(&format!("/v1/calls/{call}")).await;
        let own = told["own"].as_array().unwrap();
        own.last().unwrap()["state"].as_str().unwrap().to_owned()
    }

    /// Sends a revocation of the acceptance to the chain, by an own transaction; it waits for a block.
    pub(super) async fn revokes(&self, anvil: &Anvil, acceptance: B256) -> B256 {
        let nonce = anvil.nonce(self.address()).await;
        if nonce == 0 {
            anvil.set_balance(self.address(), GAS_WEI).await;
        }
        let call = Consents::revokeCall { subject: self.address(), permission: acceptance };
        let fields = TxFields {
            chain_id: anvil.chain_id(),
            to: Contract::ConsentRegistry.address(),
            nonce,
            gas: 200_000,
            tip: 50 * GWEI,
            max_fee: 200 * GWEI,
            data: Bytes::from(call.abi_encode()),
            at_block: 0,
        };
        let signed = self.key.sign_transaction(&fields, U256::ZERO).unwrap();
        anvil.send_raw(&signed.raw).await.unwrap()
    }

    /// The lines of one's own trail.
    pub(super) async fn trail(&self) -> Vec<Value> {
        let path = format!("/v1/subjects/{}/trail?limit=1000", self.address());
        let page = self.get(&path).await;
        assert_eq!(page["next"], Value::Null);
        page["lines"].as_array().unwrap().clone()
    }
}

fn reading(number: u32) -> Value {
    json!({
        "resourceType": "Observation", "id": format!("g{number}"), "status": "final",
        "code": { "coding": [{ "system": "http://loinc.org", "code": "15074-8" }] },
        "subject": { "reference": format!("Patient/p{number}"), "display": "Mari Tamm" },
        "effectiveDateTime": format!("2025-11-{:02}T07:30:00Z", number % 28 + 1),
        "valueQuantity": {
            "value": f64::from(number) / 10.0, "unit": "mmol/L",
            "system": "http://unitsofmeasure.org", "code": "mmol/L",
        },
    })
}
