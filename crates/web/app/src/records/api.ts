// The records of a person as the server keeps them: every byte of it is held against what the trail names.
import { t } from "../i18n";
import { base64, bytesToHex, concat, hexToBytes, utf8 } from "../ledger/bytes";
import { reportHash, sha256, type Hex, type Report, type TrustFile } from "../ledger";
import { isAtLeast, isLevel, MARKS, type Confidentiality } from "../permit";
import { get, list, text } from "../reading/json";
import { ask, Refused, Unreachable } from "../server/client";
import { eventId, signReport, ZERO } from "../session/report";
import type { Checked } from "../trail/line";

/** What a version is, in the words of whoever wrote it. */
export interface About {
  readonly title: string;
  readonly mediaType: string;
  readonly resourceType: string | null;
  readonly confidentiality: string | null;
  readonly topics: readonly string[];
}

export interface Version extends About {
  readonly version: Hex;
  readonly from: Hex;
  readonly index: number;
  readonly receivedMs: number;
  readonly actor: Hex;
  readonly organisation: { readonly name: string } | null;
  /** What it rests on; zero for the person's own. */
  readonly permission: Hex;
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
const [CREATE, UPDATE, DELETE] = [67, 85, 68];

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

/** Who writes, where, when. */
export interface Around {
  readonly log: Hex;
  readonly address: Hex;
  readonly subject: Hex;
  readonly nowMs: number;
}

/** A version that is to be signed: the report, and the very bytes of its document. */
export interface Draft {
  readonly report: Report;
  readonly details: string;
}

/** What a report of a change of a record says, and what of: from zero it begins, to zero it is deleted. */
export function draftOf(record: Hex, [fromVersion, toVersion]: readonly [Hex, Hex], about: About, bytes: number, { log, address, subject, nowMs }: Around): Draft {
  const { title, mediaType, resourceType, confidentiality, topics } = about;
  const details = JSON.stringify({
    version: "medtrail/version-v1", about: { title, mediaType, resourceType, confidentiality, topics }, bytes, purposes: [],
  });
  const action = fromVersion === ZERO ? CREATE : toVersion === ZERO ? DELETE : UPDATE;
  // The same change is the same event, whoever presses twice.
  const name = `${toVersion === ZERO ? "delete" : "upload"} ${record} ${fromVersion} ${toVersion}`;
  const report: Report = {
    log, eventId: eventId(address, name), kind: CHANGE, action, timeMs: nowMs, subject, actor: address, record, fromVersion, toVersion,
    permission: ZERO, details: sha256(utf8(details)),
  };
  return { report, details };
}

/** Report and document of an upload. */
export async function uploadOf({ title, name, mediaType, bytes }: Upload, known: readonly Listed[], around: Around): Promise<Draft> {
  const resource = mediaType.includes("json") ? resourceOf(bytes) : null;
  const about = { title: titleText(title), ...(resource ?? { mediaType, resourceType: null, confidentiality: null, topics: [] }) };
  const record = ownRecord(around.subject, "upload", name);
  const fromVersion = known.find((one) => one.record === record)?.head ?? ZERO;
  return draftOf(record, [fromVersion, await versionOf(bytes)], about, bytes.length, around);
}

/** That a record is deleted; what it was stays said. */
export function deletionOf({ record, head, current }: Listed, around: Around): Draft {
  if (current === null || head === ZERO) throw new Error("what is deleted is there");
  return draftOf(record, [head, ZERO], current, 0, around);
}

const TOPICS_MAX = 16;
const TITLE_MAX = 200;

/** A name on one line, as the log takes it. */
export function titleText(text: string): string {
  return [...text.replace(/\p{Cc}+/gu, " ").trim()].slice(0, TITLE_MAX).join("").trim();
}

/** What the bytes say of themselves, if they are a FHIR resource: its type, and how private it is (`meta.security`). */
export function resourceOf(bytes: Uint8Array): Omit<About, "title"> | null {
  let tree: unknown;
  try {
    tree = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return null;
  }
  const resourceType = text(tree, "resourceType");
  if (resourceType === null || !/^[A-Z][A-Za-z]{1,63}$/.test(resourceType)) return null;
  const codes = list(get(tree, "meta"), "security").flatMap((label) => text(label, "code") ?? []);
  const confidentiality = codes.filter(isLevel).reduce<Confidentiality | null>((most, level) =>
    (most === null || isAtLeast(level, most) ? level : most), null);
  const topics = [...new Set(codes.filter((code) => MARKS.has(code) && !isLevel(code)))].slice(0, TOPICS_MAX);
  return { mediaType: "application/fhir+json", resourceType, confidentiality, topics };
}

/** What the server answers to a version that counts. */
interface Written {
  readonly record?: unknown;
  readonly version?: unknown;
  readonly receipt?: { readonly reportHash?: unknown };
}

/** Whether that is the version that was signed. */
export function isWritten(written: unknown, { report }: Draft): boolean {
  const { record, version, receipt } = (written ?? {}) as Written;
  return record === report.record && version === report.toVersion && receipt?.reportHash === reportHash(report);
}

/** The document goes as the very bytes that were signed for. */
export function itemOf({ report, details }: Draft, bytes: Uint8Array | null): string {
  return `"report":${JSON.stringify(report)},"details":${details}${bytes === null ? "" : `,"content":"${base64(bytes)}"`}`;
}

/** Signs one version and has it written. */
async function write(draft: Draft, bytes: Uint8Array | null, trust: TrustFile): Promise<void> {
  const signature = await signReport(draft.report, trust);
  const rawBody = `{${itemOf(draft, bytes)},"signature":"${signature}"}`;
  const written = await ask<unknown>(`/v1/records/${draft.report.record}/versions`, { method: "POST", rawBody });
  if (!isWritten(written, draft)) throw new Error(t("permissions.otherWritten"));
}

/** Signs and keeps it. */
export async function keep(upload: Upload, known: readonly Listed[], address: Hex, subject: Hex): Promise<void> {
  const trust = await ask<TrustFile>("/.well-known/medtrail.json");
  await write(await uploadOf(upload, known, { log: trust.log, address, subject, nowMs: Date.now() }), upload.bytes, trust);
}

/** Signs that it is deleted. */
export async function remove(listed: Listed, address: Hex): Promise<void> {
  const trust = await ask<TrustFile>("/.well-known/medtrail.json");
  await write(deletionOf(listed, { log: trust.log, address, subject: listed.subject, nowMs: Date.now() }), null, trust);
}

/** All versions of a record, oldest first. */
export async function historyOf(record: Hex, signal: AbortSignal): Promise<readonly Version[]> {
  return (await ask<{ versions: Version[] }>(`/v1/records/${record}`, { signal })).versions;
}

/** Whether a version is the one that its line in the trail names. */
export function isOfLine(version: Version, record: Hex, line: Checked | undefined): boolean {
  if (line === undefined || line.problems.length > 0) return false;
  const { report } = line.line;
  return report.kind === CHANGE && report.record === record && report.fromVersion === version.from && report.toVersion === version.version
    && report.actor === version.actor;
}
