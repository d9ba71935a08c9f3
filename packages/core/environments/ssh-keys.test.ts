import { describe, expect, it } from "vitest";
import { ownKeys, usableKeys } from "./ssh-keys.ts";

/** A line with the true beginning of a key of this type. */
function lineOf(type: string, rest = "comment"): string {
  const name = Buffer.from(type);
  const blob = Buffer.concat([Buffer.from([0, 0, 0, name.length]), name, Buffer.alloc(48, type)]);
  return `${type} ${blob.toString("base64")} ${rest}`;
}

const types = [
  ...["ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"],
  ...["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"],
];

describe("usable keys", () => {
  it.each(types)("are those of type %s, without their comments", (type) => {
    const [, blob] = lineOf(type).split(" ");

    expect(usableKeys(`${lineOf(type)}\n`)).toEqual([`${type} ${blob}`]);
  });

  it("are not of other types", () => {
    const others = ["ssh-dss", "ssh-rsa-cert-v01@openssh.com", "SSH-RSA", "ssh-ed448"].map((type) => lineOf(type));

    expect(usableKeys(others.join("\n"))).toEqual([]);
  });

  it.each([
    `command="sh" ${lineOf("ssh-ed25519")}`,
    `no-pty,${lineOf("ssh-ed25519")}`,
    ` ${lineOf("ssh-ed25519")}`,
    `${lineOf("ssh-ed25519")}\rssh-rsa`,
    `${lineOf("ssh-ed25519")}\0`,
    lineOf("ssh-ed25519").replace("ssh-ed25519 ", "ssh-rsa "),
    "ssh-ed25519 AAAA",
    "ssh-ed25519",
    "ssh-ed25519 not*base64*at*all*but*long*enough*to*be*a*key*of*some*kind",
    "<html>not found</html>",
    `ssh-rsa ${"A".repeat(5_000)}`,
  ])("are not lines like %j", (line) => {
    expect(usableKeys(line)).toEqual([]);
  });

  it("are each there once, in their order, and at most 64", () => {
    const [first, second] = [lineOf("ssh-rsa"), lineOf("ssh-ed25519")];
    const many = Array.from({ length: 100 }, (_, n) => {
      const blob = Buffer.from(lineOf("ssh-ed25519").split(" ")[1] ?? "", "base64");
      blob[40] = n;
      return `ssh-ed25519 ${blob.toString("base64")}`;
    });

    const keys = usableKeys([first, second, `${first} again`, ...many].join("\r\n"));

    expect(keys.slice(0, 2).map((key) => key.split(" ")[0])).toEqual(["ssh-rsa", "ssh-ed25519"]);
    expect(keys).toHaveLength(64);
  });
});

describe("keys that were sent one by one", () => {
  const line = lineOf("ssh-ed25519", "me@laptop");
  const key = line.split(" ").slice(0, 2).join(" ");

  it.each([line, key, `${line}\n`, `${line}\r\n`, `${line} \n\n`])("are taken as %j", (text) => {
    expect(ownKeys([text])).toEqual({ keys: [key], areAllUsable: true });
  });

  it.each([
    `${line}\n${lineOf("ssh-rsa")}`,
    `${line}\rcommand="sh"`,
    `command="sh" ${line}`,
    `no-pty ${line}`,
    ` ${line}`,
    "ssh-ed25519 AAAA",
    "",
  ])("are not taken as %j, and that is known", (text) => {
    expect(ownKeys([text, line])).toEqual({ keys: [key], areAllUsable: false });
  });

  it("may be none at all", () => {
    expect([ownKeys(undefined), ownKeys([])]).toEqual([1, 2].map(() => ({ keys: [], areAllUsable: true })));
  });
});
