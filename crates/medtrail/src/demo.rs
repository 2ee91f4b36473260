//! `medtrail demo`: the whole product on one machine. Only its people, its keys and its clock are
//! the demo's; everything else is what runs in earnest.
//!
//! - `accounts`, `organisations`: who is who, with keys that everybody knows
//! - `anvil`: the chain
//! - `reporters`, `gateways`, `desk`: the organisations, and how they report
//! - `connect`, `permissions`: Mari joins what they hold about her to her address, and allows what
//!   they may do
//! - `routine`, `mari`, `jaan`, `audit_event`, `clock`, `chance`: what happens, and how their
//!   software writes it down; `past`: how it passes by
//! - `vault`, `tide`, `desk_talk`: what Mari keeps here, where it came from, and what others ask and
//!   do about it
//! - `act_one`, `act_four`, `act_five`, `feed`, `trail`: what is played, over the product's HTTP
//! - `live`, `routes`, `rpc`: what goes on while it runs, and what it adds to the page
//! - `tell`, `words`: what is said

mod accounts;
mod act_five;
mod act_four;
mod act_one;
mod anvil;
mod audit_event;
mod chance;
mod clock;
mod connect;
mod desk;
mod desk_talk;
mod feed;
mod gateways;
mod jaan;
mod live;
mod mari;
mod organisations;
mod past;
mod permissions;
mod reporters;
mod routes;
mod routine;
mod rpc;
mod tell;
mod tide;
mod trail;
mod vault;
mod words;

use crate::clock::{DemoClock, now_ms};
use crate::commands::serve::asked_to_end;
use crate::commands::signing::Signed;
use crate::commands::verify::check_proof;
use crate::config::{
    ChainConfig, Config, ErasureConfig, LimitsConfig, MarketConfig, NoticesConfig, OperatorConfig,
    QuestionsConfig, SourcesConfig,
};
use crate::exit::{FAILED, Failure, OK, Outcome};
use crate::node::{self, Keys, Node};
use crate::session::Session;
use accounts::Accounts;
use act_one::Watch;
use alloy_primitives::B256;
use anvil::Anvil;
use clock::Clock;
use gateways::Gateways;
use live::Live;
use medtrail_chain::{Contract, Rpc, deploy};
use medtrail_keys::file::create_folder;
use medtrail_keys::note::NoteKey;
use medtrail_keys::operator::OperatorKey;
use medtrail_ledger::proof::spell;
use medtrail_ledger::trust::TrustFile;
use medtrail_ledger::verify::Verdict;
use medtrail_oracle::sales::Rule;
use organisations::{HARBOUR, KALDA, LUMI, TIDE};
use past::{Past, Stage};
use reporters::Reporters;
use routes::Routes;
use routine::Routine;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tell::Teller;
use tide::Tide;
use trail::Names;
use vault::Allergy;

/// Starts a chain, a log and the gateways of four organisations on this machine, lets a doctor look
/// at a patient's data, and checks the proof as a stranger would.
///
/// Runs until Ctrl-C and stops everything it started. What it made stays in the data folder:
/// demo.json (addresses, accounts, keys), trust.json, receipt.json, proof.json.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the demo keeps everything; what an earlier demo left there is removed
    #[arg(long, value_name = "FOLDER", default_value = "data/demo")]
    data_dir: PathBuf,
    /// Where the log takes reports and shows its page
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The chain's port
    #[arg(long, value_name = "PORT", default_value_t = 8545)]
    rpc_port: u16,
    /// Start with an empty log instead of a week of 400 people and about 5,000 lines
    #[arg(long)]
    no_seed: bool,
    /// Play the story in the terminal: who is who, what runs where, and acts 1, 4 and 5
    #[arg(long)]
    tell: bool,
    /// End after the check
    #[arg(long)]
    once: bool,
    /// The anvil binary; by default that of `cargo xtask tools`
    #[arg(long, value_name = "FILE", env = "MEDTRAIL_ANVIL")]
    anvil: Option<PathBuf>,
}

/// How long an organisation has for an answer: so short that silence can be watched.
const ANSWER_WITHIN_S: u64 = 180;
/// Seconds that an order must leave, twice: a sale takes half a minute here.
const SALE_S_MIN: u64 = 30;
/// Marks a folder as the demo's own, so that nothing else is ever removed.
const MARKER: &str = "demo.json";
/// Since when the organisations' keys speak, before the log opens: a day.
const LISTED_MS: u64 = 24 * 3600 * 1000;

