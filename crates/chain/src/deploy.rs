//! Puts the contracts on a chain, each at the same address on every chain.
//!
//! CREATE2 binds an address to factory, salt and init code, and the factory's own code is checked
//! byte for byte. So code at [`Contract::address`] was made by the init code of this build and by
//! nothing else: no comparison of runtime code, full of immutables, could say more.

use crate::Rpc;
use crate::bindings::{
    self, ANCHOR_REGISTRY, COHORT_MARKET, CONSENT_REGISTRY, DATA_MARKET, eip712DomainCall,
};
use crate::rpc::RpcError;
use alloy::primitives::{Address, B256, Bytes, address, b256, bytes};
use alloy::sol_types::{SolCall, SolValue};
use medtrail_ledger::ports::{Courier, CourierError, SendError, TxFields};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Arachnid's deterministic deployment proxy, on nearly every chain; anvil starts with it.
const FACTORY: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
/// All of its code: CREATE2 with the first 32 bytes of calldata as salt and the rest as init code.
const FACTORY_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0\
     3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);
/// "medtrail registry", and zeros. Another contract, and another build of it, has another address
/// anyway.
const SALT: B256 = b256!("0x6d6564747261696c207265676973747279000000000000000000000000000000");
/// How often and how many times a receipt is asked for.
const RECEIPT_POLL: Duration = Duration::from_millis(500);
const RECEIPT_POLLS_MAX: u32 = 240;

/// A contract of this build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contract {
    /// Where logs are anchored.
    AnchorRegistry,
    /// Where permissions stand, and who acts for whom.
    ConsentRegistry,
    /// Where buyers pay, and sellers are paid for what a log shows. It asks the first two.
    DataMarket,
    /// Where one buyer pays many sellers at one price. It asks the first two.
    CohortMarket,
}

impl Contract {
    /// All of them, in the order of deployment.
    pub const ALL: [Self; 4] =
        [Self::AnchorRegistry, Self::ConsentRegistry, Self::DataMarket, Self::CohortMarket];

    /// As in `contracts/` and `abi/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AnchorRegistry => "AnchorRegistry",
            Self::ConsentRegistry => "ConsentRegistry",
            Self::DataMarket => "DataMarket",
            Self::CohortMarket => "CohortMarket",
        }
    }

    /// Its address on every chain.
    pub fn address(self) -> Address {
        FACTORY.create2_from_code(SALT, self.init_code())
    }

    fn init_code(self) -> Bytes {
        match self {
            Self::AnchorRegistry => ANCHOR_REGISTRY.clone(),
            Self::ConsentRegistry => CONSENT_REGISTRY.clone(),
            Self::DataMarket => Self::market(&DATA_MARKET),
            Self::CohortMarket => Self::market(&COHORT_MARKET),
        }
    }

    /// A market's address commits to those of both registries, and so to their code.
    fn market(code: &Bytes) -> Bytes {
        let [anchors, consents] = [Self::AnchorRegistry, Self::ConsentRegistry];
        let arguments = (anchors.address(), consents.address()).abi_encode_params();
        [code.as_ref(), &arguments].concat().into()
    }
}

/// Where a contract stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deployment {
    /// Its address.
    pub address: Address,
    /// The transaction that made it, or `None` if it was there before.
    pub tx: Option<B256>,
    /// A block at or before its first event.
    pub since_block: u64,
}

/// Why a contract does not stand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The chain could not be asked.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The chain lacks the standard factory.
    #[error(
        "this chain has no CREATE2 factory at {FACTORY}: deploy it first (Arachnid's deterministic deployment proxy)"
    )]
    NoFactory,
    /// Something else stands where the factory should.
    #[error("the code at {FACTORY} is not the CREATE2 factory: refusing to deploy through it")]
    StrangeFactory,
    /// The contract at the address gives other answers than ours would.
    #[error("the contract at {} is not the {} of this build", _0.address(), _0.name())]
    Strange(Contract),
    /// The transaction could not be signed.
    #[error(transparent)]
    Courier(#[from] CourierError),
    /// No node took the transaction.
    #[error("transaction {tx}: {error}")]
    Send {
        /// Its hash.
        tx: B256,
        /// What the node said.
        error: SendError,
    },
    /// The transaction was mined and failed.
    #[error("transaction {0} failed")]
    Failed(B256),
    /// Not mined in two minutes. It may still be: run the deployment again.
    #[error("transaction {0} is not mined yet")]
    NotMined(B256),
}

