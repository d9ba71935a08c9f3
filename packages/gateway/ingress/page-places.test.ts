import { expect, it } from "vitest";
import { pagePlaces } from "./page-places.ts";

type Take = ReturnType<typeof pagePlaces>;

function takeAll(take: Take, visitor: string | undefined): (() => void)[] {
  const taken = [];
  for (let giveBack = take("run", visitor); giveBack; giveBack = take("run", visitor)) taken.push(giveBack);
  return taken;
}

it("visitors without a key leave 128 places of a page to its owner", () => {
  const take = pagePlaces();

  const ofVisitors = ["a", "b", "c", "d"].map((visitor) => takeAll(take, visitor).length);
  const ofOwner = takeAll(take, undefined).length;

  expect([ofVisitors, ofOwner]).toEqual([[128, 128, 128, 0], 128]);
});

it("a place that a visitor gave back is free for another one", () => {
  const take = pagePlaces();
  const [giveBack] = ["a", "b", "c"].flatMap((visitor) => takeAll(take, visitor));

  giveBack?.();

  expect(takeAll(take, "d")).toHaveLength(1);
});
