import { s, sOr } from "../i18n/sales";
import { ChainError } from "../ledger/chain";
import { Refused } from "../server/client";
import { explain as other } from "../session/explain";

/** One sentence for a person, with what to do: the refusals of sales besides those of the rest of the page. */
export function explain(error: unknown): string {
  if (error instanceof Refused) {
    const words = sOr(`refused.${error.kind}`, "");
    if (words !== "") return words;
  }
  if (error instanceof ChainError) return s("chain.unread", { why: error.message });
  return other(error);
}
