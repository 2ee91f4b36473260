// The demo as people meet it: the real binary, a real chain, real signatures. Takes a running demo:
// MEDTRAIL_DEMO=<data folder>/demo.json
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { privateKeyToAccount } from "viem/accounts";
import { ZERO, accounts, auditEvent, sha256, sign } from "./fixtures/mari.mjs";
import { assertAccessible, assertFits, assertPlainWords, open, signInAsMari, takePicture, useBrowser } from "./lib/browser.mjs";
import { testWallet } from "./wallet/wallet.mjs";

const path = process.env.MEDTRAIL_DEMO;
const skip = path ? false : "MEDTRAIL_DEMO names no running demo";
const demo = path ? JSON.parse(readFileSync(path, "utf8")) : null;
/** An anchor every 6 s, a block every 2 s, and two blocks until it is final. */
const LOCKED_MS = 60_000;

if (demo) useBrowser();

const openDemo = (t, options = {}) => open(t, { server: { url: demo.url }, ...options });
const account = (name) => accounts.find((one) => one.name === name);
const mari = account("Mari Tamm");

/** Mari, through a wallet of MetaMask's packages, which reads the demo's chain. */
async function openAsMari(t, options = {}) {
  const wallet = await testWallet({ keys: [mari.privateKey], chainId: demo.chainId, rpc: demo.rpc });
  const opened = await openDemo(t, { hash: "#/trail", wallet, ...options });
  await opened.page.getByRole("button", { name: "Sign in with MetaMask (test)" }).click();
  (await wallet.next("connect")).approve();
  const signing = await wallet.next("personal_sign");
  assert.deepEqual([signing.details.isSignIn, signing.details.isOwnDomain], [true, true]);
  signing.approve();
  await opened.page.getByText(/No gap/).waitFor();
  await opened.page.waitForFunction(() => document.querySelector(".state.live"));
  return { ...opened, wallet };
}

/** Kalda reports a look at Mari's allergies, signed by viem; answers when the log has it. */
async function report() {
  const organisation = "Kalda Family Doctors";
  const timeMs = Date.now();
  const details = auditEvent({ organisation, id: `live-${timeMs}`, at: timeMs, who: "Dr Liis Kask", what: "AllergyIntolerance/penicillin", purpose: "TREAT" });
  const { address } = account(organisation);
  const report = {
    log: demo.log, eventId: sha256(details), kind: 1, action: 82, timeMs, subject: `0x${mari.address.slice(2).toLowerCase().padStart(64, "0")}`,
    actor: address.toLowerCase(), record: ZERO, fromVersion: ZERO, toVersion: ZERO, permission: ZERO, details: sha256(details),
  };
  const signature = await sign(organisation, report, { name: "Medtrail", version: "1", chainId: demo.chainId, verifyingContract: demo.registry });
  const response = await fetch(`${demo.url}/v1/reports`, {
    method: "POST", headers: { "content-type": "application/json" },
    body: `{"report":${JSON.stringify(report)},"details":${details},"signature":"${signature}"}`,
  });
  assert.ok(response.ok, await response.text());
}

test("four doors, and Mari's lines through the demo's wallet", { skip }, async (t) => {
  const { page } = await openDemo(t);
  await page.getByText("Invented people. Test money.").waitFor();
  assert.deepEqual(await page.locator(".doors strong").allTextContents(), ["I am Mari", "I buy data", "I check", "I run the hospital"]);
  await assertAccessible(page, "home");
  await page.getByRole("link", { name: /^I am Mari/ }).click();
  await signInAsMari(page);
  assert.equal(await page.locator("[data-alarm]").count(), 0);
  await assertAccessible(page, "Mari's trail");
  await assertPlainWords(page, "Mari's trail");
});

