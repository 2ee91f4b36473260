// A report that somebody signs in their wallet: what an organisation answers, what a person writes into their records.
import { bytesToHex, concat, hexToBytes, isHex, utf8 } from "../ledger/bytes";
import { digest, keccak, reportHash, structHash, type Field } from "../ledger/schema";
import { recover, sha256, type Hex, type Report, type TrustFile } from "../ledger";
import { t } from "../i18n";
import { demo } from "../demo/story.svelte";
import { switchTo } from "./chain";
import { session } from "./session.svelte";

export const ZERO: Hex = `0x${"0".repeat(64)}`;

const FIELDS: readonly Field[] = [
  ["bytes32", "log"], ["bytes32", "eventId"], ["uint8", "kind"], ["uint8", "action"], ["uint64", "timeMs"],
  ["bytes32", "subject"], ["address", "actor"], ["bytes32", "record"], ["bytes32", "fromVersion"], ["bytes32", "toVersion"],
  ["bytes32", "permission"], ["bytes32", "details"],
];

/** The id of an event that its actor calls by this name: the same name is the same event, whoever presses twice. */
export function eventId(actor: Hex, name: string): Hex {
  return keccak(concat(new Uint8Array(12), hexToBytes(actor), hexToBytes(sha256(utf8(name)))));
}

const DOMAIN = [["string", "name"], ["string", "version"], ["uint256", "chainId"], ["address", "verifyingContract"]] as const;

const typed = (fields: readonly Field[]) => fields.map(([type, name]) => ({ name, type }));

/** `eth_signTypedData_v4` of a report. Numbers are text where a wallet might round them. */
export function forWallet(report: Report, { chainId, registry }: Pick<TrustFile, "chainId" | "registry">): string {
  return JSON.stringify({
    domain: { name: "Medtrail", version: "1", chainId, verifyingContract: registry },
    types: { EIP712Domain: typed(DOMAIN), Report: typed(FIELDS) },
    primaryType: "Report",
    message: { ...report, timeMs: String(report.timeMs) },
  });
}

/** Many reports under one signature: how many, and the root of the tree over their hashes. */
export interface ReportBatch {
  readonly root: Hex;
  readonly count: number;
}

export function batchForWallet({ root, count }: ReportBatch, { chainId, registry }: Pick<TrustFile, "chainId" | "registry">): string {
  return JSON.stringify({
    domain: { name: "Medtrail", version: "1", chainId, verifyingContract: registry },
    types: { EIP712Domain: typed(DOMAIN), ReportBatch: typed([["bytes32", "root"], ["uint64", "count"]]) },
    primaryType: "ReportBatch",
    message: { root, count: String(count) },
  });
}

/** Has a report signed by the wallet of its actor. */
export function signReport(report: Report, trust: TrustFile): Promise<Hex> {
  return signAs(report.actor, forWallet(report, trust), reportHash(report), trust);
}

export function signBatch(actor: Hex, batch: ReportBatch, trust: TrustFile): Promise<Hex> {
  return signAs(actor, batchForWallet(batch, trust), structHash("ReportBatch", batch), trust);
}

/** What the wallet gives counts only if it is of this very key and struct. */
async function signAs(actor: Hex, typedData: string, struct: Hex, trust: TrustFile): Promise<Hex> {
  const wallet = await session.findWallet();
  if (!wallet) throw new Error(t("connect.noWallet"));
  await switchTo(wallet, trust.chainId, demo.story?.chain ?? null);
  const given = await wallet.provider.request({ method: "eth_signTypedData_v4", params: [actor, typedData] });
  const signature = String(given).toLowerCase();
  if (!isHex(signature, 65) || await recover(digest(struct, trust), hexToBytes(signature)) !== actor) {
    throw new Error(t("permissions.otherSigner"));
  }
  return bytesToHex(hexToBytes(signature));
}
