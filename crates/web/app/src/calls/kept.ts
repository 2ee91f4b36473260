// Calls that were made on this device, kept before they are paid: without the document nobody can take the rest of the money
// back. Nothing secret stands in one.
import { isHex, utf8 } from "../ledger/bytes";
import type { Hex } from "../ledger/types";
import { datasetOf } from "../permit/dataset";
import { cohortId, type Cohort } from "../permit/sale";
import { get, text } from "../reading/json";
import { cohortOf } from "./api";
import type { CallMarket } from "./check";

export interface KeptCall {
  readonly id: Hex;
  readonly cohort: Cohort;
  /** The description of the data. */
  readonly text: string;
  /** The payment; null: the wallet was asked, and what came of it is not known. */
  readonly tx: Hex | null;
  readonly atMs: number;
}

const CALLS_MAX = 100;
const nameOf = ({ chainId, cohortMarket }: CallMarket, buyer: Hex) => `medtrail.calls.${chainId}.${cohortMarket}.${buyer}`;

function keptOf(value: unknown, market: CallMarket, buyer: Hex): KeptCall | null {
  const [cohort, said, tx, atMs] = [cohortOf(get(value, "cohort")), text(value, "dataset"), get(value, "tx"), get(value, "atMs")];
  if (cohort === null || cohort.buyer !== buyer || said === null || datasetOf(utf8(said)) === null || typeof atMs !== "number") return null;
  // The id is counted anew: what was written here may be another version's, or another program's.
  return { id: cohortId("Cohort", cohort, market), cohort, text: said, tx: isHex(tx, 32) ? tx : null, atMs };
}

/** Newest first; what cannot be read is not there. */
export function keptCalls(market: CallMarket, buyer: Hex): readonly KeptCall[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(nameOf(market, buyer)) ?? "[]");
    return Array.isArray(found) ? found.flatMap((one) => keptOf(one, market, buyer) ?? []) : [];
  } catch {
    return [];
  }
}

/** Whether this device keeps these: in a private window, or one that is full, it may not. */
function write(market: CallMarket, buyer: Hex, all: readonly KeptCall[]): boolean {
  try {
    localStorage.setItem(nameOf(market, buyer), JSON.stringify(all.slice(0, CALLS_MAX).map(({ cohort, text: dataset, tx, atMs }) => ({ cohort, dataset, tx, atMs }))));
    return true;
  } catch {
    return false;
  }
}

export const keepCall = (market: CallMarket, call: KeptCall): boolean =>
  write(market, call.cohort.buyer, [call, ...keptCalls(market, call.cohort.buyer).filter(({ id }) => id !== call.id)]);

export const forgetCall = (market: CallMarket, buyer: Hex, id: Hex): boolean =>
  write(market, buyer, keptCalls(market, buyer).filter((one) => one.id !== id));

/** The document as the commands take it. */
export const callFile = (cohort: Cohort): string => `${JSON.stringify(cohort, null, 2)}\n`;
