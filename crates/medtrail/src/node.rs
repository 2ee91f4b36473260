//! A running log: every part built from the configuration, started in order, stopped in reverse.

use crate::clock::now_ms;
use crate::commands::{Configured, PassphraseArgs, PassphraseMissing};
use crate::config::{Config, MarketConfig, MarketField, RemoteSignerConfig};
use crate::exit::Failure;
use crate::files::{self, Opened};
use crate::notices::{NoticesError, notices};
use crate::pages::Embedded;
use crate::permission::{OnChain, need};
use crate::promises;
use crate::selling::{self, Ground};
use crate::sources::sources;
use alloy_primitives::{Address, B256};
use medtrail_api::{DemoRoutes, Extras, Server, ServerError, ServerOptions};
use medtrail_chain::{At, Chain, Contract, Finality, Rpc, RpcError};
use medtrail_keys::cross_check::{self, Encoders};
use medtrail_keys::file;
use medtrail_keys::local::{KeystoreError, LocalSigner};
use medtrail_keys::masters::MasterFolder;
use medtrail_keys::note::{NotaryKeys, NoteKey, NoteKeyError};
use medtrail_keys::operator::OperatorKey;
use medtrail_keys::remote::RemoteSigner;
use medtrail_ledger::plan::{Anchor, Call, LogHead};
use medtrail_ledger::ports::{Journal, JournalError, RegistryError};
use medtrail_ledger::tile::TileReader;
use medtrail_ledger::trust::{self, Key, Operator, TrustFile};
use medtrail_oracle::anchorer::{self, Anchorer};
use medtrail_oracle::erasure::Erasing;
use medtrail_oracle::permissions::Permissions;
use medtrail_oracle::sender::Limits;
use medtrail_oracle::sequencer::SequencerError;
use medtrail_oracle::service::Service;
use medtrail_oracle::supervise::{self, Running, Setup};
use medtrail_oracle::vault::{Vault, VaultLimits};
use medtrail_store::{OpenError, Store};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The file of the key that pays for settlements.
pub(crate) const RELAY: &str = "relay.json";

/// The operator's keys, unlocked.
pub(crate) struct Keys {
    pub(crate) operator: Arc<OperatorKey>,
    pub(crate) note: NoteKey,
    /// Pays for settlements, where there is a market.
    pub(crate) relay: Option<Arc<OperatorKey>>,
}

/// Why a log does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Passphrase(#[from] PassphraseMissing),
    #[error("operator.json: {0}")]
    Keystore(#[from] KeystoreError),
    #[error(
        "relay.json, which pays for settlements since there is a [market]: {0}. Make it with \
         `medtrail keys relay`"
    )]
    Relay(#[source] KeystoreError),
    #[error("note.key: {0}")]
    Note(#[from] NoteKeyError),
    #[error(transparent)]
    KeyFile(#[from] file::FileError),
    #[error("the two encoders disagree, nothing was started: {0}")]
    CrossCheck(#[from] cross_check::Disagreement),
    #[error("the log: {0}")]
    Open(#[from] OpenError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Notices(#[from] NoticesError),
    #[error("remote signer: {0}")]
    RemoteSigner(#[from] reqwest::Error),
    #[error(
        "{name} was {was} when this log was first started and is {is} in the configuration: a log \
         never changes it. Correct the configuration, or start a new log in another folder"
    )]
    Changed { name: &'static str, was: String, is: String },
    #[error(
        "the chain holds {on_chain} anchored entries of this log, this disk only {on_disk}: an old \
         backup was restored. Nothing is taken until the missing tail is back"
    )]
    OldBackup { on_chain: u64, on_disk: u64 },
    #[error(
        "this log was last opened on another machine, and the chain cannot be read to see that it \
         is the newest copy ({0}). Bring the chain back, or the newer copy"
    )]
    OtherMachine(RegistryError),
    #[error(
        "the chain's newest anchor of this log covers {size} entries, but not these entries: this \
         is another copy of the log, which went its own way. Put the anchored one back"
    )]
    Forked { size: u64 },
    #[error(
        "{file} is gone or empty, but the log has entries sealed under it: put its backup back. \
         Without it the entries still verify, but nothing can be added or read",
        file = file.display()
    )]
    KeysLost { file: PathBuf },
    #[error(
        "there is no {contract:?} at {field} {at} on this chain: `medtrail deploy` puts it there. Or leave \
         {out} out"
    )]
    NoMarket { contract: Contract, field: &'static str, at: Address, out: &'static str },
    #[error("the note key is named {found}, the origin is {origin}")]
    NoteName { found: String, origin: String },
}

