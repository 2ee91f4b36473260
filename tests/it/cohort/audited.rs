//! An auditor's word on a call: its deliveries and downloads, judged by the cohort market, and what is
//! found where the market says that it was settled before.

use super::hall::Hall;
use alloy::primitives::{B256, U256, keccak256};
use alloy::sol_types::SolValue;
use medtrail_ledger::audit::Flaw;
use medtrail_ledger::audit::evidence::AuditEvidence;
use serde_json::{Value, json};
use std::fs;

/// Where `CohortMarket` keeps its cohorts, a slot each: when opened, when settled, five bytes each.
const COHORTS_SLOT: u64 = 2;
const TIME_BITS: usize = 40;
const SETTLED_AT: usize = TIME_BITS;

/// Ends the log, checks what it leaves, and audits a copy of it.
pub(super) async fn is_audited(hall: Hall, call: B256) {
    let Hall { anvil, site, node, market, .. } = hall;
    site.write("trust.json", node.trust_bytes().await);
    site.export(&anvil, node, "called").await;
    site.must_be_clean();
    let url = anvil.url();
    let audit = |more: &[&str]| {
        let of = ["audit", "called", "--rpc", &url, "--trust", "trust.json", "--keys-dir", "keys"];
        site.run(of.iter().chain(more))
    };
    let said = audit(&["--json"]);
    let told: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    assert_eq!(told["firstFault"], Value::Null, "{told:#}");
    let found = &told["permissions"];
    // Of the first file too, which was made anew since somebody said no.
    let (all, open) = (found["deliveries"].as_u64().unwrap(), found["deliveriesOpen"].as_u64());
    assert!(all > 48 && open == Some(all - 48), "{found:#}");
    assert!(found["downloads"].as_u64().unwrap() >= 48, "{found:#}");
    let counts = [
        ("deliveriesSettled", 48),
        ("deliveriesUnfounded", 0),
        ("saleNoMarket", 0),
        ("saleNotTold", 0),
        ("both", 0),
    ];
    for (name, count) in counts {
        assert_eq!(found[name], count, "{name}: {found:#}");
    }

    // A chain on which another file was settled three hours before.
    let slot = keccak256((call, U256::from(COHORTS_SLOT)).abi_encode());
    let at = market.cohort_market;
    let held = anvil.call("eth_getStorageAt", json!([at, slot, "latest"])).await.unwrap();
    let held: U256 = serde_json::from_value(held).unwrap();
    let settled_s = (held >> SETTLED_AT) & U256::from((1_u64 << TIME_BITS) - 1);
    assert!(settled_s > U256::from(1_700_000_000), "the layout is another: {held:x}");
    let earlier = held - (U256::from(3 * 3600) << SETTLED_AT);
    anvil.call("anvil_setStorageAt", json!([at, slot, B256::from(earlier)])).await.unwrap();
    let said = audit(&["--evidence", "before.json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("its call had been settled before"), "{said:?}");
    let kept = AuditEvidence::parse(&fs::read(site.path("before.json")).unwrap()).unwrap();
    assert_eq!(kept.flaw, Flaw::DeliveryUnfounded);
    let judged = kept.judged.unwrap();
    assert_eq!(judged.sales[0]["acceptance"]["cohort"], json!(call));
}
