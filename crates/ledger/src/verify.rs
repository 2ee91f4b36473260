//! Checks a proof: against what the chain says, and for whom the verifier trusts.
//!
//! Size and root of the tree are the chain's, keys are the trust file's or the chain's. Nothing
//! that a check relies on is taken from the proof that is being checked.

use crate::checkpoint::SignedCheckpoint;
use crate::entry::{Kind, details_hash};
use crate::merkle::{leaf_hash, verify_consistency, verify_inclusion};
use crate::note::VerifierKey;
use crate::plan::Anchor;
use crate::proof::{Evidence, Extension, Proof};
use crate::schema;
use crate::trust::{LogKeys, TrustFile};
use alloy_primitives::{Address, B256};
use serde::Serialize;

/// What the chain says about a proof's log and anchor. The caller has read it, by the claim's
/// chain, registry, log and number; nothing in it was copied from the proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainFacts {
    /// EIP-155 chain id of the endpoint.
    pub chain_id: u64,
    /// Whether a contract with our code stands at the registry's address.
    pub registry_stands: bool,
    /// Whether the log was ever opened there.
    pub is_open: bool,
    /// Ed25519 key of the log's notes, as registered.
    pub note_key: B256,
    /// The anchor of the claimed number, if there is one.
    pub anchor: Option<AnchorSeen>,
    /// Whether the ring holds the anchor an extension leads to; `None` if the proof has none, or
    /// if an anchor of its number has left the ring, so that the registry cannot say.
    pub extension_lives: Option<bool>,
    /// Number of the newest finalized block.
    pub finalized: u64,
}

/// An `Anchored` event, as the chain has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnchorSeen {
    /// The anchor.
    pub anchor: Anchor,
    /// Who made it.
    pub operator: Address,
    /// The transaction.
    pub tx: B256,
    /// The block's number.
    pub block: u64,
}

/// How a step of a check came out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Checked and right.
    Green,
    /// Right as far as it goes, but something that a person should know is missing.
    Amber,
    /// Wrong.
    Red,
}

/// One step of a check, in words with its numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Step {
    /// Which step.
    pub name: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was checked against what.
    pub words: String,
}

/// All steps; the worst of them is the verdict.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Findings {
    /// The steps in the order they were taken.
    pub steps: Vec<Step>,
}

impl Findings {
    /// The worst step's verdict.
    pub fn verdict(&self) -> Verdict {
        self.steps.iter().map(|step| step.verdict).max().unwrap_or(Verdict::Red)
    }

    fn add(&mut self, name: &'static str, verdict: Verdict, words: String) {
        self.steps.push(Step { name, verdict, words });
    }

    fn judge<E: std::fmt::Display>(&mut self, name: &'static str, outcome: Result<String, E>) {
        match outcome {
            Ok(words) => self.add(name, Verdict::Green, words),
            Err(error) => self.add(name, Verdict::Red, error.to_string()),
        }
    }
}

/// Checks a proof against what the chain says and whom the verifier trusts.
///
/// Size and root of the tree are the chain's, the keys are the trust file's or the chain's. Every
/// step is taken, also after a wrong one, so that a reader sees where it stops being right.
pub fn verify(proof: &Proof, trust: Option<&TrustFile>, chain: &ChainFacts) -> Findings {
    let mut findings = Findings { steps: Vec::new() };
    let claim = &proof.anchor;
    whose_log(&mut findings, proof, trust);
    reported(&mut findings, proof, trust, chain);
    details(&mut findings, proof);
    let commitment = proof.commitment();
    findings.add(
        "commitment",
        Verdict::Green,
        format!("Report and place of entry {} commit to {commitment}.", proof.index),
    );
    let seen = anchored(&mut findings, proof, chain);
    let Some(seen) = seen else { return findings };
    let path: Vec<_> = proof.path.iter().map(|hash| hash.0).collect();
    let leaf = leaf_hash(&commitment.0);
    let (size, root) = (seen.anchor.size, seen.anchor.root);
    let inclusion = verify_inclusion(&root.0, size, proof.index, &leaf, &path);
    findings.judge(
        "path",
        inclusion.map(|()| {
            format!(
                "{} hashes lead from entry {} to root {root} of {size} entries.",
                path.len(),
                proof.index
            )
        }),
    );
    signed_head(&mut findings, proof, trust, chain, seen);
    if let Some(extension) = &proof.extension {
        extended(&mut findings, extension, seen, chain);
    }
    let verdict = if seen.block <= chain.finalized { Verdict::Green } else { Verdict::Amber };
    let words = match verdict {
        Verdict::Green => format!(
            "Block {} is final: chain {} has finalized block {}.",
            seen.block, claim.chain_id, chain.finalized
        ),
        _ => format!(
            "Block {} is not final yet: chain {} has finalized block {}. Check again later.",
            seen.block, claim.chain_id, chain.finalized
        ),
    };
    findings.add("final", verdict, words);
    findings
}