impl Keys {
    /// Unlocks the keys in the configured folder.
    pub(crate) fn load(config: &Config, passphrase: &PassphraseArgs) -> Result<Self, StartError> {
        file::check_folder(&config.keys_dir)?;
        let operator = match &config.operator.remote_signer {
            Some(remote) => OperatorKey::from(remote_signer(remote)?),
            None => {
                let path = config.keys_dir.join("operator.json");
                OperatorKey::from(LocalSigner::load(&path, &passphrase.read()?)?)
            }
        };
        let note = NoteKey::load(&config.keys_dir.join("note.key"))?;
        let relay = match &config.market {
            None => None,
            Some(_) => {
                let path = config.keys_dir.join(RELAY);
                let key = LocalSigner::load(&path, &passphrase.read()?);
                Some(Arc::new(OperatorKey::from(key.map_err(StartError::Relay)?)))
            }
        };
        Ok(Self { operator: Arc::new(operator), note, relay })
    }

    /// Reads configuration and keys; scrypt takes its time, off the async threads.
    pub(crate) async fn unlock(configured: &Configured) -> Result<(Config, Self), Failure> {
        let config = configured.load()?;
        let (asked, passphrase) = (config.clone(), configured.passphrase().clone());
        let loading = tokio::task::spawn_blocking(move || Self::load(&asked, &passphrase));
        Ok((config, loading.await??))
    }
}

fn remote_signer(config: &RemoteSignerConfig) -> Result<RemoteSigner, StartError> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let (url, runtime) = (config.url.clone(), tokio::runtime::Handle::current());
    // The signer is asked on threads that may block: the writer's, and those of spawn_blocking.
    Ok(RemoteSigner::new(config.address, move |request| {
        let request =
            client.post(&url).header("content-type", "application/json").body(request.to_vec());
        let answer = runtime.block_on(async { request.send().await?.bytes().await });
        answer.map(|bytes| bytes.to_vec()).map_err(std::io::Error::other)
    }))
}

/// A log that runs.
pub(crate) struct Node {
    pub(crate) service: Service,
    pub(crate) address: SocketAddr,
    pub(crate) metrics_address: Option<SocketAddr>,
    running: Running,
    anchoring: JoinHandle<()>,
    serving: JoinHandle<Result<(), ServerError>>,
    /// What the vault does by itself.
    tending: JoinHandle<()>,
    /// Sales, where there is a market.
    selling: Option<JoinHandle<()>>,
    /// Calls to many, where their contract is named.
    calling: Option<JoinHandle<()>>,
    stop: CancellationToken,
}

