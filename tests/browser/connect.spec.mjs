// Connecting an organisation: the code from the desk, the wallet, the organisation's confirmation.
import assert from "node:assert/strict";
import { test } from "node:test";
import { recoverTypedDataAddress } from "viem";
import { accounts } from "./fixtures/mari.mjs";
import { assertAccessible, open, openTrail, useBrowser } from "./lib/browser.mjs";
import { testWallet } from "./wallet/wallet.mjs";

useBrowser();

const WORDS = /^Lumi Laboratory \(0x[0-9a-fA-F]{40}\) keeps entries about me under the pseudonym 0x[0-9a-f]{64}\. Join them with my trail/;

test("connects an organisation: code, wallet, confirmation", async (t) => {
  const { page, server } = await openTrail(t);
  await page.getByRole("link", { name: "Connect an organisation" }).first().click();
  await page.getByLabel("Code from the desk").fill("wrong");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("alert").getByText("There is no such code.").waitFor();
  await page.getByLabel("Code from the desk").fill("kalda 7q2");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText(WORDS).waitFor();
  await assertAccessible(page, "what is signed");

  await page.getByRole("button", { name: "Sign in my wallet" }).click();
  const prompt = page.getByRole("dialog", { name: "Sign a document" });
  await prompt.getByText(WORDS).waitFor();
  await prompt.getByRole("button", { name: "Reject" }).click();
  await page.getByText("You did not sign. Nothing was connected.").waitFor();

  await page.getByRole("button", { name: "Sign in my wallet" }).click();
  await prompt.getByRole("button", { name: "Approve" }).click();
  await page.getByText("You signed. Now Lumi Laboratory has to confirm").waitFor();
  const { typedData, signature } = server.binding;
  assert.equal((await recoverTypedDataAddress({ ...typedData, signature })).toLowerCase(), server.data.mari);

  server.data.page.parts.push({ subject: server.data.typedData.message.pseudonym, organisation: server.data.typedData.message.custodian, lines: 0, last: null });
  await page.getByText("Lumi Laboratory confirmed.").waitFor();
});

test("brings MetaMask to the right chain before it asks for the signature", async (t) => {
  const wallet = await testWallet({ keys: [accounts.find(({ name }) => name === "Mari Tamm").privateKey], chainId: 1 });
  const { page, server } = await open(t, { hash: "#/trail", wallet });
  await page.getByRole("button", { name: "Sign in with MetaMask (test)" }).click();
  (await wallet.next("connect")).approve();
  (await wallet.next("personal_sign")).approve();
  await page.getByText(/No gap/).waitFor();
  await page.evaluate(() => { location.hash = "#/trail/connect"; });
  await page.getByLabel("Code from the desk").fill("KALDA7Q2");
  await page.getByRole("button", { name: "Next" }).click();
  const button = page.getByRole("button", { name: "Sign in my wallet" });

  // The chain added, but the switch to it declined: the wallet answers that all is well, and it is not.
  await button.click();
  (await wallet.next("add")).approve();
  (await wallet.next("switch")).reject();
  await page.getByRole("alert").getByText("Your wallet is on another chain.").waitFor();

  await button.click();
  (await wallet.next("switch")).approve();
  const signing = await wallet.next("typed_data");
  assert.match(signing.details.message.statement, WORDS);
  signing.reject();
  await page.getByText("You did not sign. Nothing was connected.").waitFor();
  await button.click();
  (await wallet.next("typed_data")).approve();
  await page.getByText("You signed. Now Lumi Laboratory has to confirm").waitFor();
  const { typedData, signature } = server.binding;
  assert.equal((await recoverTypedDataAddress({ ...typedData, signature })).toLowerCase(), server.data.mari);
});

const lies = {
  "a payment": (typedData) => {
    typedData.primaryType = "Permit";
    typedData.types = { Permit: [{ name: "spender", type: "address" }, { name: "value", type: "uint256" }] };
    typedData.message = { spender: typedData.message.custodian, value: "1000000" };
  },
  "another chain": (typedData) => { typedData.domain.chainId = 1; },
  "another contract": (typedData) => { typedData.domain.verifyingContract = `0x${"11".repeat(20)}`; },
  "other words": (typedData) => { typedData.message.statement = "I say hello."; },
  "somebody else": (typedData) => { typedData.message.subject = `0x${"22".repeat(20)}`; },
  "a key of nobody": (typedData) => { typedData.message.custodian = `0x${"33".repeat(20)}`; },
};
for (const [what, spoil] of Object.entries(lies)) {
  test(`does not let the wallet sign ${what}`, async (t) => {
    const { page, server } = await openTrail(t, { change: ({ typedData }) => spoil(typedData) });
    await page.evaluate(() => { location.hash = "#/trail/connect"; });
    await page.getByLabel("Code from the desk").fill("KALDA7Q2");
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByRole("alert").getByText("it was not passed to your wallet").waitFor();
    assert.equal(await page.getByRole("button", { name: "Sign in my wallet" }).count(), 0);
    assert.equal(server.binding.signature, undefined);
  });
}
