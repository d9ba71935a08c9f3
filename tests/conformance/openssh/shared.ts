import { once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { eventually } from "#process/fixture.ts";
import { type LeftOut, type SshGuest, testsExcept } from "./guest.ts";

/** Conformance tests for several OpenSSH clients on one connection. */
export function sharedConformance(open: () => Promise<SshGuest>, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  let guest: SshGuest;
  beforeEach(async () => {
    guest = await open();
  });
  afterEach(() => guest.close());

  const begun = async (options: readonly string[]) => {
    const client = guest.stay(options, "echo up; exec sleep 600");
    await once(client.stdout ?? client, "data");
    return client;
  };

  test("allows ten sessions per connection and frees the place of an ended one", async () => {
    const control = join(guest.root, "control");
    await begun(["-M", "-S", control]);
    // None of these clients can open its own connection.
    const shared = ["-S", control, "-o", "ProxyCommand=false"];
    const held = await Promise.all(Array.from({ length: 9 }, () => begun(shared)));

    const refused = await guest.ssh(shared, "echo in");
    const ownAnswer = await guest.ssh(["-S", control], "echo in");
    held[0]?.kill();
    const later = await eventually(
      () => guest.ssh(shared, "echo in; exit 3"),
      ({ code }) => code !== 255,
    );

    expect(refused).toEqual({ code: 255, out: "", err: expect.stringContaining("Session open refused by peer") });
    expect(ownAnswer.out).toBe("in\n");
    expect(later).toEqual({ code: 3, out: "in\n", err: "" });
  });
}
