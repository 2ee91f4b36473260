//! Where the money is: the market's own word, and whether a reorganisation can still take it back.

use super::input::Given;
use super::step;
use crate::exit::Failure;
use alloy_primitives::B256;
use medtrail_chain::market::{About, MarketEvent, MarketRecord, Standing, Status, Step as Event};
use medtrail_chain::{At, Chain, Contract, Rpc};
use medtrail_ledger::binding::minute;
use medtrail_ledger::plan::Header;
use medtrail_ledger::ports::{Registry, RegistryError};
use medtrail_ledger::verify::{Step, Verdict};
use medtrail_market::seal::LockKey;

/// Blocks of one second that are asked for at once; on a chain of many in a second, the newest.
pub(in crate::commands) const BLOCKS_MAX: u64 = 500;

/// Adds the steps; the key that the market shows, if it does.
pub(super) async fn steps(
    given: &Given,
    rpc: &Rpc,
    chain: &Chain,
    steps: &mut Vec<Step>,
) -> Result<Option<LockKey>, Failure> {
    let (market, order) = (given.market.data_market, given.id());
    let ours = Contract::DataMarket.address();
    if market != ours {
        let words = format!(
            "The market at {market} is not the one whose code this program knows ({ours}): whether \
             it holds to any rule, and where the money is, nobody can say. Leave out --market, or \
             use the program of that market."
        );
        steps.push(step("market", Verdict::Red, words));
        return Ok(None);
    }
    if !rpc.has_code(market).await? {
        let words = format!(
            "No market stands at {market} on chain {}: is it the right endpoint?",
            given.market.chain_id
        );
        steps.push(step("market", Verdict::Red, words));
        return Ok(None);
    }
    let words = format!("The address {market} commits to the code this program knows.");
    steps.push(step("market", Verdict::Green, words));
    let standing = chain.order_standing(market, order, At::Latest).await?;
    let seen = match standing.ended_at_s.unwrap_or(standing.paid_at_s) {
        0 => None,
        time_s => event(chain, given, time_s).await?,
    };
    let (verdict, words, key) = told(given, &standing, seen.as_ref());
    steps.push(step("money", verdict, words));
    Ok(key)
}

fn told(
    given: &Given,
    standing: &Standing,
    seen: Option<&MarketRecord>,
) -> (Verdict, String, Option<LockKey>) {
    let offer = &given.order.offer;
    let price = match offer.token.is_zero() {
        true => format!("{} wei", offer.price),
        false => format!("{} units of token {}", offer.price, offer.token),
    };
    if standing.status == Status::Unknown {
        let words = "The market knows no such order: it was never paid, or this is not the order \
                     that was. Nothing is owed for it.";
        return (Verdict::Red, words.to_owned(), None);
    }
    let paid =
        format!("{price} paid by {} at {} UTC", given.order.buyer, minute(standing.paid_at_s));
    let ended = standing.ended_at_s.map(minute).unwrap_or_default();
    let Some(seen) = seen else {
        // The market says so, but the endpoint has no event of it: pruned, or it lies.
        let words = format!(
            "{paid}. The market says {:?} ({ended}), but your endpoint has no event of it: ask \
             another one.",
            standing.status
        );
        return (Verdict::Amber, words, None);
    };
    let block = seen.block.number;
    let place = match seen.is_final {
        true => format!("in block {block}, which is final"),
        false => format!("in block {block}, which is not final yet: check again later"),
    };
    let MarketEvent::Order { step, .. } = seen.event else {
        return (Verdict::Red, format!("Block {block} has another event."), None);
    };
    let final_is = if seen.is_final { Verdict::Green } else { Verdict::Amber };
    match (standing.status, step) {
        (Status::Settled, Event::Settled { k }) => {
            let words = format!(
                "{paid}; settled at {ended} UTC {place}. Seller {} was paid or credited, and the \
                 key is public.",
                offer.seller
            );
            (final_is, words, Some(LockKey::new(k.0)))
        }
        (Status::Refunded, Event::Refunded | Event::Declined) => {
            let why = if step == Event::Declined { "The seller declined" } else { "Refunded" };
            let words = format!(
                "{paid}. {why} at {ended} UTC {place}. The money went back to the buyer; no key \
                 will be shown."
            );
            (Verdict::Amber, words, None)
        }
        (Status::Paid, Event::Bought { .. }) => {
            let until = given.order.settled_by().map(minute).unwrap_or_default();
            let words = format!(
                "{paid} {place}. It waits in the market: not settled, not refunded. It can be \
                 settled until {until} UTC, and taken back after that."
            );
            (Verdict::Amber, words, None)
        }
        (status, _) => {
            let words = format!("The market says {status:?}, but block {block} says otherwise.");
            (Verdict::Red, words, None)
        }
    }
}

/// The order's last event in the blocks of this second. Found by their times, so that no node is
/// asked for more blocks than it will answer for.
async fn event(chain: &Chain, given: &Given, time_s: u64) -> Result<Option<MarketRecord>, Failure> {
    let head = chain.tips().await?.head.block.number;
    let first = first_block(chain, head, time_s).await?;
    let after = first_block(chain, head, time_s.saturating_add(1)).await?;
    if first >= after {
        return Ok(None);
    }
    let order: B256 = given.id();
    let blocks = first.max(after.saturating_sub(BLOCKS_MAX))..=after - 1;
    let about = About::Orders(std::slice::from_ref(&order));
    let found = chain.market_events(given.market.data_market, about, blocks).await?;
    let is_about_money = |record: &&MarketRecord| {
        matches!(
            record.event,
            MarketEvent::Order {
                step: Event::Bought { .. }
                    | Event::Settled { .. }
                    | Event::Refunded
                    | Event::Declined,
                ..
            }
        )
    };
    Ok(found.iter().rfind(is_about_money).copied())
}

/// The first block of this time or later; one behind the head if there is none.
pub(in crate::commands) async fn first_block(
    chain: &Chain,
    head: u64,
    time_s: u64,
) -> Result<u64, Failure> {
    let (mut low, mut high) = (0, head.saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        let header: Option<Header> = chain.block(middle).await?;
        match header.ok_or(RegistryError::Moved)?.time_s < time_s {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}
