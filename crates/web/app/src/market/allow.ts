// How the market comes to be allowed to take a price in a token: just the price, by a signature where the token takes one
// (ERC-2612), else by a transaction. Neither pays anything: the market takes it only in a call of the buyer's own.
import { s } from "../i18n/sales";
import type { Hex } from "../ledger/types";
import { signerOf } from "../permit/documents";
import type { TradeChain } from "../sales/chain";
import { approveData, holdingOf, permitDomainOf, permitForWallet, permitId, type Permit } from "../sales/token";
import { mined, NotSent, transact, walletWith, wouldDo } from "../sales/transact";
import { priceWords } from "../sales/words";

/** For so long a permit may be carried. */
const PERMIT_S = 3_600n;

export interface Given {
  readonly deadline: bigint;
  readonly signature: Hex;
}

/** What the wallet is asked for just now. */
export type Asking = "permit" | "allow" | "allowing" | "pay";

export interface Allowing {
  readonly chain: TradeChain;
  readonly chainId: number;
  /** The contract that takes the price. */
  readonly spender: Hex;
  readonly buyer: Hex;
  readonly token: Hex;
  readonly price: bigint;
  readonly signal: AbortSignal;
  readonly ontold: (asking: Asking) => void;
  /** The call that pays with a permit: what would come of it is tried before it is chosen. */
  readonly paying: (given: Given) => Hex;
}

/** What the buyer has of it is looked at before any wallet opens. Null: the market may take the price already, or now. */
export async function allowed(asked: Allowing): Promise<Given | null> {
  const { chain, spender, buyer, token, price } = asked;
  const holding = await holdingOf(chain, token, buyer, spender);
  if (holding === null) throw new NotSent(s("token.none", { token }));
  if (holding.balance < price) throw new NotSent(s("token.poor", { have: priceWords(holding.balance, token), need: priceWords(price, token) }));
  if (holding.allowance >= price) return null;
  const given = await permitted(asked);
  if (given !== null) return given;
  await allow(asked, holding.allowance);
  return null;
}

/** Null: the token takes none, or not this one. */
async function permitted({ chain, chainId, spender, buyer, token, price, ontold, paying }: Allowing): Promise<Given | null> {
  const domain = await permitDomainOf(chain, token, buyer, chainId);
  if (domain === null) return null;
  const permit: Permit = { owner: buyer, spender, value: price, nonce: domain.nonce, deadline: BigInt(await chain.nowS()) + PERMIT_S };
  const wallet = await walletWith(buyer, chainId);
  ontold("permit");
  const answer = await wallet.provider.request({ method: "eth_signTypedData_v4", params: [buyer, permitForWallet(permit, domain)] });
  const signature = String(answer).toLowerCase() as Hex;
  // A wallet that is a contract signs in another form, which tokens do not take.
  if (!/^0x[0-9a-f]{130}$/.test(signature) || await signerOf(permitId(permit, domain), signature) !== buyer) return null;
  const given = { deadline: permit.deadline, signature };
  return await wouldDo({ from: buyer, to: spender, data: paying(given) }, chainId) ? given : null;
}

async function allow({ chain, chainId, spender, buyer, token, price, signal, ontold }: Allowing, before: bigint): Promise<void> {
  const call = (units: bigint) => ({ from: buyer, to: token, data: approveData(spender, units) });
  ontold("allow");
  // Some tokens change an allowance only by way of none.
  const steps = before > 0n && !await wouldDo(call(price), chainId) ? [0n, price] : [price];
  for (const units of steps) {
    const tx = await transact(call(units), chainId);
    ontold("allowing");
    if (!await mined(tx, signal)) throw new NotSent(s("token.allowFailed", { tx }));
  }
  const after = await holdingOf(chain, token, buyer, spender);
  // Wallets let people change what they allow.
  if (after === null || after.allowance < price) throw new NotSent(s("token.allowedLess"));
}
