import { hashTypedData } from "viem";
import { describe, expect, it } from "vitest";
import type { Hex } from "../ledger";
import { documentId, documentOf, parseScopes, problemOf, type Document, type Grant } from "../permit";
import { addMonths, EXTENTS, grantOf, GROUPS, newSalt, PURPOSE_CODES, untilS, type Choices } from "./grant";
import { CLINIC, grant, grantFields, MARI, NOW, REGISTRIES } from "./testing";
import { forWallet } from "./typed-data";
import { actsOf, nameOf, purposesOf, sentenceOf } from "./words";

const CHOICES: Choices = {
  grantee: CLINIC, extent: "read", isAll: false, groups: ["allergies", "medicines"], purposes: ["TREAT"], term: "month", date: "",
};
const AROUND = { subject: MARI, epoch: 2, nowMs: NOW, salt: `0x${"51".repeat(32)}` as Hex };

function made(change: Partial<Choices> = {}): Grant {
  const found = grantOf({ ...CHOICES, ...change }, AROUND);
  if (typeof found === "string") throw new Error(`missing: ${found}`);
  return found;
}

describe("a permission made of choices", () => {
  it("says in words what was chosen, and no more", () => {
    const one = made({ extent: "change" });
    expect(one).toMatchObject({
      subject: MARI, grantee: CLINIC, purposes: "TREAT", epoch: 2, expiresAt: Date.parse("2026-12-22T12:32:00Z") / 1000,
      scopes: "patient/AllergyIntolerance.crus patient/MedicationRequest.crus patient/MedicationStatement.crus "
        + "patient/MedicationAdministration.crus patient/MedicationDispense.crus",
    });
    expect(one.statement).toMatch(/^I allow 0xC1.* add, see, change and search allergies; .* Only for: treatment, also in an emergency/);
    expect(made({ isAll: true }).scopes).toBe("patient/*.rs");
    expect(made({ extent: "add", groups: ["visits"] }).scopes).toBe("patient/Encounter.crs patient/EpisodeOfCare.crs");
  });

  it("is valid whatever is chosen, all groups at once too", () => {
    const groups = GROUPS.map(({ code }) => code);
    for (const extent of EXTENTS) {
      for (const change of [{ groups }, { isAll: true, purposes: PURPOSE_CODES }, { groups, purposes: PURPOSE_CODES, term: "year" as const }]) {
        const document: Document = { grant: made({ ...change, extent }) };
        expect(problemOf(document)).toBeNull();
        expect(documentOf(JSON.parse(JSON.stringify(document)))).toEqual(document);
      }
    }
    expect(groups).not.toContain("permissions");
    expect(groups).not.toContain("trail");
  });

  it("names no purpose that another one covers", () => {
    expect(made({ purposes: ["COC", "TREAT", "ETREAT", "HRESCH"] }).purposes).toBe("TREAT HRESCH");
    expect(made({ purposes: ["COC", "ETREAT"] }).purposes).toBe("COC ETREAT");
  });

  it("is none while something is missing", () => {
    expect(grantOf({ ...CHOICES, grantee: "" }, AROUND)).toBe("grantee");
    expect(grantOf({ ...CHOICES, groups: [] }, AROUND)).toBe("groups");
    expect(grantOf({ ...CHOICES, groups: ["permissions"] }, AROUND)).toBe("groups");
    expect(grantOf({ ...CHOICES, purposes: [] }, AROUND)).toBe("purposes");
    expect(grantOf({ ...CHOICES, purposes: ["everything"] }, AROUND)).toBe("purposes");
    expect(grantOf({ ...CHOICES, term: "date" }, AROUND)).toBe("until");
  });

  it("differs from any other by its salt", () => {
    expect(newSalt()).toMatch(/^0x[0-9a-f]{64}$/);
    expect(newSalt()).not.toBe(newSalt());
  });
});

describe("until", () => {
  const date = (day: string, nowMs = NOW) => untilS({ ...CHOICES, term: "date", date: day }, nowMs);

  it("counts months as a calendar does", () => {
    const at = (text: string) => new Date(text).getTime();
    expect(addMonths(at("2027-01-31T10:00"), 1)).toBe(at("2027-02-28T10:00"));
    expect(addMonths(at("2027-08-31T10:00"), 6)).toBe(at("2028-02-29T10:00"));
    expect(addMonths(at("2028-02-29T10:00"), 12)).toBe(at("2029-02-28T10:00"));
    expect(addMonths(at("2026-11-22T10:00"), 1)).toBe(at("2026-12-22T10:00"));
  });

  it("is on a full minute, never sooner than was chosen", () => {
    expect(untilS(CHOICES, NOW + 1)).toBe(Date.parse("2026-12-22T12:33:00Z") / 1000);
  });

  it("is the end of the last day on this device", () => {
    // Tests run in Tallinn: UTC+2 in winter, UTC+3 in summer.
    expect(date("2026-11-22")).toBe(Date.parse("2026-11-22T22:00:00Z") / 1000);
    expect(date("2027-05-22")).toBe(Date.parse("2027-05-22T21:00:00Z") / 1000);
  });

  it("is no day that is over, or that there is not", () => {
    for (const day of ["2026-11-21", "2027-02-31", "", "soon", "12027-01-01", "9999-12-31x"]) expect(date(day), day).toBeNull();
  });
});

describe("what the wallet gets", () => {
  const documents: Document[] = [
    grant({ epoch: 7 }), { revoke: { subject: MARI, permission: `0x${"9a".repeat(32)}` } }, { revokeAll: { subject: MARI, epoch: 7 } },
  ];

  it.each(documents)("is what the log checks, by an EIP-712 that is not ours", (document) => {
    const typed = JSON.parse(forWallet(document, REGISTRIES));
    expect(hashTypedData(typed)).toBe(documentId(document, REGISTRIES));
    expect(typed.domain).toEqual({ name: "Medtrail", version: "1", chainId: 31338, verifyingContract: REGISTRIES.consentRegistry });
    expect(typed.types.EIP712Domain).toHaveLength(4);
  });

  it("has its numbers as text", () => {
    expect(JSON.parse(forWallet(grant({ epoch: 7 }), REGISTRIES)).message).toMatchObject({ epoch: "7", expiresAt: String(grantFields().expiresAt) });
  });
});

describe("in words", () => {
  const acts = (scopes: string) => actsOf(parseScopes(scopes) ?? []);

  it("stands together what may be done alike", () => {
    expect(acts("patient/Observation.rs patient/AllergyIntolerance.rs patient/Condition.crus"))
      .toBe("see measurements and allergies; see, add and change diagnoses");
    expect(acts("patient/*.cruds")).toBe("see, add, change and delete all data");
    expect(acts("patient/Observation.s patient/*.r?_security=PSY")).toBe("search measurements; see all data (only what is marked: psychiatry)");
    expect(purposesOf(["TREAT", "COC"])).toBe("treatment, also in an emergency or a clinical trial; coordination of care");
  });

  it("names an organisation by its keys before its entry in the list", () => {
    const listed = [{ id: CLINIC, name: "Hospital" }] as never;
    const trust = { organisations: [{ name: "Clinic", domain: "", keys: [{ address: CLINIC, fromMs: 1 }] }] } as never;
    expect([nameOf(CLINIC, listed, trust, NOW), nameOf(CLINIC, listed, null, NOW), nameOf(MARI, listed, trust, NOW)]).toEqual(["Clinic", "Hospital", null]);
    expect(sentenceOf(grant(), "Clinic")).toBe("Clinic may see measurements.");
    expect(sentenceOf(grant(), null)).toBe("Somebody who is not listed here may see measurements.");
  });
});
