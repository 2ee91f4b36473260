//! A call's folder: the call before anything is paid, and what comes of it. Private to its owner, for
//! what is opened in it is about people.

use super::next::Held;
use super::proofs;
use crate::commands::buy::Purchase;
use crate::commands::buy::fetch::{DELIVERY, sha256};
use crate::commands::calls::read_call;
use crate::exit::Failure;
use alloy_primitives::B256;
use medtrail_keys::file;
use medtrail_permit::dataset::{DATASET_BYTES_MAX, Dataset};
use medtrail_permit::sale::Cohort;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The call as it was opened.
pub(in crate::commands) const CALL: &str = "call.json";
/// The description of what was called for.
pub(in crate::commands) const DATASET: &str = "dataset.json";
/// The proofs of all entries.
pub(in crate::commands) const PROOFS: &str = "proofs.json";
/// What was signed, by each seller in the file.
pub(in crate::commands) const CONSENTS: &str = "consents.json";
/// What the check of it all found.
pub(in crate::commands) const REPORT: &str = "report.json";
/// The opened files.
pub(in crate::commands) const DATA: &str = "data";

/// The folder of one call.
pub(crate) struct CallFolder {
    kept: Purchase,
    /// Hashes of the large files as they were when they were read last.
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    file: Option<(Stamp, B256)>,
    proofs: Option<(Stamp, Option<(B256, u32)>)>,
}

/// A file that has not changed has the same one.
type Stamp = (u64, Option<SystemTime>);

impl CallFolder {
    /// At this folder, whether or not it is there.
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { kept: Purchase::at(folder), read: Mutex::default() }
    }

    pub(super) fn kept(&self) -> &Purchase {
        &self.kept
    }

    pub(super) fn folder(&self) -> &Path {
        self.kept.folder()
    }

    pub(super) fn call_file(&self) -> PathBuf {
        self.kept.path(CALL)
    }

    /// The call of an earlier run, and what it asks for; none: there was none.
    pub(super) fn call(&self) -> Result<Option<(Cohort, Dataset)>, Failure> {
        let path = self.call_file();
        if !path.exists() {
            return Ok(None);
        }
        let cohort = read_call(&path)?;
        let path = self.kept.path(DATASET);
        let bytes = file::read(&path, DATASET_BYTES_MAX as u64)?;
        let dataset = Dataset::parse(&bytes)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        match dataset.id() == cohort.terms.dataset {
            true => Ok(Some((cohort, dataset))),
            false => {
                let path = path.display();
                Err(Failure::new(format!("{path} is not the description that the call names")))
            }
        }
    }

    /// Keeps a call, durably, before it is paid. The call's file comes last: with it all is there.
    pub(super) fn begin(&self, cohort: &Cohort, dataset: &Dataset) -> Result<(), Failure> {
        self.kept.make()?;
        self.kept.replace(DATASET, &dataset.bytes())?;
        file::create(&self.call_file(), &serde_json::to_vec_pretty(cohort)?)?;
        Ok(())
    }

    /// What stands in it. Whatever has another hash than is wanted is as good as nothing.
    pub(super) fn held(&self) -> Held {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let Read { file, proofs } = &mut *read;
        Held {
            file: known(&self.kept.path(DELIVERY), file, |path| sha256(path).ok()),
            proofs: known(&self.kept.path(PROOFS), proofs, |path| Some(proofs::of_file(path)))
                .flatten(),
            opened: self.kept.path(DATA).exists(),
        }
    }
}

/// What `look` finds in a file; it looks again only where the file changed.
fn known<T: Copy>(
    path: &Path,
    before: &mut Option<(Stamp, T)>,
    look: impl FnOnce(&Path) -> Option<T>,
) -> Option<T> {
    let stamp = fs::metadata(path).ok().map(|told| (told.len(), told.modified().ok()))?;
    if let Some((then, found)) = before
        && *then == stamp
    {
        return Some(*found);
    }
    let found = look(path)?;
    *before = Some((stamp, found));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_ledger::entry::details_hash;
    use medtrail_permit::dataset::{Form, Origin};
    use medtrail_permit::sale::Terms;
    use std::os::unix::fs::PermissionsExt;

    fn dataset() -> Dataset {
        Dataset::new("patient/*.rs", vec![], 0, 60, Form::AsItIs, Origin::Signed).unwrap()
    }

    fn cohort(salt: u8) -> Cohort {
        let terms = Terms { dataset: dataset().id(), ..Terms::default() };
        Cohort { terms, salt: [salt; 32].into(), ..Cohort::default() }
    }

    #[test]
    fn a_call_that_was_kept_is_never_replaced_by_another() {
        let home = tempfile::tempdir().unwrap();
        let folder = CallFolder::at(home.path().join("a/b"));
        assert!(matches!(folder.call(), Ok(None)));
        assert!(folder.begin(&cohort(1), &dataset()).is_ok());
        assert!(folder.begin(&cohort(2), &dataset()).is_err());
        let kept = folder.call().unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(kept.map(|(cohort, _)| cohort), Some(cohort(1)));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder.folder()), mode(&folder.call_file())), (0o700, 0o600));
    }

    #[test]
    fn a_damaged_call_is_told_and_not_paid_for_anew() {
        let home = tempfile::tempdir().unwrap();
        let folder = CallFolder::at(home.path().join("a"));
        assert!(folder.begin(&cohort(1), &dataset()).is_ok());
        fs::write(folder.kept.path(DATASET), b"{}").unwrap();
        assert!(folder.call().is_err());
        fs::write(folder.call_file(), b"{").unwrap();
        assert!(folder.call().is_err());
    }

    #[test]
    fn a_file_that_changed_is_read_again_and_proofs_that_cannot_be_read_are_none() {
        let home = tempfile::tempdir().unwrap();
        let folder = CallFolder::at(home.path().to_owned());
        assert_eq!(folder.held(), Held::default());
        let write = |name: &str, bytes: &[u8]| fs::write(home.path().join(name), bytes).unwrap();
        write(DELIVERY, b"one");
        write(PROOFS, b"{");
        assert_eq!(folder.held().file, Some(details_hash(b"one")));
        assert_eq!(folder.held().proofs, None);
        write(DELIVERY, b"other");
        assert_eq!(folder.held().file, Some(details_hash(b"other")));
    }
}
