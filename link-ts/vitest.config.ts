import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts", "test/**/*.test.tsx"],
    // Nothing is bounded in time but what never ends.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
