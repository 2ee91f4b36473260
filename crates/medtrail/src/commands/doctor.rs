//! `medtrail doctor`: everything that must be right for anchors to move, asked one by one.

use super::Configured;
use crate::client::Client;
use crate::clock::now_ms;
use crate::config::Config;
use crate::exit::{AMBER, FAILED, Failure, OK, Outcome};
use crate::render;
use alloy_primitives::{Address, B256};
use medtrail_chain::{At, Chain, Finality, Rpc};
use medtrail_keys::file::check_folder;
use medtrail_ledger::verify::Verdict;
use std::process::ExitCode;

/// Looks at configuration, keys, chain, contract, log and service, and says what is wrong and what
/// to do.
///
/// Exit code 0: all right. 3: it works, but something wants attention. 1: something is wrong.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configured: Configured,
}

/// What one look found.
struct Found {
    name: &'static str,
    verdict: Verdict,
    words: String,
}

/// How far the operator's clock and the chain's may differ, in seconds.
const CLOCK_S_MAX: u64 = 120;

pub(crate) async fn run(args: Args) -> Outcome {
    let mut found = Vec::new();
    match args.configured.load() {
        Err(error) => found.push(red("configuration", error.to_string())),
        Ok(config) => {
            found.push(green("configuration", format!("log {} can be read", config.origin)));
            found.push(keys(&config));
            let operator = service(&config, &mut found).await;
            chain(&config, operator, &mut found).await;
        }
    }
    for look in &found {
        let mark = match look.verdict {
            Verdict::Green => "✓",
            Verdict::Amber => "!",
            Verdict::Red => "✗",
        };
        println!("{} {:<14} {}", render::coloured(look.verdict, mark), look.name, look.words);
    }
    Ok(ExitCode::from(match found.iter().map(|look| look.verdict).max() {
        Some(Verdict::Red) | None => FAILED,
        Some(Verdict::Amber) => AMBER,
        Some(Verdict::Green) => OK,
    }))
}

fn green(name: &'static str, words: impl Into<String>) -> Found {
    Found { name, verdict: Verdict::Green, words: words.into() }
}

fn amber(name: &'static str, words: impl Into<String>) -> Found {
    Found { name, verdict: Verdict::Amber, words: words.into() }
}

fn red(name: &'static str, words: impl Into<String>) -> Found {
    Found { name, verdict: Verdict::Red, words: words.into() }
}

fn keys(config: &Config) -> Found {
    if let Err(error) = check_folder(&config.keys_dir) {
        return red("keys", error.to_string());
    }
    let wanted = match config.operator.remote_signer {
        Some(_) => vec!["note.key"],
        None => vec!["operator.json", "note.key"],
    };
    match wanted.into_iter().find(|name| !config.keys_dir.join(name).exists()) {
        Some(missing) => {
            red("keys", format!("{missing} is missing: `medtrail keys init` makes it"))
        }
        None => {
            green("keys", format!("in {}, readable by their owner only", config.keys_dir.display()))
        }
    }
}

/// Asks the running service; returns its operator's address.
async fn service(config: &Config, found: &mut Vec<Found>) -> Option<Address> {
    let url = format!("http://{}", config.listen);
    let asked = async {
        let client = Client::new(&url)?;
        let ready = client.get("/readyz").await?;
        let trust = client.get("/.well-known/medtrail.json").await?;
        Ok::<_, Failure>((ready, trust))
    };
    match asked.await {
        Err(error) => {
            let words = format!("no service answers at {url}: start `medtrail serve` ({error})");
            found.push(amber("service", words));
            None
        }
        Ok(((status, ready), (_, trust))) => {
            let anchoring = &ready["anchoring"];
            let text = |name: &str| anchoring[name].as_str().unwrap_or_default().to_owned();
            found.push(match status.is_success() {
                true => green("service", format!("takes reports at {url}")),
                false => red("service", format!("takes no reports: {ready}")),
            });
            match anchoring["problem"].as_object() {
                None => found.push(green("anchoring", text("state"))),
                Some(problem) => {
                    let part =
                        |name: &str| problem.get(name).and_then(|v| v.as_str()).unwrap_or("");
                    let words =
                        format!("{}: {}. To do: {}", text("state"), part("what"), part("advice"));
                    found.push(amber("anchoring", words));
                }
            }
            for (name, count, what) in FOLLOWERS {
                let part = &ready[name];
                // A service of an earlier version does not tell of all.
                let Some(waiting) = part[count].as_u64() else { continue };
                found.push(match part["problem"].as_object() {
                    None => green(name, format!("{waiting} {what}")),
                    Some(problem) => {
                        let word =
                            |name: &str| problem.get(name).and_then(|v| v.as_str()).unwrap_or("");
                        let (why, advice) = (word("what"), word("advice"));
                        amber(name, format!("{waiting} wait: {why}. To do: {advice}"))
                    }
                });
            }
            trust["operator"]["keys"].as_array()?.last()?["address"].as_str()?.parse().ok()
        }
    }
}

