// Permissions: what stands, giving, taking back, and a server that is not honest about it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { accounts } from "./fixtures/mari.mjs";
import { signerOf, told } from "./fixtures/permissions.mjs";
import { assertAccessible, assertFits, assertPlainWords, open, useBrowser } from "./lib/browser.mjs";
import { testWallet } from "./wallet/wallet.mjs";

useBrowser();

const KALDA = /Kalda Family Doctors may see, add and change all data\./;
const STATEMENT = /^I allow 0x[0-9a-fA-F]{40} to do this with the health data of 0x[0-9a-fA-F]{40}: .*\(Medtrail grant 1\)$/;
const standing = (page) => page.getByRole("region", { name: "What stands" });

/** Signs in as Mari through the demo's wallet. */
async function openPermissions(t, options = {}) {
  const opened = await open(t, { hash: "#/permissions", ...options });
  const { page } = opened;
  await page.getByRole("button", { name: "Sign in with Demo wallet" }).click();
  const prompt = page.getByRole("dialog", { name: "Who are you?" });
  await prompt.getByLabel("Mari Tamm").check();
  await prompt.getByRole("button", { name: "Connect" }).click();
  await page.getByRole("dialog", { name: "Sign in" }).getByRole("button", { name: "Approve" }).click();
  await page.getByRole("heading", { name: /^What stands$|^Something here/ }).first().waitFor();
  return opened;
}

/** The same with the wallet made of MetaMask's packages. */
async function openWithMetaMask(t, options = {}) {
  const wallet = await testWallet({ keys: [accounts.find(({ name }) => name === "Mari Tamm").privateKey], chainId: 1 });
  const opened = await open(t, { hash: "#/permissions", wallet, ...options });
  await opened.page.getByRole("button", { name: "Sign in with MetaMask (test)" }).click();
  (await wallet.next("connect")).approve();
  (await wallet.next("personal_sign")).approve();
  await standing(opened.page).getByText(KALDA).waitFor();
  return { ...opened, wallet };
}

async function fill(page) {
  await page.getByRole("button", { name: "Give a permission" }).click();
  await page.getByLabel("Who", { exact: true }).selectOption("Lumi Laboratory");
  await page.getByLabel("See and add", { exact: true }).check();
  await page.getByLabel("test results", { exact: true }).check();
  await page.getByLabel("measurements", { exact: true }).check();
  await page.getByLabel(/^treatment, also/).check();
  await page.getByLabel("Six months").check();
}

test("each permission is a sentence, what is over is folded, and the link is there for who is signed in", async (t) => {
  const { page } = await open(t);
  await page.getByText("Invented people.").waitFor();
  assert.equal(await page.getByRole("link", { name: "Permissions" }).count(), 0);

  const opened = await openPermissions(t);
  const rows = standing(opened.page).getByRole("listitem");
  assert.equal(await rows.count(), 2);
  await rows.first().getByText(KALDA).waitFor();
  assert.match(await rows.first().locator("dd code").textContent(), /^0x[0-9a-fA-F]{40}$/);
  await rows.first().getByText("treatment, also in an emergency or a clinical trial", { exact: true }).waitFor();
  assert.match(await rows.first().locator("dl").textContent(), /Until ?18 Sept 2027/);
  await rows.first().getByText("The words that were signed").click();
  assert.match(await rows.first().locator("blockquote").textContent(), STATEMENT);
  assert.equal(await opened.page.getByText("Harbour Hospital may see test results and diagnoses.").isVisible(), false);
  await opened.page.getByText("2 permissions that are over").click();
  await opened.page.getByText("Harbour Hospital may see test results and diagnoses.").waitFor();
  await opened.page.getByText(/^Over since 12 Nov 2026/).waitFor();
  await opened.page.getByText(/^Taken back 17 Nov 2026/).waitFor();
  await opened.page.getByRole("navigation").getByRole("link", { name: "Permissions" }).and(opened.page.locator("[aria-current=page]")).waitFor();
});

