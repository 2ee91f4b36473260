// @vitest-environment node
import { describe, expect, it } from "vitest";
import { utf8 } from "../ledger/bytes";
import { KADRI } from "../permissions/testing";
import { cohortProblem } from "../permit/cohort";
import { datasetOf } from "../permit/dataset";
import { LOG, MARKET, NOW_S, RECIPIENT } from "../sales/testing";
import { ETHER } from "../sell/offer-form";
import { CALL_MISSING, callFrom, missingInCall, totalOf, type CallChoices, type CallDraft } from "./call-form";
import { callIdOf } from "./testing";

const CHOICES: CallChoices = {
  types: ["Observation"], codes: "15074-8", from: "2025-11-22", to: "2026-11-22", form: "hipaa-safe-harbor-v1", layout: "ndjson", origin: "signed", purpose: "HRESCH",
  unit: ETHER, price: "0.05", places: "50", deliver: "2026-12-06", graceS: 172_800, recipient: RECIPIENT,
};
const SALTS = [`0x${"61".repeat(32)}`, `0x${"62".repeat(32)}`] as const;
const call = (change: Partial<CallChoices> = {}) => callFrom({ ...CHOICES, ...change }, { market: MARKET, buyer: KADRI, nowS: NOW_S, salts: SALTS });

function made(change: Partial<CallChoices> = {}): CallDraft {
  const found = call(change);
  if (typeof found === "string") throw new Error(found);
  return found;
}

describe("a call", () => {
  it("is what was chosen, with the words that each seller's wallet shows", () => {
    const { cohort, dataset, text } = made();
    expect(cohortProblem(cohort, dataset)).toBeNull();
    expect(datasetOf(utf8(text))).toEqual(dataset);
    expect(cohort).toMatchObject({ buyer: KADRI, log: LOG, price: "50000000000000000", places: 50, grace: 172_800, recipient: RECIPIENT, salt: SALTS[1], terms: { salt: SALTS[0] } });
    expect(cohort.terms.statement).toMatch(/^I sell to 0x[0-9a-fA-F]{40} a copy of health data .* pays up to 50 people alike .* by 2026-12-06 22:00 UTC; the money waits for 48 hours more\./);
    expect(totalOf(cohort)).toBe(2_500_000_000_000_000_000n);
    expect(callIdOf(cohort)).not.toBe(callIdOf(made({ places: "51" }).cohort));
  });

  it("tells what is missing, one thing after the other, and has words for all of it", () => {
    const wrong: [Partial<CallChoices>, string][] = [
      [{ types: [] }, "types"], [{ codes: "two words" }, "codes"], [{ from: "2026-11-23" }, "period"], [{ types: ["DocumentReference"] }, "typesForm"], [{ purpose: "TREAT" }, "purpose"],
      [{ unit: null }, "token"], [{ price: "0" }, "price"], [{ price: "1e3" }, "price"], [{ places: "0" }, "places"], [{ places: "10001" }, "places"], [{ places: "4.5" }, "places"],
      [{ places: "" }, "places"], [{ deliver: "2026-11-22" }, "deliver"], [{ deliver: "2026-11-23" }, "deliver"], [{ deliver: "2026-02-31" }, "deliver"], [{ deliver: "2027-11-23" }, "deliver"],
      [{ recipient: null }, "recipient"],
    ];
    for (const [change, missing] of wrong) expect(call(change), JSON.stringify(change)).toBe(missing);
    expect(missingInCall({ ...CHOICES, types: [], purpose: "", unit: null, places: "", deliver: "", recipient: null }, MARKET, NOW_S))
      .toEqual(["types", "purpose", "token", "places", "deliver", "recipient"]);
    expect(new Set(CALL_MISSING)).toEqual(new Set(wrong.map(([, missing]) => missing)));
    expect(missingInCall(CHOICES, MARKET, NOW_S)).toEqual([]);
  });
});
