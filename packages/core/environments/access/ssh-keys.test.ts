import { ECDH, generateKeyPairSync, type JsonWebKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ownKeys, parsePublicKey, usableKeys } from "./ssh-keys.ts";
import { weakRsaBits } from "./whole-key.ts";

/** Returns a line with a valid beginning of a key of this type. */
function formatLine(type: string, rest = "comment"): string {
  const name = Buffer.from(type);
  const blob = Buffer.concat([Buffer.from([0, 0, 0, name.length]), name, Buffer.alloc(48, type)]);
  return `${type} ${blob.toString("base64")} ${rest}`;
}

const types = [
  ...["ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"],
  ...["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"],
];

describe("an RSA key of fewer than 2,048 bits", () => {
  const weak = [128, 192, 255].map((bytes) => {
    return keyOfParts("ssh-rsa", exponent, Buffer.concat([Buffer.alloc(1), Buffer.alloc(bytes, 255)]));
  });

  it("is refused from GitHub, in a submit and in a request", () => {
    expect(usableKeys(weak.join("\n"))).toEqual([]);
    expect(ownKeys(weak)).toEqual({ keys: [], areAllUsable: false });
    expect(weak.map(parsePublicKey)).toEqual([undefined, undefined, undefined]);
  });

  it("differs from other keys by its bits", () => {
    expect(weak.map(weakRsaBits)).toEqual([1_024, 1_536, 2_040]);
    expect([keyOfParts("ssh-rsa", exponent, modulus), formatLine("ssh-rsa"), "ssh-rsa", ""].map(weakRsaBits)).toEqual([
      ...[undefined, undefined, undefined, undefined],
    ]);
  });
});

describe("usable keys", () => {
  it.each(types)("have the type %s, and lose their comments", (type) => {
    const [, blob] = formatLine(type).split(" ");

    expect(usableKeys(`${formatLine(type)}\n`)).toEqual([`${type} ${blob}`]);
  });

  it("have no other types", () => {
    const others = ["ssh-dss", "ssh-rsa-cert-v01@openssh.com", "SSH-RSA", "ssh-ed448"].map((type) => formatLine(type));

    expect(usableKeys(others.join("\n"))).toEqual([]);
  });

  it.each([
    `command="sh" ${formatLine("ssh-ed25519")}`,
    `no-pty,${formatLine("ssh-ed25519")}`,
    ` ${formatLine("ssh-ed25519")}`,
    `${formatLine("ssh-ed25519")}\rssh-rsa`,
    `${formatLine("ssh-ed25519")}\0`,
    formatLine("ssh-ed25519").replace("ssh-ed25519 ", "ssh-rsa "),
    "ssh-ed25519 AAAA",
    "ssh-ed25519",
    "ssh-ed25519 not*base64*at*all*but*long*enough*to*be*a*key*of*some*kind",
    "<html>not found</html>",
    `ssh-rsa ${"A".repeat(5_000)}`,
  ])("exclude lines like %j", (line) => {
    expect(usableKeys(line)).toEqual([]);
  });

  it("are listed once each, in order, and at most 64", () => {
    const [first, second] = [formatLine("ssh-rsa"), formatLine("ssh-ed25519")];
    const many = Array.from({ length: 100 }, (_, n) => {
      const blob = Buffer.from(formatLine("ssh-ed25519").split(" ")[1] ?? "", "base64");
      blob[40] = n;
      return `ssh-ed25519 ${blob.toString("base64")}`;
    });

    const keys = usableKeys([first, second, `${first} again`, ...many].join("\r\n"));

    expect(keys.slice(0, 2).map((key) => key.split(" ")[0])).toEqual(["ssh-rsa", "ssh-ed25519"]);
    expect(keys).toHaveLength(64);
  });
});

describe("keys that were sent one by one", () => {
  const line = formatLine("ssh-ed25519", "me@laptop");
  const key = line.split(" ").slice(0, 2).join(" ");

  it.each([line, key, `${line}\n`, `${line}\r\n`, `${line} \n\n`])("are accepted as %j", (text) => {
    expect(ownKeys([text])).toEqual({ keys: [key], areAllUsable: true });
  });

  it.each([
    `${line}\n${formatLine("ssh-rsa")}`,
    `${line}\rcommand="sh"`,
    `command="sh" ${line}`,
    `no-pty ${line}`,
    ` ${line}`,
    "ssh-ed25519 AAAA",
    "",
  ])("are rejected as %j, with a reason", (text) => {
    expect(ownKeys([text, line])).toEqual({ keys: [key], areAllUsable: false });
  });

  it("may be absent", () => {
    expect([ownKeys(undefined), ownKeys([])]).toEqual([1, 2].map(() => ({ keys: [], areAllUsable: true })));
  });
});

