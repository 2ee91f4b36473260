//! An auditor's word on a sale: its buyer's looks and its delivery, judged by the market, and what
//! is found where the market says that the time of access was over before.

use super::fair::Fair;
use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;
use medtrail_chain::Contract;
use medtrail_ledger::audit::Flaw;
use medtrail_ledger::audit::evidence::AuditEvidence;
use serde_json::{Value, json};
use std::fs;

/// Where `DataMarket` keeps its orders, a slot each: a byte of status, then times of five bytes.
const ORDERS_SLOT: u64 = 2;
const TIME_BITS: usize = 40;
const ENDED_AT: usize = 8 + 2 * TIME_BITS;

/// Ends the log, and audits a copy of it.
pub(super) async fn is_audited(fair: Fair, order: B256) {
    let Fair { anvil, site, node, .. } = fair;
    site.export(&anvil, node, "sold").await;
    let url = anvil.url();
    let audit = |more: &[&str]| {
        let flags = ["audit", "sold", "--rpc", &url, "--trust", "trust.json", "--keys-dir", "keys"];
        site.run(flags.iter().chain(more))
    };
    let said = audit(&["--json"]);
    let told: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    assert_eq!(told["firstFault"], Value::Null, "{told:#}");
    let found = &told["permissions"];
    let looks = found["saleLooks"].as_u64().unwrap();
    assert!(looks >= 3, "{found:#}");
    let counts = [
        ("saleLooksUnpermitted", 0),
        ("deliveries", 1),
        ("deliveriesSettled", 1),
        ("deliveriesUnfounded", 0),
        ("saleNoMarket", 0),
        ("saleNotTold", 0),
    ];
    for (name, count) in counts {
        assert_eq!(found[name], count, "{name}: {found:#}");
    }
    // A block of the same second as a look may have ended it before: then both answers are honest.
    let counted = |name: &str| found[name].as_u64().unwrap();
    assert_eq!(counted("saleLooksPermitted") + counted("both"), looks, "{found:#}");
    let table = audit(&[]).out;
    assert!(table.contains("under the order of a sale") && table.contains("looks of buyers"));

    // A chain on which it was settled three hours before: the time of access was over when the
    // buyer looked, and nothing was left to deliver.
    let slot = keccak256((order, U256::from(ORDERS_SLOT)).abi_encode());
    let market: Address = Contract::DataMarket.address();
    let held = anvil.call("eth_getStorageAt", json!([market, slot, "latest"])).await.unwrap();
    let held: U256 = serde_json::from_value(held).unwrap();
    let ended_s = (held >> ENDED_AT) & U256::from((1_u64 << TIME_BITS) - 1);
    assert!(ended_s > U256::from(1_700_000_000), "the layout is another: {held:x}");
    let earlier = held - (U256::from(3 * 3600) << ENDED_AT);
    let set = json!([market, slot, B256::from(earlier)]);
    anvil.call("anvil_setStorageAt", set).await.unwrap();
    let said = audit(&["--evidence", "over.json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("which does not permit it: expired"), "{said:?}");
    let kept = AuditEvidence::parse(&fs::read(site.path("over.json")).unwrap()).unwrap();
    assert_eq!((kept.flaw, kept.entry.unwrap().report.permission), (Flaw::LookAfterEnd, order));
    let judged = kept.judged.unwrap();
    assert_eq!((judged.reason.as_str(), judged.sales.len()), ("expired", 1));

    // One whose events and states contradict each other is not believed.
    let refunded = (held & !U256::from(0xff)) | U256::from(3);
    let set = json!([market, slot, B256::from(refunded)]);
    anvil.call("anvil_setStorageAt", set).await.unwrap();
    let said = audit(&["--evidence", "none.json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("its events say something else"), "{said:?}");
}
