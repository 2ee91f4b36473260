// Kinds, commitments, and whose word an entry is.
import { documentBytes, hexToBytes } from "./bytes";
import { leafHash, PathError, sha256, verifyInclusion } from "./merkle";
import { checksummed, digest, entryHash, placeHash, reportHash, structHash, type Domain } from "./schema";
import { recover, SignatureError } from "./signature";
import type { Document, Evidence, Hex, Report, ShownPlace } from "./types";

const KINDS = [
  "access", "change", "hand-over", "permission", "sale", "delivery", "source", "refusal", "roster", "erasure", "binding",
  "question", "correction", "coverage", "claim", "operation", "notice",
];

/** The log's word for a kind; one this version does not know is "other", never dropped. */
export function kindWord(kind: number): string {
  return KINDS[kind - 1] ?? "other";
}

/** The hash of a place, opened or not. */
export function shownPlaceHash(place: ShownPlace): Hex {
  return "open" in place ? placeHash(place.open) : place.hash;
}

/** All that is ever public of a line. */
export function commitmentOf(report: Report, place: ShownPlace): Hex {
  return entryHash(reportHash(report), shownPlaceHash(place));
}

/** SHA-256 of a document's bytes; null if its base64 is not in its one form. */
export function documentHash(document: Document): Hex | null {
  const bytes = documentBytes(document);
  return bytes === null ? null : sha256(bytes);
}

/** Why the evidence of a line is none; the message is the same as in Rust. */
export class EvidenceError extends Error {
  override readonly name = "EvidenceError";
}

/** Whether the report's actor signed it; false if nobody claims to have. Throws an [`EvidenceError`] if it is wrong. */
export async function verifyEvidence(evidence: Evidence, report: Report, domain: Domain): Promise<boolean> {
  if (evidence === "relayed") return false;
  try {
    const signer = await signerOf(evidence, report, domain);
    if (signer === report.actor) return true;
    const [found, actor] = [checksummed(signer), checksummed(report.actor)];
    throw new EvidenceError(`signature: signed by ${found}, but the report names actor ${actor}`);
  } catch (error) {
    if (error instanceof SignatureError) throw new EvidenceError(`signature: ${error.message}`);
    if (error instanceof PathError) throw new EvidenceError(`batch path: ${error.message}`);
    throw error;
  }
}

async function signerOf(evidence: Exclude<Evidence, "relayed">, report: Report, domain: Domain): Promise<Hex> {
  const hash = reportHash(report);
  if ("signed" in evidence) return recover(digest(hash, domain), hexToBytes(evidence.signed));
  const { count, index, root, path, signature } = evidence.batch;
  verifyInclusion(root, count, index, leafHash(hash), path);
  return recover(digest(structHash("ReportBatch", { root, count }), domain), hexToBytes(signature));
}