test("the opening trail has what the story tells", { skip }, async (t) => {
  const { page } = await openDemo(t, { hash: "#/trail" });
  await signInAsMari(page);
  const text = await page.locator("main").innerText();
  for (const expected of [/At night/, /not signed/]) assert.match(text, expected);
  // Newest first, from this morning to the morning before.
  let rest = await page.getByRole("region", { name: "All lines" }).innerText();
  for (const expected of [
    "tried to change “Allergy: penicillin” to “No known allergies” without your permission. Nothing changed.",
    "State Health Insurance was billed for “MRI of the knee” for you on ",
    "Tide Sensors stopped answering. Still kept here: 90 days of readings.",
    "A nurse at Harbour Hospital (no. 4417, name not given) read a psychiatric note. No reason given.",
    "Dr Peeter Saar, Harbour Hospital, opened your allergies and medicines; you could not be asked.",
    "Kalda Family Doctors passed your documents on to Harbour Hospital.",
    "changed your medicines: “Insulin glargine, every evening” from “18 units” to “20 units”.",
    "Lumi Laboratory: 42 automatic checks",
  ]) {
    const at = rest.indexOf(expected);
    assert.ok(at >= 0, `“${expected}” does not follow in:\n${rest}`);
    rest = rest.slice(at + expected.length);
  }
  // What a standing permission covered is not called unpermitted.
  assert.doesNotMatch(text, /Not permitted by you/);
});

test("act 1: a doctor looks now, and Mari sees it within a second", { skip }, async (t) => {
  const { page } = await openAsMari(t);
  const started = Date.now();
  await page.getByRole("button", { name: "A doctor looks now" }).click();
  const line = page.getByRole("log").locator("article").filter({ hasNotText: "automatic" }).first();
  await line.waitFor();
  const took = Date.now() - started;
  console.log(`press to line on the screen, through the gateway: ${took} ms`);
  assert.ok(took < 1_000, `${took} ms`);
  await line.getByText(/signed by Kalda/).waitFor();
});

test("a signed report: recorded, being locked, locked, checked against the chain, and again on the page that verifies", { skip }, async (t) => {
  const { page } = await openAsMari(t, { mayAsk: [demo.rpc], context: { viewport: { width: 1100, height: 900 } } });
  const started = Date.now();
  await report();
  const line = page.getByRole("log").locator("article", { hasText: "Dr Liis Kask" }).first();
  await line.waitFor();
  console.log(`report sent to line on the screen, checked: ${Date.now() - started} ms`);
  const index = await line.getAttribute("data-index");
  const same = page.locator(`[role=log] article[data-index="${index}"]`);
  await same.locator(".badge.mined, .badge.final").waitFor({ timeout: LOCKED_MS });
  await same.locator(".badge.final").waitFor({ timeout: LOCKED_MS });
  console.log(`report sent to locked: ${Date.now() - started} ms`);

  await same.getByRole("button", { name: /How was this checked/ }).click();
  const drawer = page.getByRole("dialog", { name: "How was this checked?" });
  await drawer.getByRole("button", { name: "Check it against the chain now" }).click();
  const findings = drawer.locator("[data-findings] li");
  await findings.first().waitFor();
  const found = await findings.evaluateAll((all) => all.map((one) => `${one.className.split(" ")[0]} ${one.innerText}`));
  assert.ok(found.length >= 8, found.join("\n"));
  assert.deepEqual(found.filter((one) => !one.startsWith("green")), []);
  await assertAccessible(page, "the drawer");

  const saving = page.waitForEvent("download");
  // Whatever else fails before it says why better.
  saving.catch(() => {});
  const refused = drawer.getByRole("alert").waitFor().then(async () => assert.fail(await drawer.getByRole("alert").innerText()), () => {});
  await drawer.getByRole("button", { name: "Download the proof" }).click();
  await Promise.race([saving, refused]);
  const download = await saving;
  const proof = readFileSync(await download.path());
  assert.equal(JSON.parse(proof).index, Number(index));

  await page.goto(`${demo.url}/verify`);
  await page.locator("input[type=file]").first().setInputFiles({ name: "proof.json", mimeType: "application/json", buffer: proof });
  await page.getByText(/^proof\.json, /).waitFor();
  await page.getByRole("radio", { name: /The one this site names/ }).check();
  await page.getByLabel("A node (JSON-RPC address)").fill(demo.rpc);
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await page.locator("section[data-verdict]").waitFor();
  assert.deepEqual(await page.locator("[data-step]:not([data-verdict=green])").allInnerTexts(), []);
  await assertAccessible(page, "the verified proof");
  await page.setViewportSize({ width: 960, height: 640 });
  await page.locator("section[data-verdict]").evaluate((section) => section.scrollIntoView());
  await takePicture(page, "verify");
});

