import { fireEvent, render, screen } from "@testing-library/svelte";
import { createHash } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { utf8 } from "../ledger/bytes";
import type { Hex } from "../ledger/types";
import { DATASET, LOG, NOW_S, offer, order, saleAnswer } from "../sales/testing";
import { saleOf } from "../sales/api";
import type { Standing } from "../sales/chain";
import { progressOf } from "../sales/progress";
import type { Purchase } from "./buying.svelte";
import Looks from "./Looks.svelte";
import { looksUntilS } from "./looks";

const DAY_S = 86_400;
const AS_IT_IS = { ...DATASET, form: "as-it-is" as const };
const ORDER = order({ offer: offer({ accessS: 7 * DAY_S }, AS_IT_IS) });
const SETTLED: Standing = { status: "settled", paidAtS: 5, approvedAtS: null, endedAtS: NOW_S - DAY_S, revokedAtS: null };

function purchase(change: object = {}, of = ORDER, chain: Standing | null = SETTLED, dataset: Purchase["dataset"] = AS_IT_IS): Purchase {
  const view = saleOf(saleAnswer(of, { role: "buyer", state: "settled", endedAtS: NOW_S - DAY_S, ...change }));
  return { id: LOG, order: of, dataset, atMs: null, view, flaws: [], chain, progress: progressOf(of, view, chain, NOW_S), tx: null };
}

const BYTES = JSON.stringify({ resourceType: "Observation", valueString: "Seven" });
const VERSION: Hex = `0x${createHash("sha256").update(utf8(BYTES)).digest("hex")}`;
const record = (number: number, version = VERSION) => ({
  word: "signedByOrganisation", bytes: BYTES.length, origin: { record: `0x${String(number).padStart(64, "0")}`, version, mediaType: "application/fhir+json", source: "Kalda", proof: {} },
});

afterEach(() => { vi.unstubAllGlobals(); });

describe("time to look", () => {
  it("is what the seller gave, from the settlement on, and ends as they end it", () => {
    const untilS = NOW_S + 6 * DAY_S;
    expect(looksUntilS(purchase(), NOW_S)).toBe(untilS);
    expect(looksUntilS(purchase({}, ORDER, null), NOW_S)).toBe(untilS);
    expect(looksUntilS(purchase(), untilS)).toBeNull();
    const none: Purchase[] = [
      purchase({}, order()), purchase({}, ORDER, { ...SETTLED, revokedAtS: 9 }), purchase({ revokedAtS: 9 }, ORDER, null), purchase({}, ORDER, SETTLED, DATASET), purchase({}, ORDER, SETTLED, null),
      purchase({ state: "settling" }, ORDER, { ...SETTLED, status: "paid", endedAtS: null }), purchase({ withdrawal: { askedMs: 1, dueMs: 2, state: "waiting" } }),
    ];
    for (const one of none) expect(looksUntilS(one, NOW_S)).toBeNull();
  });
});

describe("looking", () => {
  it("says first that each look is a line of the seller's trail, and asks for nothing before a press", async () => {
    const asked: string[] = [];
    vi.stubGlobal("fetch", async (path: string) => {
      asked.push(path);
      if (path.endsWith("/records")) return new Response(JSON.stringify({ version: "medtrail/sale-records-v1", records: [record(1), record(2, LOG), { word: "x" }] }));
      return new Response(BYTES);
    });
    const { container } = render(Looks, { order: LOG, untilS: NOW_S + DAY_S });
    expect(container.textContent).toContain("Each look is a line of the seller’s trail");
    expect(asked).toEqual([]);
    await fireEvent.click(screen.getByRole("button", { name: "Look now" }));
    await vi.waitFor(() => expect(container.textContent).toContain("2 records."));
    expect(container.textContent).toContain("One line of this site’s answer is in no form that this page knows.");
    expect(asked).toEqual([`/v1/sales/${LOG}/records`]);
    const [first, second] = screen.getAllByRole("button", { name: "Open it" });
    await fireEvent.click(first as HTMLElement);
    await vi.waitFor(() => expect(container.textContent).toContain("Seven"));
    expect(asked.at(-1)).toBe(`/v1/sales/${LOG}/records/0x${"1".padStart(64, "0")}/content`);
    // Other bytes than the list named are not shown.
    await fireEvent.click(second as HTMLElement);
    await vi.waitFor(() => expect(container.textContent).toContain("What came is not the version that this site named."));
    expect(container.textContent?.match(/Seven/g)).toHaveLength(1);
  });

  it("tells in words why nothing can be seen", async () => {
    vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ type: "/problems/no-look" }), { status: 403 }));
    render(Looks, { order: LOG, untilS: NOW_S + DAY_S });
    await fireEvent.click(screen.getByRole("button", { name: "Look now" }));
    expect((await screen.findByRole("alert")).textContent).toBe("This sale lets you look at nothing now: it is not final yet, or over.");
  });
});
