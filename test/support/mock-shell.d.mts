import type { Output, Shell } from '../../harness/context.js';

export interface MockShellOptions {
  realMs?: number;
  crash?: string;
  opsPerSecond?: Record<string, number>;
}

export declare function mockShell(options: MockShellOptions, out: Output, err: Output): Shell;
