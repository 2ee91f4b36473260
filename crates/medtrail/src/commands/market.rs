//! What the commands of a sale share: which market they are about, how it is asked, how somebody's
//! own transaction goes there.
//!
//! Which market, the trust file and this program say, never the service: an offer signed for another
//! contract would sell by rules that nobody here knows.

pub(super) mod amounts;
pub(super) mod calls;
pub(super) mod data;
pub(super) mod looks;
pub(super) mod views;

use super::signing::{Keystore, Signed, Signing};
use crate::exit::{Failure, OK, Outcome};
use crate::render::harmless;
use alloy_primitives::{Address, B256, Bytes, U256};
use medtrail_chain::market::MarketCall;
use medtrail_chain::own::{self, Wish};
use medtrail_chain::{At, Chain, Contract, Control, Finality, Rpc};
use medtrail_keys::person::PersonKey;
use medtrail_ledger::ports::Registry;
use medtrail_ledger::trust::TrustFile;
use medtrail_permit::sale::Market;
use medtrail_permit::sale::check::Windows;
use medtrail_permit::sale::cohort::CohortMarket;
use medtrail_permit::sale::words::ether;
use std::process::ExitCode;

/// The highest price of gas that is offered, in gwei, unless another is named.
const FEE_CAP_GWEI: u64 = 200;
const GWEI: u128 = 1_000_000_000;

/// Somebody who acts on the chain with a key of theirs. No service is asked: it may be gone.
#[derive(clap::Args)]
pub(super) struct Acting {
    #[command(flatten)]
    keystore: Keystore,
    #[command(flatten)]
    on: OnChain,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Acting {
    pub(super) async fn open(self) -> Result<Actor, Failure> {
        let place = Place::open(None, &self.on).await?;
        Ok(Actor { key: self.keystore.open().await?, place, json: self.json })
    }
}

/// A key and the market.
pub(super) struct Actor {
    pub(super) key: PersonKey,
    pub(super) place: Place,
    json: bool,
}

impl Actor {
    /// Sends a call, and says what it did.
    pub(super) async fn act(&self, call: &MarketCall, words: &str) -> Outcome {
        let to = self.place.market.data_market;
        self.transact(to, call.calldata(), words).await
    }

    /// The same for any contract.
    pub(super) async fn transact(&self, to: Address, data: Bytes, words: &str) -> Outcome {
        let tx = self.place.transact(&self.key, to, data, U256::ZERO).await?;
        match self.json {
            true => println!("{:#}", serde_json::json!({ "tx": tx })),
            false => println!("{words}"),
        }
        Ok(ExitCode::from(OK))
    }
}

/// Where money moves.
#[derive(clap::Args)]
pub(crate) struct OnChain {
    /// A JSON-RPC endpoint of the chain, of your own choice
    #[arg(long, value_name = "URL")]
    pub(crate) rpc: String,
    #[command(flatten)]
    pub(super) fee_cap: FeeCap,
}

/// What a transaction may cost.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct FeeCap {
    /// No transaction offers more than this for gas, in gwei
    #[arg(long, value_name = "GWEI", default_value_t = FEE_CAP_GWEI)]
    fee_cap_gwei: u64,
}

impl OnChain {
    /// For commands that send nothing.
    pub(crate) fn to_read(rpc: String) -> Self {
        Self { rpc, fee_cap: FeeCap { fee_cap_gwei: FEE_CAP_GWEI } }
    }
}

/// The market of a trust file's chain.
pub(crate) fn market_of(trust: &TrustFile) -> Market {
    Market { chain_id: trust.chain_id, data_market: Contract::DataMarket.address() }
}

/// The market of calls to many on a trust file's chain.
pub(crate) fn cohort_market_of(trust: &TrustFile) -> CohortMarket {
    cohort_market_at(trust.chain_id)
}

fn cohort_market_at(chain_id: u64) -> CohortMarket {
    CohortMarket { chain_id, cohort_market: Contract::CohortMarket.address() }
}

/// Refuses a service that sells elsewhere, or not at all.
pub(super) async fn require_same_market(signed: &Signed) -> Result<(), Failure> {
    let words = "this service has no market: nothing is bought or sold here";
    require_same(signed, "dataMarket", Contract::DataMarket, words).await
}

/// Refuses a service whose calls to many are another contract's, or that takes none.
pub(super) async fn require_same_cohort_market(signed: &Signed) -> Result<(), Failure> {
    let words = "this service takes no calls to many: nobody is asked, and nothing is delivered";
    require_same(signed, "cohortMarket", Contract::CohortMarket, words).await
}

async fn require_same(
    signed: &Signed,
    field: &str,
    contract: Contract,
    none: &str,
) -> Result<(), Failure> {
    let told = signed.session.get("/v1/market").await?;
    let ours = contract.address();
    match told[field].as_str().map(str::parse::<Address>) {
        None => Err(Failure::new(none)),
        Some(Ok(theirs)) if theirs == ours => Ok(()),
        Some(_) => Err(Failure::new(format!(
            "the service sells at {}, this program knows the market {ours} only; nothing was signed",
            harmless(&told[field].to_string())
        ))),
    }
}

