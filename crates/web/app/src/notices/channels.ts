// By which channels a person is told that something happened: read strictly, and what was chosen is held against what the
// server then says it noted, for a mail elsewhere would tell somebody else.

export const WHENS = ["at-once", "daily"] as const;
export type When = (typeof WHENS)[number];

/** The languages in which mails are written, each with its own name. */
export const LANGUAGES = ["en", "et"] as const;
export type Language = (typeof LANGUAGES)[number];

export interface Mail {
  readonly address: string;
  readonly when: When;
  readonly language: string;
}

export interface Channels {
  readonly available: { readonly email: boolean; readonly webhook: boolean };
  readonly email: (Mail & { readonly isConfirmed: boolean }) | null;
  /** The secret is given once, in the answer to the choice. */
  readonly webhook: { readonly url: string; readonly secret: string | null } | null;
}

/** All channels at once: what is null ends. */
export interface Wanted {
  readonly email: Mail | null;
  readonly webhook: { readonly url: string } | null;
}

type Members = Readonly<Record<string, unknown>>;
const membersOf = (value: unknown): Members | null => (typeof value === "object" && value !== null ? value as Members : null);

/** Reads `medtrail/notices-v1`; null if it is none. */
export function channelsOf(value: unknown): Channels | null {
  const members = membersOf(value);
  const available = membersOf(members?.["available"]);
  if (members?.["version"] !== "medtrail/notices-v1" || available === null) return null;
  const { email: hasMail, webhook: hasWebhook } = available;
  if (typeof hasMail !== "boolean" || typeof hasWebhook !== "boolean") return null;
  const [email, webhook] = [mailOf(members["email"] ?? null), webhookOf(members["webhook"] ?? null)];
  if (email === undefined || webhook === undefined) return null;
  return { available: { email: hasMail, webhook: hasWebhook }, email, webhook };
}

/** Undefined: not of its form. */
function mailOf(value: unknown): Channels["email"] | undefined {
  if (value === null) return null;
  const { address, when, language, confirmed } = membersOf(value) ?? {};
  const found = WHENS.find((known) => known === when);
  if (typeof address !== "string" || typeof language !== "string" || typeof confirmed !== "boolean" || found === undefined) return undefined;
  return { address, when: found, language, isConfirmed: confirmed };
}

function webhookOf(value: unknown): Channels["webhook"] | undefined {
  if (value === null) return null;
  const { url, secret = null } = membersOf(value) ?? {};
  if (typeof url !== "string" || !(secret === null || (typeof secret === "string" && secret.startsWith("whsec_")))) return undefined;
  return { url, secret };
}

/** What there is, as it would be chosen again. */
export function wantedOf({ email, webhook }: Channels): Wanted {
  return {
    email: email && { address: email.address, when: email.when, language: email.language },
    webhook: webhook && { url: webhook.url },
  };
}

export function isAsAsked(wanted: Wanted, told: Channels): boolean {
  return JSON.stringify(wanted) === JSON.stringify(wantedOf(told));
}

const ADDRESS_MAX = 254;
const URL_MAX = 2_000;

/** Whether this may be an address: letters, one @, a host with a dot. */
export function isMailAddress(text: string): boolean {
  return text.length <= ADDRESS_MAX && /^[!#-'*+\-./0-9=?A-Z^_`a-z{|}~]{1,64}@[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)+$/.test(text);
}

/** Whether a program can be told there: over TLS, and without a name and password in the address. */
export function isWebhookUrl(text: string): boolean {
  if (text.length > URL_MAX || !/^https:\/\/[!-~]+$/.test(text)) return false;
  try {
    const { username, password, hostname } = new URL(text);
    return username === "" && password === "" && hostname !== "";
  } catch {
    return false;
  }
}
