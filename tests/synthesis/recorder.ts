import { writeFileSync } from "node:fs";
import { runtime } from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks.js";
import { answerCall, makeOutputs } from "./cloud.ts";

/** A resource that Pulumi would create, or look up if `read` is set. */
interface Recorded {
  readonly type: string;
  readonly name: string;
  readonly read: boolean;
  readonly inputs: unknown;
  /** Dependencies as `<type> <name>`. */
  readonly after: readonly string[];
  /** Pulumi forgets the resource without deleting it. */
  readonly retained: boolean;
  /** Pulumi refuses to delete the resource. */
  readonly isProtected: boolean;
  /** Inputs whose changes Pulumi does not deploy. */
  readonly ignored: readonly string[];
}

const recorded: Recorded[] = [];

/** Answers Pulumi from a fake cloud, and records each resource of this program. */
export function recordResources(): void {
  const options = new Map<string, Pick<Recorded, "after" | "retained" | "isProtected" | "ignored">>();
  // Pulumi does not pass dependencies and options to mocks.
  const { registerResource } = MockMonitor.prototype;
  MockMonitor.prototype.registerResource = function (request, callback) {
    const names = request.getDependenciesList().map((urn: string) => urn.split("::").slice(2));
    const made = names.map(([types = "", name = ""]) => `${types.split("$").pop()} ${name}`);
    options.set(`${request.getType()} ${request.getName()}`, {
      after: made.toSorted(),
      retained: request.getRetainondelete(),
      isProtected: request.getProtect(),
      ignored: request.getIgnorechangesList(),
    });
    return registerResource.call(this, request, callback);
  };
  const none = { after: [], retained: false, isProtected: false, ignored: [] };
  runtime.setMocks(
    {
      newResource: ({ type, name, id, inputs }) => {
        recorded.push({ type, name, read: Boolean(id), inputs, ...(options.get(`${type} ${name}`) ?? none) });
        return { id: id || `${name}-id`, state: { ...inputs, ...makeOutputs(type, name, inputs) } };
      },
      call: ({ token, inputs }) => answerCall(token, inputs),
    },
    "berth",
    $app.stage,
    false,
  );
}

/** Waits for all resources, because callbacks create some. Writes them and the outputs of the stack to the named file. */
export async function writeRecorded(outputs: unknown): Promise<void> {
  await runtime.disconnect();
  const stack = { type: "berth:stage:Outputs", name: "outputs", read: true, inputs: outputs };
  recorded.push({ ...stack, after: [], retained: false, isProtected: false, ignored: [] });
  const text = JSON.stringify(recorded, (_, value) => (isSecret(value) ? value.value : value));
  writeFileSync(process.argv[2] ?? "", text);
}

function isSecret(value: unknown): value is { readonly value: unknown } {
  const mark = "4dabf18193072939515e22adb298388d";
  return typeof value === "object" && value !== null && mark in value;
}
