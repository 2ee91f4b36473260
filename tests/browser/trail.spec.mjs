// A person's own lines: what they say, how they are found, followed, explained and printed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { assertAccessible, assertFits, assertPlainWords, live, openTrail, takePicture, useBrowser } from "./lib/browser.mjs";

useBrowser();

test("says that no line is missing, of how many, until when, and who checked", async (t) => {
  const { page } = await openTrail(t, { context: { viewport: { width: 1100, height: 780 } } });
  await page.getByText(/No gap among the 94 lines you were given up to 14:3\d \(checked on this device\)/).waitFor();
  await takePicture(page, "trail");
  assert.equal(await page.locator("[data-alarm]").count(), 0);
});

test("puts the unusual first, each with its reason", async (t) => {
  const { page } = await openTrail(t);
  const first = page.getByRole("region", { name: "Look at these first" });
  const words = await first.locator("article").allInnerTexts();
  assert.ok(words.some((text) => /No reason given/.test(text) && /At night/.test(text) && /Nurse no\. 4417/.test(text)), words.join("\n"));
  assert.ok(words.some((text) => /Emergency/.test(text) && /Dr Peeter Saar/.test(text)), words.join("\n"));
});

test("folds what machines repeat, and opens it again", async (t) => {
  const { page } = await openTrail(t);
  const fold = page.locator("summary", { hasText: "Lumi Laboratory: 42 automatic checks" });
  await fold.click();
  await page.locator("details:has(summary:has-text('42 automatic')) article").nth(41).waitFor();
});

test("tells signed from unsigned, what came late, and where a line is locked", async (t) => {
  const { page } = await openTrail(t);
  const insurance = page.locator("section:has(#all-lines) article", { hasText: "State Health Insurance" });
  const text = await insurance.first().innerText();
  assert.match(text, /not signed/);
  assert.match(text, /reported 9 h later/);
  const kalda = await page.locator("section:has(#all-lines) article", { hasText: "Kalda Family Doctors" }).last().innerText();
  assert.match(kalda, /signed by Kalda Family Doctors/);
  assert.match(kalda, /this site says: locked\sin\s0x[0-9a-f]+…/);
});

test("shows a line within a second of its report, and follows it to the chain", async (t) => {
  const { page, server } = await openTrail(t);
  await live(page);
  const started = Date.now();
  await page.getByRole("button", { name: "A doctor looks now" }).click();
  const line = page.getByRole("log").locator("article", { hasText: "Dr Liis Kask" });
  await line.getByText("recorded", { exact: true }).waitFor();
  const took = Date.now() - started;
  console.log(`press to line on the screen, checked: ${took} ms`);
  assert.ok(took < 1_000, `${took} ms`);
  await page.getByText(/No gap among the 95 lines/).waitFor();
  server.anchor("mined");
  await line.getByText("being locked", { exact: true }).waitFor();
  server.anchor("final");
  await line.getByText(/^this site says: locked/).waitFor();
  await page.getByText("Dr Liis Kask opened the allergies.").waitFor();
});

test("holds still on Pause, checks on, and shows what came when it goes on", async (t) => {
  const { page, server } = await openTrail(t);
  await live(page);
  await page.getByRole("button", { name: "Pause" }).click();
  server.push(server.data.live[0]);
  await page.getByText("One new line waits until you go on.").waitFor();
  await page.getByText(/No gap among the 95 lines/).waitFor();
  assert.equal(await page.getByRole("log").locator("article").count(), 0);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("log").locator("article").waitFor();
});

test("keeps the focus where it is when a line comes", async (t) => {
  const { page, server } = await openTrail(t);
  await live(page);
  await page.getByRole("button", { name: "Leave quickly" }).focus();
  server.push(server.data.live[0]);
  await page.getByRole("log").locator("article").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Leave quickly");
});

test("filters by who, what, why, when, and people or machines", async (t) => {
  const { page } = await openTrail(t);
  await page.locator("summary", { hasText: "Filter" }).click();
  const count = page.getByText(/^\d+ of 94 lines\.$/);
  await page.getByRole("radio", { name: "Machines" }).check();
  const machines = Number((await count.innerText()).split(" ")[0]);
  await page.getByRole("radio", { name: "People" }).check();
  assert.equal(Number((await count.innerText()).split(" ")[0]) + machines, 94);
  await page.getByLabel("Who", { exact: true }).selectOption("Harbour Hospital");
  await page.getByText("8 of 94 lines.").waitFor();
  await page.getByLabel("From").fill("2026-11-21");
  await page.getByText("2 of 94 lines.").waitFor();
  await page.getByLabel("Why").selectOption("-");
  await page.getByText("1 of 94 lines.").waitFor();
  await page.getByLabel("What").selectOption("documents");
  await page.getByText("1 of 94 lines.").waitFor();
  await assertAccessible(page, "the filter");
  await page.getByRole("button", { name: "Clear the filter" }).click();
  await page.getByText("94 lines.", { exact: true }).waitFor();
  await page.getByRole("button", { name: /Show all \d+ unusual lines/ }).click();
  assert.ok(await page.getByLabel("Unusual only").isChecked());
});

