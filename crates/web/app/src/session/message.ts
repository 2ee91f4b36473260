// The text that signs somebody in (EIP-4361), read before a wallet is asked to sign it: a wallet that does not know it warns
// of nothing, and a server could have people sign in somewhere else with it.

/** Longest time between Issued At and Expiration Time, and how far a device's clock may be off. */
const LIFE_MS_MAX = 10 * 60_000;
const CLOCK_MS_MAX = 24 * 3_600_000;

const TIME = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)`;
const MESSAGE = new RegExp([
  String.raw`^(?<domain>[^\s/@]+) wants you to sign in with your Ethereum account:`, String.raw`(?<address>0x[0-9a-fA-F]{40})`, "",
  String.raw`[^\n]{1,300}`, "", String.raw`URI: (?<uri>\S+)`, "Version: 1", String.raw`Chain ID: (?<chainId>\d+)`,
  "Nonce: [0-9A-Za-z]{8,}", `Issued At: (?<issued>${TIME})`, `Expiration Time: (?<until>${TIME})$`,
].join("\n"));

/** What the text must be for: this very page, this account, the chain of this log, now. */
export interface Expected {
  readonly origin: string;
  readonly address: string;
  readonly chainId: number;
  readonly nowMs: number;
}

/** Whether the text signs this account in to this page, for a short while, and nothing else stands in it. */
export function isSignInTo(message: string, { origin, address, chainId, nowMs }: Expected): boolean {
  const found = MESSAGE.exec(message)?.groups;
  if (!found) return false;
  const { domain, uri = "" } = found;
  const [issuedMs, untilMs] = [Date.parse(found["issued"] ?? ""), Date.parse(found["until"] ?? "")];
  return domain === new URL(origin).host
    && (uri === origin || uri.startsWith(`${origin}/`))
    && found["address"]?.toLowerCase() === address.toLowerCase()
    && Number(found["chainId"]) === chainId
    && untilMs > issuedMs && untilMs - issuedMs <= LIFE_MS_MAX
    && Math.abs(nowMs - issuedMs) <= CLOCK_MS_MAX;
}
