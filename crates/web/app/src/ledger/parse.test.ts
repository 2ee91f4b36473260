// @vitest-environment node
import { describe, expect, it } from "vitest";
import { textOf } from "./bytes";
import { parseTrust } from "./parse";
import { fixtureTrust, TRUST_BYTES } from "./testing";
import type { TrustFile } from "./types";

describe("a trust file", () => {
  const whole = textOf(TRUST_BYTES) as string;

  it("may be spelled freely", async () => {
    const shouted = whole.replace(/0x[0-9a-f]+/g, (hex) => `0x${hex.slice(2).toUpperCase()}`).replaceAll("\n", "");
    expect(await parseTrust(shouted)).toEqual(await fixtureTrust());
    const bare = JSON.parse(whole) as Partial<TrustFile>;
    delete bare.organisations;
    expect((await parseTrust(JSON.stringify(bare))).organisations).toEqual([]);
  });

  it.each([
    ["another version", whole.replace("trust-v1", "trust-v2"), /version/],
    ["an unknown field", whole.replace('"origin"', '"origins"'), /origins: unknown field/],
    ["a field twice", whole.replace('"chainId": 31338', '"chainId": 31338, "chainId": 1'), /stands twice/],
    ["a note key of another name", whole.replace('"origin": "log', '"origin": "lag'), /must be named like the origin/],
    ["a note key with a wrong id", whole.replace("+1c3c468c+", "+1c3c468d+"), /its id must match/],
  ])("with %s is refused", async (_, changed, words) => {
    await expect(parseTrust(changed)).rejects.toThrow(words);
  });
});
