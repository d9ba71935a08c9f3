import { endpointsIn } from "../declare-endpoint.ts";
import { type Dialect, sharedTexts } from "../dialect.ts";
import type { UsualNames } from "../request/unknown-fields.ts";

/** Includes the names that fields have in sibling calls. */
export const misspelt: UsualNames = {
  gpu: ["gpu_count"],
  gpus: ["gpu_count"],
  numgpus: ["gpu_count"],
  ngpus: ["gpu_count"],
  duration: ["duration_hours", "extension_hours"],
  durationhours: ["extension_hours"],
  hours: ["duration_hours", "extension_hours"],
  cmd: ["command"],
  env: ["env_vars"],
  environment: ["env_vars"],
  disk: ["disk_name"],
  diskname: ["new_name"],
  name: ["new_name", "disk_name"],
  disksize: ["disk_size_gb", "size_gb"],
  disksizegb: ["size_gb"],
  size: ["disk_size_gb", "size_gb"],
  sizegb: ["disk_size_gb"],
  github: ["github_user", "github_username"],
  githubuser: ["github_username"],
  githubusername: ["github_user"],
  username: ["github_username"],
  publickey: ["ssh_public_keys"],
  sshkey: ["ssh_public_keys", "public_key"],
  sshkeys: ["ssh_public_keys", "public_key"],
  sshpublickey: ["ssh_public_keys", "public_key"],
  sshpublickeys: ["public_key"],
  webhook: ["webhook_url"],
  instance: ["instance_type"],
  jupyter: ["jupyter_enabled"],
  enablejupyter: ["jupyter_enabled"],
  lines: ["tail"],
};

/** docs/apis/gpu-dev.md#errors. */
export const gpuDevDialect: Dialect = {
  name: "gpu-dev",
  noun: "job",
  commentsInJson: false,
  keylessLocally: false,
  takesCookie: true,
  statuses: { quota: 400 },
  texts: sharedTexts,
  hints: {},
  categories: {},
  envelope: ({ text, fields }) => ({
    detail:
      fields.length === 0
        ? text
        : fields.map(({ type, path, message, input }) => ({ type, loc: path, msg: message, input })),
  }),
};

/** Pure, so that bundles of other dialects, which need only the envelope, omit the table of names. */
export const gpuDev = /* @__PURE__ */ endpointsIn(gpuDevDialect, misspelt);
