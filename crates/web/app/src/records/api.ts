// The records of a person as the server keeps them: every byte of it is held against what the trail names.
import { base64, bytesToHex, concat, hexToBytes, utf8 } from "../ledger/bytes";
import { sha256, type Hex, type Report, type TrustFile } from "../ledger";
import { ask, Refused, Unreachable } from "../server/client";
import { eventId, signReport, ZERO } from "../session/report";

/** A version, in the words of whoever wrote it. */
export interface Version {
  readonly version: Hex;
  readonly from: Hex;
  readonly index: number;
  readonly receivedMs: number;
  readonly actor: Hex;
  readonly organisation: { readonly name: string } | null;
  readonly title: string;
  readonly mediaType: string;
  readonly resourceType: string | null;
  readonly bytes: number;
  readonly isKept: boolean;
}

/** A record as the list has it. */
export interface Listed {
  readonly record: Hex;
  readonly subject: Hex;
  readonly head: Hex;
  readonly versions: number;
  readonly current: Version | null;
}

/** Bytes of the server, and whether they are the ones that were named. */
export interface Content {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly isThat: boolean;
}

/** What a version may be long; the server's own limit. */
export const BYTES_MAX = 4 << 20;
const CHANGE = 2;
const [CREATE, UPDATE] = [67, 85];

/** SHA-256 by the browser: a file may be megabytes. */
export async function versionOf(bytes: Uint8Array<ArrayBuffer>): Promise<Hex> {
  return bytesToHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** Reads bytes and holds them against the version that is meant. */
export async function contentOf(path: string, version: Hex, signal?: AbortSignal): Promise<Content> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...(signal && { signal }) });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new Unreachable(cause);
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({})) as { type?: unknown; detail?: unknown };
    throw new Refused(response.status, String(problem.type ?? "").replace(/^.*\//, ""), String(problem.detail ?? `HTTP ${response.status}`));
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { bytes, isThat: await versionOf(bytes) === version };
}

/** The id of a record that a person keeps themself (docs/formats.md). */
export function ownRecord(subject: Hex, source: string, external: string): Hex {
  const [of, name] = [utf8(source), utf8(external)];
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, of.length);
  return sha256(concat(utf8("medtrail/own-record\0"), hexToBytes(subject), length, of, name));
}

/** A file that a person puts into their records: a new record, or a new version of the one of that name. */
export interface Upload {
  readonly title: string;
  readonly name: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Report and document of an upload. */
export async function uploadOf(
  { title, name, mediaType, bytes }: Upload, known: readonly Listed[], { log, address, subject, nowMs }: { log: Hex; address: Hex; subject: Hex; nowMs: number },
): Promise<{ report: Report; details: string }> {
  const resourceType = resourceTypeOf(mediaType, bytes);
  const about = { title, mediaType: resourceType ? "application/fhir+json" : mediaType, resourceType, confidentiality: null, topics: [] };
  const details = JSON.stringify({ version: "medtrail/version-v1", about, bytes: bytes.length, purposes: [] });
  const record = ownRecord(subject, "upload", name);
  const fromVersion = known.find((one) => one.record === record)?.head ?? ZERO;
  const toVersion = await versionOf(bytes);
  const report: Report = {
    log, eventId: eventId(address, `upload ${record} ${fromVersion} ${toVersion}`), kind: CHANGE, action: fromVersion === ZERO ? CREATE : UPDATE,
    timeMs: nowMs, subject, actor: address, record, fromVersion, toVersion, permission: ZERO, details: sha256(utf8(details)),
  };
  return { report, details };
}

/** The type of a FHIR resource, if the file is one. */
function resourceTypeOf(mediaType: string, bytes: Uint8Array): string | null {
  if (!mediaType.includes("json")) return null;
  try {
    const found = (JSON.parse(new TextDecoder().decode(bytes)) as { resourceType?: unknown }).resourceType;
    return typeof found === "string" && /^[A-Z][A-Za-z]{1,63}$/.test(found) ? found : null;
  } catch {
    return null;
  }
}

/** Signs and keeps it. */
export async function keep(upload: Upload, known: readonly Listed[], address: Hex, subject: Hex): Promise<void> {
  const trust = await ask<TrustFile>("/.well-known/medtrail.json");
  const { report, details } = await uploadOf(upload, known, { log: trust.log, address, subject, nowMs: Date.now() });
  const signature = await signReport(report, trust);
  // The document goes as the very bytes that were signed for.
  const rawBody = `{"report":${JSON.stringify(report)},"details":${details},"signature":"${signature}","content":"${base64(upload.bytes)}"}`;
  await ask(`/v1/records/${report.record}/versions`, { method: "POST", rawBody });
}
