//! The evidence file: written once, read for ever, and enough for a stranger.

use crate::log::{ENTRIES, HONEST, Log};
use medtrail_ledger::audit::evidence::{AuditEvidence, EvidenceFileError, TreePath};
use medtrail_ledger::audit::{Check, Flaw};
use medtrail_ledger::checkpoint::SignedCheckpoint;
use medtrail_ledger::merkle::verify_consistency;
use medtrail_ledger::tile::{TileId, TileReader};
use std::convert::Infallible;
use std::path::PathBuf;

/// The log whose operator has replaced entry 120 after the second anchor, and signed the new head.
fn rewritten() -> Log {
    Log::with(|at, report, _| report.timeMs += u64::from(at == 120)).claiming(&HONEST)
}

fn evidence() -> AuditEvidence {
    let log = rewritten();
    let tally = log.audit();
    let fault = tally.first_fault().unwrap();
    let mut evidence = AuditEvidence::new(fault, &log.history, Some(&log.checkpoint));
    let stored = |id: TileId| {
        let width = id.width_at(ENTRIES);
        let commitments = |bundle: &Vec<u8>| {
            bundle.as_chunks::<34>().0.iter().flat_map(|entry| entry[2..].to_vec()).collect()
        };
        Ok::<_, Infallible>(match id.level {
            0 => log.files.get(&id.entries_path(width)).map(commitments),
            _ => log.files.get(&id.path(width)).cloned(),
        })
    };
    let mut reader = TileReader::new(stored);
    let from = fault.anchor.as_ref().unwrap().anchor.size;
    evidence.path = Some(TreePath::Consistency {
        from,
        from_root: reader.root(from).unwrap().into(),
        to: ENTRIES,
        to_root: reader.root(ENTRIES).unwrap().into(),
        path: reader.consistency_path(from, ENTRIES).unwrap().iter().map(Into::into).collect(),
    });
    evidence
}

#[test]
fn evidence_handed_out_once_is_read_for_ever() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/formats");
    let file = folder.join("audit-evidence-v1.json");
    let made = evidence();
    if std::env::var_os("MEDTRAIL_BLESS").is_some() && !file.exists() {
        std::fs::write(&file, made.to_bytes()).unwrap();
    }
    // Reading spells it again: the writer has not changed either, but for its words.
    let kept = AuditEvidence::parse(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((kept.check, kept.flaw), (Check::Anchors, Flaw::RootDiffers));
    assert_eq!(kept, AuditEvidence { words: kept.words.clone(), ..made });
}

#[test]
fn a_stranger_sees_with_the_evidence_alone_that_the_operator_told_two_histories() {
    let kept = AuditEvidence::parse(&evidence().to_bytes()).unwrap();
    let anchor = kept.anchor.unwrap();
    let signed = SignedCheckpoint::parse(kept.checkpoint.unwrap().as_bytes()).unwrap();
    let Some(TreePath::Consistency { from, from_root, to, to_root, path }) = kept.path else {
        panic!("no way from one to the other")
    };
    // What was signed begins with another tree of that size than what was anchored.
    assert_eq!((to, to_root.0), (signed.checkpoint.size, signed.checkpoint.root));
    let path: Vec<_> = path.iter().map(|hash| hash.0).collect();
    verify_consistency(from, to, &from_root.0, &to_root.0, &path).unwrap();
    assert_eq!((anchor.number, anchor.size), (2, from));
    assert_ne!(anchor.root, from_root);
}

#[test]
fn evidence_has_one_spelling_and_one_version() {
    let text = String::from_utf8(evidence().to_bytes()).unwrap();
    let spaced = text.replacen("\"index\": null", "\"index\":  null", 1);
    assert_ne!(spaced, text);
    let error = AuditEvidence::parse(spaced.as_bytes()).unwrap_err();
    assert!(matches!(error, EvidenceFileError::Spelling(_)), "{error}");
    let other = text.replace("audit-evidence-v1", "audit-evidence-v2");
    let error = AuditEvidence::parse(other.as_bytes()).unwrap_err();
    assert!(matches!(error, EvidenceFileError::Version(_)), "{error}");
    let more = text.replacen("{\n", "{\n  \"more\": 1,\n", 1);
    assert!(matches!(AuditEvidence::parse(more.as_bytes()), Err(EvidenceFileError::Json(_))));
}
