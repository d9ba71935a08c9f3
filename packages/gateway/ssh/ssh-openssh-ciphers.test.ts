import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

const lack = openSshLacks("none");

const ciphers = [
  ["chacha20-poly1305@openssh.com", "hmac-sha2-256"],
  ["aes128-gcm@openssh.com", "hmac-sha2-256"],
  ["aes256-gcm@openssh.com", "hmac-sha2-256"],
  ["aes128-ctr", "hmac-sha2-256-etm@openssh.com"],
  ["aes256-ctr", "hmac-sha2-512-etm@openssh.com"],
  ["aes256-ctr", "hmac-sha2-256"],
] as const;

describe("the transport of SSH, with the OpenSSH client", () => {
  if (lack !== undefined) {
    it("needs the client", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  beforeAll(async () => {
    fixture = await openOpenSshFixture("none");
  });
  afterAll(() => fixture.close());

  it.each(ciphers)(
    "carries half a megabyte in both directions by %s with %s, even across a rekey",
    async (cipher, mac) => {
      const input = randomBytes(250_000).toString("hex");
      const options = ["-c", cipher, "-o", `MACs=${mac}`, "-o", "RekeyLimit=100K"];
      const words = [...fixture.sshLine.split(" ").slice(1), ...options, fixture.address, "cat"];

      const { code, out } = await fixture.run("ssh", words, input);

      expect([code, out === input]).toEqual([0, true]);
    },
  );
});
