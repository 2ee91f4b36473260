//! The proofs of a call's deliveries: one entry for each seller in the file.

use crate::exit::Failure;
use crate::render::harmless;
use crate::session::Session;
use alloy_primitives::B256;
use medtrail_ledger::proof::Proof;
use medtrail_market::cohort::manifest::SELLERS_MAX;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

const VERSION: &str = "medtrail/call-proofs-v1";
/// At most what 10,000 proofs of a large log have.
const BYTES_MAX: u64 = 512 << 20;
/// Proofs asked for at once.
const PAGE: usize = 100;

/// `medtrail/call-proofs-v1`.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::commands) struct Proofs {
    version: String,
    pub(in crate::commands) proofs: Vec<Proof>,
    next: Option<String>,
}

/// Why a list of proofs is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("version: is {0:?}, this reads {VERSION:?}")]
    Version(String),
    #[error("it is of more sellers than a call has")]
    TooMany,
    #[error("its pages are of several files: they were made anew meanwhile")]
    Mixed,
    #[error("it has no proof")]
    None,
}

impl Proofs {
    /// Of which file they are; all of one.
    fn file(&self) -> Result<B256, Fault> {
        if self.version != VERSION {
            return Err(Fault::Version(harmless(&self.version)));
        }
        if self.proofs.len() > SELLERS_MAX {
            return Err(Fault::TooMany);
        }
        let mut files = self.proofs.iter().map(|proof| proof.report.toVersion);
        let first = files.next().ok_or(Fault::None)?;
        if files.all(|file| file == first) { Ok(first) } else { Err(Fault::Mixed) }
    }
}

/// The proofs in a file.
pub(in crate::commands) fn read(path: &Path) -> Result<Proofs, Failure> {
    let named = |words: String| {
        Failure::new(format!("{}: no proofs of a call: {}", path.display(), harmless(&words)))
    };
    let file = File::open(path).map_err(|error| named(error.to_string()))?;
    let proofs: Proofs = serde_json::from_reader(BufReader::new(file.take(BYTES_MAX)))
        .map_err(|error| named(error.to_string()))?;
    proofs.file().map_err(|fault| named(fault.to_string()))?;
    Ok(proofs)
}

/// Of which file the proofs in this file are, and of how many sellers; none: it cannot be read.
pub(super) fn of_file(path: &Path) -> Option<(B256, u32)> {
    let proofs = read(path).ok()?;
    Some((proofs.file().ok()?, u32::try_from(proofs.proofs.len()).ok()?))
}

/// Asks for all pages; their bytes as one list.
pub(super) async fn fetch(session: &Session, id: B256) -> Result<Vec<u8>, Failure> {
    let mut all = Proofs { version: VERSION.to_owned(), proofs: Vec::new(), next: None };
    let mut before: Option<String> = None;
    loop {
        let path = page(id, before.as_deref())?;
        let bytes = session.open_stream(&path).await?.bytes().await?;
        let page: Proofs = serde_json::from_slice(&bytes).map_err(|error| {
            let error = harmless(&error.to_string());
            Failure::new(format!("the service's proofs cannot be read: {error}"))
        })?;
        let Proofs { version, proofs, next } = page;
        let is_empty = proofs.is_empty();
        all.version = version;
        all.proofs.extend(proofs);
        all.file().map_err(|fault| Failure::new(format!("the service's proofs: {fault}")))?;
        match next {
            // A page without anything would be asked for without end.
            Some(next) if !is_empty => before = Some(next),
            _ => break,
        }
    }
    Ok(serde_json::to_vec(&all)?)
}

fn page(id: B256, before: Option<&str>) -> Result<String, Failure> {
    let limit = PAGE.to_string();
    let named = [("before", before), ("limit", Some(limit.as_str()))];
    let named = named.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let url = reqwest::Url::parse_with_params("http://service/", named)
        .map_err(|error| Failure::new(error.to_string()))?;
    Ok(format!("/v1/calls/{id}/proofs?{}", url.query().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROOF: &[u8] = include_bytes!("../../../../../tests/data/formats/proof-v1.json");

    fn proofs(files: &[u8]) -> Proofs {
        let proof = Proof::parse(PROOF).unwrap();
        let of = |byte: &u8| {
            let mut proof = proof.clone();
            proof.report.toVersion = B256::repeat_byte(*byte);
            proof
        };
        let proofs = files.iter().map(of).collect();
        Proofs { version: VERSION.to_owned(), proofs, next: None }
    }

    #[test]
    fn proofs_of_two_files_are_never_one_list() {
        assert_eq!(proofs(&[1, 1]).file(), Ok(B256::repeat_byte(1)));
        assert_eq!(proofs(&[1, 2]).file(), Err(Fault::Mixed));
        assert_eq!(proofs(&[]).file(), Err(Fault::None));
        let newer = Proofs { version: "medtrail/call-proofs-v2".into(), ..proofs(&[1]) };
        assert!(matches!(newer.file(), Err(Fault::Version(_))));
    }

    #[test]
    fn what_was_kept_is_read_again_and_what_was_cut_off_is_none() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("proofs.json");
        let bytes = serde_json::to_vec(&proofs(&[7, 7])).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(of_file(&path), Some((B256::repeat_byte(7), 2)));
        std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        assert_eq!(of_file(&path), None);
        assert_eq!(of_file(&home.path().join("none")), None);
    }

    #[test]
    fn a_cursor_is_a_value_and_nothing_else() {
        let path = page(B256::ZERO, Some("a&limit=9")).unwrap_or_default();
        assert!(path.ends_with("/proofs?before=a%26limit%3D9&limit=100"), "{path}");
    }
}
