import { createHash } from "node:crypto";
import type { CliPackage } from "#http/cli-package.ts";

const bytes = new TextEncoder().encode("a tarball");

/** Returns a package for tests that do not install it. */
export function testCliPackage(): CliPackage {
  return { version: "1.0.0", sha256: createHash("sha256").update(bytes).digest("hex"), bytes };
}
