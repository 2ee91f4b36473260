import { fireEvent, render, screen } from "@testing-library/svelte";
import { createHash } from "node:crypto";
import { encodeAbiParameters } from "viem/utils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fixture, repositoryFile } from "../ledger/testing";
import type { Hex, Report } from "../ledger/types";
import { secretText } from "../market/age-key";
import MyCallItem from "../market/MyCall.svelte";
import { NOW } from "../permissions/testing";
import { cohortId, type Cohort, type CohortMarket } from "../permit/sale";
import { abiAnswer, NOW_S } from "../sales/testing";
import { session } from "../session/session.svelte";
import { CALL_SELECTORS, SETTLED_MANY } from "./abi";
import { SELECTORS } from "../sales/abi";
import { Calling } from "./calling.svelte";
import { callAnswer, CALLING } from "./testing";

/** The file that crates/market sealed once: the lock is 32 bytes of 1, the buyer's key of 0x42, its sellers at places 10, 20, 30. */
const kept = (ending: string) => repositoryFile(`tests/data/delivery/cohort-v1-de-identified${ending}`);
const json = <T>(ending: string) => JSON.parse(new TextDecoder().decode(kept(ending))) as T;
const FILE = new Uint8Array(kept(".age"));
const MANIFEST = json<{ market: CohortMarket; cohort: Cohort; dataset: string; consents: { seller: Hex; place: number }[] }>(".manifest.json");
const ENTRIES = json<{ report: Report; details: string }[]>(".entries.json");
const MARKET = { ...CALLING, ...MANIFEST.market };
const ID = cohortId("Cohort", MANIFEST.cohort, MARKET);
const SUM: Hex = `0x${createHash("sha256").update(FILE).digest("hex")}`;
const K: Hex = `0x${"01".repeat(32)}`;
const SECRET = secretText(new Uint8Array(32).fill(0x42));
const TX: Hex = `0x${"ee".repeat(32)}`;

const proofs = () => ENTRIES.map(({ report, details }, index) => ({ ...fixture(), index, report: { ...fixture().report, ...report }, details: { text: details } }));

/** `paid`: at which places; `sum`: the file that the contract was shown. */
const PERSONS = json<{ persons: { label: string; consent: { hidden: Hex } }[] }>(".manifest.json").persons;
const asked = (label: string, part: Hex) => ({ askedMs: NOW - 5, dueMs: NOW + 30 * 86_400_000, state: "waiting", label, part });

interface Options {
  readonly withdrawals?: readonly object[];
  readonly paid?: readonly number[]; readonly count?: number; readonly sum?: Hex; readonly sellers?: number; readonly left?: readonly object[];
}

function world({ paid = [10, 20, 30], count = paid.length, sum = SUM, sellers = 3, left = proofs(), withdrawals = [] }: Options = {}) {
  const delivery = { state: "settled", refusal: null, file: SUM, bytes: FILE.length, sellers, paid: 3, lock: null };
  const call = { ...callAnswer(MANIFEST.cohort, { state: "closed", accepted: 3, delivery, withdrawals: [...withdrawals] }), id: ID, dataset: MANIFEST.dataset };
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (path: string) => {
    asked.push(path);
    if (path.endsWith("/delivery")) return new Response(FILE.slice(), { headers: { etag: '"1"' } });
    // Two pages.
    const page = path.includes("before=") ? { proofs: left.slice(1), next: null } : { proofs: left.slice(0, 1), next: "10" };
    const answer = path.includes("/proofs?") ? page : path.startsWith("/v1/calls?") ? { calls: [call], next: null } : {};
    return new Response(JSON.stringify(answer), { status: path.startsWith("/.well-known") ? 404 : 200 });
  });
  const data = encodeAbiParameters([{ type: "bytes32" }, { type: "bytes32" }, { type: "uint32" }], [K, sum, count]);
  session.wallet = {
    info: { uuid: "u", name: "W", icon: "", rdns: "w" },
    provider: {
      async request({ method, params }) {
        const [first] = (params ?? []) as [{ data: string }];
        if (method === "eth_chainId") return "0x7a6a";
        if (method === "eth_accounts") return [MANIFEST.cohort.buyer];
        if (method === "eth_getBlockByNumber") return { number: "0x5", timestamp: `0x${NOW_S.toString(16)}` };
        if (method === "eth_getLogs") return [{ address: MARKET.cohortMarket, topics: [SETTLED_MANY, ID], removed: false, transactionHash: TX, data }];
        if (first.data.startsWith(SELECTORS.creditOf)) return abiAnswer(0);
        if (first.data.startsWith(CALL_SELECTORS.standing)) return abiAnswer(2, NOW_S - 9, NOW_S, count);
        const place = MANIFEST.consents.find(({ seller }) => first.data.endsWith(seller.slice(2)))?.place ?? -1;
        return paid.includes(place) ? abiAnswer(1, place) : abiAnswer(0, 0);
      },
    },
  };
  return asked;
}

