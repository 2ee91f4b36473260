// Many records at once, from a FHIR Bundle: each resource is kept as the very characters that stand in the file, since a
// number that is read and written again may be another (0.10 is not 0.1 to who measures).
import { utf8 } from "../ledger/bytes";
import { leafHash, reportHash, rootOf, type Hex, type TrustFile } from "../ledger";
import { get, text } from "../reading/json";
import { ask } from "../server/client";
import { signBatch, ZERO, type ReportBatch } from "../session/report";
import { draftOf, isWritten, itemOf, ownRecord, resourceOf, titleText, versionOf, type Around, type Draft, type Listed } from "./api";
import { shown } from "./read";

/** What one request takes; the server's own limits. */
export const RECORDS_MAX = 1_000;
export const BODY_BYTES_MAX = 8 << 20;

/** A resource of a bundle, and by which name the file calls it. */
export interface Part {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly name: string | null;
}

/** Goes over JSON that is known to be well formed. */
class Cursor {
  at = 0;

  constructor(readonly source: string) {}

  #blanks(): void {
    while (" \t\n\r".includes(this.source[this.at] ?? "x")) this.at += 1;
  }

  #string(): void {
    for (this.at += 1; this.source[this.at] !== '"'; this.at += 1) if (this.source[this.at] === "\\") this.at += 1;
    this.at += 1;
  }

  /** The characters of the value that begins here. */
  value(): string {
    this.#blanks();
    const from = this.at;
    let depth = 0;
    do {
      const character = this.source[this.at];
      if (character === '"') {
        this.#string();
        continue;
      }
      if (character === "{" || character === "[") depth += 1;
      else if (character === "}" || character === "]") depth -= 1;
      else if (depth === 0) {
        while (!",]} \t\n\r".includes(this.source[this.at] ?? ",")) this.at += 1;
        break;
      }
      this.at += 1;
    } while (depth > 0);
    return this.source.slice(from, this.at);
  }

  /** What stands in the array or object that begins here, with the names of members. */
  *inner(): Generator<readonly [name: string, value: string]> {
    this.#blanks();
    const isObject = this.source[this.at] === "{";
    this.at += 1;
    for (;;) {
      this.#blanks();
      const character = this.source[this.at];
      if (character === "}" || character === "]" || character === undefined) return;
      if (character === ",") {
        this.at += 1;
        continue;
      }
      let name = "";
      if (isObject) {
        const from = this.at;
        this.#string();
        name = JSON.parse(this.source.slice(from, this.at)) as string;
        this.#blanks();
        this.at += 1;
      }
      yield [name, this.value()];
    }
  }
}

/** The members of an object. Of two of one name the last is it, as for every reader of JSON. */
const membersOf = (source: string): ReadonlyMap<string, string> => new Map(new Cursor(source).inner());

/** The resources of a bundle; null: it is none. */
export function partsOf(bytes: Uint8Array): readonly Part[] | null {
  let source: string;
  let tree: unknown;
  try {
    source = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    tree = JSON.parse(source);
  } catch {
    return null;
  }
  if (text(tree, "resourceType") !== "Bundle" || !Array.isArray(get(tree, "entry"))) return null;
  return [...new Cursor(membersOf(source).get("entry") ?? "[]").inner()].flatMap(([, entry]) => {
    const resource = entry.startsWith("{") ? membersOf(entry).get("resource") : undefined;
    if (resource === undefined) return [];
    const [type, id] = ["resourceType", "id"].map((name) => text(JSON.parse(resource), name));
    return [{ bytes: new Uint8Array(utf8(resource)), name: type && id ? `${type}/${id}` : text(JSON.parse(entry), "fullUrl") }];
  });
}

/** A record that is to be signed for. */
export interface Item {
  readonly draft: Draft;
  readonly bytes: Uint8Array;
  readonly title: string;
}

export interface Plan {
  readonly items: readonly Item[];
  /** What is kept already as it stands in the file. */
  readonly same: number;
  /** What is no FHIR resource, or stands in the file a second time. */
  readonly skipped: number;
}

/** What to sign of a bundle. */
export async function planOf(parts: readonly Part[], known: readonly Listed[], around: Around): Promise<Plan> {
  const items: Item[] = [];
  const seen = new Set<Hex>();
  let [same, skipped] = [0, 0];
  for (const { bytes, name } of parts) {
    const about = resourceOf(bytes);
    const version = await versionOf(bytes);
    // What has no name of its own is known by its bytes.
    const record = ownRecord(around.subject, "bundle", name ?? version);
    if (about === null || seen.has(record)) {
      skipped += 1;
      continue;
    }
    seen.add(record);
    const head = known.find((one) => one.record === record)?.head ?? ZERO;
    if (head === version) {
      same += 1;
      continue;
    }
    const title = titleOf(bytes, about.resourceType ?? "");
    items.push({ draft: draftOf(record, [head, version], { title, ...about }, bytes.length, around), bytes, title });
  }
  return { items, same, skipped };
}

/** What a person calls it: the first that it says of itself, and its type. */
function titleOf(bytes: Uint8Array, type: string): string {
  const view = shown(bytes, "application/fhir+json");
  const what = view.kind === "rows" ? view.rows.find(({ name }) => name === "What")?.value : null;
  return titleText(what ? `${what} (${type})` : type);
}

/** What stands under the one signature. */
export function batchOf(items: readonly Item[]): ReportBatch {
  return { root: rootOf(items.map(({ draft }) => leafHash(reportHash(draft.report)))), count: items.length };
}

/** How long the request will be at most: base64 makes four characters of three bytes. */
export function bodyBytes(items: readonly Item[]): number {
  return items.reduce((sum, { draft, bytes }) => sum + Math.ceil(bytes.length / 3) * 4 + utf8(draft.details).length + 1_200, 0);
}

export interface Outcome {
  readonly item: Item;
  /** Why it was not written: the kind of the server's problem. */
  readonly problem: string | null;
}

/** Signs them all at once, and tells what became of each. */
export async function keepAll(items: readonly Item[], address: Hex, trust: TrustFile): Promise<readonly Outcome[]> {
  const { root, count } = batchOf(items);
  const signature = await signBatch(address, { root, count }, trust);
  const sent = items.map(({ draft, bytes }) => `{${itemOf(draft, bytes)}}`).join(",");
  const rawBody = `{"root":"${root}","count":${count},"signature":"${signature}","items":[${sent}]}`;
  return outcomesOf(await ask<unknown>("/v1/records", { method: "POST", rawBody }), items);
}

/** An answer that tells of another version, or of none, has not written this one. */
export function outcomesOf(answer: unknown, items: readonly Item[]): readonly Outcome[] {
  const results = get(answer, "results");
  return items.map((item, place) => {
    const result: unknown = Array.isArray(results) ? results[place] : null;
    if (isWritten(get(result, "written"), item.draft)) return { item, problem: null };
    return { item, problem: text(get(result, "problem"), "type")?.replace(/^.*\//, "") ?? "other-written" };
  });
}
