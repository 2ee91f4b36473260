import { render, screen } from "@testing-library/svelte";
import { describe, expect, it } from "vitest";
import type { Given } from "../permissions/given.svelte";
import type { Checked } from "../trail/line";
import EmergencyItem from "./EmergencyItem.svelte";
import type { Emergency } from "./waiting";

const NOW = Date.parse("2026-11-28T10:00:00Z");
const DAY_MS = 86_400_000;
const report = { record: `0x${"01".repeat(32)}`, fromVersion: `0x${"02".repeat(32)}`, toVersion: `0x${"03".repeat(32)}` };
const line = { line: { index: 1, report }, facts: { atMs: NOW }, sentence: "Harbour Hospital changed your allergies.", signedBy: null } as unknown as Checked;

function shown(over: Partial<Emergency>): string {
  const given = { isBusy: false, phase: "ready" } as unknown as Given;
  const emergency: Emergency = { line, untilMs: NOW + 30 * DAY_MS, isTold: false, state: "open", ...over };
  render(EmergencyItem, { emergency, nowMs: NOW, given, ontold: () => {}, onask: () => {} });
  return screen.getByRole("article").textContent;
}

describe("an emergency", () => {
  it("tells until when one is asked, and how many whole days are left", () => {
    expect(shown({})).toMatch(/You are asked until .*2026.*: 30 days left\. If you say nothing, that is no permission\./u);
  });

  it.each([[2 * DAY_MS - 1, "1 day left"], [DAY_MS - 1, "less than a day is left"]])("tells what is left of %i ms", (leftMs, words) => {
    expect(shown({ untilMs: NOW + leftMs })).toContain(words);
  });

  it("tells after its time that nothing was said, and can still be answered", () => {
    const text = shown({ untilMs: NOW - 1, state: "silent", isTold: true });
    expect(text).toContain("and said nothing. That stands in your trail. It is no permission, and you can still answer.");
    expect(text).not.toContain("left");
    expect(screen.getAllByRole("button").map(({ textContent }) => textContent)).toEqual(expect.arrayContaining(["It was right…", "I do not agree"]));
  });

  it("can only be denied where the line does not tell what was changed", () => {
    const vague = { ...line, line: { ...line.line, report: { ...report, toVersion: report.fromVersion } } } as unknown as Checked;
    expect(shown({ line: vague })).toContain("You can say no.");
    expect(screen.queryByRole("button", { name: /It was right/u })).toBeNull();
    expect(screen.getByRole("button", { name: /I do not agree/u })).toBeDefined();
  });

  it("does not say that it stands in the trail where no line says so", () => {
    expect(shown({ untilMs: NOW - 1, state: "silent" })).not.toContain("stands in your trail");
  });
});
