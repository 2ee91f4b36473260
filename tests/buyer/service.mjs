// The log's HTTP interface as a buyer uses it: signs in with the own key (EIP-4361), asks, downloads
// and goes on where a download was cut off.
import { readFileSync, rmSync, statSync, appendFileSync } from "node:fs";

export class Service {
  constructor(url, account) {
    this.url = url;
    this.account = account;
  }

  async signIn() {
    const challenge = await this.#json(
      await fetch(`${this.url}/v1/session/nonce?address=${this.account.address}`),
    );
    const { message } = challenge;
    const signature = await this.account.signMessage({ message });
    const body = JSON.stringify({ message, signature, bearer: true });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${this.url}/v1/session`, { method: "POST", headers, body });
    this.token = (await this.#json(answer)).token;
  }

  async #json(answer) {
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${answer.status} ${answer.url}: ${text}`);
    return JSON.parse(text);
  }

  #ask(path, init = {}) {
    const headers = { authorization: `Bearer ${this.token}`, ...init.headers };
    return fetch(`${this.url}${path}`, { ...init, headers });
  }

  async get(path) {
    return this.#json(await this.#ask(path));
  }

  /** As `get`; null where the service knows no such thing. */
  async find(path) {
    const answer = await this.#ask(path);
    return answer.status === 404 ? null : this.#json(answer);
  }

  async text(path) {
    const answer = await this.#ask(path);
    if (!answer.ok) throw new Error(`${answer.status} ${path}: ${await answer.text()}`);
    return answer.text();
  }

  async post(path, body) {
    const headers = { "content-type": "application/json" };
    return this.#json(
      await this.#ask(path, { method: "POST", headers, body: JSON.stringify(body) }),
    );
  }

  /** Downloads to `file`; with `cut` the connection is given up after so many bytes. */
  async download(path, file, tag, cut) {
    const has = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    const headers = has > 0 ? { range: `bytes=${has}-`, "if-range": `"${tag}"` } : {};
    const answer = await this.#ask(path, { headers });
    if (!answer.ok) throw new Error(`${answer.status} ${path}: ${await answer.text()}`);
    if (answer.headers.get("etag") !== `"${tag}"`) throw new Error("another file");
    if (has > 0 && answer.status !== 206) rmSync(file);
    let bytes = 0;
    for await (const chunk of answer.body) {
      const some = cut === undefined ? chunk : chunk.subarray(0, cut - bytes);
      appendFileSync(file, some);
      bytes += some.length;
      if (bytes === cut) return { status: answer.status, bytes };
    }
    return { status: answer.status, bytes };
  }
}

export function read(file) {
  return new Uint8Array(readFileSync(file));
}
