import { type FakeService, startFakeService } from "../../aws/fake-service.ts";

/** A fake Management API of a WebSocket API. */
export interface Connections extends Pick<FakeService, "endpoint" | "knowKeys" | "stop"> {
  /** URL of the stage as its function knows it. */
  readonly url: string;
  /** Adds a connection. Frames go to `receive`. `closed` is called when the function ends it. */
  add(id: string, connection: Connection): void;
  remove(id: string): void;
}

export interface Connection {
  receive(frame: string): void;
  closed(): void;
}

/**
 * Starts the API. `stage` is its path, such as `/socket` (API Gateway Developer Guide, "Use @connections commands in
 * your backend service").
 */
export async function startConnections(stage: string): Promise<Connections> {
  const open = new Map<string, Connection>();
  const answer = (status: number, code: string) => ({ status, body: "{}", headers: { "x-amzn-errortype": code } });
  const service = await startFakeService(
    "execute-api",
    (code) => answer(403, code),
    ({ method, path, body }) => {
      const [before, id = ""] = path.split("/@connections/");
      const connection = open.get(decodeURIComponent(id));
      if (before !== stage) return answer(403, "ForbiddenException");
      if (!connection) return answer(410, "GoneException");
      if (method === "DELETE") connection.closed();
      else connection.receive(Buffer.from(body).toString());
      return { status: method === "DELETE" ? 204 : 200, body: "" };
    },
  );
  return {
    ...service,
    url: `${service.endpoint}${stage}`,
    add: (id, connection) => void open.set(id, connection),
    remove: (id) => void open.delete(id),
  };
}
