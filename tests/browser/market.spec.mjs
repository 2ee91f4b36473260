// A sale as both sides meet it: an offer, a payment, the seller's yes, the sealed file, the key that the chain shows, the
// curve. The real binary, a real chain, real signatures: takes a running demo, MEDTRAIL_DEMO=<data folder>/demo.json
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { accounts } from "./fixtures/mari.mjs";
import { parseUnits } from "viem";
import { assertAccessible, assertFits, assertPlainWords, open, takePicture, useBrowser } from "./lib/browser.mjs";
import { deployToken, TAKES_A_FEE } from "./lib/tokens.mjs";
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
  await sell.getByRole("checkbox", { name: /^measurements/ }).check();
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
  const words = await sell.getByRole("region", { name: "Read what you sign" }).locator("blockquote").textContent();
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
  await buy.getByRole("button", { name: "Look", exact: true }).click();
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
  await buy.getByText("What such a dataset looks like").click();
  await assertAccessible(buy, "an offer");
  await assertPlainWords(buy, "an offer");
  await takePicture(buy, "buy");
  const kept = buy.waitForEvent("download");
  await buy.getByRole("button", { name: "Pay with my wallet" }).click();
  const paying = await boreal.wallet.next("transaction");
  assert.equal(BigInt(paying.details.value), 50_000_000_000_000_000n);
  paying.approve();
  await kept;
  await buy.getByRole("heading", { name: "What you bought" }).waitFor();
  await buy.reload();
  /** The newest stands first. */
  const bought = buy.locator("main article").first();
  await bought.getByText("Paid. The seller is asked now.").waitFor({ timeout: SOLD_MS });

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

  await bought.getByText("The seller was paid.").waitFor({ timeout: SOLD_MS });
  await bought.getByRole("button", { name: "Download and check" }).click();
  await bought.getByText(/The file’s SHA-256, counted on this device, is the one that the log names/).waitFor();
  await bought.getByText("That line stands in the log that the chain locked.").waitFor();
  await bought.getByLabel("The key’s file").setInputFiles(await key.path());
  await bought.getByRole("button", { name: "Open it" }).click();
  await bought.getByText(/Both seals opened/).waitFor();
  await bought.getByText(/The chain shows the key, and it fits the lock/).waitFor();
  await bought.getByText(/The contract was shown the same file when it paid the seller/).waitFor();
  await bought.getByText(/measurements between .* and .* mmol\/L/).waitFor();
  await assertAccessible(buy, "what was bought");
  await assertPlainWords(buy, "what was bought");
  await takePicture(buy, "bought");
  await buy.setViewportSize({ width: 320, height: 640 });
  await assertFits(buy, "what was bought");

  await sell.getByRole("link", { name: "Sell", exact: true }).click();
  await sell.getByText("You were paid.").first().waitFor({ timeout: SOLD_MS });
  await askForDeletion(mari, boreal, bought);
});

/** The seller changes her mind, and the buyer signs that it is gone: words that this page made, in a wallet that shows them. */
async function askForDeletion({ page: sell }, { page: buy, wallet }, bought) {
  await buy.setViewportSize({ width: 1200, height: 900 });
  const sold = sell.getByRole("region", { name: "Your sales" }).locator("article").filter({ hasText: "You were paid." }).first();
  await sold.getByText("Ask the buyer to delete…").click();
  await sold.getByText(/It cannot make them delete, and nobody can see whether they did/).waitFor();
  await assertAccessible(sell, "a sale that can be asked back");
  await assertPlainWords(sell, "a sale that can be asked back");
  await sold.getByRole("button", { name: "Ask the buyer to delete", exact: true }).click();
  await sell.getByText("The buyer is asked to delete what was delivered.").waitFor();
  const asked = sell.getByText(/You asked .* that all of it be deleted\. The buyer has until .* to sign that it is\./);
  await asked.waitFor();

  await buy.reload();
  const wish = bought.getByRole("region", { name: "Deletion" });
  await wish.getByText(/The seller asked .* that you delete what was delivered\. You have until .* to sign that it is done\./).waitFor({ timeout: 30_000 });
  const statement = await wish.locator("blockquote").textContent();
  assert.match(statement, /^I have deleted what was delivered to me for this order, .* \(Medtrail deletion 1\)$/);
  await assertAccessible(buy, "a wish for deletion");
  await assertPlainWords(buy, "a wish for deletion");
  await buy.setViewportSize({ width: 320, height: 640 });
  await assertFits(buy, "a wish for deletion");
  await buy.setViewportSize({ width: 1200, height: 900 });
  await wish.getByRole("button", { name: "Sign that it is deleted" }).click();
  (await wallet.next("typed_data")).reject();
  await buy.getByText("You did not sign. Nothing was changed.").waitFor();
  await wish.getByRole("button", { name: "Sign that it is deleted" }).click();
  const signing = await wallet.next("typed_data");
  assert.deepEqual([signing.details.primaryType, signing.details.message.statement], ["Deletion", statement]);
  signing.approve();
  await buy.getByText("You signed that it is deleted. The seller is told.").waitFor();
  await bought.getByText(/You signed that it is done\./).waitFor();
  assert.equal(await bought.getByRole("button", { name: "Download and check" }).count(), 0);
  await sell.reload();
  await sell.getByText(/The buyer signed that it is\. Nobody can check that\./).first().waitFor({ timeout: 30_000 });
}

