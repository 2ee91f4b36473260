// How a proof is checked, step by step: the same steps, order, words and verdicts as `medtrail verify`. Size and root of
// the tree are the chain's, keys are the trust file's or the chain's; nothing a check relies on is the proof's own.
import type { AnchorSeen, ChainFacts, ChainReader, Registered } from "./chain";
import { documentBytes, hexToBytes, bytesToHex, utf8 } from "./bytes";
import {
  CheckpointError, linesOfOthers, parseCheckpoint, verifyCheckpoint, type LogKeys, type SignedCheckpoint,
} from "./checkpoint";
import { commitmentOf, EvidenceError, kindWord, verifyEvidence } from "./entry";
import { leafHash, PathError, sha256, verifyConsistency, verifyInclusion } from "./merkle";
import { NoteError, verifierKey } from "./note";
import { FormatError, isReceipt, parseProof, parseReceipt } from "./parse";
import { checksummed, entryHash } from "./schema";
import { isOperator, logKeys, operatorSpeaks, organisationOf } from "./trust";
import type { Extension, Finding, Proof, Receipt, TrustFile, Verdict } from "./types";

type Steps = Finding[];

const add = (steps: Steps, name: string, verdict: Verdict, words: string): void => {
  steps.push({ name, verdict, words });
};

const ORDER: readonly Verdict[] = ["green", "amber", "red"];

/** The worst step's verdict; red if there is no step. */
export function worst(findings: readonly Finding[]): Verdict {
  const rank = Math.max(...findings.map(({ verdict }) => ORDER.indexOf(verdict)));
  return ORDER[rank] ?? "red";
}

/** What a check says; anything else that is thrown is a fault of this code and no finding. */
function told(error: unknown): string {
  const isKnown = [CheckpointError, EvidenceError, FormatError, NoteError, PathError]
    .some((known) => error instanceof known);
  if (!isKnown) throw error;
  return (error as Error).message;
}

/**
 * Checks the text (or bytes) of a proof or a receipt. Throws a `ChainError` if the chain cannot be read: then nothing was
 * checked.
 */
export async function verifyProof(
  file: string | Uint8Array, trust: TrustFile | null, chain: ChainReader,
): Promise<Finding[]> {
  const bytes = typeof file === "string" ? utf8(file) : file;
  let proof: Proof | Receipt;
  try {
    proof = isReceipt(bytes) ? parseReceipt(bytes) : parseProof(bytes);
  } catch (error) {
    return printable([{ name: "file", verdict: "red", words: told(error) }]);
  }
  if ("reportHash" in proof) return printable(await checkReceipt(proof, trust, chain));
  return printable(await judge(proof, trust, await chain.facts(proof, trust)));
}

const WORDS_MAX = 2_000;

/** Words of the file stand in findings, and whoever made it may be the enemy: it must not turn a line around. */
function printable(findings: Finding[]): Finding[] {
  const harmful = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu;
  const cut = (words: string) => (words.length > WORDS_MAX ? `${words.slice(0, WORDS_MAX)}…` : words);
  return findings.map((step) => ({ ...step, words: cut(step.words).replace(harmful, "\ufffd") }));
}

/** Checks a proof against what the chain says. Every step is taken, also after a wrong one. */
export async function judge(proof: Proof, trust: TrustFile | null, chain: ChainFacts): Promise<Finding[]> {
  const steps: Steps = [];
  whoseLog(steps, proof, trust);
  await reported(steps, proof, trust, chain);
  details(steps, proof);
  const commitment = commitmentOf(proof.report, proof.place);
  add(steps, "commitment", "green", `Report and place of entry ${proof.index} commit to ${commitment}.`);
  const seen = anchored(steps, proof, chain);
  if (seen === null) return steps;
  try {
    verifyInclusion(seen.root, seen.size, proof.index, leafHash(commitment), proof.path);
    const words = `${proof.path.length} hashes lead from entry ${proof.index} to root ${seen.root} of ${seen.size} entries.`;
    add(steps, "path", "green", words);
  } catch (error) {
    add(steps, "path", "red", told(error));
  }
  await signedHead(steps, proof, trust, chain, seen);
  if (proof.extension !== undefined) extended(steps, proof.extension, seen, chain);
  const isFinal = seen.block <= chain.finalized;
  const finalized = `chain ${proof.anchor.chainId} has finalized block ${chain.finalized}`;
  if (isFinal) add(steps, "final", "green", `Block ${seen.block} is final: ${finalized}.`);
  else add(steps, "final", "amber", `Block ${seen.block} is not final yet: ${finalized}. Check again later.`);
  return steps;
}