fn whose_log(findings: &mut Findings, proof: &Proof, trust: Option<&TrustFile>) {
    let claim = &proof.anchor;
    if proof.report.log != claim.log {
        let words =
            format!("report.log is {}, but the anchor is of log {}.", proof.report.log, claim.log);
        return findings.add("log", Verdict::Red, words);
    }
    let Some(trust) = trust else {
        let words = format!(
            "Log {} on chain {}: consistent or not, you have not named it. Give --trust FILE to \
             say whose log you mean.",
            claim.log, claim.chain_id
        );
        return findings.add("log", Verdict::Amber, words);
    };
    let same =
        (trust.chain_id, trust.registry, trust.log) == (claim.chain_id, claim.registry, claim.log);
    if same {
        let words = format!(
            "Log {} is that of {} ({}), named in your trust file.",
            claim.log, trust.operator.name, trust.operator.domain
        );
        findings.add("log", Verdict::Green, words);
    } else {
        let words = format!(
            "Log {} at {} on chain {} is not the one your trust file names ({} at {} on chain {}).",
            claim.log, claim.registry, claim.chain_id, trust.log, trust.registry, trust.chain_id
        );
        findings.add("log", Verdict::Amber, words);
    }
}

/// The trust file, if it names the log of this proof.
fn named<'a>(proof: &Proof, trust: Option<&'a TrustFile>) -> Option<&'a TrustFile> {
    let claim = &proof.anchor;
    trust.filter(|trust| {
        (trust.chain_id, trust.registry, trust.log) == (claim.chain_id, claim.registry, claim.log)
    })
}

fn reported(findings: &mut Findings, proof: &Proof, trust: Option<&TrustFile>, chain: &ChainFacts) {
    let report = &proof.report;
    let domain = schema::domain(proof.anchor.chain_id, proof.anchor.registry);
    let kind = Kind::from_number(report.kind).word();
    match proof.evidence.verify(report, &domain) {
        Err(error) => findings.add("report", Verdict::Red, error.to_string()),
        Ok(false) => {
            let operator = chain.anchor.as_ref().map(|seen| seen.operator);
            let spoken = operator == Some(report.actor)
                || named(proof, trust).is_some_and(|trust| trust.is_operator(report.actor));
            let (verdict, words) = match spoken {
                true => (
                    Verdict::Amber,
                    format!(
                        "This {kind} is relayed, not signed by any custodian: only the word of \
                         operator {}.",
                        report.actor
                    ),
                ),
                false => (
                    Verdict::Red,
                    format!("evidence: relayed, but actor {} is no operator.", report.actor),
                ),
            };
            findings.add("report", verdict, words);
        }
        Ok(true) => {
            let trust = named(proof, trust);
            let actor = report.actor;
            let organisation = trust.and_then(|trust| trust.organisation_of(actor, report.timeMs));
            let how = match &proof.evidence {
                Evidence::Batch(batch) => {
                    format!(", as number {} of a batch of {}", batch.index + 1, batch.count)
                }
                _ => String::new(),
            };
            match organisation {
                Some(organisation) => {
                    let name = &organisation.name;
                    let words = format!("This {kind} is signed by {name} ({actor}){how}.");
                    findings.add("report", Verdict::Green, words);
                }
                None if trust.is_some_and(|trust| trust.operator_speaks(actor, report.timeMs)) => {
                    let words = format!("This {kind} is signed by the operator ({actor}){how}.");
                    findings.add("report", Verdict::Green, words);
                }
                None if actor.into_word() == report.subject => {
                    let words = format!("This {kind} is signed by its own person ({actor}){how}.");
                    findings.add("report", Verdict::Green, words);
                }
                None => {
                    let words = format!(
                        "This {kind} is signed by {actor}{how}: nobody your trust file names at \
                         that time."
                    );
                    findings.add("report", Verdict::Amber, words);
                }
            }
        }
    }
}

fn details(findings: &mut Findings, proof: &Proof) {
    let expected = proof.report.details;
    let Some(document) = &proof.details else {
        let words = format!("No details document in this file; the report names {expected}.");
        return findings.add("details", Verdict::Green, words);
    };
    let Some(bytes) = document.bytes() else {
        return findings.add("details", Verdict::Red, "details: broken base64.".into());
    };
    let found = details_hash(&bytes);
    if found == expected {
        let words =
            format!("The details document ({} bytes) is the reported one: {found}.", bytes.len());
        findings.add("details", Verdict::Green, words);
    } else {
        let words = format!("details: SHA-256 is {found}, the report names {expected}.");
        findings.add("details", Verdict::Red, words);
    }
}

