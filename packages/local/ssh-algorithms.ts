import type { Algorithms } from "ssh2";

/**
 * Algorithms that the server offers beside ssh2's defaults for ciphers and key exchange, which are sound: no SHA-1, and
 * no compression before the login, where a stranger's packets would be inflated.
 */
export const algorithms: Algorithms = {
  hmac: ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"],
  compress: ["none", "zlib@openssh.com"],
};
