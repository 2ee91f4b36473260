import { beforeEach, describe, expect, it } from "vitest";
import { placeOf } from "../shell/router.svelte";
import { forget, idOf, isGuarded, keep, kept, PEOPLE_MAX, placeFor } from "./people";

const MARI = `0x${"a1".repeat(20)}`;
const JAAN = `0x${"b2".repeat(32)}` as const;
const ANNA = `0x${"c3".repeat(20)}` as const;

beforeEach(() => localStorage.clear());

describe("what somebody pasted", () => {
  it("is an address, a number, or a link to a trail", () => {
    expect([idOf(` ${JAAN.toUpperCase().replace("0X", "0x")} `), idOf(ANNA), idOf(`https://log.example/#/trail?of=${JAAN}`)]).toEqual([JAAN, ANNA, JAAN]);
    expect([isGuarded(JAAN), isGuarded(ANNA)]).toEqual([true, false]);
  });

  it("is the same person in 20 bytes and in 32", () => {
    expect(idOf(`0x${"00".repeat(12)}${ANNA.slice(2)}`)).toBe(ANNA);
  });

  it("is nobody if it is anything else", () => {
    for (const text of ["", "Jaan", "0x", `${ANNA}0`, `${JAAN} ${ANNA}`, `0x${"00".repeat(32)}`, `0x${"00".repeat(20)}`, `x?of=${ANNA}`, `<b>#/trail?of=${ANNA}"`]) {
      expect(idOf(text), text).toBeNull();
    }
  });
});

describe("the place of another's trail", () => {
  it("stands in the link, and only a whole id does", () => {
    expect(placeOf(placeFor(JAAN))).toEqual({ name: "trail", of: JAAN });
    expect(placeOf(placeFor(ANNA))).toEqual({ name: "trail", of: ANNA });
    expect(placeOf("#/trail")).toEqual({ name: "trail", of: null });
    for (const hash of [`#/trail?of=${ANNA}00`, "#/trail?of=", "#/trail?of=Jaan", `#/trail?of=${JAAN}&x`]) expect(placeOf(hash).name, hash).toBe("unknown");
  });
});

describe("whom this device keeps", () => {
  it("is kept for one account and not shown to another", () => {
    expect(keep(MARI.toUpperCase().replace("0X", "0x"), { of: JAAN, name: "Jaan" })).toBe(true);
    expect([kept(MARI), kept(ANNA)]).toEqual([[{ of: JAAN, name: "Jaan" }], []]);
    forget(MARI, JAAN);
    expect([kept(MARI), localStorage.length]).toEqual([[], 0]);
  });

  it("takes another name, and none that turns or hides text", () => {
    keep(MARI, { of: JAAN, name: "Jaan" });
    keep(MARI, { of: JAAN, name: "  Ja\u202ean\u200b " });
    expect(kept(MARI)).toEqual([{ of: JAAN, name: "Jaan" }]);
  });

  it("is no more than a switch can show", () => {
    const one = (number: number) => ({ of: `0x${String(number + 1).padStart(64, "b")}` as const, name: "" });
    for (let number = 0; number < PEOPLE_MAX; number += 1) expect(keep(MARI, one(number))).toBe(true);
    expect(keep(MARI, one(PEOPLE_MAX))).toBe(false);
    expect(keep(MARI, { ...one(0), name: "First" })).toBe(true);
    expect(kept(MARI)).toHaveLength(PEOPLE_MAX);
  });

  it("is nobody where the notes are not ours", () => {
    for (const text of ["{", "7", "null", `[{"of":"0x1","name":"x"},{"of":"${JAAN}"},null]`, `[{"of":"0x${"00".repeat(12)}${ANNA.slice(2)}","name":""}]`]) {
      localStorage.setItem(`medtrail.people.${MARI}`, text);
      expect(kept(MARI), text).toEqual([]);
    }
  });
});
