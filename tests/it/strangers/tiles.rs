//! A reader of C2SP tiles in another language. The Rust ones are asked in `operator` and `tamper`.

use super::World;
use super::tools::Stranger;
use crate::site::Custodian;
use serde_json::json;

/// A full tile, a partial one, and one above.
const ENTRIES: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_tile_reader_accepts_the_log() {
    let world = World::start().await;
    let trust = world.node.trust().await;
    let fjord = Custodian::fjord();
    let body = |number| fjord.saw(&trust, number % 7, &format!("tile-{number}"));
    let bodies: Vec<_> = (0..ENTRIES).map(body).collect();
    let receipts = world.node.report_all(&bodies).await;
    let mut entries = vec![String::new(); receipts.len()];
    for receipt in &receipts {
        entries[receipt.index as usize] = alloy::primitives::hex::encode(receipt.commitment());
    }
    let mut task = json!({
        "log": world.url("/log"), "vkey": trust.operator.note_key, "entries": entries,
    });
    let reader = Stranger::Python("read_tiles.py");
    let Some(seen) = reader.run(task.clone()).await else { return };
    assert_eq!((&seen["origin"], &seen["size"]), (&json!(trust.origin), &json!(ENTRIES)));

    // It looks: another entry in the place of one is found.
    task["entries"][7] = task["entries"][8].clone();
    let refused = tokio::spawn(reader.run(task)).await;
    assert!(refused.is_err(), "an entry that is another was accepted");
    world.stop();
}
