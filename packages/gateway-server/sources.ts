import { BlockList, isIP, isIPv4 } from "node:net";
import { withoutMapping } from "#gateway/ports/client-address.ts";

/** Reports whether a client may connect from an address. */
export type AllowsSource = (address: string) => boolean;

/** Returns the check for ALLOWED_SOURCES: addresses and networks, IPv4 and IPv6. An empty list allows all. */
export function allowedSources(entries: readonly string[]): AllowsSource {
  if (entries.length === 0) return () => true;
  const networks = new BlockList();
  for (const entry of entries) {
    const [base = "", bits] = entry.split("/");
    const [family, allBits] = isIPv4(base) ? (["ipv4", 32] as const) : (["ipv6", 128] as const);
    networks.addSubnet(base, bits === undefined ? allBits : Number(bits), family);
  }
  return (text) => {
    const [address = ""] = withoutMapping(text).split("%");
    if (isIP(address) === 0) return false;
    return networks.check(address, isIPv4(address) ? "ipv4" : "ipv6");
  };
}
