//! Configuration: `medtrail.toml`, then `MEDTRAIL__…` variables, then flags.

use alloy_primitives::{Address, B256};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use medtrail_chain::Contract;
use medtrail_ledger::schema::log_id;
use medtrail_ledger::trust::Organisation;
use medtrail_market::cohort::delivery::MARGIN_S;
use medtrail_oracle::erasure::{KEEP_MS, WAIT_MS};
use medtrail_oracle::sales::{Rule, WITHDRAWAL_MS};
use medtrail_oracle::sources::{EVERY_MS, LOST_AFTER};
use medtrail_permit::sale::check::Windows;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A month, extended by two (GDPR Art. 12(3)).
const ANSWER_WITHIN_S_MAX: u64 = 90 * 24 * 3600;

/// Everything a log needs to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where others reach this service.
    pub(crate) public_url: String,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Where it answers `/metrics`, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// The log.
    pub(crate) data_dir: PathBuf,
    /// Its keys, on another disk and in other backups.
    pub(crate) keys_dir: PathBuf,
    /// The log's name: host and path, without a scheme. Fixed at first start.
    pub(crate) origin: String,
    pub(crate) operator: OperatorConfig,
    pub(crate) chain: ChainConfig,
    #[serde(default)]
    pub(crate) limits: LimitsConfig,
    #[serde(default)]
    pub(crate) questions: QuestionsConfig,
    #[serde(default)]
    pub(crate) erasure: ErasureConfig,
    #[serde(default)]
    pub(crate) notices: NoticesConfig,
    #[serde(default)]
    pub(crate) sources: SourcesConfig,
    /// Sales. Without it, nothing is sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) market: Option<MarketConfig>,
    /// Who reports here.
    #[serde(default)]
    pub(crate) organisations: Vec<Organisation>,
}

/// Who runs the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperatorConfig {
    pub(crate) name: String,
    pub(crate) domain: String,
    /// A signer on another machine holds the key; without it, `operator.json` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remote_signer: Option<RemoteSignerConfig>,
}

/// A signer that speaks JSON-RPC (`eth_signTransaction`, `eth_signTypedData`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteSignerConfig {
    pub(crate) url: String,
    pub(crate) address: Address,
}

/// The chain the log is anchored on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChainConfig {
    /// JSON-RPC endpoints: written to all, read from one at a time.
    pub(crate) rpc: Vec<String>,
    pub(crate) chain_id: u64,
    /// AnchorRegistry; by default where `medtrail deploy` puts it on every chain.
    #[serde(default = "anchor_registry")]
    pub(crate) registry: Address,
    /// May replace the operator's key and close the log. Its key is never on this machine.
    pub(crate) cold_key: Address,
    /// The longest time to an anchor that the log promises, in seconds; on chain.
    #[serde(default = "anchor_within_s")]
    pub(crate) anchor_within_s: u32,
    #[serde(default = "anchor_interval_s")]
    pub(crate) anchor_interval_s: u64,
    #[serde(default = "anchor_entries_max")]
    pub(crate) anchor_entries_max: u64,
    #[serde(default = "fee_cap_gwei")]
    pub(crate) fee_cap_gwei: u64,
    /// Time between two looks at the chain, in milliseconds.
    #[serde(default = "poll_ms")]
    pub(crate) poll_ms: u64,
    /// Blocks to finality on a chain without the `finalized` tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) finality_depth: Option<u64>,
}

fn anchor_registry() -> Address {
    Contract::AnchorRegistry.address()
}

fn anchor_within_s() -> u32 {
    3600
}
fn anchor_interval_s() -> u64 {
    600
}
fn anchor_entries_max() -> u64 {
    65_536
}
fn fee_cap_gwei() -> u64 {
    200
}
fn poll_ms() -> u64 {
    4000
}

/// Limits of what is taken in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    pub(crate) body_bytes_max: usize,
    pub(crate) batch_reports_max: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { body_bytes_max: 262_144, batch_reports_max: 1000 }
    }
}

/// Questions that people ask about their lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct QuestionsConfig {
    /// How long an organisation has for an answer, in seconds: a month (GDPR Art. 12(3)) as 30 days.
    pub(crate) answer_within_s: u64,
}

impl Default for QuestionsConfig {
    fn default() -> Self {
        Self { answer_within_s: medtrail_oracle::inquiries::ANSWER_WITHIN_MS / 1000 }
    }
}

