// What a dataset is, and where a sale stands, in the words of the page.
import { list, when } from "../i18n";
import { s, sn } from "../i18n/sales";
import { checksummed } from "../ledger/schema";
import type { Hex } from "../ledger/types";
import type { Dataset } from "../permit/dataset";
import { PURPOSES } from "../permit/purposes";
import { dataOf } from "../permit/statements";
import { isEther, type Withdrawal } from "./api";
import { amountOf, etherOf } from "./price";
import { tokenKnown } from "./tokens.svelte";

export const dataWords = ({ scopes }: Dataset): string => list(scopes.map((scope) => dataOf(scope, "en")));

export const formKey = ({ form }: Dataset) => (form === "as-it-is" ? form : form.profile);

export const purposeWords = (code: string): string => PURPOSES.get(code)?.english ?? code;

/** A price in a token always has its address beside it: the name is what its maker chose. */
export function priceWords(price: string | bigint, token: Hex): string {
  if (isEther(token)) return s("price.ether", { amount: etherOf(price) });
  const known = tokenKnown(token);
  const told = { token: checksummed(token), symbol: known?.symbol ?? "", amount: known?.decimals == null ? price.toString() : amountOf(price, known.decimals) };
  if (known?.decimals == null) return s("price.token", told);
  return s(known.symbol === null ? "price.unnamed" : "price.named", told);
}

export function periodWords({ fromS, toS }: Dataset): string {
  return s("dataset.period", { from: when(fromS * 1000, "date"), to: when(toS * 1000, "date") });
}

/** The largest unit in which a length of time is a whole number. */
export function lengthWords(seconds: number): string {
  for (const [words, length] of [["length.days", 86_400], ["length.hours", 3_600], ["length.minutes", 60]] as const) {
    if (seconds >= length && seconds % length === 0) return sn(words, seconds / length);
  }
  return sn("length.seconds", seconds);
}

/** How it stands with what a seller asked for. */
export function withdrawalWords(role: "seller" | "buyer", { askedMs, dueMs, state }: Withdrawal): string {
  return s(role === "seller" ? `deletion.seller.${state}` : `deletion.buyer.${state}`, { asked: when(askedMs, "moment"), due: when(dueMs, "moment") });
}

const names = new Intl.DisplayNames("en-GB", { type: "region", fallback: "code" });

export const countryWords = (code: string): string => {
  try {
    return names.of(code) ?? code;
  } catch {
    return code;
  }
};
