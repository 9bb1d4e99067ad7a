import { defineConfig } from 'vitest/config';

// Tests run against the built files in dist/, natively: engines start workers and child processes
// from files, and what is tested should be what users run.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/debian/**', 'node_modules/**', 'dist/**'],
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 60_000,
    pool: 'forks',
  },
});
