import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

// Checks that need Debian's packages (QEMU, clang, lld, fio). `.ci/run` installs those and runs this after `npm test`.
// Not mergeConfig(): that joins lists, and the base's `exclude` would leave nothing.
const { projects: _projects, ...common } = base.test ?? {};
const test = { ...common, exclude: ['node_modules/**'], testTimeout: 300_000, hookTimeout: 300_000 };

export default defineConfig({
  test: {
    projects: [
      { test: { ...test, name: 'debian', include: ['test/debian/**/*.test.ts'] } },
      // The CPU's test once more with everything translated that is executed.
      {
        test: {
          ...test,
          name: 'translator',
          include: ['test/debian/cpu-random.test.ts'],
          env: { VIRTAX_CPU: 'forced' },
        },
      },
    ],
  },
});
