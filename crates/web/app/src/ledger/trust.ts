// Whose log is meant, and who speaks when.
import { parseVerifierKey } from "./note";
import type { LogKeys } from "./checkpoint";
import type { Hex, Key, Organisation, TrustFile } from "./types";

type Time = number | bigint;

export function speaksAt(key: Key, timeMs: Time): boolean {
  return key.fromMs <= timeMs && (key.untilMs === undefined || timeMs < key.untilMs);
}

export function operatorSpeaks(trust: TrustFile, address: Hex, timeMs: Time): boolean {
  return trust.operator.keys.some((key) => key.address === address && speaksAt(key, timeMs));
}

/** Whether this is a key of the operator, at any time. */
export function isOperator(trust: TrustFile, address: Hex): boolean {
  return trust.operator.keys.some((key) => key.address === address);
}

/** The organisation that speaks by this address at this time. */
export function organisationOf(trust: TrustFile, address: Hex, timeMs: Time): Organisation | null {
  const speaks = (key: Key) => key.address === address && speaksAt(key, timeMs);
  return trust.organisations.find(({ keys }) => keys.some(speaks)) ?? null;
}

/** The keys that speak for the log, the operator's being the one of this address. */
export async function logKeys(trust: TrustFile, operator: Hex): Promise<LogKeys> {
  const { chainId, registry, log } = trust;
  return { chainId, registry, log, noteKey: await parseVerifierKey(trust.operator.noteKey), operator };
}
