/** EIP-712, as `eth_signTypedData_v4` takes it. */
export interface TypedData {
  readonly domain: { readonly name?: string; readonly chainId?: string | number };
  readonly types: Readonly<Record<string, readonly { readonly name: string; readonly type: string }[]>>;
  readonly primaryType: string;
  readonly message: Readonly<Record<string, unknown>>;
}

/** What a person is shown of a document: each field by its name, nested ones by their path, nothing left out. */
export function plainTypedData(document: TypedData): [string, string][] {
  const rows: [string, string][] = [["Document", document.primaryType]];
  const walk = (value: unknown, path: string) => {
    if (typeof value === "object" && value !== null) {
      for (const [name, inner] of Object.entries(value)) walk(inner, path === "" ? name : `${path}.${name}`);
    } else {
      rows.push([path, String(value)]);
    }
  };
  walk(document.message, "");
  return rows;
}
