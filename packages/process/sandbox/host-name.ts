import { findText } from "../files.ts";

/** Longest label of a host name (RFC 1035, section 2.3.4). */
const LONGEST_LABEL = 63;

/** Returns a host name of one label that no resolver reads as an address. */
export function hostNameFor(name: string): string {
  const label = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, LONGEST_LABEL)
    .replace(/^-|-$/g, "");
  // inet_aton(3) reads a number as an address.
  return label === "" || /^(?:0x[0-9a-f]*|\d+)$/.test(label) ? `environment-${label}`.replace(/-$/, "") : label;
}

export function machineHostName(hostName: string, rank: number): string {
  if (rank === 0) return hostName;
  const end = `-${rank}`;
  return `${hostName.slice(0, LONGEST_LABEL - end.length).replace(/-$/, "")}${end}`;
}

/** Returns /etc/hosts of a sandbox. All machines of a run share one loopback interface. */
export function hostsInside(hostName: string, machines: number): string {
  return `127.0.0.1 localhost ${listHostNames(hostName, machines).join(" ")}\n::1 localhost\n${findText("/etc/hosts") ?? ""}`;
}

export function listHostNames(hostName: string, machines: number): string[] {
  return Array.from({ length: machines }, (_, rank) => machineHostName(hostName, rank));
}
