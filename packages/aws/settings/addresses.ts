import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { metadataAddresses } from "#core/metadata-addresses.ts";

export interface AllowList {
  hasHost(hostname: string): boolean;
  hasAddress(address: string): boolean;
}

/** Parses the entries of WEBHOOK_ALLOW. Throws for an invalid network. */
export function allowList(entries: readonly string[]): AllowList {
  const hosts = new Set(entries.filter((entry) => !isNetwork(entry)).map((entry) => entry.toLowerCase()));
  const networks = entries.filter(isNetwork).map(getNetwork);
  return { hasHost: (hostname) => hosts.has(hostname), hasAddress: (address) => isIn(networks, getAddress(address)) };
}

/** Reports whether receivers may not use an address (docs/apis/novita.md#webhooks), in IPv4 or IPv6 form. */
export function isPrivateAddress(address: string): boolean {
  return isIn(privateNetworks(), getAddress(address)) || isIn(privateNetworks(), parse(address));
}

/** Reports whether a name always means this machine, even if the resolver does not know it (RFC 6761). */
export function isLoopbackName(hostname: string): boolean {
  return /(^|\.)localhost$/.test(hostname);
}

/** Reports whether an entry covers this machine or its credential service. A deployed allow-list must not. */
export function isOwnMachine(entry: string): boolean {
  if (!isNetwork(entry)) return isLoopbackName(entry.toLowerCase());
  const networks = [getNetwork(entry)];
  return isIn(ownNetworks(), getAddress(getBase(entry))) || ownAddresses().some((address) => isIn(networks, address));
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = readonly [Address, number];

// IANA special-purpose registries (RFC 6890 and its updates), without the networks for documentation, which have no
// hosts. ipaddr.js's own ranges include those and change with its versions; this list is part of the API.
const privateNetworks = parsedLater(() =>
  `
  0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.88.99.0/24
  192.168.0.0/16 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4
  64:ff9b:1::/48 100::/64 2001::/32 fc00::/7 fe80::/10 fec0::/10 ff00::/8`
    .trim()
    .split(/\s+/)
    .concat(metadataAddresses)
    .map(getNetwork),
);

const ownNetworks = parsedLater(() =>
  ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "::/128", "::1/128", "fe80::/10"].map(getNetwork),
);
const ownAddresses = parsedLater(() =>
  [..."127.0.0.1 0.0.0.0 ::1 :: 169.254.169.254 169.254.170.2 fd00:ec2::254".split(" "), ...metadataAddresses].map(
    parse,
  ),
);

/** Parses a list on first use. It takes two milliseconds, and most functions never need it. */
function parsedLater<Parsed>(parseList: () => readonly Parsed[]): () => readonly Parsed[] {
  let parsed: readonly Parsed[] | undefined;
  return () => {
    parsed ??= parseList();
    return parsed;
  };
}

function isNetwork(entry: string): boolean {
  return isIP(getBase(entry)) !== 0;
}

function getBase(entry: string): string {
  return entry.replace(/\/\d+$/, "");
}

function getNetwork(entry: string): Network {
  if (entry.includes("/")) return ipaddr.parseCIDR(entry);
  const address = ipaddr.parse(entry);
  return [address, address.kind() === "ipv6" ? 128 : 32];
}

/** Reports whether a network contains the address. IPv6 networks contain IPv4 addresses as mapped ones. */
function isIn(networks: readonly Network[], address: Address): boolean {
  const mapped = address instanceof ipaddr.IPv4 ? address.toIPv4MappedAddress() : address;
  return networks.some(([base, bits]) => {
    const it = base instanceof ipaddr.IPv4 ? address : mapped;
    return it.kind() === base.kind() && it.match(base, bits);
  });
}

function parse(text: string): Address {
  return ipaddr.parse(text.replace(/%.*$/, ""));
}

/** Returns the contained IPv4 address, if there is one. */
function getAddress(text: string): Address {
  const address = parse(text);
  return address instanceof ipaddr.IPv6 ? (innerAddress(address) ?? address) : address;
}

const sixToFour = parsedLater(() => [getNetwork("2002::/16")]);

/** Prefixes of mapped, compatible (also `::` and `::1`), translated (RFC 2765) and NAT64 (RFC 6052) addresses. */
const beforeIpv4 = parsedLater(() => ["::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96"].map(getNetwork));

/** Returns the IPv4 address in a 6to4 (RFC 3056), ISATAP (RFC 5214) or prefixed address. */
function innerAddress(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const bytes = address.toByteArray();
  if (isIn(sixToFour(), address)) return new ipaddr.IPv4(bytes.slice(2, 6));
  const isIsatap = /^[02],0,94,254$/.test(bytes.slice(8, 12).join());
  return isIsatap || isIn(beforeIpv4(), address) ? new ipaddr.IPv4(bytes.slice(12)) : undefined;
}
