import { fireEvent, render, screen } from "@testing-library/svelte";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Hex } from "../ledger/types";
import { MARI, OTHER } from "../permissions/testing";
import type { Listed } from "../records/api";
import { MARKET } from "../sales/testing";
import MakeOffer from "./MakeOffer.svelte";
import type { Token } from "../sales/token";
import { learn } from "../sales/tokens.svelte";
import type { Draft } from "./offer-form";
import type { Selling } from "./selling.svelte";

const record = (resourceType: string | null, number: number) => ({ record: `0x${String(number).padStart(64, "0")}`, head: `0x${"1".repeat(64)}`, current: { resourceType, isKept: true } }) as unknown as Listed;
const RECORDS = [record("Observation", 1), record("Observation", 2), record("DocumentReference", 3), record(null, 4)];

const offered = vi.fn<(draft: Draft) => Promise<void>>(async () => undefined);
const TOKEN: Hex = `0x${"71".repeat(20)}`;
const word = (value: number) => `0x${value.toString(16).padStart(64, "0")}`;
const looked = vi.fn<(address: Hex) => Promise<Token | null>>(async (address) => {
  if (address !== TOKEN) return null;
  // The symbol PLN, with 6 decimals, as its contract answers.
  const symbol = `${word(32)}${word(3).slice(2)}${"504c4e".padEnd(64, "0")}`;
  await learn({ call: async (_, data) => (data === "0x95d89b41" ? symbol : word(6)) }, [address]);
  return { address, symbol: "PLN", decimals: 6 };
});
const selling = { tokenAt: looked, market: MARKET, address: MARI, aliases: () => [OTHER], isBusy: false, epochOf: async () => 4, offer: offered } as unknown as Selling;
const press = (name: string | RegExp) => fireEvent.click(screen.getByRole("button", { name }));
const next = () => press(/^Next/);

beforeEach(() => { offered.mockClear(); });

