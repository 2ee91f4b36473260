import { render } from "@testing-library/svelte";
import { describe, expect, it } from "vitest";
import { render as worded, type Document } from "../permit";
import type { Hex } from "../ledger";
import type { Checked } from "./check";
import type { Given } from "./given.svelte";
import One from "./One.svelte";
import { KADRI, MARI, NOW } from "./testing";

function shown(rights: string, over: Partial<Checked> = {}): string {
  const fields = { statement: "", subject: MARI, delegate: KADRI, rights, epoch: 0, expiresAt: NOW / 1000, salt: `0x${"52".repeat(32)}` as Hex };
  const document: Document = { delegation: { ...fields, statement: worded({ delegation: fields }, "en") ?? "" } };
  const checked: Checked = { id: `0x${"01".repeat(32)}`, told: null, document, problems: [], state: "standing", by: null, isOnChainOnly: false, raw: null, ...over };
  const { container } = render(One, { checked, given: { nameOf: () => null, isBusy: false } as unknown as Given });
  return container.textContent ?? "";
}

describe("somebody who acts for the person", () => {
  it("is given the link to where they look, if they may look", () => {
    expect(shown("SEE PERMIT")).toContain(`${location.origin}/#/trail?of=${MARI}`);
  });

  it.each([["PERMIT", {}], ["SEE", { state: "revoked" }], ["SEE", { problems: ["signature"] }]] as const)("is given none otherwise: %s %o", (rights, over) => {
    expect(shown(rights, over as Partial<Checked>)).not.toContain("#/trail?of=");
  });
});
