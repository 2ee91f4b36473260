//! What cargo knows about this workspace.

use std::collections::BTreeMap;
use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

use serde::Deserialize;

use crate::step::{Failure, Result, Step};

/// The part of `cargo metadata` that is used here.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    /// `[workspace.metadata]`
    #[serde(rename = "metadata")]
    pub(crate) rules: Rules,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// None for a normal dependency, else "dev" or "build".
    pub(crate) kind: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Rules {
    pub(crate) arrows: Arrows,
    pub(crate) licences: Licences,
}

/// `[workspace.metadata.arrows]`: crate -> what it may depend on directly.
#[derive(Deserialize)]
pub(crate) struct Arrows {
    /// Libraries that must stay where they are named.
    pub(crate) fenced: Vec<String>,
    /// Crates of ours that may depend on anything, because nothing is built on them.
    pub(crate) unbound: Vec<String>,
    pub(crate) allowed: BTreeMap<String, Vec<String>>,
}

/// `[workspace.metadata.licences]`
#[derive(Deserialize)]
pub(crate) struct Licences {
    /// SPDX identifiers, an exception written with its licence.
    pub(crate) allowed: Vec<String>,
    /// Package -> why it is used although its licence is not in the list.
    pub(crate) exceptions: BTreeMap<String, String>,
}

impl Workspace {
    pub(crate) fn read() -> Result<Self> {
        let json = Step::cargo("read the workspace")
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .or("mend Cargo.toml")
            .read()?;
        serde_json::from_str(&json).map_err(|error| {
            Failure::new(format!("[workspace.metadata] of Cargo.toml: {error}"), "mend Cargo.toml")
        })
    }

    /// Where `cargo build` puts a binary.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target_directory.join("debug").join(format!("{name}{EXE_SUFFIX}"))
    }
}
