// What was given to the page, and what a check of it found.
import { agreeing, ChainError, reader, rpc, wallet as through, type ChainReader } from "../ledger/chain";
import { utf8 } from "../ledger/bytes";
import { FormatError, parseProof, parseTrust, PROOF_BYTES_MAX } from "../ledger/parse";
import { organisationOf } from "../ledger/trust";
import type { Finding, TrustFile, Verdict } from "../ledger/types";
import { verifyProof, worst } from "../ledger/verify";
import type { Wallet } from "../session/wallets.svelte";
import { breakAt, type Broken } from "./break";
import { t, type Key } from "./text";

/** Chains that run on one machine: anvil's and hardhat's usual ids, and the demo's. */
const LOCAL_CHAINS: readonly number[] = [1_337, 31_337, 31_338, 633_824];

/** The words of a line are not part of the first view: they come while the reader looks for the file. */
const words = () => import("../reading");

export type TrustChoice = "own" | "site" | "nobody";

export interface Named {
  file: string;
  trust: TrustFile;
}

export interface Result {
  findings: readonly Finding[];
  verdict: Verdict;
  whose: string;
  whoseVerdict: Verdict;
  /** The line as its person reads it, if nothing is wrong. */
  sentence: string | null;
  /** The chain's id, if it binds nobody. */
  localChain: number | null;
  broken: Broken | null;
}

export class Check {
  file = $state.raw<{ name: string; bytes: Uint8Array } | null>(null);
  own = $state.raw<Named | null>(null);
  site = $state.raw<Named | null>(null);
  choice = $state<TrustChoice>("nobody");
  url = $state("");
  second = $state("");
  wallet = $state.raw<Wallet | null>(null);
  isBusy = $state(false);
  /** Why there is no result. */
  problem = $state("");
  result = $state.raw<Result | null>(null);

  readonly trust: TrustFile | null = $derived(
    this.choice === "own" ? (this.own?.trust ?? null) : this.choice === "site" ? (this.site?.trust ?? null) : null,
  );

  /** What is not needed at once, before the service is perhaps stopped. */
  prepare(): void {
    words().catch(() => undefined);
  }

  /** The trust file that this site serves, if it does. */
  async findSite(fetcher: typeof fetch = fetch): Promise<void> {
    try {
      const response = await fetcher("/.well-known/medtrail.json", { credentials: "omit", cache: "no-store" });
      if (!response.ok) return;
      const trust = await parseTrust(new Uint8Array(await response.arrayBuffer()));
      this.site = { file: "/.well-known/medtrail.json", trust };
      if (this.choice === "nobody" && this.own === null) this.choice = "site";
    } catch {
      // Without one the reader names a log, or none: the page says which.
    }
  }

  /** Takes a proof, a receipt or a trust file, by what it says it is. */
  async take(name: string, bytes: Uint8Array): Promise<void> {
    this.problem = "";
    if (bytes.length > PROOF_BYTES_MAX) {
      this.problem = t("file.tooLong", { bytes: bytes.length, max: PROOF_BYTES_MAX });
      return;
    }
    if (saysTrust(bytes)) return this.takeTrust(name, bytes);
    this.file = { name, bytes };
    this.result = null;
  }

  async takeTrust(name: string, bytes: Uint8Array): Promise<void> {
    this.problem = "";
    this.result = null;
    try {
      this.own = { file: name, trust: await parseTrust(bytes) };
      this.choice = "own";
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.problem = t("trust.bad", { why: error.message });
    }
  }

  /** Copying loses or adds blanks at the ends, which say nothing: they are put back as a file has them. */
  takeText(name: string, text: string): Promise<void> {
    return this.take(name, utf8(`${text.trim()}\n`));
  }

  /** Checks the file as it was given, or a copy with one byte changed. */
  async run(brokenAt: number | null = null, chain: ChainReader | null = null): Promise<void> {
    const { file, trust } = this;
    this.problem = "";
    this.result = null;
    if (file === null) {
      this.problem = t("check.noFile");
      return;
    }
    this.isBusy = true;
    try {
      const broken = brokenAt === null ? null : breakAt(file.bytes, brokenAt);
      const bytes = broken?.bytes ?? file.bytes;
      const findings = await verifyProof(bytes, trust, chain ?? this.reader());
      this.result = await this.judge(bytes, findings, broken);
    } catch (error) {
      if (!(error instanceof ChainError)) throw error;
      this.problem = error.message === NO_NODE ? t("chain.missing") : t("chain.silent", { why: error.message });
    } finally {
      this.isBusy = false;
    }
  }

  private reader(): ChainReader {
    const { wallet } = this;
    if (wallet !== null) return reader(through({ request: (question) => wallet.provider.request(question) }));
    const [first, second] = [this.url.trim(), this.second.trim()];
    if (first === "") throw new ChainError(NO_NODE);
    return second === "" ? reader(rpc(first)) : agreeing(reader(rpc(first)), reader(rpc(second)));
  }

  private async judge(bytes: Uint8Array, findings: readonly Finding[], broken: Broken | null): Promise<Result> {
    const [first] = findings;
    const shown = findings.map((step) =>
      ({ ...step, words: step.words.replace("Give --trust FILE to say whose log you mean.", t("giveTrust")) }));
    const { chainId, sentence } = await this.told(bytes, findings);
    return {
      findings: shown,
      verdict: worst(findings),
      whose: this.whose(first),
      whoseVerdict: first?.verdict ?? "red",
      sentence,
      localChain: chainId !== null && LOCAL_CHAINS.includes(chainId) ? chainId : null,
      broken,
    };
  }

  /** Whose log it is and how that is known: nothing else counts if this is not what was meant. */
  private whose(first: Finding | undefined): string {
    if (first?.name !== "log") return t("whose.red.file");
    const { trust, choice, own } = this;
    const names = trust === null ? {} : { name: trust.operator.name, domain: trust.operator.domain };
    const key: Key = first.verdict === "green" ? (choice === "own" ? "whose.green.own" : "whose.green.site")
      : first.verdict === "amber" ? (trust === null ? "whose.amber.none" : "whose.amber.other")
      : first.words.startsWith("report.log") ? "whose.red.log" : trust === null ? "whose.red.receipt" : "whose.red.chain";
    return t(key, { ...names, file: own?.file ?? "" });
  }

  private async told(bytes: Uint8Array, findings: readonly Finding[]): Promise<{ chainId: number | null; sentence: string | null }> {
    const { trust } = this;
    if (findings[0]?.name === "file") return { chainId: null, sentence: null };
    let chainId = trust?.chainId ?? null;
    try {
      const proof = parseProof(bytes);
      chainId = proof.anchor.chainId;
      const { factsOf, sentence } = await words();
      const named = trust && organisationOf(trust, proof.report.actor, proof.report.timeMs);
      const facts = factsOf(proof, named?.name ?? null);
      // What a wrong file says is not repeated in words that look like a finding.
      return { chainId, sentence: worst(findings) === "red" ? null : sentence(facts) };
    } catch {
      // A receipt has no words; and without the service, which may be gone by now, the check counts all the same.
      return { chainId, sentence: null };
    }
  }
}

const NO_NODE = "no node";

function saysTrust(bytes: Uint8Array): boolean {
  return /"version"\s*:\s*"medtrail\/trust-/.test(new TextDecoder().decode(bytes.subarray(0, 4_096)));
}
