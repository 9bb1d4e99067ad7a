import { mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

// Checks that need Debian's packages (QEMU, clang, lld, fio). `.ci/run` installs those and runs this after `npm test`.
export default mergeConfig(base, { test: { include: ['test/debian/**/*.test.ts'], exclude: [], testTimeout: 300_000 } });
