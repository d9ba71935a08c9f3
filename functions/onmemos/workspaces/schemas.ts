import * as z from "zod";
import type { Environment } from "#core/environments/record/record.ts";
import type { Settings } from "#core/settings.ts";
import { exampleSession, Session, toSession } from "../sessions/schemas.ts";

export const WorkspaceRef = z.object({
  workspace_id: z.string().meta({ example: "ws-my-project-developer-1756062811" }).describe("The workspace's id."),
});

export const Workspace = Session.extend({
  service_url: z.string().nullable().describe("Same as `url`."),
  bucket_name: z.string().describe("Same as `bucket_name` of `details`."),
  filestore_instance: z.null().describe("Always null."),
}).meta({ id: "Workspace" });

export function toWorkspace(
  settings: Pick<Settings, "scheme" | "domain" | "userAccess">,
  workspace: Environment,
): z.infer<typeof Workspace> {
  const session = toSession(settings, workspace);
  const { url: service_url, details } = session;
  return { ...session, service_url, bucket_name: details.bucket_name, filestore_instance: null };
}

export function exampleWorkspace() {
  return {
    ...exampleSession,
    expires_at: "2025-08-24T19:43:31Z",
    ttl_minutes: 30,
    service_url: "https://onmemos-ws-my-project-developer-1756062811.berth.example",
    bucket_name: "onmemos-my-project-developer-1756062811",
    filestore_instance: null,
  };
}
