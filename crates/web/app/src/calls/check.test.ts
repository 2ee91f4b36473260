// @vitest-environment node
import { describe, expect, it } from "vitest";
import { OTHER } from "../permissions/testing";
import { settledBy } from "../permit/cohort";
import { LOG } from "../sales/testing";
import { callsOf, callViewOf, catalogueOf, type CallView } from "./api";
import type { CallStanding } from "./chain";
import { judgeCall } from "./check";
import { calledOf, mineOf } from "./progress";
import { callAnswer, CALLING, cardAnswer, cohort, ownAnswer } from "./testing";

const view = (change: object = {}, of = cohort()) => callViewOf(callAnswer(of, change)) as CallView;
const OPEN: CallStanding = { status: "open", openedAtS: 5, settledAtS: null, paid: 0 };
const BOUND: CallStanding = { ...OPEN, settledAtS: 9, paid: 1 };
const CLOSED: CallStanding = { ...OPEN, status: "closed" };
const [DUE, LAST] = [cohort().deliverBy, settledBy(cohort())];

describe("a call as the service tells of it", () => {
  it("is read where it is of a form that this page knows, and nowhere else", () => {
    expect(view()).toMatchObject({ id: callAnswer().id, cohort: cohort(), state: "open", own: [], proposed: null, delivery: null });
    expect(view({ own: [ownAnswer()], proposed: { place: 3, epoch: 1, price: "9" } })).toMatchObject({ own: [{ place: 7, state: "accepted" }], proposed: { place: 3, epoch: 1 } });
    const delivery = { state: "making", refusal: null, file: null, bytes: null, sellers: 4, paid: 0, lock: null };
    expect(view({ delivery, accepted: 4 })).toMatchObject({ accepted: 4, delivery });
    const wrong = [{ state: "new" }, { id: "0x12" }, { cohort: { ...cohort(), places: "50" } }, { cohort: { ...cohort(), price: 5 } }, { own: [{ ...ownAnswer(), state: "gone" }] }, { dataset: null }];
    for (const change of wrong) expect(callViewOf(callAnswer(cohort(), change)), JSON.stringify(change)).toBeNull();
    expect(callsOf({ calls: [callAnswer(), callAnswer(cohort(), { state: "new" })], next: "x" })).toMatchObject({ unread: 1, next: "x", found: [{ state: "open" }] });
    expect(catalogueOf({ calls: [cardAnswer(), {}], next: null })).toEqual({ found: [callAnswer().id], next: null, unread: 1 });
  });

  it("is believed where words, number and money are its own", () => {
    expect(judgeCall(view({ own: [ownAnswer()] }), CALLING, OPEN)).toEqual({ flaws: [], doubts: [] });
    expect(judgeCall(view(), CALLING, null)).toEqual({ flaws: [], doubts: ["chain"] });
    expect(judgeCall(view(), { ...CALLING, consentRegistry: OTHER }, OPEN).doubts).toEqual(["contract"]);
    const softer = { ...cohort(), terms: { ...cohort().terms, statement: "Nothing is sold." } };
    const flaws = (told: CallView, chain = OPEN) => judgeCall(told, CALLING, chain).flaws;
    expect(flaws(view({}, softer))).toEqual(["fields"]);
    // Another price than the words, under the number of the true one.
    expect(flaws(view({ cohort: { ...cohort(), price: "1" } }))).toEqual(["fields", "id"]);
    expect(flaws(view({ id: LOG }))).toEqual(["id"]);
    expect(flaws(view({ dataset: "{}" }))).toEqual(["dataset"]);
    expect(flaws(view({}, cohort({ log: `0x${"11".repeat(32)}` })))).toEqual(["log"]);
    expect(flaws(view({ own: [ownAnswer(cohort(), { place: 8 })] }))).toEqual(["own"]);
    expect(flaws(view(), { ...OPEN, status: "none" })).toEqual(["notPaid"]);
    expect(flaws(view({ state: "heard" }), { ...OPEN, status: "none" })).toEqual([]);
  });
});

describe("a seller's answer", () => {
  const mine = (change: object, chain: CallStanding | null = OPEN, isPaid: boolean | null = false, nowS = DUE - 1, revokedAtS: number | null = null) =>
    mineOf(view(change), chain, isPaid === null ? null : { isPaid, revokedAtS }, nowS);
  const own = (state: string) => ({ own: [ownAnswer(cohort(), { state })] });

  it("can be given while there is time, and once", () => {
    expect(mine({})).toMatchObject({ own: null, answer: null, mayAccept: true, mayTakeBack: false });
    expect(mine(own("withdrawn"))).toMatchObject({ answer: "withdrawn", mayAccept: true });
    expect(mine({}, null)).toMatchObject({ mayAccept: true });
    for (const [change, chain, nowS] of [[{}, OPEN, DUE], [{}, BOUND, 0], [{}, CLOSED, 0], [{ state: "late" }, OPEN, 0], [own("accepted"), OPEN, 0], [own("ended"), OPEN, 0]] as const) {
      expect(mine(change, chain, false, nowS).mayAccept).toBe(false);
    }
  });

  it("can be taken back until the key is shown, also where the service is behind", () => {
    for (const state of ["accepted", "delivered"]) {
      expect(mine(own(state)), state).toMatchObject({ answer: state, mayTakeBack: true });
      expect(mine(own(state), BOUND), state).toMatchObject({ answer: state === "delivered" ? "bound" : "leftOut", mayTakeBack: false });
      expect(mine(own(state), BOUND, true), state).toMatchObject({ answer: "paid", mayTakeBack: false });
      expect(mine(own(state), CLOSED), state).toMatchObject({ answer: "ended", mayTakeBack: false });
    }
    for (const state of ["withdrawn", "paid", "ended"]) expect(mine(own(state), null, null)).toMatchObject({ answer: state, mayTakeBack: false, isDisputed: false });
    // Ended on the chain in the second of the first settlement it counts as before, and later not.
    expect([null, 8, 9, 10].map((at) => mine(own("delivered"), BOUND, false, 0, at).answer)).toEqual(["bound", "revoked", "revoked", "bound"]);
    expect(mine(own("accepted"), OPEN, false, 0, 8)).toMatchObject({ answer: "revoked", mayTakeBack: true, mayRevoke: false });
    expect([own("accepted"), own("withdrawn"), own("paid"), {}].map((change) => mine(change).mayRevoke)).toEqual([true, true, false, false]);
    expect(mine(own("accepted"), null).mayRevoke).toBe(false);
    expect(mine(own("paid"))).toMatchObject({ answer: "paid", isDisputed: true });
  });
});

it("a buyer takes the rest back when time is over or all are paid, and downloads what is made", () => {
  const called = (change: object, chain: CallStanding | null, nowS: number) => calledOf(cohort(), view(change), chain, nowS);
  expect([called({}, OPEN, LAST), called({}, OPEN, LAST + 1), called({}, { ...BOUND, paid: 50 }, 0), called({}, CLOSED, LAST + 1), called({}, null, LAST + 1)].map(({ mayClose }) => mayClose))
    .toEqual([false, true, true, false, false]);
  const delivery = (state: string, file: string | null = LOG) => ({ delivery: { state, refusal: null, file, bytes: 5, sellers: 1, paid: 0, lock: LOG } });
  expect(["collecting", "making", "ready", "settling", "settled", "over"].map((state) => called(delivery(state), OPEN, 0).mayDownload)).toEqual([false, false, true, true, true, false]);
  expect(called(delivery("ready", null), BOUND, 0)).toMatchObject({ mayDownload: false, isShown: true });
});
