// What a buyer may look at where it is kept, for as long as the sale gives it. What is shown is checked against the version
// that it is said to be; that it was sold, and is all, is the service's word.
import type { Hex } from "../ledger/types";
import { get, list, text } from "../reading/json";
import { complete, HASH, hex, whole } from "../sales/api";
import { contentOf, type Content } from "../records/api";
import { ask } from "../server/client";
import type { Purchase } from "./buying.svelte";

/** One record that was sold, in the version that counts now. */
export interface Sold {
  readonly record: Hex;
  readonly version: Hex;
  readonly mediaType: string;
  readonly source: string;
  readonly bytes: number;
  readonly word: "signedByOrganisation" | "uploadedByPerson";
}

/** Until when a purchase lets its buyer look, seconds; null: not at all, or not any more. */
export function looksUntilS({ order: { offer }, dataset, view, chain, progress }: Purchase, nowS: number): number | null {
  const endedAtS = chain?.endedAtS ?? view?.endedAtS ?? null;
  const isEnded = (chain?.revokedAtS ?? view?.revokedAtS ?? null) !== null || (view?.withdrawal ?? null) !== null;
  if (view === null || progress.end !== "settled" || endedAtS === null || isEnded || offer.accessS === 0 || dataset?.form !== "as-it-is") return null;
  return nowS < endedAtS + offer.accessS ? endedAtS + offer.accessS : null;
}

function soldOf(node: unknown): Sold | null {
  const origin = get(node, "origin");
  return complete<Sold>({
    record: hex(origin, "record", HASH), version: hex(origin, "version", HASH), mediaType: text(origin, "mediaType"), source: text(origin, "source"),
    bytes: whole(node, "bytes"), word: (["signedByOrganisation", "uploadedByPerson"] as const).find((one) => one === text(node, "word")) ?? null,
  });
}

/** The list is a look too. `unread`: of no form that this page knows. */
export async function soldRecords(order: Hex, signal: AbortSignal): Promise<{ readonly records: readonly Sold[]; readonly unread: number }> {
  const all = list(await ask<unknown>(`/v1/sales/${order}/records`, { signal }), "records");
  const records = all.flatMap((one) => soldOf(one) ?? []);
  return { records, unread: all.length - records.length };
}

/** One of them, and whether it is the version that the list names. */
export const lookAt = (order: Hex, { record, version }: Sold, signal: AbortSignal): Promise<Content> =>
  contentOf(`/v1/sales/${order}/records/${record}/content`, version, signal);
