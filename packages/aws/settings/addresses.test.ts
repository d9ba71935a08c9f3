import { describe, expect, test } from "vitest";
import { allowList, isOwnMachine, isPrivateAddress } from "./addresses.ts";

describe("forbidden addresses", () => {
  test.each([
    ["unspecified", ["0.0.0.0", "0.1.2.3", "::", "0:0:0:0:0:0:0:0"]],
    ["loopback", ["127.0.0.1", "127.255.255.254", "::1"]],
    ["private", ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"]],
    ["shared", ["100.64.0.1", "100.127.255.255"]],
    ["link-local", ["169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1"]],
    [
      "metadata",
      ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "192.0.0.192", "168.63.129.16", "100.100.100.200"],
    ],
    ["unique-local and site-local", ["fc00::1", "fdff::1", "fec0::1"]],
    ["multicast, reserved and broadcast", ["224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "ff02::1"]],
    ["mapped", ["::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.1.2.3", "0:0:0:0:0:ffff:a9fe:a9fe"]],
    ["compatible and translated", ["::127.0.0.1", "::10.0.0.1", "::ffff:0:10.0.0.1"]],
    ["NAT64", ["64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"]],
    ["6to4 and Teredo", ["2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::5", "2001:0:102:304::1"]],
    ["ISATAP", ["2001:db8::5efe:10.0.0.1", "2001:db8::200:5efe:127.0.0.1"]],
    ["ISATAP within a private network", ["fd00::5efe:8.8.8.8", "fe80::200:5efe:8.8.8.8"]],
  ])("%s", (_, addresses) => {
    expect(addresses.filter((address) => !isPrivateAddress(address))).toEqual([]);
  });

  test("exclude public addresses in every form", () => {
    const addresses = [
      ...["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "203.0.113.7"],
      ...["2606:4700::1111", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"],
    ];

    expect(addresses.filter(isPrivateAddress)).toEqual([]);
  });
});

describe("the allow-list", () => {
  test("matches names, addresses and networks of both families", () => {
    const allowed = allowList(["Receiver.internal", "10.1.2.3", "192.168.0.0/24", "fd00::/8"]);

    expect(allowed.hasHost("receiver.internal")).toBe(true);
    expect(allowed.hasHost("other.internal")).toBe(false);
    const inside = ["10.1.2.3", "192.168.0.9", "fd12::1", "::ffff:192.168.0.9"];
    expect(inside.filter((address) => !allowed.hasAddress(address))).toEqual([]);
    expect(["10.1.2.4", "192.168.1.9", "fe80::1"].filter(allowed.hasAddress)).toEqual([]);
  });

  test("refuses an invalid network", () => {
    expect(() => allowList(["10.0.0.0/33"])).toThrow();
  });
});

test("recognises every name and network that would open the machine itself", () => {
  const ownNames = [
    ...["localhost", "a.localhost", "127.0.0.1", "127.0.1.0/24", "::1", "0.0.0.0/0", "::/0", "126.0.0.0/7"],
    ...["169.254.169.254", "169.254.0.0/16", "169.254.170.0/24", "fd00::/8", "::ffff:127.0.0.1", "fe80::/10"],
    ...["168.63.129.16", "100.100.0.0/16", "192.0.0.192/32"],
  ];

  expect(ownNames.filter((entry) => !isOwnMachine(entry))).toEqual([]);
  expect(["10.0.0.0/8", "receiver.internal", "192.168.1.1", "fd12::/16"].filter(isOwnMachine)).toEqual([]);
});