describe("making an offer", () => {
  it("goes through its steps, and the wallet is asked for the very words that are shown", async () => {
    const told: string[] = [];
    const { container } = render(MakeOffer, { selling, records: RECORDS, onclose: (what: string) => told.push(what) });
    await next();
    expect(screen.getByText("Choose at least one kind of records.")).toBeTruthy();
    await fireEvent.click(screen.getByRole("checkbox", { name: "measurements (2 records)" }));
    await next();
    expect(screen.getByRole("heading", { name: "In what form?" })).toBe(document.activeElement);
    await fireEvent.click(screen.getByRole("radio", { name: "as it is, with names" }));
    expect(container.textContent).toContain("The buyer learns who you are");
    await fireEvent.click(screen.getByRole("radio", { name: /dates moved/ }));
    await next();
    await fireEvent.input(screen.getByLabelText("Price of each copy, in ETH"), { target: { value: "a lot" } });
    await next();
    expect(screen.getByText("Write a price above zero, as in 0.05.")).toBeTruthy();
    await fireEvent.input(screen.getByLabelText("Price of each copy, in ETH"), { target: { value: "0,05" } });
    await next();
    await fireEvent.click(screen.getByRole("radio", { name: /^Your own address/ }));
    expect(container.textContent).toContain("It can never be taken away.");
    await fireEvent.click(screen.getByRole("radio", { name: new RegExp(OTHER, "i") }));
    expect(container.textContent).not.toContain("It can never be taken away.");
    await next();
    const words = await vi.waitFor(() => container.querySelector("blockquote")?.textContent ?? Promise.reject(new Error("no words yet")));
    expect(offered).not.toHaveBeenCalled();
    await press("Sign this with my wallet");
    const [draft] = offered.mock.calls[0] ?? [];
    expect(draft?.offer).toMatchObject({ seller: OTHER, epoch: 4, price: "50000000000000000", terms: { statement: words } });
    expect([draft?.country, told]).toEqual(["EE", ["Your offer is listed."]]);
  });

  it("gives a buyer time to look, where the data go as they are", async () => {
    const { container } = render(MakeOffer, { selling, records: RECORDS, onclose: () => {} });
    await fireEvent.click(screen.getByRole("checkbox", { name: "measurements (2 records)" }));
    await next();
    await next();
    expect(screen.queryByLabelText("Let the buyer also look, after the sale")).toBeNull();
    await press("Back");
    await fireEvent.click(screen.getByRole("radio", { name: "as it is, with names" }));
    await next();
    await fireEvent.change(screen.getByLabelText("Let the buyer also look, after the sale"), { target: { value: String(30 * 86_400) } });
    expect(container.textContent).toContain("Each look is a line of your trail");
    await fireEvent.input(screen.getByLabelText("Price of each copy, in ETH"), { target: { value: "0.05" } });
    await next();
    await fireEvent.click(await screen.findByRole("radio", { name: new RegExp(OTHER, "i") }));
    await next();
    await vi.waitFor(() => expect(container.querySelector("blockquote")?.textContent).toContain("For 30 days after a sale the buyer may also look"));
    await press("Sign this with my wallet");
    expect(offered.mock.calls[0]?.[0].offer).toMatchObject({ accessS: 30 * 86_400 });
  });

  it("in a token has its price counted as the token's own contract counts, and told both ways", async () => {
    const { container } = render(MakeOffer, { selling, records: RECORDS, onclose: () => {} });
    await fireEvent.click(screen.getByRole("checkbox", { name: "measurements (2 records)" }));
    await next();
    await next();
    await fireEvent.click(screen.getByRole("radio", { name: "a token (ERC-20)" }));
    await fireEvent.input(screen.getByLabelText("Price of each copy, in the token"), { target: { value: "12.5" } });
    for (const wrong of ["", "USDC", `0x${"0".repeat(40)}`, MARI]) {
      await fireEvent.input(screen.getByLabelText("The token’s address"), { target: { value: wrong } });
      await next();
      await vi.waitFor(() => expect(screen.getByRole("alert").textContent).toBe("Give the address of a token on this chain: 0x and 40 letters and digits."));
    }
    await fireEvent.input(screen.getByLabelText("The token’s address"), { target: { value: ` ${TOKEN.toUpperCase().replace("0X", "0x")} ` } });
    await press("Ask the chain what it is");
    await vi.waitFor(() => expect(container.textContent).toContain("Its contract calls it PLN, with 6 decimals."));
    await fireEvent.input(screen.getByLabelText("Price of each copy, in PLN"), { target: { value: "0.0000001" } });
    await next();
    await vi.waitFor(() => expect(container.textContent).toContain("Write a price above zero"));
    await fireEvent.input(screen.getByLabelText("Price of each copy, in PLN"), { target: { value: "12.5" } });
    await next();
    await fireEvent.click(await screen.findByRole("radio", { name: new RegExp(OTHER, "i") }));
    await next();
    await vi.waitFor(() => expect(container.textContent).toContain(`That is 12.5 PLN (token ${TOKEN}).`));
    expect(container.querySelector("blockquote")?.textContent).toContain(`12500000 smallest units of the token ${TOKEN}`);
    await press("Sign this with my wallet");
    expect(offered.mock.calls[0]?.[0].offer).toMatchObject({ token: TOKEN, price: "12500000" });
  });

  it("forgets what a token was when another is typed, or the coin is chosen again", async () => {
    const { container } = render(MakeOffer, { selling, records: RECORDS, onclose: () => {} });
    await fireEvent.click(screen.getByRole("checkbox", { name: "measurements (2 records)" }));
    await next();
    await next();
    await fireEvent.click(screen.getByRole("radio", { name: "a token (ERC-20)" }));
    await fireEvent.input(screen.getByLabelText("The token’s address"), { target: { value: TOKEN } });
    await press("Ask the chain what it is");
    await vi.waitFor(() => expect(container.textContent).toContain("Its contract calls it PLN"));
    await fireEvent.input(screen.getByLabelText("The token’s address"), { target: { value: `${TOKEN.slice(0, -1)}2` } });
    expect(container.textContent).not.toContain("Its contract calls it PLN");
    await fireEvent.click(screen.getByRole("radio", { name: "ETH" }));
    await fireEvent.input(screen.getByLabelText("Price of each copy, in ETH"), { target: { value: "0.05" } });
    await next();
    await fireEvent.click(await screen.findByRole("radio", { name: new RegExp(OTHER, "i") }));
    await next();
    await vi.waitFor(() => expect(screen.getByRole("button", { name: "Sign this with my wallet" })).toBeTruthy());
    await press("Sign this with my wallet");
    expect(offered.mock.calls[0]?.[0].offer).toMatchObject({ token: `0x${"0".repeat(40)}`, price: "50000000000000000" });
  });

  it("lets nobody sell as it is where only de-identified data are sold, and nothing that cannot pass", async () => {
    const { container } = render(MakeOffer, { selling, records: RECORDS, onclose: () => {} });
    await fireEvent.click(screen.getByRole("checkbox", { name: "documents (one record)" }));
    await next();
    await fireEvent.change(screen.getByLabelText("Where you live"), { target: { value: "DE" } });
    expect(screen.getByRole<HTMLInputElement>("radio", { name: "as it is, with names" }).disabled).toBe(true);
    expect(container.textContent).toContain("they would be left out: documents.");
    await next();
    expect(container.textContent).toContain("Nothing of what you chose can pass in this form.");
    await fireEvent.change(screen.getByLabelText("Where you live"), { target: { value: "other" } });
    await fireEvent.input(screen.getByLabelText("Its two letters, as in FI"), { target: { value: "se" } });
    await next();
    expect(container.textContent).toContain("Choose a country in which this service may sell data.");
  });
});