/** The trust file, if it names the log of this proof. */
function named({ anchor: claim }: Proof, trust: TrustFile | null): TrustFile | null {
  const same = trust?.chainId === claim.chainId && trust.registry === claim.registry && trust.log === claim.log;
  return same ? trust : null;
}

function whoseLog(steps: Steps, proof: Proof, trust: TrustFile | null): void {
  const { anchor: claim, report } = proof;
  if (report.log !== claim.log) {
    return add(steps, "log", "red", `report.log is ${report.log}, but the anchor is of log ${claim.log}.`);
  }
  if (trust === null) {
    const words = `Log ${claim.log} on chain ${claim.chainId}: consistent or not, you have not named it. Give --trust `
      + "FILE to say whose log you mean.";
    return add(steps, "log", "amber", words);
  }
  if (named(proof, trust) !== null) {
    const { name, domain } = trust.operator;
    return add(steps, "log", "green", `Log ${claim.log} is that of ${name} (${domain}), named in your trust file.`);
  }
  const [found, meant] = [claim, trust].map(
    ({ log, registry, chainId }) => [log, `at ${checksummed(registry)} on chain ${chainId}`] as const,
  ) as [readonly [string, string], readonly [string, string]];
  const words = `Log ${found.join(" ")} is not the one your trust file names (${meant.join(" ")}).`;
  return add(steps, "log", "amber", words);
}

async function reported(steps: Steps, proof: Proof, trust: TrustFile | null, chain: ChainFacts): Promise<void> {
  const { report, evidence } = proof;
  const kind = kindWord(report.kind);
  const actor = checksummed(report.actor);
  const meant = named(proof, trust);
  let isSigned: boolean;
  try {
    isSigned = await verifyEvidence(evidence, report, proof.anchor);
  } catch (error) {
    return add(steps, "report", "red", told(error));
  }
  if (!isSigned) {
    const isSpoken = chain.anchor?.operator === report.actor || (meant !== null && isOperator(meant, report.actor));
    if (!isSpoken) return add(steps, "report", "red", `evidence: relayed, but actor ${actor} is no operator.`);
    const words = `This ${kind} is relayed, not signed by any custodian: only the word of operator ${actor}.`;
    return add(steps, "report", "amber", words);
  }
  const how = evidence !== "relayed" && "batch" in evidence
    ? `, as number ${evidence.batch.index + 1} of a batch of ${evidence.batch.count}`
    : "";
  const organisation = meant === null ? null : organisationOf(meant, report.actor, report.timeMs);
  if (organisation !== null) {
    return add(steps, "report", "green", `This ${kind} is signed by ${organisation.name} (${actor})${how}.`);
  }
  if (meant !== null && operatorSpeaks(meant, report.actor, report.timeMs)) {
    return add(steps, "report", "green", `This ${kind} is signed by the operator (${actor})${how}.`);
  }
  if (report.subject === `0x${"0".repeat(24)}${report.actor.slice(2)}`) {
    return add(steps, "report", "green", `This ${kind} is signed by its own person (${actor})${how}.`);
  }
  const words = `This ${kind} is signed by ${actor}${how}: nobody your trust file names at that time.`;
  return add(steps, "report", "amber", words);
}

function details(steps: Steps, { report, details: document }: Proof): void {
  const expected = report.details;
  if (document === null) {
    return add(steps, "details", "green", `No details document in this file; the report names ${expected}.`);
  }
  const bytes = documentBytes(document);
  if (bytes === null) return add(steps, "details", "red", "details: broken base64.");
  const found = sha256(bytes);
  if (found === expected) {
    return add(steps, "details", "green", `The details document (${bytes.length} bytes) is the reported one: ${found}.`);
  }
  return add(steps, "details", "red", `details: SHA-256 is ${found}, the report names ${expected}.`);
}

