import crypto, { type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { compileFunction } from "node:vm";
import type ssh2 from "ssh2";
import type { Connection } from "ssh2";

const require = createRequire(import.meta.url);

/**
 * Raises the packet limit of a client that has logged in, because OpenSSH's client sends a whole command in one
 * packet. ssh2 ends a connection at 35,000 bytes; that limit stays before the login.
 */
export function boundPackets(connection: Connection, mostBytes: number): void {
  const { _protocol: protocol } = connection as unknown as Internals;
  const bound = (): void => {
    protocol._decipher.mostBytes = mostBytes;
    // A small packet may inflate to a thousand times its length.
    const inflating = protocol._packetRW.read._zlib;
    if (inflating) inflating._maxOutputLength = mostBytes;
  };
  bound();
  connection.on("rekey", bound);
}

/** Shows a client a text during its login (RFC 4252, 5.4). ssh2 can do that only before the user name is known. */
export function sendBanner(connection: Connection, text: string): void {
  const { _protocol: protocol } = connection as unknown as Internals;
  const { write } = protocol._packetRW;
  const bytes = Buffer.from(text);
  const payload = Buffer.concat([Buffer.from([USERAUTH_BANNER]), getLength(bytes.length), bytes, getLength(0)]);
  const packet = write.alloc(payload.length);
  packet.set(payload, write.allocStart);
  protocol._cipher.encrypt(write.finalize(packet));
}

const USERAUTH_BANNER = 53;

function getLength(bytes: number): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes);
  return length;
}

interface Internals {
  readonly _protocol: {
    readonly _decipher: { mostBytes?: number };
    readonly _cipher: { encrypt(packet: Buffer): void };
    readonly _packetRW: {
      readonly read: { readonly _zlib?: { _maxOutputLength: number } };
      readonly write: { readonly allocStart: number; alloc(bytes: number): Buffer; finalize(packet: Buffer): Buffer };
    };
  };
}

interface Change {
  readonly from: string;
  readonly to: string;
}

interface ChangedFile {
  readonly file: string;
  readonly changes: readonly Change[];
}

/**
 * Offers AES-GCM alone to a client that has it. The client's first choice wins (RFC 4253, 7.1), and OpenSSH before 10.0
 * prefers AES-CTR, which takes nearly twice the processor time.
 */
const offerQuickest = `function offerQuickest({ lists }, remote) {
  const buildSide = (side) => {
    const { cipher, mac, compress, lang } = lists[side];
    const quickest = cipher.array.filter((name) => name.endsWith('-gcm@openssh.com') && remote[side].cipher.includes(name));
    const names = quickest.length > 0 ? quickest : cipher.array;
    return { cipher: names, mac: mac.array, compress: compress.array, lang: lang.array };
  };
  const { kex, serverHostKey } = lists;
  return new KexInit({ kex: kex.array, serverHostKey: serverHostKey.array, cs: buildSide('cs'), sc: buildSide('sc') });
}`;

