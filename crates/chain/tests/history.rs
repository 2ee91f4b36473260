//! Reading events backwards from nodes that answer for few blocks at once, or not at the first time.

use alloy::primitives::{Address, B256, Bytes, keccak256};
use alloy::sol_types::SolValue;
use medtrail_chain::{Chain, Contract, Finality, Rpc};
use medtrail_ledger::schema::log_id;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CHAIN_ID: u64 = 778_003;
const NEWEST: u64 = 100_000;
/// The block that opened the log.
const OPENED: u64 = 77;
const ORIGIN: &str = "log.example/medtrail";
const OPENER: Address = Address::repeat_byte(0x11);

/// A node with one event, in block [`OPENED`].
struct Node {
    url: String,
    /// Ranges that were answered.
    answered: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl Node {
    /// Answers for at most `blocks_max` blocks, and drops the first `deaf` questions for events.
    async fn start(blocks_max: u64, deaf: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answered: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
        let (ranges, left) = (answered.clone(), Arc::new(Mutex::new(deaf)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, blocks_max, ranges.clone(), left.clone()));
            }
        });
        Self { url, answered }
    }

    fn chain(&self) -> Chain {
        let rpc = Rpc::new(&[&self.url]).unwrap();
        Chain::new(rpc, CHAIN_ID, Contract::AnchorRegistry.address(), Finality::Tag)
    }
}

/// One request a connection.
async fn serve(
    mut stream: TcpStream,
    blocks_max: u64,
    ranges: Arc<Mutex<Vec<(u64, u64)>>>,
    deaf: Arc<Mutex<usize>>,
) {
    let mut bytes = Vec::new();
    let request: Value = loop {
        let mut some = [0; 4096];
        let read = stream.read(&mut some).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        bytes.extend_from_slice(&some[..read]);
        let body = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if let Some(Ok(request)) = body.map(|at| serde_json::from_slice(&bytes[at..])) {
            break request;
        }
    };
    let answer = match request["method"].as_str().unwrap() {
        "eth_chainId" => json!({ "result": format!("{CHAIN_ID:#x}") }),
        "eth_getBlockByNumber" => json!({ "result": {
            "number": format!("{NEWEST:#x}"),
            "hash": keccak256("newest"),
            "parentHash": keccak256("before it"),
            "timestamp": "0x1",
        } }),
        "eth_getLogs" => {
            {
                let mut deaf = deaf.lock().unwrap();
                if *deaf > 0 {
                    *deaf -= 1;
                    return;
                }
            }
            let filter = &request["params"][0];
            let number =
                |name: &str| u64::from_str_radix(&filter[name].as_str().unwrap()[2..], 16).unwrap();
            let (first, last) = (number("fromBlock"), number("toBlock"));
            match last - first < blocks_max {
                false => json!({ "error": { "code": -32005, "message": "range too large" } }),
                true => {
                    ranges.lock().unwrap().push((first, last));
                    let holds = (first..=last).contains(&OPENED);
                    json!({ "result": if holds { vec![opened()] } else { vec![] } })
                }
            }
        }
        other => panic!("asked for {other}"),
    };
    let mut answer = answer;
    answer["jsonrpc"] = json!("2.0");
    answer["id"] = request["id"].clone();
    let body = answer.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let all = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(all.as_bytes()).await;
}

fn opened() -> Value {
    let log = log_id(CHAIN_ID, Contract::AnchorRegistry.address(), OPENER, ORIGIN);
    let data = (B256::repeat_byte(3), 3600u32, ORIGIN.to_owned()).abi_encode_params();
    json!({
        "address": Contract::AnchorRegistry.address(),
        "topics": [
            keccak256("Opened(bytes32,address,address,bytes32,uint32,string)"),
            log,
            OPENER.into_word(),
            Address::repeat_byte(0x22).into_word(),
        ],
        "data": Bytes::from(data),
        "blockNumber": format!("{OPENED:#x}"),
        "blockHash": keccak256("its block"),
        "transactionHash": keccak256("its transaction"),
        "logIndex": "0x0",
        "removed": false,
    })
}

/// Every block from the newest down to where the event was found, once.
fn assert_covered(ranges: &[(u64, u64)]) {
    let mut below = NEWEST + 1;
    for (first, last) in ranges {
        assert_eq!(last + 1, below, "{ranges:?}");
        below = *first;
    }
    assert!(below <= OPENED, "{ranges:?}");
}

#[tokio::test]
async fn ranges_shrink_to_what_a_node_answers_and_leave_no_block_out() {
    for blocks_max in [u64::MAX, 10_000, 700] {
        let node = Node::start(blocks_max, 0).await;
        let found = node.chain().find_opened(ORIGIN, |_| true, |_, _| {}).await.unwrap().unwrap();
        assert_eq!((found.operator, found.block, found.origin.as_str()), (OPENER, OPENED, ORIGIN));
        let ranges = node.answered.lock().unwrap();
        assert_covered(&ranges);
        // A range that was answered is tried larger, one that was refused never again.
        let widest = ranges.iter().map(|(first, last)| last - first + 1).max().unwrap();
        assert!(widest <= blocks_max && widest * 2 > blocks_max.min(40_000), "{ranges:?}");
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_and_not_for_ever() {
    let node = Node::start(u64::MAX, 2).await;
    node.chain().find_opened(ORIGIN, |_| true, |_, _| {}).await.unwrap().unwrap();
    assert_covered(&node.answered.lock().unwrap());

    let node = Node::start(u64::MAX, usize::MAX).await;
    let error = node.chain().find_opened(ORIGIN, |_| true, |_, _| {}).await.unwrap_err();
    assert!(error.to_string().starts_with("no node of the chain answers"), "{error}");
}

#[tokio::test]
async fn a_node_that_answers_for_no_block_at_all_is_left() {
    let node = Node::start(0, 0).await;
    let error = node.chain().find_opened(ORIGIN, |_| true, |_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("range too large"), "{error}");
}
