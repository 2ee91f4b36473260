import { documentHash, type Hex, type Line, type TrustFile } from "../ledger";
import { isHex } from "../ledger/bytes";
import { documentId, documentOf, problemOf, signerOf, type Erase } from "../permit";
import { subjectOf } from "./subject";

/** The lines that an erasure took: by subject id, up to which number. */
export type Erased = ReadonlyMap<string, number>;

const HEX = /^0x(?:[0-9a-f]{2})+$/i;

type Members = Readonly<Record<string, unknown>>;

/** The document of a line of kind 10, if its bytes are those that were reported. */
function membersOf({ report, details }: Line): Members | null {
  if (report.kind !== 10 || details === null || !("text" in details) || documentHash(details) !== report.details) return null;
  try {
    const told = JSON.parse(details.text) as unknown;
    return typeof told === "object" && told !== null && (told as Members)["version"] === "medtrail/erasure-v1" ? told as Members : null;
  } catch {
    return null;
  }
}

/** What the person of the trail signed for this log; null if the line does not show it. */
async function signedIn({ document: given, signature }: Members, { report }: Line, trust: TrustFile): Promise<Erase | null> {
  const document = documentOf(given);
  if (document === null || !("erase" in document) || typeof signature !== "string" || !HEX.test(signature)) return null;
  const { subject, log } = document.erase;
  if (problemOf(document) !== null || subjectOf(subject) !== report.subject.toLowerCase() || log.toLowerCase() !== trust.log.toLowerCase()) return null;
  const registries = { chainId: trust.chainId, consentRegistry: trust.registry, anchorRegistry: trust.registry };
  const signer = await signerOf(documentId(document, registries), signature.toLowerCase() as Hex);
  return signer !== null && signer.toLowerCase() === subject.toLowerCase() ? document.erase : null;
}

/**
 * What a line of kind 10 says that was erased; null if it does not show what the person of its trail signed for that. Else a
 * server could hide lines and call them erased. No more of the person's own lines counts than the document names.
 */
export async function erasedBy(line: Line, trust: TrustFile): Promise<Erased | null> {
  const told = membersOf(line);
  if (told === null || told["act"] !== "done") return null;
  const { parts } = told;
  const erase = await signedIn(told, line, trust);
  if (erase === null || !Array.isArray(parts)) return null;
  const own = subjectOf(erase.subject);
  const erased = new Map<string, number>();
  for (const part of parts as unknown[]) {
    if (typeof part !== "object" || part === null) return null;
    const { subject: of, through } = part as Record<string, unknown>;
    if (typeof of !== "string" || typeof through !== "number" || !Number.isSafeInteger(through)) return null;
    erased.set(of.toLowerCase(), of.toLowerCase() === own ? Math.min(through, erase.upToOrdinal) : through);
  }
  return erased;
}

const ACTS = ["asked", "cancelled", "refused", "done"] as const;

/** What a line says of an erasure: that it was asked for, or how it ended. */
export interface ErasureTold {
  readonly act: (typeof ACTS)[number];
  readonly erasure: Hex;
  readonly form: "records" | "everything";
  /** Of what was asked: the day. */
  readonly dueMs: number | null;
  /** It shows what the person signed. A cancellation needs no signature. */
  readonly isSigned: boolean;
}

/** Reads a line of kind 10; null if it tells of no erasure. */
export async function erasureOf(line: Line, trust: TrustFile): Promise<ErasureTold | null> {
  const told = membersOf(line);
  if (told === null) return null;
  const { erasure, form, dueMs = null } = told;
  const act = ACTS.find((one) => one === told["act"]);
  const id = typeof erasure === "string" ? erasure.toLowerCase() : null;
  if (act === undefined || !isHex(id, 32) || (form !== "records" && form !== "everything")) return null;
  const isDue = act !== "asked" || (Number.isSafeInteger(dueMs) && Number(dueMs) >= 0 && Number(dueMs) <= 8.64e15);
  if (!isDue) return null;
  const erase = await signedIn(told, line, trust);
  const registries = { chainId: trust.chainId, consentRegistry: trust.registry, anchorRegistry: trust.registry };
  const isIt = erase !== null && documentId({ erase }, registries) === id && (erase.upToOrdinal === 0) === (form === "records");
  return { act, erasure: id, form, dueMs: act === "asked" ? Number(dueMs) : null, isSigned: isIt };
}
