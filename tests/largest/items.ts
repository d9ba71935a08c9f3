import type { Stored } from "#core/ports/table.ts";
import type { ItemKind } from "../simulator/invariants/bounds.ts";
import * as environments from "./environment-items.ts";
import * as messages from "./message-items.ts";
import * as operators from "./operator-items.ts";
import * as owners from "./owner-items.ts";
import * as pools from "./pool-items.ts";

/** Largest item of each kind that the code can write. */
export const largestItems = {
  environment: environments.environment,
  spec: environments.spec,
  access: environments.access,
  "ssh-entry": environments.sshEntry,
  ended: environments.ended,
  archive: environments.archive,
  host: environments.host,
  disk: owners.disk,
  directory: owners.directory,
  "ended-disk": owners.endedDisk,
  operation: owners.operation,
  inbox: messages.inbox,
  message: messages.message,
  delivery: messages.delivery,
  receiver: owners.receiver,
  share: owners.share,
  user: owners.user,
  key: owners.key,
  username: owners.nameClaim,
  "listed-user": owners.listedUser,
  identity: owners.identity,
  logins: owners.logins,
  ticket: owners.ticket,
  "web-code": owners.webCode,
  counter: owners.counter,
  idempotency: owners.idempotency,
  pool: pools.pool,
  node: pools.node,
  makeable: pools.makeable,
  "node-gone": pools.nodeGone,
  "run-marks": pools.runMarks,
  plan: pools.plan,
  forecast: pools.forecast,
  used: pools.used,
  admission: pools.admission,
  audit: operators.audit,
  orphans: operators.orphans,
  sweep: operators.sweep,
  watch: operators.watch,
  cluster: operators.cluster,
  "machine-groups": operators.machineGroups,
  "sealing-key": operators.sealingKey,
} satisfies Readonly<Record<ItemKind, Stored>>;
