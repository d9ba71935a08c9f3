import { realpathSync } from "node:fs";
import { join } from "node:path";
import { findEndedLogin, newestNotice } from "#process/exec/notices.ts";
import { admits, enterRun, findSshRuns } from "#process/exec/ssh-runs.ts";
import { connectToRun } from "#process/network/forwards.ts";
import type { Inside } from "#process/runs/inside.ts";
import { readRun } from "#process/runs/records.ts";
import { sftpCommand } from "#process/sandbox/tools.ts";
import { openSession } from "#process/supervisor/sessions.ts";
import { startProcess } from "./ssh/channels/ssh-process.ts";
import { clientRelays } from "./ssh/channels/ssh-relay.ts";
import type { SshRuns, WantedSession } from "./ssh/channels/ssh-runs.ts";
import { startTerminal } from "./ssh/channels/ssh-terminal.ts";

export function machineSshRuns(setting: string): SshRuns {
  const home = realpathSync(setting);
  return {
    find: (login) => findSshRuns(home, login),
    admits: (run, key) => admits(home, run, key),
    findNotice: (run) => newestNotice(join(home, "runs", run)),
    hasNoDisk: (run) => readRun(join(home, "runs", run))?.volumes.length === 0,
    findEnded: (login) => findEndedLogin(home, login, Date.now()),
    async start(run, channel, wanted) {
      const entered = await enterRun(home, run);
      const work = entered.account?.home ?? entered.work;
      // SFTP is our own program, so a tenant's NODE_OPTIONS must not affect it.
      const env = wanted.program === "sftp" ? { HOME: work } : { ...mail(entered), ...entered.env, ...wanted.env };
      const inside = { ...entered, work, env };
      const words = listWords(wanted, home, inside);
      const mark = (pid: number | undefined) => void channel.once("close", openSession(join(home, "runs", run), pid));
      const pty = wanted.pty();
      if (pty) return startTerminal(channel, inside, words, pty, { mark, beforeEnd: wanted.sayGoodbye });
      return startProcess(channel, inside, words, mark);
    },
    dial: (run, destination) => connectToRun(home, run, destination),
    openRelays: (run, connection) => clientRelays(connection, home, run),
  };
}

/** Sets MAIL as sshd does (session.c, do_setup_env). */
function mail({ account }: Inside): Record<string, string> {
  return account ? { MAIL: `/var/mail/${account.name}` } : {};
}

function listWords({ program }: WantedSession, home: string, { isolation, account }: Inside): string[] {
  const shell = account?.shell ?? "/bin/sh";
  if (program === "shell") return [shell, "-l"];
  return program === "sftp" ? sftpCommand(home, isolation) : [shell, "-c", "--", program.command];
}
