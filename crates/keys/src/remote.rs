//! A key in another process or machine, asked over JSON-RPC.

use crate::operator::{Request, SignError, Signer};
use alloy::consensus::{TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, hex};
use alloy::sol_types::{Eip712Domain, SolStruct};
use medtrail_ledger::schema;
use medtrail_ledger::signature::SIGNATURE_BYTES;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;
use std::io;

/// Carries one request to the signer and brings its answer back: blocking, with a time limit and
/// a size limit of its own. Which HTTP client does it is the binary's choice.
pub type Transport = dyn Fn(&[u8]) -> io::Result<Vec<u8>> + Send + Sync;

/// Why the remote signer gave no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// No answer came.
    #[error("no answer: {0}")]
    Unreachable(#[from] io::Error),
    /// It said no.
    #[error("refused: {message} ({code})")]
    Refused {
        /// JSON-RPC error code.
        code: i64,
        /// Its reason.
        message: String,
    },
    /// Not what the method answers.
    #[error("its answer is not {0}")]
    Unreadable(&'static str),
}

/// Asks for signatures by the two methods that signers agree on: `eth_signTransaction` and
/// `eth_signTypedData`. Both show the signer what it signs. Nothing of the answer is believed but
/// a signature over **our** digest by **our** address, which [`crate::operator::OperatorKey`]
/// checks.
pub struct RemoteSigner {
    address: Address,
    transport: Box<Transport>,
}

impl RemoteSigner {
    /// The signer behind `transport` that holds the key of `address`.
    pub fn new(
        address: Address,
        transport: impl Fn(&[u8]) -> io::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self { address, transport: Box::new(transport) }
    }

    fn call(&self, method: &str, params: Value) -> Result<Value, RemoteError> {
        #[derive(Deserialize)]
        struct Answer {
            result: Option<Value>,
            error: Option<Refusal>,
        }
        #[derive(Deserialize)]
        struct Refusal {
            code: i64,
            message: String,
        }

        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = (self.transport)(request.to_string().as_bytes())?;
        match serde_json::from_slice(&answer) {
            Ok(Answer { error: Some(Refusal { code, message }), .. }) => {
                Err(RemoteError::Refused { code, message })
            }
            Ok(Answer { result: Some(result), .. }) => Ok(result),
            _ => Err(RemoteError::Unreadable("a JSON-RPC answer")),
        }
    }

    fn sign_typed_data(&self, data: &Value) -> Result<[u8; SIGNATURE_BYTES], RemoteError> {
        let answer = self.call("eth_signTypedData", json!([self.address, data]))?;
        let mut signature = [0; SIGNATURE_BYTES];
        answer
            .as_str()
            .and_then(|text| hex::decode_to_slice(text, &mut signature).ok())
            .ok_or(RemoteError::Unreadable("65 bytes in hex"))?;
        // Some signers give the bare parity; it says the same.
        if signature[64] < 2 {
            signature[64] += 27;
        }
        Ok(signature)
    }

    fn sign_transaction(&self, tx: &TxEip1559) -> Result<[u8; SIGNATURE_BYTES], RemoteError> {
        let answer = self.call("eth_signTransaction", json!([self.transaction(tx)]))?;
        // Either the raw transaction, or an object that holds it (geth and clef).
        let raw = answer.get("raw").unwrap_or(&answer).as_str();
        let raw = raw.and_then(|text| hex::decode(text).ok());
        let unreadable = RemoteError::Unreadable("a signed EIP-1559 transaction in hex");
        match raw.map(|raw| TxEnvelope::decode_2718_exact(&raw)) {
            // Only the signature is taken. Had it signed other fields, it would not recover.
            Some(Ok(TxEnvelope::Eip1559(signed))) => Ok(signed.signature().as_bytes()),
            _ => Err(unreadable),
        }
    }

    fn transaction(&self, tx: &TxEip1559) -> Value {
        json!({
            "type": "0x2",
            "from": self.address,
            "to": tx.to.to(),
            "chainId": quantity(tx.chain_id),
            "nonce": quantity(tx.nonce),
            "gas": quantity(tx.gas_limit),
            "maxPriorityFeePerGas": quantity(tx.max_priority_fee_per_gas),
            "maxFeePerGas": quantity(tx.max_fee_per_gas),
            "value": "0x0",
            "data": tx.input,
        })
    }
}

/// A JSON-RPC quantity: hex without leading zeros.
fn quantity(number: impl fmt::LowerHex) -> String {
    format!("{number:#x}")
}

/// A checkpoint as wallets and signers take EIP-712 documents. Numbers are decimal strings, which
/// no JSON reader can round.
pub(crate) fn checkpoint_data(document: &schema::Checkpoint, domain: &Eip712Domain) -> Value {
    let message = json!({
        "log": document.log,
        "size": document.size.to_string(),
        "root": document.root,
        "timeMs": document.timeMs.to_string(),
    });
    typed_data(document, domain, message)
}

/// An EIP-712 document around a message. The field list is read out of the type that is hashed, so
/// that it cannot drift from it.
pub(crate) fn typed_data<T: SolStruct>(_: &T, domain: &Eip712Domain, message: Value) -> Value {
    let text = T::eip712_encode_type();
    let members = text
        .trim_start_matches(T::NAME)
        .trim_matches(['(', ')'])
        .split(',')
        .filter_map(|member| member.split_once(' '));
    let members: Vec<Value> =
        members.map(|(kind, name)| json!({ "name": name, "type": kind })).collect();
    json!({
        "types": {
            "EIP712Domain": [
                { "name": "name", "type": "string" },
                { "name": "version", "type": "string" },
                { "name": "chainId", "type": "uint256" },
                { "name": "verifyingContract", "type": "address" },
            ],
            (T::NAME): members,
        },
        "primaryType": T::NAME,
        "domain": {
            "name": domain.name,
            "version": domain.version,
            "chainId": domain.chain_id.map(|id| id.to_string()),
            "verifyingContract": domain.verifying_contract,
        },
        "message": message,
    })
}

impl Signer for RemoteSigner {
    fn address(&self) -> Address {
        self.address
    }

    fn sign(&self, request: &Request<'_>) -> Result<[u8; SIGNATURE_BYTES], SignError> {
        Ok(match request {
            Request::Checkpoint { document, domain } => {
                self.sign_typed_data(&checkpoint_data(document, domain))?
            }
            Request::Transaction(tx) => self.sign_transaction(tx)?,
        })
    }
}

impl fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSigner").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::LocalSigner;
    use crate::operator::OperatorKey;
    use alloy::consensus::SignableTransaction;
    use alloy::eips::eip2718::Encodable2718;
    use alloy::primitives::{B256, Signature, TxKind, U256};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::time::Duration;

    const SECRET: [u8; 32] = [8; 32];

    fn local() -> LocalSigner {
        LocalSigner::from_bytes(&SECRET).unwrap()
    }

    /// An HTTP server that answers each JSON-RPC request with what `answer` makes of it; `None`
    /// reads the request and says nothing for longer than anybody waits.
    fn serve(answer: impl Fn(&Value) -> Option<Value> + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read_body(&stream);
                let request: Value = serde_json::from_slice(&request).unwrap();
                let Some(answer) = answer(&request) else {
                    std::thread::sleep(Duration::from_secs(2));
                    continue;
                };
                let body = answer.to_string();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        address
    }

    fn read_body(stream: &TcpStream) -> Vec<u8> {
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                return body;
            }
        }
    }

    /// The operator's key behind that server.
    fn operator(address: SocketAddr) -> OperatorKey {
        OperatorKey::new(RemoteSigner::new(local().address(), move |request| {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_millis(200)))?;
            let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", request.len());
            stream.write_all(&[head.as_bytes(), request].concat())?;
            let mut first = [0; 1];
            stream.peek(&mut first)?;
            Ok(read_body(&stream))
        }))
    }

    fn result(result: Value) -> Option<Value> {
        Some(json!({ "jsonrpc": "2.0", "id": 1, "result": result }))
    }

    fn tx() -> TxEip1559 {
        TxEip1559 {
            chain_id: 412_346,
            nonce: 7,
            gas_limit: 90_000,
            max_fee_per_gas: 40_000_000_000,
            max_priority_fee_per_gas: 1_500_000_000,
            to: TxKind::Call(Address::repeat_byte(0x22)),
            value: U256::ZERO,
            access_list: Default::default(),
            input: vec![0xcc; 68].into(),
        }
    }

    fn number(params: &Value, name: &str) -> u128 {
        u128::from_str_radix(&params[name].as_str().unwrap()[2..], 16).unwrap()
    }

    /// Signs with `signer` what the request says, after `change`.
    fn sign_request(
        request: &Value,
        signer: &LocalSigner,
        change: impl Fn(&mut TxEip1559),
    ) -> String {
        assert_eq!(request["method"], "eth_signTransaction");
        let params = &request["params"][0];
        let mut asked = TxEip1559 {
            chain_id: number(params, "chainId") as u64,
            nonce: number(params, "nonce") as u64,
            gas_limit: number(params, "gas") as u64,
            max_fee_per_gas: number(params, "maxFeePerGas"),
            max_priority_fee_per_gas: number(params, "maxPriorityFeePerGas"),
            to: TxKind::Call(serde_json::from_value(params["to"].clone()).unwrap()),
            value: U256::from(number(params, "value")),
            access_list: Default::default(),
            input: serde_json::from_value(params["data"].clone()).unwrap(),
        };
        change(&mut asked);
        let signature = signer.sign_digest(asked.signature_hash());
        let signature = Signature::from_raw_array(&signature).unwrap();
        hex::encode_prefixed(asked.into_signed(signature).encoded_2718())
    }

    #[test]
    fn an_honest_signers_transaction_is_taken_in_both_forms_of_answer() {
        let expected = local().sign_digest(tx().signature_hash());
        let bare = serve(|request| result(sign_request(request, &local(), |_| ()).into()));
        let object =
            serve(|request| result(json!({ "raw": sign_request(request, &local(), |_| ()) })));
        for address in [bare, object] {
            let signed = operator(address).sign(&Request::Transaction(&tx())).unwrap();
            assert_eq!(*signed.as_bytes(), expected);
        }
    }

    #[test]
    fn an_honest_signers_checkpoint_is_taken_with_v_as_parity_too() {
        let document = schema::Checkpoint {
            log: B256::repeat_byte(1),
            size: u64::MAX,
            root: B256::repeat_byte(2),
            timeMs: 3,
        };
        let domain = schema::domain(412_346, Address::repeat_byte(0x22));
        let request = Request::Checkpoint { document: &document, domain: &domain };
        let mut signature = local().sign_digest(request.digest());
        let expected = signature;
        signature[64] -= 27;
        let signer = serve(move |request| {
            assert_eq!(request["method"], "eth_signTypedData");
            assert_eq!(request["params"][0], json!(local().address()));
            assert_eq!(request["params"][1]["message"]["size"], "18446744073709551615");
            result(hex::encode_prefixed(signature).into())
        });
        assert_eq!(*operator(signer).sign(&request).unwrap().as_bytes(), expected);
    }

    #[test]
    fn a_lying_signer_is_refused_whatever_it_signs() {
        let other_key = serve(|request| {
            let other = LocalSigner::from_bytes(&[7; 32]).unwrap();
            result(sign_request(request, &other, |_| ()).into())
        });
        let other_fee = serve(|request| {
            result(sign_request(request, &local(), |tx| tx.max_fee_per_gas *= 100).into())
        });
        let other_call = serve(|request| {
            result(sign_request(request, &local(), |tx| tx.input = vec![1].into()).into())
        });
        for address in [other_key, other_fee, other_call] {
            let refusal = operator(address).sign(&Request::Transaction(&tx())).unwrap_err();
            assert!(matches!(refusal, SignError::NotOurs { .. }), "{refusal}");
        }
    }

    #[test]
    fn no_answer_a_refusal_and_nonsense_are_told_apart() {
        let sign = |address| match operator(address).sign(&Request::Transaction(&tx())) {
            Err(SignError::Remote(error)) => error,
            other => panic!("{other:?}"),
        };
        assert!(matches!(sign(serve(|_| None)), RemoteError::Unreachable(_)));
        let refused = serve(|_| Some(json!({ "error": { "code": -32000, "message": "fee" } })));
        assert!(matches!(sign(refused), RemoteError::Refused { code: -32000, .. }));
        for nonsense in
            [json!(null), json!({}), json!({ "result": 5 }), json!({ "result": "0x02" })]
        {
            let address = serve(move |_| Some(nonsense.clone()));
            assert!(matches!(sign(address), RemoteError::Unreadable(_)));
        }
    }
}