/** Signs in through the demo's red window. */
async function openWithDemoWallet(t, name, hash) {
  const { page } = await open(t, { server: { url: demo.url }, hash });
  await page.getByRole("button", { name: "Sign in with Demo wallet" }).click();
  const prompt = page.getByRole("dialog", { name: "Who are you?" });
  await prompt.getByLabel(name).check();
  await prompt.getByRole("button", { name: "Connect" }).click();
  await page.getByRole("dialog", { name: "Sign in" }).getByRole("button", { name: "Approve" }).click();
  return page;
}

test("the demo's wallet pays, and a seller who says no is believed", { skip }, async (t) => {
  const buy = await openWithDemoWallet(t, "Northwind University", "#/market/bought");
  await buy.getByRole("link", { name: "All offers" }).click();
  await buy.getByRole("link", { name: "measurements" }).first().click();
  await buy.getByRole("button", { name: "Make it" }).click();
  await Promise.all([buy.waitForEvent("download"), buy.getByRole("button", { name: "Save the key as a file" }).click()]);
  await buy.getByRole("button", { name: "Pay with my wallet" }).click();
  const asked = buy.getByRole("dialog", { name: "Send a transaction" });
  await asked.getByText("0.05 ETH", { exact: true }).waitFor();
  await asked.getByRole("button", { name: "Reject" }).click();
  await buy.getByText("You did not pay. Nothing was done.").waitFor();
  await buy.getByRole("button", { name: "Pay with my wallet" }).click();
  await asked.getByRole("button", { name: "Approve" }).click();
  const bought = buy.locator("main article").first();
  await bought.getByText("Paid. The seller is asked now.").waitFor({ timeout: SOLD_MS });

  const sell = await openWithDemoWallet(t, "Mari Tamm", "#/waiting");
  const asking = sell.getByRole("region", { name: "Buyers who wait for your yes" });
  await asking.getByRole("button", { name: "Say no" }).click({ timeout: 30_000 });
  await sell.getByText("You said no. Nothing is delivered to this buyer.").waitFor();
  await bought.getByText("It came to nothing: the seller said no, or withdrew the offer.").waitFor({ timeout: SOLD_MS });
  await bought.getByText(/you take your money back from/).waitFor();
});

/** An offer of measurements in a token, from the form to the list. */
async function offerInToken({ page, wallet }, token, price, label) {
  await page.getByRole("button", { name: "Make an offer" }).click();
  await page.getByRole("checkbox", { name: /^measurements/ }).check();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByLabel("what organisations signed, and what the person added").check();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByLabel("a token (ERC-20)").check();
  await page.getByLabel("The token’s address").fill(token.address);
  await page.getByRole("button", { name: "Ask the chain what it is" }).click();
  await page.getByLabel(label).fill(price);
  await assertAccessible(page, "a price in a token");
  await assertPlainWords(page, "a price in a token");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByLabel(/^Your own address/).check();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("heading", { name: "Read what you sign" }).waitFor();
  await page.setViewportSize({ width: 320, height: 640 });
  await assertFits(page, "an offer in a token");
  await page.setViewportSize({ width: 1200, height: 900 });
  await page.getByRole("button", { name: "Sign this with my wallet" }).click();
  const offering = await wallet.next("typed_data");
  assert.equal(offering.details.message.token.toLowerCase(), token.address.toLowerCase());
  offering.approve();
  await page.getByText("Your offer is listed.").waitFor();
}

