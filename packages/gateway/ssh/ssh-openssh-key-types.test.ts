import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parsePublicKey } from "#core/environments/access/ssh-keys.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe("an OpenSSH client with a key made by ssh-keygen", () => {
  const lack = openSshLacks("none");
  if (lack !== undefined) {
    it("needs the client", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  beforeAll(async () => {
    fixture = await openOpenSshFixture("none");
  });
  afterAll(async () => {
    await fixture.close();
  });

  const kinds = ["rsa 2048", "ecdsa 256", "ecdsa 384", "ecdsa 521", "ed25519 256"];
  it.each(kinds.map((kind, n) => [kind, n + 1] as const))(
    "of %s gets in, by the public key that a job takes",
    async (kind, revision) => {
      const [type = "", bits = ""] = kind.split(" ");
      const file = join(fixture.root, `${type}-${bits}`);
      execFileSync("ssh-keygen", ["-q", "-t", type, "-b", bits, "-N", "", "-C", "me at a laptop", "-f", file]);
      const key = parsePublicKey(readFileSync(`${file}.pub`, "utf8")) ?? "none";
      await fixture.compute.setAccess(fixture.uid, 1, { revision, login: fixture.login, keys: [key], jupyter: null });

      const answer = await fixture.ssh(["-i", file], "echo in");

      expect(answer).toEqual({ code: 0, out: "in\n", err: "" });
    },
  );

  /** Runs the client with its verbose messages. */
  const loud = (...words: string[]) => {
    const line = fixture.sshLine.replace("LogLevel=ERROR", "LogLevel=INFO").split(" ").slice(1);
    return fixture.run("ssh", [...line, ...words, fixture.address, "echo in"]);
  };
  const newRsaKey = (bits: number) => {
    const file = join(fixture.root, `rsa-${bits}`);
    execFileSync("ssh-keygen", ["-q", "-t", "rsa", "-b", String(bits), "-N", "", "-f", file]);
    const [type, blob] = readFileSync(`${file}.pub`, "utf8").split(" ");
    return { file, key: `${type} ${blob}` };
  };

  it.each([1_024, 1_536])("of rsa %d is refused with a message, although it was admitted before", async (bits) => {
    const { file, key } = newRsaKey(bits);
    await fixture.compute.setAccess(fixture.uid, 1, {
      revision: bits,
      login: fixture.login,
      keys: [key],
      jupyter: null,
    });

    const { code, out, err } = await loud("-i", file);

    expect({ code, out }).toEqual({ code: 255, out: "" });
    expect(err).toContain(`The RSA key has ${bits} bits, and at least 2048 are required`);
    expect(err).toContain("Permission denied (publickey)");
  });

  it("of rsa is refused if the client signs only with SHA-1, and admitted with SHA-512", async () => {
    const { file, key } = newRsaKey(3_072);
    await fixture.compute.setAccess(fixture.uid, 1, {
      revision: 9_999,
      login: fixture.login,
      keys: [key],
      jupyter: null,
    });

    const old = await loud("-i", file, "-o", "PubkeyAcceptedAlgorithms=ssh-rsa");
    const today = await loud("-i", file, "-o", "PubkeyAcceptedAlgorithms=rsa-sha2-512");

    expect({ code: old.code, out: old.out }).toEqual({ code: 255, out: "" });
    expect(old.err).toContain("Permission denied (publickey)");
    expect(today).toMatchObject({ code: 0, out: "in\n" });
  });

  it("is offered no SHA-1, no CBC and no compression before the login", async () => {
    const { err } = await fixture.ssh(["-vv"], "true");

    const [, proposal = ""] = err.split("peer server KEXINIT proposal");
    const offered = [...proposal.matchAll(/debug2: (.*?): (.*?)\r?\n/g)].slice(0, 8);
    const names = offered.flatMap(([, , list = ""]) => list.split(","));
    expect(names).toContain("hmac-sha2-256-etm@openssh.com");
    expect(names.filter((name) => /sha1|md5|cbc|arcfour|dss|^ssh-rsa$|^zlib$/.test(name))).toEqual([]);
    const [, algorithms = ""] = /server-sig-algs=<(.*)>/.exec(err) ?? [];
    expect(algorithms.split(",")).toContain("rsa-sha2-512");
    expect(algorithms.split(",")).not.toContain("ssh-rsa");
  });
});
