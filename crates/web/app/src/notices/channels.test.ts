import { describe, expect, it } from "vitest";
import { channelsOf, isAsAsked, isMailAddress, isWebhookUrl, wantedOf } from "./channels";

const MAIL = { address: "mari@example.org", when: "daily", language: "et", confirmed: false };
const told = (change: object = {}) =>
  ({ version: "medtrail/notices-v1", available: { email: true, webhook: true }, email: null, webhook: null, ...change });

describe("the channels that a person chose", () => {
  it("are none before one was chosen", () => {
    expect(channelsOf(told())).toEqual({ available: { email: true, webhook: true }, email: null, webhook: null });
  });

  it("are read as they stand, the secret only where it is given", () => {
    const read = channelsOf(told({ email: MAIL, webhook: { url: "https://a.example/x", secret: "whsec_AA==" } }));
    expect(read?.email).toEqual({ address: "mari@example.org", when: "daily", language: "et", isConfirmed: false });
    expect(read?.webhook).toEqual({ url: "https://a.example/x", secret: "whsec_AA==" });
    expect(channelsOf(told({ webhook: { url: "https://a.example/x" } }))?.webhook?.secret).toBeNull();
  });

  it("are not read from anything else", () => {
    const wrong = [
      null, "x", told({ version: "medtrail/notices-v2" }), told({ available: { email: true } }), told({ email: { ...MAIL, when: "weekly" } }),
      told({ email: { ...MAIL, confirmed: "yes" } }), told({ email: {} }), told({ webhook: { url: 5 } }), told({ webhook: { url: "https://a.example", secret: "x" } }),
    ];
    for (const value of wrong) expect(channelsOf(value), JSON.stringify(value)).toBeNull();
  });

  it("are those that were asked for, or something is wrong", () => {
    const wanted = { email: { address: "mari@example.org", when: "daily" as const, language: "et" }, webhook: null };
    const is = (change: object) => {
      const channels = channelsOf(told(change));
      return channels !== null && isAsAsked(wanted, channels);
    };
    expect(is({ email: MAIL })).toBe(true);
    expect(is({ email: { ...MAIL, address: "eve@example.org" } })).toBe(false);
    expect(is({ email: { ...MAIL, when: "at-once" } })).toBe(false);
    expect(is({ email: MAIL, webhook: { url: "https://eve.example" } })).toBe(false);
    expect(is({})).toBe(false);
  });

  it("can be chosen again as they stand: what is changed is one of them", () => {
    const channels = channelsOf(told({ email: MAIL, webhook: { url: "https://a.example/x", secret: "whsec_AA==" } }));
    expect(channels && wantedOf(channels)).toEqual({
      email: { address: "mari@example.org", when: "daily", language: "et" }, webhook: { url: "https://a.example/x" },
    });
  });
});

describe("what is typed", () => {
  it("may be an address of mail", () => {
    for (const good of ["mari@example.org", "m.a+x@mail.example.org"]) expect(isMailAddress(good), good).toBe(true);
    for (const bad of ["", "mari", "mari@", "@example.org", "mari@example", "a b@example.org", "a@b@example.org", "a,b@example.org", `${"a".repeat(60)}@${"b".repeat(200)}.org`]) {
      expect(isMailAddress(bad), bad).toBe(false);
    }
  });

  it("may be where a program is told", () => {
    expect(isWebhookUrl("https://bot.example/hook?a=1")).toBe(true);
    for (const bad of ["http://bot.example", "https://", "https://u:p@bot.example/", "https://u@bot.example", "bot.example", "https://a b", `https://a.example/${"x".repeat(2_000)}`]) {
      expect(isWebhookUrl(bad), bad).toBe(false);
    }
  });
});
