import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Measure, median, type Row } from "../measure.ts";

const ROUNDS = 5;
const program = fileURLToPath(new URL("encrypt-packets.ts", import.meta.url));

/** ChaCha20, which the gateway does not offer, and AES with the MAC that OpenSSH's client takes for it. */
const ciphers = ["chacha20-poly1305@openssh.com", "aes128-ctr", "aes128-gcm@openssh.com"] as const;
const MAC = "hmac-sha2-256-etm@openssh.com";

/** Processor time of the SSH server for the encryption of one large packet. The numbers have no limits. */
export const cipherTimes: Measure = {
  name: "ciphers",
  async run() {
    return ciphers.map((name): Row => {
      const values = Array.from({ length: ROUNDS }, () => Number(execFileSync(process.execPath, [program, name, MAC])));
      const note = `processor time; p50 of ${ROUNDS} processes`;
      return { name: `SSH packet of 32 KiB by ${name}`, value: median(values), unit: "µs", note };
    });
  },
};