/** Returns a key of these parts, each after its length. */
function keyOfParts(type: string, ...parts: readonly (string | Uint8Array)[]): string {
  const bytes = [type, ...parts].map((part) => Buffer.from(part as string));
  const sized = bytes.flatMap((part) => [Buffer.from([0, 0, part.length >> 8, part.length & 255]), part]);
  return `${type} ${Buffer.concat(sized).toString("base64")}`;
}

const names = { nistp256: "prime256v1", nistp384: "secp384r1", nistp521: "secp521r1" } as const;

function pointOn(curve: keyof typeof names): Buffer {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: names[curve] });
  const { x = "", y = "" } = publicKey.export({ format: "jwk" }) as JsonWebKey;
  return Buffer.concat([Buffer.from([4]), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
}

/** Returns the same point with a zero before each coordinate, which is longer than SEC 1 allows. */
function padded(point: Buffer): Buffer {
  const length = (point.length - 1) / 2;
  const zero = Buffer.alloc(1);
  return Buffer.concat([point.subarray(0, 1), zero, point.subarray(1, 1 + length), zero, point.subarray(1 + length)]);
}

function edwardsPoint(): Buffer {
  const { publicKey } = generateKeyPairSync("ed25519");
  return Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
}

/** Made once by node:crypto; its modulus has 256 bytes without the sign byte. */
const { n: modulusText = "" } = generateKeyPairSync("rsa", { modulusLength: 2_048 }).publicKey.export({
  format: "jwk",
});
const modulus = Buffer.concat([Buffer.alloc(1), Buffer.from(modulusText, "base64url")]);
const exponent = Buffer.from([1, 0, 1]);

/** The same bytes, one of them changed. */
function changed(bytes: Uint8Array, at: number, to = (bytes.at(at) ?? 0) ^ 1): Buffer {
  const copy = Buffer.from(bytes);
  copy[at < 0 ? copy.length + at : at] = to;
  return copy;
}

/** Returns a key of this type whose parts have these lengths. */
function keyWith(type: string, ...lengths: number[]): string {
  const parts = [Buffer.from(type), ...lengths.map((length) => Buffer.alloc(length, 7))];
  const blob = Buffer.concat(parts.flatMap((part) => [Buffer.from([0, 0, part.length >> 8, part.length & 255]), part]));
  return `${type} ${blob.toString("base64")}`;
}

describe("one public key", () => {
  // Made by ssh-keygen; the private keys are discarded.
  it.each([
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKyIfIKesG74ewOtTC3tBQqxMFN0b59wd+tI//HxmJ0E",
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNEp0Z30PUIcEb0t1SXUvmo97TBihL12NSAspQeQ4tTYwuCaS1Tm6swMFO5EcmpFlIFaWt5+h+dImFeWqb0Aio8=",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQCfpbN+UKEQ/YXrOgE3K1+rg4LrFEc8N8fLJrTKUhCgLk7qiEXEJkM8GfEtb9wVPagDMDEfQR0mQPVE+2FnJT+qnJDqIZfm8T5ifig4aytwMEwnGiMuOzhkdVlGJG6iTCbLh/DaqJtJFJJ4iWr56bllBZ3Ql8XDKYh1OLC/LmM3YjAGK4R7hQscU4DDFQ7FHb092VCmW4kz949YIpSy36ybUIIpkVCZ3S0THzZd3QtP21GciMo8XZoVdZLlupeKw6xuKoPQPzswHCLhHA9qLoqHcqID/xazMgCTKzKDWF9PUvhGRPe1wdW7EHx7LgUZ1/jicvBanKLbh42GihqLuaSjTXMVScbEzDhQi6HITS+drxMY/ByemHvH4QHktZoTVjRgAEWupSpWO2xqLDVwfpqcMb125rJ6iOdUSeOVuK/mDpATb1P9DpoDvVg1/pEIKxDo9v3GvXQGuElByqs2crqfyKp1xaKeKlxS5Ld997TqNsEG+qIesUELoEKORNA5Umk=",
    keyOfParts("ecdsa-sha2-nistp384", "nistp384", pointOn("nistp384")),
    keyOfParts("ecdsa-sha2-nistp521", "nistp521", pointOn("nistp521")),
    keyOfParts("ssh-rsa", exponent, modulus),
    keyOfParts("ssh-rsa", exponent, Buffer.concat([Buffer.from([0]), Buffer.alloc(2_048, 255)])),
    keyOfParts("sk-ssh-ed25519@openssh.com", edwardsPoint(), "ssh:"),
    keyOfParts("sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", pointOn("nistp256"), "ssh:me"),
  ])("is %s, with a comment too", (key) => {
    expect([key, `${key} me@laptop`, `${key} -oProxyCommand=sh\n`].map(parsePublicKey)).toEqual([key, key, key]);
  });

  it.each([
    ["it was cut off", keyWith("ssh-ed25519", 31)],
    ["its point is padded", keyOfParts("ecdsa-sha2-nistp256", "nistp256", padded(pointOn("nistp256")))],
    ["its long point is padded", keyOfParts("ecdsa-sha2-nistp521", "nistp521", padded(pointOn("nistp521")))],
    ["its end was cut off", keyWith("ssh-rsa", 3, 257).slice(0, -8)],
    ["its padding was cut off", keyWith("ssh-rsa", 3, 258).replace(/=+$/, "")],
    ["something comes after it", keyWith("ssh-ed25519", 32, 4)],
    ["a part of it is missing", keyWith("sk-ssh-ed25519@openssh.com", 32)],
    [
      "a length goes beyond its end",
      `ssh-ed25519 ${Buffer.from("\0\0\0\x0bssh-ed25519\xff\xff\xff\xff".padEnd(51, "a"), "latin1").toString("base64")}`,
    ],
    ["it has too few bits", keyWith("ssh-rsa", 3, 97)],
    [
      "it has one bit too few",
      keyOfParts("ssh-rsa", exponent, Buffer.concat([Buffer.from([127]), Buffer.alloc(255, 255)])),
    ],
    [
      "zeros stand in for its bits",
      keyOfParts("ssh-rsa", exponent, Buffer.concat([Buffer.alloc(200), Buffer.from([15])])),
    ],
    ["its modulus is even", keyOfParts("ssh-rsa", exponent, changed(modulus, -1))],
    ["its modulus is negative", keyOfParts("ssh-rsa", exponent, modulus.subarray(1))],
    ["its exponent is even", keyOfParts("ssh-rsa", Buffer.from([1, 0, 0]), modulus)],
    ["its exponent is 1", keyOfParts("ssh-rsa", Buffer.from([1]), modulus)],
    ["its exponent is nothing", keyOfParts("ssh-rsa", "", modulus)],
    ["its exponent is longer than a server takes", keyOfParts("ssh-rsa", Buffer.alloc(9, 1), modulus)],
    ...(["nistp256", "nistp384", "nistp521"] as const).flatMap((curve): [string, string][] => {
      const point = pointOn(curve);
      const type = `ecdsa-sha2-${curve}`;
      return [
        [`its point is beside ${curve}`, keyOfParts(type, curve, changed(point, -1))],
        [
          `its point on ${curve} is nowhere`,
          keyOfParts(type, curve, Buffer.concat([Buffer.from([4]), point.subarray(1).fill(0)])),
        ],
        [`its point on ${curve} is too large`, keyOfParts(type, curve, Buffer.alloc(point.length, 255).fill(4, 0, 1))],
        [`its curve is another than ${curve}`, keyOfParts(type, "nistp999", pointOn(curve))],
        [
          `its point on ${curve} is compressed`,
          keyOfParts(
            type,
            curve,
            ECDH.convertKey(pointOn(curve), names[curve], undefined, undefined, "compressed") as Buffer,
          ),
        ],
      ];
    }),
    ["its point is beside edwards25519", keyWith("ssh-ed25519", 32)],
    ["its number is no point of edwards25519", keyOfParts("ssh-ed25519", Buffer.alloc(32, 255))],
    ["it is 33 bytes of a point", keyOfParts("ssh-ed25519", Buffer.concat([edwardsPoint(), Buffer.alloc(1)]))],
    ["the key in its token is invalid", keyOfParts("sk-ssh-ed25519@openssh.com", Buffer.alloc(32, 7), "ssh:")],
    [
      "what it is for is missing",
      keyOfParts("sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", pointOn("nistp256"), ""),
    ],
    ["it is a certificate", keyWith("ssh-ed25519-cert-v01@openssh.com", 32, 32)],
    ["it has options", `command="sh" ${keyWith("ssh-ed25519", 32)}`],
    ["it is an option of ssh", "-oProxyCommand=sh"],
    ["it is two", `${keyWith("ssh-ed25519", 32)}\n${keyWith("ssh-ed25519", 32)}`],
    ["it is private", "-----BEGIN OPENSSH PRIVATE KEY-----"],
  ])("is invalid if %s", (_, text) => {
    expect(parsePublicKey(text)).toBeUndefined();
  });
});
