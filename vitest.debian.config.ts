import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

// Checks that need Debian's packages (QEMU, clang, lld, fio). `.ci/run` installs those and runs this after `npm test`.
// Not mergeConfig(): that joins lists, and the base's `exclude` would leave nothing.
export default defineConfig({
  test: { ...base.test, include: ['test/debian/**/*.test.ts'], exclude: ['node_modules/**'], testTimeout: 300_000 },
});
