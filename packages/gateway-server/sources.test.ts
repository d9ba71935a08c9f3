import { expect, it } from "vitest";
import { allowedSources } from "./sources.ts";

it.each([
  ["192.0.2.7", true],
  ["192.0.3.7", false],
  ["::ffff:192.0.2.7", true],
  ["::ffff:192.0.3.7", false],
  ["198.51.100.4", true],
  ["198.51.100.5", false],
  ["2001:db8:1::9", true],
  ["2001:db8:2::9", false],
  ["2001:db8::5", true],
  ["2001:db8::6", false],
  // An address in the form of ISATAP: its sender chooses the IPv4 address in it.
  ["2001:db8:2::5efe:192.0.2.7", false],
  ["2002:c000:207::1", false],
  ["fe80::1%eth0", false],
  ["", false],
  ["name", false],
])("a client at %j is allowed: %j", (address, isAllowed) => {
  const allows = allowedSources(["192.0.2.0/24", "198.51.100.4", "2001:db8:1::/48", "2001:db8::5"]);

  expect(allows(address)).toBe(isAllowed);
});

it("an empty list allows all addresses, and a network of all addresses those of its family", () => {
  const anything = allowedSources([]);
  const everyIpv4 = allowedSources(["0.0.0.0/0"]);

  expect([anything("192.0.2.7"), anything("2001:db8::5")]).toEqual([true, true]);
  expect([everyIpv4("192.0.2.7"), everyIpv4("2001:db8::5")]).toEqual([true, false]);
});