function anchored(steps: Steps, { anchor: claim }: Proof, chain: ChainFacts): AnchorSeen | null {
  const wrong = (words: string): null => {
    add(steps, "anchor", "red", words);
    return null;
  };
  const registry = checksummed(claim.registry);
  if (chain.chainId !== BigInt(claim.chainId)) {
    return wrong(`anchor.chainId is ${claim.chainId}, the endpoint you gave is chain ${chain.chainId}.`);
  }
  if (!chain.registryStands) return wrong(`anchor.registry: no AnchorRegistry at ${registry}.`);
  if (!chain.isOpen) return wrong(`anchor.log: ${claim.log} was never opened at ${registry}.`);
  const seen = chain.anchor;
  if (seen === null) {
    return wrong(`anchor.number, anchor.block: block ${claim.block} holds no anchor ${claim.number} of this log.`);
  }
  for (const field of ["number", "size", "root", "timeS", "tx", "block"] as const) {
    const [said, found] = [String(claim[field]), String(seen[field])];
    if (said !== found) return wrong(`anchor.${field} is ${said}, the chain has ${found}.`);
  }
  const words = `Anchor ${claim.number} in block ${seen.block} of chain ${claim.chainId} holds root ${seen.root} of `
    + `${seen.size} entries.`;
  add(steps, "anchor", "green", words);
  return seen;
}

async function signedHead(
  steps: Steps, proof: Proof, trust: TrustFile | null, chain: ChainFacts, seen: AnchorSeen,
): Promise<void> {
  const meant = named(proof, trust);
  let signed: SignedCheckpoint;
  let timeMs: bigint;
  try {
    signed = parseCheckpoint(proof.checkpoint);
    if (signed.size !== seen.size || signed.root !== seen.root) {
      const words = `checkpoint: of ${signed.size} entries and another root than anchor ${seen.number}.`;
      return add(steps, "checkpoint", "red", words);
    }
    const keys = await keysFor(proof, meant, chain, seen, signed);
    if (bytesToHex(keys.noteKey.key) !== chain.noteKey) {
      const words = "checkpoint: the registry has another note key than your trust file.";
      return add(steps, "checkpoint", "red", words);
    }
    timeMs = await verifyCheckpoint(signed, keys);
  } catch (error) {
    return add(steps, "checkpoint", "red", `checkpoint: ${told(error)}`);
  }
  const words = `The log ${signed.origin} signed a head of ${signed.size} entries, and so did operator `
    + `${checksummed(seen.operator)} at ${timeMs} ms.`;
  // The operator is the registry's word, and that comes from a node that may lie.
  if (meant === null || operatorSpeaks(meant, seen.operator, timeMs)) add(steps, "checkpoint", "green", words);
  else add(steps, "checkpoint", "amber", `${words} Your trust file names no such key of it at that time.`);
  const others = linesOfOthers(signed);
  if (others > 0) {
    // They spoil nothing, but a file with an unchecked byte in it must not pass for checked.
    add(steps, "cosigned", "amber",
      `${others} more signature lines stand under the checkpoint, by keys that nobody named: they were not checked.`);
  }
}

async function keysFor(
  { anchor: { registry, log } }: Proof, meant: TrustFile | null, chain: ChainFacts, seen: AnchorSeen,
  { origin }: SignedCheckpoint,
): Promise<LogKeys> {
  if (meant !== null) return logKeys(meant, seen.operator);
  const noteKey = await verifierKey(origin, hexToBytes(chain.noteKey));
  return { chainId: chain.chainId, registry, log, noteKey, operator: seen.operator };
}

