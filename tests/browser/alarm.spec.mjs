// What the page does when the server is not honest, or not there: an alarm for what is wrong, and none for what is not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, live, openTrail, useBrowser } from "./lib/browser.mjs";

useBrowser();

const alarm = (page) => page.locator("[data-alarm]");

test("finds a line that was kept from it while the stream was cut", async (t) => {
  const { page, server } = await openTrail(t);
  await live(page);
  server.push(server.data.live[0], { isTold: false });
  server.push(server.data.live[1]);
  // The second one is of another part: nothing points to the first until the stream is opened again.
  await page.getByRole("log").locator("article").first().waitFor();
  server.cut();
  await page.getByText(/No gap among the 96 lines/).waitFor();
});

test("takes a line that came between the lines and their count for no alarm", async (t) => {
  const { page, server } = await openTrail(t);
  await live(page);
  const alarms = page.evaluate(() => new Promise((seen) => {
    new MutationObserver(() => { if (document.querySelector("[data-alarm]")) seen("an alarm"); }).observe(document.body, { childList: true, subtree: true });
    setTimeout(() => seen("none"), 2_500);
  }));
  // The lines are read, then one is added, then they are counted.
  server.afterTrail = () => {
    server.afterTrail = undefined;
    server.push(server.data.live[0], { isTold: false });
  };
  server.cut();
  await page.getByText(/No gap among the 95 lines/).waitFor();
  assert.equal(await alarms, "none");
});

test("reads everything anew when the stream gave up counting", async (t) => {
  const { page, server } = await openTrail(t);
  await live(page);
  for (const line of server.data.live) server.push(line, { isTold: false });
  server.emit("reset", 999, {});
  await page.getByText(/No gap among the 96 lines/).waitFor();
});

test("raises an alarm for a line that is missing, and says which", async (t) => {
  const { page, faults } = await openTrail(t, {
    change: ({ page: trail, subject }) => { trail.lines = trail.lines.filter(({ report, place }) => !(report.subject === subject && place.open.ordinal === 51)); },
  });
  await alarm(page).getByText("A line is missing: number 51 (your own).").waitFor();
  assert.equal(await page.getByText(/No gap/).count(), 0);
  await assertAccessible(page, "the alarm");
  assert.deepEqual(faults, []);
});

test("raises an alarm for the newest line left out", async (t) => {
  const { page } = await openTrail(t, { change: ({ page: trail }) => { trail.lines.pop(); } });
  await alarm(page).getByText(/A line is missing/).waitFor();
});

test("raises an alarm for a text that was altered, and says so at the line", async (t) => {
  const { page } = await openTrail(t, {
    change: ({ page: trail }) => {
      const line = trail.lines.find(({ details }) => details.text.includes("4417"));
      line.details.text = line.details.text.replace("4417", "4418");
    },
  });
  await alarm(page).getByText("A line is not what was reported, or not by whom it says:").waitFor();
  await page.getByText("This line does not check").first().waitFor();
  await alarm(page).getByRole("button", { name: "How was this checked?" }).click();
  await page.getByRole("dialog").getByText("The text you were given is not the one that was reported.").waitFor();
});

test("raises an alarm for a line put in afterwards", async (t) => {
  const { page } = await openTrail(t, {
    change: ({ page: trail, subject }) => {
      // An invented visit in the place of a real one: the operator cannot sign as Kalda, nor link it to what follows.
      const line = trail.lines.filter(({ report }) => report.subject === subject)[20];
      line.report.timeMs += 60_000;
    },
  });
  await alarm(page).getByText(/does not follow the one before it/).waitFor();
  await alarm(page).getByText(/not what was reported/).waitFor();
});

test("raises an alarm for a line signed by a key of nobody", async (t) => {
  const { page } = await openTrail(t, { change: ({ trust }) => { trust.organisations = trust.organisations.filter(({ name }) => name !== "Tide Sensors"); } });
  await alarm(page).getByText(/lines are not what was reported/).waitFor();
});

test("asks who speaks here before it calls an organisation that is newer than the page a stranger", async (t) => {
  let everybody;
  let first;
  const { page, server } = await openTrail(t, {
    change: ({ trust, page: trail, commitments }) => {
      everybody = trust.organisations;
      trust.organisations = everybody.filter(({ name }) => name !== "Harbour Hospital");
      const [own, atHarbour] = trail.parts;
      first = trail.lines.find(({ report }) => report.subject === atHarbour.subject);
      trail.lines = trail.lines.filter(({ report }) => report.subject === own.subject);
      Object.assign(atHarbour, { lines: 0, last: null });
      first.commitment = commitments[first.index];
    },
  });
  await live(page);
  const { commitment, ...line } = first;
  server.commitments.set(line.index, commitment);
  server.data.trust.organisations = everybody;
  server.push(line);
  await page.getByRole("log").locator("article", { hasText: "signed by Harbour Hospital" }).waitFor();
  assert.equal(await alarm(page).count(), 0);
});

test("raises an alarm for a live line of somebody else", async (t) => {
  const { page, server } = await openTrail(t);
  await live(page);
  const foreign = structuredClone(server.data.live[0]);
  foreign.report.subject = `0x${"77".repeat(32)}`;
  server.emit("line", foreign.index, foreign);
  await alarm(page).waitFor();
});

test("raises an alarm for a connected organisation whose lines are all left out, though the rest has no gap", async (t) => {
  const { page } = await openTrail(t, {
    change: ({ page: trail, subject }) => {
      trail.parts = trail.parts.filter((part) => part.subject === subject);
      trail.lines = trail.lines.filter(({ report }) => report.subject === subject);
    },
  });
  await alarm(page).getByText("You connected your lines at Harbour Hospital, but this site leaves them out.").waitFor();
  assert.equal(await page.getByText(/No gap/).count(), 0);
});

test("raises an alarm for lines under a name that nobody signed to be hers", async (t) => {
  const { page } = await openTrail(t, {
    change: ({ page: trail }) => {
      // All signatures are right but the organisation's under the connection: the server cannot make that one.
      const line = trail.lines.find(({ report }) => report.kind === 11);
      const details = JSON.parse(line.details.text);
      details.countersignature = details.signature;
      line.details.text = JSON.stringify(details);
    },
  });
  await alarm(page).getByText(/lines are about somebody else, or of organisations that you never connected/).waitFor();
});

test("says when the server does not answer, and works again", async (t) => {
  const { page, server } = await openTrail(t);
  server.isDown = true;
  await page.reload();
  await page.getByRole("alert").getByText("No answer from the server. Check your connection and try again.").waitFor();
  assert.equal(await page.getByText(/No gap/).count(), 0);
  server.isDown = false;
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText(/No gap among the 94 lines/).waitFor();
});

test("does not take a true proof of another line for one of this line", async (t) => {
  const { page, server } = await openTrail(t);
  const [first, second] = server.data.page.lines;
  server.proofOf = ((honest) => (index) => honest(index === first.index ? second.index : index))(server.proofOf);
  await page.locator("section:has(#all-lines) article").last().getByRole("button").click();
  const drawer = page.getByRole("dialog", { name: "How was this checked?" });
  await drawer.getByRole("button", { name: "Download the proof" }).click();
  await drawer.getByRole("alert").getByText("The proof that the server gave is of another line.").waitFor();
});
