//! What the chain says of a log, held against itself, against `anchors.json` and against the signed
//! checkpoint. A registry whose events and state differ is none of ours, or the endpoint lies.

use super::{Check, Fault, Flaw, Tally, word};
use crate::checkpoint::SignedCheckpoint;
use crate::merkle::Hash;
use crate::note::VerifierKey;
use crate::plan::{AnchorRecord, Header, LogHead};
use crate::schema::log_id;
use crate::trust::{LogKeys, TrustFile};
use crate::verify::AnchorSeen;
use alloy_primitives::{Address, B256};
use std::collections::BTreeMap;

/// The file of an export that tells the operator's view of its anchors.
pub const ANCHORS_FILE: &str = "anchors.json";
/// The file of an export that holds the signed note.
pub const CHECKPOINT_FILE: &str = "checkpoint";
/// How far the operator's clock may be ahead of the chain's, in seconds.
const CLOCKS_S: u64 = 5 * 60;

/// What the chain says of one log at one finalized block. The caller has read it; nothing in it was
/// copied from the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    /// EIP-155 chain id of the endpoint.
    pub chain_id: u64,
    /// AnchorRegistry's address.
    pub registry: Address,
    /// The log's id.
    pub log: B256,
    /// The block at which all this was read.
    pub finalized: Header,
    /// Who opened it.
    pub opener: Address,
    /// Under which name.
    pub origin: String,
    /// Time of the block that opened it, in seconds.
    pub opened_s: u64,
    /// Everybody who was its operator, newest first.
    pub operators: Vec<Address>,
    /// Its anchors as events, in the order of the chain.
    pub anchors: Vec<AnchorSeen>,
    /// Its newest anchors' numbers, and whether the registry's ring holds each.
    pub ring: Vec<(u64, bool)>,
    /// The registry's head slot.
    pub head: LogHead,
    /// Ed25519 key of its notes, as registered.
    pub note_key: B256,
    /// The promised longest time to an anchor, in seconds; 0 promises nothing.
    pub anchor_within_s: u32,
}

impl History {
    /// The newest anchor.
    pub fn newest(&self) -> Option<&AnchorSeen> {
        self.anchors.last()
    }

    /// The first anchor that covers entry `index`.
    pub fn covering(&self, index: u64) -> Option<&AnchorSeen> {
        self.anchors.iter().find(|seen| seen.anchor.size > index)
    }

    /// Holds the events against each other and against head and ring.
    pub fn check(&self, tally: &mut Tally) {
        tally.count(Check::Chain, self.anchors.len() as u64);
        let id = log_id(self.chain_id, self.registry, self.opener, &self.origin);
        if id != self.log {
            let words = format!(
                "log {} was opened by {} as {}, whose log is {id}.",
                self.log, self.opener, self.origin
            );
            tally.fault(Fault::new(Flaw::LogId, words).differs(self.log, id));
        }
        let mut before = (0, 0, self.opened_s);
        for seen in &self.anchors {
            let anchor = &seen.anchor;
            let (number, size, time_s) = before;
            if anchor.number != number + 1 {
                let words = format!(
                    "after anchor {number} the endpoint shows anchor {}: an event is missing or \
                     stands twice. Ask another endpoint.",
                    anchor.number
                );
                let fault = Fault::new(Flaw::AnchorNumber, words).against(seen);
                tally.fault(fault.differs(number + 1, anchor.number));
            }
            if anchor.size <= size || anchor.time_s < time_s {
                let words = format!(
                    "anchor {} of {} entries at {} s follows one of {size} entries at {time_s} s.",
                    anchor.number, anchor.size, anchor.time_s
                );
                let fault = Fault::new(Flaw::AnchorDoesNotGrow, words).against(seen);
                tally.fault(fault.differs(format!("more than {size}"), anchor.size));
            }
            before = (anchor.number, anchor.size, anchor.time_s);
        }
        let (number, size, _) = before;
        if (self.head.count, self.head.size) != (number, size) {
            let words = format!(
                "the registry's head is anchor {} of {} entries; the events end with anchor {number} \
                 of {size}. Ask another endpoint.",
                self.head.count, self.head.size
            );
            let fault = Fault::new(Flaw::HeadDiffers, words);
            tally.fault(fault.differs(self.head.count, number));
        }
        for (number, _) in self.ring.iter().filter(|(_, lives)| !lives) {
            let words = format!("the registry's ring does not hold anchor {number} of its events.");
            let seen = self.anchors.iter().find(|seen| seen.anchor.number == *number);
            let fault = Fault::new(Flaw::RingDiffers, words);
            tally.fault(seen.map_or(fault.clone(), |seen| fault.against(seen)));
        }
        let words = format!(
            "{number} anchors, each larger than the one before; head and ring agree. Final up to \
             block {}.",
            self.finalized.block.number
        );
        tally.say(Check::Chain, words);
    }

