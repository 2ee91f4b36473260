// Calls to many, as a seller and as their buyer meet them: what is shown, signed, taken back and paid for. The last one takes
// a running demo, MEDTRAIL_DEMO=<data folder>/demo.json
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { recoverTypedDataAddress } from "viem";
import { call, COHORT_MARKET, DOMAIN, market, startNode, TYPES } from "./fixtures/calls.mjs";
import { accounts } from "./fixtures/mari.mjs";
import { assertAccessible, assertFits, assertPlainWords, open, takePicture, useBrowser } from "./lib/browser.mjs";
import { testWallet } from "./wallet/wallet.mjs";

useBrowser();

const account = (name) => accounts.find((one) => one.name === name);

async function openAs(t, name, hash, calls, change = () => {}) {
  const service = market(calls);
  const node = await startNode();
  change({ ...service, node });
  t.after(() => node.stop());
  const wallet = await testWallet({ keys: [account(name).privateKey], chainId: 31338, rpc: node.url });
  const opened = await open(t, { hash, wallet, more: service.more });
  await opened.page.getByRole("button", { name: "Sign in with MetaMask (test)" }).click();
  (await wallet.next("connect")).approve();
  (await wallet.next("personal_sign")).approve();
  return { ...opened, wallet, service, node };
}

async function assertGood(page, what) {
  await assertAccessible(page, what);
  await assertPlainWords(page, what);
  const before = page.viewportSize();
  await page.setViewportSize({ width: 320, height: 640 });
  await assertFits(page, what);
  await page.setViewportSize(before);
}

test("a seller reads a call, accepts it, is asked again where somebody was faster, and takes it back", async (t) => {
  const { page, wallet, service } = await openAs(t, "Mari Tamm", "#/sell", [call()], ({ state }) => { state.refuseOnce = "place-taken"; });
  const open = page.getByRole("region", { name: "Calls you can answer" });
  await open.getByText(/pays each person 0\.05 ETH for a copy of such data\. Up to 50 people can take part\./).waitFor({ timeout: 30_000 });
  await open.getByText(/the chain has the buyer’s money for this very call/).waitFor();
  await assertGood(page, "a call");
  await open.getByRole("button", { name: "Accept…" }).click();
  const words = await open.getByRole("group", { name: "Read what you sign" }).locator("blockquote").textContent();
  assert.match(words, /^I sell to 0x[0-9a-fA-F]{40} a copy of health data of the person who signs this: measurements, .*\(Medtrail cohort 1\)$/);
  await open.getByText(/if the key is on its way by then, the buyer opens the old file, and your data are in it/).waitFor();
  await open.getByLabel(/^Your own address/).check();
  await open.getByText("It can never be taken away.").waitFor();
  await assertGood(page, "what a seller signs");
  await takePicture(page, "call");

  await open.getByRole("button", { name: "Accept with my wallet" }).click();
  const first = await wallet.next("typed_data");
  assert.deepEqual([first.details.primaryType, first.details.message.place, first.details.message.terms.statement, first.details.domain.verifyingContract], ["CohortAcceptance", "11", words, COHORT_MARKET]);
  first.approve();
  await page.getByText("Somebody was faster. Press again: your wallet then asks you for the next free place.").waitFor();
  await open.getByRole("button", { name: "Accept with my wallet" }).click();
  const declined = await wallet.next("typed_data");
  assert.equal(declined.details.message.place, "12");
  declined.reject();
  await page.getByText("You did not sign. Nothing was changed.").waitFor();
  await open.getByRole("button", { name: "Accept with my wallet" }).click();
  (await wallet.next("typed_data")).approve();
  await page.getByText("You said yes. You can take it back until the key is shown.").waitFor();

  const [, { method, acceptance, signature, country }] = service.heard;
  const signer = await recoverTypedDataAddress({ domain: DOMAIN, types: TYPES.CohortAcceptance, primaryType: "CohortAcceptance", message: acceptance, signature });
  assert.deepEqual([method, signer, acceptance.place, country], ["POST", account("Mari Tamm").address, 12, "EE"]);
  assert.equal(service.heard.length, 2);

  const answered = page.getByRole("region", { name: "Calls you answered" });
  await answered.getByText(/You said yes\. The file is made when all places are taken/).waitFor();
  await answered.getByText("Take it back…").click();
  await assertGood(page, "a call that was accepted");
  await answered.getByRole("button", { name: "Take it back", exact: true }).click();
  await page.getByRole("status").getByText("You took it back.").waitFor();
  assert.equal(service.heard.at(-1).method, "DELETE");
  await answered.getByRole("button", { name: "Accept…" }).waitFor();
  assert.equal(await answered.getByText("Take it back…").count(), 0);
});

