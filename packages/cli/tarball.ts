import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { packCli } from "./build.ts";

/** Packs the command line as `npm pack` would. The same source gives the same bytes. */
export async function cliTarball(): Promise<Uint8Array<ArrayBuffer>> {
  const out = mkdtempSync(join(tmpdir(), "berth-cli-"));
  try {
    await packCli(join(out, "dist"));
    cpSync(join(import.meta.dirname, "berth.mjs"), join(out, "berth.mjs"));
    cpSync(join(import.meta.dirname, "../../LICENSE"), join(out, "LICENSE"));
    writeFileSync(join(out, "package.json"), description());
    const names = readdirSync(out, { recursive: true, encoding: "utf8" }).toSorted();
    const files = names.filter((name) => statSync(join(out, name)).isFile());
    const entries = files.map((name) => tarEntry(`package/${name}`, readFileSync(join(out, name))));
    const packed = gzipSync(Buffer.concat([...entries, Buffer.alloc(1024)]), { level: 9 });
    // The header names the operating system that compressed it (RFC 1952). 255 is an unknown one.
    packed[9] = 255;
    return new Uint8Array(packed);
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** Returns the package.json of the package. It has no dependencies, because the bundle holds them all. */
function description(): string {
  const { devDependencies: _, ...ownFields } = JSON.parse(
    readFileSync(join(import.meta.dirname, "package.json"), "utf8"),
  );
  return `${JSON.stringify(ownFields, null, 2)}\n`;
}

/** The time that npm pack gives all files. */
const seconds = Date.UTC(1985, 9, 26, 8, 15) / 1000;

/** Returns a file in the ustar format of POSIX.1-2017 (pax, "ustar Interchange Format"), without an owner. */
function tarEntry(name: string, content: Buffer): Buffer {
  if (name.length > 100) throw new Error(`${name} is too long for an archive`);
  const mode = name === "package/berth.mjs" ? 0o755 : 0o644;
  const numbers = [octal(mode, 7), octal(0, 7), octal(0, 7), octal(content.length, 11), octal(seconds, 11)];
  const header = Buffer.alloc(512);
  header.write(name, "latin1");
  // The checksum is computed with spaces in its own place.
  header.write(`${numbers.join("")}        0`, 100, "latin1");
  header.write("ustar\0" + "00", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)} `, 148, "latin1");
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, "0")}\0`;
}
