import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

const lack = openSshLacks("none");

const ciphers = [
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

  it.each([
    ["AES-GCM with a client that prefers AES-CTR", "aes128-ctr,aes256-gcm@openssh.com", "aes256-gcm@openssh.com"],
    ["AES-CTR with a client that has no AES-GCM", "aes192-ctr,aes128-ctr", "aes192-ctr"],
  ])("agrees on %s", async (_, offered, agreed) => {
    const words = [...fixture.sshLine.split(" ").slice(1), "-v", "-c", offered, fixture.address, "true"];

    const { code, err } = await fixture.run("ssh", words);

    expect(code).toBe(0);
    for (const way of ["server->client", "client->server"]) expect(err).toContain(`${way} cipher: ${agreed}`);
  });

  it("offers no ChaCha20, and agrees on AES with a client that prefers ChaCha20", async () => {
    const words = fixture.sshLine.split(" ").slice(1);
    const [preferred, only] = ["chacha20-poly1305@openssh.com,aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"];

    const agreed = await fixture.run("ssh", [...words, "-v", "-c", preferred, fixture.address, "true"]);
    const refused = await fixture.run("ssh", [...words, "-v", "-c", only, fixture.address, "true"]);

    expect(agreed.code).toBe(0);
    expect(agreed.err).toContain("server->client cipher: aes256-gcm@openssh.com");
    expect([refused.code, refused.err]).toEqual([255, expect.stringContaining("no matching cipher found")]);
  });
});
