//! The sales and calls to many of a running log, built from the configuration.

use crate::calling::CohortOnChain;
use crate::config::{Config, MarketConfig};
use crate::node::StartError;
use crate::trade::MarketOnChain;
use medtrail_chain::{Chain, Finality, Rpc};
use medtrail_keys::operator::OperatorKey;
use medtrail_ledger::ports::Outbox;
use medtrail_oracle::calls::Calls;
use medtrail_oracle::sales::settler::{self, Settler};
use medtrail_oracle::sales::{Rules, Sales};
use medtrail_oracle::sender::Limits;
use medtrail_oracle::service::Service;
use medtrail_oracle::vault::Vault;
use medtrail_permit::sale::check::Windows;
use medtrail_store::ParcelFolder;
use std::sync::Arc;

/// What sales run on besides the configuration.
pub(crate) struct Ground {
    pub(crate) service: Service,
    pub(crate) vault: Vault,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) relay: Arc<OperatorKey>,
}

/// Sales, calls to many where their contract is named, and who sends the settlements. To be called in the runtime that then reads the chain.
pub(crate) fn sales(
    config: &Config,
    market: &MarketConfig,
    ground: Ground,
) -> Result<(Sales, Option<Calls>, Settler<Chain>), StartError> {
    let Ground { service, vault, outbox, relay } = ground;
    let rpc = Rpc::new(&config.chain.rpc)?;
    let finality = config.chain.finality_depth.map_or(Finality::Tag, Finality::Depth);
    let chain = || Chain::new(rpc.clone(), config.chain.chain_id, config.chain.registry, finality);
    let trade = Arc::new(MarketOnChain::new(chain(), market.contract));
    let parcels = Arc::new(ParcelFolder::open(&config.data_dir.join("parcels"))?);
    let rules = Rules {
        default: market.default,
        countries: market.countries.clone(),
        withdrawal_ms: market.withdrawal_s.saturating_mul(1000),
        windows: Windows { delivery_s_min: market.delivery_s_min, grace_s_min: market.grace_s_min },
    };
    let log = service.trust().log;
    let sales = Sales::new(service, vault, trade, parcels, rules);
    let calls = match market.cohort_contract {
        None => None,
        Some(at) => {
            let trade = Arc::new(CohortOnChain::new(chain(), at));
            // Of its own: each sweeps what it does not know.
            let parcels = Arc::new(ParcelFolder::open(&config.data_dir.join("calls"))?);
            Some(Calls::new(sales.clone(), trade, parcels, market.cohort_margin_s()))
        }
    };
    let limits = Limits::with_fee_cap(u128::from(config.chain.fee_cap_gwei) * 1_000_000_000);
    let ports = settler::Ports { registry: chain(), outbox, courier: relay };
    let mut settler = Settler::new(ports, sales.clone(), log, limits);
    if let Some(calls) = &calls {
        settler = settler.with_calls(calls.clone());
    }
    Ok((sales, calls, settler))
}
