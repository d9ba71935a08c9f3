import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import "#gateway/ssh/ssh-library.ts";

/**
 * Prints the processor time, in µs, that the gateway's SSH server takes to encrypt one packet of 32 KiB with the
 * cipher and MAC of its arguments.
 */
const PAYLOAD_BYTES = 32 * 1024;
const PACKETS = 1_000;

interface CipherLibrary {
  readonly init: Promise<unknown>;
  readonly CIPHER_INFO: Readonly<Record<string, { readonly keyLen: number; readonly ivLen: number }>>;
  readonly MAC_INFO: Readonly<Record<string, { readonly len: number }>>;
  createCipher(config: object): { allocPacket(bytes: number): Buffer; encrypt(packet: Buffer): void };
}

const library = createRequire(import.meta.url)("ssh2/lib/protocol/crypto.js") as CipherLibrary;
await library.init;
const [cipher = "", mac = ""] = process.argv.slice(2);
encryptPackets(library, cipher, mac);
console.log(String(encryptPackets(library, cipher, mac)));

function encryptPackets({ CIPHER_INFO, MAC_INFO, createCipher }: CipherLibrary, name: string, mac: string): number {
  const [cipherInfo, macInfo] = [CIPHER_INFO[name], MAC_INFO[mac]];
  if (!cipherInfo || !macInfo) throw new Error(`ssh2 has no ${name} or no ${mac}`);
  const cipherKey = randomBytes(cipherInfo.keyLen);
  const cipherIV = randomBytes(cipherInfo.ivLen);
  const macKey = randomBytes(macInfo.len);
  const onWrite = () => undefined;
  const outbound = { seqno: 0, onWrite, cipherInfo, cipherKey, cipherIV, macInfo, macKey };
  const protection = createCipher({ outbound });
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  const begun = process.cpuUsage();
  for (let n = 0; n < PACKETS; n += 1) {
    const packet = protection.allocPacket(PAYLOAD_BYTES);
    packet.set(payload, 5);
    protection.encrypt(packet);
  }
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / PACKETS;
}
