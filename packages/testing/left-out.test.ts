import { expect, it } from "vitest";
import { leftOut } from "./left-out.ts";

it("is the other kind of user than the one the suites run as", () => {
  expect(leftOut(0)).toContain("as a plain user, since this is root: .ci/run makes one");
  expect(leftOut(1000)).toContain("as root, since this is a plain user");
  expect(leftOut(undefined)).toContain("needs Linux");
});
