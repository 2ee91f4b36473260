//! People who sign in with a key, as a wallet does it.

use crate::support::{Answer, Log};
use alloy_primitives::{Address, hex, keccak256};
use medtrail_ledger::signature::address_of;
use reqwest::{Method, RequestBuilder};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, SecretKey};
use serde_json::{Value, json};

/// Somebody with a key.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    key: SecretKey,
    pub(crate) address: Address,
}

impl Person {
    /// The person whose key is this byte, 32 times.
    pub(crate) fn new(byte: u8) -> Self {
        let key = SecretKey::from_secret_bytes([byte; 32]).unwrap();
        let address = address_of(&key.public_key());
        Self { key, address }
    }

    /// `personal_sign` (EIP-191).
    pub(crate) fn sign(&self, text: &str) -> String {
        let prefixed = format!("\x19Ethereum Signed Message:\n{}{text}", text.len());
        self.sign_digest(keccak256(prefixed).0)
    }

    /// A signature of 32 bytes as they are.
    pub(crate) fn sign_digest(&self, digest: [u8; 32]) -> String {
        let message = Message::from_digest(digest);
        let signed = RecoverableSignature::sign_ecdsa_recoverable(message, &self.key);
        let (recovery, compact) = signed.serialize_compact();
        hex::encode_prefixed([&compact[..], &[27 + u8::from(recovery)]].concat())
    }

    /// The text this person is asked to sign.
    pub(crate) async fn challenge(&self, log: &Log) -> String {
        let asked = log.get(&format!("/v1/session/nonce?address={}", self.address));
        let answer = Answer::of(asked).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["message"].as_str().unwrap().to_owned()
    }

    /// A bearer token of this person.
    pub(crate) async fn sign_in(&self, log: &Log) -> String {
        let message = self.challenge(log).await;
        let body = json!({ "message": message, "signature": self.sign(&message), "bearer": true });
        let answer = Answer::of(log.send(Method::POST, "/v1/session", &body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["token"].as_str().unwrap().to_owned()
    }
}

impl Log {
    /// A request with a small JSON document.
    pub(crate) fn send(&self, method: Method, path: &str, body: &Value) -> RequestBuilder {
        self.http.request(method, self.url(path)).json(body)
    }
}

/// Everybody who could ask, with what they show to say who they are.
pub(crate) struct World {
    pub(crate) anna: Person,
    pub(crate) anna_token: String,
    pub(crate) other_token: String,
    pub(crate) clinic_token: String,
    pub(crate) harbour_token: String,
    pub(crate) operator_token: String,
    /// Of an organisation without a signing key.
    pub(crate) api_key: String,
    pub(crate) revoked_key: String,
    pub(crate) signed_out_token: String,
}

impl World {
    /// The clinic stands in the trust file; the harbour enrols, the laboratory gets API keys.
    pub(crate) async fn new(log: &Log) -> Self {
        let (anna, harbour) = (Person::new(0xa1), Person::new(0x44));
        let operator_token = Person::new(1).sign_in(log).await;
        let invite = log.add_organisation(&operator_token, "Harbour").await;
        let harbour_token = harbour.sign_in(log).await;
        let code = json!({ "code": invite["invite"]["code"] });
        let enrol = log.send(Method::POST, "/v1/enrolments", &code).bearer_auth(&harbour_token);
        assert_eq!(Answer::of(enrol).await.status, 201);
        let laboratory = log.add_organisation(&operator_token, "Laboratory").await;
        let id = laboratory["id"].as_str().unwrap();
        let api_key = log.api_key(&operator_token, id).await;
        let revoked = log.api_key(&operator_token, id).await;
        let revoke = format!("/v1/api-keys/{}", revoked["id"].as_str().unwrap());
        let revoke = log.http.delete(log.url(&revoke)).bearer_auth(&operator_token);
        assert_eq!(Answer::of(revoke).await.status, 204);
        let signed_out_token = anna.sign_in(log).await;
        let out = log.http.delete(log.url("/v1/session")).bearer_auth(&signed_out_token);
        assert_eq!(Answer::of(out).await.status, 204);
        let key = |made: Value| made["key"].as_str().unwrap().to_owned();
        Self {
            anna_token: anna.sign_in(log).await,
            anna,
            other_token: Person::new(0xb2).sign_in(log).await,
            clinic_token: Person::new(2).sign_in(log).await,
            harbour_token,
            operator_token,
            api_key: key(api_key),
            revoked_key: key(revoked),
            signed_out_token,
        }
    }

    /// What each shows; nobody first.
    pub(crate) fn tokens(&self) -> [Option<&str>; 9] {
        [
            None,
            Some(&self.anna_token),
            Some(&self.other_token),
            Some(&self.clinic_token),
            Some(&self.harbour_token),
            Some(&self.operator_token),
            Some(&self.api_key),
            Some(&self.revoked_key),
            Some(&self.signed_out_token),
        ]
    }
}

impl Log {
    /// Adds an organisation as the operator; returns the answer.
    pub(crate) async fn add_organisation(&self, operator: &str, name: &str) -> Value {
        let domain = format!("{}.example", name.to_lowercase());
        let new = json!({ "name": name, "domain": domain });
        let request = self.send(Method::POST, "/v1/organisations", &new).bearer_auth(operator);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    /// A fresh API key of an organisation: `{id, key}`.
    pub(crate) async fn api_key(&self, operator: &str, organisation: &str) -> Value {
        let path = format!("/v1/organisations/{organisation}/api-keys");
        let answer = Answer::of(self.http.post(self.url(&path)).bearer_auth(operator)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }
}
