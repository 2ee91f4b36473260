// What a buyer keeps of a purchase: public facts in one file, none of them secret.
import type { MarketInfo } from "../sales/api";
import type { Purchase } from "./buying.svelte";

export const RECEIPT_VERSION = "medtrail/purchase-receipt-v1";

export function receiptOf({ id, order, view, chain, tx }: Purchase, { chainId, dataMarket }: MarketInfo): string {
  const { offer } = order;
  const receipt = {
    version: RECEIPT_VERSION, chainId, dataMarket, order: id, offer: view?.offerId ?? null, seller: offer.seller, buyer: order.buyer,
    price: offer.price, token: offer.token, purpose: offer.terms.purpose, dataset: offer.terms.dataset, statement: offer.terms.statement,
    status: chain?.status ?? null, paidAtS: chain?.paidAtS ?? view?.paidAtS ?? null, endedAtS: chain?.endedAtS ?? view?.endedAtS ?? null,
    payment: tx, key: view?.key ?? null,
    delivery: view?.delivery ? { index: view.delivery.index, file: view.delivery.file, lock: view.delivery.lock, bytes: view.delivery.bytes } : null,
  };
  return `${JSON.stringify(receipt, null, 2)}\n`;
}