test("gives: what the page showed the wallet shows, and it stands at once", async (t) => {
  const { page, server } = await openPermissions(t);
  await page.getByRole("button", { name: "Give a permission" }).click();
  await page.waitForFunction(() => document.activeElement?.tagName === "H2");
  for (const [missing, choose] of [
    ["Choose who it is for.", () => page.getByLabel("Who", { exact: true }).selectOption("Lumi Laboratory")],
    ["Choose at least one kind of data.", () => page.getByLabel("test results", { exact: true }).check()],
    ["Choose at least one purpose.", () => page.getByLabel(/^treatment, also/).check()],
  ]) {
    await page.getByRole("button", { name: "Next: read it" }).click();
    await page.getByRole("alert").getByText(missing).waitFor();
    await assertAccessible(page, missing);
    await choose();
  }
  await page.getByLabel("A day of my choice").check();
  await page.getByRole("button", { name: "Next: read it" }).click();
  await page.getByRole("alert").getByText("Choose a day that is not over.").waitFor();
  await page.getByLabel("Last day").fill("2027-05-22");
  await page.getByLabel("See, add and change", { exact: true }).check();
  await page.getByRole("button", { name: "Next: read it" }).click();

  await page.getByRole("heading", { name: "What you sign for Lumi Laboratory" }).waitFor();
  const shown = await page.getByRole("region", { name: /^What you sign/ }).locator("blockquote").textContent();
  assert.match(shown, STATEMENT);
  assert.match(shown, /: add, see, change and search test results\. Only for: treatment, .* Valid until 2027-05-22 21:00 UTC;/);
  await assertAccessible(page, "what is signed");

  await page.getByRole("button", { name: "Sign in my wallet" }).click();
  const prompt = page.getByRole("dialog", { name: "Sign a document" });
  await prompt.getByText(shown, { exact: true }).waitFor();
  await prompt.getByRole("button", { name: "Reject" }).click();
  await page.getByText("You did not sign. Nothing was changed.").waitFor();
  assert.equal(await page.getByRole("alert").count(), 0);
  assert.equal(server.written.length, 0);

  await page.getByRole("button", { name: "Sign in my wallet" }).click();
  await prompt.getByRole("button", { name: "Approve" }).click();
  await page.getByText("Given. It counts from now on: Lumi Laboratory may see, add and change test results.").waitFor();
  await page.waitForFunction(() => document.activeElement?.getAttribute("role") === "status");
  const [{ version, document, signature }] = server.written;
  assert.equal(version, "medtrail/permission-v1");
  assert.equal(document.grant.statement, shown);
  assert.equal(await signerOf(document, signature), server.data.mari);
  await standing(page).getByText("Lumi Laboratory may see, add and change test results.").waitFor();
  assert.equal(await standing(page).getByRole("listitem").count(), 3);
});

test("takes back with one question of the wallet, on the right chain; a no changes nothing", async (t) => {
  const { page, server, wallet } = await openWithMetaMask(t);
  const button = standing(page).getByRole("button", { name: /^Take back: Kalda Family Doctors/ });
  await button.click();
  (await wallet.next("add")).approve();
  (await wallet.next("switch")).approve();
  const asked = await wallet.next("typed_data");
  const [kalda] = server.data.permissions.permissions;
  assert.deepEqual([asked.details.primaryType, asked.details.message], ["Revoke", { subject: server.data.mari, permission: kalda.id }]);
  assert.equal(asked.details.domain.verifyingContract, server.data.domain.consentRegistry);
  asked.reject();
  await page.getByText("You did not sign. Nothing was changed.").waitFor();
  assert.equal(await page.getByRole("alert").count(), 0);
  assert.equal(server.written.length, 0);
  assert.equal(await standing(page).getByRole("listitem").count(), 2);

  await button.click();
  (await wallet.next("typed_data")).approve();
  await page.getByText("Taken back from now on; what was already done stays in your trail.").waitFor();
  await page.waitForFunction(() => document.activeElement?.textContent.startsWith("Taken back from now on"));
  assert.equal(await standing(page).getByText(KALDA).count(), 0);
  await page.getByText("3 permissions that are over").waitFor();
  assert.equal(await signerOf(server.written[0].document, server.written[0].signature), server.data.mari);
});

