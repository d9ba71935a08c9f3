import { expect, it } from "vitest";
import { closedNameServers, resolverSettings } from "./name-servers.ts";

it("keeps the name servers that are reached from a network of its own, and how names are looked for", () => {
  const ownName =
    "# made by hand\nsearch lab.example\nnameserver ::1\nnameserver 127.0.0.53\nnameserver 10.1.2.3\noptions edns0\n";

  expect(resolverSettings([ownName, ""])).toBe("nameserver 10.1.2.3\nsearch lab.example\noptions edns0\n");
});

it("asks whom systemd-resolved asks where that is the machine's only one", () => {
  const ownName = "nameserver 127.0.0.53\nsearch lab.example\n";

  expect(resolverSettings([ownName, "nameserver fd00::1\nnameserver 10.1.2.3\n"])).toBe(
    "nameserver 10.1.2.3\nsearch lab.example\n",
  );
});

it("says nothing where there is none, and that it cannot be where none is reached", () => {
  expect(resolverSettings(["", ""])).toBe("");
  expect(resolverSettings(["nameserver 127.0.0.1\nnameserver 0.0.0.0\n", ""])).toBeUndefined();
  expect(resolverSettings(["nameserver fd00::1\n", "nameserver 127.0.0.1\n"])).toBeUndefined();
});

it("finds those at addresses that are closed but for names", () => {
  const servers = ["10.1.2.3", "169.254.169.253", "168.63.129.16", "168.63.129.17"];
  const settings = `${servers.map((server) => `nameserver ${server}\n`).join("")}search 169.254.example\n`;

  expect(closedNameServers(settings)).toEqual(["169.254.169.253", "168.63.129.16"]);
});
