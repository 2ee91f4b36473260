import { documentHash, type Hex, type Line, type TrustFile } from "../ledger";
import { documentId, documentOf, problemOf, signerOf } from "../permit";

/** The lines that an erasure took: by subject id, up to which number. */
export type Erased = ReadonlyMap<string, number>;

const HEX = /^0x(?:[0-9a-f]{2})+$/i;

/**
 * What a line of kind 10 says that was erased; null if it does not show what the person of its trail signed for that. Else a
 * server could hide lines and call them erased. No more of the person's own lines counts than the document names.
 */
export async function erasedBy({ report, details }: Line, trust: TrustFile): Promise<Erased | null> {
  if (report.kind !== 10 || details === null || !("text" in details) || documentHash(details) !== report.details) return null;
  let told: unknown;
  try {
    told = JSON.parse(details.text);
  } catch {
    return null;
  }
  if (typeof told !== "object" || told === null) return null;
  const { version, act, document: given, signature, parts } = told as Record<string, unknown>;
  const document = documentOf(given);
  if (version !== "medtrail/erasure-v1" || act !== "done" || document === null || !("erase" in document)) return null;
  if (typeof signature !== "string" || !HEX.test(signature) || !Array.isArray(parts)) return null;
  const { subject, log, upToOrdinal } = document.erase;
  const own = `0x${subject.slice(2).toLowerCase().padStart(64, "0")}`;
  if (problemOf(document) !== null || own !== report.subject.toLowerCase() || log.toLowerCase() !== trust.log.toLowerCase()) return null;
  const registries = { chainId: trust.chainId, consentRegistry: trust.registry, anchorRegistry: trust.registry };
  const signer = await signerOf(documentId(document, registries), signature.toLowerCase() as Hex);
  if (signer === null || signer.toLowerCase() !== subject.toLowerCase()) return null;
  const erased = new Map<string, number>();
  for (const part of parts as unknown[]) {
    if (typeof part !== "object" || part === null) return null;
    const { subject: of, through } = part as Record<string, unknown>;
    if (typeof of !== "string" || typeof through !== "number" || !Number.isSafeInteger(through)) return null;
    erased.set(of.toLowerCase(), of.toLowerCase() === own ? Math.min(through, upToOrdinal) : through);
  }
  return erased;
}
