// What was delivered to a call to many, checked on the buyer's device: all entries are of one delivery of this call, the file
// is the one that they name, everybody in it accepted this very call, and everything in it is what the manifest says. As
// cohort/verify.rs in crates/market has it.
import type { Hex } from "../ledger/types";
import { DeliveryError, enteredIn, subjectOf, unpacked, type Contents, type Entered } from "../market/delivery";
import { acceptanceOf, acceptanceProblem } from "../permit/cohort";
import type { Dataset } from "../permit/dataset";
import { signerOf } from "../permit/documents";
import { cohortId, type Cohort, type CohortMarket } from "../permit/sale";
import { cohortManifestOf, type CohortManifest } from "./manifest";

/** What was called for. */
export interface CalledFor {
  readonly market: CohortMarket;
  readonly cohort: Cohort;
  /** The description of the data, byte for byte. */
  readonly text: string;
  readonly dataset: Dataset;
}

/** What all entries of a delivery say alike, and by acceptance whose they are. */
export interface LoggedCall extends Pick<Entered, "lock" | "file" | "manifest"> {
  readonly subjects: ReadonlyMap<Hex, Hex>;
}

export function loggedCallIn(proofs: readonly string[], { log }: Cohort): LoggedCall {
  const entered = proofs.map((proof) => enteredIn(proof, log));
  const [first] = entered;
  const subjects = new Map(entered.map(({ of, subject }) => [of, subject]));
  const isOne = entered.every(({ lock, file, manifest }) => lock === first?.lock && file === first.file && manifest === first.manifest);
  if (first === undefined || !isOne || subjects.size !== entered.length) throw new DeliveryError("entries");
  return { lock: first.lock, file: first.file, manifest: first.manifest, subjects };
}

export interface CallContents extends Contents<CohortManifest> {
  /** Places whose acceptance the seller's own key did not sign: if they were paid, the contract found that who signed acted for them. */
  readonly byOthers: readonly number[];
}

export async function callContentsOf(plain: Uint8Array<ArrayBuffer>, logged: LoggedCall, called: CalledFor): Promise<CallContents> {
  const { market, cohort, text } = called;
  const contents = await unpacked(plain, logged, cohortManifestOf, (manifest) => {
    const isIts = manifest.chainId === market.chainId && manifest.cohortMarket === market.cohortMarket
      && cohortId("Cohort", manifest.cohort, market) === cohortId("Cohort", cohort, market);
    if (!isIts) throw new DeliveryError("call");
    if (manifest.dataset !== text) throw new DeliveryError("dataset");
  });
  return { ...contents, byOthers: await signedByOthers(contents.manifest, logged, called) };
}

async function signedByOthers({ consents }: CohortManifest, { subjects }: LoggedCall, { market, cohort, dataset }: CalledFor): Promise<readonly number[]> {
  const left = new Map(subjects);
  const others: number[] = [];
  for (const { signature, ...taking } of consents) {
    const acceptance = acceptanceOf(cohort, market, taking);
    if (acceptanceProblem(acceptance, cohort, market, dataset) !== null) throw new DeliveryError("consent", String(taking.place));
    const id = cohortId("CohortAcceptance", acceptance, market);
    if (left.get(id) !== subjectOf(taking.seller)) throw new DeliveryError("notEntered", String(taking.place));
    left.delete(id);
    if (await signerOf(id, signature) !== taking.seller) others.push(taking.place);
  }
  if (left.size > 0) throw new DeliveryError("notInFile");
  return others;
}
