//! What of the configuration people and organisations rely on, and the entry that tells that it is
//! another than at the last start. No address of a machine, no path and no secret is among it.

use crate::clock::now_ms;
use crate::config::{Config, MarketConfig};
use alloy_primitives::{B256, hex};
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::ports::JournalError;
use medtrail_oracle::service::Service;
use medtrail_store::Store;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Field by field, in the order of their names.
type Promises = BTreeMap<String, Value>;

/// The promises as they were told last.
const TOLD: &str = "configuration";
/// What is to be told, from before it is entered until after: it is entered once.
const TELLING: &str = "configuration_telling";

#[derive(Serialize, Deserialize)]
struct Telling {
    event: B256,
    time_ms: u64,
    is: Promises,
    details: String,
}

/// Why it could not be told now. It is tried at the next start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Untold {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Log(#[from] medtrail_oracle::intake::ReportError),
    #[error("what was noted of the configuration cannot be read: {0}")]
    Note(#[from] serde_json::Error),
    #[error("the system gives no random bytes")]
    NoRandomness,
}

fn promises(config: &Config) -> Promises {
    let Config { public_url, operator, chain, limits, questions, erasure, notices, .. } = config;
    let has_mail = notices.smtp_url.is_some() || notices.mail_folder.is_some();
    let mut told: Promises = [
        ("public_url", json!(public_url)),
        ("operator.name", json!(operator.name)),
        ("operator.domain", json!(operator.domain)),
        ("chain.cold_key", json!(chain.cold_key)),
        ("chain.anchor_within_s", json!(chain.anchor_within_s)),
        ("chain.anchor_interval_s", json!(chain.anchor_interval_s)),
        ("limits.body_bytes_max", json!(limits.body_bytes_max)),
        ("limits.batch_reports_max", json!(limits.batch_reports_max)),
        ("questions.answer_within_s", json!(questions.answer_within_s)),
        ("erasure.wait_s", json!(erasure.wait_s)),
        ("erasure.keep_access_s", json!(erasure.keep_access_s)),
        ("notices.mail", json!(has_mail)),
        ("notices.webhooks", json!(notices.webhooks)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for one in &config.organisations {
        told.insert(format!("organisations.{}", one.name), json!(one));
    }
    told.extend(config.market.iter().flat_map(of_market));
    told
}

/// What may be sold, and what orders must leave.
fn of_market(market: &MarketConfig) -> Promises {
    let Value::Object(fields) = json!(market) else { return Promises::new() };
    fields.into_iter().map(|(name, value)| (format!("market.{name}"), value)).collect()
}

/// Enters that the configuration is another than at the last start. A log's first is no change. To
/// be called after each start, once reports are taken. Blocks.
pub(crate) fn tell(config: &Config, store: &Store, service: &Service) -> Result<(), Untold> {
    let now = promises(config);
    if let Some(telling) = store.meta(TELLING)?.filter(|note| !note.is_empty()) {
        enter(store, service, &serde_json::from_slice(&telling)?)?;
    }
    let Some(was) = store.meta(TOLD)? else {
        return Ok(store.set_meta(TOLD, &serde_json::to_vec(&now)?)?);
    };
    let was: Promises = serde_json::from_slice(&was)?;
    if was == now {
        return Ok(());
    }
    let mut event = [0; 32];
    aws_lc_rs::rand::fill(&mut event).map_err(|_| Untold::NoRandomness)?;
    let details = details(&was, &now)?;
    let telling = Telling { event: event.into(), time_ms: now_ms(), is: now, details };
    store.set_meta(TELLING, &serde_json::to_vec(&telling)?)?;
    enter(store, service, &telling)
}

fn enter(store: &Store, service: &Service, telling: &Telling) -> Result<(), Untold> {
    let Telling { event, time_ms, is, details } = telling;
    let index = service.enter_operation(*event, *time_ms, details.as_bytes().to_vec())?;
    tracing::info!(index, "the configuration changed, and the log says so");
    store.set_meta(TOLD, &serde_json::to_vec(is)?)?;
    Ok(store.set_meta(TELLING, b"")?)
}

fn details(was: &Promises, is: &Promises) -> Result<String, serde_json::Error> {
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let changed = names.into_iter().filter(|name| was.get(*name) != is.get(*name));
    let fields: Vec<Value> = changed
        .map(|name| json!({ "field": name, "was": was.get(name), "is": is.get(name) }))
        .collect();
    let configuration = details_hash(&serde_json::to_vec(is)?);
    let details = json!({
        "version": "medtrail/operation-v1",
        "act": "configuration-changed",
        "configuration": hex::encode_prefixed(configuration),
        "fields": fields,
    });
    serde_json::to_string(&details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_market_is_told() {
        let market: MarketConfig = serde_json::from_value(
            json!({ "default": "de-identified", "countries": { "EE": "on" } }),
        )
        .unwrap();
        let told = of_market(&market);
        assert_eq!(told["market.default"], "de-identified");
        assert_eq!(told["market.countries"], json!({ "EE": "on" }));
        let names: Vec<&str> = told.keys().map(String::as_str).collect();
        assert_eq!(names.len(), 6, "{names:?}");
    }

    #[test]
    fn only_what_differs_is_told_with_what_it_was_and_is() {
        let of = |pairs: &[(&str, Value)]| -> Promises {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let was = of(&[("a", json!(1)), ("b", json!(true)), ("gone", json!("x"))]);
        let is = of(&[("a", json!(2)), ("b", json!(true)), ("new", json!([1]))]);
        let told: Value = serde_json::from_str(&details(&was, &is).unwrap()).unwrap();
        assert_eq!(
            told["fields"],
            json!([
                { "field": "a", "was": 1, "is": 2 },
                { "field": "gone", "was": "x", "is": null },
                { "field": "new", "was": null, "is": [1] },
            ])
        );
        assert_eq!(told["act"], "configuration-changed");
        let other: Value = serde_json::from_str(&details(&is, &was).unwrap()).unwrap();
        assert_ne!(told["configuration"], other["configuration"]);
    }
}