/// How much time the operator asks of whoever pays.
pub(super) async fn windows_of(signed: &Signed) -> Result<Windows, Failure> {
    let told = signed.session.get("/v1/market").await?;
    let least = |name: &str| {
        let unknown = || Failure::new(format!("the service does not say its {name}"));
        told["rules"][name].as_u64().ok_or_else(unknown)
    };
    Ok(Windows { delivery_s_min: least("deliverySMin")?, grace_s_min: least("graceSMin")? })
}

/// The market on the chain.
pub(crate) struct Place {
    pub(crate) market: Market,
    pub(crate) chain: Chain,
    pub(crate) rpc: Rpc,
    fee_cap: u128,
}

impl Place {
    /// The market at this endpoint. Fails if it is of another chain than the trust file's, or has no
    /// market.
    pub(crate) async fn open(trust: Option<&TrustFile>, on: &OnChain) -> Result<Self, Failure> {
        let rpc = Rpc::new(&[&on.rpc])?;
        let found = rpc.chain_id().await;
        let found =
            found.map_err(|error| Failure::new(format!("{}: {}", on.rpc, Failure::from(error))))?;
        if let Some(trust) = trust.filter(|trust| trust.chain_id != found) {
            return Err(Failure::new(format!(
                "--rpc is of chain {found}, the trust file of chain {}: give those of one chain",
                trust.chain_id
            )));
        }
        let market = Market { chain_id: found, data_market: Contract::DataMarket.address() };
        if !rpc.has_code(market.data_market).await? {
            return Err(Failure::new(format!(
                "no market stands at {} on chain {found}: is it the right endpoint?",
                market.data_market
            )));
        }
        let registry = Contract::AnchorRegistry.address();
        let chain = Chain::new(rpc.clone(), found, registry, Finality::Tag);
        let fee_cap = u128::from(on.fee_cap.fee_cap_gwei).saturating_mul(GWEI);
        Ok(Self { market, chain, rpc, fee_cap })
    }

    /// The market of calls to many on the same chain. Fails if it does not stand there.
    pub(crate) async fn cohort_market(&self) -> Result<CohortMarket, Failure> {
        let market = cohort_market_at(self.market.chain_id);
        match self.rpc.has_code(market.cohort_market).await? {
            true => Ok(market),
            false => Err(Failure::new(format!(
                "no market of calls to many stands at {} on chain {}: is it the right endpoint?",
                market.cohort_market, market.chain_id
            ))),
        }
    }

    /// Who acts for somebody now.
    pub(super) async fn control(&self, subject: Address) -> Result<Control, Failure> {
        let registry = Contract::ConsentRegistry.address();
        Ok(self.chain.control_of(registry, subject, At::Latest).await?)
    }

    /// The time of the newest block: what the contract goes by.
    pub(crate) async fn now_s(&self) -> Result<u64, Failure> {
        Ok(self.chain.tips().await?.head.time_s)
    }

    /// Makes a price ready for `market` to take, and returns what goes with the call that takes it:
    /// of a token nothing, but just the price is allowed before.
    pub(super) async fn ready(
        &self,
        signed: &Signed,
        token: Address,
        price: U256,
        market: Address,
    ) -> Result<U256, Failure> {
        if token.is_zero() {
            return Ok(price);
        }
        let payer = signed.session.address();
        let (allowed, held) = own::token_of(&self.rpc, token, payer, market).await?;
        if held < price {
            return Err(Failure::new(format!(
                "you hold {held} units of {token}, and need {price}"
            )));
        }
        if allowed < price {
            signed.say("Allowing the market to take just this price …");
            let allow = own::allow(market, price);
            self.transact(signed.session.key(), token, allow, U256::ZERO).await?;
        }
        Ok(U256::ZERO)
    }

    /// Sends a call from this key's account, and waits until it stands in a block.
    pub(super) async fn act(
        &self,
        key: &PersonKey,
        call: &MarketCall,
        value: U256,
    ) -> Result<B256, Failure> {
        self.transact(key, self.market.data_market, call.calldata(), value).await
    }

    pub(super) async fn transact(
        &self,
        key: &PersonKey,
        to: Address,
        data: Bytes,
        value: U256,
    ) -> Result<B256, Failure> {
        let wish = Wish { from: key.address(), to, data, value };
        let prepared = own::prepare(&self.rpc, &wish, self.fee_cap).await?;
        let fee = ether(prepared.fee_max());
        eprintln!("Transaction of {}, gas at most {fee} ETH …", wish.from);
        let made = key.sign_transaction(&prepared.fields, prepared.value)?;
        let mined = own::send(&self.rpc, &made).await?;
        eprintln!("… in block {}: {}", mined.block, mined.tx);
        Ok(mined.tx)
    }
}

/// Somebody signed in, and the market on the chain.
pub(super) async fn enter(signing: Signing, on: &OnChain) -> Result<(Signed, Place), Failure> {
    let signed = signing.open().await?;
    let place = Place::open(Some(&signed.trust), on).await?;
    require_same_market(&signed).await?;
    Ok((signed, place))
}

/// Somebody signed in, and the market of calls to many.
pub(super) async fn enter_calls(
    signing: Signing,
    on: &OnChain,
) -> Result<(Signed, Place, CohortMarket), Failure> {
    let signed = signing.open().await?;
    let place = Place::open(Some(&signed.trust), on).await?;
    let market = place.cohort_market().await?;
    require_same_cohort_market(&signed).await?;
    Ok((signed, place, market))
}