test("MetaMask shows the words of a permission, and no other", async (t) => {
  const { page, wallet } = await openWithMetaMask(t);
  await fill(page);
  await page.getByRole("button", { name: "Next: read it" }).click();
  const shown = await page.getByRole("region", { name: /^What you sign/ }).locator("blockquote").textContent();
  await page.getByRole("button", { name: "Sign in my wallet" }).click();
  (await wallet.next("add")).approve();
  // Added, but not switched to: a wallet would refuse the document.
  (await wallet.next("switch")).reject();
  await page.getByRole("alert").getByText("Your wallet is on another chain.").waitFor();
  await page.getByRole("button", { name: "Sign in my wallet" }).click();
  (await wallet.next("switch")).approve();
  const asked = await wallet.next("typed_data");
  assert.equal(asked.details.message.statement, shown);
  asked.approve();
  await standing(page).getByText("Lumi Laboratory may see and add measurements and test results.").waitFor();
});

test("takes everything back, once the consequence is read", async (t) => {
  const { page, server } = await openPermissions(t);
  await page.getByRole("button", { name: "Take everything back" }).click();
  const dialog = page.getByRole("dialog", { name: "Take everything back?" });
  await dialog.getByText("All 2 permissions that stand end at once.").waitFor();
  await dialog.getByText("Your care may be affected").waitFor();
  await assertAccessible(page, "the consequence");
  await dialog.getByRole("button", { name: "Keep them" }).click();
  assert.equal(await standing(page).getByRole("listitem").count(), 2);

  await page.getByRole("button", { name: "Take everything back" }).click();
  await dialog.getByRole("button", { name: "Take everything back in my wallet" }).click();
  await page.getByRole("dialog", { name: "Sign a document" }).getByRole("button", { name: "Approve" }).click();
  await page.getByText("Everything is taken back from now on").waitFor();
  await page.getByText(/^No permission stands\. Asked at/).waitFor();
  assert.deepEqual(server.written.map(({ document }) => document), [{ revokeAll: { subject: server.data.mari, epoch: 0 } }]);
  await page.getByText("4 permissions that are over").click();
  assert.equal(await page.getByText("Ended when everything was taken back.").count(), 2);
  await assertAccessible(page, "nothing stands");

  // What is given afterwards belongs to what comes after.
  await fill(page);
  await page.getByRole("button", { name: "Next: read it" }).click();
  await page.getByRole("button", { name: "Sign in my wallet" }).click();
  await page.getByRole("dialog", { name: "Sign a document" }).getByRole("button", { name: "Approve" }).click();
  await standing(page).getByText(/^Lumi Laboratory may see and add/).waitFor();
  assert.equal(server.written[1].document.grant.epoch, 1);
});

const lies = {
  "other fields under the same words": [(one) => { one.document.grant.scopes = "patient/*.cruds"; }, "Its words do not say what it allows."],
  "other words": [(one) => { one.document.grant.statement = "I allow nothing."; }, "Its words do not say what it allows."],
  "another number": [(one) => { one.id = `0x${"01".repeat(32)}`; }, "Its number is not the number of what stands in it."],
  "another signature": [(one, all) => { one.signature = all[1].signature; }, "Neither you signed it nor somebody who acts for you."],
  "no signature": [(one) => { one.signature = null; }, "Nobody signed it, and it was not given on the chain."],
  "nonsense": [(one) => { one.document = "<img src=x onerror=alert(1)>"; }, "It is no permission in a form that this page knows."],
  "what was taken back as standing": [(one) => { one.revokedMs = 1; }, "Whether it stands is not as this site says."],
};
for (const [what, [spoil, reason]] of Object.entries(lies)) {
  test(`shows red: ${what}`, async (t) => {
    const { page } = await openPermissions(t, { change: ({ permissions: { permissions } }) => spoil(permissions[0], permissions) });
    const wrong = page.getByRole("region", { name: "Something here does not check" });
    await wrong.getByText("This does not check").waitFor();
    await wrong.getByText(reason).waitFor();
    assert.equal(await standing(page).getByRole("listitem").count(), 1);
    assert.equal(await standing(page).getByText(KALDA).count(), 0);
    assert.equal(await wrong.getByRole("button", { name: /^Take back/ }).count(), 0);
    await assertAccessible(page, what);
    await assertPlainWords(page, what);
  });
}

