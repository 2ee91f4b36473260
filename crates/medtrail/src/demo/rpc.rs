//! The demo's wallet lives in the page, whose policy lets it speak to this server only: its questions
//! to the chain go through here. What moves the chain's clock or its money out of turn does not.

use super::routes::answer;
use medtrail_api::DemoAnswer;
use serde_json::{Value, json};

/// What a wallet asks a node.
const ASKED: [&str; 14] = [
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByNumber",
    "eth_getCode",
    "eth_getLogs",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_sendRawTransaction",
];

/// Passes one JSON-RPC question on to the demo's chain.
pub(super) async fn pass(http: &reqwest::Client, url: &str, body: &[u8]) -> DemoAnswer {
    let question: Option<Value> = serde_json::from_slice(body).ok();
    let method = question.as_ref().and_then(|question| question["method"].as_str());
    let Some(question) =
        question.as_ref().filter(|_| method.is_some_and(|method| ASKED.contains(&method)))
    else {
        return answer(400, &json!({ "title": "Not a question that the demo's wallet asks" }));
    };
    let asked = async {
        let sent = http.post(url).json(question).send().await?;
        sent.json::<Value>().await
    };
    match asked.await {
        Ok(said) => answer(200, &said),
        Err(error) => {
            let detail = error.to_string();
            answer(502, &json!({ "title": "The demo's chain does not answer", "detail": detail }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_passed_on_that_moves_the_chain_out_of_turn() {
        let bodies = [
            &br#"{"method":"evm_increaseTime","params":[1]}"#[..],
            br#"{"method":"anvil_setBalance"}"#,
            br#"{"method":"eth_sendTransaction"}"#,
            br#"[{"method":"eth_call"}]"#,
            br#"{"method":5}"#,
            b"",
        ];
        let http = reqwest::Client::new();
        for body in bodies {
            // Nobody listens there: what was passed on would be another answer.
            let said = pass(&http, "http://127.0.0.1:1", body).await;
            assert_eq!(said.status, 400, "{}", String::from_utf8_lossy(body));
        }
        let said = pass(&http, "http://127.0.0.1:1", br#"{"method":"eth_chainId"}"#).await;
        assert_eq!(said.status, 502);
    }
}
