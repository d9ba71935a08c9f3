import { expect, it } from "vitest";
import { closedNameServers, resolverSettings } from "./network.ts";

it("keeps reachable name servers and the search settings", () => {
  const ownName =
    "# made by hand\nsearch lab.example\nnameserver ::1\nnameserver 127.0.0.53\nnameserver 10.1.2.3\noptions edns0\n";

  expect(resolverSettings([ownName, ""])).toBe("nameserver 10.1.2.3\nsearch lab.example\noptions edns0\n");
});

it("uses the upstream servers of systemd-resolved if that is the only server", () => {
  const ownName = "nameserver 127.0.0.53\nsearch lab.example\n";

  expect(resolverSettings([ownName, "nameserver fd00::1\nnameserver 10.1.2.3\n"])).toBe(
    "nameserver 10.1.2.3\nsearch lab.example\n",
  );
});

it("is empty without name servers, and undefined if none is reachable", () => {
  expect(resolverSettings(["", ""])).toBe("");
  expect(resolverSettings(["nameserver 127.0.0.1\nnameserver 0.0.0.0\n", ""])).toBeUndefined();
  expect(resolverSettings(["nameserver fd00::1\n", "nameserver 127.0.0.1\n"])).toBeUndefined();
});

it("finds name servers at otherwise closed addresses", () => {
  const servers = ["10.1.2.3", "169.254.169.253", "168.63.129.16", "168.63.129.17"];
  const settings = `${servers.map((server) => `nameserver ${server}\n`).join("")}search 169.254.example\n`;

  expect(closedNameServers(settings)).toEqual(["169.254.169.253", "168.63.129.16"]);
});
