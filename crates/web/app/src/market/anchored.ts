// Whether a delivery's entry stands in the log that the chain locked: as every proof of this page is checked.
import { s } from "../i18n/sales";
import { parseProof, verifyProof } from "../ledger";
import { operatorSpeaks } from "../ledger/trust";
import type { TrustFile, Verdict } from "../ledger/types";
import { session } from "../session/session.svelte";
import { readerThrough } from "../trail/chain-reader";

export async function anchoredIn(proof: string, trust: TrustFile | null): Promise<{ readonly verdict: Verdict; readonly words: string }> {
  const reader = readerThrough(await session.findWallet());
  if (reader === null || trust === null) return { verdict: "amber", words: s("check.noWallet") };
  const findings = await verifyProof(proof, trust, reader).catch(() => null);
  if (findings === null) return { verdict: "amber", words: s("check.chainUnread") };
  const isByOperator = isRelayedByOperator(proof, trust);
  const bad = findings.filter(({ name, verdict }) => verdict !== "green" && !(name === "report" && verdict === "amber" && isByOperator));
  const [worst] = [...bad].sort((a, b) => Number(b.verdict === "red") - Number(a.verdict === "red"));
  return { verdict: worst?.verdict ?? "green", words: worst ? s("check.proofNot", { why: worst.words }) : s("check.proof") };
}

/** The operator delivers: of its own act its own word is all there is. */
function isRelayedByOperator(text: string, trust: TrustFile): boolean {
  const { evidence, report } = parseProof(new TextEncoder().encode(text));
  return evidence === "relayed" && operatorSpeaks(trust, report.actor, report.timeMs);
}
