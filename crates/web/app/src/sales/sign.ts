// A document of a sale, signed by the wallet: what it gives counts only if it is of this very account.
import { t } from "../i18n";
import type { Hex } from "../ledger/types";
import { signerOf } from "../permit/documents";
import { walletWith } from "./transact";

export async function signSale(account: Hex, typedData: string, id: Hex, chainId: number): Promise<Hex> {
  const wallet = await walletWith(account, chainId);
  const given = await wallet.provider.request({ method: "eth_signTypedData_v4", params: [account, typedData] });
  const signature = String(given).toLowerCase() as Hex;
  if (!/^0x(?:[0-9a-f]{2})*$/.test(signature) || await signerOf(id, signature) !== account) throw new Error(t("permissions.otherSigner"));
  return signature;
}