pub(crate) async fn run(args: Args) -> Outcome {
    let accounts = Accounts::known();
    let teller = Teller { is_long: args.tell };
    let folder = prepare_folder(&args.data_dir)?;
    teller.begin();

    // Heard from the start: a demo that is cut short must not leave its chain running, which sits
    // in a process group of its own and is killed only when it is dropped.
    let mut quit = pin!(asked_to_end());
    let past = Past::before(Clock::of_this_machine(), now_ms(), !args.no_seed);
    let demo_clock = DemoClock::start_at(past.begins_ms);
    let starting = start(&args, &folder, &accounts);
    let demo = tokio::select! {
        started = starting => started?,
        () = &mut quit => return Ok(ExitCode::from(OK)),
    };
    // Outside of what may be cut short: gateways that have started are stopped in order.
    let mut gateways = Gateways::default();
    let played = tokio::select! {
        played = play(&folder, accounts, &demo, &mut gateways, (past, demo_clock), teller) => played.map(Some),
        () = &mut quit => Ok(None),
    };
    let Demo { anvil, node, url, .. } = demo;
    let stopped = match &played {
        Ok(Some(Played { verdict: Verdict::Green, live, routine })) if !args.once => {
            println!("\nRunning at {url}. Ctrl-C stops everything.");
            let goes_on = async {
                tokio::join!(live.trickle(routine.clone()), async {
                    anvil.ended().await;
                    tracing::warn!("the chain has ended; entries are still taken");
                });
            };
            let quit = async {
                tokio::select! {
                    () = quit => {}
                    () = goes_on => {}
                }
            };
            // First the gateways, which still forward what they took.
            let quit = async {
                quit.await;
                gateways.stop().await;
            };
            node.run_until(quit).await
        }
        _ => {
            gateways.stop().await;
            node.stop().await.map_err(Failure::from)
        }
    };
    anvil.stop().await;
    stopped?;
    Ok(ExitCode::from(match played? {
        None => OK,
        Some(Played { verdict: Verdict::Green, .. }) => OK,
        Some(_) => FAILED,
    }))
}

/// What runs before anybody reports.
struct Demo {
    anvil: Anvil,
    rpc: Rpc,
    node: Node,
    routes: Arc<Routes>,
    /// Where the page is.
    url: String,
}

/// How it came out, and what may go on.
struct Played {
    verdict: Verdict,
    live: Arc<Live>,
    routine: Routine,
}

/// Starts the chain, puts the registry on it, and starts the log.
async fn start(args: &Args, folder: &Path, accounts: &Accounts) -> Result<Demo, Failure> {
    let binary = anvil::find(args.anvil.as_deref())?;
    let anvil = Anvil::start(&binary, args.rpc_port, folder, accounts).await?;
    let rpc = Rpc::new(&[anvil.url()])?;
    println!("Chain     {} (chain {}, a block every 2 s)", anvil.url(), anvil::CHAIN_ID);

    let (config, keys) = configure(args, folder, accounts, anvil.url())?;
    for contract in Contract::ALL {
        let deployment = deploy(&rpc, keys.operator.clone(), contract).await?;
        let (name, address) = (contract.name(), deployment.address);
        println!("Contract  {name} at {address}; its code is the code of this build");
    }

    let routes = Arc::new(Routes::default());
    let node = node::start(&config, keys, Some(routes.clone())).await?;
    println!("Log       {} takes reports at {}", config.origin, config.public_url);
    Ok(Demo { anvil, rpc, node, routes, url: config.public_url })
}

/// The organisations enrol, Mari connects them, the past is reported; then act 1.
async fn play(
    folder: &Path,
    accounts: Accounts,
    demo: &Demo,
    gateways: &mut Gateways,
    (past, demo_clock): (Past, DemoClock),
    teller: Teller,
) -> Result<Played, Failure> {
    let (url, clock) = (demo.url.as_str(), past.clock);
    let operator = Session::open(url, accounts.key_of("Operator of the log")?).await?;
    let mari = Session::open(url, accounts.key_of("Mari Tamm")?).await?;
    let reporters = Reporters::start(folder, &accounts, url, &operator, clock, gateways).await?;
    teller.organisations(&reporters);

    let trust = demo.node.service.trust();
    std::fs::write(folder.join("trust.json"), spell(&*trust))?;
    let connected = [&KALDA, &HARBOUR, &LUMI, &TIDE];
    for organisation in connected {
        match reporters.gateway_of(organisation) {
            Some(gateway) => connect::at_gateway(&mari, gateway, organisation.name, &trust).await?,
            None => connect::at_desk(&mari, &reporters.tide, organisation.name, &trust).await?,
        }
    }
    teller.connected(&connected);

    permissions::give(&mari, &accounts).await?;

    let allergy = Allergy::of(mari.address());
    let mari = Signed::of(mari, (*trust).clone());
    allergy.keep(&mari).await?;
    let tide = Tide::open(past.begins_ms).await?;
    if !past.is_empty() {
        tide.keep(&mari).await?;
    }

    let began = Instant::now();
    let stage = Stage {
        url,
        accounts: &accounts,
        trust: &trust,
        reporters: &reporters,
        gateways,
        tide: &tide,
        mari: mari.session.address(),
    };
    past.play(&stage, &demo_clock).await?;
    demo_clock.present();
    if !past.is_empty() {
        teller.seeded(past.of_others(), began.elapsed());
        teller.guarded();
    }
    // Who signed in that week is signed out by now.
    let mari = Session::open(url, accounts.key_of("Mari Tamm")?).await?;
    let live = Arc::new(Live {
        accounts,
        reporters,
        rpc: demo.anvil.url(),
        url: url.to_owned(),
        trust: trust.clone(),
        allergy,
    });
    write_marker(folder, &live, &trust, url)?;
    demo.routes.open(live.clone());

    teller.doors(url, &live.accounts);
    let (jaan, trust) = (live.reporters.jaan, &*trust);
    let verdict = watch(folder, demo, (&mari, jaan), trust, clock, teller).await?;
    if teller.is_long && !past.is_empty() {
        act_four::play(url, &live.accounts, trust, teller).await?;
        act_five::play(folder, &live, teller).await?;
    }
    Ok(Played { verdict, live, routine: past.routine })
}