/** Changed files in the order of loading, because `Protocol.js` loads the others. */
const changedFiles: readonly ChangedFile[] = [
  {
    file: "ssh2/lib/protocol/crypto.js",
    changes: [{ from: "> MAX_PACKET_SIZE", to: "> (this.mostBytes ?? MAX_PACKET_SIZE)" }],
  },
  {
    // OpenSSH's client sends its algorithms at once, so the server may wait for them. Other clients may not.
    file: "ssh2/lib/protocol/kex.js",
    changes: [
      { from: "function handleKexInit(", to: `${offerQuickest}\nfunction handleKexInit(` },
      {
        from: "  const local = self._offer;",
        to: `  if (self._server && !self._kexinit && !self._kex) {
    self._offer = offerQuickest(self._offer, init);
    kexinit(self);
  }
  const local = self._offer;`,
      },
    ],
  },
  {
    // The original closes the connection at an unknown terminal mode. RFC 4254, section 8, stops reading there.
    file: "ssh2/lib/protocol/handlers.misc.js",
    changes: [{ from: "modes = undefined;", to: "" }],
  },
  {
    file: "ssh2/lib/protocol/Protocol.js",
    changes: [
      {
        // The original text lacks a comma, and names SHA-1 and DSA, which are refused.
        from: "'ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521'\n      + 'rsa-sha2-512,rsa-sha2-256,ssh-rsa,ssh-dss'",
        to: "'ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com'",
      },
      // The original keeps the first part of a client's name only, and never ends a name in three parts.
      {
        from: "  if (!this._buffer)\n    this._buffer = bufferSlice(data, op);",
        to: "  this._buffer = bufferSlice(data, op);",
      },
      {
        from: "        kexinit(this);\n\n        return p + 1",
        to: "        if (!this._server || !m[2].startsWith('OpenSSH_')) kexinit(this);\n\n        return p + 1",
      },
    ],
  },
];

/**
 * The server of ssh2 with the changes of `changedFiles`, for which it has no option. Throws if the installed ssh2 has
 * another text.
 */
export const Ssh2Server: typeof ssh2.Server = loadServer();

function loadServer(): typeof ssh2.Server {
  const root = dirname(require.resolve("ssh2/package.json"));
  for (const path of Object.keys(require.cache)) if (path.startsWith(root)) delete require.cache[path];
  for (const changed of changedFiles) loadChanged(changed);
  return (require("ssh2") as typeof ssh2).Server;
}

function loadChanged({ file, changes }: ChangedFile): void {
  const path = require.resolve(file);
  let text = readFileSync(path, "utf8");
  for (const { from, to } of changes) {
    if (!text.includes(from)) throw new Error(`${path} is from another release of ssh2 than Berth was built with`);
    text = text.replaceAll(from, to);
  }
  const module = { exports: {}, filename: path, id: path, loaded: false } as NodeJS.Module;
  require.cache[path] = module;
  const words = ["exports", "require", "module"];
  const ownRequire = createRequire(path);
  const requireWithKeys = (name: string) => (name === "crypto" ? cryptoWithKeyObjects() : ownRequire(name));
  compileFunction(text, words, { filename: path })(module.exports, requireWithKeys, module);
  module.loaded = true;
}

/**
 * Returns node:crypto with one cached key object per key. ssh2 creates up to three ciphers and a MAC for each packet;
 * from a buffer Node takes 40 µs to create one, from a key object 6 to 14 µs.
 */
function cryptoWithKeyObjects(): typeof crypto {
  const objects = new WeakMap<Buffer, KeyObject>();
  const getObject = (key: Buffer): KeyObject => {
    const knownKeyObject = objects.get(key) ?? crypto.createSecretKey(key);
    objects.set(key, knownKeyObject);
    return knownKeyObject;
  };
  const created = ["createCipheriv", "createDecipheriv", "createHmac"] as const;
  const changed = created.map((verb) => {
    const create = crypto[verb] as (algorithm: string, key: KeyObject, ...rest: unknown[]) => unknown;
    return [verb, (algorithm: string, key: Buffer, ...rest: unknown[]) => create(algorithm, getObject(key), ...rest)];
  });
  return { ...crypto, ...Object.fromEntries(changed), randomFillSync: createRandomSource() };
}

const POOL_BYTES = 16 * 1024;

/** Serves small requests from a pool of random bytes, because ssh2 asks for 4 to 19 bytes per packet. Uses no byte twice. */
function createRandomSource() {
  let pool = Buffer.alloc(0);
  return (target: Buffer, start = 0, length = target.length - start): Buffer => {
    if (length > POOL_BYTES) return crypto.randomFillSync(target, start, length);
    if (pool.length < length) pool = crypto.randomBytes(POOL_BYTES);
    pool.copy(target, start, 0, length);
    pool = pool.subarray(length);
    return target;
  };
}