    /// Holds `anchors.json` against the events.
    pub fn compare_claims(&self, file: Option<&[u8]>, tally: &mut Tally) {
        let fault = |flaw, words: String| Fault::new(flaw, words).in_file(ANCHORS_FILE);
        let claims: Vec<AnchorRecord> = match file.map(serde_json::from_slice) {
            None => {
                let words = format!("{ANCHORS_FILE} is missing.");
                return tally.fault(fault(Flaw::ClaimsUnreadable, words));
            }
            Some(Err(error)) => {
                let words = format!("{ANCHORS_FILE}: {error}.");
                return tally.fault(fault(Flaw::ClaimsUnreadable, words));
            }
            Some(Ok(claims)) => claims,
        };
        let newest = self.anchors.last().map_or(0, |seen| seen.anchor.number);
        let mut claimed = BTreeMap::new();
        for claim in &claims {
            tally.count(Check::AnchorsFile, 1);
            if claimed.insert(claim.anchor.number, claim).is_some() {
                let words = format!("{ANCHORS_FILE} names anchor {} twice.", claim.anchor.number);
                tally.fault(fault(Flaw::ClaimDiffers, words));
            }
        }
        // The file may be older than the chain, and may know an anchor that is not final yet.
        let last = claimed.keys().next_back().copied().unwrap_or(0);
        for seen in self.anchors.iter().filter(|seen| seen.anchor.number <= last) {
            let Some(claim) = claimed.get(&seen.anchor.number) else {
                let words = format!("{ANCHORS_FILE} lacks anchor {}.", seen.anchor.number);
                tally.fault(fault(Flaw::ClaimMissing, words).against(seen));
                continue;
            };
            let said = (claim.anchor, claim.tx, claim.block.number);
            if said != (seen.anchor, seen.tx, seen.block) {
                let words = format!(
                    "{ANCHORS_FILE} says of anchor {} another size, root, time, transaction or block \
                     than the chain.",
                    seen.anchor.number
                );
                let told = |(anchor, tx, block): (crate::plan::Anchor, B256, u64)| {
                    let crate::plan::Anchor { size, root, time_s, .. } = anchor;
                    format!("{size} entries, root {root}, {time_s} s, tx {tx}, block {block}")
                };
                let fault = fault(Flaw::ClaimDiffers, words).against(seen);
                let truth = (seen.anchor, seen.tx, seen.block);
                tally.fault(fault.differs(told(truth), told(said)));
            }
        }
        if last > newest {
            let words = format!(
                "{ANCHORS_FILE} goes on to anchor {last}; the chain's final ones end with {newest}. \
                 Audit again later."
            );
            return tally.note(Check::AnchorsFile, words);
        }
        let words = format!("{ANCHORS_FILE} says of {} anchors what the chain does.", claims.len());
        tally.say(Check::AnchorsFile, words);
    }

    /// Checks both signatures of the note; returns when the operator signed, in milliseconds.
    pub fn check_signatures(
        &self,
        signed: &SignedCheckpoint,
        trust: Option<&TrustFile>,
        tally: &mut Tally,
    ) -> Option<u64> {
        tally.count(Check::Checkpoint, 1);
        let fault = |flaw, words: String| Fault::new(flaw, words).in_file(CHECKPOINT_FILE);
        let trusted = trust.and_then(|trust| VerifierKey::parse(&trust.operator.note_key).ok());
        if let Some(key) = trusted.filter(|key| *key.as_bytes() != self.note_key.0) {
            let words = "the registry has another note key than your trust file.".to_owned();
            let fault = fault(Flaw::NoteKeyDiffers, words);
            tally.fault(fault.bytes_differ(key.as_bytes(), self.note_key));
        }
        let mut outcome = Err("the registry names no operator".to_owned());
        // Operators follow one another: whoever signed it counts, or the newest one's complaint.
        for operator in &self.operators {
            let checked =
                VerifierKey::new(&self.origin, &self.note_key.0).map(|note_key| LogKeys {
                    chain_id: self.chain_id,
                    registry: self.registry,
                    log: self.log,
                    note_key,
                    operator: *operator,
                });
            let checked = checked.map_err(|error| error.to_string());
            let checked = checked.and_then(|keys| {
                keys.verify(signed).map(|time_ms| (*operator, time_ms)).map_err(|e| e.to_string())
            });
            match (&outcome, checked) {
                (_, Ok(signer)) => {
                    outcome = Ok(signer);
                    break;
                }
                (Err(_), Err(error)) if operator == &self.operators[0] => outcome = Err(error),
                _ => {}
            }
        }
        match outcome {
            Err(error) => {
                tally.fault(fault(Flaw::CheckpointSignature, format!("checkpoint: {error}.")));
                None
            }
            Ok((operator, time_ms)) => {
                if trust.is_some_and(|trust| !trust.operator_speaks(operator, time_ms)) {
                    let words = format!(
                        "It is signed by operator {operator} of the registry, whom your trust file \
                         does not name at {time_ms} ms."
                    );
                    tally.note(Check::Checkpoint, words);
                }
                Some(time_ms)
            }
        }
    }

