import { BlockList, isIP } from "node:net";

/** Hosts and networks that may be dialled although they are private. */
export interface AllowList {
  hasHost(hostname: string): boolean;
  hasAddress(address: string): boolean;
}

/** Of names, addresses and networks as WEBHOOK_ALLOW lists them. Throws for a network that is none. */
export function allowList(entries: readonly string[]): AllowList {
  const hosts = new Set(entries.filter((entry) => !isNetwork(entry)).map((entry) => entry.toLowerCase()));
  const networks = blockList(entries.filter(isNetwork));
  return { hasHost: (hostname) => hosts.has(hostname), hasAddress: (address) => isIn(networks, bare(address)) };
}

/**
 * Whether a receiver may never be there (docs/apis/novita.md#webhooks): this machine, a private network, the cloud's
 * own services, or no single machine at all. An IPv4 address inside an IPv6 one is judged as what it is.
 */
export function isPrivateAddress(address: string): boolean {
  return isIn(privateNetworks(), bare(address));
}

/** Names that always mean this machine, whether or not the resolver knows them (RFC 6761). */
export function isLoopbackName(hostname: string): boolean {
  return /(^|\.)localhost$/.test(hostname);
}

/** The machine itself and what hands out its credentials: not even an allow-list may name them where it is deployed. */
export function isOwnMachine(entry: string): boolean {
  if (!isNetwork(entry)) return isLoopbackName(entry.toLowerCase());
  const given = blockList([entry]);
  return isIn(ownMachine(), bare(baseOf(entry))) || ownAddresses.some((address) => isIn(given, address));
}

// IANA special-purpose registries (RFC 6890 and its updates), without the nets for documentation: nobody is there.
const privateNetworks = onDemand(() => [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"],
  ...["192.0.0.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"],
  // Azure's own services, at an address that looks public.
  "168.63.129.16",
  ...["64:ff9b:1::/48", "100::/64", "2001::/32", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"],
]);

const ownMachine = onDemand(() => ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "::/128", "::1/128", "fe80::/10"]);
const ownAddresses = ["127.0.0.1", "0.0.0.0", "::1", "::", "169.254.169.254", "169.254.170.2", "fd00:ec2::254"];

/** Made when it is first asked for: most requests on Lambda name no receiver, and making it takes milliseconds. */
function onDemand(entries: () => readonly string[]): () => BlockList {
  let made: BlockList | undefined;
  return () => {
    made ??= blockList(entries());
    return made;
  };
}

function isNetwork(entry: string): boolean {
  return isIP(baseOf(entry)) !== 0;
}

function baseOf(entry: string): string {
  return entry.replace(/\/\d+$/, "");
}

function blockList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const base = baseOf(entry);
    const family = isIP(base) === 6 ? "ipv6" : "ipv4";
    const bits = entry === base ? (family === "ipv6" ? 128 : 32) : Number(entry.slice(base.length + 1));
    list.addSubnet(base, bits, family);
  }
  return list;
}

function isIn(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** Without a zone, and as IPv4 where it holds one. */
function bare(address: string): string {
  const plain = address.replace(/%.*$/, "");
  return isIP(plain) === 6 ? (innerAddress(groupsOf(plain)) ?? plain) : plain;
}

/**
 * The IPv4 address in mapped, compatible (so `::` and `::1` too), translated (RFC 2765), NAT64 (RFC 6052), 6to4
 * (RFC 3056) and ISATAP (RFC 5214) addresses.
 */
function innerAddress(groups: readonly number[]): string | undefined {
  const [first, second, third, , fifth, sixth, seventh, eighth] = groups;
  const leadingZeros = groups.findIndex((group) => group !== 0);
  const isLast =
    leadingZeros === -1 ||
    leadingZeros >= 6 ||
    (leadingZeros === 5 && sixth === 0xffff) ||
    (leadingZeros === 4 && fifth === 0xffff && sixth === 0) ||
    (first === 0x64 && second === 0xff9b && groups.slice(2, 6).every((group) => group === 0)) ||
    ((fifth === 0 || fifth === 0x200) && sixth === 0x5efe);
  if (isLast) return dotted(seventh, eighth);
  return first === 0x2002 ? dotted(second, third) : undefined;
}

function dotted(high = 0, low = 0): string {
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
}

/** The eight numbers of an IPv6 address; the URL parser writes dotted endings as hex. */
function groupsOf(address: string): number[] {
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const numbers = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const [front, back] = [numbers(head), numbers(tail ?? "")];
  return [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
}
