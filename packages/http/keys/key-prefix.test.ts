import { expect, test } from "vitest";
import { splitPathKey } from "./key-prefix.ts";

test.each<[string, string | undefined, string]>([
  ["/v1/jobs", undefined, "/v1/jobs"],
  ["/k/abc/v1/jobs", "abc", "/v1/jobs"],
  ["/k/abc/v1/jobs?limit=1#x", "abc", "/v1/jobs"],
  ["/k/abc/", "abc", "/"],
  ["/k/abc", "abc", "/"],
  ["/k/abc?x=/y", "abc", "/"],
  ["/k/", "", "/"],
  ["/k//v1/jobs", "", "/v1/jobs"],
  ["/k", undefined, "/k"],
  ["/kabc/v1/jobs", undefined, "/kabc/v1/jobs"],
  ["/K/abc/v1/jobs", undefined, "/K/abc/v1/jobs"],
  ["//k/abc/v1/jobs", undefined, "//k/abc/v1/jobs"],
  ["/k/a/k/b/v1/jobs", "a", "/k/b/v1/jobs"],
  ["/%6b/%61bc/v1/jobs", "abc", "/v1/jobs"],
  ["/k%2Fabc/v1/jobs", undefined, "/k%2Fabc/v1/jobs"],
  ["/k/a%2Fb/v1/jobs", "a%2Fb", "/v1/jobs"],
  ["/k/%/v1/jobs", "%", "/v1/jobs"],
  ["/k/%E0%A4%A/v1/jobs", "%E0%A4%A", "/v1/jobs"],
  ["/k/abc/v1/%0A/x", "abc", "/v1/\n/x"],
  ["/x?at=/k/abc/y", undefined, "/x"],
])("%s contains the key %j before %s", (sent, key, path) => {
  expect(splitPathKey(new Request(`http://x${sent}`))).toEqual({ key, path });
});
