//! `medtrail demo`: the whole product on one machine. Only its people, its keys and its clock are
//! the demo's; everything else is what runs in earnest.

mod accounts;
mod anvil;
mod clinic;

use crate::client::Client;
use crate::commands::proof::with_details;
use crate::commands::report::one_report;
use crate::commands::serve::asked_to_end;
use crate::commands::verify::check_proof;
use crate::config::{ChainConfig, Config, LimitsConfig, OperatorConfig};
use crate::exit::{FAILED, Failure, OK, Outcome};
use crate::node::{self, Keys, Node, now_ms};
use crate::render;
use accounts::Accounts;
use anvil::Anvil;
use medtrail_chain::{Rpc, deploy};
use medtrail_keys::file::create_folder;
use medtrail_keys::note::NoteKey;
use medtrail_keys::operator::OperatorKey;
use medtrail_ledger::proof::spell;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::trust::TrustFile;
use medtrail_ledger::verify::Verdict;
use serde_json::value::RawValue;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Starts a chain and a log on this machine, reports to it, and checks the proof as a stranger
/// would.
///
/// Runs until Ctrl-C and stops everything it started. What it made stays in the data folder:
/// demo.json (addresses, accounts, keys), trust.json, receipt.json, proof.json.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the demo keeps everything; what an earlier demo left there is removed
    #[arg(long, value_name = "FOLDER", default_value = "data/demo")]
    data_dir: PathBuf,
    /// Where the log takes reports
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The chain's port
    #[arg(long, value_name = "PORT", default_value_t = 8545)]
    rpc_port: u16,
    /// Start with an empty log instead of 400 people and about 5,000 lines
    #[arg(long)]
    no_seed: bool,
    /// End after the check
    #[arg(long)]
    once: bool,
    /// The anvil binary; by default that of `cargo xtask tools`
    #[arg(long, value_name = "FILE", env = "MEDTRAIL_ANVIL")]
    anvil: Option<PathBuf>,
}

/// Marks a folder as the demo's own, so that nothing else is ever removed.
const MARKER: &str = "demo.json";
/// How long the first proof may take: some blocks of 2 s, on a machine that may be busy.
const PROOF_WAIT: Duration = Duration::from_secs(180);

pub(crate) async fn run(args: Args) -> Outcome {
    let accounts = Accounts::known();
    let folder = prepare_folder(&args.data_dir)?;
    println!("Medtrail demo. Invented people, test money, a chain on this machine only: it shows");
    println!("how checks work; on a public chain they bind the operator.\n");

    // Heard from the start: a demo that is cut short must not leave its chain running, which sits
    // in a process group of its own and is killed only when it is dropped.
    let mut quit = pin!(asked_to_end());
    let starting = start(&args, &folder, &accounts);
    let (anvil, rpc, config, node) = tokio::select! {
        started = starting => started?,
        () = &mut quit => return Ok(ExitCode::from(OK)),
    };
    let url = format!("http://localhost:{}", node.address.port());
    println!("Log       {} takes reports at {url}", config.origin);
    let told = tokio::select! {
        told = tell(&args, &folder, &accounts, &node, &url, &rpc, &config) => told.map(Some),
        () = &mut quit => Ok(None),
    };
    let stopped = match &told {
        Ok(Some(Verdict::Green)) if !args.once => {
            println!("\nRunning at {url}. Ctrl-C stops everything.");
            let told_of_the_end = async {
                anvil.ended().await;
                tracing::warn!("the chain has ended; entries are still taken");
                std::future::pending::<()>().await;
            };
            let quit = async {
                tokio::select! {
                    () = quit => {}
                    () = told_of_the_end => {}
                }
            };
            node.run_until(quit).await
        }
        _ => node.stop().await.map_err(Failure::from),
    };
    anvil.stop().await;
    stopped?;
    Ok(ExitCode::from(match told? {
        Some(Verdict::Green) | None => OK,
        Some(_) => FAILED,
    }))
}

/// Starts the chain, puts the registry on it, and starts the log.
async fn start(
    args: &Args,
    folder: &Path,
    accounts: &Accounts,
) -> Result<(Anvil, Rpc, Config, Node), Failure> {
    let binary = anvil::find(args.anvil.as_deref())?;
    let anvil = Anvil::start(&binary, args.rpc_port, folder, accounts).await?;
    let rpc = Rpc::new(&[anvil.url()])?;
    println!("Chain     {} (chain {}, a block every 2 s)", anvil.url(), anvil::CHAIN_ID);

    let (config, keys) = configure(args, folder, accounts, anvil.url())?;
    let deployment = deploy(&rpc, keys.operator.clone()).await?;
    println!("Registry  {}; its code is the code of this build", deployment.registry);

    let node = node::start(&config, keys).await?;
    Ok((anvil, rpc, config, node))
}

