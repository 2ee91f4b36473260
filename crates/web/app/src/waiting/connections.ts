// Connections to organisations that are under way: by the server's word only, since nothing of them stands in the trail yet.
import { ask } from "../server/client";
import { get, list, text } from "../reading/json";

/** toSign: a code was given, and the person has not signed; toConfirm: the organisation has not. */
export interface Connection {
  readonly id: string;
  readonly organisation: string;
  readonly state: "toSign" | "toConfirm";
  readonly expiresMs: number;
}

const STATES: Readonly<Record<string, Connection["state"]>> = { "to-sign": "toSign", "to-countersign": "toConfirm", entering: "toConfirm" };

/** Those of the person's own that are neither done nor over. */
export function connectionsOf(value: unknown, nowMs: number): readonly Connection[] {
  return list(value, "own").flatMap((one): readonly Connection[] => {
    const [id, organisation, expiresMs] = [text(one, "id"), text(get(one, "organisation"), "name"), get(one, "expiresMs")];
    const word = text(one, "state") ?? "";
    const state = Object.hasOwn(STATES, word) ? STATES[word] : undefined;
    if (id === null || organisation === null || state === undefined || typeof expiresMs !== "number") return [];
    // What is written down already is waited for, whatever the clock says.
    return expiresMs > nowMs || word === "entering" ? [{ id, organisation, state, expiresMs }] : [];
  });
}

export async function readConnections(nowMs: number, signal: AbortSignal): Promise<readonly Connection[]> {
  return connectionsOf(await ask<unknown>("/v1/bindings", { signal }), nowMs);
}
