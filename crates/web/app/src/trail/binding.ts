import { bindingFields, organisationOf, statementOf, type Binding, type Hex, type TrustFile } from "../ledger";
import { ask } from "../server/client";

/** `POST /v1/bindings`: what the server would have signed. Only its fields are taken, and only after a check. */
export interface Offer {
  readonly id: string;
  readonly typedData: {
    readonly domain: Readonly<Record<string, unknown>>;
    readonly primaryType: string;
    readonly message: Readonly<Record<string, unknown>>;
  };
  readonly organisation: { readonly id: Hex; readonly name: string };
  readonly expiresMs: number;
}

/** Codes are read aloud at a desk: blanks and case do not matter. */
export function tidy(code: string): string {
  return code.replace(/\s+/g, "").toUpperCase();
}

export function offerFor(code: string): Promise<Offer> {
  return ask<Offer>("/v1/bindings", { method: "POST", body: { code } });
}

export function sendSignature(id: string, signature: string): Promise<unknown> {
  return ask(`/v1/bindings/${id}/signature`, { method: "POST", body: { signature } });
}

/**
 * The document of an offer, its statement rendered here; null if the offer is not exactly to join lines of the organisation
 * it names with the trail of this address, in the log of the trust file. A signature under anything else could pay somebody.
 */
export function documentOf({ typedData, organisation }: Offer, trust: TrustFile, address: string, nowMs: number): Binding | null {
  const { domain, primaryType, message } = typedData;
  const fields = bindingFields(message);
  const isOurs = primaryType === "Binding" && domain["name"] === "Medtrail" && domain["version"] === "1"
    && Number(domain["chainId"]) === trust.chainId && String(domain["verifyingContract"]).toLowerCase() === trust.registry;
  if (!fields || !isOurs || fields.subject !== address.toLowerCase() || nowMs >= fields.expiresAt * 1000) return null;
  if (organisationOf(trust, fields.custodian, nowMs)?.name !== organisation.name) return null;
  const statement = statementOf(organisation.name, fields);
  return message["statement"] === statement ? { ...fields, statement } : null;
}

const typed = (fields: Readonly<Record<string, string>>) => Object.entries(fields).map(([name, type]) => ({ name, type }));

/** `eth_signTypedData_v4`: types and domain are this page's own, whatever the server sent. */
export function forWallet({ statement, subject, custodian, pseudonym, expiresAt }: Binding, trust: TrustFile): string {
  return JSON.stringify({
    domain: { name: "Medtrail", version: "1", chainId: trust.chainId, verifyingContract: trust.registry },
    types: {
      EIP712Domain: typed({ name: "string", version: "string", chainId: "uint256", verifyingContract: "address" }),
      Binding: typed({ statement: "string", subject: "address", custodian: "address", pseudonym: "bytes32", expiresAt: "uint64" }),
    },
    primaryType: "Binding",
    // Numbers are text where a wallet might round them.
    message: { statement, subject, custodian, pseudonym, expiresAt: String(expiresAt) },
  });
}