/// Deploys a contract, or finds it. Safe to repeat: a second deployment of the same code to the
/// same address is impossible.
pub async fn deploy(
    rpc: &Rpc,
    courier: Arc<dyn Courier>,
    contract: Contract,
) -> Result<Deployment, DeployError> {
    let factory = rpc.code(FACTORY).await?;
    if factory.is_empty() {
        return Err(DeployError::NoFactory);
    }
    if factory != FACTORY_CODE {
        return Err(DeployError::StrangeFactory);
    }
    let address = contract.address();
    if !rpc.code(address).await?.is_empty() {
        check(rpc, contract).await?;
        return Ok(Deployment { address, tx: None, since_block: 0 });
    }
    let (tx, since_block) = send(rpc, courier, contract).await?;
    if rpc.code(address).await?.is_empty() {
        return Err(DeployError::Strange(contract));
    }
    check(rpc, contract).await?;
    Ok(Deployment { address, tx: Some(tx), since_block })
}

async fn send(
    rpc: &Rpc,
    courier: Arc<dyn Courier>,
    contract: Contract,
) -> Result<(B256, u64), DeployError> {
    let head = rpc.block_at("latest").await?.map_or(0, |header| header.block.number);
    let from = courier.account();
    let data = Bytes::from([SALT.as_slice(), &contract.init_code()].concat());
    let request = json!([{ "from": from, "to": FACTORY, "data": data }]);
    let gas: alloy::primitives::U64 = rpc.need("eth_estimateGas", request).await?;
    let (base_fee, tip) = rpc.fees(head).await?;
    let fields = TxFields {
        chain_id: rpc.chain_id().await?,
        to: FACTORY,
        nonce: rpc.nonce(from, &json!("latest")).await?,
        gas: gas.to::<u64>().saturating_mul(5) / 4,
        tip,
        max_fee: base_fee.saturating_mul(2).saturating_add(tip),
        data,
        at_block: head,
    };
    let signing = tokio::task::spawn_blocking(move || courier.build(&fields));
    let attempt = signing.await.map_err(|lost| CourierError::Signer(lost.to_string()))??;
    let tx = attempt.hash;
    match rpc.broadcast(&attempt.raw).await {
        Err(error) if !error.is_fine() => return Err(DeployError::Send { tx, error }),
        _ => {}
    }
    for _ in 0..RECEIPT_POLLS_MAX {
        match rpc.receipt(tx).await? {
            Some(receipt) if receipt.status.to::<u64>() == 1 => {
                return Ok((tx, receipt.block_number.to()));
            }
            Some(_) => return Err(DeployError::Failed(tx)),
            None => tokio::time::sleep(RECEIPT_POLL).await,
        }
    }
    Err(DeployError::NotMined(tx))
}

/// The contract must say of itself what everything signed for it is bound to.
async fn check(rpc: &Rpc, contract: Contract) -> Result<(), DeployError> {
    let address = contract.address();
    let data = Bytes::from(eip712DomainCall {}.abi_encode());
    let request = json!([{ "to": address, "data": data }, "latest"]);
    let answer: Bytes = rpc.need("eth_call", request).await?;
    let said = eip712DomainCall::abi_decode_returns_validate(&answer);
    let expected = bindings::domain(rpc.chain_id().await?, address);
    let agrees = said.is_ok_and(|said| {
        Some(said.name.as_str()) == expected.name.as_deref()
            && Some(said.version.as_str()) == expected.version.as_deref()
            && Some(said.chainId) == expected.chain_id
            && Some(said.verifyingContract) == expected.verifying_contract
    });
    agrees.then_some(()).ok_or(DeployError::Strange(contract))
}
