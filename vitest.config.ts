import { defineConfig } from 'vitest/config';

// Tests run against the built files in dist/, natively: engines start workers and child processes
// from files, and what is tested should be what users run.
const EXCLUDED = ['test/debian/**', 'node_modules/**', 'dist/**'];

export default defineConfig({
  test: {
    exclude: EXCLUDED,
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 60_000,
    pool: 'forks',
    // The CPU's tests twice: interpreted, and with everything translated that is executed. All others as users run it.
    projects: [
      {
        extends: true,
        test: { name: 'all', include: ['test/**/*.test.ts'], exclude: [...EXCLUDED, 'test/full/cpu/**'] },
      },
      {
        extends: true,
        test: { name: 'interpreter', include: ['test/full/cpu/**/*.test.ts'], env: { VIRTAX_CPU: 'interpreter' } },
      },
      {
        extends: true,
        test: { name: 'translator', include: ['test/full/cpu/**/*.test.ts'], env: { VIRTAX_CPU: 'forced' } },
      },
    ],
  },
});