/// Act 1: from the press of a button to a check that needs nobody's word.
async fn watch(
    folder: &Path,
    demo: &Demo,
    (mari, jaan): (&Session, B256),
    trust: &TrustFile,
    clock: Clock,
    teller: Teller,
) -> Result<Verdict, Failure> {
    let names = Names::read(mari).await?;
    if teller.is_long {
        let of_mari = trail::rows(mari, &names, mari.address().into_word()).await?;
        let of_jaan = trail::rows(mari, &names, jaan).await?;
        teller.act_one(&of_mari, &of_jaan, clock);
    }
    let mut watch = Watch::press(mari, &names, &demo.url).await?;
    let index = watch.line.index;
    teller.appeared(&watch, &names);
    let receipt = act_one::receipt(mari, index).await?;
    std::fs::write(folder.join("receipt.json"), spell(&receipt))?;
    for state in ["mined", "final"] {
        let after = watch.until(state).await?;
        teller.reached(&watch.line, after);
    }
    let proof = act_one::proof(mari, index).await?;
    let file = folder.join("proof.json");
    std::fs::write(&file, &proof)?;
    let findings = check_proof(&proof, Some(trust), &demo.rpc).await?;
    teller.checked(&file, &folder.join("trust.json"), &demo.anvil.url(), &findings);
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
    let listen = with_port(args.listen)?;
    let config = Config {
        public_url: format!("http://localhost:{}", listen.port()),
        listen,
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
            registry: Contract::AnchorRegistry.address(),
            cold_key: accounts.by_role("cold key").address,
            anchor_within_s: 60,
            anchor_interval_s: 6,
            anchor_entries_max: 65_536,
            fee_cap_gwei: 200,
            poll_ms: 500,
            finality_depth: None,
        },
        limits: LimitsConfig::default(),
        questions: QuestionsConfig { answer_within_s: ANSWER_WITHIN_S },
        erasure: ErasureConfig::default(),
        notices: NoticesConfig::default(),
        sources: SourcesConfig {
            every_s: tide::EVERY_S,
            lost_after: tide::LOST_AFTER,
            to_loopback: true,
            ..SourcesConfig::default()
        },
        market: Some(MarketConfig {
            contract: Contract::DataMarket.address(),
            default: Rule::Off,
            countries: [("EE".to_owned(), Rule::On)].into(),
            delivery_s_min: SALE_S_MIN,
            grace_s_min: SALE_S_MIN,
            withdrawal_s: ANSWER_WITHIN_S,
            cohort_contract: Some(Contract::CohortMarket.address()),
            cohort_margin_s: Some(SALE_S_MIN / 2),
        }),
        organisations: accounts.organisations(now_ms() - LISTED_MS)?,
    };
    let operator = OperatorKey::from_bytes(&accounts.by_role("operator").secret())?;
    let note = NoteKey::create(&config.keys_dir.join("note.key"), &config.origin)?;
    let relay = OperatorKey::from_bytes(&accounts.by_role("relay").secret())?;
    Ok((config, Keys { operator: Arc::new(operator), note, relay: Some(Arc::new(relay)) }))
}

/// An address with a port that can be told: who signs in signs for the page's address, port and
/// all, before the server could say which port it got.
fn with_port(listen: SocketAddr) -> Result<SocketAddr, Failure> {
    match listen.port() {
        0 => Ok(TcpListener::bind(listen)?.local_addr()?),
        _ => Ok(listen),
    }
}

/// What a program needs to take part in the demo.
fn write_marker(folder: &Path, live: &Live, trust: &TrustFile, url: &str) -> Result<(), Failure> {
    let contracts: BTreeMap<_, _> =
        Contract::ALL.map(|contract| (contract.name(), contract.address())).into();
    let marker = serde_json::json!({
        "url": url,
        "rpc": live.rpc,
        "chainId": trust.chain_id,
        "registry": trust.registry,
        "log": trust.log,
        "origin": trust.origin,
        "noteKey": trust.operator.note_key,
        "contracts": contracts,
        "accounts": live.accounts,
        "gateways": live.reporters.gateways(),
        "custodianApiKeys": live.reporters.api_keys(),
        "withoutKey": [{ "name": jaan::NAME, "pseudonym": live.reporters.jaan }],
    });
    Ok(std::fs::write(folder.join(MARKER), spell(&marker))?)
}