async function shown(options: Options = {}) {
  const asked = world(options);
  const calling = new Calling(MARKET, MANIFEST.cohort.buyer);
  await calling.start();
  const [call] = calling.calls;
  if (!call) throw new Error("one");
  const item = render(MyCallItem, { call, calling, ontold: () => {} });
  await fireEvent.click(screen.getByRole("button", { name: "Download and check" }));
  return { asked, ...item };
}

async function open(secret = SECRET) {
  await fireEvent.input(await screen.findByLabelText("Or the key itself (AGE-SECRET-KEY-1…)"), { target: { value: secret } });
  await fireEvent.click(screen.getByRole("button", { name: "Open it" }));
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, shouldAdvanceTime: true });
  localStorage.clear();
  session.who = { address: MANIFEST.cohort.buyer, roles: [], organisation: null, expiresMs: NOW + 1_000_000 };
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  session.wallet = null;
  session.who = null;
});

describe("the file of a call on its buyer's page", () => {
  it("opens with the chain's key and the buyer's, and is shown once everything in it was checked", async () => {
    const { container, asked } = await shown();
    await open();
    await vi.waitFor(() => expect(container.textContent).toContain("The chain says that each of them was paid."));
    for (const words of ["The log has 3 lines of this delivery", "The data of 3 people", "Each of them signed with their own key.", "What a record’s path begins with stands for one person of this file."]) {
      expect(container.textContent).toContain(words);
    }
    expect(container.textContent).toMatch(/person-[0-9a-f]{16}\.ndjson/);
    for (const { seller } of MANIFEST.consents) expect(container.textContent?.toLowerCase()).not.toContain(seller.slice(2));
    expect(asked.filter((path) => path.includes("/proofs?"))).toEqual([`/v1/calls/${ID}/proofs?limit=100`, `/v1/calls/${ID}/proofs?limit=100&before=10`]);
    expect(screen.queryByRole("button", { name: "Open it" })).toBeNull();
  });

  it("says which part is to be deleted, and lets nobody sign about another than the list in the file has under that mark", async () => {
    const [first, second] = PERSONS as [(typeof PERSONS)[0], (typeof PERSONS)[0]];
    const { container } = await shown({ withdrawals: [asked(first.label, second.consent.hidden)] });
    await open();
    await vi.waitFor(() => expect(container.textContent).toContain("The chain says that each of them was paid."));
    await fireEvent.click(screen.getByRole("button", { name: "Sign that it is deleted" }));
    await vi.waitFor(() => expect(container.textContent).toContain("This part is not the one that the file’s own list has under that mark"));
  });

  it("is told to have what was deleted in it still", async () => {
    const [first] = PERSONS as [(typeof PERSONS)[0]];
    const { container } = await shown({ withdrawals: [{ ...asked(first.label, first.consent.hidden), state: "deleted" }] });
    expect(container.textContent).toContain(`Whoever downloads it deletes them again: person-${first.label}`);
  });

  it("names the places of those who are in it and were not paid", async () => {
    const { container } = await shown({ paid: [10, 30] });
    await open();
    await vi.waitFor(() => expect(container.textContent).toContain("In the file and not paid, so not yours to use: places 20"));
  });

  it("is shown to nobody where somebody was paid for nothing, a line is missing, or the contract was shown another file", async () => {
    for (const [options, words] of [
      [{ paid: [10, 20], count: 3 }, "Somebody was paid whose data are not in the file."],
      [{ left: proofs().slice(1) }, "Somebody is in it for whom the log has no line of this delivery."],
      [{ left: [] }, "The log’s lines are of two files, or one is missing."],
    ] as const satisfies readonly (readonly [Options, string])[]) {
      const { container, unmount } = await shown(options);
      await open();
      await vi.waitFor(() => expect(container.textContent).toContain(words));
      expect([container.textContent?.includes("person-"), screen.queryByRole("button", { name: "Open it" })]).toEqual([false, null]);
      unmount();
    }
    const { container } = await shown({ sum: TX });
    await vi.waitFor(() => expect(container.textContent).toContain(`and should be ${TX}`));
    expect(screen.queryByRole("button", { name: "Open it" })).toBeNull();
  });

  it("opens with no other key, and where there are more people than a page asks about the command is named", async () => {
    const { container, unmount } = await shown();
    await open(secretText(new Uint8Array(32).fill(7)));
    await vi.waitFor(() => expect(container.textContent).toContain("This is another key than the one that this order names."));
    unmount();
    const many = await shown({ sellers: 501 });
    await open();
    await vi.waitFor(() => expect(many.container.textContent).toContain("The command medtrail call downloads it."));
  });
});
