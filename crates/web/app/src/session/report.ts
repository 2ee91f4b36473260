// A report that somebody signs in their wallet: what an organisation answers, what a person writes into their records.
import { bytesToHex, concat, hexToBytes, isHex, utf8 } from "../ledger/bytes";
import { digest, keccak, reportHash, type Field } from "../ledger/schema";
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

const typed = (fields: readonly Field[]) => fields.map(([type, name]) => ({ name, type }));

/** `eth_signTypedData_v4` of a report. Numbers are text where a wallet might round them. */
export function forWallet(report: Report, { chainId, registry }: Pick<TrustFile, "chainId" | "registry">): string {
  const domain = [["string", "name"], ["string", "version"], ["uint256", "chainId"], ["address", "verifyingContract"]] as const;
  return JSON.stringify({
    domain: { name: "Medtrail", version: "1", chainId, verifyingContract: registry },
    types: { EIP712Domain: typed(domain), Report: typed(FIELDS) },
    primaryType: "Report",
    message: { ...report, timeMs: String(report.timeMs) },
  });
}

/** Has a report signed by the wallet of its actor. */
export async function signReport(report: Report, trust: TrustFile): Promise<Hex> {
  const wallet = await session.findWallet();
  if (!wallet) throw new Error(t("connect.noWallet"));
  await switchTo(wallet, trust.chainId, demo.story?.chain ?? null);
  const given = await wallet.provider.request({ method: "eth_signTypedData_v4", params: [report.actor, forWallet(report, trust)] });
  const signature = String(given).toLowerCase();
  if (!isHex(signature, 65) || await recover(digest(reportHash(report), trust), hexToBytes(signature)) !== report.actor) {
    throw new Error(t("permissions.otherSigner"));
  }
  return bytesToHex(hexToBytes(signature));
}