test("a call whose words are not those of its fields is not shown, and whose money is not there is not signed", async (t) => {
  const softer = call({ words: (text) => text.replace("up to 50 people", "you alone") });
  const { page } = await openAs(t, "Mari Tamm", "#/sell", [softer]);
  await page.getByText("This does not check, so it is not shown. Sign nothing of it, and ask who runs this service.").waitFor({ timeout: 30_000 });
  assert.equal(await page.getByText("you alone").count(), 0);
  assert.equal(await page.getByRole("button", { name: "Accept…" }).count(), 0);
  await assertGood(page, "a call that does not check");

  const other = await openAs(t, "Mari Tamm", "#/sell", [call()], ({ node }) => { node.standing.status = 0; });
  await other.page.getByText("The chain knows no money for it.").waitFor({ timeout: 30_000 });
  assert.equal(await other.page.getByRole("button", { name: "Accept…" }).count(), 0);
});

test("a buyer sees how far a call is, and opens another with all that it costs in view", async (t) => {
  const { page, wallet, service } = await openAs(t, "Boreal Therapeutics", "#/trail", [call()], ({ state }) => {
    state.delivery = { state: "collecting", refusal: null, file: null, bytes: null, sellers: 0, paid: 0, lock: null };
  });
  await page.getByRole("link", { name: "Market" }).click();
  await page.getByRole("link", { name: "Your calls to many" }).click();
  await page.getByText("11 people said yes, of 50 places.").waitFor({ timeout: 30_000 });
  await assertGood(page, "a buyer's calls");
  service.state.delivery = { state: "ready", refusal: null, file: `0x${"5f".repeat(32)}`, bytes: 9, sellers: 11, paid: 0, lock: `0x${"4b".repeat(32)}` };
  await page.getByText("The file is made, still sealed. The first are paid next.").waitFor({ timeout: 30_000 });
  await page.getByText("The file has the data of 11 people. 0 were paid.").waitFor();
  await page.getByText(/run medtrail call --into that folder/).waitFor();

  await page.getByRole("button", { name: "Open a call" }).click();
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("button", { name: "Next: read it" }).click();
  await page.getByText("Choose at least one kind of records.").waitFor();
  await page.getByRole("checkbox", { name: "measurements" }).check();
  await page.getByLabel("Price for each person, in ETH").fill("0.05");
  await page.getByLabel("How many people, at most").fill("20");
  await page.getByRole("button", { name: "Next: read it" }).click();
  await page.getByText("First make a key and save it, or give yours.").waitFor();
  await assertGood(page, "the form of a call");
  await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save the key as a file" }).click()]);
  await page.getByRole("button", { name: "Next: read it" }).click();
  await page.getByText("Together 1 ETH for all 20 places.").waitFor();
  await page.getByText("You cannot take the call back.").waitFor();
  await assertGood(page, "a call before it is paid");
  await takePicture(page, "calling");
  await page.getByRole("button", { name: "Pay with my wallet" }).click();
  const paying = await wallet.next("transaction");
  assert.deepEqual([paying.details.to.toLowerCase(), BigInt(paying.details.value)], [COHORT_MARKET, 1_000_000_000_000_000_000n]);
  paying.reject();
  await page.getByText("You did not pay. Nothing was done.").waitFor();
});

