import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "./machine.ts";
import { containerdSocket } from "./node-config.ts";

/** A gRPC message without content: not compressed, of length 0. */
const emptyMessage = Buffer.alloc(5);

/**
 * Waits until containerd answers as a container runtime. It accepts other calls sooner, and a kubelet that asks it before
 * ends at once with "server is not initialized yet".
 */
export async function runtimeAnswers(machine: Machine): Promise<void> {
  while ((await readVersionStatus(machine)) !== "0") await sleep(50);
}

/** Returns the gRPC status of the CRI's call Version, or undefined without an answer. */
async function readVersionStatus({ pid }: Machine): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const none = () => resolve(undefined);
  const socket = connect(`/proc/${pid}/root${containerdSocket}`);
  socket.once("error", none);
  const session = connectHttp2("http://localhost", { createConnection: () => socket });
  session.once("error", none).once("close", none);
  const call = session.request({
    ":method": "POST",
    ":path": "/runtime.v1.RuntimeService/Version",
    "content-type": "application/grpc",
    te: "trailers",
  });
  call.once("error", none).once("close", none);
  // An error without an answer comes as headers.
  for (const event of ["response", "trailers"] as const) {
    call.once(event, ({ "grpc-status": status }) => status !== undefined && resolve(String(status)));
  }
  call.resume();
  call.end(emptyMessage);
  const status = await promise;
  session.destroy();
  return status;
}
