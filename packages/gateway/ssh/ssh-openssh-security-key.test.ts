import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  newSecurityKey,
  type SecurityKey,
  type SecurityKeyType,
  serveSecurityKey,
} from "./login/ssh-security-key-fixture.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

const types: readonly SecurityKeyType[] = ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"];

describe.each(types)("an OpenSSH client with %s", (type) => {
  const lack = openSshLacks("none");
  if (lack !== undefined) {
    it("needs the client", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  let key: SecurityKey;
  let stop = () => {};
  beforeEach(async () => {
    fixture = await openOpenSshFixture("none");
    key = newSecurityKey(type);
    const login = { revision: 1, login: fixture.login, keys: [key.public], jupyter: null };
    await fixture.compute.setAccess(fixture.uid, 1, login);
  });
  afterEach(async () => {
    stop();
    await fixture.close();
  });

  /** Logs in with an agent that holds a security key. `flags` say whether the key was touched. */
  async function askWith(held: SecurityKey, flags?: number) {
    const [agent, shown] = [join(fixture.root, "agent"), join(fixture.root, "shown.pub")];
    stop = await serveSecurityKey(agent, held, flags);
    writeFileSync(shown, `${key.public}\n`, { mode: 0o600 });
    return await fixture.ssh(["-i", shown, "-o", `IdentityAgent=${agent}`], "echo in");
  }

  it("is admitted", async () => {
    expect(await askWith(key)).toEqual({ code: 0, out: "in\n", err: "" });
  });

  it("refuses a signature without a touch", async () => {
    const { code, err } = await askWith(key, 0);

    expect({ code, err }).toMatchObject({ code: 255, err: expect.stringContaining("Permission denied (publickey)") });
  });

  it("is refused if another key signed", async () => {
    const { code, err } = await askWith({ public: key.public, sign: newSecurityKey(type).sign });

    expect({ code, err }).toMatchObject({ code: 255, err: expect.stringContaining("Permission denied (publickey)") });
  });
});
