// Looking at the trail of somebody one acts for: by their number, under a name that stays here, and until the right ends.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, assertFits, assertPlainWords, live, openTrail, signInAsMari, open, useBrowser } from "./lib/browser.mjs";

useBrowser();

const kept = (page) => page.evaluate(() => Object.entries(localStorage).filter(([key]) => key.startsWith("medtrail.people.")));

async function lookFor(page, id, name) {
  await page.getByText("Look at the trail of somebody you act for").click();
  await page.getByLabel("Their address or number, or a link to their trail").fill(id);
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByRole("button", { name: "Look", exact: true }).click();
}

const isHis = (page) => page.getByRole("heading", { level: 1, name: "The trail of Jaan" }).waitFor();

test("a guardian looks at a child's lines, each checked here, and does there nothing of their own", async (t) => {
  const { page, server } = await openTrail(t);
  const sent = [];
  page.on("request", (request) => sent.push(`${request.url()} ${request.postData() ?? ""}`));
  await lookFor(page, server.data.his.subject.toUpperCase().replace("0X", "0x"), " Jaan ");
  await isHis(page);
  await page.getByText(/No gap among the 2 lines/).waitFor();
  await page.getByText("They can see that you looked.").waitFor();
  const lines = await page.getByRole("region", { name: "All lines" }).locator("article").allInnerTexts();
  assert.equal(lines.length, 2);
  assert.match(lines[0], new RegExp(server.data.mari.slice(0, 8)), "that she looked is a line, too");
  assert.match(lines[1], /Nurse Anu Sild, Kalda Family Doctors/);
  await live(page);
  server.pushHis();
  await page.getByRole("log").locator("article", { hasText: "Nurse Anu Sild" }).waitFor();
  await page.getByText(/No gap among the 3 lines/).waitFor();
  for (const own of [/^Ask why/, /Keep/]) assert.equal(await page.getByRole("main").getByRole("button", { name: own }).filter({ visible: true }).count(), 0);
  assert.equal(await page.getByRole("main").getByRole("link", { name: "Connect an organisation" }).count(), 0);
  assert.equal(await page.getByLabel("Month").count(), 0);
  const drawn = page.getByRole("region", { name: "All lines" }).getByRole("button", { name: /How was this checked/ }).first();
  await drawn.click();
  await page.getByRole("dialog").getByText("Kalda Family Doctors").first().waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await assertAccessible(page, "a child's trail");
  await assertPlainWords(page, "a child's trail");
  await page.setViewportSize({ width: 320, height: 640 });
  await assertFits(page, "a child's trail");
  assert.equal(sent.filter((one) => /jaan/i.test(one)).length, 0, "the name leaves this device");

  // It is here the next time, in the switch on top, and so is the way back.
  await page.getByRole("link", { name: "yours" }).click();
  await page.getByText(/No gap among the 94 lines/).waitFor();
  await assertFits(page, "one's own trail with a switch");
  await assertAccessible(page, "one's own trail with a switch");
  await page.reload();
  await page.getByRole("navigation", { name: "Whose trail:" }).getByRole("link", { name: "Jaan (you are the guardian)" }).click();
  await isHis(page);
});

test("when the right ends the lines leave the screen, and it is said", async (t) => {
  const { page, server } = await openTrail(t);
  await lookFor(page, server.data.his.subject, "Jaan");
  await isHis(page);
  await live(page);
  server.endLook();
  await page.getByText("You cannot see the trail of Jaan now").waitFor();
  await page.getByRole("heading", { level: 1, name: "Your trail" }).waitFor();
  await page.getByText(/No gap among the 94 lines/).waitFor();
  assert.equal(await page.getByText("Nurse Anu Sild").count(), 0);
  await assertPlainWords(page, "a right that ended");
  // "Back" is no trap: his place was replaced.
  await page.goBack();
  await page.getByRole("heading", { level: 1, name: "Your trail" }).waitFor();
});

test("whom nobody lets look is told so, and nothing of it is kept", async (t) => {
  const { page, server } = await openTrail(t);
  await lookFor(page, `0x${"77".repeat(32)}`, "Somebody");
  await page.getByRole("alert").getByText("You cannot see this trail").waitFor();
  for (const [wrong, told] of [["Jaan", "This is neither an address"], [server.data.mari, "This is your own address."]]) {
    await page.getByLabel("Their address or number, or a link to their trail").fill(wrong);
    await page.getByRole("button", { name: "Look", exact: true }).click();
    await page.getByRole("alert").getByText(told).waitFor();
  }
  assert.deepEqual(await kept(page), []);
});

test("a link leads to their trail after the sign-in; a name is given there, and taken back", async (t) => {
  const { page, server } = await open(t, { hash: "" });
  await page.goto(`${server.url}/#/trail?of=${server.data.his.subject}`);
  await signInAsMari(page);
  await page.getByRole("heading", { level: 1, name: "The trail of somebody you act for" }).waitFor();
  assert.deepEqual(await kept(page), [], "a link alone keeps nothing");
  await page.getByText("Give them a name on this device").click();
  await page.getByLabel("Name", { exact: true }).fill("Jaan");
  await page.getByRole("button", { name: "Keep it here" }).click();
  await isHis(page);
  await page.getByText("Kept on this device.").waitFor();
  assert.equal((await kept(page)).length, 1);
  await page.getByRole("button", { name: "Keep nothing of them here" }).click();
  await page.getByText("Nothing of them is kept on this device now.").waitFor();
  assert.deepEqual(await kept(page), []);
});

test("a line that is not whole raises the alarm there as at home", async (t) => {
  const { page, server } = await openTrail(t, {
    change: ({ his }) => { his.page.lines[0].details.text = his.page.lines[0].details.text.replace("Anu", "Eva"); },
  });
  await lookFor(page, server.data.his.subject, "Jaan");
  await page.locator("[data-alarm]").getByText("A line is not what was reported, or not by whom it says:").waitFor();
});
