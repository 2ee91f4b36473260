// What MetaMask puts into a page: its own provider, announced by EIP-6963, over a pipe to the wallet.
import { Buffer } from "buffer";
import ObjectMultiplex from "@metamask/object-multiplex";
import { initializeProvider } from "@metamask/providers";
import { Duplex } from "readable-stream";

globalThis.Buffer = Buffer;

const pipe = new Duplex({
  objectMode: true,
  read() {},
  write(message, _, done) {
    window.__walletSend(JSON.stringify(message));
    done();
  },
});
window.__walletReceive = (text) => pipe.push(JSON.parse(text));

const streams = new ObjectMultiplex();
pipe.pipe(streams).pipe(pipe);
initializeProvider({
  connectionStream: streams.createStream("metamask-provider"),
  shouldShimWeb3: false,
  shouldSetOnWindow: false,
  providerInfo: {
    uuid: "0d9f1c6e-3b44-4b0c-9a60-2f6f6f1b7a11",
    name: "MetaMask (test)",
    rdns: "io.metamask",
    icon: "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=",
  },
});