const path = process.env.MEDTRAIL_DEMO;
const demo = path ? JSON.parse(readFileSync(path, "utf8")) : null;
/** A block every 2 s, and finality after it. */
const FINAL_MS = 60_000;

async function openDemo(t, name, hash) {
  const wallet = await testWallet({ keys: [account(name).privateKey], chainId: demo.chainId, rpc: demo.rpc });
  const opened = await open(t, { server: { url: demo.url }, hash, wallet });
  await opened.page.getByRole("button", { name: "Sign in with MetaMask (test)" }).click();
  (await wallet.next("connect")).approve();
  (await wallet.next("personal_sign")).approve();
  return { ...opened, wallet };
}

test("on a real chain a call is opened, accepted, counted, taken back and accepted anew", { skip: demo ? false : "MEDTRAIL_DEMO names no running demo" }, async (t) => {
  const { page: buy, wallet: pays } = await openDemo(t, "Boreal Therapeutics", "#/market/calls");
  await buy.getByRole("button", { name: "Open a call" }).click({ timeout: 40_000 });
  await buy.getByRole("button", { name: "Make it" }).click();
  await Promise.all([buy.waitForEvent("download"), buy.getByRole("button", { name: "Save the key as a file" }).click()]);
  await buy.getByRole("checkbox", { name: "measurements" }).check();
  await buy.getByLabel("as it is, with names").check();
  await buy.getByLabel("what organisations signed, and what the person added").check();
  await buy.getByLabel("Price for each person, in ETH").fill("0.05");
  await buy.getByLabel("How many people, at most").fill("2");
  await buy.getByRole("button", { name: "Next: read it" }).click();
  await buy.getByRole("strong").getByText("Together 0.1 ETH for all 2 places.").waitFor();
  await buy.getByRole("button", { name: "Pay with my wallet" }).click();
  const paying = await pays.next("transaction");
  assert.deepEqual([paying.details.to.toLowerCase(), BigInt(paying.details.value)], [COHORT_MARKET, 100_000_000_000_000_000n]);
  paying.approve();
  await buy.getByText("Your call is open. It is shown to others once its payment is final.").waitFor({ timeout: FINAL_MS });
  const opened = buy.locator("main article").first();
  await opened.getByText(/^Open\. People can answer/).waitFor({ timeout: FINAL_MS });

  const { page: sell, wallet: signs } = await openDemo(t, "Mari Tamm", "#/sell");
  const accept = async (where) => {
    await where.getByRole("button", { name: "Accept…" }).first().click({ timeout: FINAL_MS });
    await where.getByLabel(/^Your own address/).check();
    await where.getByRole("button", { name: "Accept with my wallet" }).click();
    const signing = await signs.next("typed_data");
    signing.approve();
    await sell.getByText("You said yes. You can take it back until the key is shown.").waitFor();
    return signing.details.message;
  };
  const first = await accept(sell.getByRole("region", { name: "Calls you can answer" }));
  await opened.getByText("One person said yes, of 2 places.").waitFor({ timeout: FINAL_MS });
  const answered = sell.getByRole("region", { name: "Calls you answered" });
  const takeBack = async () => {
    await answered.getByText("Take it back…").first().click();
    await answered.getByRole("button", { name: "Take it back", exact: true }).click();
    await sell.getByRole("status").getByText("You took it back.").waitFor();
  };
  await takeBack();
  // One that was taken back is spent: the next one is another document.
  const second = await accept(answered);
  assert.deepEqual([second.cohort, Number(second.expiresAt)], [first.cohort, Number(first.expiresAt) + 1]);
  await takeBack();
  await opened.getByText("0 people said yes, of 2 places.").waitFor({ timeout: FINAL_MS });
});
