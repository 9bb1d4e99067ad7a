import { defineConfig } from 'vitest/config';

// Tests run against the built files in dist/, natively: engines start workers and child processes
// from files, and what is tested should be what users run.
export default defineConfig({
  test: {
    exclude: ['test/debian/**', 'node_modules/**', 'dist/**'],
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 60_000,
    pool: 'forks',
    // The CPU's tests once more with everything translated that is executed.
    projects: [
      { extends: true, test: { name: 'all', include: ['test/**/*.test.ts'] } },
      {
        extends: true,
        test: { name: 'translator', include: ['test/full/cpu/**/*.test.ts'], env: { VIRTAX_CPU: 'forced' } },
      },
    ],
  },
});
