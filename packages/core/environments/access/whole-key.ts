type Length = readonly [least: number, most: number];

const CURVE: Length = [8, 8];
const ED25519: Length = [32, 32];
/** What a security key is for: `ssh:`, or a name of its owner's. */
const APPLICATION: Length = [1, 256];

/**
 * How many bytes each part of a key has after its type: RFC 4253, 6.6; RFC 8709, 4; RFC 5656, 3.1, of points that are
 * not compressed; OpenSSH's PROTOCOL.u2f. Fewer than 1,024 bits of RSA no server takes.
 */
const parts: Readonly<Record<string, readonly Length[]>> = {
  "ssh-rsa": [
    [1, 8],
    [128, 2_049],
  ],
  "ssh-ed25519": [ED25519],
  "ecdsa-sha2-nistp256": [CURVE, [65, 65]],
  "ecdsa-sha2-nistp384": [CURVE, [97, 97]],
  "ecdsa-sha2-nistp521": [CURVE, [133, 133]],
  "sk-ssh-ed25519@openssh.com": [ED25519, APPLICATION],
  "sk-ecdsa-sha2-nistp256@openssh.com": [CURVE, [65, 65], APPLICATION],
};

/** Whether `<type> <base64>` has all parts of such a key and nothing behind them: a cut one would open nothing. */
export function isWholeKey(key: string): boolean {
  const [type = "", blob = ""] = key.split(" ");
  const bytes = bytesOf(blob);
  const lengths = bytes && lengthsIn(bytes);
  const wanted: readonly Length[] = [[type.length, type.length], ...(parts[type] ?? [])];
  return (
    lengths?.length === wanted.length &&
    wanted.every(([least, most], at) => Number(lengths[at]) >= least && Number(lengths[at]) <= most)
  );
}

/** Only of text that is written as servers write it: they compare the text. */
function bytesOf(base64: string): Uint8Array | undefined {
  try {
    const text = atob(base64);
    return btoa(text) === base64 ? Uint8Array.from(text, (character) => character.charCodeAt(0)) : undefined;
  } catch {
    return undefined;
  }
}

/** Each part stands behind its length in four bytes; undefined where they do not end where the bytes do. */
function lengthsIn(bytes: Uint8Array): number[] | undefined {
  const view = new DataView(bytes.buffer);
  const lengths: number[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = view.getUint32(at);
    lengths.push(length);
    at += 4 + length;
  }
  return at === bytes.length ? lengths : undefined;
}
