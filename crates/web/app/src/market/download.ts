// The sealed file, also over a line that breaks: what came is kept, and the rest is asked for.
import { Refused, Unreachable } from "../server/client";
import type { OnProgress } from "./delivery";

/** What a page can hold at once. */
export const FILE_BYTES_MAX = 512 << 20;
const TRIES_MAX = 4;
const AGAIN_MS = 1_000;

async function refusal(response: Response): Promise<Refused> {
  const problem = (await response.json().catch(() => ({}))) as { type?: unknown; detail?: unknown };
  return new Refused(response.status, String(problem.type ?? "").replace(/^.*\//, ""), String(problem.detail ?? `HTTP ${response.status}`));
}

/** Reads all of it. `all`: how long it is said to be. */
export async function download(path: string, all: number, onprogress: OnProgress, signal: AbortSignal, againMs = AGAIN_MS): Promise<Uint8Array<ArrayBuffer>> {
  if (all > FILE_BYTES_MAX) throw new RangeError("tooLong");
  const whole = new Uint8Array(all);
  let [at, etag] = [0, ""];
  for (let tries = 1; ; tries += 1) {
    try {
      // Whoever has nothing yet asks for all; the rest is only of use if it is of the same file.
      const headers: Record<string, string> = at > 0 && etag !== "" ? { range: `bytes=${at}-`, "if-range": etag } : {};
      const response = await fetch(path, { credentials: "same-origin", cache: "no-store", headers, signal });
      if (!response.ok) throw await refusal(response);
      const start = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1];
      if (response.status !== 206 || Number(start) !== at) at = 0;
      etag = response.headers.get("etag") ?? "";
      const reader = response.body?.getReader();
      for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
        if (at + part.value.length > all) {
          await reader?.cancel();
          throw new RangeError("longer than it was said to be");
        }
        whole.set(part.value, at);
        at += part.value.length;
        onprogress(at, all);
      }
      if (at === all) return whole;
    } catch (cause) {
      if (signal.aborted || cause instanceof Refused || cause instanceof RangeError || tries >= TRIES_MAX) {
        throw signal.aborted || cause instanceof Refused || cause instanceof RangeError ? cause : new Unreachable(cause);
      }
    }
    if (tries >= TRIES_MAX) throw new Unreachable(new Error(`${at} of ${all} bytes came`));
    await new Promise((later) => setTimeout(later, againMs));
  }
}
