import { once } from "node:events";
import { afterEach, beforeEach, expect } from "vitest";
import { eventually } from "#process/fixture.ts";
import { type LeftOut, type SshGuest, testsExcept } from "./guest.ts";

/** Conformance tests for the agent of an OpenSSH client. The run needs ssh-add. */
export function agentConformance(open: () => Promise<SshGuest>, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  let guest: SshGuest;
  let forwarded: string[];
  beforeEach(async () => {
    guest = await open();
    forwarded = ["-A", "-o", `IdentityAgent=${await guest.startAgent()}`];
  });
  afterEach(() => guest.close());
  const blob = () => guest.key.public.split(" ")[1];

  test("can be reached repeatedly from inside, only by the user of the run", async () => {
    const input = "ssh-add -L; ssh-add -L; stat -c %a $SSH_AUTH_SOCK; stat -c %a $(dirname $SSH_AUTH_SOCK)";
    const { code, out, err } = await guest.ssh(forwarded, input);

    const [first, second, ...modes] = out.split("\n");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect([first?.split(" ")[1], second?.split(" ")[1], modes]).toEqual([blob(), blob(), ["600", "700", ""]]);
  });

  test("is missing if the client does not forward it", async () => {
    const { out } = await guest.ssh([], "printenv SSH_AUTH_SOCK || echo none");

    expect(out).toBe("none\n");
  });

  test("disappears with its socket when its client vanishes", async () => {
    const before = await guest.countProcesses();
    const staying = guest.stay(forwarded, "echo $SSH_AUTH_SOCK; exec sleep 600");
    const [socket] = (await once(staying.stdout ?? staying, "data")) as [Buffer];
    const path = socket.toString().trim();
    const during = await guest.ssh([], `SSH_AUTH_SOCK=${path} ssh-add -L`);

    staying.kill("SIGKILL");
    await eventually(guest.countProcesses, (count) => count <= before);
    const later = await guest.ssh([], `test -e $(dirname ${path})`);

    // Other users of the job are the same Unix user.
    expect(during.out.split(" ")[1]).toBe(blob());
    expect(later.code).toBe(1);
  });
}
