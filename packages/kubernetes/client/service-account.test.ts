import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readServiceAccount } from "./service-account.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-account-"));
});
afterEach(() => rm(folder, { recursive: true }));

it.each([
  [{ KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "6443" }, "https://10.0.0.1:6443"],
  [{ KUBERNETES_SERVICE_HOST: "fd00::1" }, "https://[fd00::1]:443"],
])("finds the API server of %j", async (environment, url) => {
  await writeFile(join(folder, "ca.crt"), "authority");

  expect(await readServiceAccount(environment, folder)).toMatchObject({ url, ca: "authority" });
});

it("reads the token for each call, because the kubelet renews it", async () => {
  await writeFile(join(folder, "ca.crt"), "authority");
  await writeFile(join(folder, "token"), "first\n");
  const { token } = await readServiceAccount({ KUBERNETES_SERVICE_HOST: "10.0.0.1" }, folder);

  const first = await token();
  await writeFile(join(folder, "token"), "second\n");

  expect([first, await token()]).toEqual(["first", "second"]);
});

it("says what is missing outside a pod, and in a pod without credentials", async () => {
  await expect(readServiceAccount({}, folder)).rejects.toThrow(
    "This process is in no pod of a cluster: set KUBECONFIG",
  );
  await expect(readServiceAccount({ KUBERNETES_SERVICE_HOST: "10.0.0.1" }, folder)).rejects.toThrow(
    `The pod has no credentials of its service account in ${folder} (ENOENT)`,
  );
});
