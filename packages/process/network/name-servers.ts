import { readFileSync } from "node:fs";
import { isIPv4 } from "node:net";
import { metadataAddresses } from "#core/metadata-addresses.ts";

/** The second is systemd-resolved's: whom it asks itself, where the first names nobody but it. */
const places = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/**
 * What /etc/resolv.conf is to say in a network of its own, which reaches IPv4 addresses other than the loopback's alone.
 * undefined: this machine has name servers, and none of them can be asked from there.
 */
export function resolverSettings(texts: readonly string[] = places.map(formatText)): string | undefined {
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

/** Returns the name servers of /etc/resolv.conf whose other ports a network of its own does not reach. */
export function closedNameServers(settings: string): string[] {
  return listServers(settings).filter(
    (address) => address.startsWith("169.254.") || metadataAddresses.includes(address),
  );
}

function listServers(text: string): string[] {
  return [...text.matchAll(/^nameserver\s+(\S+)/gm)].map(([, address = ""]) => address);
}

function formatText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
