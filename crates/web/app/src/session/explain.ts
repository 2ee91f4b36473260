import { t, tOr } from "../i18n";
import { Refused, Unreachable } from "../server/client";

interface RpcError {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly details?: unknown;
  readonly cause?: unknown;
  readonly data?: { readonly originalError?: { readonly code?: unknown } };
}

/** A wallet's error and what it wraps, outermost first. MetaMask on phones puts the code into `data.originalError`. */
function* layers(error: unknown): Generator<RpcError> {
  for (let at = error, depth = 0; typeof at === "object" && at !== null && depth < 8; depth += 1) {
    const layer = at as RpcError;
    yield layer;
    if (layer.data?.originalError) yield layer.data.originalError;
    at = layer.cause;
  }
}

/** Whether a layer of the error has this EIP-1193 or EIP-1474 code. */
export function hasCode(error: unknown, code: number): boolean {
  for (const layer of layers(error)) if (layer.code === code) return true;
  return false;
}

/** The person said no in the wallet (4001): nothing went wrong. */
export function isDeclined(error: unknown): boolean {
  return hasCode(error, 4001);
}

/** One sentence for a person. The wallet's own words come with it: codes differ from wallet to wallet. */
export function explain(error: unknown): string {
  if (isDeclined(error)) return t("error.declined");
  if (hasCode(error, -32002)) return t("error.walletBusy");
  if (hasCode(error, 4900) || hasCode(error, 4901)) return t("error.walletOffline");
  if (error instanceof Unreachable) return t("error.unreachable");
  // The server's own words are for programmers: what a person can meet is said here.
  if (error instanceof Refused) return tOr(`refused.${error.kind}`, t("error.refused", { kind: error.kind || error.status }));
  for (const layer of layers(error)) {
    const words = layer.details ?? layer.message;
    if (typeof words !== "string" || words === "") continue;
    // What a wallet throws has a code (EIP-1193); what this page throws is a sentence already.
    return typeof layer.code === "number" ? t("error.wallet", { why: words }) : words;
  }
  return t("error.unknown");
}