/// What follows behind the head: where it stands in the service's answer, what of it waits.
const FOLLOWERS: [(&str, &str, &str); 6] = [
    ("judging", "waiting", "changes wait for their turn"),
    ("questions", "open", "questions wait for their answers"),
    ("notices", "waiting", "notices wait to be sent"),
    ("erasures", "waiting", "erasures wait for their day"),
    ("sales", "open", "sales are under way"),
    ("calls", "open", "calls to many are under way"),
];

async fn chain(config: &Config, operator: Option<Address>, found: &mut Vec<Found>) {
    for url in &config.chain.rpc {
        found.push(node(config, url, operator).await.unwrap_or_else(|error| {
            red("chain", format!("{url}: {error}. Entries are still taken; check the node"))
        }));
    }
}

async fn node(config: &Config, url: &str, operator: Option<Address>) -> Result<Found, Failure> {
    let rpc = Rpc::new(&[url])?;
    let (chain_id, wanted) = (rpc.chain_id().await?, config.chain.chain_id);
    if chain_id != wanted {
        let words = format!("{url} serves chain {chain_id}, not {wanted}: correct chain.rpc");
        return Ok(red("chain", words));
    }
    let registry = config.chain.registry;
    if !rpc.has_code(registry).await? {
        let words = format!(
            "{url}: no contract at chain.registry {registry}: `medtrail deploy` puts it there, or \
             correct the address"
        );
        return Ok(red("chain", words));
    }
    let finality = config.chain.finality_depth.map_or(Finality::Tag, Finality::Depth);
    let chain = Chain::new(rpc.clone(), chain_id, registry, finality);
    if registry != medtrail_chain::Contract::AnchorRegistry.address() {
        if let Err(error) = chain.log_head(B256::ZERO, At::Latest).await {
            let words = format!(
                "{url}: the contract at {registry} does not answer as the registry does: correct \
                 chain.registry ({error})"
            );
            return Ok(red("chain", words));
        }
        let words = format!(
            "{url}: the contract at {registry} is not at this build's address {}: be sure that \
             it is the registry",
            medtrail_chain::Contract::AnchorRegistry.address()
        );
        return Ok(amber("chain", words));
    }
    let finalized = chain.finalized().await?;
    let now_s = now_ms() / 1000;
    if finalized.time_s > now_s + CLOCK_S_MAX {
        let words = format!("{url}: the chain is ahead of this machine: set its clock");
        return Ok(red("chain", words));
    }
    let Some(operator) = operator else {
        let words =
            format!("{url} serves chain {chain_id}, final to block {}", finalized.block.number);
        return Ok(green("chain", words));
    };
    let log = config.log_of(operator);
    let head = chain.log_head(log, At::Latest).await?;
    let balance = rpc.balance_of(operator).await?;
    if head.operator.is_zero() {
        return Ok(amber(
            "chain",
            format!("{url}: log {log} is not opened yet: the service does it"),
        ));
    }
    if head.operator != operator {
        let words =
            format!("{url}: log {log} belongs to operator {}, not {operator}", head.operator);
        return Ok(red("chain", words));
    }
    // An anchor takes up to 86,000 gas.
    let needed = 86_000 * u128::from(config.chain.fee_cap_gwei) * 1_000_000_000;
    if balance < needed {
        let words = format!(
            "{url}: operator {operator} has {balance} wei; one anchor at the fee cap takes \
             {needed}: send it some coin"
        );
        return Ok(amber("chain", words));
    }
    let words = format!(
        "{url}: {} anchors, {} entries anchored, final to block {}",
        head.count, head.size, finalized.block.number
    );
    Ok(green("chain", words))
}
