import { isIPv4 } from "node:net";
import { metadataAddresses } from "#core/metadata-addresses.ts";
import { findText } from "../files.ts";

/** The second file lists the upstream servers of systemd-resolved, when the first names only systemd-resolved. */
const places = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/**
 * Returns /etc/resolv.conf for a run's own network, which reaches IPv4 addresses outside the loopback. Undefined if
 * none of this machine's name servers is reachable.
 */
export function resolverSettings(
  texts: readonly string[] = places.map((path) => findText(path) ?? ""),
): string | undefined {
  const [ownSettings = ""] = texts;
  const found = texts.map(reachable).find((lines) => lines.length > 0);
  if (!found && listServers(ownSettings).length > 0) return undefined;
  const others = ownSettings.split("\n").filter((line) => /^(?:search|domain|options)\s/.test(line));
  return [...(found ?? []), ...others].map((line) => `${line}\n`).join("");
}

function reachable(text: string): string[] {
  const isReachable = (address: string) => isIPv4(address) && !/^(?:127|0)\./.test(address);
  return listServers(text)
    .filter(isReachable)
    .map((address) => `nameserver ${address}`);
}

/** Returns the name servers of /etc/resolv.conf at addresses that are otherwise closed to a run's own network. */
export function closedNameServers(settings: string): string[] {
  return listServers(settings).filter(
    (address) => address.startsWith("169.254.") || metadataAddresses.includes(address),
  );
}

function listServers(text: string): string[] {
  return [...text.matchAll(/^nameserver\s+(\S+)/gm)].map(([, address = ""]) => address);
}
