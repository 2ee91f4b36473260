// Orders that were made on this device, kept before they are paid: a payment whose order is forgotten could only be found
// again through the service. Nothing secret stands in one.
import { isHex, utf8 } from "../ledger/bytes";
import type { Hex } from "../ledger/types";
import { datasetOf } from "../permit/dataset";
import { saleId, type Market, type Order } from "../permit/sale";
import { get, text } from "../reading/json";
import { orderOf } from "../sales/api";

export interface Kept {
  readonly id: Hex;
  readonly order: Order;
  /** The description of the data. */
  readonly text: string;
  /** The payment; null: the wallet was asked, and what came of it is not known. */
  readonly tx: Hex | null;
  readonly atMs: number;
}

const ORDERS_MAX = 200;
const nameOf = ({ chainId, dataMarket }: Market, buyer: Hex) => `medtrail.orders.${chainId}.${dataMarket}.${buyer}`;

function keptOf(value: unknown, market: Market, buyer: Hex): Kept | null {
  const [order, said, tx, atMs] = [orderOf(get(value, "order")), text(value, "dataset"), get(value, "tx"), get(value, "atMs")];
  if (order === null || order.buyer !== buyer || said === null || datasetOf(utf8(said)) === null || typeof atMs !== "number") return null;
  // The id is counted anew: what was written here may be another version's, or another program's.
  return { id: saleId("Order", order, market), order, text: said, tx: isHex(tx, 32) ? tx : null, atMs };
}

/** Newest first; what cannot be read is not there. */
export function keptOrders(market: Market, buyer: Hex): readonly Kept[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(nameOf(market, buyer)) ?? "[]");
    return Array.isArray(found) ? found.flatMap((one) => keptOf(one, market, buyer) ?? []) : [];
  } catch {
    return [];
  }
}

/** Whether this device keeps it: in a private window, or one that is full, it may not. */
export function keepOrder(market: Market, { id, order, text: dataset, tx, atMs }: Kept): boolean {
  const others = keptOrders(market, order.buyer).filter((one) => one.id !== id);
  const all = [{ order, dataset, tx, atMs }, ...others.map((one) => ({ order: one.order, dataset: one.text, tx: one.tx, atMs: one.atMs }))];
  try {
    localStorage.setItem(nameOf(market, order.buyer), JSON.stringify(all.slice(0, ORDERS_MAX)));
    return true;
  } catch {
    return false;
  }
}

export function forgetOrder(market: Market, buyer: Hex, id: Hex): void {
  const left = keptOrders(market, buyer).filter((one) => one.id !== id);
  try {
    localStorage.setItem(nameOf(market, buyer), JSON.stringify(left.map((one) => ({ order: one.order, dataset: one.text, tx: one.tx, atMs: one.atMs }))));
  } catch {
    // Then it stays: it does no harm.
  }
}

/** The order as the commands take it: `medtrail delivery check --order`. */
export const orderFile = (order: Order): string => `${JSON.stringify(order, null, 2)}\n`;
