import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { publicKeyOf } from "#core/environments/access/ssh-keys.ts";
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
      const key = publicKeyOf(readFileSync(`${file}.pub`, "utf8")) ?? "none";
      await fixture.compute.setAccess(fixture.uid, 1, { revision, login: fixture.login, keys: [key], jupyter: null });

      const answer = await fixture.ssh(["-i", file], "echo in");

      expect(answer).toEqual({ code: 0, out: "in\n", err: "" });
    },
  );
});