    /// Holds the note's root against that of the tiles, and tells what only the note holds.
    pub fn check_root(
        &self,
        signed: &SignedCheckpoint,
        time_ms: Option<u64>,
        root: Option<Hash>,
        tally: &mut Tally,
    ) {
        let head = &signed.checkpoint;
        match root {
            Some(root) if root != head.root => {
                let words = format!(
                    "the checkpoint signs root {} of {} entries; the tiles give {}.",
                    word(&head.root),
                    head.size,
                    word(&root)
                );
                let fault = Fault::new(Flaw::CheckpointRoot, words).in_file(CHECKPOINT_FILE);
                tally.fault(fault.bytes_differ(head.root, root));
            }
            Some(_) => {}
            None => tally.note(Check::Checkpoint, "The tiles give no root to hold it against."),
        }
        let covered = |seen: &&AnchorSeen| seen.anchor.size <= head.size;
        let anchored = self.anchors.iter().rev().find(covered);
        let (number, anchored) = anchored.map_or((0, 0), |s| (s.anchor.number, s.anchor.size));
        let at = time_ms.map_or(String::new(), |time_ms| format!(" at {time_ms} ms"));
        let words = format!(
            "Log and operator signed {} entries{at}; {} after anchor {number} are held by it alone.",
            head.size,
            head.size - anchored
        );
        tally.say(Check::Checkpoint, words);
    }

    /// A log that ends before an anchor does: an older copy, or entries are withheld. To be asked
    /// after the tiles were replayed.
    pub fn check_length(&self, size: u64, time_ms: Option<u64>, tally: &mut Tally) {
        let within = self.anchors.iter().filter(|seen| seen.anchor.size <= size).count() as u64;
        let reached = tally.of(Check::Anchors).map_or(0, |checked| checked.count);
        if reached < within {
            let words = format!("Only {reached} of {within} anchors were reached by the tiles.");
            tally.note(Check::Anchors, words);
        }
        let words = format!("{reached} anchors hold the roots that the tiles give.");
        tally.say(Check::Anchors, words);
        let Some(beyond) = self.anchors.iter().find(|seen| seen.anchor.size > size) else { return };
        let newest = self.anchors.last().unwrap_or(beyond).anchor.size;
        let is_older = time_ms
            .is_some_and(|time_ms| beyond.anchor.time_s.saturating_add(CLOCKS_S) >= time_ms / 1000);
        if is_older {
            let words = format!(
                "This copy ends at {size} entries, the chain has {newest} by now: entries from {size} \
                 on are not in it. Ask the operator for them."
            );
            return tally.note(Check::Anchors, words);
        }
        let words = format!(
            "anchor {} of {} entries stood before the checkpoint of only {size} was signed: the log \
             was cut short.",
            beyond.anchor.number, beyond.anchor.size
        );
        let fault = Fault::new(Flaw::LogShorter, words).at(size).against(beyond);
        tally.fault(fault.differs(beyond.anchor.size, size));
    }

    /// Without keys nobody knows when entries came: only the time between two anchors is known.
    pub fn check_gaps(&self, tally: &mut Tally) {
        let within_s = u64::from(self.anchor_within_s);
        tally.count(Check::Promise, self.anchors.len() as u64);
        if within_s == 0 {
            return tally.say(Check::Promise, "The log promises no time to an anchor.");
        }
        let mut before = (0, self.opened_s);
        let (mut gaps, mut longest) = (0u64, (0, 0));
        for seen in &self.anchors {
            let gap_s = seen.anchor.time_s.saturating_sub(before.1);
            gaps += u64::from(gap_s > within_s);
            longest = longest.max((gap_s, before.0));
            before = (seen.anchor.number, seen.anchor.time_s);
        }
        let (gap_s, number) = longest;
        match gaps {
            0 => tally.say(
                Check::Promise,
                format!("No two anchors are more than the promised {within_s} s apart."),
            ),
            _ => tally.note(
                Check::Promise,
                format!(
                    "{gaps} times no anchor came for longer than the promised {within_s} s, at most \
                     {gap_s} s after anchor {number}. Without keys it is not known whether entries \
                     waited."
                ),
            ),
        }
    }
}

/// Reads the note of a log.
pub fn read_checkpoint(file: Option<&[u8]>, tally: &mut Tally) -> Option<SignedCheckpoint> {
    let parsed = match file {
        None => Err("it is missing".to_owned()),
        Some(bytes) => SignedCheckpoint::parse(bytes).map_err(|error| error.to_string()),
    };
    parsed
        .map_err(|error| {
            let words = format!("{CHECKPOINT_FILE}: {error}.");
            let fault = Fault::new(Flaw::CheckpointUnreadable, words);
            tally.fault(fault.in_file(CHECKPOINT_FILE));
        })
        .ok()
}
