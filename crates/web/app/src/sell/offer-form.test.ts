// @vitest-environment node
import { describe, expect, it } from "vitest";
import { utf8 } from "../ledger/bytes";
import { MARI, NOW } from "../permissions/testing";
import { datasetOf } from "../permit/dataset";
import { offerProblem, saleId } from "../permit/sale";
import { LOG, MARKET } from "../sales/testing";
import { codesOf } from "./codes";
import { ASKED, codesIn, datasetFrom, draftFrom, ETHER, missingIn, STEPS, type Choices, type Draft, type Unit } from "./offer-form";

const CHOICES: Choices = {
  types: ["Observation", "Condition"], codes: "15074-8", from: "2025-11-22", to: "2026-11-22", form: "hipaa-safe-harbor-v1", layout: "ndjson", origin: "signed",
  purpose: "HRESCH", unit: ETHER, price: "0.05", accessS: 0, term: "month", date: "", seller: MARI, country: "EE",
};
const USD: Unit = { token: `0x${"70".repeat(20)}`, decimals: 6 };
const AROUND = { market: MARKET, epoch: 3, nowMs: NOW, salt: LOG };
const draft = (change: Partial<Choices> = {}) => draftFrom({ ...CHOICES, ...change }, AROUND);

function made(change: Partial<Choices> = {}): Draft {
  const found = draft(change);
  if (typeof found === "string") throw new Error(found);
  return found;
}

describe("an offer", () => {
  it("is what was chosen, with the words that a wallet shows", () => {
    const { offer, dataset, text, country } = made();
    expect(offerProblem(offer, dataset)).toBeNull();
    expect(datasetOf(utf8(text))).toEqual(dataset);
    expect([offer.seller, offer.log, offer.price, offer.epoch, offer.accessS, country]).toEqual([MARI, LOG, "50000000000000000", 3, 0, "EE"]);
    expect(offer.terms.statement).toContain("diagnoses; measurements, from 2025-11-21 22:00 UTC to 2026-11-22 22:00 UTC. Only data with one of these codes: http://loinc.org|15074-8.");
    expect(offer.terms.statement).toContain("Price of each copy: 0.05 ETH (50000000000000000 wei)");
    expect(saleId("Offer", offer, MARKET)).not.toBe(saleId("Offer", made({ price: "0.06" }).offer, MARKET));
  });

  it("gives time to look only of data as they are, in the words that are signed", () => {
    const { offer, dataset } = made({ form: "as-it-is", accessS: 30 * 86_400 });
    expect([offer.accessS, offerProblem(offer, dataset)]).toEqual([30 * 86_400, null]);
    expect(offer.terms.statement).toContain("For 30 days after a sale the buyer may also look at these data where they are kept; I can end that at any time.");
    const hidden = made({ accessS: 30 * 86_400 }).offer;
    expect([hidden.accessS, hidden.terms.statement.includes("may also look")]).toEqual([0, false]);
  });

  it("in a token has the price in its smallest units, which the words tell", () => {
    const { offer, dataset } = made({ unit: USD, price: "12,5" });
    expect([offer.token, offer.price, offerProblem(offer, dataset)]).toEqual([USD.token, "12500000", null]);
    expect(offer.terms.statement).toMatch(/Price of each copy: 12500000 smallest units of the token 0x(?:70){20},/);
  });

  it("tells what is missing, one thing after the other", () => {
    const wrong: [Partial<Choices>, string][] = [
      [{ types: [] }, "types"], [{ types: ["Nonsense"] }, "types"], [{ codes: "two words" }, "codes"], [{ codes: "a|b&c" }, "codes"],
      [{ from: "2026-11-23" }, "period"], [{ from: "2026-02-31" }, "period"], [{ to: "" }, "period"], [{ from: "1969-01-01" }, "period"],
      [{ country: "" }, "country"], [{ country: "SE" }, "country"], [{ country: "ee" }, "country"], [{ country: "DE", form: "as-it-is" }, "form"],
      [{ types: ["DocumentReference"] }, "typesForm"], [{ purpose: "TREAT" }, "purpose"], [{ price: "free" }, "price"], [{ price: "0" }, "price"],
      [{ unit: null }, "token"], [{ unit: USD, price: "0.0000001" }, "price"], [{ unit: { ...USD, decimals: 0 } }, "price"],
      [{ term: "date", date: "2026-11-21" }, "until"], [{ seller: "" }, "seller"],
    ];
    for (const [change, missing] of wrong) expect(draft(change), JSON.stringify(change)).toBe(missing);
    expect(made({ country: "DE" }).country).toBe("DE");
    expect(made({ types: ["DocumentReference"], form: "as-it-is" }).dataset.form).toBe("as-it-is");
  });

  it("is asked for in steps, and every step can be told what it lacks", () => {
    const nothing = missingIn({ ...CHOICES, types: [], from: "", country: "", purpose: "", price: "", term: "date", seller: "" }, MARKET, NOW);
    expect(nothing).toEqual(["types", "period", "country", "purpose", "price", "until", "seller"]);
    expect(STEPS.flatMap((step) => ASKED[step]).sort()).toEqual(["codes", "country", "form", "period", "price", "purpose", "seller", "token", "types", "typesForm", "until"]);
    expect(missingIn(CHOICES, MARKET, NOW)).toEqual([]);
  });
});

describe("codes", () => {
  it("are each there once, in the order that a description has", () => {
    expect(codesIn(" 15074-8,\nhttp://snomed.info/sct|73211009; 15074-8 2345-7")).toEqual(["http://loinc.org|15074-8", "http://loinc.org|2345-7", "http://snomed.info/sct|73211009"]);
    expect(codesIn(" \n")).toEqual([]);
    expect(datasetFrom({ ...CHOICES, codes: Array.from({ length: 65 }, (_, place) => `s|${place}`).join(" ") })).toBeNull();
  });

  it("are found in a record under the words that it has for them", () => {
    const record = { resourceType: "Observation", code: { text: "Sugar", coding: [{ system: "http://loinc.org", code: "15074-8" }, { system: "x" }, { code: "y" }] } };
    expect(codesOf(utf8(JSON.stringify(record)))).toEqual([{ code: "http://loinc.org|15074-8", words: "Sugar" }]);
    expect([codesOf(utf8("no json")), codesOf(utf8("{}"))]).toEqual([[], []]);
  });
});