function extended(steps: Steps, { anchor, path }: Extension, seen: AnchorSeen, chain: ChainFacts): void {
  if (chain.extensionLives === false) {
    const words = `extension.anchor: the registry's ring does not hold ${anchor.number}.`;
    return add(steps, "extension", "red", words);
  }
  // Every extension comes to this, some hours after it was made: the proof's own anchor was found all the same.
  if (chain.extensionLives === null) {
    const words = `Anchor ${anchor.number} has left the registry's ring, so the way to it says nothing any more. Ask the `
      + "log for the proof again.";
    return add(steps, "extension", "amber", words);
  }
  try {
    verifyConsistency(seen.size, anchor.size, seen.root, anchor.root, path);
    const words = `Anchor ${anchor.number} of ${anchor.size} entries begins with these ${seen.size} entries, unchanged.`;
    return add(steps, "extension", "green", words);
  } catch (error) {
    return add(steps, "extension", "red", told(error));
  }
}

/** A receipt shows no anchor yet: it is the log's signed promise, and never green. */
async function checkReceipt(receipt: Receipt, trust: TrustFile | null, chain: ChainReader): Promise<Finding[]> {
  const red = (words: string): Finding[] => [{ name: "log", verdict: "red", words }];
  if (trust === null) {
    return red("A receipt names no log that the chain could be asked for. Give --trust FILE to say whose log you mean.");
  }
  const registered = await chain.registered(trust);
  if (registered.chainId !== BigInt(trust.chainId)) {
    return red(`Your trust file names chain ${trust.chainId}, the endpoint is ${registered.chainId}.`);
  }
  return judgeReceipt(receipt, trust, registered);
}

export async function judgeReceipt(receipt: Receipt, trust: TrustFile, registered: Registered): Promise<Finding[]> {
  const { name, domain } = trust.operator;
  const steps: Steps = [];
  add(steps, "log", "green", `Log ${trust.log} is that of ${name} (${domain}).`);
  // Keys follow one another: the newest that signed it counts, or the newest one's complaint.
  const keys = await Promise.all([...trust.operator.keys].reverse().map(({ address }) => logKeys(trust, address)));
  if (registered.isOpen && keys.some(({ noteKey }) => bytesToHex(noteKey.key) !== registered.noteKey)) {
    add(steps, "keys", "red", "The note key in your trust file is not the one the registry has.");
    return steps;
  }
  const checked = await Promise.all(keys.map((by) => receiptBy(receipt, by)));
  const signed = checked.find((outcome) => "timeMs" in outcome) ?? checked[0];
  if (signed === undefined) {
    add(steps, "keys", "red", "Your trust file names no key of the operator.");
    return steps;
  }
  if ("complaint" in signed) {
    add(steps, "receipt", "red", signed.complaint);
    return steps;
  }
  const words = `${receipt.path.length} hashes lead from entry ${receipt.index} to a head of ${signed.size} entries that `
    + `the log and operator ${checksummed(signed.operator)} signed at ${signed.timeMs} ms.`;
  if (operatorSpeaks(trust, signed.operator, signed.timeMs)) add(steps, "receipt", "green", words);
  else add(steps, "receipt", "amber", `${words} By your trust file it did not speak then.`);
  add(steps, "anchor", "amber", promise(receipt, registered));
  return steps;
}

function promise({ index }: Receipt, { isOpen, anchored, anchorWithinS }: Registered): string {
  if (!isOpen) return "The registry does not know this log yet: no anchor is promised there.";
  if (anchored > index) {
    return `The log is anchored up to ${anchored} entries: ask the log for the proof of entry ${index}.`;
  }
  return `Not anchored yet (${anchored} entries are). The log promises an anchor within ${anchorWithinS} s.`;
}

async function receiptBy(receipt: Receipt, keys: LogKeys) {
  try {
    const signed = parseCheckpoint(receipt.checkpoint);
    const timeMs = await verifyCheckpoint(signed, keys);
    const leaf = leafHash(entryHash(receipt.reportHash, receipt.placeHash));
    try {
      verifyInclusion(signed.root, signed.size, receipt.index, leaf, receipt.path);
    } catch (error) {
      return { complaint: `path: ${told(error)}` };
    }
    return { timeMs, size: signed.size, operator: keys.operator };
  } catch (error) {
    return { complaint: `checkpoint: ${told(error)}` };
  }
}