/// Starts a log, and serves its page. Returns once reports are taken.
pub(crate) async fn start(
    config: &Config,
    keys: Keys,
    demo: Option<Arc<dyn DemoRoutes>>,
) -> Result<Node, StartError> {
    match cross_check::start_up_self_test()? {
        Encoders::Two => tracing::info!("two encoders agree; every anchor is checked by both"),
        Encoders::One => tracing::warn!("built without cross-check: one encoder only"),
    }
    let operator = keys.operator.address();
    let log = config.log_of(operator);
    if keys.note.verifier().name != config.origin {
        let (found, origin) = (keys.note.verifier().name.clone(), config.origin.clone());
        return Err(StartError::NoteName { found, origin });
    }
    let finality = config.chain.finality_depth.map_or(Finality::Tag, Finality::Depth);
    let rpc = Rpc::new(&config.chain.rpc)?;
    let chain = Chain::new(rpc.clone(), config.chain.chain_id, config.chain.registry, finality);

    let Opened { store, key_file, directory, shelves } = {
        let (config, operator) = (config.clone(), operator);
        let opening = tokio::task::spawn_blocking(move || files::open(&config, operator));
        opening.await.map_err(|lost| JournalError::Storage(lost.to_string()))??
    };
    refuse_other_history(&store, &rpc, &chain, log).await?;
    if let Some(market) = &config.market {
        refuse_missing_markets(&rpc, market).await?;
    }

    let trust = trust_file(config, &keys, log, files::since_ms(&store)?);
    let note_key = keys.note.public_key();
    let notary = Arc::new(NotaryKeys::new(
        keys.note,
        keys.operator.clone(),
        log,
        config.chain.chain_id,
        config.chain.registry,
    ));
    let ports = anchorer::Ports {
        registry: chain,
        journal: store.clone(),
        outbox: store.clone(),
        notary: notary.clone(),
        courier: keys.operator,
    };
    let open = Call::Open {
        origin: config.origin.clone(),
        cold_key: config.chain.cold_key,
        note_key,
        anchor_within_s: config.chain.anchor_within_s,
    };
    let outbox = store.clone();
    let (anchorer, status) = Anchorer::new(ports, anchorer_config(config, log, open));
    let chain = Chain::new(rpc, config.chain.chain_id, config.chain.registry, finality);
    let permissions = Permissions { consents: Arc::new(OnChain::new(chain)), need };
    let setup = Setup {
        journal: store.clone(),
        outbox: store.clone(),
        keys: key_file,
        notary,
        trust,
        status,
        permissions,
        answer_within_ms: config.questions.answer_within_s * 1000,
        erasing: Erasing {
            wait_ms: config.erasure.wait_s.saturating_mul(1000),
            keep_ms: config.erasure.keep_access_s.saturating_mul(1000),
            records: Some(shelves.clone()),
            masters: Some(Arc::new(MasterFolder::new(&config.keys_dir, log))),
        },
        notices: notices(&config.notices, &config.public_url)?,
        sources: sources(&config.sources),
        now_ms,
    };
    let starting = tokio::task::spawn_blocking(move || supervise::start_with(setup, directory));
    let (service, running) =
        starting.await.map_err(|lost| JournalError::Storage(lost.to_string()))??;

    {
        let (config, service) = (config.clone(), service.clone());
        let telling = move || promises::tell(&config, &store, &service);
        match tokio::task::spawn_blocking(telling).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!("that the configuration changed is told at the next start: {error}");
            }
            Err(lost) => return Err(JournalError::Storage(lost.to_string()).into()),
        }
    }
    let vault = {
        let service = service.clone();
        let open = move || Vault::open(service, shelves, VaultLimits::default());
        let opening = tokio::task::spawn_blocking(open).await;
        opening.map_err(|lost| JournalError::Storage(lost.to_string()))??
    };
    let stop = CancellationToken::new();
    let tending = tokio::spawn(tend(vault.clone(), stop.clone()));
    let (sales, calls, selling) = match (&config.market, keys.relay) {
        (Some(market), Some(relay)) => {
            let (service, vault) = (service.clone(), vault.clone());
            let ground = Ground { service, vault, outbox, relay };
            let (sales, calls, settler) = selling::sales(config, market, ground)?;
            let poll = Duration::from_millis(config.chain.poll_ms);
            (Some(sales), calls, Some(tokio::spawn(settler.run(poll, stop.clone()))))
        }
        _ => (None, None, None),
    };
    let calling = calls.clone().map(|calls| {
        let poll = Duration::from_millis(config.chain.poll_ms);
        tokio::spawn(calls.run(poll, stop.clone()))
    });
    let extras = Extras { pages: Some(Arc::new(Embedded)), demo, vault: Some(vault), sales, calls };
    let server = Server::bind(service.clone(), server_options(config), extras)?;
    let (address, metrics_address) = (server.addr(), server.metrics_addr());
    let serving = tokio::spawn(server.run(stop.clone()));
    let poll = Duration::from_millis(config.chain.poll_ms);
    let anchoring = tokio::spawn(anchorer.run(poll, || now_ms() / 1000, stop.clone()));
    Ok(Node {
        service,
        address,
        metrics_address,
        running,
        anchoring,
        serving,
        tending,
        selling,
        calling,
        stop,
    })
}

/// How often the vault looks whether something is unfinished or too old.
const TEND: Duration = Duration::from_secs(10);

async fn tend(vault: Vault, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(TEND)).await.is_some() {
        let vault = vault.clone();
        match tokio::task::spawn_blocking(move || vault.tick()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the vault cannot be looked after: {error}"),
            Err(lost) => tracing::error!("the vault was not looked after: {lost}"),
        }
    }
}

impl Node {
    /// Runs until `quit` resolves or the log cannot go on; then lets everything end in order.
    pub(crate) async fn run_until(self, quit: impl Future<Output = ()>) -> Result<(), Failure> {
        let lost = tokio::select! {
            () = quit => false,
            () = self.running.ended() => false,
            () = self.a_part_ended() => true,
        };
        self.stop().await?;
        match lost {
            true => Err(Failure::new("the server or the anchorer ended by itself: start anew")),
            false => Ok(()),
        }
    }

