import { TYPES, type Document, type Registries } from "../permit";

const DOMAIN = [
  ["string", "name"], ["string", "version"], ["uint256", "chainId"], ["address", "verifyingContract"],
] as const;

const typed = (fields: readonly (readonly [type: string, name: string])[]) => fields.map(([type, name]) => ({ name, type }));

/** `eth_signTypedData_v4`: types and domain are this page's own. Numbers are text where a wallet might round them. */
export function forWallet(document: Document, { chainId, consentRegistry, anchorRegistry }: Registries): string {
  const [[kind, given]] = Object.entries(document) as [[keyof typeof TYPES, object]];
  const { name, owner, fields } = TYPES[kind];
  const value = (field: string) => (given as Record<string, unknown>)[field];
  return JSON.stringify({
    domain: { name: "Medtrail", version: "1", chainId, verifyingContract: owner === "consent" ? consentRegistry : anchorRegistry },
    types: { EIP712Domain: typed(DOMAIN), [name]: typed(fields) },
    primaryType: name,
    message: Object.fromEntries(fields.map(([, field]) => [field, typeof value(field) === "number" ? String(value(field)) : value(field)])),
  });
}
