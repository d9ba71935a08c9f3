import { once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "#process/fixture.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)(
  "one connection of several OpenSSH clients, isolation %s",
  (isolation) => {
    const lack = openSshLacks(isolation);
    if (lack !== undefined) {
      it("needs the client and the isolation", ({ skip }) => skip(lack));
      return;
    }

    let fixture: OpenSshFixture;
    beforeEach(async () => {
      fixture = await openOpenSshFixture(isolation);
    });
    afterEach(async () => {
      await fixture.close();
    });
    const begun = async (options: readonly string[]) => {
      const client = fixture.stay(options, "echo up; exec sleep 600");
      await once(client.stdout ?? client, "data");
      return client;
    };

    it("allows ten sessions per connection and frees the place of an ended one", async () => {
      const control = join(fixture.root, "control");
      await begun(["-M", "-S", control]);
      // None of these clients can open its own connection.
      const shared = ["-S", control, "-o", "ProxyCommand=false"];
      const held = await Promise.all(Array.from({ length: 9 }, () => begun(shared)));

      const refused = await fixture.ssh(shared, "echo in");
      const ownAnswer = await fixture.ssh(["-S", control], "echo in");
      held[0]?.kill();
      const later = await eventually(
        () => fixture.ssh(shared, "echo in; exit 3"),
        ({ code }) => code !== 255,
      );

      expect(refused).toEqual({ code: 255, out: "", err: expect.stringContaining("Session open refused by peer") });
      expect(ownAnswer.out).toBe("in\n");
      expect(later).toEqual({ code: 3, out: "in\n", err: "" });
    });
  },
);