/// How what people ask to be erased is erased.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ErasureConfig {
    /// From asking to erasing, in seconds. People read "30 days" in what they sign.
    pub(crate) wait_s: u64,
    /// For how long what organisations reported is kept at least, in seconds.
    pub(crate) keep_access_s: u64,
}

impl Default for ErasureConfig {
    fn default() -> Self {
        Self { wait_s: WAIT_MS / 1000, keep_access_s: KEEP_MS / 1000 }
    }
}

/// How people are told that something happened. Without it, nobody is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NoticesConfig {
    /// The relay: `smtps://user:password@host`, or `smtp://host:port?tls=required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) smtp_url: Option<String>,
    /// In the place of a relay, a folder that mail is written into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mail_folder: Option<PathBuf>,
    /// The sender of mail: `Medtrail <notices@log.example>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// Whether webhooks are sent.
    pub(crate) webhooks: bool,
    /// Also to this machine, by http: for a demo.
    pub(crate) webhooks_to_loopback: bool,
    /// How long a mail waits for what else comes, in seconds.
    pub(crate) gather_s: u64,
}

impl Default for NoticesConfig {
    fn default() -> Self {
        Self {
            smtp_url: None,
            mail_folder: None,
            from: None,
            webhooks: false,
            webhooks_to_loopback: false,
            gather_s: 60,
        }
    }
}

/// A field that names a contract which buyers pay.
pub(crate) struct MarketField {
    pub(crate) name: &'static str,
    pub(crate) contract: Contract,
    /// What is left out where there is no such contract.
    pub(crate) out: &'static str,
}

const DATA_MARKET: MarketField =
    MarketField { name: "market.contract", contract: Contract::DataMarket, out: "[market]" };
const COHORT_MARKET: MarketField = MarketField {
    name: "market.cohort_contract",
    contract: Contract::CohortMarket,
    out: "market.cohort_contract",
};

/// What may be sold, and through which contract.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarketConfig {
    /// DataMarket; by default where `medtrail deploy` puts it on every chain.
    #[serde(default = "data_market")]
    pub(crate) contract: Address,
    /// `off`, `de-identified` or `on`, where nothing else is said.
    #[serde(default)]
    pub(crate) default: Rule,
    /// The same by country of the seller (ISO 3166-1 alpha-2).
    #[serde(default)]
    pub(crate) countries: BTreeMap<String, Rule>,
    /// Seconds that an order must leave until it is to be delivered.
    #[serde(default = "delivery_s_min")]
    pub(crate) delivery_s_min: u64,
    /// Seconds that it must leave after that.
    #[serde(default = "grace_s_min")]
    pub(crate) grace_s_min: u64,
    /// Seconds that a buyer has to say that what was delivered is deleted.
    #[serde(default = "withdrawal_s")]
    pub(crate) withdrawal_s: u64,
    /// CohortMarket. Without it, no calls to many are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cohort_contract: Option<Address>,
    /// Seconds before a call is to be delivered at which its places are closed and its file is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cohort_margin_s: Option<u64>,
}

impl MarketConfig {
    /// The contracts that it names.
    pub(crate) fn contracts(&self) -> impl Iterator<Item = (MarketField, Address)> {
        let calls = self.cohort_contract.map(|at| (COHORT_MARKET, at));
        calls.into_iter().chain([(DATA_MARKET, self.contract)])
    }

    pub(crate) fn cohort_margin_s(&self) -> u64 {
        self.cohort_margin_s.unwrap_or(MARGIN_S)
    }
}

fn data_market() -> Address {
    Contract::DataMarket.address()
}
fn delivery_s_min() -> u64 {
    Windows::DEFAULT.delivery_s_min
}
fn withdrawal_s() -> u64 {
    WITHDRAWAL_MS / 1000
}
fn grace_s_min() -> u64 {
    Windows::DEFAULT.grace_s_min
}

