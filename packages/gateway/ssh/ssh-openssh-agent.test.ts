import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, listProcesses } from "#process/fixture.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)("the agent of an OpenSSH client, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  let forwarded: string[];
  beforeEach(async () => {
    fixture = await openOpenSshFixture(isolation);
    forwarded = ["-A", "-o", `IdentityAgent=${await fixture.startAgent()}`];
  });
  afterEach(async () => {
    await fixture.close();
  });
  const blob = () => fixture.key.public.split(" ")[1];

  it("can be reached repeatedly from inside, only by the user of the run", async () => {
    const input = "ssh-add -L; ssh-add -L; stat -c %a $SSH_AUTH_SOCK; stat -c %a $(dirname $SSH_AUTH_SOCK)";
    const { code, out, err } = await fixture.ssh(forwarded, input);

    const [first, second, ...modes] = out.split("\n");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect([first?.split(" ")[1], second?.split(" ")[1], modes]).toEqual([blob(), blob(), ["600", "700", ""]]);
  });

  it("is missing if the client does not forward it", async () => {
    const { out } = await fixture.ssh([], "printenv SSH_AUTH_SOCK || echo none");

    expect(out).toBe("none\n");
  });

  it("disappears with its socket when its client vanishes", async () => {
    const before = listProcesses(fixture.home, fixture.uid).length;
    const staying = fixture.stay(forwarded, "echo $SSH_AUTH_SOCK; exec sleep 600");
    const [socket] = (await once(staying.stdout ?? staying, "data")) as [Buffer];
    const path = socket.toString().trim();
    const during = await fixture.ssh([], `SSH_AUTH_SOCK=${path} ssh-add -L`);

    staying.kill("SIGKILL");
    await eventually(
      () => listProcesses(fixture.home, fixture.uid).length,
      (count) => count <= before,
    );
    const later = await fixture.ssh([], `test -e $(dirname ${path})`);

    // Other users of the job are the same Unix user.
    expect(during.out.split(" ")[1]).toBe(blob());
    expect(later.code).toBe(1);
  });
});
