import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{packages,functions,scripts}/**/*.test.ts"],
    // By default one core is left idle, which on two cores doubles the time.
    maxWorkers: "100%",
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
