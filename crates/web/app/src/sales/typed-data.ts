// What a wallet is given to sign in a sale: types and domain are this page's own.
import type { Hex } from "../ledger/types";
import { SALE_TYPES, type CohortAcceptance, type CohortMarket, type Deletion, type Market, type Offer, type SaleApproval, type SaleStruct } from "../permit/sale";

const DOMAIN = [["string", "name"], ["string", "version"], ["uint256", "chainId"], ["address", "verifyingContract"]] as const;

const typed = (fields: readonly (readonly [type: string, name: string])[]) => fields.map(([type, name]) => ({ name, type }));

/** Numbers are text where a wallet might round them. */
const message = (value: object): object => Object.fromEntries(Object.entries(value).map(([name, inner]: [string, unknown]) =>
  [name, typeof inner === "number" ? String(inner) : typeof inner === "object" && inner !== null ? message(inner) : inner]));

function forWallet(name: SaleStruct, inner: readonly SaleStruct[], value: object, chainId: number, contract: Hex): string {
  return JSON.stringify({
    domain: { name: "Medtrail", version: "1", chainId, verifyingContract: contract },
    types: { EIP712Domain: typed(DOMAIN), ...Object.fromEntries([name, ...inner].map((one) => [one, typed(SALE_TYPES[one])])) },
    primaryType: name,
    message: message(value),
  });
}

const ofMarket = (name: SaleStruct, inner: readonly SaleStruct[], value: object, { chainId, dataMarket }: Market): string =>
  forWallet(name, inner, value, chainId, dataMarket);

export const offerForWallet = (offer: Offer, market: Market): string => ofMarket("Offer", ["Terms"], offer, market);
export const approvalForWallet = (approval: SaleApproval, market: Market): string => ofMarket("SaleApproval", ["Terms"], approval, market);
export const deletionForWallet = (deletion: Deletion, market: Market): string => ofMarket("Deletion", [], deletion, market);
/** These under the cohort market's own domain. */
export const partDeletionForWallet = (deletion: Deletion, { chainId, cohortMarket }: CohortMarket): string =>
  forWallet("Deletion", [], deletion, chainId, cohortMarket);
export const acceptanceForWallet = (acceptance: CohortAcceptance, { chainId, cohortMarket }: CohortMarket): string =>
  forWallet("CohortAcceptance", ["Terms"], acceptance, chainId, cohortMarket);

/** 32 random bytes: two offers that say the same are two. */
export function randomWord(): Hex {
  return `0x${Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
