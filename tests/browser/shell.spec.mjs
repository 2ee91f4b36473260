// The page around the lines: its doors, who gets in, and how it behaves for people with a keyboard, a phone or a screen reader.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, assertFits, assertPlainWords, open, useBrowser } from "./lib/browser.mjs";
import { testWallet } from "./wallet/wallet.mjs";
import { accounts } from "./fixtures/mari.mjs";

useBrowser();

test("the demo opens on four doors, its strip and its acts", async (t) => {
  const { page } = await open(t);
  await page.getByText("Invented people. Test money.").waitFor();
  const doors = page.locator(".doors strong");
  assert.deepEqual(await doors.allTextContents(), ["I am Mari", "I buy data", "I check", "I run the hospital"]);
  await assertAccessible(page, "home of the demo");
});

test("outside the demo there are no names, no acts and no demo wallet", async (t) => {
  const { page } = await open(t, { isDemo: false });
  await page.getByRole("heading", { name: "See who used your medical data" }).waitFor();
  assert.deepEqual(await page.locator(".doors strong").allTextContents(), ["My data", "I buy data", "Check a proof", "Organisations"]);
  assert.equal(await page.locator(".strip, .acts").count(), 0);
  await page.getByRole("link", { name: /^My data Who/ }).click();
  await page.getByText("No wallet was found in this browser.").waitFor();
  assert.equal(await page.getByRole("button", { name: /Demo wallet/ }).count(), 0);
  await assertAccessible(page, "sign-in without a wallet");
});

test("these tests hear a broken policy, a third party, and what is thrown", async (t) => {
  const { page, faults } = await open(t);
  await page.evaluate(() => {
    document.body.setAttribute("style", "color: red");
    void fetch("https://third.example/").catch(() => {});
    setTimeout(() => { throw new Error("on purpose"); }, 0);
    document.body.insertAdjacentHTML("beforeend", "<b>markup</b>");
  }).catch(() => {});
  await page.waitForTimeout(300);
  const heard = faults.splice(0).join("\n");
  for (const expected of [/style-src-attr/, /connect-src https:\/\/third\.example/, /on purpose/, /require-trusted-types-for/]) {
    assert.match(heard, expected);
  }
});

test("each page has no fault that axe finds, light and dark, and plain words", async (t) => {
  for (const colorScheme of ["light", "dark"]) {
    const { page } = await open(t, { context: { colorScheme } });
    for (const [hash, heading] of [["#/", "See who used your medical data"], ["#/trail", "Your trail"], ["#/organisations", "Organisations"],
      ["#invite=abc", "You are invited to report"], ["#/nowhere", "There is no such page"]]) {
      await page.evaluate((to) => { location.hash = to; }, hash);
      await page.getByRole("heading", { level: 1, name: heading }).waitFor();
      if (hash === "#/organisations") await page.getByText("Harbour Hospital").first().waitFor();
      await assertAccessible(page, `${hash} ${colorScheme}`);
      await assertPlainWords(page, hash);
    }
  }
});

test("the page that verifies has none either, and keeps the same policy", async (t) => {
  for (const context of [{ colorScheme: "light" }, { colorScheme: "dark", viewport: { width: 320, height: 640 } }]) {
    const { page } = await open(t, { path: "/verify", context });
    await page.getByRole("heading", { level: 1 }).waitFor();
    await assertAccessible(page, "verify");
    await assertFits(page, "verify");
  }
});

test("nothing is wider than a screen of 320 pixels", async (t) => {
  const { page } = await open(t, { context: { viewport: { width: 320, height: 640 } } });
  for (const hash of ["#/", "#/trail", "#/organisations", `#invite=${"a".repeat(60)}`]) {
    await page.evaluate((to) => { location.hash = to; }, hash);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.waitForTimeout(200);
    await assertFits(page, hash);
  }
});

test("a new place is told by its heading, which has the focus", async (t) => {
  const { page } = await open(t);
  await page.getByRole("navigation").getByRole("link", { name: "Organisations" }).click();
  const heading = page.getByRole("heading", { level: 1, name: "Organisations" });
  await heading.waitFor();
  await page.waitForFunction(() => document.activeElement?.tagName === "H1");
  assert.equal(await page.title(), "Organisations · Medtrail");
});

test("the demo hands Mari's key and its chain to a wallet of one's own", async (t) => {
  const { privateKey } = accounts.find(({ name }) => name === "Mari Tamm");
  const wallet = await testWallet({ keys: [privateKey] });
  const { page, context } = await open(t, { wallet });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.locator("summary", { hasText: "With your own MetaMask" }).click();
  await page.getByRole("button", { name: "Copy the key of Mari Tamm" }).click();
  await page.getByText("Copied.").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), privateKey);
  await page.getByRole("button", { name: "Add chain" }).click();
  const adding = await wallet.next("add");
  assert.deepEqual(adding.details, {
    chainId: "0x7a6a", chainName: "Medtrail demo", rpcUrls: ["http://127.0.0.1:8545"], nativeCurrency: { name: "ETH", symbol: "ETH", decimals: 18 },
  });
  adding.approve();
  (await wallet.next("switch")).approve();
  await page.getByText("The wallet knows the chain.").waitFor();
});

test("by keyboard alone: skip the menu, go to the trail, sign in through the wallet's window", async (t) => {
  const { page } = await open(t);
  await page.getByText("Invented people.").waitFor();
  const focused = () => page.evaluate(() => {
    let element = document.activeElement;
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return element?.textContent?.trim() ?? "";
  });
  const tabTo = async (text) => {
    for (let press = 0; press < 40; press += 1) {
      await page.keyboard.press("Tab");
      if ((await focused()).includes(text)) return;
    }
    assert.fail(`the keyboard does not reach ${text}`);
  };
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "MAIN");
  await tabTo("I am Mari");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Sign in with your wallet" }).waitFor();
  // The new place takes the focus to its heading: whoever is quicker would lose the key they press next.
  await page.waitForFunction(() => /^H[12]$/.test(document.activeElement.tagName));
  await tabTo("Sign in with Demo wallet");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Who are you?" }).waitFor();
  await page.getByLabel("Mari Tamm").focus();
  await page.keyboard.press("Space");
  await tabTo("Connect");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Sign in" }).waitFor();
  await tabTo("Approve");
  await page.keyboard.press("Enter");
  await page.getByText(/No gap among the 94 lines/).waitFor();
});

test("an invitation's code is never sent to the server", async (t) => {
  const { page, server } = await open(t, { hash: "#invite=SECRETCODE" });
  await page.getByText(/medtrail gateway init ".*#invite=SECRETCODE" --dir gateway/).waitFor();
  assert.ok(server.heard.length > 0);
  assert.ok(server.heard.every((request) => !request.includes("SECRETCODE")));
});
