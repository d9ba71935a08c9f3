import { expect, it } from "vitest";
import { MOST_STARTUPS } from "../ssh/ssh-bounds.ts";
import { boundShortStays } from "./short-stays.ts";

const never = 2 ** 31 - 1;

function opened(most: number) {
  const begin = boundShortStays(never, most);
  const open = new Map<string, () => void>();
  return {
    open,
    connect: (name: string) => {
      const destroy = () => {
        open.get(name)?.();
        open.delete(name);
      };
      open.set(name, begin({ destroy }));
    },
    login: (name: string) => open.get(name)?.(),
    end: () => {
      for (const end of open.values()) end();
    },
  };
}

it("admits concurrent logins while silent connections fill the bound", () => {
  const { open, connect, end } = opened(100);
  for (let n = 0; n < 100; n++) connect(`silent ${n}`);

  for (let n = 0; n < 10; n++) connect(`login ${n}`);

  expect(open.size).toBe(100);
  expect([...open.keys()]).toEqual([
    ...Array.from({ length: 90 }, (_, n) => `silent ${n + 10}`),
    ...Array.from({ length: 10 }, (_, n) => `login ${n}`),
  ]);
  end();
});

it("admits as many logins at once as a program with hundreds of forks starts", () => {
  const { open, connect, end } = opened(MOST_STARTUPS);

  for (let n = 0; n < 400; n++) connect(`login ${n}`);

  expect(open.size).toBe(400);
  end();
});

it("keeps a login for as long as others need to open as many connections as the bound", () => {
  const { open, connect, end } = opened(100);
  for (let n = 0; n < 100; n++) connect(`silent ${n}`);
  connect("login");

  for (let n = 100; n < 199; n++) connect(`silent ${n}`);
  expect(open.has("login")).toBe(true);

  connect("silent 199");
  expect(open.has("login")).toBe(false);
  end();
});

it("does not count clients that have logged in", () => {
  const { open, connect, login, end } = opened(4);
  connect("first");
  login("first");

  for (let n = 0; n < 5; n++) connect(`silent ${n}`);

  expect([...open.keys()]).toEqual(["first", "silent 1", "silent 2", "silent 3", "silent 4"]);
  end();
});