test("a permission that somebody else signed is red, and so is one that is named twice and spoilt once", async (t) => {
  const { page } = await openPermissions(t, { change: ({ permissions: { permissions } }) => {
    permissions.push({ ...structuredClone(permissions[0]), signature: permissions[1].signature });
  } });
  await page.getByText("Neither you signed it nor somebody who acts for you.").waitFor();
  assert.equal(await standing(page).getByRole("listitem").count(), 2);
  const stranger = await openPermissions(t);
  const [{ document }] = stranger.server.data.permissions.permissions;
  stranger.server.data.permissions.permissions.push(await told(document, { by: "Operator of the log" }));
  await stranger.page.reload();
  await stranger.page.getByText("Neither you signed it nor somebody who acts for you.").waitFor();
});

test("nothing is signed under the name of a contract on another chain", async (t) => {
  const { page } = await open(t, { hash: "#/permissions", change: ({ domain }) => { domain.chainId = 1; } });
  await page.getByRole("button", { name: "Sign in with Demo wallet" }).click();
  await page.getByRole("dialog", { name: "Who are you?" }).getByRole("button", { name: "Connect" }).click();
  await page.getByRole("dialog", { name: "Sign in" }).getByRole("button", { name: "Approve" }).click();
  await page.getByRole("alert").getByText("nothing was passed to your wallet").waitFor();
  assert.equal(await page.getByRole("button", { name: "Give a permission" }).count(), 0);
});

test("says that the chain could not be read, and that another wallet acts", async (t) => {
  const { page } = await openPermissions(t, { change: ({ permissions, domain }) => {
    permissions.chain = "unreadable";
    permissions.controller = domain.consentRegistry;
  } });
  await page.getByText("This site cannot read the chain just now.").waitFor();
  await page.getByText("This site says that another wallet acts for you now").waitFor();
});

test("no fault that axe finds, plain words, and nothing wider than 320 pixels, light and dark", async (t) => {
  for (const context of [{ colorScheme: "light" }, { colorScheme: "dark", viewport: { width: 320, height: 640 } }]) {
    const { page } = await openPermissions(t, { context });
    await page.getByText("2 permissions that are over").click();
    await page.getByText("When it counts, and how long").click();
    await standing(page).getByText("The words that were signed").first().click();
    for (const what of ["the list", "the form", "what is signed"]) {
      if (what === "the form") await fill(page);
      if (what === "what is signed") {
        await page.getByRole("button", { name: "Next: read it" }).click();
        await page.getByRole("heading", { name: /^What you sign/ }).waitFor();
      }
      await assertAccessible(page, `${what} ${context.colorScheme}`);
      await assertFits(page, what);
      await assertPlainWords(page, what);
    }
  }
});

test("by keyboard alone: give, and take back", async (t) => {
  const { page, server } = await openPermissions(t);
  const focused = () => page.evaluate(() => {
    let element = document.activeElement;
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return (element?.getAttribute("aria-label") ?? element?.closest("label")?.textContent ?? element?.textContent ?? "").trim();
  });
  const tabTo = async (text) => {
    for (let press = 0; press < 80; press += 1) {
      await page.keyboard.press("Tab");
      if ((await focused()).startsWith(text)) return;
    }
    assert.fail(`the keyboard does not reach ${text}`);
  };
  const press = async (text, key = "Enter") => {
    await tabTo(text);
    await page.keyboard.press(key);
  };
  await press("Give a permission");
  await tabTo("Choose an organisation");
  await page.keyboard.type("Lumi");
  await press("measurements", "Space");
  await press("treatment, also", "Space");
  await press("Next: read it");
  await page.getByRole("heading", { name: "What you sign for Lumi Laboratory" }).waitFor();
  await press("Sign in my wallet");
  await page.getByRole("dialog", { name: "Sign a document" }).waitFor();
  await press("Approve");
  await page.getByText(/^Given\. It counts from now on/).waitFor();
  await press("Take back: Lumi Laboratory");
  await page.getByRole("dialog", { name: "Sign a document" }).waitFor();
  await press("Approve");
  await page.getByText(/^Taken back from now on/).waitFor();
  assert.deepEqual(server.written.map(({ document }) => Object.keys(document)[0]), ["grant", "revoke"]);
});
