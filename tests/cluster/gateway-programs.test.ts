import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { openSshClients } from "../conformance/openssh/clients.ts";
import type { SshGuest } from "../conformance/openssh/guest.ts";
import { programsConformance } from "../conformance/openssh/programs.ts";
import { nodePrograms } from "../conformance/openssh/socket-programs.ts";
import { type GatewayFixture, openGatewayFixture } from "./gateway-fixture.ts";
import type { GatewayProcess } from "./gateway-process.ts";

let fixture: GatewayFixture;
let gateway: GatewayProcess;

beforeAll(async () => {
  fixture = await openGatewayFixture();
  gateway = await fixture.startGateway();
});
afterAll(() => fixture.stop());

const unused = () => Promise.reject(new Error("These programs do not need it"));

async function open(): Promise<SshGuest> {
  const root = mkdtempSync(join(tmpdir(), "berth-guest-"));
  const { userKey: key, login } = fixture;
  const clients = openSshClients({ root, key, login, port: gateway.sshPort });
  const own = randomBytes(4).toString("hex");
  return {
    ...clients,
    root,
    key,
    sockets: nodePrograms(process.execPath),
    mayUseLowPorts: false,
    pathInside: (name) => join(root, `${own}-${name}`),
    countProcesses: unused,
    shutOut: unused,
    connect: unused,
    close: async () => {
      clients.close();
      rmSync(root, { recursive: true });
    },
  };
}

// Pods are processes of this machine, so they have its git, which the image of real nodes lacks.
describe("over the OpenSSH client into a pod on a machine with git", () => programsConformance(open));
