import type { Client, ConnectConfig } from "ssh2";
import { it } from "vitest";
import type { SshKeyPair } from "#gateway/ssh/login/ssh-keys.ts";
import type { OpenSshClients } from "./clients.ts";
import type { SocketPrograms } from "./socket-programs.ts";

/** A run with an SSH server in front, as the clients of OpenSSH see it. */
export interface SshGuest extends OpenSshClients {
  /** Folder for files of the clients, which is removed at the end. */
  readonly root: string;
  readonly key: SshKeyPair;
  readonly sockets: SocketPrograms;
  /** Whether programs of the run may listen on ports below 1024. */
  readonly mayUseLowPorts: boolean;
  /** Returns a path of the run that no other guest uses. */
  pathInside(name: string): string;
  countProcesses(): Promise<number>;
  /** Makes the run admit no key. */
  shutOut(): Promise<void>;
  /** Connects as a client that is not OpenSSH's. */
  connect(changes?: ConnectConfig): Promise<Client>;
  close(): Promise<void>;
}

/** Reason why a test cannot hold, by its title. */
export type LeftOut = Readonly<Record<string, string>>;

/** Returns a function that registers tests, except those that are left out. A last test finds titles that are gone. */
export function testsExcept(leftOut: LeftOut): (title: string, body: () => Promise<void>) => void {
  const titles = new Set<string>();
  let isChecked = false;
  return (title, body) => {
    titles.add(title);
    if (!isChecked && Object.keys(leftOut).length > 0) {
      isChecked = true;
      it("leaves out only titles that exist", ({ expect }) => {
        expect([...titles]).toEqual(expect.arrayContaining(Object.keys(leftOut)));
      });
    }
    if (!(title in leftOut)) it(title, body);
  };
}
