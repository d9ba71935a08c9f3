/** Returns the IPv4 address of a client that reached an IPv6 socket by IPv4 (RFC 4291, 2.5.5.2). */
export function withoutMapping(address: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  return mapped ?? address;
}
