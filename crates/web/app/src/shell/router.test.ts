import { describe, expect, it } from "vitest";
import { isDemoPath, isPagePath } from "../demo/story.svelte";
import { placeOf } from "./router.svelte";

describe("a place of the page", () => {
  it("stands behind the #", () => {
    expect(["", "#", "#/", "#/trail", "#/trail/connect", "#/permissions", "#/organisations"].map((hash) => placeOf(hash).name))
      .toEqual(["home", "home", "home", "trail", "connect", "permissions", "organisations"]);
    expect(placeOf("#/trail/statement/2026-11")).toEqual({ name: "statement", month: "2026-11" });
    expect(["#/data", "#/notices", "#/erasure"].map((hash) => placeOf(hash).name)).toEqual(["trail", "notices", "erasure"]);
    expect(placeOf("#/notices/confirm/00ff")).toEqual({ name: "confirm", code: "00ff" });
    const address = `0x${"ab".repeat(20)}`;
    for (const of of [address, `0x${"0".repeat(24)}${"AB".repeat(20)}`]) expect(placeOf(`#/trail?of=${of}`)).toEqual({ name: "trail", of: address });
    expect(placeOf("#invite=Ab_c-9")).toEqual({ name: "invite", code: "Ab_c-9" });
  });

  it("is unknown if it is anything else", () => {
    for (const hash of ["#/nothing", "#/trail/statement/2026-13", "#/trail/statement/x", "#invite=", "#invite=<b>", "#/notices/confirm/", "#/notices/confirm/a/b"]) {
      expect(placeOf(hash).name, hash).toBe("unknown");
    }
  });
});

describe("a path that the demo's story names", () => {
  it("lies below /demo/ on this server", () => {
    expect(["/demo/look", "/demo/wallet.js"].every(isDemoPath)).toBe(true);
    expect(["#/sell", "#/market/bought"].every(isPagePath)).toBe(true);
    expect(["/#/sell", "#", "#//evil.example", "https://evil.example/#/sell", "javascript:1", "#/a?b"].filter(isPagePath)).toEqual([]);
    for (const path of ["https://evil.example/demo/x", "//evil.example/demo/x", "/demo/../v1/session", "/v1/session", "data:text/javascript,1"]) {
      expect(isDemoPath(path), path).toBe(false);
    }
  });
});
