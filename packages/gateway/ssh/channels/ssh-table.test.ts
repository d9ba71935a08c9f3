import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { text, u32 } from "#process/sftp/packets.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "../openssh-fixture.ts";
import {
  type Answer,
  bool,
  type Message,
  numbers,
  type RawChannel,
  type RawSsh,
  rawChannel,
  sizes,
  takeOver,
} from "./raw-ssh-fixture.ts";

const page = readFileSync(new URL("../../../../docs/ssh.md", import.meta.url), "utf8");

/** The names in the first column of a section's table. `cancel-…` stands for `cancel-` and the name before it. */
function listNames(section: string): string[] {
  const [, table = ""] = page.split(`## ${section}\n`);
  const [rows = ""] = table.split("\n## ");
  return [...rows.matchAll(/^\| ((?:`[^`]+`(?:, )?)+|any other) \|/gm)].flatMap(([, cell = ""]) => {
    const names = cell === "any other" ? [cell] : [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
    return names.map((name, index) => (name === "cancel-…" ? `cancel-${names[index - 1]}` : name));
  });
}

const loopback = [text("127.0.0.1"), u32(0)];
const UNKNOWN = "no-such-request@example.com";

const types = (messages: readonly Message[], name: Message["name"]) =>
  messages
    .filter((message) => message.name === name)
    .map(({ fields: [info] }) => (info as { readonly type: string }).type);

describe.each(["bubblewrap", "none"] as const)("a message of docs/ssh.md, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  let ssh: RawSsh;
  beforeAll(async () => {
    fixture = await openOpenSshFixture(isolation);
  });
  afterAll(() => fixture.close());
  beforeEach(async () => {
    ssh = takeOver(await fixture.connect());
  });

  const openSession = async (): Promise<RawChannel> => {
    const channel = await ssh.open("session");
    if (!channel) throw new Error("The server refuses a session");
    return channel;
  };
  /** Runs a command to its end. Its program starts after the server has answered all forwards. */
  const run = async (command: string) => {
    const channel = await openSession();
    expect(await channel.request("exec", text(command))).toBe("success");
    const end = await channel.ended();
    return { ...end, output: channel.output().toString() };
  };
  const socketPath = (name: string) => join(fixture.directory, "0/work", name);
  const forwardPort = async (): Promise<number> => {
    const { data } = await ssh.request("tcpip-forward", ...loopback);
    return data?.readUInt32BE() ?? 0;
  };
  const openPort = (port: number, host = "127.0.0.1") => ssh.open("direct-tcpip", text(host), u32(port), ...loopback);
  const openSocket = (path: string) => ssh.open("direct-streamlocal@openssh.com", text(path), text(""), u32(0));

  /** Sends a global request with and without a wish for a reply. Only the first gets one, and the connection lives. */
  const expectAnswer = async (answer: Answer, type: string, ...parts: readonly Buffer[]) => {
    expect((await ssh.request(type, ...parts)).answer).toBe(answer);
    const before = ssh.messages.length;
    ssh.send(numbers.globalRequest, text(type), bool(false), ...parts);
    expect((await run("true")).code).toBe(0);
    expect((await ssh.request("keepalive@openssh.com")).answer).toBe("failure");
    const replies = ssh.messages.slice(before).filter(({ name }) => name.startsWith("REQUEST_"));
    expect(replies.map(({ name }) => name)).toEqual(["REQUEST_FAILURE"]);
  };
  /** Waits for a channel of the server, accepts it, and passes text on to it from the channel that caused it. */
  const expectOpened = async (type: string, visitor: RawChannel | undefined) => {
    const sender = await ssh.until((all) => {
      const opened = all.find(
        ({ name, fields }) => name === "CHANNEL_OPEN" && (fields[0] as { type: string }).type === type,
      );
      return (opened?.fields[0] as { sender: number } | undefined)?.sender;
    });
    const OWN = 99;
    ssh.send(numbers.confirm, u32(sender), u32(OWN), ...sizes);
    const accepted = rawChannel(ssh, OWN, sender);
    visitor?.send(numbers.data, text("through"));
    await ssh.until(() => (accepted.output().toString() === "through" ? true : undefined));
    expect(await ssh.open(type, ...loopback, ...loopback)).toBeUndefined();
  };

  const connection: Record<string, () => Promise<void>> = {
    "tcpip-forward": async () => {
      expect(await forwardPort()).toBeGreaterThan(1023);
      await expectAnswer("success", "tcpip-forward", ...loopback);
      await expectAnswer("failure", "tcpip-forward", text("192.0.2.1"), u32(0));
    },
    "cancel-tcpip-forward": async () => {
      const port = await forwardPort();
      const parts = [text("127.0.0.1"), u32(port)];
      expect((await ssh.request("cancel-tcpip-forward", ...parts)).answer).toBe("success");
      await expectAnswer("failure", "cancel-tcpip-forward", ...parts);
    },
    "streamlocal-forward@openssh.com": async () => {
      const type = "streamlocal-forward@openssh.com";
      expect((await ssh.request(type, text(socketPath("a")))).answer).toBe("success");
      await expectAnswer("failure", type, text(socketPath("a")));
    },
    "cancel-streamlocal-forward@openssh.com": async () => {
      const type = "cancel-streamlocal-forward@openssh.com";
      await ssh.request("streamlocal-forward@openssh.com", text(socketPath("b")));
      expect((await ssh.request(type, text(socketPath("b")))).answer).toBe("success");
      await expectAnswer("failure", type, text(socketPath("b")));
    },
    "keepalive@openssh.com": () => expectAnswer("failure", "keepalive@openssh.com"),
    "no-more-sessions@openssh.com": async () => {
      const former = await openSession();
      expect((await ssh.request("no-more-sessions@openssh.com")).answer).toBe("success");
      expect(await ssh.open("session")).toBeUndefined();
      expect(await former.request("exec", text("true"))).toBe("success");
      const other = takeOver(await fixture.connect());
      other.send(numbers.globalRequest, text("no-more-sessions@openssh.com"), bool(false));
      expect(await other.open("session")).toBeUndefined();
      expect(other.messages.map(({ name }) => name)).toEqual(["CHANNEL_OPEN_FAILURE"]);
    },
    "hostkeys-00@openssh.com": async () => {
      await expectAnswer("failure", "hostkeys-00@openssh.com");
      expect(ssh.messages.filter(({ name }) => name === "GLOBAL_REQUEST")).toEqual([]);
    },
    "hostkeys-prove-00@openssh.com": () => expectAnswer("failure", "hostkeys-prove-00@openssh.com", text("key")),
    "publickey-hostbound@openssh.com": async () => expect(await listAnnounced()).toEqual(["server-sig-algs"]),
    "ping@openssh.com": async () => expect(await listAnnounced()).not.toContain("ping@openssh.com"),
  };

  /** Extensions that the server announces to OpenSSH's client (RFC 8308). */
  const listAnnounced = async () => {
    const [program = "", ...words] = fixture.sshLine.split(" ");
    const { err } = await fixture.run(program, ["-o", "LogLevel=DEBUG1", ...words, fixture.address, "true"]);
    return [...err.matchAll(/ext_info(?:_client_parse)?: ([\w@.-]+)/g)].map(([, name]) => name);
  };

  const channels: Record<string, () => Promise<void>> = {
    session: async () => {
      for (let opened = 0; opened < 10; opened++) await openSession();
      expect(await ssh.open("session")).toBeUndefined();
    },
    "direct-tcpip": async () => {
      const port = await forwardPort();
      expect(await openPort(port)).toBeDefined();
      expect(await openPort(port, "localhost")).toBeDefined();
      expect([await openPort(1), await openPort(port, "192.0.2.1"), await openPort(port, "")]).toEqual(
        Array(3).fill(undefined),
      );
    },
    "direct-streamlocal@openssh.com": async () => {
      await ssh.request("streamlocal-forward@openssh.com", text(socketPath("c")));
      expect(await openSocket(socketPath("c"))).toBeDefined();
      expect(await openSocket(socketPath("no-such-socket"))).toBeUndefined();
    },
    "forwarded-tcpip": async () => expectOpened("forwarded-tcpip", await openPort(await forwardPort())),
    "forwarded-streamlocal@openssh.com": async () => {
      await ssh.request("streamlocal-forward@openssh.com", text(socketPath("d")));
      await expectOpened("forwarded-streamlocal@openssh.com", await openSocket(socketPath("d")));
    },
    "auth-agent@openssh.com": async () => {
      const channel = await openSession();
      expect(await channel.request("auth-agent-req@openssh.com")).toBe("success");
      await channel.request("exec", text('printf %s "$SSH_AUTH_SOCK"'));
      await channel.ended();
      await expectOpened("auth-agent@openssh.com", await openSocket(channel.output().toString()));
    },
    x11: async () => {
      expect(await ssh.open("x11", ...loopback)).toBeUndefined();
      expect((await run("echo $DISPLAY")).output).toBe("\n");
      expect(types(ssh.messages, "CHANNEL_OPEN")).toEqual([]);
    },
    "tun@openssh.com": async () => expect(await ssh.open("tun@openssh.com", u32(1), u32(0x7fffffff))).toBeUndefined(),
  };

  /** The request's fields, and the expected answers before and during a program. */
  const size = [u32(80), u32(24), u32(0), u32(0)];
  const session: Record<string, readonly (readonly [readonly Buffer[], before: Answer, during: Answer])[]> = {
    shell: [[[], "success", "failure"]],
    exec: [[[text("cat")], "success", "failure"]],
    subsystem: [
      [[text("sftp")], "success", "failure"],
      [[text("netconf")], "failure", "failure"],
      [[text("")], "failure", "failure"],
    ],
    "pty-req": [
      // Paramiko sends no modes, and OpenSSH's client begins with speeds. 42 is IUTF8 (RFC 8160).
      [[text("xterm"), ...size, text("")], "success", "failure"],
      [[text("xterm"), ...size, text(Buffer.from([128, 0, 0, 0x96, 0, 42, 0, 0, 0, 1, 0]))], "success", "failure"],
      [[text("xterm"), ...size, text(Buffer.from([0]))], "success", "failure"],
      [[text("xterm"), ...size, text(Buffer.from([159, 255, 255, 255, 255, 0]))], "success", "failure"],
    ],
    "window-change": [[size, "success", "success"]],
    env: [
      [[text("LANG"), text("C.UTF-8")], "success", "failure"],
      [[text("LC_TIME"), text("C")], "success", "failure"],
      [[text("LD_PRELOAD"), text("/nowhere.so")], "failure", "failure"],
      [[text("LC_ALL"), text("x".repeat(257))], "failure", "failure"],
    ],
    signal: [[[text("USR1")], "failure", "success"]],
    "exit-status": [[[u32(0)], "failure", "failure"]],
    "exit-signal": [[[text("TERM"), bool(false), text(""), text("")], "failure", "failure"]],
    "auth-agent-req@openssh.com": [[[], "success", "failure"]],
    "eow@openssh.com": [[[], "failure", "failure"]],
    "x11-req": [[[bool(false), text("MIT-MAGIC-COOKIE-1"), text("00"), u32(0)], "failure", "failure"]],
    break: [[[u32(500)], "failure", "failure"]],
    "xon-xoff": [[[bool(true)], "failure", "failure"]],
    "any other": [[[], "failure", "failure"]],
  };

  it.each([
    ["Requests of a connection", connection],
    ["Channels", channels],
    ["Requests of a session", session],
  ])("is asked for below if its row is in the table: %s", (section, cases) => {
    expect(listNames(section)).toEqual(Object.keys(cases));
  });

  it.each(Object.entries(connection))("has the answer of the page, and none unless it wants one: %s", (_, check) =>
    check(),
  );

  it.each(Object.entries(channels))("opens a channel as the page says: %s", (_, check) => check());

  it.each(Object.entries(session))(
    "has one answer to a session, and none unless it wants one: %s",
    async (name, cases) => {
      const type = name === "any other" ? UNKNOWN : name;
      for (const [parts, before, during] of cases) {
        ssh = takeOver(await fixture.connect());
        const seen: (Answer | number)[] = [];
        for (const isRunning of [false, true]) {
          const [asking, telling] = [await openSession(), await openSession()];
          for (const channel of isRunning ? [asking, telling] : []) {
            await channel.request("exec", text("trap '' USR1; echo up; cat"));
            await ssh.until(() => (channel.output().toString() === "up\n" ? true : undefined));
          }
          const replies = telling.countReplies();
          seen.push(await asking.request(type, ...parts));
          telling.notify(type, ...parts);
          expect(await telling.request(UNKNOWN)).toBe("failure");
          seen.push(telling.countReplies() - replies);
        }
        expect(seen, JSON.stringify(parts.map(String))).toEqual([before, 1, during, 1]);
      }
    },
  );

  it("of a session's end is sent by the server, and none about flow control", async () => {
    const signalled =
      isolation === "bubblewrap" ? { code: 143, signal: undefined } : { signal: "TERM", code: undefined };

    expect(await run("echo one; exit 3")).toEqual({ code: 3, signal: undefined, output: "one\n" });
    expect(await run("kill -TERM $$")).toMatchObject(signalled);

    const requests = ssh.messages.filter(({ name }) => name === "CHANNEL_REQUEST").map(({ fields }) => fields[1]);
    expect(requests).toEqual(["exit-status", isolation === "bubblewrap" ? "exit-status" : "exit-signal"]);
  });
});