/// The story so far: one access, from a report to a green check; and a clinic behind it.
async fn tell(
    args: &Args,
    folder: &Path,
    accounts: &Accounts,
    node: &Node,
    url: &str,
    rpc: &Rpc,
    config: &Config,
) -> Result<Verdict, Failure> {
    let trust = node.service.trust().clone();
    std::fs::write(folder.join("trust.json"), spell(&trust))?;
    write_marker(folder, accounts, &trust, url, &config.chain.rpc[0])?;
    let client = Client::new(url)?;
    if !args.no_seed {
        let lines = clinic::seed(&client, accounts, &trust, now_ms()).await?;
        println!(
            "Clinic    {} people, {lines} lines, signed by four organisations",
            clinic::PEOPLE
        );
    }

    let (receipt, details) = report(&client, accounts, &trust).await?;
    std::fs::write(folder.join("receipt.json"), spell(&receipt))?;
    println!(
        "Report    Kalda Family Doctors read Mari Tamm's allergies: entry {}, receipt in {}",
        receipt.index,
        folder.join("receipt.json").display()
    );

    let proof = await_proof(&client, &receipt, &trust, rpc).await?;
    let proof = with_details(&proof, &details)?;
    let file = folder.join("proof.json");
    std::fs::write(&file, &proof)?;
    println!("Proof     anchored and final; in {}\n", file.display());
    println!(
        "medtrail verify {} --rpc {} --trust {}",
        file.display(),
        config.chain.rpc[0],
        folder.join("trust.json").display()
    );
    let findings = check_proof(&proof, Some(&trust), rpc).await?;
    render::findings(&file.display().to_string(), &findings);
    Ok(findings.verdict())
}

fn prepare_folder(folder: &Path) -> Result<PathBuf, Failure> {
    if folder.exists() {
        let is_ours = folder.join(MARKER).exists();
        if !is_ours && std::fs::read_dir(folder)?.next().is_some() {
            return Err(Failure::new(format!(
                "{} holds something that is not a demo's; name another folder with --data-dir",
                folder.display()
            )));
        }
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    // At once, so that a demo cut short leaves a folder that the next one may clear.
    std::fs::write(folder.join(MARKER), "{}\n")?;
    Ok(folder.to_owned())
}

fn configure(
    args: &Args,
    folder: &Path,
    accounts: &Accounts,
    rpc: String,
) -> Result<(Config, Keys), Failure> {
    let keys_dir = folder.join("keys");
    create_folder(&keys_dir)?;
    let config = Config {
        public_url: format!("http://localhost:{}", args.listen.port()),
        listen: args.listen,
        metrics_listen: None,
        data_dir: folder.to_owned(),
        keys_dir,
        origin: "localhost/medtrail-demo".to_owned(),
        operator: OperatorConfig {
            name: "Medtrail demo".to_owned(),
            domain: "localhost".to_owned(),
            remote_signer: None,
        },
        chain: ChainConfig {
            rpc: vec![rpc],
            chain_id: anvil::CHAIN_ID,
            registry: medtrail_chain::registry_address(),
            cold_key: accounts.by_role("cold key").address,
            anchor_within_s: 60,
            anchor_interval_s: 6,
            anchor_entries_max: 65_536,
            fee_cap_gwei: 200,
            poll_ms: 500,
            finality_depth: None,
        },
        limits: LimitsConfig::default(),
        organisations: accounts.organisations(),
    };
    let operator = OperatorKey::from_bytes(&accounts.by_role("operator").secret())?;
    let note = NoteKey::create(&config.keys_dir.join("note.key"), &config.origin)?;
    Ok((config, Keys { operator: Arc::new(operator), note }))
}

async fn report(
    client: &Client,
    accounts: &Accounts,
    trust: &TrustFile,
) -> Result<(Receipt, Box<RawValue>), Failure> {
    let kalda = accounts.reporter("Kalda Family Doctors")?;
    let mari = accounts.by_role("patient").address;
    let line = clinic::mari_s_allergies_read(mari, now_ms());
    let (report, signature) = line.signed(&kalda, trust);
    let receipt = client.report(one_report(&report, &line.details, &signature)?).await?;
    Ok((receipt, line.details))
}

/// Waits until the anchor that covers the receipt is final, as the chain itself says.
async fn await_proof(
    client: &Client,
    receipt: &Receipt,
    trust: &TrustFile,
    rpc: &Rpc,
) -> Result<Vec<u8>, Failure> {
    let until = Instant::now() + PROOF_WAIT;
    while Instant::now() < until {
        if let Some(proof) = client.proof(receipt).await? {
            let findings = check_proof(&proof, Some(trust), rpc).await?;
            if findings.verdict() != Verdict::Amber {
                return Ok(proof);
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(Failure::new(format!(
        "entry {} was not final within {} s; `medtrail status` says why",
        receipt.index,
        PROOF_WAIT.as_secs()
    )))
}

/// What a program needs to take part in the demo.
fn write_marker(
    folder: &Path,
    accounts: &Accounts,
    trust: &TrustFile,
    url: &str,
    rpc: &str,
) -> Result<(), Failure> {
    let marker = serde_json::json!({
        "url": url,
        "rpc": rpc,
        "chainId": trust.chain_id,
        "registry": trust.registry,
        "log": trust.log,
        "origin": trust.origin,
        "noteKey": trust.operator.note_key,
        "contracts": { "AnchorRegistry": trust.registry },
        "accounts": accounts,
    });
    Ok(std::fs::write(folder.join(MARKER), spell(&marker))?)
}
