import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex, Readable, Writable } from "node:stream";
import { type Relay, type RelayPlace, serveRelay } from "#relay/relay.ts";
import { commandInside, type Inside } from "../runs/inside.ts";
import { relayCommand } from "../sandbox/tools.ts";
import { signalChildGroup } from "../supervisor/process-identity.ts";

export function openRelay(
  home: string,
  inside: Inside,
  place: RelayPlace,
  onVisitor: (visitor: Duplex) => void,
): Relay {
  // Do not pass the tenant's variables: NODE_OPTIONS could replace the program.
  const { file, args, env, cwd } = commandInside({ ...inside, env: {} }, relayCommand(home, inside.isolation, place));
  const child = spawn(file, args, { env, cwd, detached: true, stdio: ["pipe", "pipe", "ignore"] }) as Piped;
  const ended = Promise.withResolvers<void>();
  child.once("error", () => ended.resolve()).once("close", () => ended.resolve());
  const hangUp = () => signalChildGroup(child, "SIGHUP");
  return serveRelay({ input: child.stdin, output: child.stdout, ended: ended.promise, hangUp }, onVisitor);
}

type Piped = ChildProcess & { readonly stdin: Writable; readonly stdout: Readable };
