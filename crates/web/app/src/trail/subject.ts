/** The 32 bytes of a trail: an address, left-padded. */
export function subjectOf(address: string): `0x${string}` {
  return `0x${address.slice(2).toLowerCase().padStart(64, "0")}`;
}
