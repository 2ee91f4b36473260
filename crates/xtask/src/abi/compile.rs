//! Drives solc through foundry-compilers, with the settings that forge itself would use.

use std::fmt::Display;

use foundry_compilers::artifacts::remappings::Remapping;
use foundry_compilers::artifacts::{
    Ast, ConfigurableContractArtifact, Settings, SettingsMetadata, SolcLanguage,
};
use foundry_compilers::solc::{Solc, SolcCompiler, SolcSettings};
use foundry_compilers::{ArtifactId, ConfigurableArtifacts, ProjectBuilder, ProjectPathsConfig};
use serde::{Deserialize, Serialize};

use crate::generated::Files;
use crate::step::{Failure, Result, root};
use crate::tools::Tools;

/// What is deployed.
const PROFILE: &str = "release";

/// The part of foundry.toml that decides the bytecode, as forge resolves it: profiles inherit.
#[derive(Deserialize)]
struct Config {
    src: String,
    libs: Vec<String>,
    remappings: Vec<String>,
    solc: String,
    evm_version: String,
    optimizer: bool,
    optimizer_runs: usize,
    via_ir: bool,
    bytecode_hash: String,
    cbor_metadata: bool,
}

#[derive(Serialize)]
struct ContractFile<'a, Abi> {
    abi: &'a Abi,
    bytecode: String,
}

/// Compiles contracts/ and renders a file for each contract; libraries, interfaces and abstract
/// contracts are nothing that can be deployed or called.
pub(super) fn contracts(tools: &Tools) -> Result<Files> {
    let json = (tools.forge("read foundry.toml"))
        .args(["config", "--json"])
        .env("FOUNDRY_PROFILE", PROFILE)
        .or("mend foundry.toml")
        .read()?;
    let config: Config = serde_json::from_str(&json).map_err(failed)?;

    // By its absolute path: foundry-compilers starts it in another folder.
    let solc = Solc::new(root().join(&config.solc)).map_err(failed)?;
    let project = ProjectBuilder::<SolcCompiler>::new(ConfigurableArtifacts::default())
        .paths(paths(&config)?)
        .settings(SolcSettings { settings: settings(&config)?, ..SolcSettings::default() })
        .offline()
        .build(SolcCompiler::Specific(solc))
        .map_err(failed)?;
    let output = project.compile().map_err(failed)?;
    if output.has_compiler_errors() {
        return Err(failed(&output));
    }

    let sources = root().join(&config.src);
    let mut files = Files::new();
    for (id, artifact) in output.artifact_ids() {
        if id.source.starts_with(&sources)
            && is_contract(&id, artifact.ast.as_ref())
            && let Some(text) = render(&id, artifact)?
        {
            files.insert(format!("{}.json", id.name), text);
        }
    }
    Ok(files)
}

fn paths(config: &Config) -> Result<ProjectPathsConfig<SolcLanguage>> {
    let generated = root().join("target/foundry");
    let mut remappings = Vec::new();
    for remapping in &config.remappings {
        let mut remapping: Remapping = remapping.parse().map_err(failed)?;
        remapping.path = root().join(&remapping.path).to_string_lossy().into_owned();
        remappings.push(remapping);
    }
    ProjectPathsConfig::builder()
        .root(root())
        .sources(root().join(&config.src))
        .libs(config.libs.iter().map(|lib| root().join(lib)))
        .remappings(remappings)
        .artifacts(generated.join("abi"))
        .cache(generated.join("abi-cache.json"))
        .build_infos(generated.join("abi-build-info"))
        .build()
        .map_err(failed)
}

/// Every setting that changes the bytecode is set here: the defaults of two tools may differ.
fn settings(config: &Config) -> Result<Settings> {
    let mut settings = Settings::default().with_ast();
    settings.optimizer.enabled = Some(config.optimizer);
    settings.optimizer.runs = Some(config.optimizer_runs);
    settings.via_ir = Some(config.via_ir);
    settings.evm_version = Some(config.evm_version.parse().map_err(failed)?);
    let hash = config.bytecode_hash.parse().map_err(failed)?;
    settings.metadata = Some(SettingsMetadata::new(hash, config.cbor_metadata));
    Ok(settings)
}

fn is_contract(id: &ArtifactId, ast: Option<&Ast>) -> bool {
    let definitions = ast.map(|ast| ast.nodes.as_slice()).unwrap_or_default();
    definitions.iter().any(|node| {
        let says =
            |field: &str, value: &str| node.other.get(field).is_some_and(|found| found == value);
        says("name", &id.name) && says("contractKind", "contract")
    })
}

/// None for an abstract contract, which has no bytecode.
fn render(id: &ArtifactId, artifact: &ConfigurableContractArtifact) -> Result<Option<String>> {
    let (Some(abi), Some(bytecode)) = (&artifact.abi, &artifact.bytecode) else {
        return Ok(None);
    };
    let Some(bytes) = bytecode.object.as_bytes() else {
        return Err(Failure::new(
            format!("{} calls a library that must be linked", id.name),
            "make the library's functions internal",
        ));
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    let file = ContractFile { abi, bytecode: bytes.to_string() };
    let mut text = serde_json::to_string_pretty(&file).map_err(failed)?;
    text.push('\n');
    Ok(Some(text))
}

fn failed(error: impl Display) -> Failure {
    Failure::new(error.to_string(), "mend contracts/, foundry.toml or anvil/solc.cjs")
}
