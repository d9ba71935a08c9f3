import type { Algorithms } from "ssh2";

/**
 * Algorithms that the server offers, besides ssh2's defaults for ciphers and key exchange, which are safe. SHA-1 is left
 * out, and so is compression before the login, because the server would inflate packets of strangers.
 */
export const algorithms: Algorithms = {
  hmac: ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"],
  compress: ["none", "zlib@openssh.com"],
};
