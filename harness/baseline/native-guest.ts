import { LineProcess, numberIn } from './line-process.js';

export interface NativeSample {
  units: number;
  ops: number;
  /** Between the doorbells, by the process's own stamps. */
  seconds: number;
  cpuSeconds: number;
}

/** The native image as check:baseline drives it: one CPU, own stamps. */
export class NativeGuest {
  private readonly process: LineProcess;
  /** `io_uring, O_DIRECT`; undefined without a disk. */
  blockFact: string | undefined;

  constructor(
    image: string,
    private readonly options: { disk?: string; peer?: number } = {},
  ) {
    const disk = options.disk === undefined ? [] : ['--disk', options.disk, '--direct'];
    this.process = new LineProcess('the native image', image, ['guest', '--stamp', ...disk]);
  }

  async booted(): Promise<void> {
    if (this.options.disk !== undefined)
      this.blockFact = (await this.process.line('fact block ')).slice('fact block '.length);
    await this.process.line('ready port=host');
  }

  async prepare(workload: string): Promise<void> {
    const peer = this.options.peer === undefined ? '' : ` peer=127.0.0.1:${this.options.peer}`;
    this.process.send(`prepare ${workload} seed=1${peer}`);
    await this.process.line(`ready ${workload}`);
  }

  async sample(ms: number, seed: number): Promise<NativeSample> {
    this.process.send(`start ms=${ms} seed=${seed}`);
    const line = await this.process.line('result ');
    const digits = /([0-9a-f]{64})result /.exec(line)?.[1];
    if (digits === undefined) throw new Error(`the native image gave no stamps: "${line}"`);
    const stamp = (i: number) => BigInt(`0x${digits.slice(16 * i, 16 * i + 16)}`);
    if (numberIn(line, 'errors') > 0) throw new Error(`the native image: ${line}`);
    return {
      units: numberIn(line, 'units'),
      ops: numberIn(line, 'ops'),
      seconds: Number(stamp(2) - stamp(0)) / 1e9,
      cpuSeconds: Number(stamp(3) - stamp(1)) / 1e9,
    };
  }

  stop(): void {
    this.process.stop();
  }
}
