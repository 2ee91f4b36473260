// A sale as both sides meet it: an offer, a payment, the seller's yes, the sealed file, the key that the chain shows, the
// curve. The real binary, a real chain, real signatures: takes a running demo, MEDTRAIL_DEMO=<data folder>/demo.json
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { accounts } from "./fixtures/mari.mjs";
import { assertAccessible, assertFits, assertPlainWords, open, takePicture, useBrowser } from "./lib/browser.mjs";
import { testWallet } from "./wallet/wallet.mjs";

const path = process.env.MEDTRAIL_DEMO;
const skip = path ? false : "MEDTRAIL_DEMO names no running demo";
const demo = path ? JSON.parse(readFileSync(path, "utf8")) : null;
/** A block every 2 s, an anchor every 6 s, finality after it, twice. */
const SOLD_MS = 90_000;

if (demo) useBrowser();

const account = (name) => accounts.find((one) => one.name === name);

async function openAs(t, name, hash, options = {}) {
  const wallet = await testWallet({ keys: [account(name).privateKey], chainId: demo.chainId, rpc: demo.rpc });
  const opened = await open(t, { server: { url: demo.url }, hash, wallet, ...options });
  await opened.page.getByRole("button", { name: "Sign in with MetaMask (test)" }).click();
  (await wallet.next("connect")).approve();
  (await wallet.next("personal_sign")).approve();
  return { ...opened, wallet };
}