test("counts each day, as a picture and as a table with the same numbers", async (t) => {
  const { page } = await openTrail(t);
  const summary = await page.getByRole("img", { name: /The last 18 weeks/ }).getAttribute("aria-label");
  await page.locator("summary", { hasText: "The same as a table" }).click();
  const rows = await page.locator("table tbody tr").evaluateAll((all) => all.map((row) => [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent))));
  const [people, machines] = rows.reduce(([p, m], [rp, rm]) => [p + rp, m + rm], [0, 0]);
  assert.equal(people + machines, 94);
  assert.match(summary, new RegExp(`${people} uses by people, ${machines} by machines`));
  await page.getByRole("button", { name: "21 November 2026" }).click();
  await page.getByText(/of 94 lines\./).waitFor();
});

test("says who reports, who fell silent, and who can see this", async (t) => {
  const { page } = await openTrail(t);
  const reporters = page.getByRole("region", { name: "Who reports" });
  await reporters.getByText("silent: last heard 4 days ago").waitFor();
  await reporters.getByText("One more reports here, without a line about you").waitFor();
  const sees = page.getByRole("complementary", { name: "Who can see this" });
  assert.ok(await sees.isVisible());
  await sees.locator("summary").click();
  await sees.getByText("Each organisation sees the lines that it reported itself.").waitFor();
  await assertAccessible(page, "who can see this");
});

test("leaves nothing on the screen when left quickly, and ends the session", async (t) => {
  const { page, server } = await openTrail(t);
  await page.getByRole("button", { name: "Leave quickly" }).click();
  await page.waitForURL("about:blank");
  await page.waitForTimeout(200);
  assert.ok(server.heard.includes("DELETE /v1/session"));
});

test("explains how a line was checked, with its numbers, and hands out the proof byte for byte", async (t) => {
  const { page, server } = await openTrail(t);
  const opener = page.locator("section:has(#all-lines) article", { hasText: "Dr Peeter Saar" }).getByRole("button", { name: /How was this checked/ });
  await opener.click();
  const drawer = page.getByRole("dialog", { name: "How was this checked?" });
  await drawer.getByText("0x14dc79964da2c08b23698b3d3cc7ca32193d9955").waitFor();
  await assertAccessible(page, "the drawer");
  await page.keyboard.press("Escape");
  await drawer.waitFor({ state: "detached" });
  assert.ok(await opener.evaluate((element) => element === document.activeElement), "the focus is back where it was");

  await page.locator("section:has(#all-lines) article").last().getByRole("button").click();
  // "Final" is the server's word until the chain was asked.
  const final = drawer.locator("li", { hasText: "which is final" });
  await final.getByText("This is what this site says; check it against the chain yourself.").waitFor();
  assert.doesNotMatch(await final.innerText(), /✔/);
  const [download] = await Promise.all([page.waitForEvent("download"), drawer.getByRole("button", { name: "Download the proof" }).click()]);
  const { index } = server.data.page.lines[0];
  assert.equal(readFileSync(await download.path(), "utf8"), server.proofOf(index));
  assert.equal(download.suggestedFilename(), `medtrail-line-${index}.json`);
  // The demo's wallet asks the chain through the demo's server, which this stand-in is not.
  await drawer.getByRole("button", { name: "Check it against the chain now" }).click();
  await drawer.getByRole("alert").getByText("The demo’s chain does not answer.").waitFor();
});

test("prints a month", async (t) => {
  const { page } = await openTrail(t);
  await page.getByLabel("Statement of a month").selectOption("2026-11");
  await page.getByRole("link", { name: "Open the statement" }).click();
  await page.getByRole("heading", { name: "Statement for November 2026" }).waitFor();
  const rows = page.locator("tbody tr");
  const lines = await rows.count();
  assert.ok(lines > 42 && lines < 94, String(lines));
  await assertAccessible(page, "the statement");
  await assertPlainWords(page, "the statement");
  await page.emulateMedia({ media: "print" });
  assert.ok(!(await page.getByRole("button", { name: "Print" }).isVisible()));
  assert.ok(!(await page.locator("header").first().isVisible()));
  assert.ok(await rows.first().isVisible());
});

test("says of an empty trail when it asked", async (t) => {
  const { page } = await openTrail(t, { as: "Boreal Therapeutics" });
  await page.getByText(/No use of your data was reported here\. Asked at \d\d:\d\d\./).waitFor();
  await assertAccessible(page, "an empty trail");
});

test("has plain words, no fault that axe finds in light and dark, and fits on 320 pixels", async (t) => {
  for (const colorScheme of ["light", "dark"]) {
    const { page } = await openTrail(t, { context: { colorScheme } });
    await page.locator("summary", { hasText: "42 automatic checks" }).click();
    await assertAccessible(page, `the trail, ${colorScheme}`);
    await assertPlainWords(page, "the trail");
  }
  const { page } = await openTrail(t, { context: { viewport: { width: 320, height: 640 } } });
  await page.locator("summary", { hasText: "Filter" }).click();
  await page.locator("summary", { hasText: "The same as a table" }).click();
  await assertFits(page, "the trail");
  await page.getByRole("button", { name: /How was this checked/ }).first().click();
  await assertFits(page, "the drawer");
});
