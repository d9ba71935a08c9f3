import { realpathSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { GatewayPorts, Program, WantedProgram, WantedWebTerminal } from "#gateway/ports/reach.ts";
import { findEndedLogin, newestNotice } from "#process/exec/notices.ts";
import { admits, enterRun, findSshRuns } from "#process/exec/ssh-runs.ts";
import { connectToRun } from "#process/network/forwards.ts";
import { openRelay } from "#process/network/relay.ts";
import type { Inside } from "#process/runs/inside.ts";
import { readRun } from "#process/runs/records.ts";
import { sftpCommand } from "#process/sandbox/tools.ts";
import { openSession } from "#process/supervisor/sessions.ts";
import { startProcess } from "./process-program.ts";
import { startTerminal } from "./terminal-program.ts";
import { openWebTerminal } from "./web-terminal.ts";

/** Leads the gateway to the sandboxes of a home. */
export function sandboxPorts(setting: string): GatewayPorts {
  const home = realpathSync(setting);
  return {
    directory: {
      find: async (login) => findSshRuns(home, login),
      admits: async ({ run }, key) => admits(home, run, key),
      findEnded: async (login) => findEndedLogin(home, login, Date.now()),
      findNotice: async ({ run }) => newestNotice(join(home, "runs", run)),
      hasNoDisk: async ({ run }) => readRun(join(home, "runs", run))?.volumes.length === 0,
    },
    reach: {
      start: (run, wanted) => startProgram(home, run, wanted),
      dial: (run, destination) => connectToRun(home, run, destination),
      openTerminal: (run, wanted) => openTerminal(home, run, wanted),
      openRelay: async (run, place, onVisitor) => openRelay(home, await enterRun(home, run), place, onVisitor),
    },
  };
}

async function startProgram(home: string, run: string, wanted: WantedProgram): Promise<Program> {
  const inside = await enter(home, run, wanted);
  const words = listWords(wanted, home, inside);
  const mark = (pid: number | undefined) => openSession(join(home, "runs", run), pid);
  return wanted.terminal ? startTerminal(inside, words, wanted.terminal, mark) : startProcess(inside, words, mark);
}

async function openTerminal(home: string, run: string, wanted: WantedWebTerminal): Promise<Duplex> {
  const shell = { program: "shell", env: {} } as const;
  const place = { directory: join(home, "runs", run), enter: () => enter(home, run, shell) };
  return openWebTerminal(place, wanted, (inside) => listWords(shell, home, inside));
}

async function enter(home: string, run: string, wanted: Pick<WantedProgram, "program" | "env">): Promise<Inside> {
  const entered = await enterRun(home, run);
  const work = entered.account?.home ?? entered.work;
  // SFTP is our own program, so a tenant's NODE_OPTIONS must not affect it.
  const env = wanted.program === "sftp" ? { HOME: work } : { ...mail(entered), ...entered.env, ...wanted.env };
  return { ...entered, work, env };
}

/** Sets MAIL as sshd does (session.c, do_setup_env). */
function mail({ account }: Inside): Record<string, string> {
  return account ? { MAIL: `/var/mail/${account.name}` } : {};
}

function listWords(
  { program }: Pick<WantedProgram, "program">,
  home: string,
  { isolation, account }: Inside,
): string[] {
  const shell = account?.shell ?? "/bin/sh";
  if (program === "shell") return [shell, "-l"];
  return program === "sftp" ? sftpCommand(home, isolation) : [shell, "-c", "--", program.command];
}
