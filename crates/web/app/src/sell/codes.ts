// Which codes stand in a person's own records: read on this device, each record held to what the trail names.
import { get, list, parseTree, text } from "../reading/json";
import { contentOf, type Listed } from "../records/api";

/** Records that are opened to look for codes. */
export const LOOKED_MAX = 200;
const CODED = ["code", "vaccineCode", "medicationCodeableConcept"];

export interface FoundCode {
  readonly code: string;
  /** What the record calls it; empty: nothing. */
  readonly words: string;
  readonly records: number;
}

/** The codes of one resource, each once. */
export function codesOf(bytes: Uint8Array): readonly { readonly code: string; readonly words: string }[] {
  const tree = parseTree(bytes);
  const found = new Map<string, string>();
  for (const name of CODED) {
    const concept = get(tree, name);
    for (const coding of list(concept, "coding")) {
      const [system, code] = [text(coding, "system"), text(coding, "code")];
      if (system !== null && code !== null) found.set(`${system}|${code}`, text(coding, "display") ?? text(concept, "text") ?? "");
    }
  }
  return [...found].map(([code, words]) => ({ code, words }));
}

/** The codes in records of these types, the commonest first. */
export async function codesInRecords(records: readonly Listed[], types: readonly string[], signal: AbortSignal): Promise<readonly FoundCode[]> {
  const found = new Map<string, FoundCode>();
  const looked = records.filter(({ current }) => current?.isKept === true && types.includes(current.resourceType ?? "")).slice(0, LOOKED_MAX);
  for (const { record, head } of looked) {
    const { bytes, isThat } = await contentOf(`/v1/records/${record}/content?version=${head}`, head, signal);
    if (!isThat) continue;
    for (const { code, words } of codesOf(bytes)) {
      const known = found.get(code);
      found.set(code, { code, words: known?.words || words, records: (known?.records ?? 0) + 1 });
    }
  }
  return [...found.values()].sort((a, b) => b.records - a.records || (a.code < b.code ? -1 : 1));
}