    /// Resolves when the server or the anchorer has ended although nobody asked.
    async fn a_part_ended(&self) {
        while !self.serving.is_finished() && !self.anchoring.is_finished() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Takes no more requests, makes durable what waits, and ends.
    pub(crate) async fn stop(self) -> Result<(), SequencerError> {
        self.stop.cancel();
        let _ = self.serving.await;
        let _ = self.anchoring.await;
        let _ = self.tending.await;
        for trading in [self.selling, self.calling].into_iter().flatten() {
            let _ = trading.await;
        }
        let running = self.running;
        drop(self.service);
        match tokio::task::spawn_blocking(move || running.stop()).await {
            Ok(outcome) => outcome,
            Err(lost) => Err(SequencerError::Contradiction(lost.to_string())),
        }
    }
}

fn anchorer_config(config: &Config, log: B256, open: Call) -> anchorer::Config {
    anchorer::Config {
        log,
        origin: config.origin.clone(),
        open: Some(open),
        since_block: 0,
        interval_s: config.chain.anchor_interval_s,
        entries_max: config.chain.anchor_entries_max,
        limits: Limits::with_fee_cap(u128::from(config.chain.fee_cap_gwei) * 1_000_000_000),
    }
}

fn server_options(config: &Config) -> ServerOptions {
    ServerOptions {
        public_url: config.public_url.clone(),
        listen: config.listen,
        metrics_listen: config.metrics_listen,
        body_bytes_max: config.limits.body_bytes_max,
        batch_reports_max: config.limits.batch_reports_max,
        ..ServerOptions::default()
    }
}

/// A chain that knows more of the log than the disk does means that an old backup was restored:
/// going on would fork the log. Where the chain is silent, only the machine that had the log last
/// may go on.
async fn refuse_other_history(
    store: &Arc<Store>,
    rpc: &Rpc,
    chain: &Chain,
    log: B256,
) -> Result<(), StartError> {
    const NAME: &str = "machine_id";
    let here = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let here = here.trim().as_bytes();
    let (tail, machine) = (store.tail()?, store.meta(NAME)?);
    match anchored_head(rpc, chain, log).await {
        Ok(head) if head.size > tail.size => {
            return Err(StartError::OldBackup { on_chain: head.size, on_disk: tail.size });
        }
        Ok(head) if head.count > 0 && !holds(store, chain, log, head).await? => {
            return Err(StartError::Forked { size: head.size });
        }
        Err(error) if machine.as_deref().is_some_and(|last| last != here) => {
            return Err(StartError::OtherMachine(error));
        }
        Err(error) => {
            tracing::warn!("the chain cannot be read; entries are taken all the same: {error}");
        }
        Ok(_) => {}
    }
    if machine.as_deref() != Some(here) {
        store.set_meta(NAME, here)?;
    }
    Ok(())
}

/// What is named in the configuration is where this build's code goes by CREATE2: only code that was
/// made of it can stand there. Where the chain is silent, sales and calls wait.
async fn refuse_missing_markets(rpc: &Rpc, market: &MarketConfig) -> Result<(), StartError> {
    for (MarketField { name, contract, out }, at) in market.contracts() {
        match rpc.has_code(at).await {
            Ok(true) => {}
            Ok(false) => return Err(StartError::NoMarket { contract, field: name, at, out }),
            Err(error) => {
                tracing::warn!(
                    "whether there is a {contract:?} at {at} could not be seen: {error}"
                );
            }
        }
    }
    Ok(())
}

/// The registry's head of the log, from the configured chain: any other knows nothing of the log,
/// which would look like a log without anchors.
async fn anchored_head(rpc: &Rpc, chain: &Chain, log: B256) -> Result<LogHead, RegistryError> {
    let (expected, found) = (chain.chain_id(), rpc.chain_id().await?);
    if found != expected {
        return Err(RegistryError::WrongChain { expected, found });
    }
    chain.log_head(log, At::Latest).await
}

/// Whether the anchored head is a head of what stands on this disk. If the chain falls silent in
/// between, the anchorer asks again before it sends anything.
async fn holds(
    store: &Arc<Store>,
    chain: &Chain,
    log: B256,
    head: LogHead,
) -> Result<bool, StartError> {
    let store = store.clone();
    let reading = tokio::task::spawn_blocking(move || {
        TileReader::new(|id| store.tile(id)).root(head.size).map_err(|error| error.to_string())
    });
    let root = reading.await.unwrap_or_else(|lost| Err(lost.to_string()));
    let root = root.map_err(JournalError::Damaged)?;
    let anchor =
        Anchor { number: head.count, size: head.size, root: B256::from(root), time_s: head.time_s };
    match chain.living(log, &anchor, At::Latest).await {
        Ok(lives) => Ok(lives),
        Err(error) => {
            tracing::warn!("the newest anchor could not be compared: {error}");
            Ok(true)
        }
    }
}

fn trust_file(config: &Config, keys: &Keys, log: B256, from_ms: u64) -> TrustFile {
    TrustFile {
        version: trust::VERSION.to_owned(),
        chain_id: config.chain.chain_id,
        registry: config.chain.registry,
        log,
        origin: config.origin.clone(),
        operator: Operator {
            name: config.operator.name.clone(),
            domain: config.operator.domain.clone(),
            note_key: keys.note.verifier().to_string(),
            keys: vec![Key { address: keys.operator.address(), from_ms, until_ms: None }],
        },
        organisations: config.organisations.clone(),
    }
}