/// How the places where records are kept are asked whether they still are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SourcesConfig {
    /// The time between two askings of one source, in seconds.
    pub(crate) every_s: u64,
    /// After how many in vain, one after the other, it is told to be lost.
    pub(crate) lost_after: u32,
    /// How long one asking may take, in seconds.
    pub(crate) timeout_s: u64,
    /// Bytes that are read of an answer.
    pub(crate) bytes_max: u64,
    /// Also on this machine, by http: for a demo.
    pub(crate) to_loopback: bool,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        Self {
            every_s: EVERY_MS / 1000,
            lost_after: LOST_AFTER,
            timeout_s: 20,
            bytes_max: 64 << 20,
            to_loopback: false,
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("no configuration at {0}: write one (docs/for-operators.md), or name it with --config")]
    Absent(PathBuf),
    #[error("there is no log in {}: correct data_dir, or --data-dir", .0.display())]
    NoLog(PathBuf),
    #[error("configuration: {0}")]
    Figment(Box<figment::Error>),
    #[error("configuration: {0}")]
    Rule(String),
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        Self::Figment(Box::new(error))
    }
}

/// Flags that outrank the file.
#[derive(Clone, Debug, Default, Serialize, clap::Args)]
pub(crate) struct Overrides {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    /// The folder of the log
    #[arg(long, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// The folder of the keys
    #[arg(long, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keys_dir: Option<PathBuf>,
}

impl Config {
    pub(crate) fn load(file: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        if !file.exists() {
            return Err(ConfigError::Absent(file.to_owned()));
        }
        let config: Self = Figment::from(Toml::file_exact(file))
            .merge(Env::prefixed("MEDTRAIL__").split("__"))
            .merge(Serialized::defaults(overrides))
            .extract()?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let rule = |broken: bool, text: &str| match broken {
            true => Err(ConfigError::Rule(text.to_owned())),
            false => Ok(()),
        };
        rule(
            !medtrail_ledger::note::is_key_name(&self.origin) || self.origin.contains("://"),
            "origin is the log's name: a host and perhaps a path, without scheme, blanks or +",
        )?;
        rule(self.chain.rpc.is_empty(), "chain.rpc names at least one JSON-RPC endpoint")?;
        rule(self.chain.cold_key.is_zero(), "chain.cold_key is the address of a key kept offline")?;
        rule(
            self.chain.anchor_interval_s > u64::from(self.chain.anchor_within_s),
            "chain.anchor_interval_s is longer than chain.anchor_within_s, which is promised",
        )?;
        let is_country =
            |code: &String| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        rule(
            !self.market.iter().flat_map(|market| market.countries.keys()).all(is_country),
            "market.countries names countries by two capital letters (ISO 3166-1): EE",
        )?;
        if let Some(market) = &self.market {
            for (field, found) in market.contracts() {
                self.check_market(&field, found)?;
            }
            rule(
                market.cohort_contract.is_some()
                    && market.cohort_margin_s() >= market.delivery_s_min,
                "market.cohort_margin_s is shorter than market.delivery_s_min: else a call could \
                 be closed as soon as the first person accepts it",
            )?;
        }
        rule(
            !(1..=ANSWER_WITHIN_S_MAX).contains(&self.questions.answer_within_s),
            "questions.answer_within_s is from 1 second to 90 days: a month and the two by which \
             the law lets it be extended",
        )
    }

    /// An address that is none of this build's could be any code, and buyers pay it.
    fn check_market(&self, field: &MarketField, found: Address) -> Result<(), ConfigError> {
        let MarketField { name, contract, out } = *field;
        let (own, registry) = (contract.address(), anchor_registry());
        if found != own {
            return Err(ConfigError::Rule(format!(
                "{name} is {found}; the {contract:?} of this program is at {own} on every chain \
                 (`medtrail deploy` puts it there). Write that, or leave the field out"
            )));
        }
        if self.chain.registry != registry {
            return Err(ConfigError::Rule(format!(
                "{name} pays for what {registry} anchors, and chain.registry is {}: nobody could be \
                 paid. Leave {out} out",
                self.chain.registry
            )));
        }
        Ok(())
    }

    /// The log's id, once it is known who opens it.
    pub(crate) fn log_of(&self, operator: Address) -> B256 {
        log_id(self.chain.chain_id, self.chain.registry, operator, &self.origin)
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        self.data_dir.join("log")
    }

    /// The folder of a log that is there. Opening the store would make a new one in a mistyped
    /// folder, and a check of that finds nothing wrong.
    pub(crate) fn existing_log_dir(&self) -> Result<PathBuf, ConfigError> {
        let folder = self.log_dir();
        let has_files = ["head.redb", "log.redb"].iter().any(|name| folder.join(name).exists());
        has_files.then_some(folder).ok_or_else(|| ConfigError::NoLog(self.log_dir()))
    }
}
