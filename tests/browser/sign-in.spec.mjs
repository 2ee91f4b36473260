// Signing in: with the demo's wallet, and with a wallet made of MetaMask's own packages.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, open, signInAsMari, useBrowser } from "./lib/browser.mjs";
import { accounts } from "./fixtures/mari.mjs";
import { testWallet } from "./wallet/wallet.mjs";

useBrowser();

const keyOf = (name) => accounts.find((account) => account.name === name).privateKey;
const keys = [keyOf("Mari Tamm"), keyOf("Boreal Therapeutics")];

async function connect(page, wallet) {
  await page.getByRole("button", { name: "Sign in with MetaMask (test)" }).click();
  (await wallet.next("connect")).approve();
  const signing = await wallet.next("personal_sign");
  signing.approve();
  await page.getByText(/No gap/).waitFor();
  return signing;
}

test("with the demo's wallet: who, what text, and then the lines", async (t) => {
  const { page } = await open(t, { hash: "#/trail" });
  await page.getByRole("button", { name: "Sign in with Demo wallet" }).click();
  await page.getByRole("dialog", { name: "Who are you?" }).waitFor();
  await assertAccessible(page, "the demo wallet's first window");
  await page.getByRole("dialog").getByLabel("Mari Tamm").check();
  await page.getByRole("button", { name: "Connect" }).click();
  const signing = page.getByRole("dialog", { name: "Sign in" });
  await signing.getByText("wants you to sign in with your Ethereum account").waitFor();
  await assertAccessible(page, "the demo wallet's second window");
  await signing.getByRole("button", { name: "Approve" }).click();
  await page.getByText(/No gap among the 94 lines/).waitFor();
  await page.reload();
  await page.getByText(/No gap among the 94 lines/).waitFor();
});

test("a no in the demo's wallet leaves everything as it was, without an error", async (t) => {
  const { page, server } = await open(t, { hash: "#/trail" });
  await page.getByRole("button", { name: "Sign in with Demo wallet" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Reject" }).click();
  await page.getByRole("button", { name: "Sign in with Demo wallet" }).click();
  await page.keyboard.press("Escape");
  await page.waitForTimeout(100);
  assert.equal(await page.getByRole("alert").count(), 0);
  assert.ok(await page.getByRole("button", { name: "Sign in with Demo wallet" }).isEnabled());
  assert.ok(!server.heard.includes("POST /v1/session"));
});

test("with MetaMask's packages: the sign-in text is one, and of this very page", async (t) => {
  const wallet = await testWallet({ keys });
  const { page } = await open(t, { hash: "#/trail", wallet, isDemo: false });
  const signing = await connect(page, wallet);
  assert.deepEqual({ isSignIn: signing.details.isSignIn, isOwnDomain: signing.details.isOwnDomain }, { isSignIn: true, isOwnDomain: true });
});

test("with MetaMask's packages: no to the connection, no to the signature, then yes", async (t) => {
  const wallet = await testWallet({ keys });
  const { page } = await open(t, { hash: "#/trail", wallet, isDemo: false });
  const button = page.getByRole("button", { name: "Sign in with MetaMask (test)" });
  await button.click();
  (await wallet.next("connect")).reject();
  await button.click();
  (await wallet.next("connect")).approve();
  (await wallet.next("personal_sign")).reject();
  await page.waitForTimeout(100);
  assert.equal(await page.getByRole("alert").count(), 0);
  await button.click();
  (await wallet.next("personal_sign")).approve();
  await page.getByText(/No gap/).waitFor();
});

test("another account in the wallet ends the session, on the server too", async (t) => {
  const wallet = await testWallet({ keys });
  const { page, server } = await open(t, { hash: "#/trail", wallet, isDemo: false });
  await connect(page, wallet);
  await page.waitForFunction(() => document.querySelector(".state.live"));
  wallet.select(wallet.accounts[1]);
  await page.getByText("Your wallet changed its account, so you were signed out.").waitFor();
  assert.equal(await page.getByText("Dr Liis Kask").count(), 0);
  assert.ok(server.heard.includes("DELETE /v1/session"));
  assert.equal(server.streams, 0);
});

test("permission taken away in the wallet ends the session", async (t) => {
  const wallet = await testWallet({ keys });
  const { page } = await open(t, { hash: "#/trail", wallet, isDemo: false });
  await connect(page, wallet);
  wallet.revoke();
  await page.getByText("Your wallet changed its account, so you were signed out.").waitFor();
});

test("a session that the server ended is noticed by the stream, and asked for again", async (t) => {
  const { page, server } = await open(t, { hash: "#/trail" });
  await signInAsMari(page);
  await page.waitForFunction(() => document.querySelector(".state.live"));
  server.expire();
  await page.getByText("You were signed out.").waitFor();
  assert.equal(await page.getByText("Dr Liis Kask").count(), 0);
});

test("a session over its time is over on the screen too", async (t) => {
  const { page, server } = await open(t, { hash: "#/trail" });
  server.sessionMs = 1_500;
  await signInAsMari(page);
  await page.getByText("Your session is over. Sign in again to go on.").waitFor();
});

test("two wallets are both offered, MetaMask first", async (t) => {
  const wallet = await testWallet({ keys });
  const { page } = await open(t, { hash: "#/trail", wallet });
  await page.getByRole("button", { name: "Sign in with Demo wallet" }).waitFor();
  assert.deepEqual((await page.getByRole("button", { name: /^Sign in with/ }).allTextContents()).map((text) => text.trim()),
    ["Sign in with MetaMask (test)", "Sign in with Demo wallet"]);
});

test("does not let the wallet sign a text for another site", async (t) => {
  const { page, server } = await open(t, { hash: "#/trail" });
  server.signInAt = "shop.example";
  await page.getByRole("button", { name: "Sign in with Demo wallet" }).click();
  await page.getByRole("dialog", { name: "Who are you?" }).getByLabel("Mari Tamm").check();
  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByRole("alert").getByText("it was not signed").waitFor();
  assert.equal(await page.getByRole("dialog", { name: "Sign in" }).count(), 0);
  assert.ok(!server.heard.includes("POST /v1/session"));
});