test("Mari looks at the lines of Jaan, whose guardian she is, and finds there that she looked", { skip }, async (t) => {
  const { page } = await openDemo(t, { hash: "#/trail" });
  await signInAsMari(page);
  const { name, pseudonym } = demo.withoutKey[0];
  await page.getByRole("navigation", { name: "Whose trail:" }).getByRole("link", { name: `${name} (you are the guardian)` }).click();
  await page.getByRole("heading", { level: 1, name: `The trail of ${name}` }).waitFor();
  await page.getByText(/No gap among the \d+ lines/).waitFor();
  await page.waitForFunction(() => document.querySelector(".state.live"));
  assert.equal(await page.locator("[data-alarm]").count(), 0);
  const all = page.getByRole("region", { name: "All lines" });
  for (const expected of [/Nurse Anu Sild/, /Dr Liis Kask/, new RegExp(mari.address.slice(0, 8), "i")]) {
    await all.locator("article", { hasText: expected }).first().waitFor();
  }
  assert.equal(await page.getByRole("main").getByRole("button", { name: /^Ask why/ }).count(), 0);
  await assertAccessible(page, "Jaan's trail");
  await assertPlainWords(page, "Jaan's trail");
  // Nobody else is shown it by knowing his number.
  const stranger = await fetch(`${demo.url}/v1/subjects/${pseudonym}/trail`);
  assert.equal(stranger.status, 401);
});

test("Mari fits on 320 pixels", { skip }, async (t) => {
  const { page } = await openDemo(t, { hash: "#/trail", context: { viewport: { width: 320, height: 640 } } });
  await signInAsMari(page);
  await assertFits(page, "Mari's trail");
});

/** Opens the act in the bar above, and presses one of its buttons. */
async function press(page, act, button) {
  const summary = page.locator(".acts summary", { hasText: act });
  if (!(await summary.locator("..").evaluate((details) => details.open))) await summary.click();
  await page.getByRole("button", { name: button }).click();
}

test("act 4: Mari asks why, and the hospital's signed answer stands beside the line", { skip }, async (t) => {
  const { page } = await openAsMari(t, { context: { viewport: { width: 1100, height: 900 } } });
  const all = page.getByRole("region", { name: "All lines" });
  const night = all.locator("article", { hasText: "A nurse at Harbour Hospital" }).first();
  await night.getByRole("button", { name: /^Ask why/ }).click();
  const dialog = page.getByRole("dialog", { name: "Ask Harbour Hospital" });
  await dialog.getByLabel(/In your own words/).fill("Why was this note opened?");
  await assertAccessible(page, "asking why");
  await dialog.getByRole("button", { name: "Ask", exact: true }).click();
  await night.getByText(/You asked why/).waitFor();
  await night.getByText(/An answer is due by/).waitFor();
  assert.equal(await night.getByRole("button", { name: /^Ask why/ }).count(), 0);
  await press(page, "Ask, refuse, allow", "The hospital answers");
  await night.getByText(/Harbour Hospital answered/).waitFor();
  await night.getByText(/opened the wrong note/).waitFor();
  await night.locator(".talk .badge", { hasText: "signed by Harbour Hospital" }).waitFor();
  await assertAccessible(page, "an answer");
  await assertPlainWords(page, "an answer");
});

