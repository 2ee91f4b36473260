//! The chain as a lagging node shows it: heights, tags, receipts and logs of some blocks ago, and
//! no knowledge of any newer block, not even by its hash.

use super::Shared;
use crate::json_rpc::{RpcFailure, quantity, to_quantity};
use serde_json::{Value, json};

pub(super) async fn answer(
    shared: &Shared,
    method: &str,
    mut params: Value,
    lag_blocks: u64,
) -> Result<Value, RpcFailure> {
    let newest = shared.upstream("eth_blockNumber", json!([])).await?;
    let head = quantity(&newest).unwrap_or_default().saturating_sub(lag_blocks);
    if method == "eth_blockNumber" {
        return Ok(to_quantity(head));
    }
    for param in params.as_array_mut().into_iter().flatten() {
        if let Some(tag) = param.as_str().map(str::to_owned) {
            match tag.as_str() {
                "latest" | "pending" => *param = to_quantity(head),
                "finalized" | "safe" => {
                    let block =
                        shared.upstream("eth_getBlockByNumber", json!([tag, false])).await?;
                    let number = quantity(&block["number"]).unwrap_or_default();
                    *param = to_quantity(number.saturating_sub(lag_blocks));
                }
                _ => {}
            }
        }
        if let Some(hash) = param.get("blockHash").cloned() {
            let block = shared.upstream("eth_getBlockByHash", json!([hash, false])).await?;
            if is_newer(&block["number"], head) {
                let message = "header not found".to_owned();
                return Err(RpcFailure::Node { code: -32000, message });
            }
        }
    }
    let mut result = shared.upstream(method, params).await?;
    match &mut result {
        // A range that goes past its head is answered with what it has, and no error
        // (go-ethereum issue 24078).
        Value::Array(items) => items.retain(|item| !is_newer(&item["blockNumber"], head)),
        Value::Object(found) => {
            let number = found.get("number").or(found.get("blockNumber"));
            if number.is_some_and(|number| is_newer(number, head)) {
                return Ok(Value::Null);
            }
        }
        _ => {}
    }
    Ok(result)
}

fn is_newer(number: &Value, head: u64) -> bool {
    quantity(number).is_some_and(|number| number > head)
}