fn anchored<'a>(
    findings: &mut Findings,
    proof: &Proof,
    chain: &'a ChainFacts,
) -> Option<&'a AnchorSeen> {
    let claim = &proof.anchor;
    let mut wrong = |words: String| {
        findings.add("anchor", Verdict::Red, words);
        None
    };
    if chain.chain_id != claim.chain_id {
        return wrong(format!(
            "anchor.chainId is {}, the endpoint you gave is chain {}.",
            claim.chain_id, chain.chain_id
        ));
    }
    if !chain.registry_stands {
        return wrong(format!("anchor.registry: no AnchorRegistry at {}.", claim.registry));
    }
    if !chain.is_open {
        return wrong(format!("anchor.log: {} was never opened at {}.", claim.log, claim.registry));
    }
    let Some(seen) = &chain.anchor else {
        return wrong(format!(
            "anchor.number, anchor.block: block {} holds no anchor {} of this log.",
            claim.block, claim.number
        ));
    };
    let pairs = [
        ("anchor.number", claim.number.to_string(), seen.anchor.number.to_string()),
        ("anchor.size", claim.size.to_string(), seen.anchor.size.to_string()),
        ("anchor.root", claim.root.to_string(), seen.anchor.root.to_string()),
        ("anchor.timeS", claim.time_s.to_string(), seen.anchor.time_s.to_string()),
        ("anchor.tx", claim.tx.to_string(), seen.tx.to_string()),
        ("anchor.block", claim.block.to_string(), seen.block.to_string()),
    ];
    if let Some((field, said, found)) = pairs.into_iter().find(|(_, said, found)| said != found) {
        return wrong(format!("{field} is {said}, the chain has {found}."));
    }
    findings.add(
        "anchor",
        Verdict::Green,
        format!(
            "Anchor {} in block {} of chain {} holds root {} of {} entries.",
            claim.number, seen.block, claim.chain_id, seen.anchor.root, seen.anchor.size
        ),
    );
    Some(seen)
}

fn signed_head(
    findings: &mut Findings,
    proof: &Proof,
    trust: Option<&TrustFile>,
    chain: &ChainFacts,
    seen: &AnchorSeen,
) {
    let outcome = (|| {
        let signed = SignedCheckpoint::parse(proof.checkpoint.as_bytes())
            .map_err(|error| format!("checkpoint: {error}"))?;
        let head = &signed.checkpoint;
        if head.size != seen.anchor.size || head.root != seen.anchor.root.0 {
            return Err(format!(
                "checkpoint: of {} entries and another root than anchor {}.",
                head.size, seen.anchor.number
            ));
        }
        let trust = named(proof, trust);
        let keys = match trust {
            Some(trust) => trust.log_keys(seen.operator),
            None => VerifierKey::new(&head.origin, &chain.note_key.0).map(|note_key| LogKeys {
                chain_id: chain.chain_id,
                registry: proof.anchor.registry,
                log: proof.anchor.log,
                note_key,
                operator: seen.operator,
            }),
        };
        let keys = keys.map_err(|error| format!("checkpoint: {error}"))?;
        if keys.note_key.as_bytes() != &chain.note_key.0 {
            return Err(
                "checkpoint: the registry has another note key than your trust file.".into()
            );
        }
        let time_ms = keys.verify(&signed).map_err(|error| format!("checkpoint: {error}"))?;
        let words = format!(
            "The log {} signed a head of {} entries, and so did operator {} at {time_ms} ms.",
            head.origin, head.size, seen.operator
        );
        // The operator is the registry's word, and that comes from a node that may lie.
        let is_known = trust.is_none_or(|trust| trust.operator_speaks(seen.operator, time_ms));
        Ok((words, is_known, signed.lines_of_others()))
    })();
    let others = match outcome {
        Ok((words, true, others)) => {
            findings.add("checkpoint", Verdict::Green, words);
            others
        }
        Ok((words, false, others)) => {
            let words = format!("{words} Your trust file names no such key of it at that time.");
            findings.add("checkpoint", Verdict::Amber, words);
            others
        }
        Err(words) => return findings.add("checkpoint", Verdict::Red, words),
    };
    if others > 0 {
        // They spoil nothing, but a file with an unchecked byte in it must not pass for checked.
        let words = format!(
            "{others} more signature lines stand under the checkpoint, by keys that nobody named: \
             they were not checked."
        );
        findings.add("cosigned", Verdict::Amber, words);
    }
}

fn extended(findings: &mut Findings, extension: &Extension, seen: &AnchorSeen, chain: &ChainFacts) {
    let (old, new) = (&seen.anchor, &extension.anchor);
    match chain.extension_lives {
        Some(true) => {}
        Some(false) => {
            let words =
                format!("extension.anchor: the registry's ring does not hold {}.", new.number);
            return findings.add("extension", Verdict::Red, words);
        }
        // Every extension comes to this, some hours after it was made: the proof's own anchor was
        // found all the same.
        None => {
            let words = format!(
                "Anchor {} has left the registry's ring, so the way to it says nothing any more. \
                 Ask the log for the proof again.",
                new.number
            );
            return findings.add("extension", Verdict::Amber, words);
        }
    }
    let path: Vec<_> = extension.path.iter().map(|hash| hash.0).collect();
    let outcome = verify_consistency(old.size, new.size, &old.root.0, &new.root.0, &path);
    findings.judge(
        "extension",
        outcome.map(|()| {
            format!(
                "Anchor {} of {} entries begins with these {} entries, unchanged.",
                new.number, new.size, old.size
            )
        }),
    );
}
