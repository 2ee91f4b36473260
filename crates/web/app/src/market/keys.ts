// Keys that were made while this page is open: nothing of them is written down here but by the buyer.
import type { Hex } from "../ledger/types";
import type { BuyerKey } from "./age-key";

const made = new Map<Hex, BuyerKey>();

export const remember = (key: BuyerKey): void => { made.set(key.recipient, key); };
export const madeFor = (recipient: Hex): BuyerKey | null => made.get(recipient) ?? null;
