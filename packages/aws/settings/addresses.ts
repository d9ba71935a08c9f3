import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { metadataAddresses } from "#core/metadata-addresses.ts";

/** Hosts and networks that may be dialled although they are private. */
export interface AllowList {
  hasHost(hostname: string): boolean;
  hasAddress(address: string): boolean;
}

/** Of names, addresses and networks as WEBHOOK_ALLOW lists them. Throws for a network that is none. */
export function allowList(entries: readonly string[]): AllowList {
  const hosts = new Set(entries.filter((entry) => !isNetwork(entry)).map((entry) => entry.toLowerCase()));
  const networks = entries.filter(isNetwork).map(getNetwork);
  return { hasHost: (hostname) => hosts.has(hostname), hasAddress: (address) => isIn(networks, getAddress(address)) };
}

/**
 * Whether a receiver may never be there (docs/apis/novita.md#webhooks): this machine, a private network, the cloud's
 * own services, or no single machine at all. An IPv6 address that holds an IPv4 one is judged as both.
 */
export function isPrivateAddress(address: string): boolean {
  return isIn(privateNetworks(), getAddress(address)) || isIn(privateNetworks(), parse(address));
}

/** Names that always mean this machine, whether or not the resolver knows them (RFC 6761). */
export function isLoopbackName(hostname: string): boolean {
  return /(^|\.)localhost$/.test(hostname);
}

/** The machine itself and what hands out its credentials: not even an allow-list may name them where it is deployed. */
export function isOwnMachine(entry: string): boolean {
  if (!isNetwork(entry)) return isLoopbackName(entry.toLowerCase());
  const networks = [getNetwork(entry)];
  return isIn(ownNetworks(), getAddress(getBase(entry))) || ownAddresses().some((address) => isIn(networks, address));
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = readonly [Address, number];

// IANA special-purpose registries (RFC 6890 and its updates), without the nets for documentation: nobody is there. A
// list and not ipaddr.js's own ranges, which count those in and move with its versions: this one is the contract's.
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

/** Parses a list when somebody asks for it first: two milliseconds, which most functions never need. */
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

/** A network of IPv6 holds IPv4 addresses as mapped ones. */
function isIn(networks: readonly Network[], address: Address): boolean {
  const mapped = address instanceof ipaddr.IPv4 ? address.toIPv4MappedAddress() : address;
  return networks.some(([base, bits]) => {
    const it = base instanceof ipaddr.IPv4 ? address : mapped;
    return it.kind() === base.kind() && it.match(base, bits);
  });
}

/** Without a zone. */
function parse(text: string): Address {
  return ipaddr.parse(text.replace(/%.*$/, ""));
}

/** As IPv4 where it holds one. */
function getAddress(text: string): Address {
  const address = parse(text);
  return address instanceof ipaddr.IPv6 ? (innerAddress(address) ?? address) : address;
}

const sixToFour = parsedLater(() => [getNetwork("2002::/16")]);

/** Of mapped, compatible (so `::` and `::1` too), translated (RFC 2765) and NAT64 (RFC 6052) addresses. */
const beforeIpv4 = parsedLater(() => ["::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96"].map(getNetwork));

/** Also in 6to4 (RFC 3056) and ISATAP (RFC 5214) addresses. */
function innerAddress(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const bytes = address.toByteArray();
  if (isIn(sixToFour(), address)) return new ipaddr.IPv4(bytes.slice(2, 6));
  const isIsatap = /^[02],0,94,254$/.test(bytes.slice(8, 12).join());
  return isIsatap || isIn(beforeIpv4(), address) ? new ipaddr.IPv4(bytes.slice(12)) : undefined;
}
