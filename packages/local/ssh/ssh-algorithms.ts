import type { Algorithms } from "ssh2";

/**
 * Algorithms on top of ssh2's safe defaults for ciphers and key exchange. Excludes SHA-1, and compression before the
 * login, because the server would inflate packets of strangers.
 */
export const algorithms: Algorithms = {
  hmac: ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"],
  compress: ["none", "zlib@openssh.com"],
};