test("act 4: a bill that is not hers, and a change that she compares, approves and sees done", { skip }, async (t) => {
  const { page, wallet } = await openAsMari(t, { context: { viewport: { width: 1100, height: 900 } } });
  await page.getByRole("region", { name: "All lines" }).getByText(/Harbour Hospital tried to change/).first().waitFor();
  await press(page, "Ask, refuse, allow", "The hospital asks properly");
  await page.getByRole("link", { name: /^Waiting for you/ }).click();

  const bill = page.getByRole("region", { name: "Check this" });
  await bill.getByText(/“MRI of the knee” was billed for you on .*\. Done at: Harbour Hospital\. Amount: 240\.00 EUR\./).waitFor();
  await bill.getByText("No line of that day is about your images. What your trail has of that day:").waitFor();
  await assertAccessible(page, "what waits");
  await assertPlainWords(page, "what waits");
  await bill.getByRole("button", { name: "No, that was not me" }).click();
  await page.getByText("You said that this was not you. State Health Insurance can read it.").waitFor();

  const changes = page.getByRole("region", { name: "Changes that need your permission" });
  await changes.getByText("Harbour Hospital asks to change “Allergies: penicillin and ibuprofen”.").first().waitFor();
  await changes.getByRole("button", { name: "Compare" }).first().click();
  await changes.getByRole("region", { name: "Now" }).getByText("Penicillin", { exact: true }).waitFor();
  await changes.getByRole("region", { name: "As they want it" }).locator("mark", { hasText: "Penicillin and ibuprofen" }).waitFor();
  await changes.getByText(/Checked on this device/).waitFor();
  await assertAccessible(page, "comparing");
  await takePicture(page, "compare");
  await changes.getByRole("button", { name: "Approve…" }).click();
  const words = await changes.locator("blockquote").textContent();
  assert.match(words, /^I allow 0x[0-9a-fA-F]{40} to make one change in the health data of .*\(Medtrail approval 1\)$/);
  await changes.getByRole("button", { name: "Sign this with my wallet" }).click();
  const asked = await wallet.next("typed_data");
  assert.equal(asked.details.message.statement, words);
  asked.approve();
  await page.getByText("You approved it. Harbour Hospital can make this one change now, and no other.").waitFor();
  await page.getByText(/that (is|are) done$/).click();
  await page.getByText("You approved it, and it was done.").first().waitFor({ timeout: 20_000 });

  await page.getByRole("link", { name: "Records" }).click();
  const record = page.locator("main li", { hasText: "Allergies: penicillin and ibuprofen" });
  await record.getByRole("button", { name: /^Open/ }).click();
  await record.getByText("Penicillin and ibuprofen", { exact: true }).waitFor();
  await record.getByText(/Checked on this device/).waitFor();
  await assertAccessible(page, "records");
  await assertPlainWords(page, "records");
  await page.setViewportSize({ width: 320, height: 640 });
  await assertFits(page, "records");
  await page.goto(`${demo.url}/#/waiting`);
  await page.getByRole("heading", { name: "Waiting for you" }).waitFor();
  await assertFits(page, "what waits");
});

test("the hospital's desk: what it is asked, what it asked for, what it billed", { skip }, async (t) => {
  const wallet = await testWallet({ keys: [account("Harbour Hospital").privateKey], chainId: demo.chainId, rpc: demo.rpc });
  const { page } = await openDemo(t, { hash: "#/desk", wallet });
  await page.getByRole("button", { name: "Sign in with MetaMask (test)" }).click();
  (await wallet.next("connect")).approve();
  (await wallet.next("personal_sign")).approve();
  await page.getByRole("heading", { name: "Desk of Harbour Hospital" }).waitFor();
  await page.getByRole("heading", { name: "Questions to you" }).waitFor();
  await page.getByRole("region", { name: "Changes you asked for" }).getByText("Allergies: penicillin and ibuprofen").first().waitFor();
  await assertAccessible(page, "the desk");
});

test("Mari gives up being Jaan's guardian, and his lines leave her screen", { skip }, async (t) => {
  const { page } = await openDemo(t, { hash: "#/trail" });
  await signInAsMari(page);
  const { name, pseudonym } = demo.withoutKey[0];
  await page.getByRole("navigation", { name: "Whose trail:" }).getByRole("link", { name: `${name} (you are the guardian)` }).click();
  await page.getByRole("region", { name: "All lines" }).locator("article", { hasText: "Nurse Anu Sild" }).waitFor();
  await page.waitForFunction(() => document.querySelector(".state.live"));
  const given = await page.evaluate((of) => fetch(`/v1/subjects/${of}/permissions`).then((answer) => answer.json()), pseudonym);
  const { id } = given.permissions.find(({ document, state }) => document.guardianship && state === "standing");
  const { chainId, consentRegistry } = await (await fetch(`${demo.url}/v1/permissions`)).json();
  const revoke = { subject: `0x${pseudonym.slice(-40)}`, permission: id };
  const signature = await privateKeyToAccount(mari.privateKey).signTypedData({
    domain: { name: "Medtrail", version: "1", chainId, verifyingContract: consentRegistry },
    types: { Revoke: [{ name: "subject", type: "address" }, { name: "permission", type: "bytes32" }] }, primaryType: "Revoke", message: revoke,
  });
  const started = Date.now();
  const answer = await fetch(`${demo.url}/v1/permissions?subject=${pseudonym}`, {
    method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ version: "medtrail/permission-v1", document: { revoke }, signature }),
  });
  assert.ok(answer.ok, await answer.text());
  await page.getByText(`You cannot see the trail of ${name} now`).waitFor({ timeout: 30_000 });
  console.log(`right ended to lines off the screen: ${Date.now() - started} ms`);
  await page.getByRole("heading", { level: 1, name: "Your trail" }).waitFor();
  assert.equal(await page.getByText(/Nurse Anu Sild/).count(), 0);
});
