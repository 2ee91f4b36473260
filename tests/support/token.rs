//! An ERC-20 token of one's own, honest or not.

use crate::anvil::{ACCOUNTS, Anvil};
use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use serde_json::json;

alloy::sol! {
    #[allow(missing_docs)]
    contract Token {
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
        function balanceOf(address owner) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
    }
}

/// What a token does that it should not.
#[derive(Clone, Copy, Default, Debug)]
pub struct Quirks {
    /// Kept of each move.
    pub fee: u64,
    /// Whom nothing is moved to; zero: nobody.
    pub blocked: Address,
}

/// What a token answers at the newest block.
pub async fn view(anvil: &Anvil, token: Address, call: impl SolCall) -> U256 {
    let data = Bytes::from(call.abi_encode());
    let asked = json!([{ "to": token, "data": data }, "latest"]);
    let told = anvil.call("eth_call", asked).await.expect("the token answers");
    serde_json::from_value(told).expect("a number")
}

impl Quirks {
    /// Puts such a token on a chain, of which `owner` has some.
    pub async fn deploy(self, anvil: &Anvil, owner: Address, some: u64) -> Address {
        let code: Bytes = include_str!("../data/token/Token.hex").trim().parse().expect("hex");
        let fee: [u8; 32] = U256::from(self.fee).to_be_bytes();
        let making = [&code[..], &fee, self.blocked.into_word().as_slice()].concat();
        let made = anvil.send(ACCOUNTS[0], None, making.into(), 0).await;
        let at = made["contractAddress"].as_str().and_then(|at| at.parse().ok());
        let at: Address = at.expect("it was made");
        let call = Token::transferCall { to: owner, amount: U256::from(some) };
        anvil.send(ACCOUNTS[0], Some(at), call.abi_encode().into(), 0).await;
        at
    }
}
