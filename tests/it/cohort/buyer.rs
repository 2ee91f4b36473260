//! What a buyer does with a delivery to a call: downloads it, though the line breaks, checks every
//! seller's entry against the chain, and opens both seals.

use super::hall::{Called, Hall};
use super::people::Person;
use alloy::primitives::{Address, B256};
use medtrail_chain::At;
use medtrail_chain::cohort::CohortStep;
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::proof::Proof;
use medtrail_market::cohort::verify::{self, Checked, Entered, Settled};
use medtrail_market::seal::LockKey;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeSet;

/// What the chain shows of a call's settlement.
pub(super) struct Shown {
    pub(super) key: LockKey,
    pub(super) file: B256,
    pub(super) paid: Vec<(u32, Address)>,
}

/// A delivery, opened.
pub(super) struct Opened {
    pub(super) checked: Checked,
    pub(super) proofs: Vec<Proof>,
    pub(super) files: Vec<(String, Vec<u8>)>,
}

impl Hall {
    fn delivery(called: &Called) -> String {
        format!("/v1/calls/{}/delivery", called.id)
    }

    /// The whole file, asked for once; its lines are in the trails when the first byte comes.
    pub(super) async fn downloads(&self, called: &Called) -> Vec<u8> {
        let answer = self.buyer.asks(Method::GET, &Self::delivery(called)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        let file = answer.bytes().await.unwrap().to_vec();
        assert_eq!(tag, format!("\"{:x}\"", details_hash(&file)));
        file
    }

    /// In two parts: the line breaks within the first.
    pub(super) async fn downloads_in_parts(&self, called: &Called) -> Vec<u8> {
        let mut answer =
            self.buyer.asks(Method::GET, &Self::delivery(called)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let whole = answer.content_length().unwrap();
        let tag = answer.headers()["etag"].clone();
        let mut file = answer.chunk().await.unwrap().unwrap().to_vec();
        drop(answer);
        file.truncate(usize::try_from(whole).unwrap() / 3);
        let from = file.len() as u64;
        let rest = self.part(called, from, tag.to_str().unwrap()).await;
        assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT);
        let range = format!("bytes {from}-{}/{whole}", whole - 1);
        assert_eq!(rest.headers()["content-range"], range);
        file.extend(rest.bytes().await.unwrap());
        assert_eq!(format!("\"{:x}\"", details_hash(&file)), tag.to_str().unwrap());
        file
    }

    /// From a byte on, if it is still the file of this tag.
    pub(super) async fn part(&self, called: &Called, from: u64, tag: &str) -> reqwest::Response {
        let request = self.buyer.asks(Method::GET, &Self::delivery(called));
        let request = request.header("range", format!("bytes={from}-")).header("if-range", tag);
        request.send().await.unwrap()
    }

    /// Key, file and who was paid, from the contract's events alone.
    pub(super) async fn shown(&self, called: &Called) -> Shown {
        let mut keys = BTreeSet::new();
        let mut paid = Vec::new();
        for record in self.events(called).await {
            match record.step {
                CohortStep::Settled { k, to_version, .. } => _ = keys.insert((k, to_version)),
                CohortStep::Paid { seller, place } => paid.push((place, seller)),
                _ => {}
            }
        }
        let (k, file) = keys.pop_first().expect("it was settled");
        assert!(keys.is_empty(), "one lock for all batches");
        Shown { key: LockKey::new(k.0), file, paid }
    }

    /// The proof of each seller's entry, page by page.
    pub(super) async fn proofs(&self, called: &Called, limit: usize) -> Vec<Proof> {
        let (mut proofs, mut before) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/calls/{}/proofs?limit={limit}{before}", called.id);
            let page = self.buyer.get(&path).await;
            assert_eq!(page["version"], "medtrail/call-proofs-v1");
            let found = page["proofs"].as_array().unwrap();
            assert!(!found.is_empty() && found.len() <= limit, "{page}");
            let read = |proof: &Value| serde_json::from_value(proof.clone()).unwrap();
            proofs.extend(found.iter().map(read));
            match page["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => return proofs,
            }
        }
    }

    /// Checks all of a delivery as its buyer does, and asks the registry itself for every entry.
    pub(super) async fn opens(&self, called: &Called, file: &[u8]) -> Opened {
        let shown = self.shown(called).await;
        let proofs = self.proofs(called, 20).await;
        let mut details = Vec::new();
        for proof in &proofs {
            let (log, anchor) = (proof.report.log, proof.anchor.anchor());
            let (index, entry, path) = (proof.index, proof.commitment(), &proof.path);
            let found = self.chain.included(log, &anchor, index, entry, path, At::Latest).await;
            assert!(found.unwrap(), "entry {index} stands in no anchored log");
            details.push(proof.details.as_ref().unwrap().bytes().unwrap());
        }
        let entries: Vec<Entered<'_>> = proofs
            .iter()
            .zip(&details)
            .map(|(proof, details)| Entered { report: &proof.report, details })
            .collect();
        let asked = verify::Called {
            market: &self.market,
            cohort: &called.document,
            dataset: &called.dataset,
        };
        let settled = Settled { key: &shown.key, file: shown.file, paid: &shown.paid };
        let mut files = Vec::new();
        let mut take = |name: &str, bytes: &[u8]| {
            files.push((name.to_owned(), bytes.to_vec()));
            Ok(())
        };
        let checked =
            verify::verify(&asked, &settled, &entries, &self.identity, file, &mut take).unwrap();
        Opened { checked, proofs, files }
    }

    /// Nobody but the buyer gets the file or the proofs of a call.
    pub(super) async fn is_the_buyer_s_alone(&self, called: &Called, others: &[&Person]) {
        for path in [Self::delivery(called), format!("/v1/calls/{}/proofs", called.id)] {
            for other in others {
                let (status, told) = other.said(other.asks(Method::GET, &path)).await;
                assert!(status == 404 && told.to_string().contains("no-such-call"), "{told}");
            }
            let nobody = self.node.get(&path).await;
            assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
        }
        for other in others {
            let told = other.get(&format!("/v1/calls/{}", called.id)).await;
            assert_eq!(told["delivery"], Value::Null);
        }
    }
}
