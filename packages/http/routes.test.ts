import { expect, test } from "vitest";
import { honoPath, inRoutingOrder, listMethods, type Route } from "./routes.ts";

const routes: Route[] = [
  { method: "get", path: "/v1/jobs/{job_id}" },
  { method: "post", path: "/v1/jobs/{job_id}/cancel" },
  { method: "post", path: "/v1/jobs/submit" },
  { method: "get", path: "/v1/jobs" },
  { method: "get", path: "/" },
];

test("static segments come before parameters", () => {
  const order = inRoutingOrder(routes).map(({ path }) => path);

  expect(order).toEqual([...["/", "/v1/jobs", "/v1/jobs/submit", "/v1/jobs/{job_id}", "/v1/jobs/{job_id}/cancel"]]);
});

test("even a segment that sorts after a brace comes before a parameter", () => {
  const late = [
    { method: "get", path: "/x/{id}" },
    { method: "get", path: "/x/~" },
  ] as const;

  expect(inRoutingOrder(late).map(({ path }) => path)).toEqual(["/x/~", "/x/{id}"]);
});

test.each([
  ["/v1/jobs/submit", ["GET", "POST"]],
  ["/v1/jobs/1", ["GET"]],
  ["/v1/jobs/1/cancel", ["POST"]],
  ["/v1/jobs/", []],
  ["/v1/jobs//cancel", []],
  ["/v1/jobs", ["GET"]],
  ["/", ["GET"]],
  ["", []],
])("%s allows %s", (path, methods) => {
  expect(listMethods(routes, path)).toEqual(methods);
});

test("path parameters in braces become Hono's colons", () => {
  expect(honoPath("/v1/disks/{disk_name}/operations/{operation_id}")).toBe(
    "/v1/disks/:disk_name/operations/:operation_id",
  );
});
