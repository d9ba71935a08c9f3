import { readdirSync } from "node:fs";
import { join } from "node:path";

/**
 * Of /etc what programs need: no passwords, no keys, no settings of daemons. pip, git and wget find their mirrors there,
 * so credentials do not belong into their files (docs/isolation.md).
 * Of chromium.d all but its `apikeys`.
 */
const ofEtc = `
  alternatives bash.bashrc ca-certificates ca-certificates.conf chromium chromium.d/README chromium.d/default-flags
  chromium.d/dev-shm chromium.d/extensions debian_version environment fonts gai.conf gnutls host.conf
  inputrc ipython java jupyter ld.so.cache ld.so.conf ld.so.conf.d locale.alias locale.conf localtime
  lsb-release magic magic.mime mime.types networks nsswitch.conf nvidia OpenCL openmpi os-release perl pki/ca-trust
  pki/tls pip.conf profile.d protocols python python3 R rpc services shells skel ssl/certs ssl/openssl.cnf
  terminfo timezone vim vulkan wgetrc xattr.conf`
  .trim()
  .split(/\s+/);

/**
 * What of this machine a sandbox shows, read-only: where systems keep their programs, and what those read. Homes, /var,
 * /srv, mounted disks and whatever else the machine has are not there.
 */
export function systemFiles(): string[] {
  return [
    ...programPlaces,
    // One by one: a directory that is one read-only mount has no room for a volume in it.
    ...namesIn("/opt").map((name) => join("/opt", name)),
    ...ofEtc.map((name) => join("/etc", name)),
    "/sys/devices/system",
  ];
}

const programPlaces = ["/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr", "/nix/store"];

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
