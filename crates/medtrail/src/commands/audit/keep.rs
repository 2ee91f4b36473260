//! Keeps the first fault in a file, with hashes that a stranger can follow.

use super::folder::Folder;
use alloy_primitives::B256;
use medtrail_ledger::audit::evidence::{AuditEvidence, TreePath};
use medtrail_ledger::audit::{Fault, Flaw};
use medtrail_ledger::merkle::{Hash, leaf_hash, verify_consistency, verify_inclusion};
use medtrail_ledger::tile::TileReader;
use std::io::Write;
use std::path::Path;

/// The hashes that lead from the fault to a root, if the published tiles still give any.
pub(super) fn path(folder: &Folder, size: u64, fault: &Fault, anchored: u64) -> Option<TreePath> {
    let mut reader = TileReader::new(folder.tree(size));
    let words = |path: Vec<Hash>| path.into_iter().map(B256::from).collect();
    if fault.flaw == Flaw::RootDiffers {
        let from = fault.anchor.as_ref()?.anchor.size;
        let (from_root, to_root) = (reader.root(from).ok()?, reader.root(size).ok()?);
        let path = reader.consistency_path(from, size).ok()?;
        verify_consistency(from, size, &from_root, &to_root, &path).ok()?;
        let (from_root, to_root) = (from_root.into(), to_root.into());
        return Some(TreePath::Consistency {
            from,
            from_root,
            to: size,
            to_root,
            path: words(path),
        });
    }
    let index = fault.index.filter(|index| *index < size)?;
    let under = if anchored > index && anchored <= size { anchored } else { size };
    let (root, commitment) = (reader.root(under).ok()?, reader.commitment(index).ok()?);
    let path = reader.inclusion_path(index, under).ok()?;
    // Tiles that contradict each other give no path.
    verify_inclusion(&root, under, index, &leaf_hash(&commitment), &path).ok()?;
    Some(TreePath::Inclusion {
        index,
        commitment: commitment.into(),
        size: under,
        root: root.into(),
        path: words(path),
    })
}

/// Writes the evidence into a new file.
pub(super) fn write(evidence: &AuditEvidence, to: &Path) -> std::io::Result<()> {
    let mut file = std::fs::File::create_new(to)?;
    file.write_all(&evidence.to_bytes())?;
    file.sync_all()
}