/** To the button that pays, with a key of the buyer's. */
async function lookAtOffer(page, token) {
  await page.getByRole("link", { name: "Market" }).click();
  await page.getByRole("heading", { name: "Data that people offer" }).waitFor();
  await page.locator("main article").filter({ hasText: new RegExp(token.address, "i") }).first().getByRole("link").click();
  await page.getByText(/Checked on this device: the words are those of the fields/).waitFor();
  await page.getByText(/go by its address/).waitFor();
  await page.getByRole("button", { name: "Make it" }).click();
  await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save the key as a file" }).click()]);
}

test("a token pays by its own permit, and one that keeps a part of a transfer pays nothing", { skip }, async (t) => {
  const boreal = account("Boreal Therapeutics");
  const paying = { rpc: demo.rpc, chainId: demo.chainId, privateKey: boreal.privateKey };
  const plain = await deployToken("PlainToken", paying);
  const strange = await deployToken("StrangeToken", paying);
  await strange.write("mint", boreal.address, 100n);
  await strange.write("setWays", TAKES_A_FEE);
  const seller = await openAs(t, "Mari Tamm", "#/sell");
  await offerInToken(seller, plain, "12.5", "Price of each copy, in PLN");
  await offerInToken(seller, strange, "7", "Price of each copy, in the token");
  const mine = seller.page.getByRole("region", { name: "Your offers" });
  await mine.getByText(/12\.5 PLN \(token 0x[0-9a-fA-F]{40}\)/).first().waitFor();
  await mine.getByText(/7 smallest units of the token 0x[0-9a-fA-F]{40}/).first().waitFor();

  const { page: buy, wallet } = await openAs(t, "Boreal Therapeutics", "#/trail");
  await lookAtOffer(buy, plain);
  await assertAccessible(buy, "an offer in a token");
  await assertPlainWords(buy, "an offer in a token");
  await buy.setViewportSize({ width: 320, height: 640 });
  await assertFits(buy, "an offer in a token");
  await buy.setViewportSize({ width: 1200, height: 900 });
  await buy.getByRole("button", { name: "Pay with my wallet" }).click();
  await buy.getByText(/You have 0 PLN .*, and the price is 12\.5 PLN .* Nothing was paid\./).waitFor();
  const price = parseUnits("12.5", 18);
  await plain.write("mint", boreal.address, price);
  // That no window was open: the first question is this one.
  await buy.getByRole("button", { name: "Pay with my wallet" }).click();
  const permit = await wallet.next("typed_data");
  const market = permit.details.message.spender;
  assert.deepEqual([permit.details.primaryType, permit.details.domain.verifyingContract.toLowerCase(), permit.details.message.value], ["Permit", plain.address.toLowerCase(), price.toString()]);
  await buy.getByText("Your wallet asks you to sign that the market may take the price. That pays nothing yet.").waitFor();
  permit.approve();
  const sending = await wallet.next("transaction");
  assert.deepEqual([sending.details.to.toLowerCase(), BigInt(sending.details.value), await plain.read("balanceOf", market)], [market.toLowerCase(), 0n, 0n]);
  sending.approve();
  await buy.getByRole("heading", { name: "What you bought" }).waitFor();
  await buy.locator("main article").first().getByText("Paid. The seller is asked now.").waitFor({ timeout: SOLD_MS });
  assert.deepEqual([await plain.read("balanceOf", market), await plain.read("allowance", boreal.address, market)], [price, 0n]);

  await lookAtOffer(buy, strange);
  await buy.getByRole("button", { name: "Pay with my wallet" }).click();
  const allowing = await wallet.next("transaction");
  assert.equal(allowing.details.to.toLowerCase(), strange.address.toLowerCase());
  allowing.approve();
  await buy.getByText(/it keeps a part of each transfer, or adds one\. The market takes exact amounts only\. Nothing was paid\./).waitFor();
  assert.deepEqual([await strange.read("balanceOf", boreal.address), await strange.read("allowance", boreal.address, market)], [100n, 7n]);

  // Nothing of this is left in the list for whoever looks next.
  for (const { address } of [plain, strange]) {
    const offered = mine.locator("article").filter({ hasText: new RegExp(address, "i") });
    await offered.getByRole("button", { name: "Withdraw the offer" }).click();
    await offered.getByText(/^Withdrawn\. Since/).waitFor();
  }
});
