//! `/v1/entries/{index}/receipt` and `/proof`.

use crate::people::World;
use crate::support::{Answer, CHAIN, Log};
use alloy_primitives::B256;
use medtrail_ledger::proof::{Proof, ShownPlace};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::verify::{self, AnchorSeen, ChainFacts, Verdict};

async fn ask(log: &Log, path: &str, place: Option<String>) -> Answer {
    let request = log.get(path);
    Answer::of(match place {
        Some(place) => request.header("Medtrail-Place", place),
        None => request,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_of_a_place_hash_gets_the_receipt_again_under_a_newer_checkpoint() {
    let log = Log::start().await;
    let sent = log.sent(1, 1);
    let receipt = log.report(&sent).await.receipt();
    log.report(&log.sent(1, 2)).await.receipt();
    let place = Some(receipt.place_hash.to_string());
    let answer = ask(&log, "/v1/entries/0/receipt", place).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, Some("no-store")));
    let newer: Receipt = serde_json::from_slice(&answer.body).unwrap();
    log.assert_binding(&newer, &sent);
    assert_eq!((newer.index, newer.place_hash), (0, receipt.place_hash));
    assert_eq!((receipt.path.len(), newer.path.len()), (0, 1));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_place_hash_an_entry_is_answered_like_one_that_does_not_exist() {
    let log = Log::start().await;
    let receipt = log.report(&log.sent(1, 1)).await.receipt();
    let other = log.report(&log.sent(1, 2)).await.receipt();
    let mut almost = receipt.place_hash;
    almost.0[31] ^= 1;
    let keys = [
        None,
        Some(String::new()),
        Some("0x".into()),
        Some("nonsense".into()),
        Some(B256::ZERO.to_string()),
        Some(almost.to_string()),
        Some(other.place_hash.to_string()),
        Some(format!("{} ", &receipt.place_hash.to_string()[..65])),
    ];
    let same = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        for varying in ["date", "x-request-id"] {
            assert!(headers.remove(varying).is_some(), "{varying}");
        }
        (answer.status, headers, answer.body.clone())
    };
    for what in ["receipt", "proof"] {
        let place = Some(receipt.place_hash.to_string());
        let absent = ask(&log, &format!("/v1/entries/2/{what}"), place.clone()).await;
        absent.problem(404, "no-such-entry");
        let absent = same(&absent);
        for key in &keys {
            let answer = ask(&log, &format!("/v1/entries/0/{what}"), key.clone()).await;
            assert_eq!(same(&answer), absent, "{what} {key:?}");
        }
        for index in ["-1", "x", "18446744073709551615", "18446744073709551616", "1e1", "%00"] {
            let answer = ask(&log, &format!("/v1/entries/{index}/{what}"), place.clone()).await;
            assert_eq!(same(&answer), absent, "{what} of {index}");
        }
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_comes_once_an_anchor_covers_the_entry_and_checks_green() {
    let log = Log::start().await;
    let sent = log.sent(1, 1);
    let receipt = log.report(&sent).await.receipt();
    let place = || Some(receipt.place_hash.to_string());
    let early = ask(&log, "/v1/entries/0/proof", place()).await;
    early.problem(404, "not-anchored");

    log.report(&log.sent(1, 2)).await.receipt();
    let record = log.anchor(1, true);
    log.report(&log.sent(1, 3)).await.receipt();
    let answer = ask(&log, "/v1/entries/0/proof", place()).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, Some("no-store")));
    let proof = Proof::parse(&answer.body).unwrap();
    assert_eq!(proof.to_bytes(), answer.body);
    assert_eq!((&proof.report, &proof.details), (&sent.report, &None));
    assert_eq!(proof.place, ShownPlace::Hash(receipt.place_hash));
    let chain = ChainFacts {
        chain_id: CHAIN,
        registry_stands: true,
        is_open: true,
        note_key: B256::from(*log.keys.note_key.as_bytes()),
        anchor: Some(AnchorSeen {
            anchor: record.anchor,
            operator: log.keys.operator,
            tx: record.tx,
            block: record.block.number,
        }),
        extension_lives: None,
        finalized: record.block.number,
    };
    let findings = verify::verify(&proof, Some(&*log.service.trust()), &chain);
    assert_eq!(findings.verdict(), Verdict::Green, "{findings:#?}");

    // Whoever was shown a proof knows the place hash: it must not open the details.
    let more = ask(&log, "/v1/entries/0/proof?details=true", place()).await;
    assert_eq!(Proof::parse(&more.body).unwrap().details, None);
    log.end().await;
}

/// The story: a disk loses a bit, and a stranger counts through all indexes to find where.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_entry_is_one_that_does_not_exist_but_for_whom_it_is_about() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let receipt = log.report(&log.about(world.anna.address, 1)).await.receipt();
    let (place, index) = (receipt.place_hash.to_string(), receipt.index);
    log.disk.damage(index);
    let absent = log.service.head().size;
    let ask = async |index: u64, what: &str, token: Option<&str>| {
        let request = log.get(&format!("/v1/entries/{index}{what}"));
        let request = request.header("Medtrail-Place", &place);
        Answer::of(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
    };
    for token in world.tokens() {
        for what in ["", "/receipt", "/proof"] {
            let told = ask(index, what, token).await;
            if token == Some(&world.anna_token) {
                told.problem(500, "damaged");
                continue;
            }
            let other = ask(absent, what, token).await;
            assert_eq!((told.status, told.body), (other.status, other.body), "{what} {token:?}");
        }
    }
    log.end().await;
}
