// Has the wallet sign a document of the person's, and the server write it down. What the server says of it is checked: the
// contract under whose name it is signed, and the id of what was written.
import { t } from "../i18n";
import { demo } from "../demo/story.svelte";
import { isHex } from "../ledger/bytes";
import type { Hex, TrustFile } from "../ledger";
import { documentId, signerOf, type Document, type Registries } from "../permit";
import { ask, Refused } from "../server/client";
import { switchTo } from "../session/chain";
import { isDeclined } from "../session/explain";
import { session } from "../session/session.svelte";
import { forWallet } from "./typed-data";

/** `GET /v1/permissions`: the contract under whose name permissions are signed. It is deployed once and stays. */
interface Domain {
  readonly version: string;
  readonly chainId: number;
  readonly consentRegistry: string;
}
let domain: Promise<Domain> | null = null;

function domainOnce(): Promise<Domain> {
  domain ??= ask<Domain>("/v1/permissions").catch((error: unknown) => {
    domain = null;
    throw error;
  });
  return domain;
}

export class Signing {
  readonly address: Hex;
  /** Whether the wallet or the server is being asked: one thing at a time. */
  isBusy = $state(false);
  registries: Registries | null = null;
  /** Signed, and perhaps not written down: it is sent again without asking the wallet again. */
  #unsent: { readonly id: Hex; readonly signature: Hex } | null = null;

  constructor(address: Hex) {
    this.address = address;
  }

  /** Learns under which names documents are signed here. */
  async learn(signal: AbortSignal): Promise<TrustFile> {
    const [trust, { version, chainId, consentRegistry: given }] =
      await Promise.all([ask<TrustFile>("/.well-known/medtrail.json", { signal }), domainOnce()]);
    const consentRegistry = String(given).toLowerCase();
    const isOurs = version === "medtrail/permissions-domain-v1" && chainId === trust.chainId && isHex(consentRegistry, 20);
    // Under the name of another contract a signature could mean something else, or nothing.
    if (!isOurs || /^0x0*$/.test(consentRegistry)) throw new Error(t("permissions.notThat"));
    this.registries = { chainId, consentRegistry, anchorRegistry: trust.registry };
    return trust;
  }

  /** The id of what was signed and written down. Null: the person said no in the wallet, and nothing was done. Throws what went wrong. */
  async sign(document: Document): Promise<Hex | null> {
    this.isBusy = true;
    try {
      const { registries } = this;
      if (registries === null) throw new Error("the contract comes before the signature");
      const id = documentId(document, registries);
      const signature = this.#unsent?.id === id ? this.#unsent.signature : await this.#signature(document, id, registries);
      this.#unsent = { id, signature };
      await this.#send(document, id, signature);
      this.#unsent = null;
      return id;
    } catch (error) {
      if (isDeclined(error)) return null;
      throw error;
    } finally {
      this.isBusy = false;
    }
  }

  async #signature(document: Document, id: Hex, registries: Registries): Promise<Hex> {
    const wallet = await session.findWallet();
    if (!wallet) throw new Error(t("connect.noWallet"));
    await switchTo(wallet, registries.chainId, demo.story?.chain ?? null);
    const given = await wallet.provider.request({ method: "eth_signTypedData_v4", params: [this.address, forWallet(document, registries)] });
    const signature = String(given).toLowerCase() as Hex;
    const isHexText = /^0x(?:[0-9a-f]{2})*$/.test(signature);
    if (!isHexText || await signerOf(id, signature) !== this.address) throw new Error(t("permissions.otherSigner"));
    return signature;
  }

  async #send(document: Document, id: Hex, signature: Hex): Promise<void> {
    try {
      const body = { version: "medtrail/permission-v1", document, signature };
      const written = await ask<{ id: string }>("/v1/permissions", { method: "POST", body });
      if (String(written?.id).toLowerCase() !== id) throw new Error(t("permissions.otherWritten"));
    } catch (error) {
      // What the server refused it refuses again; of what got no answer nobody knows.
      if (error instanceof Refused && error.status < 500) this.#unsent = null;
      if (error instanceof Refused && error.status === 401) void session.probe();
      throw error;
    }
  }
}
