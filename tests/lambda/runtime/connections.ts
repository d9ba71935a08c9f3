import { type FakeService, startFakeService } from "../../aws/fake-service.ts";

/** The Management API of a WebSocket API, with what it was sent for each connection. */
export interface Connections extends Pick<FakeService, "endpoint" | "knowKeys" | "stop"> {
  /** The URL of the stage, as its function knows it. */
  readonly url: string;
  /** From now on the connection is there: its frames go to `receive`, and `closed` is called where its function ends it. */
  add(id: string, connection: Connection): void;
  remove(id: string): void;
}

export interface Connection {
  receive(frame: string): void;
  closed(): void;
}

/** `stage` is its path: `/socket` ("Use @connections commands in your backend service"). */
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