test("a sale, from the offer to the opened data", { skip }, async (t) => {
  const mari = await openAs(t, "Mari Tamm", "#/sell");
  const { page: sell } = mari;
  await sell.getByRole("heading", { name: "Your offers" }).waitFor({ timeout: 30_000 });
  await assertAccessible(sell, "selling");
  await assertPlainWords(sell, "selling");
  await sell.getByRole("button", { name: "Make an offer" }).click();
  await sell.getByRole("heading", { name: "What do you offer?" }).waitFor();
  await sell.getByRole("button", { name: "Next" }).click();
  await sell.getByText("Choose at least one kind of records.").waitFor();
  await sell.getByLabel(/^measurements/).check();
  await sell.getByRole("button", { name: "Look for the codes in these records" }).click();
  await sell.getByLabel(/105272-9/).check();
  await assertAccessible(sell, "what is offered");
  await sell.getByRole("button", { name: "Next" }).click();
  await sell.getByLabel("as it is, with names").check();
  await sell.getByLabel("what organisations signed, and what the person added").check();
  await sell.getByText("The buyer learns who you are").waitFor();
  await assertAccessible(sell, "the form of an offer");
  await sell.getByRole("button", { name: "Next" }).click();
  await sell.getByLabel("Price of each copy, in ETH").fill("0.05");
  await sell.getByRole("button", { name: "Next" }).click();
  await sell.getByLabel(/^Your own address/).check();
  await sell.getByText("It can never be taken away.").waitFor();
  await sell.getByRole("button", { name: "Next" }).click();
  await sell.getByRole("heading", { name: "Read what you sign" }).waitFor();
  const words = await sell.locator("blockquote").textContent();
  assert.match(words, /^I offer for sale a copy of health data of 0x[0-9a-fA-F]{40}: measurements, .*\(Medtrail sale 1\)$/);
  await assertAccessible(sell, "what is signed");
  await assertPlainWords(sell, "what is signed");
  await takePicture(sell, "sell");
  await sell.setViewportSize({ width: 320, height: 640 });
  await assertFits(sell, "an offer");
  await sell.setViewportSize({ width: 1200, height: 900 });
  await sell.getByRole("button", { name: "Sign this with my wallet" }).click();
  const offering = await mari.wallet.next("typed_data");
  assert.deepEqual([offering.details.primaryType, offering.details.message.terms.statement], ["Offer", words]);
  offering.approve();
  await sell.getByText("Your offer is listed.").waitFor();

  const boreal = await openAs(t, "Boreal Therapeutics", "#/trail");
  const { page: buy } = boreal;
  await buy.getByRole("link", { name: "Market" }).click();
  await buy.getByRole("heading", { name: "Data that people offer" }).waitFor();
  await buy.getByLabel("Code", { exact: true }).fill("http://loinc.org|105272-9");
  await buy.getByRole("button", { name: "Look" }).click();
  await assertAccessible(buy, "the catalogue");
  await assertPlainWords(buy, "the catalogue");
  const listed = await buy.locator("main").textContent();
  assert.ok(!listed.toLowerCase().includes(account("Mari Tamm").address.toLowerCase()), "the catalogue names nobody");
  await buy.getByRole("link", { name: "measurements" }).first().click();
  await buy.getByText(/Checked on this device: the words are those of the fields/).waitFor();
  await buy.getByText("You are protected against no delivery. You are not protected against poor or false content.").waitFor();
  assert.ok(await buy.getByRole("button", { name: "Pay with my wallet" }).isDisabled());
  await buy.getByRole("button", { name: "Make it" }).click();
  const [key] = await Promise.all([buy.waitForEvent("download"), buy.getByRole("button", { name: "Save the key as a file" }).click()]);
  assert.match(readFileSync(await key.path(), "utf8"), /\nAGE-SECRET-KEY-1[A-Z0-9]{58}\n$/);
  await assertAccessible(buy, "an offer");
  await takePicture(buy, "buy");
  const kept = buy.waitForEvent("download");
  await buy.getByRole("button", { name: "Pay with my wallet" }).click();
  const paying = await boreal.wallet.next("transaction");
  assert.equal(BigInt(paying.details.value), 50_000_000_000_000_000n);
  paying.approve();
  await kept;
  await buy.getByRole("heading", { name: "What you bought" }).waitFor();
  await buy.reload();
  await buy.getByText("Paid. The seller is asked now.").waitFor({ timeout: SOLD_MS });

  await sell.getByRole("link", { name: /^Waiting for you/ }).click();
  const asking = sell.getByRole("region", { name: "Buyers who wait for your yes" });
  await asking.getByRole("button", { name: "Approve…" }).click();
  assert.equal(await asking.locator("blockquote").textContent(), words);
  await assertAccessible(sell, "a buyer who waits");
  await assertPlainWords(sell, "a buyer who waits");
  await sell.setViewportSize({ width: 320, height: 640 });
  await assertFits(sell, "a buyer who waits");
  await asking.getByRole("button", { name: "Approve with my wallet" }).click();
  const approving = await mari.wallet.next("typed_data");
  assert.deepEqual([approving.details.primaryType, approving.details.message.buyer.toLowerCase()], ["SaleApproval", account("Boreal Therapeutics").address.toLowerCase()]);
  approving.approve();
  await sell.getByText("You said yes. The data are being prepared for this buyer.").waitFor();

  await buy.getByText("The seller was paid.").waitFor({ timeout: SOLD_MS });
  await buy.getByRole("button", { name: "Download and check" }).click();
  await buy.getByText(/The file’s SHA-256, counted on this device, is the one that the log names/).waitFor();
  await buy.getByText("That line stands in the log that the chain locked.").waitFor();
  await buy.getByLabel("The key’s file").setInputFiles(await key.path());
  await buy.getByRole("button", { name: "Open it" }).click();
  await buy.getByText(/Both seals opened/).waitFor();
  await buy.getByText(/The chain shows the key, and it fits the lock/).waitFor();
  await buy.getByText(/The contract was shown the same file when it paid the seller/).waitFor();
  await buy.getByText(/measurements between .* and .* mmol\/L/).waitFor();
  await assertAccessible(buy, "what was bought");
  await assertPlainWords(buy, "what was bought");
  await takePicture(buy, "bought");
  await buy.setViewportSize({ width: 320, height: 640 });
  await assertFits(buy, "what was bought");

  await sell.getByRole("link", { name: "Sell", exact: true }).click();
  await sell.getByText("You were paid.").first().waitFor({ timeout: SOLD_MS });
});
