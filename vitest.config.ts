import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{packages,functions,scripts}/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
